//! The single event, and how it gets its kind, its id and its two accounts.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest as _, Sha256};

use crate::x::wire;

/// Kinds of our own, the same for both envelopes. Every other kind is X's own name.
pub mod kind {
    /// A direct message, in or out.
    pub const DM: &str = "dm";
    /// Somebody is typing. Droppable.
    pub const TYPING: &str = "typing";
    /// Somebody has read up to a message.
    pub const READ: &str = "read";
    /// An event of encrypted chat; X's own type stands in the body.
    pub const CHAT: &str = "chat";
    /// An account took its trust in our app back.
    pub const REVOKE: &str = "revoke";
    /// An element under a known name that can't be used; see [`super::Fault`].
    pub const MALFORMED: &str = "malformed";
    /// A document or key that has no usable name.
    pub const UNKNOWN: &str = "unknown";

    pub(super) const ALL: [&str; 7] = [DM, TYPING, READ, CHAT, REVOKE, MALFORMED, UNKNOWN];
}

/// Why an event is [`kind::MALFORMED`]. Few values, fit for a metric label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The body isn't a JSON object, or repeats a key.
    NotAnObject,
    /// There is no usable event id.
    IdUnusable,
    /// There is no usable sender.
    SenderUnusable,
    /// There is no usable recipient; group conversations have none.
    RecipientUnusable,
    /// The subscribed account is neither sender nor recipient.
    ForeignAccount,
    /// An X Activity event without `event_type`.
    TypeUnusable,
    /// A message event of X Activity without messages in it.
    PayloadUnusable,
}

impl Fault {
    /// A stable name for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAnObject => "not_an_object",
            Self::IdUnusable => "id_unusable",
            Self::SenderUnusable => "sender_unusable",
            Self::RecipientUnusable => "recipient_unusable",
            Self::ForeignAccount => "foreign_account",
            Self::TypeUnusable => "type_unusable",
            Self::PayloadUnusable => "payload_unusable",
        }
    }
}

/// Who wrote to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parties {
    /// X's id of the author.
    pub sender_id: String,
    /// X's id of the addressee.
    pub recipient_id: String,
}

/// One event of a webhook POST, with its own JSON.
#[derive(Debug, Clone)]
pub struct RawEvent {
    /// The subscribed account (`for_user_id`, `filter.user_id`); `None` when X left it out.
    pub account_id: Option<String>,
    /// The other account; `None` when the event has none or the account isn't known.
    pub counterpart_id: Option<String>,
    /// Sender and recipient of a message, typing or read event, also when `account_id` is missing.
    pub parties: Option<Parties>,
    /// One of [`kind`], else X's own name: `follow`, `tweet_create`, `post.mention.create`.
    pub kind: String,
    /// X's id, else the first 32 hex digits of the SHA-256 of the body, for typing `typing:<sender>`.
    pub event_id: String,
    /// The element of the array, or for X Activity events other than messages the whole `data`.
    pub body: Box<RawValue>,
    /// Those entries of the users map that concern the parties, in either shape.
    pub users: Option<Box<RawValue>>,
    /// The entry of the apps map that concerns this message.
    pub apps: Option<Box<RawValue>>,
    /// Set for [`kind::MALFORMED`] only.
    pub fault: Option<Fault>,
}

impl RawEvent {
    /// An event without parties, with the id that X or its bytes give it.
    pub(super) fn plain(kind: &str, body: &RawValue) -> Self {
        Self::new(
            kind,
            platform_id(body).unwrap_or_else(|| digest(body)),
            body,
        )
    }

    pub(super) fn new(kind: &str, event_id: String, body: &RawValue) -> Self {
        Self {
            account_id: None,
            counterpart_id: None,
            parties: None,
            kind: kind.to_owned(),
            event_id,
            body: body.to_owned(),
            users: None,
            apps: None,
            fault: None,
        }
    }

    pub(super) fn malformed(body: &RawValue, fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::plain(kind::MALFORMED, body)
        }
    }

    pub(super) fn of_account(self, account: Option<i64>) -> Self {
        Self {
            account_id: account.map(|id| id.to_string()),
            ..self
        }
    }
}

/// Our name for an event that X calls `name`.
pub(super) fn kind_named(name: &str) -> String {
    let fits = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if !fits {
        kind::UNKNOWN.to_owned()
    } else if kind::ALL.contains(&name) {
        // X may one day use a word of ours for something else.
        format!("x.{name}")
    } else {
        name.to_owned()
    }
}

/// The id that X gave: `id_str` before `id`.
fn platform_id(body: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Identified<'a> {
        #[serde(borrow)]
        id_str: Option<&'a RawValue>,
        #[serde(borrow)]
        id: Option<&'a RawValue>,
    }
    let found: Identified<'_> = wire::object_of(body)?;
    found
        .id_str
        .and_then(name_of)
        .or_else(|| found.id.and_then(name_of))
}

/// A string or integer that is short and plain enough to be an identifier.
pub(super) fn name_of(raw: &RawValue) -> Option<String> {
    let name = match wire::text_of(raw) {
        Some(text) => text.into_owned(),
        None if raw.get().parse::<i128>().is_ok() => raw.get().to_owned(),
        None => return None,
    };
    let fits = (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'));
    fits.then_some(name)
}

/// The stand-in for an id: the same bytes give the same one.
pub(super) fn digest(body: &RawValue) -> String {
    let hash = Sha256::digest(body.get().as_bytes());
    hash.iter()
        .take(16)
        .fold(String::with_capacity(32), |mut hex, byte| {
            for nibble in [byte >> 4, byte & 15] {
                hex.push(char::from_digit(nibble.into(), 16).unwrap_or('0'));
            }
            hex
        })
}

/// A map of the envelope (`users`, `apps`), of which each event gets only its own entries: a thousand
/// events that each carried the whole map would not fit in memory.
pub(super) struct Directory<'a>(BTreeMap<i64, &'a RawValue>);

impl<'a> Directory<'a> {
    pub(super) fn read(raw: Option<&'a RawValue>) -> Self {
        let map = raw.and_then(wire::map_of).unwrap_or_default();
        Self(
            map.into_iter()
                .filter_map(|(id, entry)| Some((wire::parse_id(&id)?, entry)))
                .collect(),
        )
    }

    pub(super) fn entries(&self, ids: &[i64]) -> Option<Box<RawValue>> {
        let found: BTreeMap<i64, &RawValue> = ids
            .iter()
            .filter_map(|id| Some((*id, *self.0.get(id)?)))
            .collect();
        if found.is_empty() {
            return None;
        }
        to_raw_value(&found).ok()
    }
}
