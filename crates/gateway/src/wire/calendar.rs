//! Calendars.

mod preview;

use std::borrow::Cow;

use roost_domain::sla::{CalendarSpec, Holiday, Hours};
use roost_store::SpecVersion;
use roost_store::calendars::StoredCalendar;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::At;
use crate::input::patch_schema;
pub(crate) use preview::{CalendarPreview, PreviewDay};

/// A calendar to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateCalendar {
    /// Unique in the brand, whatever the case.
    #[schema(min_length = 1, max_length = 100, example = "Office hours")]
    pub(crate) name: String,
    /// An IANA name.
    #[schema(example = "Europe/Berlin")]
    pub(crate) time_zone: String,
    pub(crate) week: WeekBody,
    /// Dates that are closed all day.
    #[serde(default)]
    pub(crate) holidays: Vec<HolidayBody>,
    /// Dates with hours of their own: they beat the week and the holidays.
    #[serde(default)]
    pub(crate) special_days: Vec<SpecialDayBody>,
}

/// The open hours of each day, any number; a day without any is closed.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({ "monday": [{ "from": "09:00", "to": "17:30" }] }))]
pub(crate) struct WeekBody {
    pub(crate) monday: Vec<HoursBody>,
    pub(crate) tuesday: Vec<HoursBody>,
    pub(crate) wednesday: Vec<HoursBody>,
    pub(crate) thursday: Vec<HoursBody>,
    pub(crate) friday: Vec<HoursBody>,
    pub(crate) saturday: Vec<HoursBody>,
    pub(crate) sunday: Vec<HoursBody>,
}

/// The days of a week's body, in their order.
pub(crate) const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// Open from a time of the day on, to another one. Hours over midnight are two: to 24:00, and from 00:00
/// on the next day.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HoursBody {
    #[schema(example = "09:00")]
    pub(crate) from: String,
    /// Closed from here on; `24:00` is the end of the day.
    #[schema(example = "17:30")]
    pub(crate) to: String,
}

/// A date that is closed all day.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HolidayBody {
    #[schema(min_length = 1, max_length = 200, example = "New Year's Day")]
    pub(crate) name: String,
    #[schema(example = "2026-01-01")]
    pub(crate) date: String,
    /// Whether it is every year on that day and month. A 29 February is one in leap years.
    #[serde(default)]
    pub(crate) yearly: bool,
}

impl From<Holiday> for HolidayBody {
    fn from(day: Holiday) -> Self {
        Self {
            name: day.name,
            date: day.date.to_string(),
            yearly: day.yearly,
        }
    }
}

/// A date with hours of its own.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SpecialDayBody {
    #[schema(min_length = 1, max_length = 200, example = "Stocktaking")]
    pub(crate) name: String,
    #[schema(example = "2026-12-24")]
    pub(crate) date: String,
    /// None: closed.
    #[serde(default)]
    pub(crate) hours: Vec<HoursBody>,
}

/// A change of a calendar.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct CalendarPatch(pub(crate) Map<String, Value>);

impl PartialSchema for CalendarPatch {
    fn schema() -> RefOr<Schema> {
        patch_schema::<CreateCalendar>()
    }
}

impl ToSchema for CalendarPatch {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("CalendarPatch")
    }
}

/// When somebody is there.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CalendarTerms {
    time_zone: String,
    week: WeekBody,
    holidays: Vec<HolidayBody>,
    special_days: Vec<SpecialDayBody>,
}

fn hours(all: Vec<Hours>) -> Vec<HoursBody> {
    let body = |hours: Hours| HoursBody {
        from: hours.from.to_string(),
        to: hours.to.to_string(),
    };
    all.into_iter().map(body).collect()
}

impl From<CalendarSpec> for CalendarTerms {
    fn from(spec: CalendarSpec) -> Self {
        let [
            monday,
            tuesday,
            wednesday,
            thursday,
            friday,
            saturday,
            sunday,
        ] = spec.week.map(hours);
        let special_days = spec.special_days.into_iter().map(|day| SpecialDayBody {
            name: day.name,
            date: day.date.to_string(),
            hours: hours(day.hours),
        });
        Self {
            time_zone: spec.time_zone,
            week: WeekBody {
                monday,
                tuesday,
                wednesday,
                thursday,
                friday,
                saturday,
                sunday,
            },
            holidays: spec.holidays.into_iter().map(Into::into).collect(),
            special_days: special_days.collect(),
        }
    }
}

/// A calendar.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CalendarView {
    id: String,
    name: String,
    /// Rises with every change.
    version: i64,
    #[serde(flatten)]
    terms: CalendarTerms,
    created_at: At,
    updated_at: At,
}

impl From<StoredCalendar> for CalendarView {
    fn from(calendar: StoredCalendar) -> Self {
        Self {
            id: calendar.id.to_string(),
            name: calendar.name,
            version: calendar.version,
            terms: calendar.spec.into(),
            created_at: calendar.created_at.into(),
            updated_at: calendar.updated_at.into(),
        }
    }
}

/// A version of a calendar.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CalendarVersionView {
    version: i64,
    #[serde(flatten)]
    terms: CalendarTerms,
    /// Which member made it.
    created_by: Option<String>,
    created_at: At,
}

impl From<SpecVersion<CalendarSpec>> for CalendarVersionView {
    fn from(version: SpecVersion<CalendarSpec>) -> Self {
        Self {
            version: version.version,
            terms: version.spec.into(),
            created_by: version.created_by.map(|id| id.to_string()),
            created_at: version.created_at.into(),
        }
    }
}

/// What a file of holidays came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImportedHolidays {
    /// What was added.
    pub(crate) added: Vec<HolidayBody>,
    /// What is a holiday already.
    pub(crate) skipped: Vec<HolidayBody>,
    /// The calendar as it is now.
    pub(crate) calendar: CalendarView,
}
