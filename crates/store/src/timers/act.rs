//! Firing clocks and ending snoozes of one brand.

use std::collections::HashSet;

use jiff::SignedDuration;
use roost_domain::conversation::Status;
use roost_domain::ids::{ClockId, ConversationId};
use roost_domain::sla::Firing;
use uuid::Uuid;

use super::DueClock;
use crate::error::StoreError;
use crate::ledger::{ActKind, Cause, Ledger};
use crate::ts::Ts;
use crate::tx::BrandTx;

/// What firing a brand's clocks did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fired {
    /// Each thing that was told, and how long after its due instant.
    pub told: Vec<(Firing, SignedDuration)>,
    /// Clocks whose conversation somebody else had in hand; they are due still.
    pub skipped: usize,
    /// Clocks that were due without being their conversation's running one: put to rest.
    pub orphans: Vec<ClockId>,
}

/// Fires clocks of the transaction's brand, in the order given.
///
/// Once, because the conversation is locked before its clock is read and `sla_firings` holds a row
/// for each thing told.
///
/// # Errors
/// When the database fails.
pub async fn fire(tx: &mut BrandTx, due: &[DueClock]) -> Result<Fired, StoreError> {
    let brand = tx.brand();
    let conversations: Vec<ConversationId> = due.iter().map(|clock| clock.conversation).collect();
    let (mut ledger, held) = take(tx, &conversations).await?;
    ledger.learn_teams(tx.conn(), &[brand]).await?;
    let mut fired = Fired::default();
    let mut looked_at = Vec::new();
    for clock in due {
        if !held.contains(&clock.conversation) {
            fired.skipped += 1;
            continue;
        }
        looked_at.push(clock.clock.0);
        for told in ledger.fire_due(clock.conversation) {
            let lag = ledger.now.duration_since(told.due_at);
            fired.told.push((told.firing, lag));
        }
    }
    let now = Ts::from(ledger.now);
    ledger.flush(tx.conn()).await?;
    // Whatever is still due now would be found again and again, and keep others from their turn.
    let orphans: Vec<Uuid> = sqlx::query_scalar(
        "update sla_clocks set next_fire_at = null
         where brand_id = $1 and id = any ($2) and next_fire_at <= $3 returning id",
    )
    .bind(brand.0)
    .bind(looked_at)
    .bind(now)
    .fetch_all(tx.conn())
    .await?;
    fired.orphans = orphans.into_iter().map(ClockId).collect();
    Ok(fired)
}

/// Ends snoozes of the transaction's brand that have run out; answers how many.
///
/// Once, because the conversation is locked before its state is read.
///
/// # Errors
/// When the database fails.
pub async fn wake(tx: &mut BrandTx, due: &[ConversationId]) -> Result<usize, StoreError> {
    let (mut ledger, held) = take(tx, due).await?;
    let cause = Cause::system();
    let is_snoozed = |ledger: &Ledger, id: ConversationId| {
        ledger
            .get(id)
            .is_some_and(|conversation| conversation.state.status == Status::Snoozed)
    };
    let mut over = Vec::new();
    for id in due.iter().copied().filter(|id| held.contains(id)) {
        let ends = ledger
            .get(id)
            .and_then(|conversation| conversation.state.snoozed_until);
        if is_snoozed(&ledger, id) && ends.is_some_and(|until| until <= ledger.now) {
            ledger.act(id, ActKind::Wake, None, &cause);
            over.push(id);
        }
    }
    ledger.refold(tx.conn(), &cause).await?;
    let woken = over.iter().filter(|id| !is_snoozed(&ledger, **id)).count();
    ledger.flush(tx.conn()).await?;
    Ok(woken)
}

/// Locks those conversations that nobody else has in hand.
pub(super) async fn take(
    tx: &mut BrandTx,
    wanted: &[ConversationId],
) -> Result<(Ledger, HashSet<ConversationId>), StoreError> {
    let brand = tx.brand();
    let ids: Vec<Uuid> = wanted.iter().map(|id| id.0).collect();
    let free: Vec<Uuid> = sqlx::query_scalar(
        "select id from conversations where brand_id = $1 and id = any ($2) order by id for update skip locked",
    )
    .bind(brand.0)
    .bind(ids)
    .fetch_all(tx.conn())
    .await?;
    let free: Vec<ConversationId> = free.into_iter().map(ConversationId).collect();
    // Begun under the locks: its time is later than whatever was written before them.
    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
    ledger.lock(tx.conn(), brand, &free).await?;
    Ok((ledger, free.into_iter().collect()))
}
