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
/// and what the customer said belongs where somebody will read it. Without one, a message joins the
/// conversation of its time. Between two, the customer's joins the earlier within its window, else the
/// later; ours joins the earlier. After the last, the customer's reopens it within the window; ours joins
/// it and changes no status.
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
    let newest = |candidate: &&Candidate| (candidate.opened_at, candidate.id);
    if incoming == Incoming::History {
        return candidates.iter().max_by_key(newest).map(|last| last.id);
    }
    // The one that was last at work by then: one that was reopened may have outlasted a newer one.
    let before = candidates
        .iter()
        .filter(|candidate| candidate.opened_at <= at)
        .max_by_key(|candidate| (candidate.over_at().min(at), newest(candidate)));
    let after = candidates
        .iter()
        .filter(|candidate| candidate.opened_at > at)
        .min_by_key(newest);
    before
        .filter(|earlier| {
            let over_at = earlier.over_at();
            incoming == Incoming::Outbound
                || !earlier.is_closed_for_good
                    && (at <= over_at || reopens(over_at, at, window_hours))
        })
        .or(after)
        .map(|candidate| candidate.id)
}

impl Candidate {
    fn over_at(&self) -> Timestamp {
        self.resolved_at.unwrap_or(self.opened_at)
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
    fn a_late_message_between_two_joins_the_earlier_within_its_window_else_the_later() {
        let earlier = candidate(1, Status::Resolved, 0, Some(10));
        let later = candidate(2, Status::Resolved, 200, Some(210));
        let both = [later, earlier];
        let inbound = |hour| place(&both, Incoming::Inbound, at(hour), 72);
        assert_eq!(inbound(50), Some(earlier.id));
        assert_eq!(inbound(82), Some(later.id), "the window is half open");
        assert_eq!(inbound(199), Some(later.id));
        assert_eq!(inbound(5), Some(earlier.id), "while the earlier one ran");
        assert_eq!(inbound(205), Some(later.id));
        assert_eq!(inbound(-5), Some(earlier.id), "before all");
        assert_eq!(inbound(281), Some(later.id));
        assert_eq!(inbound(282), None);
    }

    #[test]
    fn nothing_is_opened_for_a_time_before_the_last_resolve_even_without_a_window() {
        let earlier = candidate(1, Status::Resolved, 0, Some(10));
        let later = candidate(2, Status::Resolved, 200, Some(210));
        for hour in [-5, 5, 10, 50, 150, 205, 210] {
            assert!(place(&[earlier, later], Incoming::Inbound, at(hour), 0).is_some());
        }
        assert_eq!(
            place(&[earlier, later], Incoming::Inbound, at(211), 0),
            None
        );
    }

    #[test]
    fn a_conversation_that_outlasted_a_newer_one_is_the_last() {
        let outlasting = candidate(1, Status::Resolved, 0, Some(500));
        let newer = candidate(2, Status::Resolved, 100, Some(110));
        let inbound = |hour| place(&[outlasting, newer], Incoming::Inbound, at(hour), 72);
        assert_eq!(inbound(105), Some(newer.id));
        assert_eq!(inbound(300), Some(outlasting.id));
        assert_eq!(inbound(520), Some(outlasting.id));
        assert_eq!(inbound(572), None);
    }

    #[test]
    fn our_own_late_message_joins_the_conversation_of_its_time() {
        let earlier = candidate(1, Status::Resolved, 0, Some(10));
        let later = candidate(2, Status::Resolved, 200, Some(210));
        let ours = |hour| place(&[later, earlier], Incoming::Outbound, at(hour), 72);
        assert_eq!(ours(5), Some(earlier.id));
        assert_eq!(ours(150), Some(earlier.id));
        assert_eq!(ours(200), Some(later.id));
        assert_eq!(ours(-1), Some(earlier.id));
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
