use jiff::civil::date;
use proptest::prelude::*;

use super::*;

fn file(events: &[&str]) -> String {
    let events: String = events
        .iter()
        .map(|event| {
            format!(
                "BEGIN:VEVENT\r\n{}\r\nEND:VEVENT\r\n",
                event.replace('\n', "\r\n")
            )
        })
        .collect();
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}END:VCALENDAR\r\n")
}

fn read(events: &[&str]) -> Result<Vec<(String, String, bool)>, IcalFault> {
    let found = holidays(&file(events), date(2026, 1, 1), date(2028, 1, 1))?;
    let shown = |holiday: Holiday| (holiday.date.to_string(), holiday.name, holiday.yearly);
    Ok(found.into_iter().map(shown).collect())
}

fn one(day: &str, name: &str) -> (String, String, bool) {
    (day.to_owned(), name.to_owned(), false)
}

#[test]
fn a_file_of_public_holidays_becomes_dates() {
    let found = read(&[
        "DTSTART;VALUE=DATE:20261225\nDTEND;VALUE=DATE:20261227\nSUMMARY;LANGUAGE=de:Weihnachten\\, frei",
        "SUMMARY:Neujahr\nDTSTART;VALUE=DATE:20270101",
        "DTSTART;VALUE=DATE:20270501\nDURATION:P1D\nRRULE:FREQ=YEARLY;INTERVAL=1;WKST=MO\nSUMMARY:Tag der Arbeit",
        "DTSTART;VALUE=DATE:20200101\nSUMMARY:Long ago",
        "DTSTART;VALUE=DATE:20271230\nDTEND;VALUE=DATE:20280105\nSUMMARY:Closed",
    ]);
    assert_eq!(
        found.unwrap(),
        [
            ("2027-05-01".to_owned(), "Tag der Arbeit".to_owned(), true),
            one("2026-12-25", "Weihnachten, frei"),
            one("2026-12-26", "Weihnachten, frei"),
            one("2027-01-01", "Neujahr"),
            one("2027-12-30", "Closed"),
            one("2027-12-31", "Closed"),
        ]
    );
}

#[test]
fn folded_lines_quotes_and_alarms_are_read_as_they_are_meant() {
    let found = read(&[
        "DTSTART;X-NOTE=\"a:b\";VALUE=DATE:2026\n 0403\nBEGIN:VALARM\nSUMMARY:Alarm\nDTSTART:20260101T000000Z\nEND:VALARM\nSUMMARY:Good \n Friday",
    ]);
    assert_eq!(found.unwrap(), [one("2026-04-03", "Good Friday")]);
}

#[test]
fn events_at_a_time_of_the_day_and_cancelled_ones_close_nothing() {
    let found = read(&[
        "DTSTART;TZID=Europe/Berlin:20260105T090000\nDTEND;TZID=Europe/Berlin:20260105T100000\nRRULE:FREQ=WEEKLY\nSUMMARY:Stand-up",
        "DTSTART;VALUE=DATE:20260106\nSTATUS:CANCELLED\nSUMMARY:Off",
        "DTSTART;VALUE=DATE:20260107\nSUMMARY:On",
    ]);
    assert_eq!(found.unwrap(), [one("2026-01-07", "On")]);
}

#[test]
fn two_holidays_of_a_date_are_one_with_both_names() {
    let found = read(&[
        "DTSTART;VALUE=DATE:20260405\nSUMMARY:Easter",
        "DTSTART;VALUE=DATE:20260405\nSUMMARY:Founders' day",
        "DTSTART;VALUE=DATE:20260405\nSUMMARY:Easter",
    ]);
    assert_eq!(
        found.unwrap(),
        [one("2026-04-05", "Easter / Founders' day")]
    );
}

#[test]
fn names_lose_what_could_mislead_and_are_cut() {
    let long = "x".repeat(500);
    let found = read(&[
        "DTSTART;VALUE=DATE:20260102\nSUMMARY:\u{7}Bell\\nand \u{202e}more",
        &format!("DTSTART;VALUE=DATE:20260103\nSUMMARY:{long}"),
        "DTSTART;VALUE=DATE:20260104",
    ])
    .unwrap();
    assert_eq!(found[0].1, "Bell and more");
    assert_eq!(found[1].1.len(), 200);
    assert_eq!(found[2].1, "Holiday");
}

