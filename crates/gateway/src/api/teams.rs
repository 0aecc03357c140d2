//! Teams.

mod delete;

use actix_web::{HttpRequest, HttpResponse, web};
use roost_domain::ids::{MemberId, TeamId};
use roost_store::teams::{self, StoredTeam, TeamChange};
use roost_store::{BrandTx, StoreError, audit, on_constraint};
use serde_json::{Value, json};

use super::members::give_back;
use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Body, Checks, Id, Query, if_match};
use crate::problem::{Code, Problem, ProblemBody, changed};
use crate::wire::list::Paged;
use crate::wire::team::{CreateTeam, QueuedView, TeamPatch, TeamView};
pub(crate) use delete::{__path_delete, delete};

/// Members that a team may have.
const MAX_MEMBERS: usize = 1_000;

/// All teams by name.
#[utoipa::path(
    get, path = "/v1/teams", tag = "teams",
    responses((status = 200, body = Paged<TeamView>))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
) -> Result<HttpResponse, Problem> {
    query.finish()?;
    let rows = app
        .store
        .brand(actor.brand, |tx| {
            Box::pin(async move { teams::list(tx, None).await })
        })
        .await?;
    Ok(HttpResponse::Ok().json(Paged::whole(rows.into_iter().map(TeamView::from).collect())))
}

async fn find(tx: &mut BrandTx, id: TeamId) -> Result<StoredTeam, Problem> {
    let found = teams::list(tx, Some(&[id])).await?.pop();
    found.ok_or_else(Problem::not_found)
}

fn show(team: StoredTeam) -> Result<Answer, Problem> {
    let version = team.version;
    Ok(Answer::ok(&TeamView::from(team))?.version(version))
}

/// One team.
#[utoipa::path(
    get, path = "/v1/teams/{id}", tag = "teams", params(("id" = String, Path)),
    responses((status = 200, body = TeamView))
)]
pub(crate) async fn get(
    app: web::Data<App>,
    actor: Actor,
    id: Id<TeamId>,
) -> Result<HttpResponse, Problem> {
    let team = app
        .store
        .brand(actor.brand, move |tx| Box::pin(find(tx, id.0)))
        .await?;
    Ok(show(team)?.response())
}

fn read_mode(checks: &mut Checks, mode: Option<String>) -> Option<String> {
    if mode
        .as_deref()
        .is_some_and(|mode| !matches!(mode, "auto" | "manual"))
    {
        checks.fault("/routing/mode", "must be auto or manual");
    }
    mode
}

fn read_members(checks: &mut Checks, ids: &[String]) -> Vec<MemberId> {
    if ids.len() > MAX_MEMBERS {
        checks.fault(
            "/member_ids",
            format!("must name {MAX_MEMBERS} at the most"),
        );
    }
    let mut members: Vec<MemberId> = ids
        .iter()
        .take(MAX_MEMBERS)
        .enumerate()
        .filter_map(|(index, id)| checks.parse(&format!("/member_ids/{index}"), id))
        .collect();
    members.sort_unstable();
    members.dedup();
    members
}

/// Refuses who isn't the brand's, and programs.
async fn check_members(tx: &mut BrandTx, ids: &[MemberId]) -> Result<(), Problem> {
    let (unknown, bots) = teams::unfit(tx, ids).await?;
    let text = |ids: &[MemberId]| {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        ids.join(", ")
    };
    if !unknown.is_empty() {
        let detail = format!("there is no {}", text(&unknown));
        return Err(Problem::at(Code::UnknownReference, "/member_ids", detail));
    }
    if !bots.is_empty() {
        let detail = format!("{} belong to API keys", text(&bots));
        return Err(Problem::at(Code::MemberCannotTake, "/member_ids", detail));
    }
    Ok(())
}

fn refused(error: StoreError) -> Problem {
    if on_constraint(&error, "teams_name_key") {
        Problem::at(Code::NameTaken, "/name", "is in use")
    } else {
        error.into()
    }
}

/// What the audit log keeps of a team.
fn facts(team: &StoredTeam) -> Value {
    json!({
        "name": team.name, "mode": team.mode, "is_closed": team.is_closed, "is_default": team.is_default,
        "member_ids": team.members,
    })
}

fn entry(
    action: &'static str,
    id: TeamId,
    before: Option<Value>,
    after: Option<Value>,
) -> audit::Entry {
    audit::Entry {
        action,
        target_type: "team",
        target: Some(id.0),
        before,
        after,
    }
}

