//! Local hours as instants.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time, date};
use jiff::tz::{AmbiguousOffset, Offset};

use super::Calendar;
use crate::sla::Minute;

/// Dates before one whose hours may reach over its first: a zone may leave out a whole date.
const DAYS_BEFORE: usize = 4;

/// The open stretches of a local year, in microseconds.
#[derive(Debug, Default)]
pub(super) struct Year {
    /// Opening and closing, in order, none over another.
    open: Vec<(i64, i64)>,
    /// What was open in the year before each of them.
    before: Vec<i64>,
    total: i64,
}

impl Year {
    /// What is open in the whole year.
    pub(super) fn total(&self) -> i64 {
        self.total
    }

    /// What is open in the year before an instant.
    pub(super) fn open_before(&self, at: i64) -> i64 {
        let begun = self.open.partition_point(|(from, _)| *from < at);
        let Some(last) = begun.checked_sub(1) else {
            return 0;
        };
        match (self.before.get(last), self.open.get(last)) {
            (Some(before), Some((from, to))) => before + (at.min(*to) - from),
            _ => 0,
        }
    }

    /// The instant at which so much of the year, more than nothing, has been open.
    pub(super) fn instant_of(&self, open: i64) -> Option<i64> {
        if open > self.total {
            return None;
        }
        let index = self.before.partition_point(|before| *before < open);
        let index = index.checked_sub(1)?;
        Some(self.open.get(index)?.0 + (open - self.before.get(index)?))
    }

    /// An instant itself if it is open or a closing, else the next opening in the year.
    pub(super) fn open_from(&self, at: i64) -> Option<i64> {
        let index = self.open.partition_point(|(_, to)| *to < at);
        self.open.get(index).map(|(from, _)| at.max(*from))
    }
}

impl Calendar {
    pub(super) fn lay_out_year(&self, number: i16) -> Year {
        let mut year = Year::default();
        let mut day = date(number, 1, 1);
        let mut floor = self.end_before(day);
        while day.year() == number {
            for (from, to) in self.lay_out(day, &mut floor) {
                year.open.push((from, to));
                year.before.push(year.total);
                year.total += to - from;
            }
            let Ok(next) = day.tomorrow() else {
                break;
            };
            day = next;
        }
        year
    }

    /// The latest closing of the dates before one.
    pub(super) fn end_before(&self, first: Date) -> i64 {
        let mut days = Vec::new();
        let mut day = first;
        for _ in 0..DAYS_BEFORE {
            let Ok(before) = day.yesterday() else {
                break;
            };
            day = before;
            days.push(day);
        }
        let mut floor = i64::MIN;
        for day in days.into_iter().rev() {
            self.lay_out(day, &mut floor);
        }
        floor
    }

    /// The open stretches of a date. What closed after `floor`, which lies behind all before, was counted:
    /// in an hour that comes twice stretches may lie over each other, and it counts once.
    pub(super) fn lay_out(&self, day: Date, floor: &mut i64) -> Vec<(i64, i64)> {
        let mut open = Vec::new();
        for hours in self.hours(day) {
            let from = self.instant(day, hours.from, false).max(*floor);
            let to = self.instant(day, hours.to, true);
            if from < to {
                open.push((from, to));
            }
            *floor = to.max(*floor);
        }
        open
    }

    /// When it is that minute of a date. In a skipped hour it is the hour's end; of an hour that comes twice
    /// an opening takes the first, a closing the second.
    fn instant(&self, day: Date, minute: Minute, is_closing: bool) -> i64 {
        let local = local(day, minute);
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        let at = match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local),
            AmbiguousOffset::Fold { before, after } => {
                let offset = if is_closing { after } else { before };
                offset.to_timestamp(local)
            }
            AmbiguousOffset::Gap { before, after } => offset_change(self, local, before, after),
        };
        at.unwrap_or(Timestamp::MAX).as_microsecond()
    }
}

/// The instant at which clocks went forward over a local time.
fn offset_change(
    calendar: &Calendar,
    local: DateTime,
    before: Offset,
    after: Offset,
) -> Result<Timestamp, jiff::Error> {
    // By the later offset the skipped time lies before the change.
    let earlier = after.to_timestamp(local)?;
    let change = calendar
        .zone
        .following(earlier)
        .take(4)
        .find(|change| change.offset() == after);
    match change {
        Some(change) => Ok(change.timestamp()),
        // By the earlier offset it lies behind the change.
        None => before.to_timestamp(local),
    }
}

fn local(day: Date, minute: Minute) -> DateTime {
    let time = |minutes: u16| {
        let hour = i8::try_from(minutes / 60).unwrap_or(0);
        let minute = i8::try_from(minutes % 60).unwrap_or(0);
        Time::new(hour, minute, 0, 0).unwrap_or(Time::MIN)
    };
    match minute.0 {
        0..1_440 => day.to_datetime(time(minute.0)),
        // The end of a day is the start of the next.
        _ => day.tomorrow().unwrap_or(day).to_datetime(Time::MIN),
    }
}
