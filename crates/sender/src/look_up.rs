//! Asking the platform about a reply in doubt.

use jiff::Timestamp;
use roost_platforms::x::client::{ApiError, RecentDms, Retry};
use roost_platforms::x::fingerprint::fingerprint;
use roost_store::StoreError;
use roost_store::outbound::{self, Doubt, Settled, Sighting};

use crate::platform::Line;
use crate::step::{Desk, Outcome};

pub(crate) async fn look_up(desk: &Desk, doubt: &Doubt) -> Result<Outcome, StoreError> {
    let line = Line::of(desk, doubt.due.brand, &doubt.platform, &doubt.app).await;
    let settled = match line.recent(doubt).await {
        Ok(recent) => {
            let complete_since = recent.complete_since;
            outbound::settle_doubt(&desk.store, doubt, sightings(doubt, recent), complete_since)
                .await?
        }
        Err(error) => {
            tracing::warn!(
                request_id = doubt.request_id.as_deref(),
                message.id = %doubt.due.message,
                %error,
                "cannot look up an unconfirmed reply"
            );
            outbound::postpone_doubt(&desk.store, doubt, not_before(&error)).await?;
            Settled::Open
        }
    };
    desk.metrics
        .looked_up
        .with_label_values(&[settled.as_str()])
        .inc();
    Ok(Outcome::LookedUp(settled))
}

fn sightings(doubt: &Doubt, recent: RecentDms) -> Vec<Sighting> {
    let own = recent
        .messages
        .into_iter()
        .filter(|message| message.sender_id == doubt.account_id);
    own.map(|message| Sighting {
        fingerprint: fingerprint(&message.text),
        platform_event_id: message.event_id,
        event_no: message.event_no,
        sent_at: message.created_at,
    })
    .collect()
}

fn not_before(error: &ApiError) -> Option<Timestamp> {
    match error {
        ApiError::Refused(refusal) => match refusal.retry {
            Retry::At(at) => Some(at),
            Retry::Never | Retry::Backoff | Retry::After(_) | Retry::AfterReauth => None,
        },
        ApiError::Unreachable(_) | ApiError::Unavailable(_) | ApiError::Unexpected(_) => None,
    }
}
