//! Taking back: a resolve or snooze, and the wait that a thank-you began.

use jiff::{SignedDuration, Timestamp};
use roost_domain::conversation::Status;
use roost_domain::ids::{BrandId, ConversationId, MemberId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{lock_identity, other_unresolved};
use crate::error::StoreError;
use crate::ledger::{ActKind, Cause, Ledger};
use crate::ts::Ts;
use crate::tx::BrandTx;

/// How long a resolve or snooze can be undone.
const UNDO_WITHIN: SignedDuration = SignedDuration::from_secs(60);

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    /// Done.
    Done,
    /// No such conversation.
    Missing,
    /// The last change of status is no resolve or snooze by hand; or nobody waits.
    Nothing,
    /// It was too long ago, or the customer has written since.
    TooLate,
    /// The customer has another unresolved conversation by now.
    Exists(ConversationId),
}

#[derive(sqlx::FromRow)]
struct LastAct {
    id: Uuid,
    act: String,
    created_at: Ts,
    stored_seq: i64,
}

/// Undoes the last resolve or snooze as if it had not been: status, cycle and clocks are folded anew
/// without it.
///
/// Once: an act that was undone is no last act any more.
///
/// # Errors
/// When the database fails.
pub async fn undo(
    tx: &mut BrandTx,
    id: ConversationId,
    cause: &Cause,
) -> Result<Undone, StoreError> {
    let brand = tx.brand();
    lock_identity(tx.conn(), brand, id).await?;
    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
    ledger.lock(tx.conn(), brand, &[id]).await?;
    let Some(before) = ledger.get(id) else {
        return Ok(Undone::Missing);
    };
    let state = before.state;
    let Some(act) = last_act(tx.conn(), brand, id).await? else {
        return Ok(Undone::Nothing);
    };
    let stands = match act.act.as_str() {
        "resolve" => state.status == Status::Resolved,
        "snooze" => state.status == Status::Snoozed,
        _ => false,
    };
    if !stands {
        return Ok(Undone::Nothing);
    }
    let made_at: Timestamp = act.created_at.get();
    let is_old = ledger.now.duration_since(made_at) > UNDO_WITHIN;
    if is_old || state.last_inbound_seq > act.stored_seq {
        return Ok(Undone::TooLate);
    }
    if let Some(other) = other_unresolved(tx.conn(), brand, id).await? {
        return Ok(Undone::Exists(other));
    }
    sqlx::query(
        "update conversation_acts set undone_at = now()
         where brand_id = $1 and conversation_id = $2 and id = $3",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(act.id)
    .execute(tx.conn())
    .await?;
    ledger.unfold(id);
    ledger.refold(tx.conn(), cause).await?;
    ledger.flush(tx.conn()).await?;
    Ok(Undone::Done)
}

async fn last_act(
    connection: &mut PgConnection,
    brand: BrandId,
    id: ConversationId,
) -> Result<Option<LastAct>, StoreError> {
    Ok(sqlx::query_as(
        "select id, act, created_at, stored_seq from conversation_acts
         where brand_id = $1 and conversation_id = $2 and undone_at is null
         order by order_at desc, id desc limit 1",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_optional(connection)
    .await?)
}

/// Says that what the customer wrote last asks for no reply: the conversation goes back to what it was
/// before, and the clocks of that wait are cancelled.
///
/// # Errors
/// When the database fails.
pub async fn no_reply_needed(
    tx: &mut BrandTx,
    id: ConversationId,
    member: MemberId,
    cause: &Cause,
) -> Result<Undone, StoreError> {
    let brand = tx.brand();
    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
    ledger.lock(tx.conn(), brand, &[id]).await?;
    let Some(before) = ledger.get(id) else {
        return Ok(Undone::Missing);
    };
    if before.state.waiting_since.is_none() {
        return Ok(Undone::Nothing);
    }
    ledger.act(id, ActKind::NoReply, Some(member), cause);
    ledger.refold(tx.conn(), cause).await?;
    ledger.flush(tx.conn()).await?;
    Ok(Undone::Done)
}
