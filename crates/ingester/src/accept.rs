//! From the events of a POST to something durable.

use crate::role::State;
use jiff::{Timestamp, Unit};
use roost_bus::envelope::{Ingress, VERSION};
use roost_bus::{Headers, Lane, Outgoing, Route};
use roost_domain::bucket::bucket_of;
use roost_platforms::x::split::{RawEvent, kind};
use roost_service::RequestId;
use roost_store::spool::SpoolRow;
use roost_store::{Store, spool};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use uuid::Uuid;

const PLATFORM: &str = "x";
/// Two seconds for the confirm and one for this leave X's ten well alone.
const SPOOL_LIMIT: Duration = Duration::from_secs(1);

/// An event that is ready to be published.
pub(crate) struct Prepared {
    partition: u16,
    lane: Lane,
    droppable: bool,
    /// Beside the body, so that accounts can take turns without a look into it.
    account: String,
    body: Vec<u8>,
}

/// Where a POST's events ended up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    /// All in the broker.
    Published,
    /// Some in the spool.
    Spooled,
}

/// Neither the broker nor the spool took all events.
#[derive(Debug, thiserror::Error)]
#[error("cannot make events durable: neither broker nor spool took them")]
pub(crate) struct NotDurable;

/// Wraps events into ingress envelopes and gives each its queue.
///
/// # Errors
/// When an envelope can't be written as JSON, which its types rule out.
pub(crate) fn prepare(
    state: &State,
    app: &str,
    request_id: &RequestId,
    events: Vec<RawEvent>,
) -> serde_json::Result<Vec<Prepared>> {
    let received_at = now_in_milliseconds();
    let lanes = lanes_of(state, app, &events);
    let mut prepared = Vec::with_capacity(events.len());
    for event in events {
        let account_id = event.account_id.unwrap_or_default();
        let lane = lanes.get(&account_id).copied().unwrap_or(Lane::Main);
        state.metrics.event(&event.kind);
        state.metrics.lane(lane);
        if let Some(fault) = event.fault {
            state.metrics.malformed(fault.as_str());
        }
        let counterpart_id = event.counterpart_id.unwrap_or_default();
        // The two accounts of a message are known even where X leaves out whose
        // webhook it is.
        let bucket = match &event.parties {
            Some(parties) => bucket_of(PLATFORM, app, &parties.sender_id, &parties.recipient_id),
            None => bucket_of(PLATFORM, app, &account_id, &counterpart_id),
        };
        let droppable = event.kind == kind::TYPING;
        let account = format!("{PLATFORM}/{app}/{account_id}");
        let envelope = Ingress {
            v: VERSION,
            platform: PLATFORM.to_owned(),
            app: app.to_owned(),
            account_id,
            counterpart_id,
            bucket,
            kind: event.kind,
            event_id: event.event_id,
            request_id: request_id.as_str().to_owned(),
            received_at: received_at.clone(),
            body: event.body,
            users: event.users,
            apps: event.apps,
        };
        prepared.push(Prepared {
            partition: state.bus.topology().partition_of(bucket),
            lane,
            droppable,
            account,
            body: serde_json::to_vec(&envelope)?,
        });
    }
    Ok(prepared)
}

/// Publishes with confirms; what the broker doesn't confirm goes to the spool.
/// A confirm that didn't come in time may still have been stored: the spooled
/// copy has the same event id, and inbox absorbs it.
///
/// # Errors
/// [`NotDurable`] when the spool is needed and not available.
pub(crate) async fn make_durable(
    state: &State,
    request_id: &RequestId,
    events: Vec<Prepared>,
) -> Result<Durable, NotDurable> {
    let started = Instant::now();
    let messages = events
        .iter()
        .map(|event| event.outgoing(request_id))
        .collect();
    let outcomes = state.bus.publish_all(messages).await;
    state
        .metrics
        .confirm
        .observe(started.elapsed().as_secs_f64());
    let failed: Vec<_> = events
        .into_iter()
        .zip(outcomes)
        .filter_map(|(event, outcome)| outcome.is_err().then_some(event))
        .collect();
    let (droppable, kept): (Vec<_>, Vec<_>) = failed.into_iter().partition(|e| e.droppable);
    for _ in droppable {
        state.metrics.dropped_typing.inc();
    }
    if kept.is_empty() {
        return Ok(Durable::Published);
    }
    let rows: Vec<_> = kept
        .into_iter()
        .map(|event| event.row(request_id))
        .collect();
    store_away(state, rows).await?;
    Ok(Durable::Spooled)
}

async fn store_away(state: &State, rows: Vec<SpoolRow>) -> Result<(), NotDurable> {
    let store = state.store.as_ref().ok_or(NotDurable)?;
    match tokio::time::timeout(SPOOL_LIMIT, append(store, &rows)).await {
        Ok(Ok(())) => {
            state.note_spool(true);
            let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
            state.metrics.spooled.inc_by(count);
            Ok(())
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "cannot spool events");
            state.note_spool(false);
            Err(NotDurable)
        }
        Err(_) => {
            tracing::warn!("cannot spool events in time");
            state.note_spool(false);
            Err(NotDurable)
        }
    }
}

/// The store runs its transaction in a task of its own, so that giving up
/// waiting cancels nothing half-way; rows that are stored late are duplicates
/// of X's retry.
async fn append(store: &Store, rows: &[SpoolRow]) -> Result<(), roost_store::StoreError> {
    spool::append(store, rows).await
}

impl Prepared {
    fn outgoing(&self, request_id: &RequestId) -> Outgoing {
        Outgoing {
            route: Route::Ingress {
                partition: self.partition,
                lane: self.lane,
            },
            body: self.body.clone(),
            headers: Headers::new()
                .with("request_id", request_id.as_str())
                .with("account", self.account.as_str()),
        }
    }

    fn row(self, request_id: &RequestId) -> SpoolRow {
        SpoolRow {
            id: Uuid::now_v7(),
            partition: i16::try_from(self.partition).unwrap_or(0),
            lane: self.lane.as_str().to_owned(),
            body: self.body,
            request_id: request_id.as_str().to_owned(),
        }
    }
}

/// The events that one account has in a POST take one lane.
fn lanes_of(state: &State, app: &str, events: &[RawEvent]) -> HashMap<String, Lane> {
    let mut counts: HashMap<&str, u32> = HashMap::new();
    for event in events {
        *counts
            .entry(event.account_id.as_deref().unwrap_or(""))
            .or_default() += 1;
    }
    let now = Instant::now();
    counts
        .into_iter()
        .map(|(account, count)| {
            let lane = state.lanes.choose(app, account, count, now);
            (account.to_owned(), lane)
        })
        .collect()
}

fn now_in_milliseconds() -> String {
    let now = Timestamp::now();
    let whole = now.round(Unit::Millisecond).unwrap_or(now);
    format!("{whole:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_carry_exactly_three_decimals() {
        let text = now_in_milliseconds();
        assert_eq!(text.len(), "2026-01-02T03:04:05.678Z".len(), "{text}");
        assert!(text.ends_with('Z'));
    }
}
