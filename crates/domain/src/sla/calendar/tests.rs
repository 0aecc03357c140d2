//! Business time, by example.

use jiff::civil::{Date, date};
use jiff::{SignedDuration, Timestamp};

use super::zone as zone_of;
use super::*;
use crate::sla::{CalendarSpec, Holiday, SpecialDay};

fn hours(text: &str) -> Vec<Hours> {
    text.split(' ')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (from, to) = part.split_once('-').unwrap();
            Hours {
                from: from.parse().unwrap(),
                to: to.parse().unwrap(),
            }
        })
        .collect()
}

fn spec(zone: &str, working_day: &str) -> CalendarSpec {
    let day = || hours(working_day);
    CalendarSpec {
        time_zone: zone.to_owned(),
        week: [day(), day(), day(), day(), day(), Vec::new(), Vec::new()],
        holidays: Vec::new(),
        special_days: Vec::new(),
    }
}

fn calendar(zone: &str, working_day: &str) -> Calendar {
    Calendar::new(&spec(zone, working_day)).unwrap()
}

fn every_day(zone: &str, hours_of_day: &str) -> CalendarSpec {
    let day = || hours(hours_of_day);
    CalendarSpec {
        week: [day(), day(), day(), day(), day(), day(), day()],
        ..spec(zone, "")
    }
}

fn at(text: &str) -> Timestamp {
    let (local, zone) = text.trim_end_matches(']').split_once('[').unwrap();
    let zone = zone_of(zone).unwrap();
    let local: jiff::civil::DateTime = local.parse().unwrap();
    zone.to_ambiguous_timestamp(local).unambiguous().unwrap()
}

