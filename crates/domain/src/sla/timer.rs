//! What a running clock still has to tell, and when.

use jiff::{SignedDuration, Timestamp};

use super::{Course, PolicySpec, Time};

/// Between a breach and what is done about it: news of an answer that came in time may be on its way.
pub const GRACE: SignedDuration = SignedDuration::from_secs(5);

/// What a clock tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Firing {
    /// The warning at this percentage.
    Warning(i16),
    /// The breach.
    Breach,
    /// A step after the breach: 0 are the breach's own actions, then the policy's escalations from 1.
    Escalation(i16),
}

impl Firing {
    /// The effect-once key of the firing: `breach`, `warning:<percent>` or `escalation:<step>`.
    #[must_use]
    pub fn key(self) -> String {
        match self {
            Self::Warning(percent) => format!("warning:{percent}"),
            Self::Breach => "breach".to_owned(),
            Self::Escalation(step) => format!("escalation:{step}"),
        }
    }
}

/// The part of a clock that firing depends on.
#[derive(Debug, Clone, Copy)]
pub struct Timer<'a> {
    /// What counts as time.
    pub time: Time<'a>,
    /// When it runs.
    pub course: &'a Course,
    /// Its target.
    pub target: SignedDuration,
    /// A change has put the due instant in the past: it is this one.
    pub due_floor: Option<Timestamp>,
    /// Percentages that it still has to warn at, rising.
    pub warnings: &'a [i16],
    /// When the breach was told, if it was.
    pub breach_told_at: Option<Timestamp>,
    /// How many of the steps after the breach are done.
    pub steps_done: i16,
    /// What the policy says of warnings and steps.
    pub policy: &'a PolicySpec,
}

impl Timer<'_> {
    /// The last instant in time; none while the clock rests before it.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        let due = self.course.reaches(self.time, self.target)?;
        Some(self.due_floor.map_or(due, |floor| due.max(floor)))
    }

    /// When a warning falls due.
    #[must_use]
    pub fn warns_at(&self, percent: i16) -> Option<Timestamp> {
        let millis = self.target.as_millis().saturating_mul(i128::from(percent)) / 100;
        let mark = SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX));
        self.course.reaches(self.time, mark)
    }

    /// Everything left to tell with its instant, in order.
    ///
    /// A warning whose breach is due as well when it would be told is dropped by [`Timer::fire`]; a breach
    /// never is.
    #[must_use]
    pub fn plan(&self) -> Vec<(Firing, Timestamp)> {
        let mut plan = Vec::new();
        let due_at = self.due_at();
        if self.breach_told_at.is_none() {
            for percent in self.warnings {
                if let Some(at) = self.warns_at(*percent) {
                    plan.push((Firing::Warning(*percent), at));
                }
            }
            plan.extend(due_at.map(|at| (Firing::Breach, at)));
        } else if let Some(told_at) = self.breach_told_at {
            let graced = told_at.checked_add(GRACE).unwrap_or(told_at);
            for (step, after) in (0_i16..).zip(self.steps()) {
                if step < self.steps_done {
                    continue;
                }
                let at = match after {
                    None => Some(graced),
                    Some(after) => self.escalates_at(after).map(|at| at.max(graced)),
                };
                plan.extend(at.map(|at| (Firing::Escalation(step), at)));
            }
        }
        plan.sort_by_key(|(_, at)| *at);
        plan
    }

    /// The steps after a breach: none for the breach's own actions, seconds past the due instant for others.
    fn steps(&self) -> impl Iterator<Item = Option<i64>> {
        std::iter::once(None).chain(
            self.policy
                .escalations
                .iter()
                .map(|step| Some(step.after_seconds)),
        )
    }

    fn escalates_at(&self, after_seconds: i64) -> Option<Timestamp> {
        let after = SignedDuration::from_secs(after_seconds);
        match self.due_floor {
            Some(floor) => Some(self.time.advance(floor, after)),
            None => self
                .course
                .reaches(self.time, self.target.saturating_add(after)),
        }
    }

    /// The next instant at which something has to be told, if anything is left. Steps without actions are
    /// passed over.
    #[must_use]
    pub fn next_fire_at(&self) -> Option<Timestamp> {
        self.plan()
            .into_iter()
            .filter(|(firing, _)| self.matters(*firing))
            .map(|(_, at)| at)
            .min()
    }

    fn matters(&self, firing: Firing) -> bool {
        match firing {
            Firing::Warning(_) | Firing::Breach => true,
            Firing::Escalation(0) => !self.policy.on_breach.is_empty(),
            Firing::Escalation(_) => true,
        }
    }

    /// What fires at `now`, with the instants at which it fell due, in their order. A warning that was not
    /// told before the breach fell due is dropped: nobody is warned of what has happened.
    #[must_use]
    pub fn fire(&self, now: Timestamp) -> Vec<(Firing, Timestamp)> {
        // The due instant itself is still in time; the breach is what follows it. Firing happens at the due
        // instant, and an answer accepted at that very instant withdraws it.
        let mut due: Vec<(Firing, Timestamp)> = self
            .plan()
            .into_iter()
            .filter(|(firing, at)| *at <= now && self.matters(*firing))
            .collect();
        if due.iter().any(|(firing, _)| *firing == Firing::Breach) {
            due.retain(|(firing, _)| *firing == Firing::Breach);
        }
        due
    }
}
