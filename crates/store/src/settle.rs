//! Settling a reply: the platform has it.
//!
//! The send call's answer and the platform's echo race each other, so the sender and the inbox both
//! come through here. The conversation is locked by the ledger and the row by this statement: who
//! comes second finds it settled and changes nothing.

use jiff::Timestamp;
use roost_domain::conversation::{Fact, FactKind, Order, Reply, Status, Then, clamp_for_clocks};
use roost_domain::event::EventType;
use roost_domain::ids::{BrandId, ConversationId, MessageId};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::conversation_acts::other_unresolved;
use crate::error::StoreError;
use crate::ledger::{Cause, Ledger};
use crate::ts::Ts;

/// What the platform said of a message that it took.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The platform's id of the message; empty where a member says that it arrived.
    pub platform_event_id: String,
    /// The same as a number.
    pub event_no: i64,
    /// The platform's time of the message.
    pub sent_at: Timestamp,
    /// `answer`, `echo`, `lookup` or `member`.
    pub settled_by: &'static str,
}

/// Marks a reply as sent and lets it act on its conversation, which the ledger must hold; false if
/// it was settled before.
///
/// Once, because only a message that is not yet `sent` is taken, or one that a member marked as sent
/// and whose platform id and time are told now.
///
/// # Errors
/// When the database fails, or another message has that platform id.
pub async fn sent(
    ledger: &mut Ledger,
    connection: &mut PgConnection,
    brand: BrandId,
    message: MessageId,
    accepted: &Accepted,
    cause: &Cause,
) -> Result<bool, StoreError> {
    #[derive(sqlx::FromRow)]
    struct Row {
        conversation_id: Uuid,
        kind: String,
        author_type: String,
        stored_seq: i64,
        client_ref: Option<String>,
        then_status: Option<String>,
        then_until: Option<Ts>,
        was_marked: bool,
    }
    let row: Option<Row> = sqlx::query_as(
        "with settled as (
             update outbound_messages o
             set state = 'sent', needs_decision = false, settled_by = $3, settled_at = $7, code = null, detail = null,
                 lease_token = null, lease_until = null, not_before = null
             from messages w
             where o.brand_id = $1 and o.message_id = $2 and w.brand_id = o.brand_id and w.id = o.message_id
               and (o.state <> 'sent' or o.settled_by = 'member' and w.platform_event_id is null and $6 <> '')
             returning o.brand_id, o.message_id, o.then_status, o.then_until, w.sent_at is not null as was_marked
         )
         update messages m set sent_at = $4, order_at = $4, order_no = $5, platform_event_id = nullif($6, '')
         from settled s where m.brand_id = s.brand_id and m.id = s.message_id
         returning m.conversation_id, m.kind, m.author_type, m.stored_seq, m.client_ref,
                   s.then_status, s.then_until, s.was_marked",
    )
    .bind(brand.0)
    .bind(message.0)
    .bind(accepted.settled_by)
    .bind(Ts::from(accepted.sent_at))
    .bind(accepted.event_no)
    .bind(&accepted.platform_event_id)
    .bind(Ts::from(ledger.now))
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(false) };
    let conversation = ConversationId(row.conversation_id);
    let cause = Cause {
        client_ref: row.client_ref,
        ..cause.clone()
    };
    let kind = if row.was_marked {
        EventType::MessageUpdated
    } else {
        EventType::MessageSent
    };
    ledger.emit(
        conversation,
        kind,
        &cause,
        Some(json!({ "message_id": message })),
    );
    let wanted = crate::ledger::then(row.then_status.as_deref(), row.then_until.map(Ts::get));
    let then = match wanted {
        Some(then) if would_reopen(ledger, conversation, then) => {
            let other = other_unresolved(connection, brand, conversation).await?;
            if other.is_some() {
                forget_wish(connection, brand, message).await?;
            }
            wanted.filter(|_| other.is_none())
        }
        Some(_) | None => wanted,
    };
    ledger.record(
        conversation,
        Fact {
            order: Order {
                at: accepted.sent_at,
                no: accepted.event_no,
                id: message.0,
            },
            clock_at: clamp_for_clocks(accepted.sent_at, ledger.now),
            stored_seq: row.stored_seq,
            kind: FactKind::Reply(Reply {
                message,
                human: row.kind == "reply" && row.author_type == "member",
                in_roost: row.author_type == "member",
                then,
            }),
        },
        &cause,
    );
    let still_failed = has_failures(connection, brand, conversation).await?;
    ledger.set_failed_send(conversation, still_failed);
    Ok(true)
}

/// Whether what an author asked for opens a conversation that is over by now.
fn would_reopen(ledger: &Ledger, conversation: ConversationId, then: Then) -> bool {
    let is_over = ledger
        .get(conversation)
        .is_some_and(|held| held.state.status == Status::Resolved);
    is_over && then != Then::Resolved
}

/// The customer has another unresolved conversation by now: the reply has gone out, and what its author
/// asked for besides is dropped.
async fn forget_wish(
    connection: &mut PgConnection,
    brand: BrandId,
    message: MessageId,
) -> Result<(), StoreError> {
    sqlx::query(
        "update outbound_messages set then_status = null, then_until = null
         where brand_id = $1 and message_id = $2",
    )
    .bind(brand.0)
    .bind(message.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether a reply of this conversation waits for a person: failed, unconfirmed or held. One that was
/// called off waits for nobody.
///
/// # Errors
/// When the database fails.
pub async fn has_failures(
    connection: &mut PgConnection,
    brand: BrandId,
    conversation: ConversationId,
) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar(
        "select exists (select from outbound_messages where brand_id = $1 and conversation_id = $2
             and (state = 'failed' and code is distinct from 'cancelled' or needs_decision))",
    )
    .bind(brand.0)
    .bind(conversation.0)
    .fetch_one(connection)
    .await?)
}
