//! Webhooks: registration with a challenge, and the challenges that follow.

pub(crate) mod replay;
pub(crate) mod routes;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::crc::{self, Challenge};
use crate::error::ApiError;
use crate::feed::Item;
use crate::ids::{WebhookId, now_ms};
use crate::state::Sim;

/// After this long without a passed challenge, one that goes unanswered invalidates (24 h and 4 h
/// of grace).
const GRACE_MS: u64 = 28 * 60 * 60 * 1_000;

/// One registered webhook.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Webhook {
    pub(crate) id: WebhookId,
    pub(crate) url: String,
    pub(crate) valid: bool,
    pub(crate) created_ms: u64,
    /// When a challenge last passed.
    pub(crate) proven_ms: u64,
    /// How the last challenge ended, when it didn't pass.
    #[serde(default)]
    pub(crate) fault: Option<String>,
}

/// Registers a URL once it passes its challenge.
async fn register(sim: &Sim, url: &str) -> Result<Webhook, ApiError> {
    check_url(url)?;
    {
        let world = sim.read();
        if world.webhooks.values().any(|webhook| webhook.url == url) {
            return Err(refusal(
                "DuplicateUrlFailed",
                "the URL is registered already",
            ));
        }
        if world.webhooks.len() >= sim.config.webhook_limit {
            return Err(refusal(
                "WebhookLimitExceeded",
                "the app has all its webhooks",
            ));
        }
    }
    match crc::challenge(sim, url).await {
        Challenge::Passed => {}
        Challenge::Wrong(why) | Challenge::Unanswered(why) => {
            return Err(refusal("CrcValidationFailed", &why));
        }
    }
    let now_ms = now_ms();
    let webhook = sim.change(|world| {
        let webhook = Webhook {
            id: WebhookId(world.ids.next(now_ms)),
            url: url.to_owned(),
            valid: true,
            created_ms: now_ms,
            proven_ms: now_ms,
            fault: None,
        };
        world.webhooks.insert(webhook.id, webhook.clone());
        webhook
    });
    sim.feed.publish(Item::Overview);
    Ok(webhook)
}

/// Challenges a registered webhook and notes the outcome; true = it passed.
pub(crate) async fn prove(sim: &Sim, id: WebhookId) -> Result<bool, ApiError> {
    let url = sim
        .read()
        .webhooks
        .get(&id)
        .map(|webhook| webhook.url.clone());
    let outcome = crc::challenge(sim, &url.ok_or_else(unknown)?).await;
    let passed = sim.change(|world| {
        let webhook = world.webhooks.get_mut(&id).ok_or_else(unknown)?;
        note(webhook, outcome, now_ms());
        Ok(webhook.fault.is_none())
    });
    sim.feed.publish(Item::Overview);
    passed
}

fn note(webhook: &mut Webhook, outcome: Challenge, now_ms: u64) {
    match outcome {
        Challenge::Passed => {
            webhook.valid = true;
            webhook.proven_ms = now_ms;
            webhook.fault = None;
        }
        Challenge::Wrong(why) => {
            webhook.valid = false;
            webhook.fault = Some(why);
        }
        Challenge::Unanswered(why) => {
            webhook.valid &= now_ms.saturating_sub(webhook.proven_ms) <= GRACE_MS;
            webhook.fault = Some(why);
        }
    }
}

/// Challenges every webhook again and again.
pub(crate) async fn challenge_periodically(sim: Arc<Sim>) {
    let interval = Duration::from_secs(sim.config.crc_interval_seconds.max(1));
    loop {
        tokio::time::sleep(interval).await;
        let ids: Vec<_> = sim.read().webhooks.keys().copied().collect();
        for id in ids {
            if let Err(error) = prove(&sim, id).await {
                tracing::debug!(%error, "webhook went away during its challenge");
            }
        }
    }
}

/// The platform takes HTTPS without a port only. Here plain HTTP to loopback, port and all, is
/// taken too: it is where a stand-in delivers.
fn check_url(url: &str) -> Result<(), ApiError> {
    let parsed = reqwest::Url::parse(url).ok();
    let good = parsed.is_some_and(|url| {
        let is_loopback = match url.host_str() {
            Some("localhost" | "[::1]") => true,
            Some(host) => host
                .parse::<std::net::Ipv4Addr>()
                .is_ok_and(|ip| ip.is_loopback()),
            None => false,
        };
        match url.scheme() {
            "http" => is_loopback,
            "https" => is_loopback || (url.port().is_none() && url.has_host()),
            _ => false,
        }
    });
    if good {
        Ok(())
    } else {
        Err(refusal(
            "UrlValidationFailed",
            "the URL must be HTTPS without a port, or HTTP to loopback",
        ))
    }
}

/// A refusal by one of the platform's names.
pub(crate) fn refusal(name: &str, why: &str) -> ApiError {
    ApiError::invalid(214, format!("{name}: {why}"))
}

pub(crate) fn unknown() -> ApiError {
    refusal("WebhookIdInvalid", "there is no webhook with that id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_checked_as_the_platform_does_but_for_loopback() {
        for good in [
            "https://example.com/x",
            "http://127.0.0.1:8081/webhooks/x/main",
            "http://localhost:1/",
            "https://localhost:8443/",
        ] {
            assert!(check_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://example.com/",
            "https://example.com:8443/",
            "ftp://localhost/",
            "x",
            "http://127.0.0.1.evil.test/",
        ] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wrong_answer_invalidates_at_once_and_silence_after_a_day() {
        let mut webhook = Webhook {
            id: WebhookId(1),
            url: String::new(),
            valid: true,
            created_ms: 0,
            proven_ms: 0,
            fault: None,
        };
        note(&mut webhook, Challenge::Unanswered("503".into()), GRACE_MS);
        assert!(webhook.valid);
        note(
            &mut webhook,
            Challenge::Unanswered("503".into()),
            GRACE_MS + 1,
        );
        assert!(!webhook.valid);
        note(&mut webhook, Challenge::Passed, GRACE_MS + 2);
        assert!(webhook.valid);
        note(&mut webhook, Challenge::Wrong("no".into()), GRACE_MS + 3);
        assert!(!webhook.valid);
    }
}
