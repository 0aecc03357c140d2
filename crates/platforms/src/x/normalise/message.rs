//! The direct message.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::NormaliseError;
use super::attachment::{self, Attachment};
use super::profile::{Profile, Profiles};
use crate::x::snowflake;
use crate::x::wire::{self, MessageCreate, MessageData, MessageEvent};

/// A direct message as X delivered it, the same for both envelopes and both directions.
#[derive(Debug, Clone)]
pub struct PlatformMessage {
    /// X's event id, in canonical decimal.
    pub event_id: String,
    /// The same as a number: the second key of the order in a conversation.
    pub event_no: i64,
    /// X's time; where X gives none, the one inside the id.
    pub sent_at: Timestamp,
    /// X's id of the author.
    pub sender_id: String,
    /// X's id of the addressee.
    pub recipient_id: String,
    /// The text as received, whole; empty for some messages with attachments.
    pub text: String,
    /// Links, mentions and hashtags; indices count Unicode code points. `null` where X sent none.
    pub entities: Value,
    /// What hangs on the message.
    pub attachments: Vec<Attachment>,
    /// The options of a question that the account asked, as sent, else `null`.
    pub quick_replies: Value,
    /// The buttons of a message that the account sent, as sent, else `null`.
    pub buttons: Value,
    /// The chosen option: `text` is its label, `metadata` in here may be missing.
    pub quick_reply_answer: Option<Value>,
    /// What led the customer to write.
    pub initiated_via: Option<InitiatedVia>,
    /// X's id of the app that sent it; only on messages of the account itself.
    pub source_app_id: Option<String>,
    /// The people, as far as X sent them.
    pub profiles: Profiles,
}

/// Where a conversation began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitiatedVia {
    /// The post whose message button was used.
    pub tweet_id: Option<String>,
    /// The welcome message that was shown.
    pub welcome_message_id: Option<String>,
}

impl PlatformMessage {
    /// The text to show: without the link that only stands for the attachment.
    #[must_use]
    pub fn display_text(&self) -> &str {
        let link = self
            .attachments
            .iter()
            .find_map(|attachment| attachment.text_link.as_deref());
        match link.and_then(|link| self.text.trim_end().strip_suffix(link)) {
            Some(rest) => rest.trim(),
            None => &self.text,
        }
    }

    /// The profile of one of the two accounts.
    #[must_use]
    pub fn profile(&self, id: &str) -> Option<&Profile> {
        self.profiles.profile(id)
    }
}

pub(super) fn read(
    body: &RawValue,
    users: Option<&RawValue>,
) -> Result<PlatformMessage, NormaliseError> {
    let missing = NormaliseError::Field;
    let event: MessageEvent<'_> = wire::object_of(body).ok_or(missing("body"))?;
    let create: MessageCreate<'_> = event
        .message_create
        .and_then(wire::object_of)
        .ok_or(missing("message_create"))?;
    let data: MessageData<'_> = create
        .message_data
        .and_then(wire::object_of)
        .ok_or(missing("message_data"))?;
    let event_no = event.id.and_then(wire::id_of).ok_or(missing("id"))?;
    let sender = create
        .sender_id
        .and_then(wire::id_of)
        .ok_or(missing("sender_id"))?;
    let recipient = wire::recipient_of(create.target).ok_or(missing("recipient_id"))?;
    let attachments: Vec<Attachment> = data
        .attachment
        .and_then(value_of)
        .and_then(attachment::read)
        .into_iter()
        .collect();
    let text = match data.text {
        Some(raw) => scalar_of(raw).ok_or(missing("text"))?,
        None if !attachments.is_empty() => String::new(),
        None => return Err(missing("text")),
    };
    Ok(PlatformMessage {
        event_id: event_no.to_string(),
        event_no,
        sent_at: event
            .created_timestamp
            .and_then(wire::millis_of)
            .unwrap_or_else(|| snowflake::time_of(event_no)),
        sender_id: sender.to_string(),
        recipient_id: recipient.to_string(),
        text,
        entities: data
            .entities
            .and_then(value_of)
            .filter(Value::is_object)
            .unwrap_or_default(),
        attachments,
        quick_replies: data.quick_reply.and_then(value_of).unwrap_or_default(),
        buttons: data.ctas.and_then(value_of).unwrap_or_default(),
        quick_reply_answer: data
            .quick_reply_response
            .and_then(value_of)
            .filter(Value::is_object),
        initiated_via: event.initiated_via.and_then(initiated_via),
        source_app_id: create
            .source_app_id
            .and_then(wire::id_of)
            .map(|id| id.to_string()),
        profiles: Profiles::read(users),
    })
}

/// A text, or a number or boolean where a text belongs.
fn scalar_of(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first() {
        Some(b'"') => wire::text_of(raw).map(Into::into),
        Some(b'{' | b'[') | None => None,
        Some(_) => Some(raw.get().to_owned()),
    }
}

/// `None` also for numbers that no number type of ours can hold.
fn value_of(raw: &RawValue) -> Option<Value> {
    serde_json::from_str(raw.get()).ok()
}

fn initiated_via(raw: &RawValue) -> Option<InitiatedVia> {
    #[derive(Deserialize)]
    struct Via<'a> {
        #[serde(borrow)]
        tweet_id: Option<&'a RawValue>,
        #[serde(borrow)]
        welcome_message_id: Option<&'a RawValue>,
    }
    let via: Via<'_> = wire::object_of(raw)?;
    let id = |raw: Option<&RawValue>| raw.and_then(wire::id_of).map(|id| id.to_string());
    let via = InitiatedVia {
        tweet_id: id(via.tweet_id),
        welcome_message_id: id(via.welcome_message_id),
    };
    (via.tweet_id.is_some() || via.welcome_message_id.is_some()).then_some(via)
}
