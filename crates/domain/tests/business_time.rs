//! Business time against a slow, obviously right oracle.
//!
//! The oracle knows nothing of the calendar's code: it finds the instants of a local time by trying every
//! offset that its zone has around it, lists the open stretches day by day, joins them and adds them up, in
//! milliseconds. `ROOST_ORACLE_CASES` says how many questions are asked; 5,000 unless it is set.

#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on fails where it stands"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "how many questions are asked is for whoever runs the test"
)]

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, DateTime, Time, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use roost_domain::sla::{
    self, Calendar, CalendarSpec, Course, Holiday, Hours, Minute, Rest, SpecialDay,
};

/// Questions to each calendar.
const QUESTIONS: usize = 8;
const DAY: i64 = 86_400_000;

/// A small generator: the same number gives the same test again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }

    fn one_in(&mut self, chances: i64) -> bool {
        self.below(chances) == 0
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let index = self.below(i64::try_from(of.len()).unwrap());
        &of[usize::try_from(index).unwrap()]
    }

    /// Up to three stretches, some of them from or to midnight.
    fn hours(&mut self) -> Vec<Hours> {
        let mut minutes = BTreeSet::new();
        for _ in 0..2 * (1 + self.below(3)) {
            let minute = match self.below(6) {
                0 => 0,
                1 => 1_440,
                2 => self.below(1_441),
                _ => self.below(97) * 15,
            };
            minutes.insert(u16::try_from(minute.min(1_440)).unwrap());
        }
        let minutes: Vec<u16> = minutes.into_iter().collect();
        minutes
            .chunks_exact(2)
            .map(|pair| Hours {
                from: Minute(pair[0]),
                to: Minute(pair[1]),
            })
            .collect()
    }

    fn date(&mut self, around: Date) -> Date {
        around + (self.below(60) - 30).days()
    }

    fn spec(&mut self, zone: &str, around: Date) -> CalendarSpec {
        let mut week: [Vec<Hours>; 7] = Default::default();
        for day in &mut week {
            if !self.one_in(4) {
                *day = self.hours();
            }
        }
        let stretch = |from, to| Hours {
            from: Minute(from),
            to: Minute(to),
        };
        if self.one_in(8) {
            // A night shift: one stretch entered as two.
            week = std::array::from_fn(|_| vec![stretch(0, 360), stretch(1_320, 1_440)]);
        }
        if week.iter().all(Vec::is_empty) {
            week[0] = vec![stretch(540, 1_020)];
        }
        let single: BTreeSet<Date> = (0..self.below(4)).map(|_| self.date(around)).collect();
        let yearly: BTreeSet<(i8, i8)> = (0..self.below(3))
            .map(|_| self.date(around))
            .map(|date| (date.month(), date.day()))
            .collect();
        let holiday = |date, yearly| Holiday {
            name: "Holiday".to_owned(),
            date,
            yearly,
        };
        let mut holidays: Vec<Holiday> = Vec::new();
        holidays.extend(single.into_iter().map(|date| holiday(date, false)));
        // A leap year has every day.
        let leap = |(month, day)| holiday(date(2020, month, day), true);
        holidays.extend(yearly.into_iter().map(leap));
        let special: BTreeSet<Date> = (0..self.below(4)).map(|_| self.date(around)).collect();
        let special_days = special.into_iter().map(|date| SpecialDay {
            name: "Special".to_owned(),
            date,
            hours: if self.one_in(4) {
                Vec::new()
            } else {
                self.hours()
            },
        });
        CalendarSpec {
            time_zone: zone.to_owned(),
            week,
            holidays,
            special_days: special_days.collect(),
        }
    }
}

struct Oracle {
    zone: TimeZone,
    spec: CalendarSpec,
    special: BTreeMap<Date, Vec<Hours>>,
}

impl Oracle {
    fn new(spec: &CalendarSpec) -> Self {
        let special = spec.special_days.iter();
        Self {
            zone: sla::zone(&spec.time_zone).unwrap(),
            spec: spec.clone(),
            special: special.map(|day| (day.date, day.hours.clone())).collect(),
        }
    }

    fn hours(&self, date: Date) -> Vec<Hours> {
        if let Some(hours) = self.special.get(&date) {
            return hours.clone();
        }
        let is_holiday = self.spec.holidays.iter().any(|holiday| {
            let same_day = (holiday.date.month(), holiday.date.day()) == (date.month(), date.day());
            holiday.date == date || holiday.yearly && same_day
        });
        if is_holiday {
            return Vec::new();
        }
        let day = date.weekday().to_monday_zero_offset();
        self.spec.week[usize::try_from(day).unwrap()].clone()
    }

    fn offset_at(&self, millis: i64) -> i64 {
        i64::from(self.zone.to_offset(instant(millis)).seconds()) * 1_000
    }