/// Makes a team.
#[utoipa::path(
    post, path = "/v1/teams", tag = "teams", request_body = CreateTeam,
    responses(
        (status = 201, body = TeamView), (status = 409, body = ProblemBody, description = "name_taken"),
        (status = 422, body = ProblemBody, description = "unknown_reference, member_cannot_take")
    )
)]
pub(crate) async fn create(
    app: web::Data<App>,
    actor: Actor,
    body: Body<CreateTeam>,
) -> Result<HttpResponse, Problem> {
    let mut checks = Checks::default();
    let name = checks.line("/name", &body.0.name, 1, 200);
    let mode = read_mode(&mut checks, body.0.routing.mode).unwrap_or_else(|| "auto".to_owned());
    let members = read_members(&mut checks, &body.0.member_ids);
    let is_closed = body.0.is_closed;
    checks.finish()?;
    let (cause, audit) = (actor.cause(), app.audit.clone());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            check_members(tx, &members).await?;
            let id = teams::create(tx, &name, &mode, is_closed, &members, &cause)
                .await
                .map_err(refused)?;
            let team = find(tx, id).await?;
            let line = entry("team.created", id, None, Some(facts(&team)));
            audit.record(tx, &cause, line).await?;
            let version = team.version;
            Ok(Answer::created(&TeamView::from(team))?.version(version))
        })
    });
    let answer = answer.await?;
    app.hint_relay();
    Ok(answer)
}

/// Changes a team. Who leaves it gives back its open conversations; `is_default: true` makes it the
/// brand's default team in place of the one that was.
#[utoipa::path(
    patch, path = "/v1/teams/{id}", tag = "teams",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "An ETag of the team")),
    request_body = TeamPatch,
    responses(
        (status = 200, body = TeamView),
        (status = 409, body = ProblemBody, description = "name_taken, default_team, version_conflict"),
        (status = 422, body = ProblemBody, description = "unknown_reference, member_cannot_take")
    )
)]
pub(crate) async fn patch(
    app: web::Data<App>,
    actor: Actor,
    request: HttpRequest,
    id: Id<TeamId>,
    body: Body<TeamPatch>,
) -> Result<HttpResponse, Problem> {
    let id = id.0;
    let mut checks = Checks::default();
    let change = TeamChange {
        if_version: if_match(&request)?,
        name: body.0.name.map(|name| checks.line("/name", &name, 1, 200)),
        mode: read_mode(&mut checks, body.0.routing.and_then(|routing| routing.mode)),
        is_closed: body.0.is_closed,
        members: body.0.member_ids.map(|ids| read_members(&mut checks, &ids)),
        becomes_default: body.0.is_default == Some(true),
    };
    checks.finish()?;
    let gives_up_default = body.0.is_default == Some(false);
    let (cause, audit) = (actor.cause(), app.audit.clone());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            if gives_up_default && find(tx, id).await?.is_default {
                return Err(Problem::with(
                    Code::DefaultTeam,
                    "Make another team the default one instead",
                ));
            }
            if let Some(members) = &change.members {
                find(tx, id).await?;
                check_members(tx, members).await?;
            }
            let outcome = teams::change(tx, id, &change, &cause).await;
            let done = changed(outcome.map_err(refused)?)?;
            if !done.changed.is_empty() {
                let (before, after) = audit::split(&done.changed);
                let line = entry("team.changed", id, Some(before), Some(after));
                audit.record(tx, &cause, line).await?;
            }
            show(done.team)
        })
    });
    let answer = answer.await?;
    give_back(&app, actor.brand).await;
    // Mode and members decide who may be given work.
    app.hint_router();
    Ok(answer)
}

/// What waits in a team, front first.
#[utoipa::path(
    get, path = "/v1/teams/{id}/queue", tag = "teams",
    params(("id" = String, Path), ("limit" = Option<i64>, Query, description = "1 to 200")),
    responses((status = 200, body = Paged<QueuedView>))
)]
pub(crate) async fn queue(
    app: web::Data<App>,
    actor: Actor,
    id: Id<TeamId>,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let limit = query.limit();
    query.finish()?;
    let (team, visibility) = (id.0, actor.visibility());
    let rows = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move {
                find(tx, team).await?;
                Ok::<_, Problem>(teams::queue(tx, team, &visibility, limit).await?)
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(Paged::whole(
        rows.into_iter().map(QueuedView::from).collect(),
    )))
}
