//! What a calendar means day by day.

use actix_web::{HttpResponse, web};
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use roost_domain::ids::CalendarId;

use super::{check, find};
use crate::app::App;
use crate::auth::Actor;
use crate::input::{Id, Query};
use crate::problem::{Code, Problem};
use crate::wire::calendar::{CalendarPreview, PreviewDay};

/// The years of which a preview can be had.
const YEARS: std::ops::RangeInclusive<i16> = 1970..=2200;

/// When somebody is there on each of some days, as instants; what makes a day differ from its week; and
/// where the zone's clocks change.
#[utoipa::path(
    get, path = "/v1/calendars/{id}/preview", tag = "sla",
    params(
        ("id" = String, Path),
        ("from" = Option<String>, Query, description = "A date, such as 2026-01-31; else today in the calendar's zone"),
        ("days" = Option<i64>, Query, description = "1 to 366; else 30")
    ),
    responses((status = 200, body = CalendarPreview))
)]
pub(crate) async fn get(
    app: web::Data<App>,
    actor: Actor,
    id: Id<CalendarId>,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let first = query.text("from").and_then(|text| read_date(&query, &text));
    let count = query.number("days", 1, 366, 30);
    query.finish()?;
    let stored = app
        .store
        .brand(actor.brand, move |tx| Box::pin(find(tx, id.0)))
        .await?;
    // What was stored was checked before; only an older tzdb may know less.
    let calendar = check(&stored.spec)?;
    let zone = calendar.zone().clone();
    let first = first.unwrap_or_else(|| zone.to_datetime(Timestamp::now()).date());
    let count = u16::try_from(count).map_err(|error| Problem::caused(Code::Internal, error))?;
    let days = calendar.days(first, count).into_iter();
    let data = days.map(|day| {
        let (midnight, next) = (
            start_of(day.date, &zone),
            start_of(day.date.saturating_add(1.day()), &zone),
        );
        // What changes at midnight belongs to the day that begins there.
        let before = zone.to_offset(midnight - 1.millisecond());
        let mut jumps = zone
            .following(midnight - 1.millisecond())
            .take_while(|jump| jump.timestamp() < next);
        let jump = jumps.find(|jump| jump.offset() != before);
        let jump = jump.map(|jump| (jump.timestamp(), before, jump.offset()));
        PreviewDay::new(day, jump)
    });
    Ok(HttpResponse::Ok().json(CalendarPreview {
        version: stored.version,
        time_zone: stored.spec.time_zone,
        data: data.collect(),
    }))
}

fn start_of(date: Date, zone: &TimeZone) -> Timestamp {
    // Midnight, or where the clocks jump over it, the first instant after.
    let midnight = date.to_datetime(Time::midnight());
    zone.to_timestamp(midnight).unwrap_or(Timestamp::MAX)
}

fn read_date(query: &Query, text: &str) -> Option<Date> {
    let date: Option<Date> = text.parse().ok().filter(|_| text.len() == 10);
    let date = date.filter(|date| YEARS.contains(&date.year()));
    if date.is_none() {
        query.fault(
            "from",
            "must be a date of the years 1970 to 2200, such as 2026-01-31",
        );
    }
    date
}
