//! What people do about a reply: send it again, call it off, or say that it arrived.

use roost_domain::event::EventType;
use roost_domain::ids::{ConversationId, MessageId};
use serde_json::json;
use uuid::Uuid;

use super::stray;
use crate::conversation_acts::lock_identity;
use crate::error::StoreError;
use crate::ledger::{Cause, Ledger};
use crate::settle::{self, Accepted};
use crate::tx::BrandTx;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActOutcome {
    /// Done.
    Done,
    /// No such reply.
    Missing,
    /// Its state doesn't allow it: it is on its way, sent, or was never in doubt.
    WrongState,
    /// It may have been sent: only with `confirm`.
    NeedsConfirmation,
}

#[derive(sqlx::FromRow)]
struct Row {
    state: String,
    needs_decision: bool,
}

/// The customer's lock first, then the conversation's, then the message's. Its conversation never changes.
async fn lock(
    tx: &mut BrandTx,
    message: MessageId,
) -> Result<Option<(Ledger, ConversationId, Row)>, StoreError> {
    let brand = tx.brand();
    let conversation: Option<Uuid> = sqlx::query_scalar(
        "select conversation_id from outbound_messages where brand_id = $1 and message_id = $2",
    )
    .bind(brand.0)
    .bind(message.0)
    .fetch_optional(tx.conn())
    .await?;
    let Some(conversation) = conversation.map(ConversationId) else {
        return Ok(None);
    };
    lock_identity(tx.conn(), brand, conversation).await?;
    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
    ledger.lock(tx.conn(), brand, &[conversation]).await?;
    let row: Row = sqlx::query_as(
        "select state, needs_decision from outbound_messages where brand_id = $1 and message_id = $2 for update",
    )
    .bind(brand.0)
    .bind(message.0)
    .fetch_one(tx.conn())
    .await?;
    Ok(Some((ledger, conversation, row)))
}

/// Queues a reply again, behind those that wait already: a failed one, one that waits for its author's
/// word, and, only when `confirm` says that it may arrive twice, one that nobody could confirm.
///
/// Whoever asks has seen the conversation as it is now, so the reply counts as written now.
///
/// # Errors
/// When the database fails.
pub async fn retry(
    tx: &mut BrandTx,
    message: MessageId,
    confirm: bool,
    cause: &Cause,
) -> Result<ActOutcome, StoreError> {
    let brand = tx.brand();
    let Some((mut ledger, conversation, row)) = lock(tx, message).await? else {
        return Ok(ActOutcome::Missing);
    };
    match (row.state.as_str(), row.needs_decision) {
        ("failed", _) | ("queued", true) => {}
        ("unknown", true) if confirm => {}
        ("unknown", true) => return Ok(ActOutcome::NeedsConfirmation),
        _ => return Ok(ActOutcome::WrongState),
    }
    ledger.emit(
        conversation,
        EventType::MessageQueued,
        cause,
        Some(json!({ "message_id": message })),
    );
    let stored_seq = ledger
        .get(conversation)
        .map_or(0, |conversation| conversation.last_seq);
    sqlx::query(
        "with again as (
             update outbound_messages set state = 'queued', needs_decision = false, code = null, detail = null,
                    lease_token = null, lease_until = null, not_before = null, requeues = 0,
                    queued_at = clock_timestamp()
             where brand_id = $1 and message_id = $2
         )
         update messages set stored_seq = $3 where brand_id = $1 and id = $2",
    )
    .bind(brand.0)
    .bind(message.0)
    .bind(stored_seq)
    .execute(tx.conn())
    .await?;
    look_for_failures(tx, &mut ledger, conversation).await?;
    ledger.flush(tx.conn()).await?;
    Ok(ActOutcome::Done)
}

/// Calls a reply off that waits to be sent. It shows as failed, by this code, and can be sent again.
///
/// # Errors
/// When the database fails.
pub async fn cancel(
    tx: &mut BrandTx,
    message: MessageId,
    cause: &Cause,
) -> Result<ActOutcome, StoreError> {
    let brand = tx.brand();
    let Some((mut ledger, conversation, row)) = lock(tx, message).await? else {
        return Ok(ActOutcome::Missing);
    };
    if row.state != "queued" {
        return Ok(ActOutcome::WrongState);
    }
    sqlx::query(
        "update outbound_messages set state = 'failed', needs_decision = false, code = 'cancelled', detail = null,
                not_before = null
         where brand_id = $1 and message_id = $2",
    )
    .bind(brand.0)
    .bind(message.0)
    .execute(tx.conn())
    .await?;
    let data = json!({ "message_id": message, "code": "cancelled" });
    ledger.emit(conversation, EventType::MessageFailed, cause, Some(data));
    look_for_failures(tx, &mut ledger, conversation).await?;
    ledger.flush(tx.conn()).await?;
    Ok(ActOutcome::Done)
}

/// Takes a person's word for it that a reply arrived. It counts from now, until an echo says when; if one
/// came already and stands in the thread as a message of its own, that is the reply.
///
/// # Errors
/// When the database fails.
pub async fn mark_sent(
    tx: &mut BrandTx,
    message: MessageId,
    cause: &Cause,
) -> Result<ActOutcome, StoreError> {
    let brand = tx.brand();
    let Some((mut ledger, _, row)) = lock(tx, message).await? else {
        return Ok(ActOutcome::Missing);
    };
    if row.state != "unknown" {
        return Ok(ActOutcome::WrongState);
    }
    for stray in stray::of_reply(tx, message).await? {
        if stray
            .settle(tx, &mut ledger, message, "member", cause)
            .await?
        {
            ledger.flush(tx.conn()).await?;
            return Ok(ActOutcome::Done);
        }
    }
    let accepted = Accepted {
        platform_event_id: String::new(),
        event_no: 0,
        sent_at: ledger.now,
        settled_by: "member",
    };
    settle::sent(&mut ledger, tx.conn(), brand, message, &accepted, cause).await?;
    ledger.refold(tx.conn(), cause).await?;
    ledger.flush(tx.conn()).await?;
    Ok(ActOutcome::Done)
}

async fn look_for_failures(
    tx: &mut BrandTx,
    ledger: &mut Ledger,
    conversation: ConversationId,
) -> Result<(), StoreError> {
    let brand = tx.brand();
    let left = settle::has_failures(tx.conn(), brand, conversation).await?;
    ledger.set_failed_send(conversation, left);
    Ok(())
}
