//! OAuth 1.0a request signing (RFC 5849 §3.4; X, "Creating a signature"), HMAC-SHA1 only.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use sha1::Sha1;

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Who signs: always the app, mostly on behalf of an account.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    /// The app's consumer key.
    pub consumer_key: &'a str,
    /// The app's consumer secret.
    pub consumer_secret: &'a SecretString,
    /// The token and its secret; none yet when a request token is asked for.
    pub token: Option<(&'a SecretString, &'a SecretString)>,
}

/// Percent-encodes as RFC 3986 wants it: capital hex, only `A-Z a-z 0-9 - . _ ~` left alone.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The value of the `Authorization` header.
///
/// `params` are the parameters of a form body (never of JSON or multipart) and protocol parameters
/// such as `oauth_callback`; those whose name begins with `oauth_` are put into the header. The query
/// of `url` is signed as well. `timestamp` is in seconds; `nonce` is used once.
#[must_use]
pub fn authorization(
    method: &str,
    url: &Url,
    params: &[(&str, &str)],
    credentials: &Credentials<'_>,
    nonce: &str,
    timestamp: i64,
) -> String {
    let timestamp = timestamp.to_string();
    let mut protocol = vec![
        ("oauth_consumer_key", credentials.consumer_key),
        ("oauth_nonce", nonce),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", &timestamp),
        ("oauth_version", "1.0"),
    ];
    if let Some((token, _)) = credentials.token {
        protocol.push(("oauth_token", token.expose_secret()));
    }
    protocol.extend(params.iter().filter(|(name, _)| name.starts_with("oauth_")));
    let form = params
        .iter()
        .filter(|(name, _)| !name.starts_with("oauth_"))
        .copied();
    let signed: Vec<(&str, &str)> = protocol.iter().copied().chain(form).collect();
    let signature = sign(&base_string(method, url, &signed), credentials);
    protocol.push(("oauth_signature", &signature));
    protocol.sort_unstable();
    let fields: Vec<String> = protocol
        .iter()
        .map(|(name, value)| format!("{}=\"{}\"", percent_encode(name), percent_encode(value)))
        .collect();
    format!("OAuth {}", fields.join(", "))
}

/// What is signed: method, base URL, and all parameters sorted by their encoded form.
fn base_string(method: &str, url: &Url, params: &[(&str, &str)]) -> String {
    let query = url.query_pairs();
    let mut encoded: Vec<(String, String)> = params
        .iter()
        .map(|(name, value)| (percent_encode(name), percent_encode(value)))
        .chain(query.map(|(name, value)| (percent_encode(&name), percent_encode(&value))))
        .collect();
    encoded.sort_unstable();
    let pairs: Vec<String> = encoded
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut base = url.clone();
    base.set_query(None);
    base.set_fragment(None);
    [
        method.to_ascii_uppercase(),
        percent_encode(base.as_str()),
        percent_encode(&pairs.join("&")),
    ]
    .join("&")
}

fn sign(base_string: &str, credentials: &Credentials<'_>) -> String {
    let token_secret = credentials
        .token
        .map_or("", |(_, secret)| secret.expose_secret());
    let key = format!(
        "{}&{}",
        percent_encode(credentials.consumer_secret.expose_secret()),
        percent_encode(token_secret)
    );
    // HMAC takes keys of any length; an empty signature is refused by X like any wrong one.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key.as_bytes()) else {
        return String::new();
    };
    mac.update(base_string.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests;
