//! What folding does to stored clocks.

use std::collections::HashMap;

use jiff::Timestamp;
use roost_domain::conversation::{ClockEnd, ClockFold, ClockOp, RunningClock};
use roost_domain::event::EventType;
use roost_domain::ids::{ClockId, ConversationId, MessageId};
use roost_domain::sla::{Firing, Timer, Verdict, judge};
use serde_json::{Value, json};
use uuid::Uuid;

use super::rows::FiringRow;
use super::{Cause, Ledger, Policy, StoredClock};

impl StoredClock {
    /// The part of it that firing depends on.
    #[must_use]
    pub fn timer(&self) -> Timer {
        Timer {
            warn_at: self.warn_at,
            due_at: self.due_at,
            warning_percent: self.target.warning_percent,
            warned: self.warned_at.is_some(),
            breached: self.breached_at.is_some(),
        }
    }

    /// What its events tell.
    #[must_use]
    pub fn view(&self) -> Value {
        let overdue = match (self.settled_at, self.state.as_str()) {
            (Some(at), "met_late") => Some(at.duration_since(self.due_at).as_secs()),
            _ => None,
        };
        json!({
            "id": self.id,
            "kind": self.kind.as_str(),
            "cycle": self.cycle,
            "state": if self.state == "running" && self.breached_at.is_some() { "breached" } else { &self.state },
            "policy_id": self.policy,
            "target_seconds": self.target.seconds,
            "started_at": self.started_at,
            "due_at": self.due_at,
            "warned_at": self.warned_at,
            "breached_at": self.breached_at,
            "fired_at": self.fired_at,
            "settled_at": self.settled_at,
            "overdue_seconds": overdue,
        })
    }

    fn start(
        policy: &Policy,
        cycle: i32,
        clock: RunningClock,
        started_by: MessageId,
    ) -> Option<Self> {
        let target = policy.target(clock.kind)?;
        let mut stored = Self {
            id: ClockId(Uuid::now_v7()),
            cycle,
            kind: clock.kind,
            ordinal: clock.ordinal,
            state: "running".to_owned(),
            policy: policy.id,
            target,
            started_at: clock.started_at,
            started_by: started_by.0,
            due_at: target.due(clock.started_at),
            warn_at: target.warning(clock.started_at),
            next_fire_at: None,
            warned_at: None,
            breached_at: None,
            fired_at: None,
            settled_at: None,
            settled_by: None,
            verdict_no: 0,
            is_withdrawn: false,
            told: Vec::new(),
        };
        stored.next_fire_at = stored.timer().next_fire_at();
        Some(stored)
    }

    fn has_ended_like(&self, end: Option<ClockEnd>) -> bool {
        match end {
            None => self.state == "running",
            Some(ClockEnd::Answered(at, by)) => {
                self.state.starts_with("met")
                    && self.settled_at == Some(at)
                    && self.settled_by == Some(by.0)
            }
            Some(ClockEnd::Cancelled(at)) => {
                self.state == "cancelled" && self.settled_at == Some(at)
            }
        }
    }

    fn run_again(&mut self) {
        "running".clone_into(&mut self.state);
        self.settled_at = None;
        self.settled_by = None;
        self.next_fire_at = self.timer().next_fire_at();
    }
}

impl Ledger {
    pub(super) fn run_clock(&mut self, id: ConversationId, op: ClockOp, cause: &Cause) {
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        match op {
            ClockOp::Start(clock, message) => {
                let Some(policy) = self.policies.get(&conversation.brand) else {
                    return;
                };
                let Some(stored) =
                    StoredClock::start(policy, conversation.state.cycle, clock, message)
                else {
                    return;
                };
                conversation.clock = Some(stored.clone());
                self.put_clock(id, stored.clone());
                self.emit(id, EventType::SlaStarted, cause, Some(stored.view()));
            }
            ClockOp::End(_, end) => {
                // A policy without a target for this kind has no clock to end.
                if let Some(mut stored) = conversation.clock.take() {
                    self.settle(id, &mut stored, end, cause);
                    self.put_clock(id, stored);
                }
            }
        }
    }

