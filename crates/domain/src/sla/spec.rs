//! What a calendar says: when somebody is there.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One version of a calendar, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarSpec {
    /// An IANA name, such as `Europe/Berlin`.
    pub time_zone: String,
    /// The open hours of each day, Monday first; a day without any is closed.
    pub week: [Vec<Hours>; 7],
    /// Dates that are closed all day.
    #[serde(default)]
    pub holidays: Vec<Holiday>,
    /// Dates with hours of their own: they beat the week and the holidays.
    #[serde(default)]
    pub special_days: Vec<SpecialDay>,
}

/// A half-open stretch of the local day, in JSON `{"from": "09:00", "to": "17:30"}`; `24:00` is a valid end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// The opening.
    pub from: Minute,
    /// The closing.
    pub to: Minute,
}

/// A minute of the local day, 0 to 1440; in JSON `HH:MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minute(pub u16);

/// A date that is closed all day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holiday {
    /// What it is called.
    pub name: String,
    /// When.
    pub date: Date,
    /// Whether it is every year on that day and month. A 29 February is one in leap years.
    #[serde(default)]
    pub yearly: bool,
}

/// A date with hours of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpecialDay {
    /// What it is called.
    pub name: String,
    /// When.
    pub date: Date,
    /// Its hours; none: closed.
    pub hours: Vec<Hours>,
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl std::str::FromStr for Minute {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = "must be a time of the day as HH:MM, from 00:00 to 24:00";
        let digits = |part: &str| {
            let is_two = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            is_two.then(|| part.parse::<u16>().ok()).flatten()
        };
        let (hours, minutes) = text.split_once(':').ok_or(fault)?;
        match (digits(hours), digits(minutes)) {
            (Some(24), Some(0)) => Ok(Self(1_440)),
            (Some(hours @ 0..24), Some(minutes @ 0..60)) => Ok(Self(hours * 60 + minutes)),
            _ => Err(fault),
        }
    }
}

impl Serialize for Minute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Minute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
