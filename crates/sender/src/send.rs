//! One attempt.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use roost_platforms::UserCredentials;
use roost_platforms::x::client::{Refusal, Retry, Scope, SendOutcome, SendReport};
use roost_service::Backoff;
use roost_store::StoreError;
use roost_store::budgets::Budget;
use roost_store::channels::Credentials;
use roost_store::outbound::{self, Answer, Claimed, Ending, Pause};

use crate::boot_clock::BootInstant;
use crate::platform::Line;
use crate::step::{Desk, Outcome};

/// Sends a claimed reply once and records what came of it.
pub(crate) async fn send(
    desk: &Desk,
    started: BootInstant,
    claimed: &Claimed,
) -> Result<Outcome, StoreError> {
    let due = claimed.due;
    // Before the clock is looked at: reading keys may take a while.
    let line = Line::of(desk, due.brand, &claimed.platform, &claimed.app).await;
    let answer = if started.elapsed() > desk.give_up_after {
        // This process slept. Nothing was sent, and that is certain.
        given_up(claimed)
    } else {
        let called = Instant::now();
        let report = line.send(desk, claimed).await;
        desk.metrics.call.observe(called.elapsed().as_secs_f64());
        answer(report, Timestamp::now())
    };
    let label = answer.ending.as_str();
    desk.metrics.results.with_label_values(&[label]).inc();
    if let Ending::Accepted { sent_at, .. } = &answer.ending {
        desk.metrics.waited.observe(
            sent_at
                .duration_since(claimed.queued_at)
                .as_secs_f64()
                .max(0.0),
        );
    }
    tracing::info!(
        request_id = claimed.request_id.as_deref(),
        brand.id = %claimed.due.brand,
        conversation.id = %claimed.due.conversation,
        message.id = %claimed.due.message,
        attempt = claimed.attempt_no,
        outcome = label,
        status = answer.http_status,
        "reply attempted"
    );
    record(desk, claimed, answer).await?;
    Ok(Outcome::Attempted(label))
}

pub(crate) fn credentials(stored: &Credentials) -> UserCredentials {
    UserCredentials {
        token: stored.token.clone(),
        secret: stored.secret.clone(),
    }
}

/// Insists while the lease lasts: an outcome that isn't recorded is one in doubt.
async fn record(desk: &Desk, claimed: &Claimed, answer: Answer) -> Result<(), StoreError> {
    let started = Instant::now();
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    loop {
        match outbound::finish(&desk.store, claimed, answer.clone(), desk.limits.terms()).await {
            Ok(in_time) => {
                if !in_time {
                    tracing::debug!(message.id = %claimed.due.message, "a reply was settled by another meanwhile");
                }
                return Ok(());
            }
            Err(error) if error.is_transient() && started.elapsed() < desk.limits.lease => {
                tracing::warn!(%error, message.id = %claimed.due.message, "cannot record what came of a reply; trying again");
                backoff.wait().await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn given_up(claimed: &Claimed) -> Answer {
    let ending = Ending::NotSent {
        not_before: Some(claimed.started_at),
        code: "given_up".to_owned(),
        detail: "the sender was held up before the first byte".to_owned(),
    };
    Answer {
        ending,
        http_status: None,
        budget: None,
        pause: None,
    }
}

/// The platform's verdict in the store's words.
fn answer(report: SendReport, now: Timestamp) -> Answer {
    let (ending, pause) = match report.outcome {
        SendOutcome::Accepted {
            event_id,
            event_no,
            sent_at,
        } => (
            Ending::Accepted {
                platform_event_id: event_id,
                event_no,
                sent_at,
            },
            None,
        ),
        SendOutcome::Unknown { detail } => (Ending::Unknown { detail }, None),
        SendOutcome::Refused(refusal) => refused(refusal, now),
    };
    let budget = report.limits.map(|limits| Budget {
        remaining: limits.remaining,
        allowed: Some(limits.limit),
        reset_at: limits.reset_at,
    });
    Answer {
        ending,
        http_status: report.status,
        budget,
        pause,
    }
}

fn refused(refusal: Refusal, now: Timestamp) -> (Ending, Option<Pause>) {
    let scope = refusal.code.scope();
    let code = refusal.code.as_str().to_owned();
    let detail = match refusal.platform_code {
        Some(number) => format!("{} ({number})", refusal.detail),
        None => refusal.detail,
    };
    let not_before = match refusal.retry {
        Retry::Never => return (Ending::Failed { code, detail }, None),
        Retry::AfterReauth => return (Ending::NeedsReauth { code, detail }, None),
        Retry::Backoff => None,
        Retry::At(at) => Some(at),
        Retry::After(wait) => now.checked_add(wait).ok(),
    };
    let pause = not_before.and_then(|until| match scope {
        Scope::Channel => Some(Pause::Channel(until)),
        Scope::App => Some(Pause::App(until)),
        Scope::Message | Scope::Contact => None,
    });
    (
        Ending::NotSent {
            not_before,
            code,
            detail,
        },
        pause,
    )
}

#[cfg(test)]
mod tests {
    use roost_platforms::x::client::RefusalCode;

    use super::*;

    fn refusal(code: RefusalCode, retry: Retry) -> Refusal {
        Refusal {
            code,
            status: Some(403),
            platform_code: Some(1),
            detail: "no".to_owned(),
            retry,
        }
    }

    #[test]
    fn a_refusal_ends_as_it_says_and_pauses_whom_it_concerns() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let hour = Duration::from_secs(3_600);
        let later = now + hour;
        let cases = [
            (
                RefusalCode::ContactUnreachable,
                Retry::Never,
                "failed",
                None,
            ),
            (
                RefusalCode::ReauthRequired,
                Retry::AfterReauth,
                "reauth_required",
                None,
            ),
            (RefusalCode::NotSent, Retry::Backoff, "not_sent", None),
            (
                RefusalCode::RateLimited,
                Retry::At(later),
                "not_sent",
                Some(Pause::Channel(later)),
            ),
            (
                RefusalCode::UsageCapped,
                Retry::After(hour),
                "not_sent",
                Some(Pause::App(later)),
            ),
        ];
        for (code, retry, wanted, pause) in cases {
            let (ending, paused) = refused(refusal(code, retry), now);
            assert_eq!((ending.as_str(), paused), (wanted, pause), "{code:?}");
        }
    }
}
