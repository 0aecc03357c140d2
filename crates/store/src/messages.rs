//! Messages as they are shown, and what members write.

mod post;

use std::collections::HashMap;

use jiff::Timestamp;
use roost_domain::ids::{AttachmentId, ConversationId, MemberId, MessageId};
use serde_json::Value;
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::error::StoreError;
use crate::ts::Ts;
use crate::tx::BrandTx;
use crate::visibility::Visibility;
pub use post::{NewPost, PostKind, PostOutcome, post};

/// A message with its author's name, its files and its way out.
#[derive(Debug, Clone)]
pub struct StoredMessage {
    /// Ours.
    pub id: MessageId,
    /// Where it belongs.
    pub conversation: ConversationId,
    /// `inbound`, `reply`, `note` or `automatic`.
    pub kind: String,
    /// `contact`, `member`, `bot` or `external`.
    pub author_type: String,
    /// The member or contact.
    pub author_id: Option<Uuid>,
    /// What they are called now.
    pub author_name: Option<String>,
    /// The whole text.
    pub text: String,
    /// Colleagues whom a note calls.
    pub mentions: Vec<MemberId>,
    /// Whether the platform keeps its content from us, as with encrypted chats.
    pub is_unreadable: bool,
    /// Whether it came while its contact was blocked, and does nothing.
    pub is_blocked: bool,
    /// The platform's entities.
    pub entities: Option<Value>,
    /// The option that the customer chose.
    pub quick_reply_answer: Option<Value>,
    /// Its place: platform time, else ours.
    pub order_at: Timestamp,
    /// Its place: the platform's id as a number.
    pub order_no: i64,
    /// The platform's time.
    pub sent_at: Option<Timestamp>,
    /// The platform's id.
    pub platform_event_id: Option<String>,
    /// The client's own name for it.
    pub client_ref: Option<String>,
    /// When we stored it.
    pub created_at: Timestamp,
    /// Its files, in order.
    pub attachments: Vec<StoredAttachment>,
    /// Its way out.
    pub delivery: Option<StoredDelivery>,
}

/// A file of a message.
#[derive(Debug, Clone)]
pub struct StoredAttachment {
    /// Ours.
    pub id: AttachmentId,
    /// Such as `photo`.
    pub kind: String,
    /// The media type.
    pub content_type: Option<String>,
    /// In pixels.
    pub width: Option<i32>,
    /// In pixels.
    pub height: Option<i32>,
}

/// How far a reply has come.
#[derive(Debug, Clone)]
pub struct StoredDelivery {
    /// `queued`, `sending`, `sent`, `failed` or `unknown`.
    pub status: String,
    /// Whether a person has to decide.
    pub needs_decision: bool,
    /// Not sent before this.
    pub waits_until: Option<Timestamp>,
    /// Why it failed, as a stable word.
    pub code: Option<String>,
    /// Why it failed, in words.
    pub detail: Option<String>,
    /// How often it was tried.
    pub attempt: i32,
    /// When it was last tried, else queued.
    pub at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    conversation_id: Uuid,
    kind: String,
    author_type: String,
    author_id: Option<Uuid>,
    author_name: Option<String>,
    text: String,
    mentions: Vec<Uuid>,
    is_unreadable: bool,
    is_blocked: bool,
    entities: Option<Value>,
    quick_reply_answer: Option<Value>,
    order_at: Ts,
    order_no: i64,
    sent_at: Option<Ts>,
    platform_event_id: Option<String>,
    client_ref: Option<String>,
    created_at: Ts,
    state: Option<String>,
    needs_decision: Option<bool>,
    not_before: Option<Ts>,
    code: Option<String>,
    detail: Option<String>,
    attempt_no: Option<i32>,
    delivery_at: Option<Ts>,
}

#[derive(sqlx::FromRow)]
struct FileRow {
    message_id: Uuid,
    id: Uuid,
    r#type: String,
    content_type: Option<String>,
    width: Option<i32>,
    height: Option<i32>,
}

impl Row {
    fn into_message(self, attachments: Vec<StoredAttachment>) -> StoredMessage {
        let delivery = self.state.map(|status| StoredDelivery {
            status,
            needs_decision: self.needs_decision == Some(true),
            waits_until: self.not_before.map(Ts::get),
            code: self.code,
            detail: self.detail,
            attempt: self.attempt_no.unwrap_or(0),
            at: self.delivery_at.unwrap_or(self.created_at).get(),
        });
        StoredMessage {
            id: MessageId(self.id),
            conversation: ConversationId(self.conversation_id),
            kind: self.kind,
            author_type: self.author_type,
            author_id: self.author_id,
            author_name: self.author_name,
            text: self.text,
            mentions: self.mentions.into_iter().map(MemberId).collect(),
            is_unreadable: self.is_unreadable,
            is_blocked: self.is_blocked,
            entities: self.entities,
            quick_reply_answer: self.quick_reply_answer,
            order_at: self.order_at.get(),
            order_no: self.order_no,
            sent_at: self.sent_at.map(Ts::get),
            platform_event_id: self.platform_event_id,
            client_ref: self.client_ref,
            created_at: self.created_at.get(),
            attachments,
            delivery,
        }
    }
}

