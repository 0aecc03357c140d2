//! Writing a reply or a note.

use jiff::Timestamp;
use roost_domain::conversation::Status;
use roost_domain::event::EventType;
use roost_domain::ids::{ConversationId, MemberId, MessageId};
use serde_json::json;
use uuid::Uuid;

use crate::assignments;
use crate::conversation_acts::{lock_identity, other_unresolved};
use crate::error::StoreError;
use crate::ledger::{Cause, Ledger, NewMessage, NewOutbound};
use crate::tx::BrandTx;

/// A message as its author wrote it.
#[derive(Debug, Clone)]
pub struct NewPost {
    /// Where.
    pub conversation: ConversationId,
    /// Who.
    pub author: MemberId,
    /// To the customer or to colleagues.
    pub kind: PostKind,
    /// The whole text.
    pub text: String,
    /// The client's own name for it, unique in the conversation.
    pub client_ref: Option<String>,
}

/// To whom a message goes.
#[derive(Debug, Clone)]
pub enum PostKind {
    /// To the customer.
    Reply {
        /// The status that its author wants once the platform has accepted it.
        then_status: Option<&'static str>,
        /// When a snooze ends.
        then_until: Option<Timestamp>,
        /// What the platform will show, made comparable.
        fingerprint: Vec<u8>,
    },
    /// To colleagues.
    Note,
}

impl PostKind {
    /// Whether it makes an unresolved conversation of a resolved one.
    fn reopens(&self) -> bool {
        match self {
            Self::Reply { then_status, .. } => then_status.is_some_and(|then| then != "resolved"),
            Self::Note => false,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostOutcome {
    /// Stored; a reply waits to be sent.
    Created(MessageId),
    /// A message with that `client_ref` and text had been stored before.
    Repeated(MessageId),
    /// A message with that `client_ref` says something else.
    RefReused,
    /// No such conversation.
    Missing,
    /// The account is no longer connected.
    ChannelDisconnected,
    /// What its author asks for would make a second unresolved conversation: this is the first.
    Exists(ConversationId),
}

/// Stores a message. A reply to a conversation that nobody has is a claim on it.
///
/// Happens once for each `client_ref`: the conversation's lock lets one call after the other look.
///
/// # Errors
/// When the database fails.
pub async fn post(
    tx: &mut BrandTx,
    new: NewPost,
    cause: &Cause,
) -> Result<PostOutcome, StoreError> {
    let brand = tx.brand();
    let conversation = new.conversation;
    let rival = if new.kind.reopens() {
        lock_identity(tx.conn(), brand, conversation).await?;
        other_unresolved(tx.conn(), brand, conversation).await?
    } else {
        None
    };
    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
    ledger.lock(tx.conn(), brand, &[conversation]).await?;
    let Some(held) = ledger.get(conversation) else {
        return Ok(PostOutcome::Missing);
    };
    let (identity, channel) = (held.identity, held.channel);
    let is_over = held.state.status == Status::Resolved;
    if let Some(client_ref) = &new.client_ref
        && let Some(outcome) = find_repeat(tx, conversation, client_ref, &new.text).await?
    {
        return Ok(outcome);
    }
    if let Some(rival) = rival.filter(|_| is_over) {
        return Ok(PostOutcome::Exists(rival));
    }
    let id = MessageId(Uuid::now_v7());
    let cause = Cause {
        client_ref: new.client_ref.clone(),
        ..cause.clone()
    };
    let data = Some(json!({ "message_id": id }));
    let (kind, outbound) = match new.kind {
        PostKind::Note => {
            ledger.emit(conversation, EventType::NoteCreated, &cause, data);
            ("note", None)
        }
        PostKind::Reply {
            then_status,
            then_until,
            fingerprint,
        } => {
            let (recipient_id, channel_status): (String, String) = sqlx::query_as(
                "select i.external_id, c.status from identities i
                 join channels c on c.brand_id = i.brand_id and c.id = $3
                 where i.brand_id = $1 and i.id = $2",
            )
            .bind(brand.0)
            .bind(identity.0)
            .bind(channel.0)
            .fetch_one(tx.conn())
            .await?;
            if channel_status == "disconnected" {
                return Ok(PostOutcome::ChannelDisconnected);
            }
            assignments::claim_by_reply(&mut ledger, tx.conn(), conversation, new.author, &cause)
                .await?;
            ledger.emit(conversation, EventType::MessageQueued, &cause, data);
            let outbound = NewOutbound {
                recipient_id,
                then_status,
                then_until,
                fingerprint,
            };
            ("reply", Some(outbound))
        }
    };
    let message = NewMessage {
        id,
        kind,
        author_type: "member",
        author_id: Some(new.author.0),
        text: new.text,
        entities: None,
        quick_reply_answer: None,
        initiated_via: None,
        order_at: ledger.now,
        order_no: 0,
        is_history: false,
        is_unreadable: false,
        sent_at: None,
        platform_event_id: None,
        client_ref: new.client_ref,
        attachments: Vec::new(),
        outbound,
    };
    ledger.add_message(conversation, message);
    ledger.flush(tx.conn()).await?;
    Ok(PostOutcome::Created(id))
}

async fn find_repeat(
    tx: &mut BrandTx,
    conversation: ConversationId,
    client_ref: &str,
    text: &str,
) -> Result<Option<PostOutcome>, StoreError> {
    let brand = tx.brand();
    let before: Option<(Uuid, bool)> = sqlx::query_as(
        "select id, text = $4 from messages where brand_id = $1 and conversation_id = $2 and client_ref = $3",
    )
    .bind(brand.0)
    .bind(conversation.0)
    .bind(client_ref)
    .bind(text)
    .fetch_optional(tx.conn())
    .await?;
    Ok(before.map(|(id, is_same)| {
        if is_same {
            PostOutcome::Repeated(MessageId(id))
        } else {
            PostOutcome::RefReused
        }
    }))
}