    /// The instant of a local time, itself given as if it were UTC's.
    fn instant(&self, local: i64, is_closing: bool) -> i64 {
        let around = (-30..=30).map(|hours| self.offset_at(local + hours * 3_600_000));
        let offsets: BTreeSet<i64> = around.collect();
        let fitting: BTreeSet<i64> = offsets
            .iter()
            .map(|offset| local - offset)
            .filter(|at| at + self.offset_at(*at) == local)
            .collect();
        let found = if is_closing {
            fitting.last()
        } else {
            fitting.first()
        };
        if let Some(at) = found {
            return *at;
        }
        // Skipped: the first instant whose local time is later.
        let (mut low, mut high) = (local - 2 * DAY, local + 2 * DAY);
        while low < high {
            let middle = low + (high - low) / 2;
            if middle + self.offset_at(middle) > local {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }

    /// The open stretches of these dates, joined.
    fn open(&self, first: Date, last: Date) -> Vec<(i64, i64)> {
        let mut stretches = Vec::new();
        let mut date = first;
        while date <= last {
            let midnight = as_utc(date.to_datetime(Time::MIN));
            for hours in self.hours(date) {
                let local = |minute: Minute| midnight + i64::from(minute.0) * 60_000;
                let from = self.instant(local(hours.from), false);
                let to = self.instant(local(hours.to), true);
                if from < to {
                    stretches.push((from, to));
                }
            }
            date = date.tomorrow().unwrap();
        }
        stretches.sort_unstable();
        let mut joined: Vec<(i64, i64)> = Vec::new();
        for (from, to) in stretches {
            match joined.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        joined
    }
}

fn as_utc(local: DateTime) -> i64 {
    let utc = TimeZone::UTC.to_ambiguous_timestamp(local);
    utc.unambiguous().unwrap().as_millisecond()
}

fn elapsed(open: &[(i64, i64)], from: i64, to: i64) -> i64 {
    open.iter()
        .map(|stretch| (stretch.1.min(to) - stretch.0.max(from)).max(0))
        .sum()
}

/// None if the stretches end before.
fn advance(open: &[(i64, i64)], from: i64, by: i64) -> Option<i64> {
    let mut left = by;
    for (opening, closing) in open {
        let start = from.max(*opening);
        if left <= closing - start {
            return Some(start + left);
        }
        left -= (closing - start).max(0);
    }
    None
}

fn instant(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

/// Somewhere in 2020 to 2035, every second time within some days of a change of the zone's clocks.
fn somewhen(random: &mut Random, zone: &TimeZone) -> i64 {
    let minutes = random.below(16 * 365 * 1_440);
    let start = as_utc(date(2020, 1, 1).to_datetime(Time::MIN)) + minutes * 60_000;
    let change = zone.following(instant(start)).next();
    let change = change.map(|change| change.timestamp().as_millisecond());
    match change {
        Some(change) if random.one_in(2) && change < start + 400 * DAY => {
            change - 3 * DAY + random.below(6 * DAY)
        }
        _ => start + random.below(60_000),
    }
}

#[test]
fn business_time_agrees_with_the_oracle_to_the_millisecond_in_every_zone() {
    let cases = std::env::var("ROOST_ORACLE_CASES");
    let cases: usize = cases.map_or(5_000, |cases| cases.parse().unwrap());
    let zones: Vec<String> = sla::zones()
        .into_iter()
        .filter(|name| sla::zone(name).is_some())
        .collect();
    assert!(zones.len() > 400, "the zone data is there");
    for number in 0..cases.div_ceil(QUESTIONS) {
        let seed = u64::try_from(number).unwrap() + 1;
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let name = &zones[number % zones.len()];
        let zone = sla::zone(name).unwrap();
        let middle = somewhen(&mut random, &zone);
        let day = zone.to_datetime(instant(middle)).date();
        let spec = random.spec(name, day);
        let calendar = Calendar::new(&spec).unwrap();
        let open = Oracle::new(&spec).open(day - 25.days(), day + 45.days());
        for _ in 0..QUESTIONS {
            let from = match random.below(3) {
                // At an opening or a closing to the millisecond, or beside it.
                0 => {
                    let (opening, closing) = *random.pick(&open);
                    let edge = if random.one_in(2) { opening } else { closing };
                    edge.clamp(middle - 20 * DAY, middle + 5 * DAY) + random.below(3) - 1
                }
                _ => middle + random.below(4 * DAY) - 2 * DAY,
            };
            let to = from + random.below(20 * DAY);
            let wanted = elapsed(&open, from, to);
            let told = calendar.elapsed(instant(from), instant(to)).as_millis();
            let case = format!("{name} {number}: from {} by {spec:?}", instant(from));
            assert_eq!(told, i128::from(wanted), "until {}, {case}", instant(to));
            let target = match random.below(3) {
                0 => wanted.max(1),
                _ => 1 + random.below(200 * 3_600_000),
            };
            if let Some(due) = advance(&open, from, target) {
                let told = calendar.advance(instant(from), SignedDuration::from_millis(target));
                assert_eq!(told, instant(due), "{target} ms, {case}");
            }
            with_rests(&mut random, &calendar, &open, from, &case);
        }
    }
}

/// What a clock with pauses has used, and when it is due.
fn with_rests(
    random: &mut Random,
    calendar: &Calendar,
    open: &[(i64, i64)],
    from: i64,
    case: &str,
) {
    let mut course = Course {
        started_at: instant(from),
        rests: Vec::new(),
    };
    let time = sla::Time::Open(calendar);
    let (mut now, mut used) = (from, 0);
    for _ in 0..random.below(4) {
        let rest = now + random.below(2 * DAY);
        let again = rest + random.below(2 * DAY);
        used += elapsed(open, now, rest);
        course.rests.push(Rest {
            from: instant(rest),
            until: Some(instant(again)),
        });
        now = again;
    }
    let told = course.used(time, instant(now)).as_millis();
    assert_eq!(told, i128::from(used), "{course:?}, {case}");
    let more = 1 + random.below(20 * 3_600_000);
    if let Some(due) = advance(open, now, more) {
        let mark = SignedDuration::from_millis(used + more);
        let told = course.reaches(time, mark);
        assert_eq!(told, Some(instant(due)), "{course:?}, {case}");
    }
}
