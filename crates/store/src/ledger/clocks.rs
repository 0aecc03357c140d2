//! A stored clock: its data, and what follows from them by its rules.

use jiff::{SignedDuration, Timestamp};
use roost_domain::conversation::{
    Cancellation, ClockEnd, Closing, Priority, RunningClock, Status, Stretch, enter,
};
use roost_domain::ids::{ClockId, MessageId};
use roost_domain::sla::{ClockKind, Course, Firing, PolicySpec, Rest, Timer};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::rulebook::{CalendarKey, PolicyKey, Rules, Terms};

/// A message that began a clock and came later than this says by how much.
const LATE_FROM: SignedDuration = SignedDuration::from_mins(1);

/// A clock as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredClock {
    /// Ours.
    pub id: ClockId,
    /// The cycle it belongs to.
    pub cycle: i32,
    /// What it measures.
    pub kind: ClockKind,
    /// Its number among its kind in the cycle.
    pub ordinal: i32,
    /// `running`, `paused`, `met`, `met_late` or `cancelled`.
    pub state: String,
    /// Whose target it took.
    pub policy: PolicyKey,
    /// Whose open hours count; none: calendar time.
    pub calendar: Option<CalendarKey>,
    /// For which priority.
    pub priority: Priority,
    /// Its target.
    pub target_seconds: i64,
    /// When it began.
    pub started_at: Timestamp,
    /// The message that began it.
    pub started_by: Option<Uuid>,
    /// Of a resolution clock: when the conversation was not open.
    pub stretches: Vec<Stretch>,
    /// A change put its due instant in the past: it fell due then.
    pub due_floor: Option<Timestamp>,
    /// The last instant in time; none while it is paused before that.
    pub due_at: Option<Timestamp>,
    /// When its next warning falls due, or its last one did.
    pub warn_at: Option<Timestamp>,
    /// When the worker has to look at it.
    pub next_fire_at: Option<Timestamp>,
    /// Percentages that it still has to warn at.
    pub warnings: Vec<i16>,
    /// Steps after the breach that are done.
    pub escalations_done: i16,
    /// When it first warned.
    pub warned_at: Option<Timestamp>,
    /// The due instant, once the breach has fired.
    pub breached_at: Option<Timestamp>,
    /// When the breach was fired.
    pub fired_at: Option<Timestamp>,
    /// When it was answered or cancelled.
    pub settled_at: Option<Timestamp>,
    /// The reply that answered it.
    pub settled_by: Option<Uuid>,
    /// Why it was cancelled.
    pub cancelled_as: Option<String>,
    /// Of an ended one: the time that counted, in milliseconds.
    pub used_ms: Option<i64>,
    /// Rises when a verdict is withdrawn.
    pub verdict_no: i32,
    /// Whether late news showed that it never had a cause.
    pub is_withdrawn: bool,
    /// `by_change`, `lengthened`.
    pub marks: Vec<String>,
    /// By how much the message that began it came late.
    pub late_seconds: Option<i32>,
    /// What the actions on its breach changed: the field, how it was, how they left it.
    pub undo: Map<String, Value>,
    /// What happened to it, in the order in which it became known.
    pub story: Vec<Value>,
    /// Whether reports know a verdict of it.
    pub has_result: bool,
    /// What was told of the present verdict, and warnings of any: keys of [`Firing`].
    pub told: Vec<String>,
}

/// The name of a cancellation on the wire and in the database.
pub(super) fn reason(why: Cancellation) -> &'static str {
    match why {
        Cancellation::Resolved => "resolved",
        Cancellation::NoReplyNeeded => "no_reply_needed",
        Cancellation::Closed(Closing::Blocked) => "blocked",
        Cancellation::Closed(Closing::Erased) => "erased",
        Cancellation::Closed(Closing::Disconnected) => "channel_disconnected",
    }
}

impl StoredClock {
    pub(super) fn start(
        terms: &Terms,
        priority: Priority,
        clock: RunningClock,
        started_by: Option<MessageId>,
        now: Timestamp,
    ) -> Self {
        let late = now.duration_since(clock.started_at);
        let late_seconds = (started_by.is_some() && late > LATE_FROM)
            .then(|| i32::try_from(late.as_secs()).unwrap_or(i32::MAX));
        let mut stored = Self {
            id: ClockId(Uuid::now_v7()),
            cycle: clock.cycle,
            kind: clock.kind,
            ordinal: clock.ordinal,
            state: "running".to_owned(),
            policy: terms.policy,
            calendar: terms.calendar,
            priority,
            target_seconds: terms.target_seconds,
            started_at: clock.started_at,
            started_by: started_by.map(|message| message.0),
            stretches: Vec::new(),
            due_floor: None,
            due_at: None,
            warn_at: None,
            next_fire_at: None,
            warnings: warnings(&terms.rules.policy),
            escalations_done: 0,
            warned_at: None,
            breached_at: None,
            fired_at: None,
            settled_at: None,
            settled_by: None,
            cancelled_as: None,
            used_ms: None,
            verdict_no: 0,
            is_withdrawn: false,
            marks: Vec::new(),
            late_seconds,
            undo: Map::new(),
            story: Vec::new(),
            has_result: false,
            told: Vec::new(),
        };
        stored.compute(&terms.rules);
        let by = started_by.map(|message| message.to_string());
        stored.tell("started", clock.started_at, by, Map::new());
        stored
    }