fn h(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

#[test]
fn round_the_clock_midnight_is_no_closing() {
    let calendar = Calendar::new(&every_day("Europe/Berlin", "00:00-24:00")).unwrap();
    let from = at("2026-11-25T23:00[Europe/Berlin]");
    assert_eq!(
        calendar.advance(from, h(2)),
        at("2026-11-26T01:00[Europe/Berlin]")
    );
    assert!(calendar.is_open(at("2026-11-26T00:00[Europe/Berlin]")));
}

#[test]
fn what_is_left_at_closing_goes_on_at_the_next_opening_and_its_warning_with_it() {
    let calendar = calendar("Europe/Berlin", "08:00-18:00");
    let monday = at("2026-11-23T17:00[Europe/Berlin]");
    assert_eq!(
        calendar.advance(monday, h(4)),
        at("2026-11-24T11:00[Europe/Berlin]")
    );
    assert_eq!(
        calendar.advance(monday, h(3)),
        at("2026-11-24T10:00[Europe/Berlin]")
    );
    assert_eq!(
        calendar.advance(monday, h(1)),
        at("2026-11-23T18:00[Europe/Berlin]"),
        "what fills exactly to closing is due at closing"
    );
    let weekend = at("2026-11-28T12:00[Europe/Berlin]");
    assert_eq!(
        calendar.advance(weekend, SignedDuration::ZERO),
        at("2026-11-30T08:00[Europe/Berlin]")
    );
    assert_eq!(
        calendar.elapsed(weekend, at("2026-11-30T07:59[Europe/Berlin]")),
        h(0)
    );
}

#[test]
fn a_weekday_is_the_calendars_own() {
    // Sunday in UTC, Monday in Auckland.
    let calendar = calendar("Pacific/Auckland", "08:00-17:00");
    assert!(calendar.is_open(at("2026-11-23T08:00[Pacific/Auckland]")));
    assert!(!calendar.is_open(at("2026-11-22T08:00[Pacific/Auckland]")));
}

#[test]
fn each_zone_changes_its_clocks_on_its_own_day() {
    // America has changed on 8 March 2026, Europe changes on the 29th.
    for zone in ["America/New_York", "Europe/Berlin"] {
        let calendar = calendar(zone, "09:00-17:00");
        assert!(
            !calendar.is_open(at(&format!("2026-03-10T08:30[{zone}]"))),
            "{zone}"
        );
        assert!(
            calendar.is_open(at(&format!("2026-03-10T09:30[{zone}]"))),
            "{zone}"
        );
        let (from, to) = (
            at(&format!("2026-03-10T00:00[{zone}]")),
            at(&format!("2026-03-11T00:00[{zone}]")),
        );
        assert_eq!(calendar.elapsed(from, to), h(8));
    }
}

#[test]
fn a_shift_over_the_change_of_clocks_is_an_hour_longer_or_shorter() {
    let nights = Calendar::new(&every_day("Europe/Berlin", "00:00-06:00 22:00-24:00")).unwrap();
    let night = |from: &str, to: &str| {
        nights.elapsed(
            at(&format!("{from}T22:00[Europe/Berlin]")),
            at(&format!("{to}T06:00[Europe/Berlin]")),
        )
    };
    assert_eq!(night("2026-03-28", "2026-03-29"), h(7));
    assert_eq!(night("2026-10-24", "2026-10-25"), h(9));
    assert_eq!(night("2026-11-24", "2026-11-25"), h(8));
}

#[test]
fn in_a_skipped_hour_times_move_to_its_end_and_in_one_that_comes_twice_it_counts_once() {
    // 02:00 to 03:00 doesn't exist on 29 March 2026 in Berlin.
    let spring = date(2026, 3, 29);
    let of = |hours: &str, day: Date| {
        let calendar = Calendar::new(&every_day("Europe/Berlin", hours)).unwrap();
        let midnight = day.to_datetime(jiff::civil::Time::MIN);
        let midnight = calendar.zone().to_ambiguous_timestamp(midnight);
        let from = midnight.unambiguous().unwrap();
        let open = calendar.days(day, 1).remove(0).open;
        let minutes = |at: &Timestamp| at.duration_since(from).as_secs() / 60;
        let counted: i64 = open
            .iter()
            .map(|(from, to)| minutes(to) - minutes(from))
            .sum();
        let total = calendar.elapsed(from, from + h(25)).as_secs() / 60;
        assert!(total >= counted);
        open.iter()
            .map(|(from, to)| (minutes(from), minutes(to)))
            .collect::<Vec<_>>()
    };
    assert_eq!(of("02:30-04:00", spring), [(120, 180)]);
    assert_eq!(of("01:00-02:30", spring), [(60, 120)]);
    assert_eq!(of("02:10-02:50", spring), []);
    // 02:00 to 03:00 comes twice on 25 October.
    let autumn = date(2026, 10, 25);
    assert_eq!(of("02:30-04:00", autumn), [(150, 300)]);
    assert_eq!(of("01:00-02:30", autumn), [(60, 210)]);
    assert_eq!(
        of("01:00-02:30 02:30-04:00", autumn),
        [(60, 210), (210, 300)]
    );
}

#[test]
fn a_date_that_a_zone_left_out_is_empty() {
    let calendar = Calendar::new(&every_day("Pacific/Apia", "00:00-24:00")).unwrap();
    let days = calendar.days(date(2011, 12, 29), 3);
    let open: Vec<i64> = days
        .iter()
        .map(|day| {
            day.open
                .iter()
                .map(|(from, to)| to.duration_since(*from).as_hours())
                .sum()
        })
        .collect();
    assert_eq!(open, [24, 0, 24]);
}

#[test]
fn a_special_day_beats_a_holiday_which_beats_the_week() {
    let mut spec = spec("Europe/Berlin", "09:00-17:00");
    let holiday = |date, yearly| Holiday {
        name: "Closed".to_owned(),
        date,
        yearly,
    };
    spec.holidays = vec![
        holiday(date(2020, 12, 25), true),
        holiday(date(2026, 11, 25), false),
        holiday(date(2026, 11, 26), false),
    ];
    spec.special_days = vec![SpecialDay {
        name: "Sale".to_owned(),
        date: date(2026, 11, 26),
        hours: hours("12:00-13:00"),
    }];
    let calendar = Calendar::new(&spec).unwrap();
    let days = calendar.days(date(2026, 11, 24), 3);
    let kinds: Vec<(&Why, usize)> = days.iter().map(|day| (&day.why, day.open.len())).collect();
    assert_eq!(
        kinds,
        [
            (&Why::Week, 1),
            (&Why::Holiday("Closed".to_owned()), 0),
            (&Why::Special("Sale".to_owned()), 1),
        ]
    );
    assert_eq!(
        calendar.days(date(2026, 12, 25), 1)[0].why,
        Why::Holiday("Closed".to_owned())
    );
}

#[test]
fn a_pause_outside_of_open_hours_pauses_nothing() {
    let calendar = calendar("Europe/Berlin", "09:00-17:00");
    let course = crate::sla::Course {
        started_at: at("2026-11-23T09:00[Europe/Berlin]"),
        rests: vec![crate::sla::Rest {
            from: at("2026-11-23T17:00[Europe/Berlin]"),
            until: Some(at("2026-11-24T09:00[Europe/Berlin]")),
        }],
    };
    let due = course.reaches(crate::sla::Time::Open(&calendar), h(10));
    assert_eq!(due, Some(at("2026-11-24T11:00[Europe/Berlin]")));
}

#[test]
fn a_calendar_says_everything_that_is_wrong_with_it() {
    let mut spec = spec("Mars/Olympus", "09:00-12:00 11:00-14:00 18:00-18:00");
    spec.week[1] = Vec::new();
    spec.holidays = vec![
        Holiday {
            name: " ".to_owned(),
            date: date(2026, 1, 1),
            yearly: false,
        };
        2
    ];
    let faults = Calendar::new(&spec).unwrap_err();
    let pointers: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
    assert_eq!(pointers[..3], ["/time_zone", "/week/0/1", "/week/0/2"]);
    assert!(pointers.contains(&"/holidays/1/date") && pointers.contains(&"/holidays/0/name"));
    let nowhere = every_day("Etc/Unknown", "09:00-17:00");
    assert_eq!(
        Calendar::new(&nowhere).unwrap_err()[0].pointer,
        "/time_zone"
    );
    let never = CalendarSpec {
        week: Default::default(),
        ..every_day("UTC", "")
    };
    assert_eq!(Calendar::new(&never).unwrap_err()[0].pointer, "/week");
}

#[test]
fn who_is_never_open_again_is_never_due() {
    let mut spec = every_day("UTC", "");
    spec.special_days = vec![SpecialDay {
        name: "Once".to_owned(),
        date: date(2026, 11, 26),
        hours: hours("12:00-13:00"),
    }];
    let calendar = Calendar::new(&spec).unwrap();
    let from = at("2026-11-25T00:00[UTC]");
    assert_eq!(calendar.advance(from, h(1)), at("2026-11-26T13:00[UTC]"));
    assert_eq!(calendar.advance(from, h(2)), Timestamp::MAX);
}
