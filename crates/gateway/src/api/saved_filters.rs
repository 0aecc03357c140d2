//! Saved filters: one's own, and those that everybody in the brand has.

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, web};
use roost_domain::ids::{MemberId, SavedFilterId};
use roost_domain::role::Permission;
use roost_store::audit::{self, Auditor};
use roost_store::ledger::Cause;
use roost_store::saved_filters::{self, SavedFilter};
use roost_store::{BrandTx, StoreError, on_constraint};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::filters::{FilterInput, read_sort};
use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Body, Checks, Id, Query, if_match};
use crate::problem::{Code, Problem, ProblemBody, expect_version};
use crate::wire::list::{Cursors, Paged};
use crate::wire::saved_filter::{CreateSavedFilter, SavedFilterPatch, SavedFilterView};

/// The caller's own and the shared ones, oldest first.
#[utoipa::path(
    get, path = "/v1/saved-filters", tag = "saved filters",
    params(
        ("limit" = Option<i64>, Query, description = "1 to 200"), ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Paged<SavedFilterView>))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let limit = query.limit();
    let cursor = query.text("cursor");
    query.finish()?;
    let member = actor.member;
    let cursors = Cursors::of(&["saved-filters", &member.to_string()]);
    let after: Option<SavedFilterId> = cursor.map(|cursor| cursors.read(&cursor)).transpose()?;
    let rows = app.store.brand(actor.brand, move |tx| {
        Box::pin(saved_filters::list(tx, member, after, limit + 1))
    });
    let (rows, next_cursor) = cursors.page(rows.await?, limit, |row| row.id);
    let data: Vec<SavedFilterView> = rows.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(Paged { data, next_cursor }))
}

/// One saved filter.
#[utoipa::path(
    get, path = "/v1/saved-filters/{id}", tag = "saved filters", params(("id" = String, Path)),
    responses((status = 200, body = SavedFilterView), (status = 404, body = ProblemBody))
)]
pub(crate) async fn get(
    app: web::Data<App>,
    actor: Actor,
    id: Id<SavedFilterId>,
) -> Result<HttpResponse, Problem> {
    let member = actor.member;
    let found = app
        .store
        .brand(actor.brand, move |tx| Box::pin(lock(tx, id.0, member)))
        .await?;
    Ok(HttpResponse::Ok()
        .insert_header((ETAG, format!("\"{}\"", found.version)))
        .json(SavedFilterView::from(found)))
}

/// Another member's own is not there.
async fn lock(
    tx: &mut BrandTx,
    id: SavedFilterId,
    member: MemberId,
) -> Result<SavedFilter, Problem> {
    saved_filters::lock(tx, id, member)
        .await?
        .ok_or_else(Problem::not_found)
}

/// A filter and its order, as the list itself would read them.
fn read(checks: &mut Checks, filter: &Map<String, Value>, sort: Option<&str>) -> FilterInput {
    let query = Query::of_object("filter", filter);
    let input = FilterInput::read_with_search(&query);
    checks.append(query.close());
    if let Some(sort) = sort {
        let object = Map::from_iter([("sort".to_owned(), json!(sort))]);
        let query = Query::of_object("", &object);
        read_sort(&query);
        checks.append(query.close());
    }
    input
}

/// Keeps a filter, for oneself or, with the permission to change settings, for everybody.
#[utoipa::path(
    post, path = "/v1/saved-filters", tag = "saved filters", request_body = CreateSavedFilter,
    responses(
        (status = 201, body = SavedFilterView), (status = 400, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "name_taken"),
        (status = 422, body = ProblemBody, description = "quota_exceeded")
    )
)]
pub(crate) async fn create(
    app: web::Data<App>,
    actor: Actor,
    body: Body<CreateSavedFilter>,
) -> Result<HttpResponse, Problem> {
    let CreateSavedFilter {
        name,
        shared,
        filter,
        sort,
    } = body.0;
    let mut checks = Checks::default();
    let name = checks.line("/name", &name, 1, 100);
    let input = read(&mut checks, &filter, sort.as_deref());
    checks.finish()?;
    if shared {
        actor.require(Permission::SettingsWrite)?;
    }
    let (member, cause, audit) = (actor.member, actor.cause(), app.audit.clone());
    let sort = sort.unwrap_or_else(|| "-last_message_at".to_owned());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            input.check(tx).await?;
            let id = SavedFilterId(Uuid::now_v7());
            let owner = (!shared).then_some(member);
            let filter = Value::Object(filter);
            let kept = saved_filters::create(tx, id, owner, &name, &filter, &sort).await;
            if !kept.map_err(refused)? {
                return Err(Problem::new(Code::QuotaExceeded));
            }
            let made = lock(tx, id, member).await?;
            note(tx, &audit, &cause, None, Some(&made)).await?;
            let version = made.version;
            Ok(Answer::created(&SavedFilterView::from(made))?.version(version))
        })
    });
    answer.await
}

