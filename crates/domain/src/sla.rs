//! Clocks: how long a customer may wait for what.
//!
//! A clock is a function of the facts that start, pause and end it ([`crate::conversation`]), of a version of
//! a policy and of a version of a calendar; what it tells, it tells once ([`Timer`]). The worker that fires
//! due clocks only compares instants.

mod calendar;
mod course;
mod ical;
mod policy;
mod spec;
mod timer;

pub use calendar::{Calendar, OpenDay, SpecFault, Why, zone, zones};
pub use course::{Course, Rest, Time};
pub use ical::{IcalFault, holidays};
pub use policy::{
    Action, Audience, Circumstances, Conditions, Escalation, OnReopen, Pauses, PolicySpec, Seconds,
    Target,
};
pub use spec::{CalendarSpec, Holiday, Hours, Minute, SpecialDay};
pub use timer::{Firing, GRACE, Timer};

use jiff::Timestamp;

use crate::role::UnknownName;

/// What a clock measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClockKind {
    /// From a cycle's first customer message to the first human reply the platform accepted.
    FirstResponse,
    /// From the oldest unanswered customer message to the next human reply.
    NextResponse,
    /// From a cycle's start to its resolve.
    Resolution,
    /// From entering the queue to being assigned.
    Assignment,
}

impl ClockKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::FirstResponse,
        Self::NextResponse,
        Self::Resolution,
        Self::Assignment,
    ];

    /// The kind's name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstResponse => "first_response",
            Self::NextResponse => "next_response",
            Self::Resolution => "resolution",
            Self::Assignment => "assignment",
        }
    }
}

impl std::str::FromStr for ClockKind {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownName(text.to_owned()))
    }
}

/// How a settled clock ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Answered at or before the due instant.
    Met,
    /// Answered later.
    MetLate,
}

/// The verdict on an answer. An answer at the due instant is in time, a millisecond later late.
#[must_use]
pub fn judge(due_at: Timestamp, answered_at: Timestamp) -> Verdict {
    if answered_at <= due_at {
        Verdict::Met
    } else {
        Verdict::MetLate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// What a clock of 100 s tells when it is looked at only at the instants that it names itself.
    fn driven(policy: &PolicySpec, course: &Course) -> Vec<(Firing, Timestamp)> {
        let mut warnings: Vec<i16> = policy.warnings.iter().map(|at| i16::from(*at)).collect();
        let (mut breach_told_at, mut steps_done) = (None, 0);
        let mut told = Vec::new();
        loop {
            let timer = Timer {
                time: Time::Wall,
                course,
                target: SignedDuration::from_secs(100),
                due_floor: None,
                warnings: &warnings,
                breach_told_at,
                steps_done,
                policy,
            };
            let Some(next) = timer.next_fire_at() else {
                return told;
            };
            for (firing, due) in timer.fire(next) {
                told.push((firing, due));
                match firing {
                    Firing::Warning(percent) => warnings.retain(|left| *left != percent),
                    Firing::Breach => breach_told_at = Some(next),
                    Firing::Escalation(step) => steps_done = step + 1,
                }
            }
        }
    }

    fn policy(warnings: &[u8], escalations: &[i64]) -> PolicySpec {
        let escalation = |after: &i64| Escalation {
            after_seconds: *after,
            actions: Vec::new(),
        };
        PolicySpec {
            warnings: warnings.to_vec(),
            escalations: escalations.iter().map(escalation).collect(),
            ..PolicySpec::default()
        }
    }

    fn course() -> Course {
        Course {
            started_at: at(0),
            rests: Vec::new(),
        }
    }

    #[test]
    fn an_answer_at_the_due_instant_is_in_time_and_a_millisecond_later_is_late() {
        assert_eq!(judge(at(100), at(100)), Verdict::Met);
        let late = Timestamp::from_millisecond(100_001).unwrap();
        assert_eq!(judge(at(100), late), Verdict::MetLate);
    }

    #[test]
    fn a_clock_warns_at_its_shares_breaches_when_due_and_escalates_after() {
        assert_eq!(
            driven(&policy(&[50, 75], &[60, 600]), &course()),
            [
                (Firing::Warning(50), at(50)),
                (Firing::Warning(75), at(75)),
                (Firing::Breach, at(100)),
                (Firing::Escalation(1), at(160)),
                (Firing::Escalation(2), at(700)),
            ]
        );
    }

    #[test]
    fn a_rest_moves_what_is_left_and_repeats_nothing() {
        let course = Course {
            started_at: at(0),
            rests: vec![Rest {
                from: at(60),
                until: Some(at(1_000)),
            }],
        };
        assert_eq!(
            driven(&policy(&[50, 75], &[]), &course),
            [
                (Firing::Warning(50), at(50)),
                (Firing::Warning(75), at(1_015)),
                (Firing::Breach, at(1_040)),
            ]
        );
    }

    #[test]
    fn what_a_breach_does_waits_for_late_news_and_no_step_comes_before_it() {
        let mut policy = policy(&[], &[2]);
        policy.on_breach = vec![Action::RaisePriority {
            to: crate::conversation::Priority::Urgent,
        }];
        assert_eq!(
            driven(&policy, &course()),
            [
                (Firing::Breach, at(100)),
                (Firing::Escalation(0), at(105)),
                (Firing::Escalation(1), at(105)),
            ]
        );
    }

    #[test]
    fn after_an_outage_nobody_is_warned_of_what_has_happened() {
        let (policy, course) = (policy(&[50, 75], &[]), course());
        let timer = Timer {
            time: Time::Wall,
            course: &course,
            target: SignedDuration::from_secs(100),
            due_floor: None,
            warnings: &[50, 75],
            breach_told_at: None,
            steps_done: 0,
            policy: &policy,
        };
        assert_eq!(timer.fire(at(500)), [(Firing::Breach, at(100))]);
        assert_eq!(
            timer.fire(at(80)),
            [(Firing::Warning(50), at(50)), (Firing::Warning(75), at(75))]
        );
    }

    proptest! {
        #[test]
        fn whatever_its_rests_a_clock_tells_each_thing_once_and_in_order(
            rests in prop::collection::vec((1_i64..80, 1_i64..400), 0..5),
        ) {
            let mut now = 0;
            let mut course = course();
            for (run, rest) in rests {
                course.rests.push(Rest { from: at(now + run), until: Some(at(now + run + rest)) });
                now += run + rest;
            }
            let told = driven(&policy(&[50, 75], &[60]), &course);
            let firings: Vec<Firing> = told.iter().map(|(firing, _)| *firing).collect();
            prop_assert_eq!(firings, [
                Firing::Warning(50), Firing::Warning(75), Firing::Breach, Firing::Escalation(1),
            ]);
            prop_assert!(told.is_sorted_by_key(|(_, at)| *at));
        }
    }
}
