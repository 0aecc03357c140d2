//! What a calendar means day by day.

use jiff::Timestamp;
use jiff::tz::Offset;
use roost_domain::sla::{OpenDay, Why};
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::At;

/// What a calendar means day by day.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CalendarPreview {
    /// Of which version of the calendar.
    pub(crate) version: i64,
    pub(crate) time_zone: String,
    pub(crate) data: Vec<PreviewDay>,
}

/// A date of a calendar.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewDay {
    #[schema(example = "2026-01-31")]
    date: String,
    /// When somebody is there.
    open: Vec<OpenStretch>,
    /// The sum of it.
    open_seconds: i64,
    /// What gave it its hours: `week`, `holiday` or `special_day`.
    reason: &'static str,
    /// Of the holiday or special day.
    name: Option<String>,
    /// The change of the zone's clocks on that date, if there is one.
    offset_change: Option<OffsetChange>,
}

/// Open from an instant on, to another one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenStretch {
    from: At,
    to: At,
}

/// A change of a zone's clocks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OffsetChange {
    at: At,
    #[schema(example = "+01")]
    before: String,
    #[schema(example = "+02")]
    after: String,
}

impl PreviewDay {
    /// A day, and the jump of its clocks from one offset to another.
    pub(crate) fn new(day: OpenDay, jump: Option<(Timestamp, Offset, Offset)>) -> Self {
        let length = |(from, to): &(Timestamp, Timestamp)| to.duration_since(*from).as_secs();
        let (reason, name) = match day.why {
            Why::Week => ("week", None),
            Why::Holiday(name) => ("holiday", Some(name)),
            Why::Special(name) => ("special_day", Some(name)),
        };
        Self {
            date: day.date.to_string(),
            open_seconds: day.open.iter().map(length).sum(),
            open: day
                .open
                .into_iter()
                .map(|(from, to)| OpenStretch {
                    from: from.into(),
                    to: to.into(),
                })
                .collect(),
            reason,
            name,
            offset_change: jump.map(|(at, before, after)| OffsetChange {
                at: at.into(),
                before: before.to_string(),
                after: after.to_string(),
            }),
        }
    }
}