fn refused(error: StoreError) -> Problem {
    if on_constraint(&error, "saved_filters_name_key") {
        Problem::at(Code::NameTaken, "/name", "is in use")
    } else {
        error.into()
    }
}

/// Changes a saved filter. With `If-Match`, only if nobody else has since.
#[utoipa::path(
    patch, path = "/v1/saved-filters/{id}", tag = "saved filters",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "An ETag of the filter")),
    request_body = SavedFilterPatch,
    responses(
        (status = 200, body = SavedFilterView), (status = 400, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "name_taken, version_conflict")
    )
)]
pub(crate) async fn patch(
    app: web::Data<App>,
    actor: Actor,
    request: HttpRequest,
    id: Id<SavedFilterId>,
    body: Body<SavedFilterPatch>,
) -> Result<HttpResponse, Problem> {
    let if_version = if_match(&request)?;
    let SavedFilterPatch { name, filter, sort } = body.0;
    let mut checks = Checks::default();
    let name = name.map(|name| checks.line("/name", &name, 1, 100));
    let unchanged = Map::new();
    let input = read(
        &mut checks,
        filter.as_ref().unwrap_or(&unchanged),
        sort.as_deref(),
    );
    checks.finish()?;
    let (member, cause, audit) = (actor.member, actor.cause(), app.audit.clone());
    let may_share = actor.require(Permission::SettingsWrite);
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let before = lock(tx, id.0, member).await?;
            if before.member.is_none() {
                may_share?;
            }
            expect_version(if_version, before.version)?;
            input.check(tx).await?;
            let wanted = SavedFilter {
                name: name.unwrap_or_else(|| before.name.clone()),
                filter: filter.map_or_else(|| before.filter.clone(), Value::Object),
                sort: sort.unwrap_or_else(|| before.sort.clone()),
                ..before.clone()
            };
            if wanted != before {
                let written = saved_filters::update(tx, &wanted).await;
                written.map_err(refused)?;
                note(tx, &audit, &cause, Some(&before), Some(&wanted)).await?;
            }
            let now = lock(tx, id.0, member).await?;
            let version = now.version;
            Ok(Answer::ok(&SavedFilterView::from(now))?.version(version))
        })
    });
    answer.await
}

/// Throws a saved filter away.
#[utoipa::path(
    delete, path = "/v1/saved-filters/{id}", tag = "saved filters", params(("id" = String, Path)),
    responses((status = 204), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody))
)]
pub(crate) async fn delete(
    app: web::Data<App>,
    actor: Actor,
    id: Id<SavedFilterId>,
) -> Result<HttpResponse, Problem> {
    let (member, cause, audit) = (actor.member, actor.cause(), app.audit.clone());
    let may_share = actor.require(Permission::SettingsWrite);
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let before = lock(tx, id.0, member).await?;
            if before.member.is_none() {
                may_share?;
            }
            saved_filters::delete(tx, id.0).await?;
            note(tx, &audit, &cause, Some(&before), None).await?;
            Ok(Answer::nothing())
        })
    });
    answer.await
}

/// A shared filter is part of how the brand is set up; one's own is not. A search text may be a
/// customer's name.
async fn note(
    tx: &mut BrandTx,
    auditor: &Auditor,
    cause: &Cause,
    before: Option<&SavedFilter>,
    after: Option<&SavedFilter>,
) -> Result<(), StoreError> {
    let Some(one) = after.or(before).filter(|one| one.member.is_none()) else {
        return Ok(());
    };
    let shown = |one: &SavedFilter| {
        let mut filter = one.filter.clone();
        if let Some(text) = filter.get_mut("q") {
            *text = json!(auditor.digest(&text.to_string()));
        }
        json!({ "name": one.name, "filter": filter, "sort": one.sort })
    };
    let entry = audit::Entry {
        action: match (before, after) {
            (None, _) => "saved_filter.created",
            (Some(_), Some(_)) => "saved_filter.updated",
            (Some(_), None) => "saved_filter.deleted",
        },
        target_type: "saved_filter",
        target: Some(one.id.0),
        before: before.map(shown),
        after: after.map(shown),
    };
    auditor.record(tx, cause, entry).await?;
    Ok(())
}
