//! What facts do to stored clocks, one after another.

use jiff::Timestamp;
use roost_domain::conversation::{ClockEnd, ClockOp, Status};
use roost_domain::event::EventType;
use roost_domain::ids::{ConversationId, MessageId};
use roost_domain::sla::{Circumstances, ClockKind, Firing, Verdict, judge};
use serde_json::{Map, Value};

use super::clocks::reason;
use super::rulebook::{Rules, Terms};
use super::{Cause, Conversation, Ledger, StoredClock};

impl Conversation {
    /// What policies are judged by, as a clock starts.
    pub(super) fn circumstances(&self) -> Circumstances {
        Circumstances {
            channel: self.channel,
            team: self.team,
            priority: self.priority,
            labels: self.about.labels.clone(),
            contact_attributes: self.about.contact_attributes.clone(),
            new_contact: self.about.is_first,
        }
    }

    /// By which instant the queue has to have it: the earliest of its running response and assignment
    /// clocks.
    #[must_use]
    pub fn due_in_queue(&self) -> Option<Timestamp> {
        self.clocks
            .iter()
            .filter(|clock| clock.kind != ClockKind::Resolution)
            .filter_map(|clock| clock.due_at)
            .min()
    }

    /// Whether a response clock runs.
    #[must_use]
    pub fn is_answer_due(&self) -> bool {
        self.clock(ClockKind::FirstResponse)
            .or(self.clock(ClockKind::NextResponse))
            .is_some()
    }

    pub(super) fn clock(&self, kind: ClockKind) -> Option<&StoredClock> {
        self.clocks.iter().find(|clock| clock.kind == kind)
    }
}

impl Ledger {
    pub(super) fn run_clock(&mut self, id: ConversationId, op: ClockOp, cause: &Cause) {
        match op {
            ClockOp::Start(clock, message) => {
                let Some(terms) = self.terms(id, clock.kind) else {
                    return;
                };
                let Some(conversation) = self.conversations.get(&id) else {
                    return;
                };
                let priority = conversation.priority;
                let stored = StoredClock::start(&terms, priority, clock, message, self.now);
                self.put_clock(id, stored.clone());
                self.emit(id, EventType::SlaStarted, cause, Some(stored.view()));
            }
            // Its row has ended and isn't held: the conversation is folded anew for it.
            ClockOp::TakeUp(..) => {}
            ClockOp::Status(clock, status, at) => {
                if let Some((mut stored, rules)) = self.live_clock(id, clock.kind) {
                    self.enter_status(id, &mut stored, &rules, status, at, cause);
                    self.put_clock(id, stored);
                }
            }
            ClockOp::End(clock, end) => {
                // A policy without a target for this kind has no clock to end.
                if let Some((mut stored, rules)) = self.live_clock(id, clock.kind) {
                    self.settle(id, &mut stored, &rules, end, cause);
                    self.put_clock(id, stored);
                }
            }
        }
    }

    /// What the present policies give to a clock of this kind.
    pub(super) fn terms(&self, id: ConversationId, kind: ClockKind) -> Option<Terms> {
        let conversation = self.conversations.get(&id)?;
        let of = conversation.circumstances();
        let policy = self.rulebook.matching(conversation.brand, &of)?;
        self.rulebook
            .terms(policy, kind, conversation.priority, None)
    }

    pub(super) fn live_clock(
        &self,
        id: ConversationId,
        kind: ClockKind,
    ) -> Option<(StoredClock, Rules)> {
        let clock = self.conversations.get(&id)?.clock(kind)?.clone();
        let rules = self.rulebook.rules(clock.policy, clock.calendar)?;
        Some((clock, rules))
    }

    pub(super) fn enter_status(
        &mut self,
        id: ConversationId,
        clock: &mut StoredClock,
        rules: &Rules,
        status: Status,
        at: Timestamp,
        cause: &Cause,
    ) {
        let Some(rests) = clock.enter(rules, status, at) else {
            return;
        };
        let (what, kind) = if rests {
            ("paused", EventType::SlaPaused)
        } else {
            ("resumed", EventType::SlaResumed)
        };
        let why = Map::from_iter([("status".to_owned(), Value::from(status.as_str()))]);
        clock.tell(what, at, None, why);
        self.emit(id, kind, cause, Some(clock.view()));
    }

