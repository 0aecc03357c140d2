//! The clocks of a conversation, as they are shown.

mod parts;

use std::cmp::Reverse;

use jiff::Timestamp;
use roost_domain::ids::ConversationId;

use crate::error::StoreError;
use crate::ledger::{self, StoredClock};
use crate::ts::Ts;
use crate::tx::BrandTx;
pub use parts::Parts;

/// Clocks that are shown at once.
const MOST: usize = 200;

/// A clock as it stands at an instant.
#[derive(Debug, Clone)]
pub struct ShownClock {
    /// As it is stored.
    pub clock: StoredClock,
    /// What is left of the target, as the clock counts; negative once it is late. None once it has ended.
    pub remaining_seconds: Option<i64>,
    /// What of the time that counted was spent where, in seconds.
    pub parts: Parts,
    /// Whether somebody has excused its breach.
    pub is_excused: bool,
}

/// The clocks of a conversation, 200 at the most, newest cycle first, and the database's time. Clocks that turned out to
/// have no cause are among them, `cancelled` as `withdrawn`.
///
/// # Errors
/// When the database fails.
pub async fn list(
    tx: &mut BrandTx,
    conversation: ConversationId,
) -> Result<(Timestamp, Vec<ShownClock>), StoreError> {
    let brand = tx.brand();
    let now: Ts = sqlx::query_scalar("select clock_timestamp()")
        .fetch_one(tx.conn())
        .await?;
    let now = now.get();
    let mut clocks = ledger::shown_clocks(tx.conn(), brand, conversation).await?;
    clocks.sort_by_key(|(clock, _)| Reverse((clock.cycle, clock.started_at, clock.id)));
    clocks.truncate(MOST);
    let answers = clocks.iter().filter_map(|(clock, _)| clock.settled_by);
    let written = parts::written(tx, answers.collect()).await?;
    let holders = parts::holders(tx, conversation).await?;
    let excused = excused(tx, conversation).await?;
    let mut shown: Vec<ShownClock> = Vec::new();
    for (clock, rules) in clocks {
        let end = clock.settled_at.unwrap_or(now);
        let left = clock.target_seconds - clock.used(&rules, now).as_secs();
        let written_at = clock
            .settled_by
            .and_then(|answer| written.get(&answer).copied());
        shown.push(ShownClock {
            remaining_seconds: clock.is_live().then_some(left),
            parts: Parts::of(&clock, &rules, &holders, written_at, end),
            is_excused: clock.breached_at.is_some_and(|at| {
                excused
                    .iter()
                    .any(|(from, until)| (*from..*until).contains(&at))
            }),
            clock,
        });
    }
    Ok((now, shown))
}

/// The periods in which breaches of this conversation are excused.
async fn excused(
    tx: &mut BrandTx,
    conversation: ConversationId,
) -> Result<Vec<(Timestamp, Timestamp)>, StoreError> {
    let brand = tx.brand();
    let rows: Vec<(Ts, Ts)> = sqlx::query_as(
        "select e.starts_at, e.ends_at from sla_excuses e
         join conversations c on c.brand_id = e.brand_id and (e.channel_id is null or e.channel_id = c.channel_id)
         where e.brand_id = $1 and c.id = $2",
    )
    .bind(brand.0)
    .bind(conversation.0)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|(from, until)| (from.get(), until.get()))
        .collect())
}
