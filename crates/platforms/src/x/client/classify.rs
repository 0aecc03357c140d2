//! The table of X's refusals.
//!
//! X's numeric code decides, then the type of a v2 problem, then the status; never the wording, which
//! changes. What isn't certain is no refusal.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::outcome::{ApiError, Refusal, RefusalCode, Retry};
use super::{RateLimits, Reply};

const HOUR: Duration = Duration::from_secs(3600);

/// X's usual window, for a 429 that doesn't say when it ends.
const WINDOW: SignedDuration = SignedDuration::from_mins(15);

/// The refusal in an answer; `None` when the call may have been obeyed.
pub(super) fn refusal(reply: &Reply, now: Timestamp) -> Option<Refusal> {
    // 408 is written by a proxy that gave up on a request, read or not.
    if !(400..500).contains(&reply.status) || reply.status == 408 {
        return None;
    }
    let problem = Problem::read(&reply.body);
    let (code, retry) = match problem.code {
        // Over capacity and internal error, whatever the status. A duplicate was sent before: by us?
        Some(130 | 131 | 187) => return None,
        Some(code) => by_code(code, reply.status),
        None => None,
    }
    .or_else(|| by_type(&problem.kind))
    .unwrap_or_else(|| by_status(reply.status));
    let retry = if code == RefusalCode::RateLimited {
        Retry::At(window_end(reply.limits, now))
    } else {
        retry
    };
    Some(Refusal {
        code,
        status: Some(reply.status),
        platform_code: problem.code,
        detail: problem
            .detail
            .unwrap_or_else(|| format!("status {}", reply.status)),
        retry,
    })
}

/// The error of a call that has no unknown outcome to care for.
pub(super) fn api_error(reply: &Reply, now: Timestamp) -> ApiError {
    refusal(reply, now).map_or(ApiError::Unavailable(reply.status), ApiError::Refused)
}

/// X, "Response codes" (v1.1), as public clients know them.
fn by_code(code: i64, status: u16) -> Option<(RefusalCode, Retry)> {
    use RefusalCode as C;
    Some(match code {
        88 => (C::RateLimited, Retry::Backoff),
        185 => (C::DailyLimit, Retry::After(24 * HOUR)),
        89 => (C::ReauthRequired, Retry::AfterReauth),
        // Wrong keys and dead tokens look alike; as a 401 it is the account's.
        32 | 215 if status == 401 => (C::ReauthRequired, Retry::AfterReauth),
        32 | 99 | 135 | 215 => (C::AppMisconfigured, Retry::After(HOUR / 12)),
        93 | 220 => (C::PermissionMissing, Retry::AfterReauth),
        87 | 261 | 416 => (C::AppRestricted, Retry::Never),
        50 | 63 | 108 | 150 | 349 => (C::ContactUnreachable, Retry::Never),
        389 => (C::ContactBlocked, Retry::Never),
        64 => (C::ChannelSuspended, Retry::Never),
        326 => (C::ChannelLocked, Retry::Never),
        214 => (C::ChannelSettings, Retry::Never),
        226 => (C::LooksAutomated, Retry::After(4 * HOUR)),
        151 => (C::SendFailed, Retry::Never),
        354 => (C::TextTooLong, Retry::Never),
        323..=325 => (C::MediaRejected, Retry::Never),
        34 => (C::NotFound, Retry::Never),
        _ => return None,
    })
}

/// The last part of a v2 problem's `type` (X, "Response codes and errors").
fn by_type(kind: &str) -> Option<(RefusalCode, Retry)> {
    use RefusalCode as C;
    Some(match kind {
        "usage-capped" => (C::UsageCapped, Retry::After(6 * HOUR)),
        "rate-limit-exceeded" => (C::RateLimited, Retry::Backoff),
        "client-forbidden" => (C::AppRestricted, Retry::Never),
        "oauth1-permissions" => (C::PermissionMissing, Retry::AfterReauth),
        "not-authorized-for-resource" => (C::Forbidden, Retry::Never),
        "resource-not-found" => (C::ContactUnreachable, Retry::Never),
        "invalid-request" => (C::InvalidRequest, Retry::Never),
        _ => return None,
    })
}

fn by_status(status: u16) -> (RefusalCode, Retry) {
    match status {
        401 => (RefusalCode::ReauthRequired, Retry::AfterReauth),
        403 => (RefusalCode::Forbidden, Retry::Never),
        404 => (RefusalCode::NotFound, Retry::Never),
        429 => (RefusalCode::RateLimited, Retry::Backoff),
        _ => (RefusalCode::InvalidRequest, Retry::Never),
    }
}

/// The end of the window by the header, unless that is nonsense: a past or a far instant would mean a
/// storm or a silence.
fn window_end(limits: Option<RateLimits>, now: Timestamp) -> Timestamp {
    let told = limits.map_or(now + WINDOW, |limits| limits.reset_at);
    told.clamp(
        now + SignedDuration::from_secs(1),
        now + SignedDuration::from_hours(24),
    )
}

/// What an error body says, in any of X's shapes.
#[derive(Debug, Default)]
struct Problem {
    code: Option<i64>,
    kind: String,
    detail: Option<String>,
}

impl Problem {
    fn read(body: &[u8]) -> Self {
        let Ok(document) = serde_json::from_slice::<Value>(body) else {
            return Self::default();
        };
        let errors = document["errors"].as_array().map_or(&[][..], Vec::as_slice);
        let all = || errors.iter().chain(std::iter::once(&document));
        let text = |name: &str| all().find_map(|problem| problem[name].as_str());
        let code = all().find_map(|problem| {
            let code = &problem["code"];
            code.as_i64().or_else(|| code.as_str()?.parse().ok())
        });
        // The document's own type stands above those of its parts.
        let kind = document["type"]
            .as_str()
            .or_else(|| text("type"))
            .unwrap_or_default();
        let kind = kind.rsplit('/').next().unwrap_or_default();
        let detail = ["detail", "message", "title", "error_description", "error"]
            .into_iter()
            .find_map(text);
        Self {
            code,
            kind: kind.to_owned(),
            detail: detail.map(|text| text.chars().take(200).collect()),
        }
    }
}

#[cfg(test)]
mod tests;
