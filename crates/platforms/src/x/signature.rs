//! The signature that X puts on every webhook POST.
//!
//! `x-twitter-webhooks-signature: sha256=<base64(HMAC-SHA256(consumer secret, raw body))>`, over the
//! bytes as received (X, "Webhooks quickstart"). It covers no time, so a replayed POST verifies for
//! ever; deduplication by event id is the answer to that.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use super::secrets::AppSecrets;

/// The header that carries the signature.
pub const HEADER: &str = "x-twitter-webhooks-signature";

const PREFIX: &str = "sha256=";

/// Why a POST isn't trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature header.
    #[error("webhook signature is missing")]
    Missing,
    /// The header isn't `sha256=` and the base64 of 32 bytes.
    #[error("webhook signature is not sha256 in base64")]
    Malformed,
    /// No secret of the app makes this signature over these bytes.
    #[error("webhook signature does not match the body")]
    Mismatch,
}

/// Checks the signature over the raw bytes, in constant time, with the current and then the previous
/// secret of the app.
///
/// # Errors
/// [`SignatureError`] when the header is missing, malformed, or made with another secret or body.
pub fn verify(
    secrets: &AppSecrets,
    raw: &[u8],
    header: Option<&str>,
) -> Result<(), SignatureError> {
    let header = header.ok_or(SignatureError::Missing)?;
    let encoded = header
        .trim()
        .strip_prefix(PREFIX)
        .ok_or(SignatureError::Malformed)?;
    let given = STANDARD
        .decode(encoded)
        .map_err(|_| SignatureError::Malformed)?;
    if given.len() != 32 {
        return Err(SignatureError::Malformed);
    }
    let known = std::iter::once(&secrets.consumer_secret).chain(&secrets.previous_consumer_secret);
    for secret in known {
        if let Some(mac) = mac_over(secret, raw)
            && mac.verify_slice(&given).is_ok()
        {
            return Ok(());
        }
    }
    Err(SignatureError::Mismatch)
}

/// The header value that X would send for these bytes.
#[must_use]
pub fn sign(secret: &SecretString, raw: &[u8]) -> String {
    let digest = mac_over(secret, raw).map(|mac| mac.finalize().into_bytes());
    format!("{PREFIX}{}", STANDARD.encode(digest.unwrap_or_default()))
}

/// `None` never happens: HMAC takes keys of any length. It is an option so that nothing can panic.
fn mac_over(secret: &SecretString, raw: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
    mac.update(raw);
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(current: &str, previous: Option<&str>) -> AppSecrets {
        AppSecrets {
            name: "main".to_owned(),
            consumer_key: "key".to_owned(),
            consumer_secret: current.into(),
            previous_consumer_secret: previous.map(Into::into),
        }
    }

    /// From the tests of X's own `xdevplatform/autohook`.
    const VECTORS: [(&[u8], &str); 2] = [
        (
            b"test=1&other_test=2",
            "sha256=25Cu3iwbbiqBTwQRzcKJZwisjf736V2Q8UaTlkfLSoc=",
        ),
        (
            br#"{"test_number":1,"test_string":"two"}"#,
            "sha256=YWHphPn/JFq43jkF0y4/w8R/SelmLjvpunhVFY8JhlI=",
        ),
    ];

    #[test]
    fn published_vectors_verify_and_are_reproduced() {
        for (body, header) in VECTORS {
            assert_eq!(verify(&app("test", None), body, Some(header)), Ok(()));
            assert_eq!(sign(&"test".into(), body), header);
        }
    }

    #[test]
    fn the_previous_secret_is_accepted_while_rotating() {
        let (body, header) = VECTORS[0];
        assert_eq!(
            verify(&app("new", Some("test")), body, Some(header)),
            Ok(())
        );
        assert_eq!(
            verify(&app("new", None), body, Some(header)),
            Err(SignatureError::Mismatch)
        );
    }

    #[test]
    fn one_changed_byte_is_refused() {
        let (_, header) = VECTORS[0];
        let refused = verify(&app("test", None), b"test=1&other_test=3", Some(header));
        assert_eq!(refused, Err(SignatureError::Mismatch));
    }

    #[test]
    fn a_reserialised_body_is_refused() {
        let raw = br#"{"text":"caf\u00e9 \/ \ud83d\udca7","id":"1"}"#;
        let header = sign(&"test".into(), raw);
        assert_eq!(verify(&app("test", None), raw, Some(&header)), Ok(()));
        let value: serde_json::Value = serde_json::from_slice(raw).unwrap();
        let again = serde_json::to_vec(&value).unwrap();
        assert_eq!(
            verify(&app("test", None), &again, Some(&header)),
            Err(SignatureError::Mismatch)
        );
    }

    #[test]
    fn anything_but_sha256_in_base64_is_malformed() {
        let (body, header) = VECTORS[0];
        let bare = header.trim_start_matches(PREFIX);
        assert_eq!(
            verify(&app("test", None), body, None),
            Err(SignatureError::Missing)
        );
        for header in [
            "",
            "sha256=",
            bare,
            "sha1=AAAA",
            "sha256=***",
            "sha256=AAAA",
            &format!("SHA256={bare}"),
        ] {
            assert_eq!(
                verify(&app("test", None), body, Some(header)),
                Err(SignatureError::Malformed),
                "{header}"
            );
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", app("current-secret", Some("older-secret")));
        assert!(
            !shown.contains("current-secret") && !shown.contains("older-secret"),
            "{shown}"
        );
    }
}
