//! Response clocks in calendar time.
//!
//! A clock is a function of what started it, its target and what settled it; the worker that fires
//! due clocks only compares instants. Kinds, states and firing rules are those of the product's
//! SLA semantics; business time plugs in where [`Target::due`] adds the target.

use jiff::{SignedDuration, Timestamp};

use crate::role::UnknownName;

/// What a clock measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClockKind {
    /// From a cycle's first customer message to the first human reply the platform accepted.
    FirstResponse,
    /// From the oldest unanswered customer message to the next human reply.
    NextResponse,
}

impl ClockKind {
    /// The kind's name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FirstResponse => "first_response",
            Self::NextResponse => "next_response",
        }
    }
}

impl std::str::FromStr for ClockKind {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        [Self::FirstResponse, Self::NextResponse]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownName(text.to_owned()))
    }
}

/// How long a clock may run, and when it warns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The whole target, in seconds of calendar time; at least 1.
    pub seconds: i64,
    /// The share of the target, in percent, after which a warning fires; 1 to 99.
    pub warning_percent: i16,
}

impl Target {
    /// The last instant at which an answer is in time.
    #[must_use]
    pub fn due(self, started_at: Timestamp) -> Timestamp {
        add(started_at, SignedDuration::from_secs(self.seconds))
    }

    /// When the warning falls due.
    #[must_use]
    pub fn warning(self, started_at: Timestamp) -> Timestamp {
        let millis = self
            .seconds
            .saturating_mul(10)
            .saturating_mul(i64::from(self.warning_percent));
        add(started_at, SignedDuration::from_millis(millis))
    }
}

fn add(instant: Timestamp, duration: SignedDuration) -> Timestamp {
    instant.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// What a clock still has to tell, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firing {
    /// The warning at this percentage.
    Warning(i16),
    /// The breach.
    Breach,
}

impl Firing {
    /// The effect-once key of the firing: `breach` or `warning:<percent>`.
    #[must_use]
    pub fn key(self) -> String {
        match self {
            Self::Warning(percent) => format!("warning:{percent}"),
            Self::Breach => "breach".to_owned(),
        }
    }
}

/// The part of a running clock that firing depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    /// When the warning falls due.
    pub warn_at: Timestamp,
    /// When the breach falls due.
    pub due_at: Timestamp,
    /// The warning's percentage.
    pub warning_percent: i16,
    /// Whether the warning has fired or was dropped.
    pub warned: bool,
    /// Whether the breach has fired.
    pub breached: bool,
}

impl Timer {
    /// The next instant at which something has to fire, if anything is left.
    #[must_use]
    pub fn next_fire_at(self) -> Option<Timestamp> {
        match (self.warned, self.breached) {
            (_, true) => None,
            (false, false) => Some(self.warn_at.min(self.due_at)),
            (true, false) => Some(self.due_at),
        }
    }

    /// What fires at `now`, in order. A warning that was never told and whose breach is due as well
    /// is dropped: nobody is warned of what has happened. A breach never is.
    #[must_use]
    pub fn fire(self, now: Timestamp) -> Vec<Firing> {
        // The due instant itself is still in time; the breach is what follows it. Firing happens
        // at the due instant, and an answer accepted at that very instant withdraws it.
        if self.breached {
            Vec::new()
        } else if now >= self.due_at {
            vec![Firing::Breach]
        } else if !self.warned && now >= self.warn_at {
            vec![Firing::Warning(self.warning_percent)]
        } else {
            Vec::new()
        }
    }
}

/// How a settled clock ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Answered at or before the due instant.
    Met,
    /// Answered later, by this much.
    MetLate {
        /// Time past the due instant.
        overdue: SignedDuration,
    },
}

/// The verdict on an answer. An answer at the due instant is in time, a millisecond later late.
#[must_use]
pub fn judge(due_at: Timestamp, answered_at: Timestamp) -> Verdict {
    if answered_at <= due_at {
        Verdict::Met
    } else {
        Verdict::MetLate {
            overdue: answered_at.duration_since(due_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn timer(warned: bool, breached: bool) -> Timer {
        let target = Target {
            seconds: 100,
            warning_percent: 75,
        };
        Timer {
            warn_at: target.warning(at(0)),
            due_at: target.due(at(0)),
            warning_percent: 75,
            warned,
            breached,
        }
    }

    #[test]
    fn an_answer_at_the_due_instant_is_in_time_and_a_millisecond_later_is_late() {
        assert_eq!(judge(at(100), at(100)), Verdict::Met);
        let late = Timestamp::from_millisecond(100_001).unwrap();
        assert_eq!(
            judge(at(100), late),
            Verdict::MetLate {
                overdue: SignedDuration::from_millis(1)
            }
        );
    }

    #[test]
    fn the_warning_fires_at_its_percentage_and_the_breach_at_the_due_instant() {
        assert!(timer(false, false).fire(at(74)).is_empty());
        assert_eq!(timer(false, false).fire(at(75)), [Firing::Warning(75)]);
        assert_eq!(timer(true, false).next_fire_at(), Some(at(100)));
        assert_eq!(timer(true, false).fire(at(100)), [Firing::Breach]);
    }

    #[test]
    fn a_warning_whose_breach_is_due_too_is_dropped() {
        assert_eq!(timer(false, false).fire(at(500)), [Firing::Breach]);
    }

    proptest! {
        #[test]
        fn a_clock_driven_by_its_own_next_instant_warns_once_then_breaches_once(
            seconds in 1_i64..10_000_000, percent in 1_i16..100
        ) {
            let target = Target { seconds, warning_percent: percent };
            let mut timer = Timer {
                warn_at: target.warning(at(0)), due_at: target.due(at(0)),
                warning_percent: percent, warned: false, breached: false,
            };
            let mut told = Vec::new();
            while let Some(next) = timer.next_fire_at() {
                for firing in timer.fire(next) {
                    match firing {
                        Firing::Warning(_) => timer.warned = true,
                        Firing::Breach => timer.breached = true,
                    }
                    told.push((firing, next));
                }
            }
            prop_assert_eq!(told, vec![
                (Firing::Warning(percent), target.warning(at(0))),
                (Firing::Breach, target.due(at(0))),
            ]);
        }
    }
}
