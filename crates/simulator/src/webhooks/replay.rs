//! `POST /2/webhooks/replay`: deliveries of the last day, once more.

use std::time::Duration;

use actix_web::HttpResponse;
use serde::Deserialize;
use serde_json::json;

use super::{refusal, unknown};
use crate::call::{Answer, Call};
use crate::delivery::{self, Job};
use crate::error::ApiError;
use crate::ids::{WebhookId, iso, now_ms};

const MINUTE_MS: u64 = 60_000;

#[derive(Debug, Deserialize)]
struct CreateReplay {
    webhook_id: WebhookId,
    /// `yyyymmddhhmm`, UTC, inclusive.
    from_date: String,
    /// `yyyymmddhhmm`, UTC, exclusive.
    to_date: String,
}

/// Starts a job. The events come to the same webhook, then a completion document.
pub(crate) async fn create(call: Call) -> Answer {
    call.app()?;
    let body: CreateReplay = call.json()?;
    let (from, to) = (minute(&body.from_date)?, minute(&body.to_date)?);
    let now = now_ms();
    check_window(from, to, now, call.sim.config.lenient_replay)?;
    if !call.sim.read().webhooks.contains_key(&body.webhook_id) {
        return Err(unknown());
    }
    if call.sim.read().log.replaying.contains(&body.webhook_id) {
        return Err(ApiError::conflict(
            355,
            "ReplayConflictError: a job of this webhook is running",
        ));
    }
    if !super::prove(&call.sim, body.webhook_id).await? {
        return Err(refusal(
            "CrcValidationFailed",
            "the webhook must pass its challenge first",
        ));
    }
    let (job_id, past) = call.sim.change(|world| {
        world.log.replaying.insert(body.webhook_id);
        (
            world.ids.next(now).to_string(),
            world.log.between(body.webhook_id, from, to),
        )
    });
    tracing::info!(events = past.len(), "replay started");

    let done: Vec<_> = past
        .into_iter()
        .map(|job| delivery::enqueue(&call.sim, job))
        .collect();
    let (sim, id, webhook) = (call.sim.clone(), job_id.clone(), body.webhook_id);
    tokio::spawn(async move {
        let wait = futures_util::future::join_all(done);
        let complete = tokio::time::timeout(Duration::from_secs(600), wait)
            .await
            .is_ok();
        let state = if complete { "Complete" } else { "Incomplete" };
        let status = json!({
            "webhook_id": webhook,
            "job_state": state,
            "job_state_description": "Job completed successfully",
            "job_id": id,
        });
        sim.change(|world| world.log.replaying.remove(&webhook));
        let body =
            delivery::body::escaped(&json!({ "replay_job_status": status }), sim.config.escape);
        delivery::enqueue(&sim, Job::plain(webhook, "replay_job_status", body));
    });
    let data = json!({ "job_id": job_id, "created_at": iso(now) });
    Ok(HttpResponse::Ok().json(json!({ "data": data })))
}

/// Within the last 24 h; from at least 31 and to at least 10 minutes old; about 2 h at most.
fn check_window(from: u64, to: u64, now: u64, lenient: bool) -> Result<(), ApiError> {
    let fits = from < to
        && from + 24 * 60 * MINUTE_MS >= now
        && from + 31 * MINUTE_MS <= now
        && to + 10 * MINUTE_MS <= now
        && to - from <= 130 * MINUTE_MS;
    if fits || (lenient && from < to) {
        Ok(())
    } else {
        Err(refusal(
            "QueryParamInvalid",
            "the window is too young, too old, too long or empty",
        ))
    }
}

fn minute(text: &str) -> Result<u64, ApiError> {
    let bad = || refusal("QueryParamInvalid", "dates are 12 digits: yyyymmddhhmm");
    if text.len() != 12 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad());
    }
    let iso = format!(
        "{}-{}-{}T{}:{}:00Z",
        &text[..4],
        &text[4..6],
        &text[6..8],
        &text[8..10],
        &text[10..]
    );
    let instant: jiff::Timestamp = iso.parse().map_err(|_| bad())?;
    u64::try_from(instant.as_millisecond()).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_checked() {
        let now = 1_800_000_000_000;
        let ago = |minutes: u64| now - minutes * MINUTE_MS;
        assert!(check_window(ago(60), ago(10), now, false).is_ok());
        for (from, to) in [(60, 9), (30, 10), (60, 60), (200, 10), (25 * 60, 24 * 60)] {
            assert!(
                check_window(ago(from), ago(to), now, false).is_err(),
                "{from} {to}"
            );
        }
        assert!(check_window(ago(1), ago(0), now, true).is_ok());
    }

    #[test]
    fn dates_are_minutes_of_utc() {
        assert_eq!(minute("202607242123").ok(), Some(1_784_928_180_000));
        assert!(minute("20260724212").is_err() && minute("202613242123").is_err());
    }
}
