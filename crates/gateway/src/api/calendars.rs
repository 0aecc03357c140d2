//! Calendars: whose open hours clocks count.

mod import;
mod preview;
mod read;

use actix_web::{HttpRequest, HttpResponse, web};
use roost_domain::ids::CalendarId;
use roost_domain::sla::{Calendar, CalendarSpec, SpecFault};
use roost_store::audit::{Entry, differing};
use roost_store::brands::take_turns;
use roost_store::calendars::{self, MOST, StoredCalendar};
use roost_store::sla_policies::{Named, count_naming};
use roost_store::{BrandTx, StoreError, on_constraint};
use serde::Serialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Body, Id, Query, if_match, merged};
use crate::problem::{Code, Fault, Problem, ProblemBody, expect_version};
use crate::wire::calendar::{
    CalendarPatch, CalendarTerms, CalendarVersionView, CalendarView, CreateCalendar, DAYS,
};
use crate::wire::list::{Cursors, Paged};
pub(crate) use import::{__path_create as __path_import, create as import};
pub(crate) use preview::{__path_get as __path_preview, get as preview};

/// All calendars by name.
#[utoipa::path(
    get, path = "/v1/calendars", tag = "sla",
    params(("limit" = Option<i64>, Query, description = "1 to 200"), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Paged<CalendarView>))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let (limit, cursor) = (query.limit(), query.text("cursor"));
    query.finish()?;
    let cursors = Cursors::of(&["calendars", &actor.brand.to_string()]);
    let after: Option<(String, CalendarId)> =
        cursor.map(|cursor| cursors.read(&cursor)).transpose()?;
    let rows = app.store.brand(actor.brand, move |tx| {
        Box::pin(async move {
            let after = after.as_ref().map(|(name, id)| (name.as_str(), *id));
            calendars::list(tx, after, limit + 1).await
        })
    });
    let (rows, next_cursor) =
        cursors.page(rows.await?, limit, |row| (row.sort_name.clone(), row.id));
    let data: Vec<CalendarView> = rows.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(Paged { data, next_cursor }))
}

/// One calendar.
#[utoipa::path(
    get, path = "/v1/calendars/{id}", tag = "sla", params(("id" = String, Path)),
    responses((status = 200, body = CalendarView))
)]
pub(crate) async fn get(
    app: web::Data<App>,
    actor: Actor,
    id: Id<CalendarId>,
) -> Result<HttpResponse, Problem> {
    let calendar = app
        .store
        .brand(actor.brand, move |tx| Box::pin(find(tx, id.0)))
        .await?;
    Ok(show(calendar)?.response())
}

async fn find(tx: &mut BrandTx, id: CalendarId) -> Result<StoredCalendar, Problem> {
    let found = calendars::find(tx, id).await?;
    found.ok_or_else(Problem::not_found)
}

fn show(calendar: StoredCalendar) -> Result<Answer, Problem> {
    let version = calendar.version;
    Ok(Answer::ok(&CalendarView::from(calendar))?.version(version))
}

/// The calendar that a spec makes; else all that is wrong with it.
fn check(spec: &CalendarSpec) -> Result<Calendar, Problem> {
    Calendar::new(spec).map_err(|faults| {
        let fault = |one: SpecFault| Fault {
            pointer: named_day(&one.pointer),
            detail: one.reason,
        };
        Problem::invalid(faults.into_iter().map(fault).collect())
    })
}

/// Days have numbers in a spec and names in a body.
fn named_day(pointer: &str) -> String {
    let named = || {
        let rest = pointer.strip_prefix("/week/")?;
        let (number, rest) = rest.split_at_checked(1)?;
        let day = DAYS.get(number.parse::<usize>().ok()?)?;
        Some(format!("/week/{day}{rest}"))
    };
    named().unwrap_or_else(|| pointer.to_owned())
}

/// A calendar as a body would make it.
#[derive(Serialize)]
struct Present {
    name: String,
    #[serde(flatten)]
    terms: CalendarTerms,
}

impl Present {
    fn of(calendar: &StoredCalendar) -> Self {
        Self {
            name: calendar.name.clone(),
            terms: calendar.spec.clone().into(),
        }
    }
}

/// What the audit log keeps of a calendar.
fn facts(calendar: &StoredCalendar) -> Value {
    json!(Present::of(calendar))
}

fn entry(
    action: &'static str,
    id: CalendarId,
    before: Option<Value>,
    after: Option<Value>,
) -> Entry {
    Entry {
        action,
        target_type: "calendar",
        target: Some(id.0),
        before,
        after,
    }
}

fn refused(error: StoreError) -> Problem {
    if on_constraint(&error, "calendars_name_key") {
        Problem::at(Code::NameTaken, "/name", "is in use")
    } else {
        error.into()
    }
}

