//! Holidays from an iCalendar file.

use std::collections::HashSet;

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use jiff::civil::date;
use roost_domain::ids::CalendarId;
use roost_domain::sla::{CalendarSpec, Holiday, holidays};
use roost_store::audit::differing;
use roost_store::brands::take_turns;
use roost_store::calendars;

use super::{check, entry, facts, find};
use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{FileKind, Id, TextFile, if_match};
use crate::problem::{Code, Problem, ProblemBody, expect_version};
use crate::wire::calendar::{CalendarView, ImportedHolidays};

/// Years that single dates are taken from: this one and those after it.
const YEARS: i16 = 10;

/// An iCalendar file.
#[derive(Debug)]
pub(crate) struct Ical;

impl FileKind for Ical {
    const MEDIA_TYPE: &'static str = "text/calendar";
    const MAX_BYTES: usize = 1024 * 1024;
}

/// Adds the holidays of an iCalendar file to those of a calendar, as a new version. With `If-Match`, only
/// if nobody has changed it since.
///
/// All-day events count: those of every year, and those of this year and the next nine. What is a holiday
/// already is left as it is. The same file again changes nothing.
#[utoipa::path(
    post, path = "/v1/calendars/{id}/holidays", tag = "sla",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "An ETag of the calendar")),
    request_body(content = String, content_type = "text/calendar", description = "RFC 5545, at most 1 MiB"),
    responses(
        (status = 200, body = ImportedHolidays),
        (status = 409, body = ProblemBody, description = "version_conflict")
    )
)]
pub(crate) async fn create(
    app: web::Data<App>,
    actor: Actor,
    request: HttpRequest,
    id: Id<CalendarId>,
    file: TextFile<Ical>,
) -> Result<HttpResponse, Problem> {
    let (id, if_version, text) = (id.0, if_match(&request)?, file.0);
    let stored = app
        .store
        .brand(actor.brand, move |tx| Box::pin(find(tx, id)))
        .await?;
    // Outside of the transaction: a large file takes its time.
    let found = read(&text, &stored.spec)?;
    let (cause, audit) = (actor.cause(), app.audit.clone());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            take_turns(tx).await?;
            let before = find(tx, id).await?;
            expect_version(if_version, before.version)?;
            let (added, skipped) = sort(found, &before.spec);
            let after = if added.is_empty() {
                before
            } else {
                let mut spec = before.spec.clone();
                spec.holidays.extend(added.iter().cloned());
                check(&spec)?;
                calendars::replace(tx, id, &before.name, &spec, &cause).await?;
                let after = find(tx, id).await?;
                let (was, is) = differing(&facts(&before), &facts(&after));
                let line = entry("calendar.changed", id, Some(was), Some(is));
                audit.record(tx, &cause, line).await?;
                after
            };
            let version = after.version;
            let view = ImportedHolidays {
                added: added.into_iter().map(Into::into).collect(),
                skipped: skipped.into_iter().map(Into::into).collect(),
                calendar: CalendarView::from(after),
            };
            Ok(Answer::ok(&view)?.version(version))
        })
    });
    answer.await
}

fn read(text: &str, spec: &CalendarSpec) -> Result<Vec<Holiday>, Problem> {
    let zone = check(spec)?.zone().clone();
    let year = zone.to_datetime(Timestamp::now()).year();
    let (from, to) = (date(year, 1, 1), date(year.saturating_add(YEARS), 1, 1));
    holidays(text, from, to)
        .map_err(|fault| Problem::at(Code::InvalidRequest, "", fault.to_string()))
}

/// Those that are new, and those whose dates are holidays already.
fn sort(found: Vec<Holiday>, spec: &CalendarSpec) -> (Vec<Holiday>, Vec<Holiday>) {
    let day = |holiday: &Holiday| (holiday.date.month(), holiday.date.day());
    let (yearly, single): (Vec<&Holiday>, Vec<&Holiday>) =
        spec.holidays.iter().partition(|holiday| holiday.yearly);
    let yearly: HashSet<_> = yearly.into_iter().map(day).collect();
    let single: HashSet<_> = single.into_iter().map(|holiday| holiday.date).collect();
    found.into_iter().partition(|holiday| {
        let is_known = !holiday.yearly && single.contains(&holiday.date);
        !is_known && !yearly.contains(&day(holiday))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holiday(name: &str, year: i16, month: i8, day: i8, yearly: bool) -> Holiday {
        Holiday {
            name: name.to_owned(),
            date: date(year, month, day),
            yearly,
        }
    }

    #[test]
    fn what_is_a_holiday_already_stays_as_it_is() {
        let spec = CalendarSpec {
            time_zone: "UTC".to_owned(),
            week: Default::default(),
            holidays: vec![
                holiday("New Year", 2020, 1, 1, true),
                holiday("Good Friday", 2026, 4, 3, false),
            ],
            special_days: Vec::new(),
        };
        let found = vec![
            holiday("Neujahr", 2026, 1, 1, false),
            holiday("Neujahr", 2026, 1, 1, true),
            holiday("Karfreitag", 2026, 4, 3, false),
            holiday("Karfreitag", 2027, 3, 26, false),
            // Every year is more than the one date that is there.
            holiday("Third of April", 2026, 4, 3, true),
        ];
        let (added, skipped) = sort(found.clone(), &spec);
        assert_eq!(added, found[3..]);
        assert_eq!(skipped, found[..3]);
    }
}
