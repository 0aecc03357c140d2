//! Moving the spool into the broker's bulk lane.
//!
//! Any number of processes may do it side by side: rows are leased. A row that
//! is published and not removed is published again, and inbox absorbs it.

use crate::role::State;
use roost_bus::{Headers, Lane, Outgoing, Route};
use roost_service::Shutdown;
use roost_store::spool::{self, SpoolRow};
use roost_store::{Store, StoreError};
use serde::Deserialize;
use std::time::{Duration, Instant};
use uuid::Uuid;

const BATCH: i64 = 200;
const LOOK_EVERY: Duration = Duration::from_secs(1);
const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done(usize),
    /// The broker didn't take all of them; their lease runs out in 30 s.
    Refused,
    Idle,
}

/// Runs until shutdown.
pub(crate) async fn drain(state: &State, shutdown: &Shutdown) {
    let Some(store) = &state.store else { return };
    let mut measured: Option<Instant> = None;
    while !shutdown.is_triggered() {
        if measured.is_none_or(|at| at.elapsed() >= MEASURE_EVERY) {
            measured = Some(Instant::now());
            measure(state, store).await;
        }
        let outcome = if state.bus.is_up() {
            step(state, store).await.unwrap_or_else(|error| {
                tracing::debug!(%error, "cannot drain the spool");
                Outcome::Idle
            })
        } else {
            Outcome::Idle
        };
        match outcome {
            Outcome::Done(count) => tracing::info!(count, "moved spooled events to the broker"),
            Outcome::Refused | Outcome::Idle => {
                shutdown.sleep(LOOK_EVERY).await;
            }
        }
    }
}

/// Also how the role learns whether the spool is there.
async fn measure(state: &State, store: &Store) {
    match spool::depth(store).await {
        Ok(depth) => {
            state.metrics.spool_depth.set(depth);
            state.note_spool(true);
        }
        Err(_) => state.note_spool(false),
    }
}

async fn step(state: &State, store: &Store) -> Result<Outcome, StoreError> {
    let rows = spool::claim(store, BATCH).await?;
    if rows.is_empty() {
        return Ok(Outcome::Idle);
    }
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let messages = rows.into_iter().map(|row| outgoing(state, row)).collect();
    let outcomes = state.bus.publish_all(messages).await;
    let done: Vec<Uuid> = ids
        .iter()
        .zip(&outcomes)
        .filter_map(|(id, outcome)| outcome.is_ok().then_some(*id))
        .collect();
    spool::done(store, &done).await?;
    let count = u64::try_from(done.len()).unwrap_or(u64::MAX);
    state.metrics.drained.inc_by(count);
    if done.len() < ids.len() {
        return Ok(Outcome::Refused);
    }
    Ok(Outcome::Done(done.len()))
}

fn outgoing(state: &State, row: SpoolRow) -> Outgoing {
    let place = Place::of(&row.body);
    let headers = Headers::new().with("request_id", row.request_id);
    // By the bucket, because the number of partitions may have changed since.
    let topology = state.bus.topology();
    let partition = match &place {
        Some(place) => topology.partition_of(place.bucket),
        None => u16::try_from(row.partition).unwrap_or(0) % topology.partitions(),
    };
    Outgoing {
        route: Route::Ingress {
            partition,
            // Behind live traffic: order is restored by inbox.
            lane: Lane::Bulk,
        },
        headers: match place {
            Some(place) => headers.with("account", place.account()),
            None => headers,
        },
        body: row.body,
    }
}

/// What of an envelope decides where it goes.
#[derive(Deserialize)]
struct Place {
    bucket: u8,
    platform: String,
    app: String,
    #[serde(default)]
    account_id: String,
}

impl Place {
    fn of(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// Whose turn it takes.
    fn account(&self) -> String {
        format!("{}/{}/{}", self.platform, self.app, self.account_id)
    }
}
