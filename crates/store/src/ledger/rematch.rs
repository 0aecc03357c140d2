//! What a change of a conversation, of its policy or of its calendar does to running clocks.

use jiff::Timestamp;
use roost_domain::conversation::Priority;
use roost_domain::event::EventType;
use roost_domain::ids::{ContactId, ConversationId, LabelId, PolicyId};
use roost_domain::sla::ClockKind;
use serde_json::{Map, json};
use uuid::Uuid;

use super::clocks::warnings;
use super::rulebook::{CalendarKey, PolicyKey, Terms};
use super::{Cause, Ledger, StoredClock};
use crate::error::StoreError;
use crate::tx::BrandTx;

/// Looks anew which policies hold for a contact's unresolved conversations, where a policy of the brand asks
/// for contacts' attributes.
///
/// # Errors
/// When the database fails.
pub(crate) async fn rematch_contact(
    tx: &mut BrandTx,
    contact: ContactId,
    cause: &Cause,
) -> Result<(), StoreError> {
    let brand = tx.brand();
    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
    if !ledger.rulebook.asked(brand).contact {
        return Ok(());
    }
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select id from conversations where brand_id = $1 and contact_id = $2 and status <> 'resolved' order by id",
    )
    .bind(brand.0)
    .bind(contact.0)
    .fetch_all(tx.conn())
    .await?;
    let ids: Vec<ConversationId> = ids.into_iter().map(ConversationId).collect();
    ledger.lock(tx.conn(), brand, &ids).await?;
    for id in ids {
        ledger.rematch(id, None, cause);
    }
    ledger.flush(tx.conn()).await?;
    Ok(())
}

impl Ledger {
    /// The labels of a conversation are these now.
    pub(crate) fn relabel(&mut self, id: ConversationId, labels: Vec<LabelId>, cause: &Cause) {
        if let Some(conversation) = self.conversations.get_mut(&id) {
            conversation.about.labels = labels;
        }
        self.rematch(id, None, cause);
    }

    /// Looks anew which policy holds for a conversation, after a field of a condition has changed. Its
    /// clocks keep their start and the time they used, and take the new target; one that the policy has
    /// no target for ends.
    ///
    /// `priority` is the one that a person has just given. The one that an action of a clock gave changes
    /// the queue and no target, so a clock otherwise keeps the priority that it runs for.
    pub(crate) fn rematch(
        &mut self,
        id: ConversationId,
        priority: Option<Priority>,
        cause: &Cause,
    ) {
        let Some(conversation) = self.conversations.get(&id) else {
            return;
        };
        let mut of = conversation.circumstances();
        let brand = conversation.brand;
        for clock in conversation.clocks.clone() {
            let priority = priority.unwrap_or(clock.priority);
            of.priority = priority;
            let Some(found) = self.rulebook.matching(brand, &of) else {
                continue;
            };
            // A clock keeps its version as long as it keeps its policy.
            let policy = if found.id == clock.policy.id {
                clock.policy
            } else {
                found
            };
            let keeps = (policy == clock.policy).then_some(clock.calendar).flatten();
            self.move_clock(id, clock, (policy, keeps), priority, cause);
        }
    }

    /// Moves the running clocks of a policy to its present version, and to those of its calendars; answers
    /// how many that were. A recorded breach stays, and its clock with it.
    pub(crate) fn reapply(&mut self, id: ConversationId, of: PolicyId, cause: &Cause) -> usize {
        let Some(conversation) = self.conversations.get(&id) else {
            return 0;
        };
        let Some(policy) = self.rulebook.present(conversation.brand, of) else {
            return 0;
        };
        let mut moved = 0;
        for clock in conversation.clocks.clone() {
            if clock.policy.id == of && clock.breached_at.is_none() {
                let priority = clock.priority;
                moved += usize::from(self.move_clock(id, clock, (policy, None), priority, cause));
            }
        }
        moved
    }

    /// Gives a clock other terms, or ends it; answers whether it differs.
    fn move_clock(
        &mut self,
        id: ConversationId,
        mut clock: StoredClock,
        (policy, keeps): (PolicyKey, Option<CalendarKey>),
        priority: Priority,
        cause: &Cause,
    ) -> bool {
        let terms = self.rulebook.terms(policy, clock.kind, priority, keeps);
        let Some(terms) = terms else {
            let has_target = self.rulebook.has_target(policy, clock.kind, priority);
            if let Some(rules) = self.rulebook.rules(clock.policy, clock.calendar)
                && has_target == Some(false)
            {
                self.review(id, &mut clock, self.now, cause);
                clock.cancelled_as = Some("policy".to_owned());
                let end = ("cancelled", "cancelled", EventType::SlaCancelled);
                self.end_clock(id, &mut clock, &rules, end, self.now, None, cause);
                self.put_clock(id, clock);
                return true;
            }
            return false;
        };
        // A recorded breach stays whatever changes later, and so does what it was a breach of.
        if clock.breached_at.is_some() {
            return false;
        }
        let same = clock.policy == terms.policy
            && clock.calendar == terms.calendar
            && clock.target_seconds == terms.target_seconds;
        clock.priority = priority;
        if !same {
            self.retarget(id, &mut clock, &terms, cause);
        }
        self.put_clock(id, clock);
        !same
    }

