//! Moving running clocks to what their policy says now.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use roost_domain::ids::{PolicyId, ReapplyId};
use roost_store::brands::take_turns;
use roost_store::sla_policies::{begin_reapply, count_outdated_clocks, list_reapplies};
use roost_store::{StoreError, on_constraint};
use serde_json::json;

use super::{entry, find};
use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Id, OptionalBody, Query, if_match};
use crate::problem::{Code, Problem, ProblemBody, expect_version};
use crate::wire::list::{Cursors, Paged};
use crate::wire::sla_policy::{ReapplyBegun, ReapplySlaPolicy, ReapplyView};

/// Moves the policy's running clocks to its present version, and to the present versions of its calendars.
///
/// Without it a clock keeps the versions that it began with. The clocks are moved soon, some at a time.
#[utoipa::path(
    post, path = "/v1/sla-policies/{id}/reapply", tag = "sla",
    params(
        ("id" = String, Path),
        ("If-Match" = Option<String>, Header, description = "An ETag of the policy: move to that version or not at all")
    ),
    request_body = ReapplySlaPolicy,
    responses(
        (status = 202, body = ReapplyBegun),
        (status = 409, body = ProblemBody, description = "reapply_in_progress, version_conflict"),
        (status = 422, body = ProblemBody, description = "confirmation_needed, with the count of `clocks`")
    )
)]
pub(crate) async fn create(
    app: web::Data<App>,
    actor: Actor,
    request: HttpRequest,
    id: Id<PolicyId>,
    body: OptionalBody<ReapplySlaPolicy>,
) -> Result<HttpResponse, Problem> {
    let (id, if_version, is_confirmed) = (id.0, if_match(&request)?, body.0.confirm);
    let (cause, audit) = (actor.cause(), app.audit.clone());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            take_turns(tx).await?;
            let policy = find(tx, id).await?;
            expect_version(if_version, policy.version)?;
            let clocks = count_outdated_clocks(tx, id).await?;
            if !is_confirmed {
                let detail = format!("must be true: {clocks} running clocks may get another due instant");
                return Err(Problem::at(Code::ConfirmationNeeded, "/confirm", detail)
                    .extra("clocks", clocks.into()));
            }
            let begun = begin_reapply(tx, id, policy.version, &cause).await;
            let begun = begun.map_err(refused)?;
            let told = json!({ "reapply_id": begun.id, "policy_version": begun.version, "clocks": clocks });
            let line = entry("sla_policy.reapplied", id, None, Some(told));
            audit.record(tx, &cause, line).await?;
            let view = ReapplyBegun {
                reapply: ReapplyView::new(id, begun),
                clocks,
            };
            Answer::with(StatusCode::ACCEPTED, &view)
        })
    });
    let answer = answer.await;
    app.hint_sla();
    answer
}

fn refused(error: StoreError) -> Problem {
    if on_constraint(&error, "sla_reapplies_open_key") {
        Problem::new(Code::ReapplyInProgress)
    } else {
        error.into()
    }
}

/// The moves of a policy's running clocks, newest first.
#[utoipa::path(
    get, path = "/v1/sla-policies/{id}/reapplies", tag = "sla",
    params(
        ("id" = String, Path),
        ("limit" = Option<i64>, Query, description = "1 to 200"), ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Paged<ReapplyView>))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    id: Id<PolicyId>,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let (limit, cursor) = (query.limit(), query.text("cursor"));
    query.finish()?;
    let id = id.0;
    let cursors = Cursors::of(&["reapplies", &actor.brand.to_string(), &id.to_string()]);
    let before: Option<ReapplyId> = cursor.map(|cursor| cursors.read(&cursor)).transpose()?;
    let rows = app.store.brand(actor.brand, move |tx| {
        Box::pin(async move {
            find(tx, id).await?;
            Ok::<_, Problem>(list_reapplies(tx, id, before, limit + 1).await?)
        })
    });
    let (rows, next_cursor) = cursors.page(rows.await?, limit, |row| row.id);
    let data = rows.into_iter().map(|row| ReapplyView::new(id, row));
    Ok(HttpResponse::Ok().json(Paged {
        data: data.collect(),
        next_cursor,
    }))
}
