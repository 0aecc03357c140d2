//! Blocking: a contact's conversations end, and what they write is kept and does nothing.

use std::collections::BTreeMap;

use roost_domain::event::EventType;
use roost_domain::ids::{BrandId, ChannelId, ContactId, ConversationId, MemberId};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;
use crate::events::append_subject_event;
use crate::ledger::{ActKind, Cause, Ledger, NewMessage};
use crate::ts::Ts;
use crate::tx::BrandTx;

/// What came of blocking or unblocking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockOutcome {
    /// Done; so many conversations were resolved.
    Done {
        /// How many.
        resolved: usize,
    },
    /// It was so already.
    Unchanged,
    /// No such contact.
    Missing,
    /// It is part of another contact: block that one.
    Merged,
    /// Nobody is left to block.
    Erased,
}

/// Locks a contact's accounts, then the contact: the inbox, which holds accounts, comes before or after
/// all of what follows. Answers the accounts, or why the contact can't be changed.
async fn hold(
    tx: &mut BrandTx,
    id: ContactId,
    is_blocked: bool,
) -> Result<Result<Vec<Uuid>, BlockOutcome>, StoreError> {
    let brand = tx.brand();
    let identities: Vec<Uuid> = sqlx::query_scalar(
        "select id from identities where brand_id = $1 and contact_id = $2 order by id for update",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_all(tx.conn())
    .await?;
    let state: Option<(bool, bool, bool)> = sqlx::query_as(
        "select merged_into is not null, erased_at is not null, blocked_at is not null from contacts
         where brand_id = $1 and id = $2 for no key update",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_optional(tx.conn())
    .await?;
    Ok(match state {
        None => Err(BlockOutcome::Missing),
        Some((true, _, _)) => Err(BlockOutcome::Merged),
        Some((_, true, _)) => Err(BlockOutcome::Erased),
        Some((_, _, now)) if now == is_blocked => Err(BlockOutcome::Unchanged),
        Some(_) => Ok(identities),
    })
}

/// Blocks a contact: resolves their conversations and cancels their clocks as `blocked`.
///
/// # Errors
/// When the database fails.
pub async fn block(
    tx: &mut BrandTx,
    id: ContactId,
    member: MemberId,
    cause: &Cause,
) -> Result<BlockOutcome, StoreError> {
    let brand = tx.brand();
    let identities = match hold(tx, id, true).await? {
        Ok(identities) => identities,
        Err(outcome) => return Ok(outcome),
    };
    sqlx::query("update identities set is_blocked = true where brand_id = $1 and id = any ($2)")
        .bind(brand.0)
        .bind(&identities)
        .execute(tx.conn())
        .await?;
    let version: i64 = sqlx::query_scalar(
        "update contacts set blocked_at = now(), version = version + 1, updated_at = now()
         where brand_id = $1 and id = $2 returning version",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_one(tx.conn())
    .await?;
    let resolved = close_all(tx, &identities, ActKind::Block, member, cause).await?;
    let data = json!({ "contact_id": id, "version": version, "resolved": resolved });
    append_subject_event(tx, EventType::ContactBlocked, id.0, cause, data).await?;
    Ok(BlockOutcome::Done {
        resolved: resolved.len(),
    })
}

/// Unblocks a contact: their next message opens a new conversation.
///
/// # Errors
/// When the database fails.
pub async fn unblock(
    tx: &mut BrandTx,
    id: ContactId,
    cause: &Cause,
) -> Result<BlockOutcome, StoreError> {
    let brand = tx.brand();
    let identities = match hold(tx, id, false).await? {
        Ok(identities) => identities,
        Err(outcome) => return Ok(outcome),
    };
    sqlx::query(
        "update identities set is_blocked = false, unblocked_at = clock_timestamp()
         where brand_id = $1 and id = any ($2)",
    )
    .bind(brand.0)
    .bind(&identities)
    .execute(tx.conn())
    .await?;
    let version: i64 = sqlx::query_scalar(
        "update contacts set blocked_at = null, version = version + 1, updated_at = now()
         where brand_id = $1 and id = $2 returning version",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_one(tx.conn())
    .await?;
    let data = json!({ "contact_id": id, "version": version });
    append_subject_event(tx, EventType::ContactUnblocked, id.0, cause, data).await?;
    Ok(BlockOutcome::Done { resolved: 0 })
}

/// Closes every conversation of these accounts, and their clocks with them.
pub(crate) async fn close_all(
    tx: &mut BrandTx,
    identities: &[Uuid],
    act: ActKind,
    member: MemberId,
    cause: &Cause,
) -> Result<Vec<ConversationId>, StoreError> {
    let brand = tx.brand();
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select id from conversations where brand_id = $1 and identity_id = any ($2) and status <> 'resolved'
         order by id",
    )
    .bind(brand.0)
    .bind(identities)
    .fetch_all(tx.conn())
    .await?;
    let ids: Vec<ConversationId> = ids.into_iter().map(ConversationId).collect();
    if ids.is_empty() {
        return Ok(ids);
    }
    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
    ledger.lock(tx.conn(), brand, &ids).await?;
    for id in &ids {
        ledger.act(*id, act, Some(member), cause);
    }
    ledger.refold(tx.conn(), cause).await?;
    ledger.flush(tx.conn()).await?;
    Ok(ids)
}

/// A message of a blocked contact, in the conversation that they had last.
#[derive(Debug, Clone)]
pub struct BlockedMessage {
    /// The brand.
    pub brand: BrandId,
    /// Over which account.
    pub channel: ChannelId,
    /// Who wrote.
    pub contact: ContactId,
    /// Where it is kept; none: the contact has none, and it is only counted.
    pub conversation: Option<ConversationId>,
    /// What was written.
    pub message: NewMessage,
}

/// Keeps and counts messages of blocked contacts. Their conversations don't change: neither status nor
/// version, preview or order in lists. The conversations must be stored already.
///
/// # Errors
/// When the database fails.
pub async fn keep_blocked(
    connection: &mut PgConnection,
    messages: Vec<BlockedMessage>,
) -> Result<(), StoreError> {
    let mut counts: BTreeMap<(BrandId, ContactId), i64> = BTreeMap::new();
    for one in messages {
        *counts.entry((one.brand, one.contact)).or_default() += 1;
        let Some(conversation) = one.conversation else {
            continue;
        };
        let message = one.message;
        sqlx::query(
            "insert into messages (brand_id, id, conversation_id, channel_id, kind, author_type, author_id, text,
                                   entities, quick_reply_answer, initiated_via, order_at, order_no, stored_seq,
                                   is_history, is_blocked, is_unreadable, sent_at, platform_event_id)
             select $1, $2, $3, $4, 'inbound', 'contact', $5, $6, $7, $8, $9, $10, $11, c.last_seq, true, true, $12,
                    $13, $14
             from conversations c where c.brand_id = $1 and c.id = $3",
        )
        .bind(one.brand.0)
        .bind(message.id.0)
        .bind(conversation.0)
        .bind(one.channel.0)
        .bind(one.contact.0)
        .bind(&message.text)
        .bind(&message.entities)
        .bind(&message.quick_reply_answer)
        .bind(&message.initiated_via)
        .bind(Ts::from(message.order_at))
        .bind(message.order_no)
        .bind(message.is_unreadable)
        .bind(message.sent_at.map(Ts::from))
        .bind(&message.platform_event_id)
        .execute(&mut *connection)
        .await?;
        for (ordinal, file) in message.attachments.iter().enumerate() {
            sqlx::query(
                "insert into attachments (brand_id, id, message_id, ordinal, type, content_type, source_url, width,
                                          height, data)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            )
            .bind(one.brand.0)
            .bind(Uuid::now_v7())
            .bind(message.id.0)
            .bind(i16::try_from(ordinal).unwrap_or(i16::MAX))
            .bind(&file.kind)
            .bind(&file.content_type)
            .bind(&file.source_url)
            .bind(file.width)
            .bind(file.height)
            .bind(&file.data)
            .execute(&mut *connection)
            .await?;
        }
    }
    for ((brand, contact), count) in counts {
        sqlx::query("update contacts set blocked_count = blocked_count + $3 where brand_id = $1 and id = $2")
            .bind(brand.0)
            .bind(contact.0)
            .bind(count)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
