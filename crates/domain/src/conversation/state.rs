//! The state of a conversation, and what one newer fact does to it.

use jiff::{SignedDuration, Timestamp};

use super::{Act, Closing, Fact, FactKind, Order, Reply, Status, Then};
use crate::ids::MessageId;
use crate::sla::ClockKind;

/// A customer who writes again in this time takes up the first-response clock that a resolve without an
/// answer has cancelled.
const TAKES_UP_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// A running clock of a conversation; of the response clocks there is at most one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunningClock {
    /// What it measures.
    pub kind: ClockKind,
    /// The cycle that it began in.
    pub cycle: i32,
    /// Its number among its kind in the cycle, from 1.
    pub ordinal: i32,
    /// The platform time of the message that started it.
    pub started_at: Timestamp,
}

/// The folded part of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// Who owes the next step.
    pub status: Status,
    /// The stretch from opening or reopening to resolve, from 1; 0 before anything happened.
    pub cycle: i32,
    /// When the cycle began (platform time of the message that began it).
    pub cycle_started_at: Timestamp,
    /// The platform time of the oldest customer message that no human has answered.
    pub waiting_since: Option<Timestamp>,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// When a snooze ends.
    pub snoozed_until: Option<Timestamp>,
    /// The response clock that runs.
    pub running: Option<RunningClock>,
    /// A first-response clock that a resolve without an answer has cancelled.
    pub lapsed: Option<RunningClock>,
    /// Whether this cycle had its first-response clock, or needs none because we wrote first.
    pub first_response_done: bool,
    /// How many next-response clocks this cycle had.
    pub next_responses: i32,
    /// The place of the newest fact so far.
    pub last: Option<Order>,
    /// The `stored_seq` of the customer message stored last: what nobody could have seen before.
    pub last_inbound_seq: i64,
}

/// How a clock ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockEnd {
    /// A human reply was accepted at this instant.
    Answered(Timestamp, MessageId),
    /// The conversation was resolved at this instant, which is what the clock was for.
    Resolved(Timestamp),
    /// What it was for fell away at this instant.
    Cancelled(Timestamp, Cancellation),
}

/// Why what a clock was for fell away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancellation {
    /// The conversation was resolved without an answer.
    Resolved,
    /// A member said that no reply is needed.
    NoReplyNeeded,
    /// What closed it was none of the customer's or the member's doing in the conversation.
    Closed(Closing),
}

/// What has to happen to a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockOp {
    /// A clock starts, caused by this message if by one of the customer's.
    Start(RunningClock, Option<MessageId>),
    /// A cancelled clock goes on from its own start as if it had not been cancelled.
    TakeUp(RunningClock, MessageId),
    /// The conversation's status changed at this instant: some clocks rest in some statuses.
    Status(RunningClock, Status, Timestamp),
    /// The running clock ends.
    End(RunningClock, ClockEnd),
}

/// What a fact did, for the log and the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The conversation began.
    Opened,
    /// It came back: a new cycle.
    Reopened,
    /// Its status changed from this one.
    Status(Status),
    /// A clock started, changed or ended.
    Clock(ClockOp),
}

impl State {
    /// A conversation before its first fact.
    #[must_use]
    pub fn blank() -> Self {
        Self {
            status: Status::Resolved,
            cycle: 0,
            cycle_started_at: Timestamp::UNIX_EPOCH,
            waiting_since: None,
            resolved_at: None,
            snoozed_until: None,
            running: None,
            lapsed: None,
            first_response_done: false,
            next_responses: 0,
            last: None,
            last_inbound_seq: 0,
        }
    }

    /// Whether [`State::apply`] may take this fact: it is newer than all before, its author saw every
    /// customer message, and no clock that has ended is needed for it. Otherwise the conversation has to
    /// be folded anew.
    #[must_use]
    pub fn is_next(&self, fact: &Fact) -> bool {
        if fact.kind == FactKind::Act(Act::NoReply) {
            // It goes back to a state before the last.
            return false;
        }
        if self.lapsed.is_some() && matches!(fact.kind, FactKind::Inbound(_)) {
            return false;
        }
        let newer = self.last.is_none_or(|last| fact.order > last);
        newer && !(fact.made_in_roost() && fact.stored_seq < self.last_inbound_seq)
    }

