//! Which period a report is about, and where its days, weeks and months meet.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::input::{Checks, Query};

/// Longest period, in days.
const MOST_DAYS: i64 = 400;

/// A period in a zone.
#[derive(Debug)]
pub(super) struct Period {
    pub(super) zone: TimeZone,
    pub(super) zone_name: String,
    pub(super) interval: Interval,
    /// Where its parts meet: the beginning, … the end.
    pub(super) borders: Vec<Timestamp>,
}

/// How a period is cut, in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interval {
    None,
    Day,
    /// From Monday.
    Week,
    Month,
}

impl Interval {
    const ALL: [Self; 4] = [Self::None, Self::Day, Self::Week, Self::Month];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The date on which the next part begins.
    fn next(self, date: Date) -> Option<Date> {
        match self {
            Self::None => None,
            Self::Day => date.tomorrow().ok(),
            Self::Week => date.nth_weekday(1, Weekday::Monday).ok(),
            Self::Month => date.first_of_month().checked_add(1.month()).ok(),
        }
    }
}

impl Period {
    /// Reads it; faults are noted with the query.
    pub(super) fn read(query: &Query, zone_name: String) -> Option<Self> {
        let zone = TimeZone::get(&zone_name).ok();
        let zone = zone.filter(|_| zone_name.len() <= 100);
        if zone.is_none() {
            query.fault("time_zone", "must be an IANA name, such as Europe/Berlin");
        }
        let interval = query.text("interval");
        let interval = match &interval {
            None => Some(Interval::None),
            Some(text) => Interval::ALL.into_iter().find(|it| it.as_str() == text),
        };
        if interval.is_none() {
            query.fault("interval", "must be none, day, week or month");
        }
        // Faults of the instants are told even if the zone is unknown.
        let in_zone = zone.clone().unwrap_or(TimeZone::UTC);
        let from = instant(query, "from", &in_zone);
        let to = instant(query, "to", &in_zone);
        let (from, to) = (from?, to?);
        if from >= to {
            query.fault("to", "must be later than from");
            return None;
        }
        let last = from
            .to_zoned_datetime(in_zone)
            .checked_add(MOST_DAYS.days())
            .ok()?
            .timestamp();
        if to > last {
            query.fault("to", format!("must be at most {MOST_DAYS} days after from"));
            return None;
        }
        let (zone, interval) = (zone?, interval?);
        Some(Self {
            borders: borders(from, to, interval, &zone),
            zone,
            zone_name,
            interval,
        })
    }
}

/// An RFC 3339 instant, or a date: the moment at which it begins in the zone.
fn instant(query: &Query, name: &str, zone: &TimeZone) -> Option<Timestamp> {
    let Some(text) = query.text(name) else {
        query.fault(name, "is needed");
        return None;
    };
    let is_date = text.len() == 10;
    let date = is_date.then(|| text.parse::<Date>().ok()).flatten();
    let found = match date {
        Some(date) => date
            .to_zoned_datetime(zone.clone())
            .ok()
            .map(|begins| begins.timestamp()),
        None => text.parse().ok(),
    };
    let Some(found) = found else {
        query.fault(
            name,
            "must be a date or an RFC 3339 instant, such as 2026-01-31 or 2026-01-31T12:00:00.000Z",
        );
        return None;
    };
    let mut checks = Checks::default();
    check_instant(&mut checks, &query.pointer(name), found);
    query.note(checks);
    Some(found)
}

/// Refuses instants that no clock of ours can have seen.
pub(crate) fn check_instant(checks: &mut Checks, pointer: &str, at: Timestamp) {
    const EARLIEST: i64 = 946_684_800;
    const LATEST: i64 = 4_102_444_800;
    if !(EARLIEST..=LATEST).contains(&at.as_second()) {
        checks.fault(pointer, "must lie in the years 2000 to 2099");
    }
}

/// The beginning, the local midnights after it on which a part begins, and the end.
fn borders(from: Timestamp, to: Timestamp, interval: Interval, zone: &TimeZone) -> Vec<Timestamp> {
    let mut borders = vec![from];
    let mut date = from.to_zoned_datetime(zone.clone()).date();
    while let Some(next) = interval.next(date) {
        date = next;
        // The day's first moment, also where midnight is skipped or comes twice.
        let Ok(begins) = date.to_zoned_datetime(zone.clone()) else {
            break;
        };
        let begins = begins.timestamp();
        if begins >= to {
            break;
        }
        // A date that a zone has skipped begins with the next one.
        if borders.last().is_none_or(|last| *last < begins) {
            borders.push(begins);
        }
    }
    borders.push(to);
    borders
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(from: &str, to: &str, interval: Interval, zone: &str) -> Vec<String> {
        let zone = TimeZone::get(zone).unwrap();
        let at = |text: &str| {
            text.parse::<Date>()
                .unwrap()
                .to_zoned_datetime(zone.clone())
        };
        let (from, to) = (at(from).unwrap(), at(to).unwrap());
        borders(from.timestamp(), to.timestamp(), interval, &zone)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn days_meet_at_local_midnight_also_when_clocks_change() {
        assert_eq!(
            cut("2026-03-28", "2026-03-31", Interval::Day, "Europe/Berlin"),
            [
                "2026-03-27T23:00:00Z",
                "2026-03-28T23:00:00Z",
                "2026-03-29T22:00:00Z",
                "2026-03-30T22:00:00Z",
            ]
        );
        // Beirut skips midnight itself, Apia a whole day.
        assert_eq!(
            cut("2021-03-27", "2021-03-29", Interval::Day, "Asia/Beirut")[1],
            "2021-03-27T22:00:00Z"
        );
        assert_eq!(
            cut("2011-12-29", "2012-01-01", Interval::Day, "Pacific/Apia"),
            [
                "2011-12-29T10:00:00Z",
                "2011-12-30T10:00:00Z",
                "2011-12-31T10:00:00Z",
            ]
        );
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_their_first_and_both_end_with_the_period() {
        let weeks = cut("2026-01-01", "2026-01-14", Interval::Week, "UTC");
        assert_eq!(
            weeks,
            [
                "2026-01-01T00:00:00Z",
                "2026-01-05T00:00:00Z",
                "2026-01-12T00:00:00Z",
                "2026-01-14T00:00:00Z",
            ]
        );
        let months = cut("2026-01-31", "2026-03-02", Interval::Month, "UTC");
        assert_eq!(
            months,
            [
                "2026-01-31T00:00:00Z",
                "2026-02-01T00:00:00Z",
                "2026-03-01T00:00:00Z",
                "2026-03-02T00:00:00Z",
            ]
        );
        let whole = cut("2026-01-31", "2026-03-02", Interval::None, "UTC");
        assert_eq!(whole.len(), 2);
    }
}
