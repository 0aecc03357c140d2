//! When a clock reaches what.
//!
//! A clock's time is what has passed since its start, as its calendar counts and without the stretches in
//! which it rests. Everything it does, it does when that time reaches a mark: the warnings' shares of the
//! target, the target itself, the escalations' times past it.

use jiff::{SignedDuration, Timestamp};

use super::Calendar;

/// What counts as time.
#[derive(Debug, Clone, Copy)]
pub enum Time<'a> {
    /// All of it.
    Wall,
    /// A calendar's open hours.
    Open(&'a Calendar),
}

impl Time<'_> {
    /// How much of `from..to` counts.
    #[must_use]
    pub fn elapsed(self, from: Timestamp, to: Timestamp) -> SignedDuration {
        match self {
            Self::Wall if to <= from => SignedDuration::ZERO,
            Self::Wall => to.duration_since(from),
            Self::Open(calendar) => calendar.elapsed(from, to),
        }
    }

    /// The first instant at which so much has counted since `from`.
    #[must_use]
    pub fn advance(self, from: Timestamp, by: SignedDuration) -> Timestamp {
        match self {
            Self::Wall => from
                .checked_add(by.max(SignedDuration::ZERO))
                .unwrap_or(Timestamp::MAX),
            Self::Open(calendar) => calendar.advance(from, by),
        }
    }
}

/// A stretch in which a clock rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rest {
    /// Since when.
    pub from: Timestamp,
    /// Until when; none while it rests.
    pub until: Option<Timestamp>,
}

/// When a clock runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// Since when.
    pub started_at: Timestamp,
    /// When it rests: in order, none over another; only the last may last.
    pub rests: Vec<Rest>,
}

impl Course {
    /// Whether it rests now.
    #[must_use]
    pub fn is_resting(&self) -> bool {
        self.rests.last().is_some_and(|rest| rest.until.is_none())
    }

    /// The time that had counted at an instant.
    #[must_use]
    pub fn used(&self, time: Time<'_>, at: Timestamp) -> SignedDuration {
        let mut used = SignedDuration::ZERO;
        for (from, until) in self.runs() {
            let until = until.map_or(at, |until| until.min(at));
            used = used.saturating_add(time.elapsed(from, until));
        }
        used
    }

    /// The instant at which its time reaches a mark; none if it rests before that. Who comes to rest at the
    /// very instant was in time, and has nothing left for afterwards.
    #[must_use]
    pub fn reaches(&self, time: Time<'_>, mark: SignedDuration) -> Option<Timestamp> {
        let mut left = mark;
        for (from, until) in self.runs() {
            let Some(until) = until else {
                return Some(time.advance(from, left));
            };
            let passes = time.elapsed(from, until);
            if passes >= left {
                let at = time.advance(from, left);
                if at < until {
                    return Some(at);
                }
            }
            left = left.saturating_sub(passes).max(SignedDuration::ZERO);
        }
        None
    }

    /// The stretches in which it runs.
    fn runs(&self) -> impl Iterator<Item = (Timestamp, Option<Timestamp>)> {
        let starts =
            std::iter::once(Some(self.started_at)).chain(self.rests.iter().map(|r| r.until));
        let ends = self.rests.iter().map(|r| Some(r.from));
        starts
            .zip(ends.chain(std::iter::once(None)))
            .filter_map(|(from, until)| from.map(|from| (from, until)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn secs(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    fn course(rests: &[(i64, Option<i64>)]) -> Course {
        let rest = |(from, until): &(i64, Option<i64>)| Rest {
            from: at(*from),
            until: until.map(at),
        };
        Course {
            started_at: at(0),
            rests: rests.iter().map(rest).collect(),
        }
    }

    #[test]
    fn what_it_rests_does_not_count() {
        let course = course(&[(40, Some(100)), (120, None)]);
        assert_eq!(course.used(Time::Wall, at(110)), secs(50));
        assert_eq!(course.used(Time::Wall, at(500)), secs(60));
        assert_eq!(course.reaches(Time::Wall, secs(39)), Some(at(39)));
        assert_eq!(course.reaches(Time::Wall, secs(50)), Some(at(110)));
        assert_eq!(course.reaches(Time::Wall, secs(61)), None);
    }

    #[test]
    fn who_comes_to_rest_at_the_due_instant_was_in_time_and_has_nothing_left() {
        assert_eq!(course(&[(40, None)]).reaches(Time::Wall, secs(40)), None);
        let again = course(&[(40, Some(100))]);
        assert_eq!(again.reaches(Time::Wall, secs(40)), Some(at(100)));
    }

    proptest! {
        #[test]
        fn at_the_instant_that_it_names_the_time_has_come_and_not_before(
            lengths in prop::collection::vec((1_i64..500, 1_i64..500), 0..6), mark in 1_i64..3_000
        ) {
            let mut now = 0;
            let mut rests = Vec::new();
            for (run, rest) in lengths {
                rests.push((now + run, Some(now + run + rest)));
                now += run + rest;
            }
            let course = course(&rests);
            let due = course.reaches(Time::Wall, secs(mark)).unwrap();
            prop_assert_eq!(course.used(Time::Wall, due), secs(mark));
            let before = Timestamp::from_millisecond(due.as_millisecond() - 1).unwrap();
            let is_after_rest = rests.iter().any(|(_, until)| until.map(at) == Some(due));
            prop_assert!(is_after_rest || course.used(Time::Wall, before) < secs(mark));
        }
    }
}