    fn retarget(
        &mut self,
        id: ConversationId,
        clock: &mut StoredClock,
        terms: &Terms,
        cause: &Cause,
    ) {
        let (was_due, was_seconds) = (clock.due_at, clock.target_seconds);
        let is_other = clock.policy != terms.policy;
        clock.policy = terms.policy;
        clock.calendar = terms.calendar;
        clock.target_seconds = terms.target_seconds;
        clock.due_floor = None;
        if is_other {
            // None is given twice.
            clock.warnings = warnings(&terms.rules.policy);
            let told = |percent: &i16| !clock.told.contains(&format!("warning:{percent}"));
            clock.warnings.retain(told);
        }
        clock.compute(&terms.rules);
        if clock.due_at.is_some_and(|due| due < self.now) {
            clock.due_floor = Some(self.now);
            clock.mark("by_change");
        }
        if later(clock.due_at, was_due) {
            clock.mark("lengthened");
        }
        // One whose instant the change has put in the past is dropped.
        let now = self.now;
        let ahead: Vec<i16> = clock
            .warnings
            .iter()
            .copied()
            .filter(|percent| {
                clock
                    .warns_at(&terms.rules, *percent)
                    .is_none_or(|at| at > now)
            })
            .collect();
        clock.warnings = ahead;
        clock.compute(&terms.rules);
        let more = Map::from_iter([(
            "target_seconds".to_owned(),
            json!([was_seconds, clock.target_seconds]),
        )]);
        clock.tell("retargeted", self.now, None, more);
        self.emit(id, EventType::SlaRetargeted, cause, Some(clock.view()));
    }

    /// Begins or ends the wait for an assignee, as the queue has it now.
    pub(super) fn follow_queue(&mut self, id: ConversationId, cause: &Cause) {
        let Some(conversation) = self.conversations.get(&id) else {
            return;
        };
        let (queued_at, is_assigned) = (conversation.queued_at, conversation.assignee.is_some());
        let running = conversation.clock(ClockKind::Assignment).is_some();
        match (queued_at, running) {
            (Some(at), false) if self.rulebook.has(conversation.brand, ClockKind::Assignment) => {
                self.start_wait(id, at, cause);
            }
            (None, true) => {
                let Some((mut clock, rules)) = self.live_clock(id, ClockKind::Assignment) else {
                    return;
                };
                self.end_wait(id, &mut clock, &rules, is_assigned, cause);
                self.put_clock(id, clock);
            }
            _ => {}
        }
    }

    fn start_wait(&mut self, id: ConversationId, at: Timestamp, cause: &Cause) {
        let Some(terms) = self.terms(id, ClockKind::Assignment) else {
            return;
        };
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        conversation.waits += 1;
        let clock = roost_domain::conversation::RunningClock {
            kind: ClockKind::Assignment,
            cycle: conversation.state.cycle,
            ordinal: conversation.waits,
            started_at: at,
        };
        let stored = StoredClock::start(&terms, conversation.priority, clock, None, self.now);
        self.put_clock(id, stored.clone());
        self.emit(id, EventType::SlaStarted, cause, Some(stored.view()));
    }

    fn end_wait(
        &mut self,
        id: ConversationId,
        clock: &mut StoredClock,
        rules: &super::rulebook::Rules,
        is_assigned: bool,
        cause: &Cause,
    ) {
        use roost_domain::sla::{Firing, Verdict, judge};
        let now = self.now;
        let verdict = clock.due_at.map_or(Verdict::Met, |due| judge(due, now));
        if verdict == Verdict::MetLate && clock.breached_at.is_none() {
            self.fire(id, clock, rules, Firing::Breach);
        }
        let end = match (is_assigned, verdict) {
            (false, _) => {
                clock.cancelled_as = Some("left_queue".to_owned());
                ("cancelled", "cancelled", EventType::SlaCancelled)
            }
            (true, Verdict::Met) => ("met", "met", EventType::SlaMet),
            (true, Verdict::MetLate) => ("met_late", "met_late", EventType::SlaMet),
        };
        self.end_clock(id, clock, rules, end, now, None, cause);
    }
}

impl PolicyKey {
    /// A version of a policy.
    #[must_use]
    pub fn new(id: PolicyId, version: i32) -> Self {
        Self { id, version }
    }
}

/// Whether an instant lies after another; none is after all.
fn later(one: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one > other,
        (None, Some(_)) => true,
        (_, None) => false,
    }
}