    /// Ends a clock, with the verdict. A breach that nobody has told yet is told now: a breach is
    /// never dropped. One that a better-informed answer disproves is withdrawn.
    fn settle(
        &mut self,
        id: ConversationId,
        clock: &mut StoredClock,
        end: ClockEnd,
        cause: &Cause,
    ) {
        let (ended_at, state, kind) = match end {
            ClockEnd::Answered(at, by) => {
                clock.settled_by = Some(by.0);
                match judge(clock.due_at, at) {
                    Verdict::Met => (at, "met", EventType::SlaMet),
                    Verdict::MetLate { .. } => (at, "met_late", EventType::SlaMet),
                }
            }
            ClockEnd::Cancelled(at) => (at, "cancelled", EventType::SlaCancelled),
        };
        self.review(id, clock, ended_at, cause);
        if ended_at > clock.due_at && clock.breached_at.is_none() {
            self.fire(id, clock, Firing::Breach);
        }
        state.clone_into(&mut clock.state);
        clock.settled_at = Some(ended_at);
        clock.next_fire_at = None;
        self.emit(id, kind, cause, Some(clock.view()));
    }

    /// Looks at a recorded breach anew: withdrawn if the clock had not run out by then, else it stands
    /// at the due instant that late news may have moved.
    fn review(
        &mut self,
        id: ConversationId,
        clock: &mut StoredClock,
        until: Timestamp,
        cause: &Cause,
    ) {
        if clock.breached_at.is_none() {
            return;
        }
        if until <= clock.due_at {
            clock.breached_at = None;
            clock.verdict_no += 1;
            // A breach of the next verdict is news again.
            clock.told.clear();
            self.emit(id, EventType::SlaBreachWithdrawn, cause, Some(clock.view()));
        } else {
            clock.breached_at = Some(clock.due_at);
        }
    }

    /// Tells a warning or a breach once, and answers whether it did: the row in `sla_firings` is its
    /// key, and the conversation's lock lets nobody else write one meanwhile.
    pub fn fire(&mut self, id: ConversationId, clock: &mut StoredClock, firing: Firing) -> bool {
        let Some(conversation) = self.conversations.get(&id) else {
            return false;
        };
        let key = firing.key();
        let is_news = !clock.told.contains(&key);
        if is_news {
            self.firings.push(FiringRow {
                brand_id: conversation.brand.0,
                clock_id: clock.id.0,
                what: key.clone(),
                verdict_no: clock.verdict_no,
                fired_at: self.now,
            });
            clock.told.push(key);
        }
        let kind = match firing {
            Firing::Warning(_) => {
                clock.warned_at = Some(self.now);
                EventType::SlaWarning
            }
            Firing::Breach => {
                clock.breached_at = Some(clock.due_at);
                clock.fired_at = Some(self.now);
                EventType::SlaBreached
            }
        };
        clock.next_fire_at = clock.timer().next_fire_at();
        if is_news {
            self.emit(id, kind, &Cause::system(), Some(clock.view()));
        }
        is_news
    }

