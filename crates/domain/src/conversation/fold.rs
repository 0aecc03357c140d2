//! The whole of a conversation folded anew, for facts that come late.

use jiff::Timestamp;

use super::{Act, ClockEnd, ClockOp, Effect, Fact, FactKind, RunningClock, State, Status};
use crate::ids::MessageId;

/// A time that a conversation spent in a status other than open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Which status.
    pub status: Status,
    /// Since when.
    pub from: Timestamp,
    /// Until when; none while it lasts.
    pub until: Option<Timestamp>,
}

/// A clock as the fold sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockFold {
    /// Kind, cycle, number and start.
    pub clock: RunningClock,
    /// The customer's message that started it.
    pub started_by: Option<MessageId>,
    /// Of a resolution clock: when the conversation was not open, in order.
    pub stretches: Vec<Stretch>,
    /// How it ended; running while there is none.
    pub end: Option<ClockEnd>,
}

/// The outcome of a fold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// Where the conversation stands.
    pub state: State,
    /// Every clock of every cycle, in the order in which they started.
    pub clocks: Vec<ClockFold>,
}

/// Folds facts in any order; the answer depends only on their places and on what their authors saw.
#[must_use]
pub fn fold(facts: &[Fact]) -> Folded {
    let mut sorted: Vec<&Fact> = facts.iter().collect();
    sorted.sort_by_key(|fact| fact.order);
    let mut state = State::blank();
    let mut clocks = Vec::new();
    let mut quiet = state;
    let mut unseen = Unseen::default();
    for fact in sorted {
        if state.waiting_since.is_none() {
            quiet = state;
        }
        let mut effects = state.apply(fact);
        if fact.kind == FactKind::Act(Act::NoReply) {
            state.dismiss(&quiet, fact.clock_at, &mut effects);
        }
        track(&mut clocks, &effects);
        if let Some((message, at)) = unseen.after(fact) {
            let mut effects = Vec::new();
            state.hear(message, at, &mut effects);
            track(&mut clocks, &effects);
        }
    }
    Folded { state, clocks }
}

/// Customer messages so far that nobody who saw them has answered, in their order.
#[derive(Debug, Default)]
struct Unseen {
    messages: Vec<Heard>,
    /// The greatest `stored_seq` among them: an author who saw that one saw all.
    newest_seq: i64,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    message: MessageId,
    at: Timestamp,
    stored_seq: i64,
}

impl Unseen {
    /// The oldest customer message that stands before this fact and that its author can't have seen.
    /// What an author who answered did see was theirs to answer, and is no later author's oversight.
    fn after(&mut self, fact: &Fact) -> Option<(MessageId, Timestamp)> {
        match fact.kind {
            FactKind::Inbound(message) => self.heard(message, fact),
            // Who answers in the platform's own app sees all that the platform has.
            FactKind::Reply(reply) if reply.human && !reply.in_roost => self.answered(i64::MAX),
            FactKind::Reply(reply) if reply.human => self.answered(fact.stored_seq),
            FactKind::Act(Act::Resolve | Act::NoReply) => self.answered(fact.stored_seq),
            FactKind::Reply(_) | FactKind::Act(_) => {}
        }
        if !fact.made_in_roost() || self.newest_seq <= fact.stored_seq {
            return None;
        }
        let unseen = |heard: &&Heard| heard.stored_seq > fact.stored_seq;
        let oldest = self.messages.iter().find(unseen)?;
        Some((oldest.message, oldest.at))
    }

    fn heard(&mut self, message: MessageId, fact: &Fact) {
        self.newest_seq = self.newest_seq.max(fact.stored_seq);
        self.messages.push(Heard {
            message,
            at: fact.clock_at,
            stored_seq: fact.stored_seq,
        });
    }

    fn answered(&mut self, seen_seq: i64) {
        self.messages.retain(|heard| heard.stored_seq > seen_seq);
        if self.newest_seq <= seen_seq {
            self.newest_seq = 0;
        }
    }
}

fn track(clocks: &mut Vec<ClockFold>, effects: &[Effect]) {
    for effect in effects {
        let Effect::Clock(op) = *effect else {
            continue;
        };
        let (ClockOp::Start(clock, _)
        | ClockOp::TakeUp(clock, _)
        | ClockOp::Status(clock, ..)
        | ClockOp::End(clock, _)) = op;
        let known = clocks.iter_mut().rev().find(|known| known.clock == clock);
        match (op, known) {
            (ClockOp::Start(clock, started_by), _) => clocks.push(ClockFold {
                clock,
                started_by,
                stretches: Vec::new(),
                end: None,
            }),
            (ClockOp::TakeUp(..), Some(known)) => known.end = None,
            (ClockOp::Status(_, status, at), Some(known)) if known.end.is_none() => {
                enter(&mut known.stretches, status, at);
            }
            (ClockOp::End(_, end), Some(known)) if known.end.is_none() => {
                known.end = Some(end);
            }
            _ => {}
        }
    }
}

/// Ends the stretch that lasts, and begins another unless the conversation is open again.
pub fn enter(stretches: &mut Vec<Stretch>, status: Status, at: Timestamp) {
    if let Some(last) = stretches.last_mut()
        && last.until.is_none()
    {
        // What reopened it may be older than what its author had answered.
        last.until = Some(at.max(last.from));
    }
    if status != Status::Open {
        let from = stretches
            .last()
            .and_then(|last| last.until)
            .map_or(at, |ended| at.max(ended));
        stretches.push(Stretch {
            status,
            from,
            until: None,
        });
    }
}
