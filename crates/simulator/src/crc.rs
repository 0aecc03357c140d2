//! Signing with the consumer secret: CRC challenges and the signature of deliveries.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::random;
use crate::state::Sim;

/// `sha256=` and the base64 of HMAC-SHA256, as headers and CRC answers carry it.
pub(crate) fn sign(secret: &str, message: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new(); // HMAC takes keys of any length
    };
    mac.update(message);
    format!("sha256={}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// How a challenge ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    Passed,
    /// Proof of a wrong set-up: the webhook becomes invalid at once.
    Wrong(String),
    /// May pass later: 4xx, 5xx, time-outs, closed connections.
    Unanswered(String),
}

#[derive(Deserialize)]
struct CrcAnswer {
    response_token: String,
}

/// Challenges a webhook with a fresh token.
pub(crate) async fn challenge(sim: &Sim, url: &str) -> Challenge {
    let token = random::crc_token();
    let sent = sim
        .http
        .get(url)
        .query(&[("crc_token", token.as_str())])
        .timeout(sim.config.delivery_timeout())
        .send();
    let answer = match sent.await {
        Ok(answer) => answer,
        Err(error) => return Challenge::Unanswered(brief(&error)),
    };
    let status = answer.status();
    if status.is_redirection() {
        return Challenge::Wrong(format!("answered {status}, a redirect"));
    }
    if !status.is_success() {
        return Challenge::Unanswered(format!("answered {status}"));
    }
    let Ok(body) = tokio::time::timeout(Duration::from_secs(10), answer.bytes()).await else {
        return Challenge::Unanswered("the answer's body never ended".to_owned());
    };
    let expected = sign(&sim.config.consumer_secret, token.as_bytes());
    let given = body
        .ok()
        .and_then(|body| serde_json::from_slice::<CrcAnswer>(&body).ok());
    match given {
        Some(given)
            if given
                .response_token
                .as_bytes()
                .ct_eq(expected.as_bytes())
                .into() =>
        {
            Challenge::Passed
        }
        Some(_) => Challenge::Wrong("the response_token is wrong".to_owned()),
        None => Challenge::Wrong("the answer is no JSON with a response_token".to_owned()),
    }
}

/// The innermost cause, which is the telling one.
pub(crate) fn brief(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_timeout() {
        "timed out".to_owned()
    } else {
        cause.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of xdevplatform/autohook, test/signature.js.
    #[test]
    fn known_signatures() {
        assert_eq!(
            sign("test", b"test=1&other_test=2"),
            "sha256=25Cu3iwbbiqBTwQRzcKJZwisjf736V2Q8UaTlkfLSoc="
        );
        assert_eq!(
            sign("test", br#"{"test_number":1,"test_string":"two"}"#),
            "sha256=YWHphPn/JFq43jkF0y4/w8R/SelmLjvpunhVFY8JhlI="
        );
    }
}
