//! One reply, whatever state it is in.

use std::time::Duration;

use roost_platforms::x::client::{SendApi, XClient};
use roost_store::outbound::{self, Due, Put, Settled, Work};
use roost_store::seal::Sealer;
use roost_store::{Store, StoreError};

use crate::boot_clock::BootInstant;
use crate::metrics::SenderMetrics;
use crate::{Limits, look_up, send};

/// An attempt whose first byte isn't out after this is given up: its lease may run out under it.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(5);

/// What a step needs.
#[derive(Debug, Clone)]
pub struct Desk {
    /// PostgreSQL.
    pub store: Store,
    /// X.
    pub x: XClient,
    /// Which of X's calls sends.
    pub api: SendApi,
    /// Opens the accounts' tokens.
    pub sealer: Sealer,
    /// How long things may take.
    pub limits: Limits,
    /// [`GIVE_UP_AFTER`].
    pub give_up_after: Duration,
    /// Where it counts.
    pub metrics: SenderMetrics,
}

/// What was done with a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// An attempt was made, with this outcome (see `Ending::as_str`).
    Attempted(&'static str),
    /// It was looked up.
    LookedUp(Settled),
    /// It was put where it belongs without asking the platform.
    Put(Put),
}

/// Works on one due reply.
///
/// Its effect happens at most once: the attempt is committed before the platform is called, under the
/// conversation's lock, and a reply whose attempt nobody finished is in doubt, never queued.
///
/// # Errors
/// When the database fails. Whatever was taken is due again, or in doubt, when its lease has run out.
pub async fn work(desk: &Desk, due: Due) -> Result<Outcome, StoreError> {
    // Read before the attempt's instant is: what has passed on it is never less than the truth.
    let started = BootInstant::now();
    match outbound::take(&desk.store, due, desk.limits.terms(), &desk.sealer).await? {
        Work::Put(put) => {
            if put != Put::Busy {
                desk.metrics.put.with_label_values(&[put.as_str()]).inc();
            }
            Ok(Outcome::Put(put))
        }
        Work::Send(claimed) => send::send(desk, started, &claimed).await,
        Work::LookUp(doubt) => look_up::look_up(desk, &doubt).await,
    }
}
