//! What a calendar must not say.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;

use super::super::{CalendarSpec, Hours};
use super::zone;

/// Open stretches of a day, at most.
const MAX_HOURS: usize = 48;
/// Holidays, and special days, at most.
const MAX_DATES: usize = 2_000;
/// Characters of a name, at most.
const MAX_NAME: usize = 200;

/// What is wrong with a calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecFault {
    /// Where: a JSON pointer into the spec.
    pub pointer: String,
    /// What.
    pub reason: String,
}

struct Faults(Vec<SpecFault>);

impl Faults {
    fn say(&mut self, pointer: impl Into<String>, reason: &str) {
        self.0.push(SpecFault {
            pointer: pointer.into(),
            reason: reason.to_owned(),
        });
    }
}

pub(super) fn check(spec: &CalendarSpec) -> Result<TimeZone, Vec<SpecFault>> {
    let mut faults = Faults(Vec::new());
    let zone = zone(&spec.time_zone);
    if zone.is_none() {
        faults.say("/time_zone", "is no known time zone");
    }
    for (day, hours) in spec.week.iter().enumerate() {
        check_hours(hours, &format!("/week/{day}"), &mut faults);
    }
    check_dates(spec, &mut faults);
    let is_ever_open = spec.week.iter().any(|hours| !hours.is_empty())
        || spec.special_days.iter().any(|day| !day.hours.is_empty());
    if !is_ever_open {
        faults.say("/week", "is never open: no clock by it would ever be due");
    }
    match (zone, faults.0.is_empty()) {
        (Some(zone), true) => Ok(zone),
        (_, _) => Err(faults.0),
    }
}

fn check_hours(hours: &[Hours], pointer: &str, faults: &mut Faults) {
    if hours.len() > MAX_HOURS {
        faults.say(pointer, "has more than 48 stretches");
        return;
    }
    for (index, one) in hours.iter().enumerate() {
        let here = || format!("{pointer}/{index}");
        if one.from >= one.to {
            faults.say(
                here(),
                "is empty: an overnight shift is entered as two, to 24:00 and from 00:00",
            );
        } else if hours
            .iter()
            .take(index)
            .any(|other| one.from < other.to && other.from < one.to)
        {
            faults.say(here(), "overlaps another");
        }
    }
}

fn check_dates(spec: &CalendarSpec, faults: &mut Faults) {
    if spec.holidays.len() > MAX_DATES {
        faults.say("/holidays", "are more than 2,000");
        return;
    }
    let (mut single, mut yearly) = (BTreeSet::new(), BTreeSet::new());
    for (index, holiday) in spec.holidays.iter().enumerate() {
        check_name(&holiday.name, &format!("/holidays/{index}/name"), faults);
        let is_new = if holiday.yearly {
            yearly.insert((holiday.date.month(), holiday.date.day()))
        } else {
            single.insert(holiday.date)
        };
        if !is_new {
            faults.say(format!("/holidays/{index}/date"), "is there twice");
        }
    }
    if spec.special_days.len() > MAX_DATES {
        faults.say("/special_days", "are more than 2,000");
        return;
    }
    let mut special = BTreeSet::new();
    for (index, day) in spec.special_days.iter().enumerate() {
        check_name(&day.name, &format!("/special_days/{index}/name"), faults);
        check_hours(&day.hours, &format!("/special_days/{index}/hours"), faults);
        if !special.insert(day.date) {
            faults.say(format!("/special_days/{index}/date"), "is there twice");
        }
    }
}

fn check_name(name: &str, pointer: &str, faults: &mut Faults) {
    let length = name.chars().count();
    if name.trim().is_empty() || length > MAX_NAME {
        faults.say(pointer, "must have 1 to 200 characters");
    }
}