    /// Fires what is due on a conversation's running clock; answers what was told.
    pub fn fire_due(&mut self, id: ConversationId) -> Vec<Firing> {
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return Vec::new();
        };
        let Some(mut clock) = conversation.clock.take() else {
            return Vec::new();
        };
        let due = clock.timer().fire(self.now);
        let is_due = !due.is_empty();
        let told = due
            .into_iter()
            .filter(|firing| self.fire(id, &mut clock, *firing))
            .collect();
        if is_due {
            self.put_clock(id, clock.clone());
        }
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.clock = Some(clock);
        }
        told
    }

    /// Brings stored clocks to what a fold says, changing only what differs.
    pub(super) fn match_clocks(
        &mut self,
        id: ConversationId,
        folded: &[ClockFold],
        stored: Vec<StoredClock>,
        cause: &Cause,
    ) {
        let place = |clock: &StoredClock| (clock.cycle, clock.kind, clock.ordinal);
        let mut known: HashMap<_, StoredClock> = stored
            .into_iter()
            .map(|clock| (place(&clock), clock))
            .collect();
        // Clocks that this transaction started before a late fact came are not stored yet.
        for (_, of, clock) in &self.clocks {
            if *of == id && !clock.is_withdrawn {
                known.insert(place(clock), clock.clone());
            }
        }
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        conversation.clock = None;
        let Some(policy) = self.policies.get(&conversation.brand).copied() else {
            return;
        };
        for wanted in folded {
            let key = (wanted.cycle, wanted.clock.kind, wanted.clock.ordinal);
            let clock = match known.remove(&key) {
                Some(clock) => self.match_clock(id, clock, wanted, cause),
                None => self.match_new_clock(id, &policy, wanted, cause),
            };
            if let (Some(clock), Some(conversation)) = (clock, self.conversations.get_mut(&id))
                && wanted.end.is_none()
            {
                conversation.clock = Some(clock);
            }
        }
        let mut left: Vec<StoredClock> = known.into_values().collect();
        left.sort_by_key(|clock| clock.id);
        for clock in left {
            self.withdraw(id, clock, cause);
        }
    }

    /// Puts a clock to rest of which the fold knows nothing: its cause turned out to be something else.
    /// Its place is free for another, and it never fires again.
    fn withdraw(&mut self, id: ConversationId, mut clock: StoredClock, cause: &Cause) {
        if clock.breached_at.take().is_some() {
            clock.verdict_no += 1;
            self.emit(id, EventType::SlaBreachWithdrawn, cause, Some(clock.view()));
        }
        clock.is_withdrawn = true;
        clock.next_fire_at = None;
        if clock.state != "cancelled" {
            "cancelled".clone_into(&mut clock.state);
            clock.settled_at = Some(self.now);
            clock.settled_by = None;
            self.emit(id, EventType::SlaCancelled, cause, Some(clock.view()));
        }
        self.put_clock(id, clock);
    }

    fn match_new_clock(
        &mut self,
        id: ConversationId,
        policy: &Policy,
        wanted: &ClockFold,
        cause: &Cause,
    ) -> Option<StoredClock> {
        let mut clock = StoredClock::start(policy, wanted.cycle, wanted.clock, wanted.started_by)?;
        self.emit(id, EventType::SlaStarted, cause, Some(clock.view()));
        if let Some(end) = wanted.end {
            self.settle(id, &mut clock, end, cause);
        }
        self.put_clock(id, clock.clone());
        Some(clock)
    }

    fn match_clock(
        &mut self,
        id: ConversationId,
        mut clock: StoredClock,
        wanted: &ClockFold,
        cause: &Cause,
    ) -> Option<StoredClock> {
        let before = clock.clone();
        let started_at: Timestamp = wanted.clock.started_at;
        let is_moved = clock.started_at != started_at;
        clock.started_by = wanted.started_by.0;
        if is_moved {
            clock.started_at = started_at;
            clock.due_at = clock.target.due(started_at);
            clock.warn_at = clock.target.warning(started_at);
            self.review(id, &mut clock, self.now, cause);
        }
        if is_moved || !clock.has_ended_like(wanted.end) {
            clock.run_again();
            if is_moved || wanted.end.is_none() {
                self.emit(id, EventType::SlaRetargeted, cause, Some(clock.view()));
            }
            if let Some(end) = wanted.end {
                self.settle(id, &mut clock, end, cause);
            }
        }
        if clock != before {
            self.put_clock(id, clock.clone());
        }
        Some(clock)
    }

    fn put_clock(&mut self, id: ConversationId, clock: StoredClock) {
        let Some(conversation) = self.conversations.get(&id) else {
            return;
        };
        let brand = conversation.brand;
        self.clocks.retain(|(_, _, known)| known.id != clock.id);
        self.clocks.push((brand, id, clock));
    }
}
