//! A single event becomes what it means to us.
//!
//! Only that without which there is no message (ids, accounts, something to show) is an error; every
//! other odd field is left out and the message stays.

mod attachment;
mod message;
mod profile;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

pub use attachment::{Attachment, AttachmentKind};
pub use message::{InitiatedVia, PlatformMessage};
pub use profile::{Profile, Profiles};

use super::snowflake;
use super::split::kind;
use super::wire::{self, Activity, ChatPayload, RevokePayload, XaaData};

/// What an event of X means.
#[derive(Debug, Clone)]
pub enum Normalised {
    /// A direct message, in either direction.
    Message(Box<PlatformMessage>),
    /// Somebody is typing to somebody.
    Typing {
        /// X's id of the one who types.
        sender_id: String,
        /// X's id of the one who is written to.
        recipient_id: String,
    },
    /// Everything up to a message has been read.
    Read {
        /// X's id of the one who has read.
        reader_id: String,
        /// X's id of the other account.
        recipient_id: String,
        /// The last message that was read, by its numeric id.
        last_read_event_no: i64,
        /// When.
        at: Timestamp,
    },
    /// An encrypted message: we know that it came, not what it says.
    Unreadable {
        /// X's id of the encrypted message, a UUID.
        event_id: String,
        /// X's id of the author.
        sender_id: String,
        /// X's name of the encrypted conversation, where given.
        conversation_id: Option<String>,
        /// When it was written.
        at: Timestamp,
    },
    /// An account revoked our app's access; its token is dead.
    Revoked {
        /// X's id of the account.
        user_id: String,
        /// X's id of the app.
        app_id: Option<String>,
        /// When.
        at: Option<Timestamp>,
    },
    /// Nothing that changes a conversation. Kept raw and counted by the caller.
    Other,
}

/// Why an event of a known kind can't be used. Permanent: the same bytes fail again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NormaliseError {
    /// A field without which the event means nothing is missing or of a wrong type.
    #[error("event of x has no usable {0}")]
    Field(&'static str),
    /// The event is between two other accounts.
    #[error("event of x does not concern the account it was delivered to")]
    ForeignAccount,
}

/// Reads one event as [`super::split::split`] gave it, possibly after a trip through a queue.
///
/// # Errors
/// [`NormaliseError`] for an event of our kinds that lacks what makes it one.
pub fn normalise(
    event_kind: &str,
    account_id: Option<&str>,
    event_id: &str,
    body: &RawValue,
    users: Option<&RawValue>,
) -> Result<Normalised, NormaliseError> {
    match event_kind {
        kind::DM => {
            let message = message::read(body, users)?;
            if account_id.is_some_and(|id| id != message.sender_id && id != message.recipient_id) {
                return Err(NormaliseError::ForeignAccount);
            }
            Ok(Normalised::Message(Box::new(message)))
        }
        kind::TYPING => typing(body),
        kind::READ => read(body),
        kind::CHAT => chat(event_id, body),
        kind::REVOKE => revoked(account_id, body),
        _ => Ok(Normalised::Other),
    }
}

fn typing(body: &RawValue) -> Result<Normalised, NormaliseError> {
    let activity = activity(body)?;
    let (sender_id, recipient_id) = parties(&activity)?;
    Ok(Normalised::Typing {
        sender_id,
        recipient_id,
    })
}

fn read(body: &RawValue) -> Result<Normalised, NormaliseError> {
    let activity = activity(body)?;
    let (reader_id, recipient_id) = parties(&activity)?;
    let last_read_event_no = activity
        .last_read_event_id
        .and_then(wire::id_of)
        .ok_or(NormaliseError::Field("last_read_event_id"))?;
    let at = activity
        .created_timestamp
        .and_then(wire::millis_of)
        .unwrap_or_else(|| snowflake::time_of(last_read_event_no));
    Ok(Normalised::Read {
        reader_id,
        recipient_id,
        last_read_event_no,
        at,
    })
}

fn activity(body: &RawValue) -> Result<Activity<'_>, NormaliseError> {
    wire::object_of(body).ok_or(NormaliseError::Field("body"))
}

fn parties(activity: &Activity<'_>) -> Result<(String, String), NormaliseError> {
    let sender = activity
        .sender_id
        .and_then(wire::id_of)
        .ok_or(NormaliseError::Field("sender_id"))?;
    let recipient =
        wire::recipient_of(activity.target).ok_or(NormaliseError::Field("recipient_id"))?;
    Ok((sender.to_string(), recipient.to_string()))
}

/// Only messages count: that somebody joined an encrypted group is nothing to tell an agent.
fn chat(event_id: &str, body: &RawValue) -> Result<Normalised, NormaliseError> {
    let event: XaaData<'_> = wire::object_of(body).ok_or(NormaliseError::Field("body"))?;
    let event_type = event.event_type.and_then(wire::text_of);
    if !matches!(event_type.as_deref(), Some("chat.received" | "chat.sent")) {
        return Ok(Normalised::Other);
    }
    let payload: ChatPayload<'_> = event
        .payload
        .and_then(wire::object_of)
        .ok_or(NormaliseError::Field("payload"))?;
    let sender_id = payload
        .sender_id
        .and_then(wire::id_of)
        .ok_or(NormaliseError::Field("sender_id"))?;
    let at = payload
        .created_at_msec
        .and_then(wire::millis_of)
        .ok_or(NormaliseError::Field("created_at_msec"))?;
    Ok(Normalised::Unreadable {
        event_id: event_id.to_owned(),
        sender_id: sender_id.to_string(),
        conversation_id: payload
            .conversation_id
            .and_then(wire::text_of)
            .map(Into::into),
        at,
    })
}

/// `user_event.revoke` of Account Activity, or `data` of `oauth.revoke`.
fn revoked(account_id: Option<&str>, body: &RawValue) -> Result<Normalised, NormaliseError> {
    #[derive(Deserialize)]
    struct UserEvent<'a> {
        #[serde(borrow)]
        revoke: Option<&'a RawValue>,
        #[serde(borrow)]
        payload: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Revoke<'a> {
        #[serde(borrow)]
        date_time: Option<&'a RawValue>,
        #[serde(borrow)]
        target: Option<&'a RawValue>,
        #[serde(borrow)]
        source: Option<&'a RawValue>,
    }
    let event: UserEvent<'_> = wire::object_of(body).ok_or(NormaliseError::Field("body"))?;
    let (user, app, at) = if let Some(revoke) = event.revoke.and_then(wire::object_of::<Revoke<'_>>)
    {
        let half = |raw: Option<_>| raw.and_then(wire::object_of::<RevokePayload<'_>>);
        let user = half(revoke.source).and_then(|source| source.user_id);
        let app = half(revoke.target).and_then(|target| target.app_id);
        (user, app, revoke.date_time)
    } else {
        let payload: RevokePayload<'_> = event
            .payload
            .and_then(wire::object_of)
            .ok_or(NormaliseError::Field("revoke"))?;
        (payload.user_id, payload.app_id, payload.date_time)
    };
    let user_id = user
        .and_then(wire::id_of)
        .map(|id| id.to_string())
        .or_else(|| account_id.map(str::to_owned))
        .ok_or(NormaliseError::Field("user_id"))?;
    Ok(Normalised::Revoked {
        user_id,
        app_id: app.and_then(wire::id_of).map(|id| id.to_string()),
        at: at.and_then(wire::instant_of),
    })
}

#[cfg(test)]
mod tests;
