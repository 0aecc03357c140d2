//! What a message or an act does to a conversation.
//!
//! A conversation's state is a fold over its [`Fact`]s in their order: platform time, then the
//! platform's event id as a number. [`State::apply`] folds one fact that is newer than all before;
//! [`fold`] does the whole again when a fact comes late. Both must agree: whatever the order of
//! arrival, the end is that of the sorted input, but for one exception, made for honesty. A customer
//! message that was stored after a reply or act made in Roost was not seen by its author; it keeps
//! the conversation open even where the platform's times say that it was answered.

mod fold;
mod state;

#[cfg(test)]
mod properties;

pub use fold::{ClockFold, Folded, Stretch, enter, fold};
pub use state::{Cancellation, ClockEnd, ClockOp, Effect, RunningClock, State};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::MessageId;
use crate::role::UnknownName;

/// Who owes the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// We do.
    Open,
    /// The customer does.
    Pending,
    /// Nobody, until a time or the customer's next message.
    Snoozed,
    /// It is over.
    Resolved,
}

impl Status {
    /// The status's name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Pending => "pending",
            Self::Snoozed => "snoozed",
            Self::Resolved => "resolved",
        }
    }
}

impl std::str::FromStr for Status {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        [Self::Open, Self::Pending, Self::Snoozed, Self::Resolved]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownName(text.to_owned()))
    }
}

/// How urgent a conversation is; the queue goes by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Can wait.
    Low,
    /// The default.
    Normal,
    /// Before the others.
    High,
    /// Before all others.
    Urgent,
}

impl Priority {
    /// The priority's name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Urgent => "urgent",
        }
    }
}

impl std::str::FromStr for Priority {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        [Self::Low, Self::Normal, Self::High, Self::Urgent]
            .into_iter()
            .find(|priority| priority.as_str() == text)
            .ok_or_else(|| UnknownName(text.to_owned()))
    }
}

/// A fact's place in its conversation: platform time, then event id as a number, then our own id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Order {
    /// The platform's time; the database's where the platform has none.
    pub at: Timestamp,
    /// The platform's event id, 0 where there is none.
    pub no: i64,
    /// The message's own id, or the act's.
    pub id: Uuid,
}

/// Something that happened in a conversation and changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fact {
    /// Where it belongs.
    pub order: Order,
    /// Its instant for clocks: the platform's time, clamped where that lies ahead of ours.
    pub clock_at: Timestamp,
    /// The conversation's last `seq` when it was stored or, for a reply, queued: what its author
    /// could have seen.
    pub stored_seq: i64,
    /// What it was.
    pub kind: FactKind,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactKind {
    /// The customer wrote.
    Inbound(MessageId),
    /// A message of ours that the platform accepted.
    Reply(Reply),
    /// A member or the system changed the status by itself.
    Act(Act),
}

/// A message of ours, once the platform has accepted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// Which message.
    pub message: MessageId,
    /// Whether a person wrote it: a member, or somebody in the platform's own app.
    pub human: bool,
    /// Whether it was written in Roost, so that its author saw what Roost showed.
    pub in_roost: bool,
    /// What the author asked for; takes effect with the acceptance.
    pub then: Option<Then>,
}

/// The status an author asks for together with a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Wait for the customer.
    Pending,
    /// We still owe something.
    Open,
    /// Done.
    Resolved,
    /// Come back at this instant.
    Snoozed(Timestamp),
}

/// A change of status that is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A member set it open, or a snooze ended.
    Open,
    /// A member set it pending.
    Pend,
    /// A member put it away until an instant.
    Snooze(Timestamp),
    /// A member closed it.
    Resolve,
    /// The snooze ran out.
    Wake,
    /// A member said that what the customer wrote last asks for no reply.
    NoReply,
    /// It was closed over its head, and its clocks with it.
    Close(Closing),
    /// Its channel was disconnected by a member: its clocks end, its status stays.
    Disconnect,
}

/// What ended a conversation's clocks from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// The contact was blocked.
    Blocked,
    /// The contact was erased.
    Erased,
    /// The channel was disconnected by a member.
    Disconnected,
}

/// A platform time for the use of clocks: one that lies more than 5 min ahead of the instant at
/// which the database stored it is taken as that instant. The order of messages never clamps.
#[must_use]
pub fn clamp_for_clocks(platform_at: Timestamp, stored_at: Timestamp) -> Timestamp {
    let ahead = platform_at.duration_since(stored_at);
    if ahead > jiff::SignedDuration::from_mins(5) {
        stored_at
    } else {
        platform_at
    }
}

/// Where an inbound message goes when its identity has no unresolved conversation.
///
/// `resolved_at` is when the last one was resolved; `window_hours` 0 means never reopen.
#[must_use]
pub fn reopens(resolved_at: Timestamp, message_at: Timestamp, window_hours: u32) -> bool {
    window_hours > 0
        && message_at.duration_since(resolved_at)
            < jiff::SignedDuration::from_hours(i64::from(window_hours))
}