    /// Ends a clock, with the verdict. A breach that nobody has told yet is told now: a breach is
    /// never dropped. One that a better-informed answer disproves is withdrawn.
    pub(super) fn settle(
        &mut self,
        id: ConversationId,
        clock: &mut StoredClock,
        rules: &Rules,
        end: ClockEnd,
        cause: &Cause,
    ) {
        let (ended_at, by) = match end {
            ClockEnd::Answered(at, by) => (at, Some(by)),
            ClockEnd::Resolved(at) | ClockEnd::Cancelled(at, _) => (at, None),
        };
        self.review(id, clock, ended_at, cause);
        let verdict = clock
            .due_at
            .map_or(Verdict::Met, |due| judge(due, ended_at));
        if verdict == Verdict::MetLate && clock.breached_at.is_none() {
            self.fire(id, clock, rules, Firing::Breach);
        }
        clock.settled_by = by.map(|message| message.0);
        clock.cancelled_as = None;
        let (state, what, kind) = match (end, verdict) {
            (ClockEnd::Cancelled(_, why), _) => {
                clock.cancelled_as = Some(reason(why).to_owned());
                ("cancelled", "cancelled", EventType::SlaCancelled)
            }
            (_, Verdict::Met) => ("met", "met", EventType::SlaMet),
            (_, Verdict::MetLate) => ("met_late", "met_late", EventType::SlaMet),
        };
        self.end_clock(id, clock, rules, (state, what, kind), ended_at, by, cause);
    }

    #[expect(clippy::too_many_arguments, reason = "what an end is made of")]
    pub(super) fn end_clock(
        &mut self,
        id: ConversationId,
        clock: &mut StoredClock,
        rules: &Rules,
        (state, what, kind): (&str, &str, EventType),
        ended_at: Timestamp,
        by: Option<MessageId>,
        cause: &Cause,
    ) {
        let used = clock.used(rules, ended_at).as_millis();
        clock.used_ms = Some(i64::try_from(used).unwrap_or(i64::MAX));
        state.clone_into(&mut clock.state);
        clock.settled_at = Some(ended_at);
        clock.next_fire_at = None;
        let why = clock.cancelled_as.as_deref().map(Value::from);
        let why = why.map(|why| ("why".to_owned(), why)).into_iter().collect();
        clock.tell(what, ended_at, by.map(|message| message.to_string()), why);
        self.emit(id, kind, cause, Some(clock.view()));
    }

    /// Looks at a recorded breach anew: withdrawn if the clock had not run out by then, else it stands
    /// at the due instant that late news may have moved.
    pub(super) fn review(
        &mut self,
        id: ConversationId,
        clock: &mut StoredClock,
        until: Timestamp,
        cause: &Cause,
    ) {
        if clock.breached_at.is_none() {
            return;
        }
        match clock.due_at {
            Some(due_at) if until > due_at => clock.breached_at = Some(due_at),
            _ => self.withdraw_breach(id, clock, cause),
        }
    }

    pub(super) fn withdraw_breach(
        &mut self,
        id: ConversationId,
        clock: &mut StoredClock,
        cause: &Cause,
    ) {
        clock.breached_at = None;
        clock.fired_at = None;
        clock.verdict_no += 1;
        clock.escalations_done = 0;
        // A breach of the next verdict is news again; a warning is given once, whatever becomes of it.
        clock.told.retain(|what| what.starts_with("warning:"));
        clock.tell("breach_withdrawn", self.now, None, Map::new());
        self.emit(id, EventType::SlaBreachWithdrawn, cause, Some(clock.view()));
        self.take_back(id, clock);
    }

    /// Keeps a changed clock, for the log's end and among those that the conversation holds.
    pub(super) fn put_clock(&mut self, id: ConversationId, clock: StoredClock) {
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        conversation.clocks.retain(|known| known.id != clock.id);
        if clock.is_live() && !clock.is_withdrawn {
            conversation.clocks.push(clock.clone());
        }
        let entry = (conversation.brand, id, clock);
        let known = self
            .clocks
            .iter_mut()
            .find(|(_, _, known)| known.id == entry.2.id);
        match known {
            Some(known) => *known = entry,
            None => self.clocks.push(entry),
        }
    }
}