macro_rules! select_messages {
    ($rest:literal) => {
        concat!(
            "select m.id, m.conversation_id, m.kind, m.author_type,
                    coalesce(m.author_id, case when m.author_type = 'contact' then c.contact_id end) as author_id,
                    case when m.author_type = 'contact' then p.name else w.name end as author_name,
                    m.text, array(select n.member_id from note_mentions n where n.brand_id = m.brand_id
                          and n.message_id = m.id order by n.member_id) as mentions, m.is_unreadable, m.is_blocked, m.entities, m.quick_reply_answer, m.order_at, m.order_no, m.sent_at, m.platform_event_id,
                    m.client_ref, m.created_at, o.state, o.needs_decision, o.not_before, o.code, o.detail, o.attempt_no,
                    coalesce(case when o.state = 'sent' then m.sent_at end, o.attempt_started_at, o.queued_at)
                        as delivery_at
             from messages m
             join conversations c on c.brand_id = m.brand_id and c.id = m.conversation_id
             join contacts p on p.brand_id = c.brand_id and p.id = c.contact_id
             left join members w on w.brand_id = m.brand_id and w.id = m.author_id
             left join outbound_messages o on o.brand_id = m.brand_id and o.message_id = m.id
             where m.brand_id = ",
            $rest
        )
    };
}

/// A place in a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadKey {
    /// Platform time, else ours.
    pub at: Timestamp,
    /// The platform's id as a number.
    pub no: i64,
    /// Ours.
    pub id: Uuid,
}

/// A page of a conversation's messages.
///
/// # Errors
/// When the database fails.
pub async fn thread(
    tx: &mut BrandTx,
    conversation: ConversationId,
    after: Option<ThreadKey>,
    descending: bool,
    limit: i64,
) -> Result<Vec<StoredMessage>, StoreError> {
    let brand = tx.brand();
    let rows: Vec<Row> = sqlx::query_as(if descending {
        select_messages!(
            "$1 and m.conversation_id = $2
             and ($3::timestamptz is null or (m.order_at, m.order_no, m.id) < ($3, $4, $5))
             order by m.order_at desc, m.order_no desc, m.id desc limit $6"
        )
    } else {
        select_messages!(
            "$1 and m.conversation_id = $2
             and ($3::timestamptz is null or (m.order_at, m.order_no, m.id) > ($3, $4, $5))
             order by m.order_at, m.order_no, m.id limit $6"
        )
    })
    .bind(brand.0)
    .bind(conversation.0)
    .bind(after.map(|key| Ts::from(key.at)))
    .bind(after.map(|key| key.no))
    .bind(after.map(|key| key.id))
    .bind(limit)
    .fetch_all(tx.conn())
    .await?;
    with_attachments(tx, rows).await
}

/// Reads messages by id, in no order; those that aren't this brand's, or whose conversation isn't seen,
/// are simply not there.
///
/// # Errors
/// When the database fails.
pub async fn load(
    tx: &mut BrandTx,
    ids: &[MessageId],
    visibility: &Visibility,
) -> Result<Vec<StoredMessage>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let brand = tx.brand();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let mut query = QueryBuilder::new(select_messages!(""));
    query.push_bind(brand.0);
    query.push(" and m.id = any (").push_bind(ids).push(")");
    visibility.push(&mut query);
    let rows: Vec<Row> = query.build_query_as().fetch_all(tx.conn()).await?;
    with_attachments(tx, rows).await
}

/// Finds one message, if its conversation is seen.
///
/// # Errors
/// When the database fails.
pub async fn find(
    tx: &mut BrandTx,
    id: MessageId,
    visibility: &Visibility,
) -> Result<Option<StoredMessage>, StoreError> {
    Ok(load(tx, &[id], visibility).await?.pop())
}

async fn with_attachments(
    tx: &mut BrandTx,
    rows: Vec<Row>,
) -> Result<Vec<StoredMessage>, StoreError> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let brand = tx.brand();
    let files: Vec<FileRow> = sqlx::query_as(
        "select message_id, id, type, content_type, width, height from attachments
         where brand_id = $1 and message_id = any ($2) order by message_id, ordinal",
    )
    .bind(brand.0)
    .bind(ids)
    .fetch_all(tx.conn())
    .await?;
    let mut by_message: HashMap<Uuid, Vec<StoredAttachment>> = HashMap::new();
    for row in files {
        let file = StoredAttachment {
            id: AttachmentId(row.id),
            kind: row.r#type,
            content_type: row.content_type,
            width: row.width,
            height: row.height,
        };
        by_message.entry(row.message_id).or_default().push(file);
    }
    Ok(rows
        .into_iter()
        .map(|row| {
            let attachments = by_message.remove(&row.id).unwrap_or_default();
            row.into_message(attachments)
        })
        .collect())
}
