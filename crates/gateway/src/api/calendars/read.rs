//! Reading a calendar from a body.

use jiff::civil::Date;
use roost_domain::sla::{CalendarSpec, Holiday, Hours, SpecialDay};

use crate::input::Checks;
use crate::problem::Problem;
use crate::wire::calendar::{CreateCalendar, DAYS, HoursBody};

/// The name and what the calendar says, once it makes sense as a whole.
pub(super) fn read(body: CreateCalendar) -> Result<(String, CalendarSpec), Problem> {
    let mut checks = Checks::default();
    let name = checks.line("/name", &body.name, 1, 100);
    let week = body.week;
    let week = [
        week.monday,
        week.tuesday,
        week.wednesday,
        week.thursday,
        week.friday,
        week.saturday,
        week.sunday,
    ];
    let mut days = DAYS.iter();
    let week = week.map(|hours| {
        let day = days.next().copied().unwrap_or_default();
        read_hours(&mut checks, &format!("/week/{day}"), &hours)
    });
    let mut holidays = Vec::new();
    for (index, day) in body.holidays.iter().enumerate() {
        let at = format!("/holidays/{index}");
        let name = checks.line(&format!("{at}/name"), &day.name, 1, 200);
        if let Some(date) = read_date(&mut checks, &format!("{at}/date"), &day.date) {
            holidays.push(Holiday {
                name,
                date,
                yearly: day.yearly,
            });
        }
    }
    let mut special_days = Vec::new();
    for (index, day) in body.special_days.iter().enumerate() {
        let at = format!("/special_days/{index}");
        let name = checks.line(&format!("{at}/name"), &day.name, 1, 200);
        let hours = read_hours(&mut checks, &format!("{at}/hours"), &day.hours);
        if let Some(date) = read_date(&mut checks, &format!("{at}/date"), &day.date) {
            special_days.push(SpecialDay { name, date, hours });
        }
    }
    checks.finish()?;
    let spec = CalendarSpec {
        time_zone: body.time_zone,
        week,
        holidays,
        special_days,
    };
    super::check(&spec)?;
    Ok((name, spec))
}

fn read_hours(checks: &mut Checks, at: &str, all: &[HoursBody]) -> Vec<Hours> {
    let mut read = Vec::new();
    for (index, hours) in all.iter().enumerate() {
        let from = checks.parse(&format!("{at}/{index}/from"), &hours.from);
        let to = checks.parse(&format!("{at}/{index}/to"), &hours.to);
        if let (Some(from), Some(to)) = (from, to) {
            read.push(Hours { from, to });
        }
    }
    read
}

fn read_date(checks: &mut Checks, at: &str, text: &str) -> Option<Date> {
    let date = text.parse().ok().filter(|_| text.len() == 10);
    if date.is_none() {
        checks.fault(at, "must be a date, such as 2026-01-31");
    }
    date
}
