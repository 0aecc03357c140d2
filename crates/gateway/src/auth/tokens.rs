//! Access tokens: JWTs that name a session for a quarter of an hour.

use std::fmt;

use jiff::Timestamp;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::problem::{Code, Problem};

/// How long a token is good, in seconds.
pub(crate) const ACCESS_TOKEN_SECONDS: i64 = 15 * 60;

const ISSUER: &str = "roost";
const AUDIENCE: &str = "roost-api";
/// How far clocks may differ, in seconds.
const LEEWAY: u64 = 5;

/// The token says who holds it only by its session: role and brand are looked up, so that a change
/// of them counts at once.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    exp: i64,
    iat: i64,
    sid: Uuid,
}

/// Makes and checks access tokens.
#[derive(Clone)]
pub(crate) struct Tokens {
    kid: String,
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl Tokens {
    pub(crate) fn new(secret: &SecretString) -> Self {
        let bytes = secret.expose_secret().as_bytes();
        let digest = Sha256::digest([b"kid:", bytes].concat());
        let mut validation = Validation::new(Algorithm::HS256);
        // Without this a token that lacks a claim passes its check.
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY;
        Self {
            kid: digest[..4]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            signing: EncodingKey::from_secret(bytes),
            checking: DecodingKey::from_secret(bytes),
            validation,
        }
    }

    /// A token for a session.
    pub(crate) fn issue(&self, session: Uuid, now: Timestamp) -> Result<String, Problem> {
        let header = Header {
            kid: Some(self.kid.clone()),
            ..Header::new(Algorithm::HS256)
        };
        let iat = now.as_second();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            exp: iat + ACCESS_TOKEN_SECONDS,
            iat,
            sid: session,
        };
        encode(&header, &claims, &self.signing)
            .map_err(|error| Problem::caused(Code::Internal, error))
    }

    /// The session of a good token.
    pub(crate) fn verify(&self, token: &str) -> Result<Uuid, Problem> {
        let bad = |_| Problem::new(Code::Unauthenticated);
        let header = decode_header(token).map_err(bad)?;
        if header.kid.as_deref() != Some(self.kid.as_str()) {
            return Err(Problem::new(Code::Unauthenticated));
        }
        let token = decode::<Claims>(token, &self.checking, &self.validation).map_err(bad)?;
        Ok(token.claims.sid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn tokens() -> Tokens {
        Tokens::new(&SecretString::from("a-secret-of-at-least-32-characters!"))
    }

    fn forged(header: Header, claims: &Value, secret: &str) -> String {
        encode(
            &header,
            claims,
            &EncodingKey::from_secret(secret.as_bytes()),
        )
        .unwrap()
    }

    #[test]
    fn a_good_token_names_its_session() {
        let session = Uuid::now_v7();
        let token = tokens().issue(session, Timestamp::now()).unwrap();
        assert_eq!(tokens().verify(&token).unwrap(), session);
    }

    #[test]
    fn bad_tokens_are_refused() {
        let tokens = tokens();
        let secret = "a-secret-of-at-least-32-characters!";
        let now = Timestamp::now().as_second();
        let good = json!({
            "iss": ISSUER, "aud": AUDIENCE, "exp": now + 60, "iat": now, "sid": Uuid::now_v7(),
        });
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            claims
        };
        let without = |name: &str| {
            let mut claims = good.clone();
            claims.as_object_mut().unwrap().remove(name);
            claims
        };
        let header = || Header {
            kid: Some(tokens.kid.clone()),
            ..Header::new(Algorithm::HS256)
        };
        assert!(tokens.verify(&forged(header(), &good, secret)).is_ok());
        for (what, token) in [
            ("no aud", forged(header(), &without("aud"), secret)),
            ("no iss", forged(header(), &without("iss"), secret)),
            ("no exp", forged(header(), &without("exp"), secret)),
            (
                "other aud",
                forged(header(), &with("aud", json!("other")), secret),
            ),
            (
                "other iss",
                forged(header(), &with("iss", json!("other")), secret),
            ),
            (
                "expired",
                forged(header(), &with("exp", json!(now - 60)), secret),
            ),
            (
                "not yet",
                forged(header(), &with("nbf", json!(now + 60)), secret),
            ),
            (
                "other key",
                forged(header(), &good, "another-secret-of-32-characters!!!!"),
            ),
            (
                "no kid",
                forged(Header::new(Algorithm::HS256), &good, secret),
            ),
            (
                "other algorithm",
                forged(
                    Header {
                        alg: Algorithm::HS512,
                        ..header()
                    },
                    &good,
                    secret,
                ),
            ),
            ("unsigned", "eyJhbGciOiJub25lIn0.eyJzaWQiOiIifQ.".to_owned()),
            ("nothing", String::new()),
        ] {
            assert!(tokens.verify(&token).is_err(), "{what}");
        }
    }
}
