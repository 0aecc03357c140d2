//! OAuth 1.0a: the signature, its verification on requests, and the three legs.
//!
//! Source: the platform's "Creating a signature" page, RFC 5849 §3.4.

pub(crate) mod legs;
pub(crate) mod verify;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha1::Sha1;

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// RFC 3986 percent-encoding with upper-case hex.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Decoded pairs of a query string or a form body, in order; `+` is a space.
pub(crate) fn decode_form(text: &str) -> Vec<(String, String)> {
    let decode = |part: &str| {
        percent_decode_str(&part.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned()
    };
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
        .collect()
}

/// A form body from pairs.
pub(crate) fn encode_form(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(k, v)| format!("{}={}", encode(k), encode(v)))
        .collect();
    pairs.join("&")
}

/// The text that is signed. `url` has no query; `params` are decoded and without
/// `oauth_signature`.
pub(crate) fn base_string(method: &str, url: &str, params: &[(String, String)]) -> String {
    let mut pairs: Vec<_> = params.iter().map(|(k, v)| (encode(k), encode(v))).collect();
    pairs.sort();
    let joined: Vec<_> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
    format!(
        "{}&{}&{}",
        method.to_uppercase(),
        encode(url),
        encode(&joined.join("&"))
    )
}

/// base64(HMAC-SHA1) of a base string; `token_secret` is empty before there is a token.
pub(crate) fn signature(base: &str, consumer_secret: &str, token_secret: &str) -> String {
    let key = format!("{}&{}", encode(consumer_secret), encode(token_secret));
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key.as_bytes()) else {
        return String::new(); // HMAC takes keys of any length
    };
    mac.update(base.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of the platform's documentation.
    fn documented(host: &str) -> String {
        let params = [
            (
                "status",
                "Hello Ladies + Gentlemen, a signed OAuth request!",
            ),
            ("include_entities", "true"),
            ("oauth_consumer_key", "xvz1evFS4wEEPTGEFPHBog"),
            ("oauth_nonce", "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "1318622958"),
            (
                "oauth_token",
                "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
            ),
            ("oauth_version", "1.0"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned()));
        let base = base_string(
            "post",
            &format!("https://{host}/1.1/statuses/update.json"),
            &params,
        );
        signature(
            &base,
            "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
            "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
        )
    }

    #[test]
    fn the_documented_example_signs_as_documented() {
        assert_eq!(documented("api.x.com"), "Ls93hJiZbQ3akF3HF3x1Bz8/zU4=");
        assert_eq!(
            documented("api.twitter.com"),
            "hCtSmYh+iHYCEqBWrE7C7hYmtUk="
        );
    }

    #[test]
    fn repeated_keys_sort_by_value() {
        let params =
            [("a", "2"), ("b", "1"), ("a", "1")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert!(base_string("GET", "http://h/", &params).ends_with("&a%3D1%26a%3D2%26b%3D1"));
    }

    #[test]
    fn form_pairs_decode() {
        let pairs = decode_form("a=b+c&d=%2B%20&e&=x&&f=%ff");
        let keys: Vec<_> = pairs
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            keys,
            [
                ("a", "b c"),
                ("d", "+ "),
                ("e", ""),
                ("", "x"),
                ("f", "\u{fffd}")
            ]
        );
    }
}