#[test]
fn what_can_t_be_taken_exactly_is_refused_with_its_line() {
    let refused = |event: &str| read(&[event]).unwrap_err().line;
    assert_eq!(
        refused(
            "SUMMARY:Thanksgiving\nDTSTART;VALUE=DATE:20261126\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH"
        ),
        6
    );
    assert_eq!(
        refused("DTSTART;VALUE=DATE:20261126\nRRULE:FREQ=YEARLY;COUNT=3"),
        5
    );
    assert_eq!(
        refused("DTSTART;VALUE=DATE:20261126\nRRULE:FREQ=YEARLY\nEXDATE;VALUE=DATE:20271126"),
        6
    );
    assert_eq!(refused("DTSTART;VALUE=DATE:20260230"), 4);
    assert_eq!(refused("SUMMARY:No date"), 3);
    assert_eq!(
        refused("DTSTART;VALUE=DATE:20260105\nDTEND;VALUE=DATE:20260105"),
        3
    );
    assert_eq!(
        refused("DTSTART;VALUE=DATE:20260105\nDTEND;VALUE=DATE:20290105\nRRULE:FREQ=YEARLY"),
        3
    );
    assert_eq!(refused("DTSTART;VALUE=DATE:20260105\nnonsense"), 5);
    assert_eq!(refused("DTSTART;VALUE=DATE:20260105\nEND:VCALENDAR"), 5);
}

#[test]
fn what_isn_t_an_icalendar_file_is_refused() {
    let read = |text: &str| holidays(text, date(2026, 1, 1), date(2028, 1, 1)).unwrap_err();
    assert_eq!(read("").line, 1);
    assert_eq!(read("<html></html>").line, 1);
    assert_eq!(
        read("BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:x").reason,
        "the event has no end"
    );
    let huge = format!("BEGIN:VCALENDAR\n{}", "X".repeat(FILE));
    assert_eq!(read(&huge).reason, "the file is larger than 1 MiB");
}

#[test]
fn a_file_as_large_as_may_be_is_read_in_no_time() {
    let start = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20260105\nSUMMARY:";
    let folded = "x\n ".repeat((FILE - 200) / 3);
    let text = format!("{start}{folded}\nEND:VEVENT\nEND:VCALENDAR\n");
    let found = holidays(&text, date(2026, 1, 1), date(2028, 1, 1)).unwrap();
    assert_eq!(found[0].name.len(), 200);
    let many = "BEGIN:VEVENT\nDTSTART;VALUE=DATE:00010101\nDTEND;VALUE=DATE:99991231\nEND:VEVENT\n";
    let text = format!("BEGIN:VCALENDAR\n{}", many.repeat(10_000));
    let refused = holidays(&text, Date::MIN, Date::MAX).unwrap_err();
    assert_eq!(
        refused.reason,
        "the file has more than 2,000 holidays in these years"
    );
    let text = format!(
        "BEGIN:VCALENDAR\n{}",
        "BEGIN:VEVENT\nDTSTART:20260101\nEND:VEVENT\n".repeat(10_001)
    );
    assert_eq!(
        holidays(&text, Date::MIN, Date::MAX).unwrap_err().line,
        30_002
    );
}

fn scrap() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("BEGIN:VEVENT\r\n".to_owned()),
        Just("END:VEVENT\r\n".to_owned()),
        Just("BEGIN:VALARM\n".to_owned()),
        Just("END:VALARM\n".to_owned()),
        Just("DTSTART;VALUE=DATE:20260105\n".to_owned()),
        Just("DTEND;VALUE=DATE:20260107\n".to_owned()),
        Just("RRULE:FREQ=YEARLY\n".to_owned()),
        "DTSTART[;:=\"A-Z]{0,12}:[0-9TZ]{0,16}\n",
        "(DURATION|RRULE|DTEND|SUMMARY):[-+PDWTA-Z0-9=;\\\\]{0,16}\r?\n",
        "[ \t]?\\PC{0,20}\n",
        ".{0,40}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4_000) })]

    #[test]
    fn any_text_is_read_or_refused(scraps in proptest::collection::vec(scrap(), 0..40), headed: bool) {
        let head = if headed { "BEGIN:VCALENDAR\r\n" } else { "" };
        let text = format!("{head}{}", scraps.concat());
        let (from, to) = (date(2020, 1, 1), date(2035, 1, 1));
        match holidays(&text, from, to) {
            Ok(found) => for holiday in found {
                prop_assert!(holiday.yearly || (from <= holiday.date && holiday.date < to));
                prop_assert!(!holiday.name.is_empty() && holiday.name.chars().count() <= NAME);
                prop_assert!(!holiday.name.chars().any(char::is_control));
            },
            Err(fault) => prop_assert!((1..=text.split('\n').count()).contains(&fault.line)),
        }
    }
}
