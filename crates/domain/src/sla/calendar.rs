//! Business time: what of a stretch of time lies inside somebody's open hours.
//!
//! A calendar's hours are local; what counts is real time. Each local year is laid out once, when it is first
//! needed, as instants in order with the time that was open before each of them, so that a question takes a
//! search in each year that it spans, whatever the length of the hours.

mod layout;
mod spec_check;
mod zones;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{CalendarSpec, Hours};
use layout::Year;
pub use spec_check::SpecFault;
pub use zones::{zone, zones};

/// The years that are laid out; outside of them nobody is there.
const FIRST_YEAR: i16 = 1970;
const LAST_YEAR: i16 = 2299;
/// How far a due instant is looked for.
const HORIZON_YEARS: i16 = 100;

/// A calendar that can be asked.
#[derive(Debug)]
pub struct Calendar {
    zone: TimeZone,
    week: [Vec<Hours>; 7],
    holidays: BTreeMap<Date, String>,
    yearly: BTreeMap<(i8, i8), String>,
    special: BTreeMap<Date, (String, Vec<Hours>)>,
    years: Vec<OnceLock<Year>>,
}

/// Why a date has the hours that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It is an ordinary day of the week.
    Week,
    /// A holiday of this name: closed.
    Holiday(String),
    /// A special day of this name.
    Special(String),
}

/// A date and when it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenDay {
    /// The local date.
    pub date: Date,
    /// Why it has these hours.
    pub why: Why,
    /// The open stretches as they count: in order, half-open, none over another.
    pub open: Vec<(Timestamp, Timestamp)>,
}

impl Calendar {
    /// Makes a calendar of what one says.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn new(spec: &CalendarSpec) -> Result<Self, Vec<SpecFault>> {
        let zone = spec_check::check(spec)?;
        let (mut holidays, mut yearly) = (BTreeMap::new(), BTreeMap::new());
        for holiday in &spec.holidays {
            let name = holiday.name.clone();
            if holiday.yearly {
                yearly.insert((holiday.date.month(), holiday.date.day()), name);
            } else {
                holidays.insert(holiday.date, name);
            }
        }
        let mut week = spec.week.clone();
        for hours in &mut week {
            hours.sort();
        }
        let special = spec.special_days.iter().map(|day| {
            let mut hours = day.hours.clone();
            hours.sort();
            (day.date, (day.name.clone(), hours))
        });
        Ok(Self {
            zone,
            week,
            holidays,
            yearly,
            special: special.collect(),
            years: (FIRST_YEAR..=LAST_YEAR).map(|_| OnceLock::new()).collect(),
        })
    }

    /// Whose clock the hours go by.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// How much of `from..to` is open.
    #[must_use]
    pub fn elapsed(&self, from: Timestamp, to: Timestamp) -> SignedDuration {
        if to <= from {
            return SignedDuration::ZERO;
        }
        let (start, end) = (from.as_microsecond(), to.as_microsecond());
        let open: i64 = self
            .years_of(self.year(from) - 1, self.year(to) + 1)
            .map(|year| year.open_before(end) - year.open_before(start))
            .sum();
        SignedDuration::from_micros(open)
    }

    /// The first instant at which so much was open since `from`: what fills exactly to closing ends at
    /// closing. Of nothing it is `from` itself where that is open or a closing, else the next opening. The
    /// end of time if that is more than a hundred years away.
    #[must_use]
    pub fn advance(&self, from: Timestamp, open: SignedDuration) -> Timestamp {
        let start = from.as_microsecond();
        let mut left = i64::try_from(open.as_micros()).unwrap_or(i64::MAX);
        let first = self.year(from) - 1;
        for year in self.years_of(first, first.saturating_add(HORIZON_YEARS)) {
            let found = if left <= 0 {
                year.open_from(start)
            } else {
                let before = year.open_before(start);
                let reached = year.instant_of(before.saturating_add(left));
                if reached.is_none() {
                    left -= year.total() - before;
                }
                reached
            };
            if let Some(at) = found {
                return Timestamp::from_microsecond(at).unwrap_or(Timestamp::MAX);
            }
        }
        Timestamp::MAX
    }

    /// Whether it is open at an instant. A closing is not.
    #[must_use]
    pub fn is_open(&self, at: Timestamp) -> bool {
        let year = self.year(at);
        let at = at.as_microsecond();
        self.years_of(year - 1, year + 1)
            .any(|year| year.open_before(at + 1) > year.open_before(at))
    }

    /// Dates from `first` on, with their open hours.
    #[must_use]
    pub fn days(&self, first: Date, count: u16) -> Vec<OpenDay> {
        let mut days = Vec::new();
        let mut date = first;
        let mut floor = self.end_before(first);
        for _ in 0..count {
            let open = self.lay_out(date, &mut floor);
            let instant = |at| Timestamp::from_microsecond(at).unwrap_or(Timestamp::MAX);
            days.push(OpenDay {
                date,
                why: self.why(date),
                open: open
                    .into_iter()
                    .map(|(from, to)| (instant(from), instant(to)))
                    .collect(),
            });
            let Ok(next) = date.tomorrow() else {
                break;
            };
            date = next;
        }
        days
    }

    fn why(&self, date: Date) -> Why {
        if let Some((name, _)) = self.special.get(&date) {
            Why::Special(name.clone())
        } else if let Some(name) = self.holiday(date) {
            Why::Holiday(name.clone())
        } else {
            Why::Week
        }
    }

    fn holiday(&self, date: Date) -> Option<&String> {
        let yearly = || self.yearly.get(&(date.month(), date.day()));
        self.holidays.get(&date).or_else(yearly)
    }

    /// The hours of a date: a special day's beat a holiday, which beats the week.
    fn hours(&self, date: Date) -> &[Hours] {
        if let Some((_, hours)) = self.special.get(&date) {
            return hours;
        }
        if self.holiday(date).is_some() {
            return &[];
        }
        let day = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or(0);
        self.week.get(day).map_or(&[], Vec::as_slice)
    }

    fn year(&self, at: Timestamp) -> i16 {
        self.zone.to_datetime(at).year()
    }

    fn years_of(&self, first: i16, last: i16) -> impl Iterator<Item = &Year> {
        (first.max(FIRST_YEAR)..=last.min(LAST_YEAR)).filter_map(|year| {
            let slot = usize::try_from(year - FIRST_YEAR).ok()?;
            let slot = self.years.get(slot)?;
            Some(slot.get_or_init(|| self.lay_out_year(year)))
        })
    }
}

#[cfg(test)]
mod tests;
