//! Who caused a change, and in the course of what.

use roost_domain::ids::{ContactId, MemberId};
use std::net::IpAddr;

use uuid::Uuid;

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The customer.
    Contact(ContactId),
    /// A member.
    Member(MemberId),
    /// A program: the member of an API key.
    Bot(MemberId),
    /// A person in the platform's own app.
    External,
    /// Roost itself: routing, clocks, sending.
    System,
}

impl Actor {
    /// The actor's kind on the wire and in the database.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Contact(_) => "contact",
            Self::Member(_) => "member",
            Self::Bot(_) => "bot",
            Self::External => "external",
            Self::System => "system",
        }
    }

    pub(crate) fn id(self) -> Option<Uuid> {
        match self {
            Self::Contact(id) => Some(id.0),
            Self::Member(id) | Self::Bot(id) => Some(id.0),
            Self::External | Self::System => None,
        }
    }
}

/// Why something changes.
#[derive(Debug, Clone)]
pub struct Cause {
    /// Who did it.
    pub actor: Actor,
    /// The request that it goes back to, from webhook to reply.
    pub request_id: Option<String>,
    /// The client's own name for the change.
    pub client_ref: Option<String>,
    /// From where it was asked for, as far as that is known.
    pub address: Option<IpAddr>,
}

impl Cause {
    /// Roost itself, on nobody's request.
    #[must_use]
    pub fn system() -> Self {
        Self {
            actor: Actor::System,
            request_id: None,
            client_ref: None,
            address: None,
        }
    }

    /// Says from where it was asked for.
    #[must_use]
    pub fn from_address(self, address: Option<IpAddr>) -> Self {
        Self { address, ..self }
    }

    /// Somebody, in the course of a request.
    #[must_use]
    pub fn new(actor: Actor, request_id: Option<String>) -> Self {
        Self {
            actor,
            request_id,
            client_ref: None,
            address: None,
        }
    }
}
