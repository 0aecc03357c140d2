//! Which conversation a message belongs to.

use jiff::Timestamp;
use roost_domain::conversation::{Status, reopens};
use roost_domain::ids::ConversationId;

/// A conversation that a message of its identity may belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) id: ConversationId,
    pub(crate) status: Status,
    pub(crate) opened_at: Timestamp,
    pub(crate) resolved_at: Option<Timestamp>,
    /// Whether its contact was blocked since: the next message opens another.
    pub(crate) is_closed_for_good: bool,
}

/// What a message is to the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// The customer wrote.
    Inbound,
    /// We wrote.
    Outbound,
    /// Older than the channel's connection.
    History,
}

/// The conversation that a message joins; none means that it begins one.
///
/// An unresolved conversation takes every message, a late one too: nothing is opened in the past,
/// and what the customer said belongs where somebody will read it. Without one, the customer's
/// message reopens the last within the window; one of ours joins the last and changes no status.
pub(crate) fn place(
    candidates: &[Candidate],
    incoming: Incoming,
    at: Timestamp,
    window_hours: u32,
) -> Option<ConversationId> {
    if let Some(current) = candidates
        .iter()
        .find(|candidate| candidate.status != Status::Resolved)
    {
        return Some(current.id);
    }
    let last = candidates
        .iter()
        .max_by_key(|candidate| (candidate.opened_at, candidate.id))?;
    match incoming {
        Incoming::Outbound | Incoming::History => Some(last.id),
        Incoming::Inbound => {
            let resolved_at = last.resolved_at.unwrap_or(last.opened_at);
            let is_back = !last.is_closed_for_good && reopens(resolved_at, at, window_hours);
            is_back.then_some(last.id)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).unwrap()
    }

    fn candidate(id: u128, status: Status, opened: i64, resolved: Option<i64>) -> Candidate {
        Candidate {
            id: ConversationId(Uuid::from_u128(id)),
            status,
            opened_at: at(opened),
            resolved_at: resolved.map(at),
            is_closed_for_good: false,
        }
    }

    #[test]
    fn an_unresolved_conversation_takes_every_message() {
        let old = candidate(1, Status::Resolved, 0, Some(5));
        let current = candidate(2, Status::Snoozed, 100, None);
        for (incoming, hour) in [
            (Incoming::Inbound, 200),
            (Incoming::Inbound, 1),
            (Incoming::Outbound, 50),
        ] {
            assert_eq!(
                place(&[old, current], incoming, at(hour), 72),
                Some(current.id)
            );
        }
    }

    #[test]
    fn a_message_within_the_window_reopens_and_after_it_begins_anew() {
        let last = candidate(1, Status::Resolved, 0, Some(10));
        assert_eq!(place(&[last], Incoming::Inbound, at(81), 72), Some(last.id));
        assert_eq!(place(&[last], Incoming::Inbound, at(82), 72), None);
        assert_eq!(place(&[last], Incoming::Inbound, at(11), 0), None);
        assert_eq!(place(&[], Incoming::Inbound, at(11), 72), None);
    }

    #[test]
    fn what_was_closed_by_a_block_never_reopens_but_takes_our_own_message() {
        let last = Candidate {
            is_closed_for_good: true,
            ..candidate(1, Status::Resolved, 0, Some(10))
        };
        assert_eq!(place(&[last], Incoming::Inbound, at(11), 72), None);
        assert_eq!(
            place(&[last], Incoming::Outbound, at(11), 72),
            Some(last.id)
        );
    }

    #[test]
    fn our_own_message_joins_the_last_conversation_however_old() {
        let older = candidate(2, Status::Resolved, 0, Some(1));
        let last = candidate(1, Status::Resolved, 5, Some(10));
        assert_eq!(
            place(&[older, last], Incoming::Outbound, at(5000), 72),
            Some(last.id)
        );
        assert_eq!(
            place(&[older, last], Incoming::History, at(1), 72),
            Some(last.id)
        );
    }
}
