//! Timers of all brands: what is due, by the database's time, and doing it.
//!
//! Any number of workers share them: a conversation that another has in hand is passed over, and the
//! lock on it together with the key of `sla_firings` makes each effect happen once.

mod act;
mod reapply;

use std::time::Duration;

use roost_domain::ids::{BrandId, ClockId, ConversationId};
use uuid::Uuid;

use crate::cross;
use crate::error::StoreError;
use crate::tx::Store;
pub use act::{Fired, fire, wake};
pub use reapply::{open_reapplies, reapply};

/// A clock that has something to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueClock {
    /// The brand.
    pub brand: BrandId,
    /// Which clock.
    pub clock: ClockId,
    /// Whose clock.
    pub conversation: ConversationId,
}

/// Clocks that are due, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn due_clocks(store: &Store, most: i32) -> Result<Vec<DueClock>, StoreError> {
    let rows: Vec<(Uuid, Uuid, Uuid)> = store
        .system(move |tx| {
            Box::pin(async move {
                Ok::<_, StoreError>(
                    sqlx::query_as(
                        "select brand_id, clock_id, conversation_id from cross_due_clocks($1)",
                    )
                    .bind(most)
                    .fetch_all(tx.conn())
                    .await?,
                )
            })
        })
        .await?;
    Ok(rows
        .into_iter()
        .map(|(brand, clock, conversation)| DueClock {
            brand: BrandId(brand),
            clock: ClockId(clock),
            conversation: ConversationId(conversation),
        })
        .collect())
}

/// Snoozes that have run out, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn due_snoozes(
    store: &Store,
    most: i32,
) -> Result<Vec<(BrandId, ConversationId)>, StoreError> {
    cross::pairs(
        store,
        "select brand_id, conversation_id from cross_due_snoozes($1)",
        most,
    )
    .await
}

/// How long until the next timer falls due, by the database's time: zero if one is. None if there is
/// no timer.
///
/// # Errors
/// When the database fails.
pub async fn next_timer(store: &Store) -> Result<Option<Duration>, StoreError> {
    let seconds: Option<f64> = store
        .system(|tx| {
            Box::pin(async move {
                Ok::<_, StoreError>(
                    sqlx::query_scalar("select cross_next_timer()")
                        .fetch_one(tx.conn())
                        .await?,
                )
            })
        })
        .await?;
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
}