    /// Folds one fact that comes after all before, and says what it did.
    pub fn apply(&mut self, fact: &Fact) -> Vec<Effect> {
        let mut effects = Vec::new();
        match fact.kind {
            FactKind::Inbound(message) => {
                self.last_inbound_seq = self.last_inbound_seq.max(fact.stored_seq);
                self.hear(message, fact.clock_at, &mut effects);
            }
            FactKind::Reply(reply) => self.reply(reply, fact.clock_at, &mut effects),
            FactKind::Act(act) => self.act(act, fact.clock_at, &mut effects),
        }
        self.last = self.last.max(Some(fact.order));
        effects
    }

    /// A customer message that we owe an answer to.
    pub(super) fn hear(&mut self, message: MessageId, at: Timestamp, effects: &mut Vec<Effect>) {
        let mut taken_up = None;
        match self.status {
            Status::Open => {}
            Status::Pending | Status::Snoozed => self.set_status(Status::Open, at, effects),
            Status::Resolved => {
                taken_up = self.lapsed.filter(|_| {
                    self.resolved_at
                        .is_some_and(|resolved| at.duration_since(resolved) < TAKES_UP_WITHIN)
                });
                self.begin_cycle(at, Status::Open, Some(message), effects);
            }
        }
        self.waiting_since.get_or_insert(at);
        if self.running.is_some() {
            return;
        }
        if let Some(clock) = taken_up {
            self.first_response_done = true;
            self.running = taken_up;
            effects.push(Effect::Clock(ClockOp::TakeUp(clock, message)));
            return;
        }
        let (kind, ordinal) = if self.first_response_done {
            self.next_responses += 1;
            (ClockKind::NextResponse, self.next_responses)
        } else {
            self.first_response_done = true;
            (ClockKind::FirstResponse, 1)
        };
        let clock = RunningClock {
            kind,
            cycle: self.cycle,
            ordinal,
            started_at: at,
        };
        self.running = Some(clock);
        effects.push(Effect::Clock(ClockOp::Start(clock, Some(message))));
    }

    fn reply(&mut self, reply: Reply, at: Timestamp, effects: &mut Vec<Effect>) {
        if self.cycle == 0 {
            // We wrote first: the customer owes the next step and no first response is due.
            self.begin_cycle(at, Status::Pending, None, effects);
            self.first_response_done = true;
        }
        if reply.human {
            self.waiting_since = None;
            self.lapsed = None;
            self.end_clock(ClockEnd::Answered(at, reply.message), effects);
        }
        match reply.then {
            Some(Then::Open) => self.act(Act::Open, at, effects),
            Some(Then::Pending) => self.act(Act::Pend, at, effects),
            Some(Then::Snoozed(until)) => self.act(Act::Snooze(until), at, effects),
            Some(Then::Resolved) => self.act(Act::Resolve, at, effects),
            None if reply.human && self.status == Status::Open => {
                self.set_status(Status::Pending, at, effects);
            }
            None => {}
        }
    }

