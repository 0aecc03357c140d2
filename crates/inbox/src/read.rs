//! A body from the queue becomes an event that the step can place.

use jiff::Timestamp;
use roost_bus::envelope::Ingress;
use roost_platforms::sandbox;
use roost_platforms::x::normalise::{Normalised, PlatformMessage, normalise};

/// What an event means to the inbox.
#[derive(Debug)]
pub(crate) enum Meaning {
    /// A message in either direction.
    Message(Box<PlatformMessage>),
    /// A message that is encrypted on the platform.
    Unreadable {
        /// Who wrote it.
        sender_id: String,
        /// When.
        at: Timestamp,
    },
    /// The customer has read up to here.
    Read {
        /// Who has read.
        reader_id: String,
        /// The platform's id of the last message read.
        up_to: i64,
        /// When.
        at: Timestamp,
    },
    /// Somebody is typing; worth nothing later.
    Typing {
        /// Who.
        sender_id: String,
    },
    /// An account took its trust back; its token is dead.
    Revoked {
        /// Which account.
        account_id: String,
    },
    /// Kept as it came, with the reason.
    Raw(String),
}

/// An event and what it means.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) ingress: Ingress,
    pub(crate) meaning: Meaning,
}

/// Why a body is no ingress event: permanent, for the same bytes fail again.
#[derive(Debug, thiserror::Error)]
#[error("not an ingress event: {0}")]
pub struct NotIngress(#[from] serde_json::Error);

/// Reads one body.
pub(crate) fn read(body: &[u8]) -> Result<Event, NotIngress> {
    let ingress: Ingress = serde_json::from_slice(body)?;
    let meaning = match ingress.platform.as_str() {
        sandbox::PLATFORM => of_sandbox(&ingress),
        _ => of_x(&ingress),
    };
    Ok(Event { ingress, meaning })
}

fn of_sandbox(ingress: &Ingress) -> Meaning {
    match sandbox::normalise(&ingress.account_id, &ingress.body) {
        Ok(message) => Meaning::Message(Box::new(message)),
        Err(error) => Meaning::Raw(error.to_string()),
    }
}

fn of_x(ingress: &Ingress) -> Meaning {
    let account = Some(ingress.account_id.as_str()).filter(|id| !id.is_empty());
    match normalise(
        &ingress.kind,
        account,
        &ingress.event_id,
        &ingress.body,
        ingress.users.as_deref(),
    ) {
        Ok(Normalised::Message(message)) => Meaning::Message(message),
        Ok(Normalised::Unreadable { sender_id, at, .. }) => Meaning::Unreadable { sender_id, at },
        Ok(Normalised::Read {
            reader_id,
            last_read_event_no,
            at,
            ..
        }) => Meaning::Read {
            reader_id,
            up_to: last_read_event_no,
            at,
        },
        Ok(Normalised::Typing { sender_id, .. }) => Meaning::Typing { sender_id },
        Ok(Normalised::Revoked { user_id, .. }) => Meaning::Revoked {
            account_id: user_id,
        },
        Ok(Normalised::Other) => Meaning::Raw("not a message".to_owned()),
        Err(error) => Meaning::Raw(error.to_string()),
    }
}

impl Event {
    /// The accounts of which one may be connected, the likelier first.
    pub(crate) fn accounts(&self) -> Vec<&str> {
        if let Meaning::Revoked { account_id } = &self.meaning {
            return vec![account_id];
        }
        if !self.ingress.account_id.is_empty() {
            return vec![&self.ingress.account_id];
        }
        match &self.meaning {
            // The envelope doesn't say whose it is: more often a customer's than an echo.
            Meaning::Message(message) => vec![&message.recipient_id, &message.sender_id],
            Meaning::Unreadable { .. }
            | Meaning::Read { .. }
            | Meaning::Typing { .. }
            | Meaning::Revoked { .. }
            | Meaning::Raw(_) => Vec::new(),
        }
    }

    /// The other side, seen from a connected account.
    pub(crate) fn counterpart(&self, account: &str) -> Option<&str> {
        let other = match &self.meaning {
            Meaning::Message(message) if message.sender_id == account => {
                message.recipient_id.as_str()
            }
            Meaning::Message(message) => message.sender_id.as_str(),
            Meaning::Unreadable { sender_id, .. } | Meaning::Typing { sender_id }
                if sender_id != account =>
            {
                sender_id
            }
            Meaning::Read { reader_id, .. } if reader_id != account => reader_id,
            Meaning::Unreadable { .. } => self.ingress.counterpart_id.as_str(),
            Meaning::Read { .. }
            | Meaning::Typing { .. }
            | Meaning::Revoked { .. }
            | Meaning::Raw(_) => return None,
        };
        (!other.is_empty() && other != account).then_some(other)
    }
}
