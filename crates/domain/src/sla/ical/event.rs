//! One event of a file.

use jiff::civil::Date;

use super::lines::Line;
use super::{IcalFault, NAME, fault};

/// An event of whole days.
#[derive(Debug)]
pub(super) struct Event {
    /// Where it begins in the file.
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) first: Date,
    /// The date after its last.
    pub(super) end: Date,
    pub(super) repeats: Repeats,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeats {
    Never,
    Yearly,
}

/// What the lines of an event said.
#[derive(Default)]
struct Said {
    name: String,
    first: Option<Date>,
    end: Option<Date>,
    days: Option<i32>,
    /// The line of a rule that is more than "every year", or of dates left out or put in.
    odd: Option<usize>,
    yearly: bool,
    is_timed: bool,
    is_cancelled: bool,
}

impl Event {
    /// Reads to the end of the event that begins on a line. None where it closes nothing.
    pub(super) fn read<'a>(
        begins: usize,
        lines: &mut impl Iterator<Item = Line<'a>>,
    ) -> Result<Option<Self>, IcalFault> {
        let mut said = Said::default();
        // Components inside the event, such as alarms, have properties of their own.
        let mut inner = 0_usize;
        for line in lines {
            let Some((name, value)) = line.name_and_value() else {
                if line.text.is_empty() {
                    continue;
                }
                return Err(fault(line.number, "a line must have a name and a colon"));
            };
            if inner == 0 && line.ends("VEVENT") {
                return said.into_event(begins);
            }
            match name.to_ascii_uppercase().as_str() {
                "BEGIN" => inner += 1,
                "END" if inner == 0 => return Err(fault(line.number, "the event must end first")),
                "END" => inner -= 1,
                name if inner == 0 => said.take(&line, name, value)?,
                _ => {}
            }
        }
        Err(fault(begins, "the event has no end"))
    }
}

impl Said {
    fn take(&mut self, line: &Line<'_>, name: &str, value: &str) -> Result<(), IcalFault> {
        match name {
            "SUMMARY" if self.name.is_empty() => self.name = readable(value),
            "DTSTART" => self.first = self.date(line, value)?,
            "DTEND" => self.end = self.date(line, value)?,
            "DURATION" => match days(value) {
                Some(days) => self.days = Some(days),
                None => self.is_timed = true,
            },
            "RRULE" if is_every_year(value) => self.yearly = true,
            "RRULE" | "RDATE" | "EXDATE" | "EXRULE" | "RECURRENCE-ID" => {
                self.odd = self.odd.or(Some(line.number));
            }
            "STATUS" => self.is_cancelled = value.trim().eq_ignore_ascii_case("CANCELLED"),
            _ => {}
        }
        Ok(())
    }

    fn date(&mut self, line: &Line<'_>, value: &str) -> Result<Option<Date>, IcalFault> {
        let value = value.trim();
        let is_date = line.has_parameter("VALUE=DATE") || !value.contains(['T', 't']);
        if !is_date {
            self.is_timed = true;
            return Ok(None);
        }
        match date(value) {
            Some(date) => Ok(Some(date)),
            None => Err(fault(line.number, "must be a date as YYYYMMDD")),
        }
    }

    fn into_event(self, line: usize) -> Result<Option<Event>, IcalFault> {
        if self.is_cancelled || self.is_timed {
            return Ok(None);
        }
        if let Some(odd) = self.odd {
            return Err(fault(
                odd,
                "only FREQ=YEARLY without more is understood; list the dates of this holiday one by one",
            ));
        }
        let Some(first) = self.first else {
            return Err(fault(line, "the event has no DTSTART"));
        };
        let end = match (self.end, self.days) {
            (Some(end), _) => Some(end),
            (None, days) => first
                .checked_add(jiff::Span::new().days(days.unwrap_or(1)))
                .ok(),
        };
        let Some(end) = end.filter(|end| first < *end) else {
            return Err(fault(line, "the event must end after it begins"));
        };
        let repeats = if self.yearly {
            Repeats::Yearly
        } else {
            Repeats::Never
        };
        let longest = first.checked_add(jiff::Span::new().days(366));
        if self.yearly && longest.is_ok_and(|longest| longest < end) {
            return Err(fault(
                line,
                "an event of every year must be shorter than one",
            ));
        }
        Ok(Some(Event {
            line,
            name: if self.name.is_empty() {
                "Holiday".to_owned()
            } else {
                self.name
            },
            first,
            end,
            repeats,
        }))
    }
}

fn date(text: &str) -> Option<Date> {
    let is_plain = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain {
        return None;
    }
    let (year, rest) = text.split_at_checked(4)?;
    let (month, day) = rest.split_at_checked(2)?;
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

/// A duration of whole days or weeks, `P3D` or `P1W`.
fn days(text: &str) -> Option<i32> {
    let text = text.trim().to_ascii_uppercase();
    let text = text.strip_prefix('+').unwrap_or(&text).strip_prefix('P')?;
    let (count, unit) = match text.strip_suffix('D') {
        Some(count) => (count, 1),
        None => (text.strip_suffix('W')?, 7),
    };
    let is_plain =
        (1..=4).contains(&count.len()) && count.bytes().all(|byte| byte.is_ascii_digit());
    is_plain
        .then(|| count.parse::<i32>().ok().map(|count| count * unit))
        .flatten()
}

/// Whether a rule says "every year" and nothing that could mean another date.
fn is_every_year(rule: &str) -> bool {
    let mut yearly = false;
    for part in rule.trim().split(';').filter(|part| !part.is_empty()) {
        let part = part.to_ascii_uppercase();
        match part.as_str() {
            "FREQ=YEARLY" => yearly = true,
            "INTERVAL=1" => {}
            part if part.starts_with("WKST=") => {}
            _ => return false,
        }
    }
    yearly
}

/// A text without its escapes, control characters and superfluous blanks, cut to the longest name.
fn readable(value: &str) -> String {
    let mut plain = String::with_capacity(value.len().min(4 * NAME));
    let mut escaped = false;
    for c in value.chars() {
        match (escaped, c) {
            (false, '\\') => {
                escaped = true;
                continue;
            }
            (true, 'n' | 'N') => plain.push(' '),
            (_, c) if c.is_control() => plain.push(' '),
            // They would turn around what stands beside the name.
            (_, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {}
            (_, c) => plain.push(c),
        }
        escaped = false;
    }
    let words: Vec<_> = plain.split_whitespace().collect();
    let name: String = words.join(" ").chars().take(NAME).collect();
    name.trim_end().to_owned()
}