    fn act(&mut self, act: Act, at: Timestamp, effects: &mut Vec<Effect>) {
        let wanted = match act {
            // What was put away anew meanwhile wakes by its new end.
            Act::Wake if self.snoozed_until.is_none_or(|until| until > at) => return,
            // Only the fold knows what was before: it calls `dismiss`.
            Act::NoReply => return,
            Act::Disconnect => {
                let cut = Cancellation::Closed(Closing::Disconnected);
                self.end_clock(ClockEnd::Cancelled(at, cut), effects);
                if self.status != Status::Resolved {
                    self.end_resolution(ClockEnd::Cancelled(at, cut), effects);
                }
                return;
            }
            Act::Open | Act::Wake => Status::Open,
            Act::Pend => Status::Pending,
            Act::Snooze(_) => Status::Snoozed,
            Act::Resolve | Act::Close(_) => Status::Resolved,
        };
        let was = self.status;
        if was == Status::Resolved && wanted != Status::Resolved {
            self.begin_cycle(at, wanted, None, effects);
            // Reopened by ourselves: the customer waits for nothing new.
            self.first_response_done = true;
        }
        if wanted == Status::Resolved && was != Status::Resolved {
            let end = if let Act::Close(why) = act {
                ClockEnd::Cancelled(at, Cancellation::Closed(why))
            } else {
                ClockEnd::Resolved(at)
            };
            self.end_resolution(end, effects);
        }
        self.set_status(wanted, at, effects);
        if let Act::Snooze(until) = act {
            self.snoozed_until = Some(until);
        }
        if wanted == Status::Resolved {
            self.resolved_at.get_or_insert(at);
            self.waiting_since = None;
            let first = |clock: &RunningClock| clock.kind == ClockKind::FirstResponse;
            let why = if let Act::Close(why) = act {
                self.lapsed = None;
                Cancellation::Closed(why)
            } else {
                self.lapsed = self.running.filter(first).or(self.lapsed);
                Cancellation::Resolved
            };
            self.end_clock(ClockEnd::Cancelled(at, why), effects);
        }
    }

    /// Goes back to where it was before the customer's unanswered messages: `quiet` is the last state in
    /// which nobody waited. The cycle keeps its number.
    pub(super) fn dismiss(&mut self, quiet: &Self, at: Timestamp, effects: &mut Vec<Effect>) {
        if self.waiting_since.take().is_none() {
            return;
        }
        let end = ClockEnd::Cancelled(at, Cancellation::NoReplyNeeded);
        self.end_clock(end, effects);
        if quiet.status == Status::Resolved {
            self.end_resolution(end, effects);
        }
        self.set_status(quiet.status, at, effects);
        if quiet.status == Status::Resolved {
            self.resolved_at = quiet.resolved_at.or(Some(at));
        }
    }

    fn begin_cycle(
        &mut self,
        at: Timestamp,
        status: Status,
        by: Option<MessageId>,
        effects: &mut Vec<Effect>,
    ) {
        effects.push(if self.cycle == 0 {
            Effect::Opened
        } else {
            Effect::Reopened
        });
        self.cycle += 1;
        self.cycle_started_at = at;
        self.first_response_done = false;
        self.next_responses = 0;
        self.status = status;
        self.resolved_at = None;
        self.snoozed_until = None;
        self.lapsed = None;
        let clock = self.resolution();
        effects.push(Effect::Clock(ClockOp::Start(clock, by)));
        if status != Status::Open {
            effects.push(Effect::Clock(ClockOp::Status(clock, status, at)));
        }
    }

    fn set_status(&mut self, status: Status, at: Timestamp, effects: &mut Vec<Effect>) {
        if self.status != status {
            effects.push(Effect::Status(self.status));
            self.status = status;
            if status != Status::Resolved {
                let clock = self.resolution();
                effects.push(Effect::Clock(ClockOp::Status(clock, status, at)));
            }
        }
        if status != Status::Snoozed {
            self.snoozed_until = None;
        }
        if status != Status::Resolved {
            self.resolved_at = None;
        }
    }

    /// The clock from the cycle's start to its resolve.
    fn resolution(&self) -> RunningClock {
        RunningClock {
            kind: ClockKind::Resolution,
            cycle: self.cycle,
            ordinal: 1,
            started_at: self.cycle_started_at,
        }
    }

    fn end_resolution(&self, end: ClockEnd, effects: &mut Vec<Effect>) {
        effects.push(Effect::Clock(ClockOp::End(self.resolution(), end)));
    }

    fn end_clock(&mut self, end: ClockEnd, effects: &mut Vec<Effect>) {
        if let Some(clock) = self.running.take() {
            effects.push(Effect::Clock(ClockOp::End(clock, end)));
        }
    }
}

impl Fact {
    /// Whether its author worked in Roost, and so saw what Roost showed and no more.
    #[must_use]
    pub fn made_in_roost(&self) -> bool {
        match self.kind {
            FactKind::Inbound(_) | FactKind::Act(Act::Wake) => false,
            FactKind::Reply(reply) => reply.human && reply.in_roost,
            FactKind::Act(_) => true,
        }
    }
}
