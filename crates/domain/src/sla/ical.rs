//! Holidays from an iCalendar file (RFC 5545).
//!
//! Only all-day events are read, so a reader of lines is enough: the parsers there are build whole
//! calendars on a second date-time library, expand repetitions without bound, or leave out what
//! they don't understand. Here a file either says exactly which dates are closed, or is refused.

mod event;
mod lines;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::Holiday;
use event::{Event, Repeats};

/// The largest file, in bytes.
const FILE: usize = 1 << 20;
/// The most events in a file.
const EVENTS: usize = 10_000;
/// The most holidays that come out of it; a calendar holds no more.
const HOLIDAYS: usize = 2_000;
/// The longest name, in characters.
const NAME: usize = 200;

/// Why a file was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct IcalFault {
    /// Where the fault is, counted from 1.
    pub line: usize,
    /// What it is, in words that may be shown.
    pub reason: &'static str,
}

/// The holidays of a file: those that fall on a date from `from` until before `to`, and all that are
/// repeated every year. An event of several days is a holiday on each; two on the same date are one
/// that has both names. Events at a time of the day and cancelled ones are no holidays and are
/// passed over.
///
/// # Errors
///
/// When the file is too large, isn't an iCalendar file, or has an all-day event that can't be taken
/// exactly: a date that doesn't exist, a repetition other than plainly every year.
pub fn holidays(text: &str, from: Date, to: Date) -> Result<Vec<Holiday>, IcalFault> {
    if text.len() > FILE {
        return Err(fault(1, "the file is larger than 1 MiB"));
    }
    let mut found = Found::default();
    let mut events = 0;
    let mut reader = lines::unfold(text);
    let first = reader.next();
    if !first.is_some_and(|line| line.begins("VCALENDAR")) {
        return Err(fault(1, "an iCalendar file begins with BEGIN:VCALENDAR"));
    }
    let mut last = 1;
    while let Some(line) = reader.next() {
        last = line.number;
        if line.begins("VEVENT") {
            events += 1;
            if events > EVENTS {
                return Err(fault(line.number, "the file has more than 10,000 events"));
            }
            if let Some(event) = Event::read(line.number, &mut reader)? {
                found.add(&event, from, to)?;
            }
        } else if line.text.is_empty() || line.name_and_value().is_some() {
            // Time zones, to-dos and the calendar's own properties close nothing.
        } else {
            return Err(fault(line.number, "a line must have a name and a colon"));
        }
    }
    found.into_holidays(last)
}

fn fault(line: usize, reason: &'static str) -> IcalFault {
    IcalFault { line, reason }
}

/// Holidays by date; those of every year by month and day.
#[derive(Default)]
struct Found {
    single: BTreeMap<Date, String>,
    yearly: BTreeMap<(i8, i8), (Date, String)>,
}

impl Found {
    fn add(&mut self, event: &Event, from: Date, to: Date) -> Result<(), IcalFault> {
        let (first, end) = match event.repeats {
            Repeats::Never => (event.first.max(from), event.end.min(to)),
            Repeats::Yearly => (event.first, event.end),
        };
        let mut date = first;
        while date < end {
            match event.repeats {
                Repeats::Never => join(self.single.entry(date).or_default(), &event.name),
                Repeats::Yearly => {
                    let day = self.yearly.entry((date.month(), date.day()));
                    join(
                        &mut day.or_insert_with(|| (date, String::new())).1,
                        &event.name,
                    );
                }
            }
            if self.single.len() + self.yearly.len() > HOLIDAYS {
                return Err(fault(
                    event.line,
                    "the file has more than 2,000 holidays in these years",
                ));
            }
            let Ok(next) = date.tomorrow() else { break };
            date = next;
        }
        Ok(())
    }

    fn into_holidays(self, last: usize) -> Result<Vec<Holiday>, IcalFault> {
        let holiday = |date, name, yearly| Holiday { name, date, yearly };
        let yearly = self
            .yearly
            .into_values()
            .map(|(date, name)| holiday(date, name, true));
        let single = self
            .single
            .into_iter()
            .map(|(date, name)| holiday(date, name, false));
        let holidays: Vec<_> = yearly.chain(single).collect();
        if holidays.is_empty() {
            return Err(fault(last, "the file has no all-day event in these years"));
        }
        Ok(holidays)
    }
}

/// Adds a name to those of a date, once, while there is room.
fn join(names: &mut String, name: &str) {
    if names.is_empty() {
        name.clone_into(names);
    } else if names.split(" / ").all(|known| known != name)
        && names.chars().count() + 3 + name.chars().count() <= NAME
    {
        names.push_str(" / ");
        names.push_str(name);
    }
}
