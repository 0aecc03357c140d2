//! Teams.

use actix_web::{HttpResponse, web};
use roost_domain::ids::{MemberId, TeamId};
use roost_store::{StoreError, on_constraint, teams};

use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Body, Checks, Id, Query};
use crate::problem::{Code, Problem, ProblemBody};
use crate::wire::list::Paged;
use crate::wire::team::{CreateTeam, QueuedView, TeamView};

/// All teams by name.
#[utoipa::path(
    get, path = "/v1/teams", tag = "teams",
    responses((status = 200, body = Paged<TeamView>), (status = 401, body = ProblemBody))
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

/// Makes a team.
#[utoipa::path(
    post, path = "/v1/teams", tag = "teams", request_body = CreateTeam,
    responses(
        (status = 201, body = TeamView), (status = 400, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "name_taken"), (status = 422, body = ProblemBody)
    )
)]
pub(crate) async fn create(
    app: web::Data<App>,
    actor: Actor,
    body: Body<CreateTeam>,
) -> Result<HttpResponse, Problem> {
    let mut checks = Checks::default();
    let name = checks.line("/name", &body.0.name, 1, 200);
    let mode = body.0.routing.mode.unwrap_or_else(|| "auto".to_owned());
    if !matches!(mode.as_str(), "auto" | "manual") {
        checks.fault("/routing/mode", "must be auto or manual");
    }
    let parse = |(index, id): (usize, &String)| {
        checks.parse::<MemberId>(&format!("/member_ids/{index}"), id)
    };
    let members: Vec<MemberId> = body
        .0
        .member_ids
        .iter()
        .enumerate()
        .filter_map(parse)
        .collect();
    checks.finish()?;
    let cause = actor.cause();
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let id = teams::create(tx, &name, &mode, &members, &cause)
                .await
                .map_err(refused)?;
            let team = teams::list(tx, Some(&[id])).await?.pop();
            Answer::created(&TeamView::from(team.ok_or_else(Problem::not_found)?))
        })
    });
    let answer = answer.await?;
    app.hint_relay();
    Ok(answer)
}

fn refused(error: StoreError) -> Problem {
    if on_constraint(&error, "teams_name_key") {
        Problem::at(Code::NameTaken, "/name", "is in use")
    } else if matches!(error, StoreError::Constraint { .. }) {
        Problem::at(
            Code::UnknownReference,
            "/member_ids",
            "names an unknown member",
        )
    } else {
        error.into()
    }
}

/// What waits in a team, front first.
#[utoipa::path(
    get, path = "/v1/teams/{id}/queue", tag = "teams",
    params(("id" = String, Path), ("limit" = Option<i64>, Query, description = "1 to 200")),
    responses((status = 200, body = Paged<QueuedView>), (status = 404, body = ProblemBody))
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
                if teams::list(tx, Some(&[team])).await?.is_empty() {
                    return Err(Problem::not_found());
                }
                Ok(teams::queue(tx, team, &visibility, limit).await?)
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(Paged::whole(
        rows.into_iter().map(QueuedView::from).collect(),
    )))
}