/// Makes a calendar.
#[utoipa::path(
    post, path = "/v1/calendars", tag = "sla", request_body = CreateCalendar,
    responses(
        (status = 201, body = CalendarView), (status = 409, body = ProblemBody, description = "name_taken"),
        (status = 422, body = ProblemBody, description = "quota_exceeded")
    )
)]
pub(crate) async fn create(
    app: web::Data<App>,
    actor: Actor,
    body: Body<CreateCalendar>,
) -> Result<HttpResponse, Problem> {
    let (name, spec) = read::read(body.0)?;
    let (cause, audit) = (actor.cause(), app.audit.clone());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            take_turns(tx).await?;
            let made = calendars::create(tx, &name, &spec, &cause).await;
            let Some(id) = made.map_err(refused)? else {
                let detail = format!("A brand has {MOST} calendars at the most");
                return Err(Problem::with(Code::QuotaExceeded, detail));
            };
            let calendar = find(tx, id).await?;
            let line = entry("calendar.created", id, None, Some(facts(&calendar)));
            audit.record(tx, &cause, line).await?;
            let version = calendar.version;
            Ok(Answer::created(&CalendarView::from(calendar))?.version(version))
        })
    });
    answer.await
}

/// Changes a calendar. With `If-Match`, only if nobody has changed it since.
///
/// Clocks that run keep the version that they began with; `/v1/sla-policies/{id}/reapply` moves them.
#[utoipa::path(
    patch, path = "/v1/calendars/{id}", tag = "sla",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "An ETag of the calendar")),
    request_body = CalendarPatch,
    responses(
        (status = 200, body = CalendarView),
        (status = 409, body = ProblemBody, description = "name_taken, version_conflict")
    )
)]
pub(crate) async fn patch(
    app: web::Data<App>,
    actor: Actor,
    request: HttpRequest,
    id: Id<CalendarId>,
    body: Body<CalendarPatch>,
) -> Result<HttpResponse, Problem> {
    let (id, if_version, patch) = (id.0, if_match(&request)?, body.0.0);
    let (cause, audit) = (actor.cause(), app.audit.clone());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            take_turns(tx).await?;
            let before = find(tx, id).await?;
            expect_version(if_version, before.version)?;
            let (name, spec) = read::read(merged(&Present::of(&before), patch)?)?;
            if (&name, &spec) == (&before.name, &before.spec) {
                return show(before);
            }
            let written = calendars::replace(tx, id, &name, &spec, &cause).await;
            written.map_err(refused)?;
            let after = find(tx, id).await?;
            let (was, is) = differing(&facts(&before), &facts(&after));
            let line = entry("calendar.changed", id, Some(was), Some(is));
            audit.record(tx, &cause, line).await?;
            show(after)
        })
    });
    answer.await
}

/// Deletes a calendar that no policy names and no running clock counts by.
#[utoipa::path(
    delete, path = "/v1/calendars/{id}", tag = "sla", params(("id" = String, Path)),
    responses(
        (status = 204),
        (
            status = 409, body = ProblemBody,
            description = "in_use, with the `count` of `policies` that name it and of running `clocks`"
        )
    )
)]
pub(crate) async fn delete(
    app: web::Data<App>,
    actor: Actor,
    id: Id<CalendarId>,
) -> Result<HttpResponse, Problem> {
    let (id, cause, audit) = (id.0, actor.cause(), app.audit.clone());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            take_turns(tx).await?;
            let before = find(tx, id).await?;
            let policies = count_naming(tx, Named::Calendar(id)).await?;
            let clocks = calendars::count_clocks(tx, id).await?;
            if policies + clocks > 0 {
                let detail =
                    format!("Policies that name it: {policies}; clocks that run by it: {clocks}");
                return Err(Problem::with(Code::InUse, detail)
                    .extra("count", (policies + clocks).into())
                    .extra("policies", policies.into())
                    .extra("clocks", clocks.into()));
            }
            calendars::delete(tx, id).await?;
            let line = entry("calendar.deleted", id, Some(facts(&before)), None);
            audit.record(tx, &cause, line).await?;
            Ok(Answer::nothing())
        })
    });
    answer.await
}

/// The versions of a calendar, newest first: what a clock's `calendar_version` refers to.
#[utoipa::path(
    get, path = "/v1/calendars/{id}/versions", tag = "sla",
    params(
        ("id" = String, Path),
        ("limit" = Option<i64>, Query, description = "1 to 200"), ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Paged<CalendarVersionView>))
)]
pub(crate) async fn versions(
    app: web::Data<App>,
    actor: Actor,
    id: Id<CalendarId>,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let (limit, cursor) = (query.limit(), query.text("cursor"));
    query.finish()?;
    let id = id.0;
    let cursors = Cursors::of(&[
        "calendar-versions",
        &actor.brand.to_string(),
        &id.to_string(),
    ]);
    let before: Option<i64> = cursor.map(|cursor| cursors.read(&cursor)).transpose()?;
    let rows = app.store.brand(actor.brand, move |tx| {
        Box::pin(async move { calendars::versions(tx, id, before, limit + 1).await })
    });
    let rows = rows.await?;
    // One that was deleted has versions still: clocks are explained by them.
    if rows.is_empty() {
        return Err(Problem::not_found());
    }
    let (rows, next_cursor) = cursors.page(rows, limit, |row| row.version);
    let data: Vec<CalendarVersionView> = rows.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(Paged { data, next_cursor }))
}
