//! Messages.

use roost_domain::ids::{ContactId, MemberId};
use roost_store::messages::{StoredAttachment, StoredDelivery, StoredMessage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::At;

/// A message.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageView {
    id: String,
    conversation_id: String,
    /// `inbound`, `reply`, `note` or `automatic`.
    kind: String,
    author: AuthorView,
    text: String,
    /// Members whom a note calls.
    mention_ids: Vec<String>,
    /// True where the platform keeps the content from us, as with encrypted chats.
    unreadable: bool,
    /// True where it came while its contact was blocked: it is kept and does nothing.
    blocked: bool,
    /// The platform's entities, as it gave them.
    #[schema(value_type = Option<Object>)]
    entities: Option<Value>,
    attachments: Vec<AttachmentView>,
    #[schema(value_type = Vec<Object>)]
    quick_replies: Vec<Value>,
    #[schema(value_type = Vec<Object>)]
    buttons: Vec<Value>,
    #[schema(value_type = Option<Object>)]
    quick_reply_answer: Option<Value>,
    /// The platform's time; ours for a note and until the platform's is known.
    sent_at: At,
    platform_event_id: Option<String>,
    client_ref: Option<String>,
    delivery: Option<DeliveryView>,
    created_at: At,
}

/// Who wrote.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuthorView {
    /// `contact`, `member`, `bot` or `external`.
    r#type: String,
    id: Option<String>,
    name: Option<String>,
}

/// A file.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttachmentView {
    id: String,
    /// Such as `photo`.
    r#type: String,
    content_type: Option<String>,
    /// In bytes, once it was fetched.
    size: Option<i64>,
    /// `remote`: the platform has it and it was not fetched.
    state: &'static str,
    url: Option<String>,
    width: Option<i32>,
    height: Option<i32>,
}

/// How far a reply has come.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryView {
    /// `queued`, `sending`, `sent`, `failed` or `unknown`.
    status: String,
    /// A person has to say whether it arrived.
    needs_decision: bool,
    /// Not sent before this.
    waits_until: Option<At>,
    code: Option<String>,
    detail: Option<String>,
    attempt: i32,
    at: At,
}

impl From<StoredMessage> for MessageView {
    fn from(row: StoredMessage) -> Self {
        let id = row.author_id.map(|id| match row.author_type.as_str() {
            "contact" => ContactId(id).to_string(),
            _ => MemberId(id).to_string(),
        });
        Self {
            id: row.id.to_string(),
            conversation_id: row.conversation.to_string(),
            kind: row.kind,
            author: AuthorView {
                r#type: row.author_type,
                id,
                name: row.author_name,
            },
            text: row.text,
            mention_ids: row.mentions.iter().map(ToString::to_string).collect(),
            unreadable: row.is_unreadable,
            blocked: row.is_blocked,
            entities: row.entities,
            attachments: row.attachments.into_iter().map(Into::into).collect(),
            quick_replies: Vec::new(),
            buttons: Vec::new(),
            quick_reply_answer: row.quick_reply_answer,
            sent_at: row.order_at.into(),
            platform_event_id: row.platform_event_id,
            client_ref: row.client_ref,
            delivery: row.delivery.map(Into::into),
            created_at: row.created_at.into(),
        }
    }
}

impl From<StoredAttachment> for AttachmentView {
    fn from(file: StoredAttachment) -> Self {
        Self {
            id: file.id.to_string(),
            r#type: file.kind,
            content_type: file.content_type,
            size: None,
            state: "remote",
            url: None,
            width: file.width,
            height: file.height,
        }
    }
}

impl From<StoredDelivery> for DeliveryView {
    fn from(delivery: StoredDelivery) -> Self {
        Self {
            status: delivery.status,
            needs_decision: delivery.needs_decision,
            waits_until: delivery.waits_until.map(At),
            code: delivery.code,
            detail: delivery.detail,
            attempt: delivery.attempt,
            at: delivery.at.into(),
        }
    }
}

/// A message to write.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateMessage {
    /// `reply` (to the customer) or `note` (to colleagues).
    pub(crate) kind: String,
    pub(crate) text: String,
    /// For a reply, once the platform has accepted it: `pending` (the default of an open
    /// conversation), `open`, `resolved` or `snoozed` (with `until`).
    pub(crate) then: Option<String>,
    /// When a snooze ends; RFC 3339, in the future.
    pub(crate) until: Option<String>,
    /// The client's own name for the message. The same again gives the same message.
    pub(crate) client_ref: Option<String>,
    /// For a note: members whom it calls; their streams' topic `mine` carries it.
    #[serde(default)]
    #[schema(max_items = 50)]
    pub(crate) mention_ids: Vec<String>,
    /// For an API key with the scope `messages:as_member`: the member who writes. Without it the key
    /// writes as a bot, which answers no clock.
    pub(crate) on_behalf_of: Option<String>,
}

/// A wish to send again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryMessage {
    /// Needed where the outcome is unknown: the customer may get it twice.
    #[serde(default)]
    pub(crate) confirm: bool,
}
