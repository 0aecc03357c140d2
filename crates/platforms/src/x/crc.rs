//! The challenge by which X checks that a webhook's owner holds the app's secret.
//!
//! The answer is an HMAC over whatever was asked, with the same key as webhook signatures. Answered
//! blindly, the page would sign forged events for anyone; so only what looks like a challenge token is
//! answered, and nothing that looks like one can be an event body.

use secrecy::SecretString;

use super::signature;

/// X's tokens have about 48 characters; the rest is room for a change of theirs.
const MAX_TOKEN_CHARS: usize = 256;

/// The token isn't one that X would send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("crc token is refused: it does not look like a challenge token")]
pub struct CrcRefused;

/// Answers a challenge: the value of `response_token` in the JSON reply.
///
/// `token` is the URL-decoded `crc_token` parameter.
///
/// # Errors
/// [`CrcRefused`] for anything but 1 to 256 characters of base64, base64url, hex or a UUID.
pub fn respond(secret: &SecretString, token: &str) -> Result<String, CrcRefused> {
    if !looks_like_a_token(token) {
        return Err(CrcRefused);
    }
    Ok(signature::sign(secret, token.as_bytes()))
}

fn looks_like_a_token(token: &str) -> bool {
    // Padding ends a base64 value; elsewhere `=` would make it look like a form.
    let padding = token.len() - token.trim_end_matches('=').len();
    let value = &token[..token.len() - padding];
    (1..=MAX_TOKEN_CHARS).contains(&token.len())
        && padding <= 2
        && !value.is_empty()
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'+' | b'/' | b'.'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::x::split;

    #[test]
    fn tokens_of_the_kinds_seen_are_answered() {
        for token in [
            "foo",
            "9b4507b3-9040-4669-9ca3-6b94edb50553",
            "MDk4MmU5NjYtNzQ1YS00ODg2LTkwZTUtNTAzNjAzZTc4Mzc1",
            "ab+/cd==",
            "YWJj_-=",
            "1766000000000",
        ] {
            let answer = respond(&"test".into(), token).unwrap();
            assert_eq!(answer, signature::sign(&"test".into(), token.as_bytes()));
        }
    }

    #[test]
    fn what_could_be_a_body_is_refused() {
        let long = "a".repeat(MAX_TOKEN_CHARS + 1);
        for token in [
            "",
            "=",
            "==",
            "a===",
            "a=b",
            "a=1&b=2",
            "a b",
            "{}",
            "[]",
            r#"{"for_user_id":"1"}"#,
            "\"text\"",
            "a\n",
            "a\0",
            "caf\u{e9}",
            "a%7B",
            &long,
        ] {
            assert_eq!(respond(&"test".into(), token), Err(CrcRefused), "{token:?}");
        }
    }

    proptest! {
        #[test]
        fn no_answered_token_is_an_event_body(
            token in "(\\PC{0,40}|[A-Za-z0-9+/._-]{0,60}={0,3}|-?[0-9]{1,20}([.][0-9]+)?(e[+-]?[0-9]+)?|true|false|null|[\\[\\]{}\",:0-9a-z ]{0,12})"
        ) {
            if respond(&"test".into(), &token).is_ok() {
                prop_assert!(split::split(token.as_bytes()).is_err(), "{}", token);
            }
        }
    }
}
