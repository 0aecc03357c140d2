//! Bringing stored clocks to what a fold says.

use std::collections::{HashMap, HashSet};

use roost_domain::conversation::{ClockEnd, ClockFold, Status, Stretch};
use roost_domain::event::EventType;
use roost_domain::ids::ConversationId;
use roost_domain::sla::{ClockKind, OnReopen};
use serde_json::Map;

use super::{Cause, Ledger, StoredClock};

/// A clock's place in its conversation.
pub(super) type Place = (i32, ClockKind, i32);

pub(super) fn place(clock: &ClockFold) -> Place {
    (clock.clock.cycle, clock.clock.kind, clock.clock.ordinal)
}

impl Ledger {
    /// Brings stored clocks to what a fold says, changing only what differs. `old` are the clocks that the
    /// facts known before gave: one of those that isn't stored had no target then, and gets none now.
    pub(super) fn match_clocks(
        &mut self,
        id: ConversationId,
        folded: &[ClockFold],
        old: &HashSet<Place>,
        stored: Vec<StoredClock>,
        cause: &Cause,
    ) {
        let place_of = |clock: &StoredClock| (clock.cycle, clock.kind, clock.ordinal);
        let mut known: HashMap<Place, StoredClock> = stored
            .into_iter()
            .map(|clock| (place_of(&clock), clock))
            .collect();
        // Clocks that this transaction started before a late fact came are not stored yet.
        for (_, of, clock) in &self.clocks {
            if *of == id && !clock.is_withdrawn {
                known.insert(place_of(clock), clock.clone());
            }
        }
        // Waits for an assignee are no facts of the fold.
        known.retain(|place, _| place.1 != ClockKind::Assignment);
        let folded = self.continued(id, folded, &known);
        for wanted in &folded {
            match known.remove(&place(wanted)) {
                Some(clock) => self.match_clock(id, clock, wanted, cause),
                None if old.contains(&place(wanted)) => {}
                None => self.match_new_clock(id, wanted, cause),
            }
        }
        let mut left: Vec<StoredClock> = known.into_values().collect();
        left.sort_by_key(|clock| clock.id);
        for clock in left {
            self.withdraw(id, clock, cause);
        }
    }

    /// Joins the resolution clocks of cycles where the policy says that a reopening continues.
    fn continued(
        &self,
        id: ConversationId,
        folded: &[ClockFold],
        known: &HashMap<Place, StoredClock>,
    ) -> Vec<ClockFold> {
        let mut joined: Vec<ClockFold> = Vec::new();
        let mut last: Option<usize> = None;
        for clock in folded {
            if clock.clock.kind != ClockKind::Resolution {
                joined.push(clock.clone());
                continue;
            }
            if let Some(before) = last.and_then(|index| joined.get_mut(index))
                && let Some(ClockEnd::Resolved(resolved_at)) = before.end
                && self.goes_on(id, known.get(&place(before)))
            {
                let until = clock.clock.started_at.max(resolved_at);
                before.stretches.push(Stretch {
                    status: Status::Resolved,
                    from: resolved_at,
                    until: Some(until),
                });
                before.stretches.extend(&clock.stretches);
                before.end = clock.end;
                continue;
            }
            last = Some(joined.len());
            joined.push(clock.clone());
        }
        joined
    }

    /// Whether a resolution clock's policy, or for a new one the present one, has it go on when the
    /// conversation comes back.
    fn goes_on(&self, id: ConversationId, stored: Option<&StoredClock>) -> bool {
        let rules = match stored {
            Some(clock) => self.rulebook.rules(clock.policy, clock.calendar),
            None => self
                .terms(id, ClockKind::Resolution)
                .map(|terms| terms.rules),
        };
        rules.is_some_and(|rules| rules.policy.on_reopen == OnReopen::Continue)
    }

    /// Puts a clock to rest of which the fold knows nothing: its cause turned out to be something else.
    /// Its place is free for another, and it never fires again.
    fn withdraw(&mut self, id: ConversationId, mut clock: StoredClock, cause: &Cause) {
        if clock.breached_at.is_some() {
            self.withdraw_breach(id, &mut clock, cause);
        }
        clock.is_withdrawn = true;
        clock.next_fire_at = None;
        if clock.state != "cancelled" {
            "cancelled".clone_into(&mut clock.state);
            clock.cancelled_as = Some("withdrawn".to_owned());
            clock.settled_at = Some(self.now);
            clock.settled_by = None;
            clock.tell("withdrawn", self.now, None, Map::new());
            self.emit(id, EventType::SlaCancelled, cause, Some(clock.view()));
        }
        self.put_clock(id, clock);
    }

    fn match_new_clock(&mut self, id: ConversationId, wanted: &ClockFold, cause: &Cause) {
        let Some(terms) = self.terms(id, wanted.clock.kind) else {
            return;
        };
        let Some(conversation) = self.conversations.get(&id) else {
            return;
        };
        let mut clock = StoredClock::start(
            &terms,
            conversation.priority,
            wanted.clock,
            wanted.started_by,
            self.now,
        );
        clock.stretches.clone_from(&wanted.stretches);
        clock.compute(&terms.rules);
        self.emit(id, EventType::SlaStarted, cause, Some(clock.view()));
        if let Some(end) = wanted.end {
            self.settle(id, &mut clock, &terms.rules, end, cause);
        }
        self.put_clock(id, clock);
    }

    fn match_clock(
        &mut self,
        id: ConversationId,
        mut clock: StoredClock,
        wanted: &ClockFold,
        cause: &Cause,
    ) {
        let Some(rules) = self.rulebook.rules(clock.policy, clock.calendar) else {
            return;
        };
        // What a policy without a target has ended, stays ended.
        if clock.cancelled_as.as_deref() == Some("policy") {
            return;
        }
        let before = clock.clone();
        clock.started_by = wanted.started_by.map(|message| message.0);
        let is_moved = clock.started_at != wanted.clock.started_at
            || clock.course(&rules.policy).rests != rests_of(&clock, wanted, &rules.policy);
        let ended_otherwise = !clock.has_ended_like(wanted.end);
        clock.started_at = wanted.clock.started_at;
        clock.stretches.clone_from(&wanted.stretches);
        if is_moved || ended_otherwise {
            let goes_on = !clock.is_live() && wanted.end.is_none();
            clock.run_again(&rules);
            if is_moved {
                self.review(id, &mut clock, self.now, cause);
            }
            if goes_on {
                clock.tell("taken_up", self.now, None, Map::new());
            } else if is_moved {
                clock.tell("moved", self.now, None, Map::new());
            }
            if is_moved || wanted.end.is_none() {
                self.emit(id, EventType::SlaRetargeted, cause, Some(clock.view()));
            }
            if let Some(end) = wanted.end {
                self.settle(id, &mut clock, &rules, end, cause);
            } else {
                clock.compute(&rules);
            }
        }
        if clock != before {
            self.put_clock(id, clock);
        }
    }
}

fn rests_of(
    clock: &StoredClock,
    wanted: &ClockFold,
    policy: &roost_domain::sla::PolicySpec,
) -> Vec<roost_domain::sla::Rest> {
    let mut like = clock.clone();
    like.started_at = wanted.clock.started_at;
    like.stretches.clone_from(&wanted.stretches);
    like.course(policy).rests
}
