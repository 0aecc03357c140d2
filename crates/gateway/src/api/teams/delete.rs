//! Deleting a team.

use actix_web::{HttpResponse, web};
use roost_domain::ids::{BrandId, TeamId};
use roost_store::ledger::Cause;
use roost_store::sla_policies::{Named, count_naming};
use roost_store::teams::{self, Dissolution, StoredTeam};

use super::{entry, facts, find};
use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Id, Query};
use crate::problem::{Code, Problem, ProblemBody};

/// How often conversations may come in while it is being emptied.
const ROUNDS: usize = 5;

/// Deletes a team. One with unresolved conversations goes only into another one.
///
/// Conversations are moved some at a time before the team goes: a deletion that breaks off leaves a
/// smaller team, and is finished by asking again.
#[utoipa::path(
    delete, path = "/v1/teams/{id}", tag = "teams",
    params(
        ("id" = String, Path),
        ("move_to" = Option<String>, Query, description = "The team that gets its conversations and channels")
    ),
    responses(
        (status = 204),
        (status = 409, body = ProblemBody, description = "default_team; in_use, with the count of its unresolved conversations or of the SLA policies that name it"),
        (status = 422, body = ProblemBody, description = "unknown_reference")
    )
)]
pub(crate) async fn delete(
    app: web::Data<App>,
    actor: Actor,
    id: Id<TeamId>,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let id = id.0;
    let heir = query.all::<TeamId>("move_to");
    if heir.len() > 1 || heir.contains(&id) {
        query.fault("move_to", "must be one other team");
    }
    query.finish()?;
    let heir = heir.first().copied();
    let cause = actor.cause();
    for _ in 0..ROUNDS {
        let to = app
            .store
            .brand(actor.brand, move |tx| {
                Box::pin(async move {
                    let team = find(tx, id).await?;
                    let to = heir_of(&team, heir, teams::list(tx, None).await?)?;
                    let policies = count_naming(tx, Named::Team(id)).await?;
                    if policies > 0 {
                        let detail = format!("SLA policies that name it: {policies}");
                        return Err(
                            Problem::with(Code::InUse, detail).extra("count", policies.into())
                        );
                    }
                    if heir.is_none() {
                        let count = teams::unresolved(tx, id).await?;
                        if count > 0 {
                            return Err(Problem::new(Code::InUse).extra("count", count.into()));
                        }
                    }
                    Ok(to)
                })
            })
            .await?;
        empty(&app, actor.brand, id, to, &cause).await?;
        let (audit, cause) = (app.audit.clone(), cause.clone());
        let answer = actor.write(&app, move |tx| {
            Box::pin(async move {
                match teams::delete(tx, id, heir, &cause).await? {
                    Dissolution::Done(before) => {
                        let line = entry("team.deleted", id, Some(facts(&before)), None);
                        audit.record(tx, &cause, line).await?;
                        Ok(Answer::nothing())
                    }
                    Dissolution::Missing => Err(Problem::not_found()),
                    Dissolution::Default => Err(Problem::new(Code::DefaultTeam)),
                    Dissolution::InUse => Err(Problem::new(Code::InUse)),
                }
            })
        });
        match answer.await {
            // Somebody has written to it meanwhile.
            Err(problem) if problem.code() == Code::InUse => {}
            Err(problem) => return Err(problem),
            Ok(answer) => {
                app.hint_router();
                return Ok(answer);
            }
        }
    }
    Err(Problem::new(Code::InUse))
}

/// Where its conversations go: resolved ones to the default team where nothing else is said.
fn heir_of(
    team: &StoredTeam,
    heir: Option<TeamId>,
    all: Vec<StoredTeam>,
) -> Result<TeamId, Problem> {
    if team.is_default {
        return Err(Problem::new(Code::DefaultTeam));
    }
    let found = all
        .into_iter()
        .find(|other| heir.map_or(other.is_default, |heir| other.id == heir));
    found.map(|team| team.id).ok_or_else(|| {
        Problem::at(
            Code::UnknownReference,
            "/query/move_to",
            "names an unknown team",
        )
    })
}

async fn empty(
    app: &App,
    brand: BrandId,
    from: TeamId,
    to: TeamId,
    cause: &Cause,
) -> Result<(), Problem> {
    loop {
        let cause = cause.clone();
        let has_more = app
            .store
            .brand(brand, move |tx| {
                Box::pin(async move { teams::move_some(tx, from, to, &cause).await })
            })
            .await?;
        if !has_more {
            return Ok(());
        }
    }
}