    /// Whether it runs or rests.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.state.as_str(), "running" | "paused")
    }

    /// When it runs, by its policy.
    #[must_use]
    pub fn course(&self, policy: &PolicySpec) -> Course {
        let rests = self
            .stretches
            .iter()
            .filter(|stretch| policy.rests_in(stretch.status))
            .map(|stretch| Rest {
                from: stretch.from.max(self.started_at),
                until: stretch.until.map(|until| until.max(self.started_at)),
            });
        Course {
            started_at: self.started_at,
            rests: rests.collect(),
        }
    }

    /// Its target.
    #[must_use]
    pub fn target(&self) -> SignedDuration {
        SignedDuration::from_secs(self.target_seconds)
    }

    fn timer<'a>(&'a self, rules: &'a Rules, course: &'a Course) -> Timer<'a> {
        Timer {
            time: rules.time(),
            course,
            target: self.target(),
            due_floor: self.due_floor,
            warnings: &self.warnings,
            breach_told_at: self.breached_at.and(self.fired_at),
            steps_done: self.escalations_done,
            policy: &rules.policy,
        }
    }

    /// Puts every instant to what follows from its start, its rests, its target and its rules.
    pub(super) fn compute(&mut self, rules: &Rules) {
        let course = self.course(&rules.policy);
        let timer = self.timer(rules, &course);
        let (due_at, next_fire_at) = (timer.due_at(), timer.next_fire_at());
        let warn_at = self
            .warnings
            .first()
            .and_then(|first| timer.warns_at(*first));
        self.due_at = due_at;
        if !self.warnings.is_empty() {
            self.warn_at = warn_at;
        }
        let is_live = self.is_live();
        if is_live {
            let state = if course.is_resting() {
                "paused"
            } else {
                "running"
            };
            state.clone_into(&mut self.state);
        }
        self.next_fire_at = next_fire_at.filter(|_| is_live);
    }

    /// When a warning falls, or fell, due.
    pub(super) fn warns_at(&self, rules: &Rules, percent: i16) -> Option<Timestamp> {
        let course = self.course(&rules.policy);
        self.timer(rules, &course).warns_at(percent)
    }

    /// What is due at an instant, with the instants at which it fell due.
    pub(super) fn due(&self, rules: &Rules, now: Timestamp) -> Vec<(Firing, Timestamp)> {
        if !self.is_live() {
            return Vec::new();
        }
        let course = self.course(&rules.policy);
        self.timer(rules, &course).fire(now)
    }

    /// The time that had counted at an instant.
    #[must_use]
    pub fn used(&self, rules: &Rules, at: Timestamp) -> SignedDuration {
        self.course(&rules.policy).used(rules.time(), at)
    }

    /// The conversation's status changed; answers whether the clock began to rest, or to run again.
    pub(super) fn enter(&mut self, rules: &Rules, status: Status, at: Timestamp) -> Option<bool> {
        let was_resting = self.course(&rules.policy).is_resting();
        enter(&mut self.stretches, status, at);
        let rests = self.course(&rules.policy).is_resting();
        self.compute(rules);
        (was_resting != rests).then_some(rests)
    }

    pub(super) fn has_ended_like(&self, end: Option<ClockEnd>) -> bool {
        match end {
            None => self.is_live(),
            Some(ClockEnd::Answered(at, by)) => {
                self.is_met() && self.settled_at == Some(at) && self.settled_by == Some(by.0)
            }
            Some(ClockEnd::Resolved(at)) => self.is_met() && self.settled_at == Some(at),
            Some(ClockEnd::Cancelled(at, why)) => {
                self.state == "cancelled"
                    && self.settled_at == Some(at)
                    && self.cancelled_as.as_deref() == Some(reason(why))
            }
        }
    }

    fn is_met(&self) -> bool {
        self.state.starts_with("met")
    }

    pub(super) fn run_again(&mut self, rules: &Rules) {
        "running".clone_into(&mut self.state);
        self.settled_at = None;
        self.settled_by = None;
        self.cancelled_as = None;
        self.used_ms = None;
        self.compute(rules);
    }

    /// Adds a line to its story.
    pub(super) fn tell(
        &mut self,
        what: &str,
        at: Timestamp,
        reference: Option<String>,
        more: Map<String, Value>,
    ) {
        let mut line = more;
        line.insert("at".to_owned(), json!(at));
        line.insert("what".to_owned(), json!(what));
        if let Some(reference) = reference {
            line.insert("ref".to_owned(), json!(reference));
        }
        if what != "started" && self.is_live() {
            line.insert("due_at".to_owned(), json!(self.due_at));
        }
        self.story.push(Value::Object(line));
    }

    pub(super) fn mark(&mut self, mark: &str) {
        if !self.marks.iter().any(|known| known == mark) {
            self.marks.push(mark.to_owned());
        }
    }

    /// What its events tell.
    #[must_use]
    pub fn view(&self) -> Value {
        let overdue = match (self.settled_at, self.used_ms, self.state.as_str()) {
            (Some(_), Some(used), "met_late") => Some((used / 1_000 - self.target_seconds).max(0)),
            _ => None,
        };
        json!({
            "id": self.id,
            "kind": self.kind.as_str(),
            "cycle": self.cycle,
            "state": if self.is_live() && self.breached_at.is_some() { "breached" } else { &self.state },
            "policy_id": self.policy.id,
            "policy_version": self.policy.version,
            "calendar_id": self.calendar.map(|calendar| calendar.id),
            "priority": self.priority.as_str(),
            "target_seconds": self.target_seconds,
            "started_at": self.started_at,
            "due_at": self.due_at,
            "warned_at": self.warned_at,
            "breached_at": self.breached_at,
            "fired_at": self.fired_at,
            "settled_at": self.settled_at,
            "cancelled_as": self.cancelled_as,
            "overdue_seconds": overdue,
            "marks": self.marks,
        })
    }
}

/// The percentages that a policy warns at.
pub(super) fn warnings(policy: &PolicySpec) -> Vec<i16> {
    policy.warnings.iter().map(|at| i16::from(*at)).collect()
}
