//! Who calls: OAuth 1.0a user tokens, OAuth 2.0 user tokens, and the app's own bearer token.

use std::collections::{HashMap, HashSet, VecDeque};

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use subtle::ConstantTimeEq as _;

use super::{base_string, decode_form, signature};
use crate::error::ApiError;
use crate::ids::{AccountId, now_ms};
use crate::state::{Sim, World};

/// How far a request's clock may be off, in seconds.
const CLOCK_WINDOW: u64 = 300;

/// Who proved to be calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A token of this account, given to the app.
    User(AccountId),
    /// The app itself.
    App,
}

/// Nonces of the accepted requests that are young enough to be replayed.
#[derive(Debug, Default)]
pub(crate) struct Nonces {
    seen: HashSet<String>,
    by_time: VecDeque<(u64, String)>,
}

impl Nonces {
    /// False when the same nonce was used before.
    fn insert(&mut self, now_s: u64, nonce: String) -> bool {
        while self
            .by_time
            .front()
            .is_some_and(|(at, _)| at + 2 * CLOCK_WINDOW < now_s)
        {
            if let Some((_, old)) = self.by_time.pop_front() {
                self.seen.remove(&old);
            }
        }
        let fresh = self.seen.insert(nonce.clone());
        if fresh {
            self.by_time.push_back((now_s, nonce));
        }
        fresh
    }
}

/// The `oauth_*` parameters of a verified request and the rest of what it signed.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) oauth: HashMap<String, String>,
    pub(crate) form: Vec<(String, String)>,
}

/// Finds the caller of a request, whatever the scheme.
pub(crate) fn caller(sim: &Sim, req: &HttpRequest, body: &[u8]) -> Result<Caller, ApiError> {
    let header = authorization(req).ok_or_else(ApiError::no_credentials)?;
    if let Some(token) = strip_scheme(header, "bearer") {
        let world = sim.read();
        if bool::from(token.as_bytes().ct_eq(world.bearer.as_bytes())) {
            return Ok(Caller::App);
        }
        let account = world
            .tokens
            .oauth2_account(token)
            .ok_or_else(ApiError::dead_token)?;
        return Ok(Caller::User(account));
    }
    let signed = verify_signed(sim, req, body, |world, token| {
        world.tokens.oauth1_secret(token).map(str::to_owned)
    })?;
    let world = sim.read();
    let token = signed
        .oauth
        .get("oauth_token")
        .map(String::as_str)
        .unwrap_or_default();
    world
        .tokens
        .oauth1_account(token)
        .map(Caller::User)
        .ok_or_else(ApiError::dead_token)
}

/// Checks an OAuth 1.0a request; `secret_of` finds the secret of its token.
pub(crate) fn verify_signed(
    sim: &Sim,
    req: &HttpRequest,
    body: &[u8],
    secret_of: impl Fn(&World, &str) -> Option<String>,
) -> Result<Signed, ApiError> {
    let header = authorization(req).ok_or_else(ApiError::no_credentials)?;
    let fields = strip_scheme(header, "oauth").ok_or_else(ApiError::bad_auth_data)?;
    let oauth = parse_header(fields);
    let get = |key: &str| oauth.get(key).map(String::as_str).unwrap_or_default();

    let known_app = get("oauth_consumer_key") == sim.config.consumer_key;
    if !known_app || get("oauth_signature_method") != "HMAC-SHA1" || get("oauth_nonce").is_empty() {
        return Err(ApiError::could_not_authenticate());
    }
    if !matches!(get("oauth_version"), "" | "1.0") {
        return Err(ApiError::could_not_authenticate());
    }
    let now_s = now_ms() / 1000;
    let sent_s: u64 = get("oauth_timestamp")
        .parse()
        .map_err(|_| ApiError::bad_auth_data())?;
    if now_s.abs_diff(sent_s) > CLOCK_WINDOW {
        return Err(ApiError::timestamp_out_of_bounds());
    }

    let form = form_of(req, body);
    let mut params = decode_form(req.uri().query().unwrap_or_default());
    params.extend(form.iter().cloned());
    let own = oauth
        .iter()
        .filter(|(key, _)| key.as_str() != "oauth_signature" && *key != "realm");
    params.extend(own.map(|(key, value)| (key.clone(), value.clone())));
    let base = base_string(req.method().as_str(), &base_url(req), &params);

    sim.change(|world| {
        let token = get("oauth_token");
        let secret = match secret_of(world, token) {
            Some(secret) => secret,
            None if token.is_empty() => return Err(ApiError::bad_auth_data()),
            None => return Err(ApiError::dead_token()),
        };
        let expected = signature(&base, &sim.config.consumer_secret, &secret);
        if !bool::from(expected.as_bytes().ct_eq(get("oauth_signature").as_bytes())) {
            return Err(ApiError::could_not_authenticate());
        }
        if !world
            .nonces
            .insert(now_s, format!("{token} {sent_s} {}", get("oauth_nonce")))
        {
            return Err(ApiError::could_not_authenticate());
        }
        Ok(())
    })?;
    Ok(Signed { oauth, form })
}

/// The URL as the client saw it: scheme, host as in `Host` without a default port, raw path.
fn base_url(req: &HttpRequest) -> String {
    let info = req.connection_info();
    let host = info.host().to_lowercase();
    let default_port = if info.scheme() == "https" {
        ":443"
    } else {
        ":80"
    };
    let host = host.strip_suffix(default_port).unwrap_or(&host);
    format!("{}://{host}{}", info.scheme(), req.uri().path())
}

/// Form fields count for the signature; JSON and multipart bodies never do.
fn form_of(req: &HttpRequest, body: &[u8]) -> Vec<(String, String)> {
    let content_type = req
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let is_form =
        content_type.is_some_and(|t| t.trim().starts_with("application/x-www-form-urlencoded"));
    if is_form {
        decode_form(&String::from_utf8_lossy(body))
    } else {
        Vec::new()
    }
}

fn authorization(req: &HttpRequest) -> Option<&str> {
    req.headers().get(AUTHORIZATION)?.to_str().ok()
}

/// What follows the scheme's name, which is case-insensitive.
pub(crate) fn strip_scheme<'a>(header: &'a str, scheme: &str) -> Option<&'a str> {
    let (name, rest) = header.trim().split_once(' ')?;
    name.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

fn parse_header(fields: &str) -> HashMap<String, String> {
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    fields
        .split(',')
        .filter_map(|field| field.trim().split_once('='))
        .map(|(key, value)| (decode(key.trim()), decode(value.trim().trim_matches('"'))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_once_until_it_is_too_old_to_matter() {
        let mut nonces = Nonces::default();
        assert!(nonces.insert(1_000, "a".into()));
        assert!(!nonces.insert(1_100, "a".into()));
        assert!(nonces.insert(1_000 + 2 * CLOCK_WINDOW + 1, "a".into()));
    }

    #[test]
    fn the_header_parses_with_and_without_spaces() {
        let fields = parse_header(r#"oauth_nonce="a%2Bb",  oauth_token="t",broken"#);
        assert_eq!(fields.get("oauth_nonce").map(String::as_str), Some("a+b"));
        assert_eq!(fields.len(), 2);
        assert_eq!(strip_scheme("oAuth x", "oauth"), Some("x"));
    }
}
