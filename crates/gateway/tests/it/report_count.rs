//! The report on SLA clocks against a plain count.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use roost_domain::ids::{ChannelId, MemberId, PolicyId, TeamId};
use serde_json::{Value, json};

use crate::harness::Gateway;
use crate::report_seed::{
    Outcome, Place, excuse, keep, many, policy, report, second_channel, team,
};

/// What the plain count has of one group on one day.
#[derive(Debug, Default)]
struct Plain {
    counts: BTreeMap<&'static str, i64>,
    used: Vec<i64>,
    calendar: Vec<i64>,
    overdue: Vec<i64>,
}

impl Plain {
    fn add(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    fn of(&self, name: &str) -> i64 {
        self.counts.get(name).copied().unwrap_or_default()
    }
}

/// Linear between neighbours, in seconds.
fn percentile(values: &[i64], percent: usize) -> Value {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let Some(last) = sorted.len().checked_sub(1) else {
        return Value::Null;
    };
    let (whole, rest) = (last * percent / 100, last * percent % 100);
    let low = sorted[whole];
    let high = sorted[(whole + 1).min(last)];
    let rest = i64::try_from(rest).unwrap();
    // Rounded half away from zero, as the report does.
    let ms = ((low * 100 + (high - low) * rest) + 50) / 100;
    json!(f64::from(i32::try_from(ms).unwrap()) / 1000.0)
}

type Keys = (String, String, [String; 5]);

fn count(
    outcomes: &[Outcome],
    (from, to): (Date, Date),
    zone: &TimeZone,
    by: &[&str],
    excused: &dyn Fn(&Outcome) -> bool,
) -> BTreeMap<Keys, Plain> {
    let mut plain: BTreeMap<Keys, Plain> = BTreeMap::new();
    let day = |at: Timestamp| {
        let date = at.to_zoned_datetime(zone.clone()).date();
        (from <= date && date < to).then(|| date.to_string())
    };
    for outcome in outcomes {
        let Some(verdict) = outcome.verdict else {
            continue;
        };
        let id = |name: &str, shown: Option<String>| {
            by.contains(&name)
                .then_some(shown)
                .flatten()
                .unwrap_or_default()
        };
        let group = [
            id("team", outcome.team_id.map(|id| TeamId(id).to_string())),
            id(
                "member",
                outcome.member_id.map(|id| MemberId(id).to_string()),
            ),
            id("channel", Some(ChannelId(outcome.channel_id).to_string())),
            id("priority", Some(outcome.priority.to_owned())),
            id("policy", Some(PolicyId(outcome.policy_id).to_string())),
        ];
        if let Some(day) = day(outcome.verdict_at) {
            let key = (day, outcome.kind.to_owned(), group.clone());
            let of = plain.entry(key).or_default();
            of.add(verdict);
            if verdict == "breached" && excused(outcome) {
                of.add("excused");
            }
            if verdict == "cancelled" {
                of.add(outcome.cancelled_as.unwrap());
                if outcome.used_ms.unwrap() >= outcome.target_seconds * 900 {
                    of.add("cancelled_late");
                }
            }
        }
        if let Some(day) = outcome.ended_at.and_then(day) {
            let of = plain
                .entry((day, outcome.kind.to_owned(), group))
                .or_default();
            of.add("ended");
            if outcome.cycle > 1 && outcome.cancelled_as != Some("no_reply_needed") {
                of.add("reopened");
            }
            if outcome.cancelled_as.is_none() {
                of.used.push(outcome.used_ms.unwrap());
                of.calendar.push(outcome.calendar_ms.unwrap());
                if verdict == "breached" {
                    of.overdue
                        .push(outcome.used_ms.unwrap() - outcome.target_seconds * 1000);
                }
            }
        }
    }
    plain
}

fn share(part: i64, whole: i64) -> Value {
    if whole == 0 {
        return Value::Null;
    }
    json!(f64::from(i32::try_from(part).unwrap()) / f64::from(i32::try_from(whole).unwrap()))
}

fn assert_same(row: &Value, plain: &Plain) {
    let names = [
        "met",
        "breached",
        "excused",
        "cancelled",
        "cancelled_late",
        "ended",
    ];
    for name in names {
        assert_eq!(row[name], plain.of(name), "{name} of {row}");
    }
    for (reason, counted) in row["cancelled_by_reason"].as_object().unwrap() {
        assert_eq!(*counted, plain.of(reason), "{reason} of {row}");
    }
    let (met, breached) = (plain.of("met"), plain.of("breached"));
    let is_same = |name: &str, expected: Value| {
        let (shown, expected) = (row[name].as_f64(), expected.as_f64());
        // JSON readers differ in a number's last digit.
        let is_same = match (shown, expected) {
            (Some(shown), Some(expected)) => (shown - expected).abs() < 1e-12,
            (shown, expected) => shown == expected,
        };
        assert!(is_same, "{name} is not {expected:?} in {row}");
    };
    is_same("attainment", share(met, met + breached));
    let unexcused = met + breached - plain.of("excused");
    is_same("attainment_excused", share(met, unexcused));
    if row["kind"] == "resolution" {
        is_same(
            "reopen_rate",
            share(plain.of("reopened"), plain.of("ended")),
        );
    } else {
        assert_eq!(row["reopen_rate"], Value::Null);
    }
    for (name, values, percents) in [
        ("used_seconds", &plain.used, &[50, 90, 95][..]),
        ("calendar_seconds", &plain.calendar, &[50, 90, 95]),
        ("overdue_seconds", &plain.overdue, &[50, 90]),
    ] {
        for percent in percents {
            let shown = &row[name][format!("p{percent}")];
            let expected = percentile(values, *percent);
            let is_close = match (shown.as_f64(), expected.as_f64()) {
                // Half a millisecond may be rounded either way.
                (Some(shown), Some(expected)) => (shown - expected).abs() < 0.0015,
                (shown, expected) => shown == expected,
            };
            assert!(is_close, "{name} p{percent} is not {expected} in {row}");
        }
    }
}

fn keys(row: &Value) -> Keys {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let group = [
        text(&row["team"]["id"]),
        text(&row["member"]["id"]),
        text(&row["channel"]["id"]),
        text(&row["priority"]),
        text(&row["policy"]["id"]),
    ];
    (text(&row["date"]), text(&row["kind"]), group)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_results_count_as_one_would_by_hand_in_every_zone_and_group() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let place = Place::new(&gateway, &brand).await;
    let member = gateway.member(&brand, "agent").await.member.0;
    let teams = [brand.team.0, team(&gateway, &brand, "Returns").await];
    let more = [
        second_channel(&gateway, &brand).await,
        policy(&gateway, &brand, "Silver").await,
    ];
    let members = [brand.owner.member.0, member];
    let outcomes = many(&brand, &place, &teams, &members, more);
    keep(&gateway, &outcomes).await;
    let (start, end) = ("2026-03-07T12:00:00Z", "2026-03-10T06:00:00Z");
    for channel in [None, Some(more[0])] {
        // The second one overlaps the first: nothing is excused twice.
        let made = excuse(&gateway, &brand, channel, start, end).await;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    let later = ["2026-03-28T00:00:00Z", "2026-03-30T00:00:00Z"];
    let made = excuse(&gateway, &brand, Some(more[0]), later[0], later[1]).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let within = |at: Timestamp, from: &str, to: &str| {
        from.parse::<Timestamp>().unwrap() <= at && at < to.parse::<Timestamp>().unwrap()
    };
    let excused = |outcome: &Outcome| {
        within(outcome.verdict_at, start, end)
            || outcome.channel_id == more[0] && within(outcome.verdict_at, later[0], later[1])
    };
    let period: (Date, Date) = ("2026-03-01".parse().unwrap(), "2026-04-05".parse().unwrap());
    for zone in ["Asia/Tokyo", "Europe/Berlin", "America/New_York"] {
        let tz = TimeZone::get(zone).unwrap();
        for by in [
            &[][..],
            &["team"],
            &["member", "priority"],
            &["channel"],
            &["policy"],
        ] {
            let groups: String = by.iter().map(|name| format!("&group_by={name}")).collect();
            let query =
                format!("from=2026-03-01&to=2026-04-05&interval=day&time_zone={zone}{groups}");
            let rows = report(&gateway, &brand.owner, &query).await;
            let mut plain = count(&outcomes, period, &tz, by, &excused);
            let days = rows.iter().map(|row| row["date"].as_str().unwrap());
            let days = days.collect::<BTreeSet<_>>();
            assert_eq!(days.len(), 35, "{query}");
            for row in &rows {
                assert_same(row, &plain.remove(&keys(row)).unwrap_or_default());
            }
            assert!(plain.is_empty(), "{query}: not shown: {plain:?}");
        }
    }
    // Filters narrow, and the whole is one period.
    let team = TeamId(teams[1]);
    let query = format!(
        "from=2026-03-01&to=2026-04-05&time_zone=Asia/Tokyo&team_id={team}&team_id=none&kind=resolution&priority=high"
    );
    let rows = report(&gateway, &brand.owner, &query).await;
    let wanted: Vec<Outcome> = outcomes
        .iter()
        .filter(|it| {
            it.team_id.is_none_or(|id| id == teams[1])
                && it.kind == "resolution"
                && it.priority == "high"
        })
        .cloned()
        .collect();
    let tz = TimeZone::get("Asia/Tokyo").unwrap();
    let expected = count(&wanted, period, &tz, &[], &excused);
    let met: i64 = expected.values().map(|plain| plain.of("met")).sum();
    assert_eq!(rows.len(), 1);
    assert!(met > 20);
    assert_eq!(rows[0]["met"], met);
}
