//! Members.

use actix_web::{HttpResponse, web};
use roost_domain::ids::{BrandId, MemberId, TeamId};
use roost_domain::role::{Permission, Role};
use roost_domain::routing::Presence;
use roost_store::audit::{self, Auditor};
use roost_store::members::{self, MemberChange, MemberOutcome};
use roost_store::presence;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Body, Checks, Id, Query};
use crate::problem::{Code, Problem, ProblemBody, chain};
use crate::quotas;
use crate::wire::list::{Cursors, Paged};
use crate::wire::member::{MemberPatch, MemberView, SetPresence};

/// Most conversations that a member may be given at once.
const MAX_CAPACITY: i64 = 10_000;
/// Most skills that a member has.
const MAX_SKILLS: usize = 100;

/// All members by name.
#[utoipa::path(
    get, path = "/v1/members", tag = "members",
    params(("limit" = Option<i64>, Query, description = "1 to 200"), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Paged<MemberView>), (status = 401, body = ProblemBody))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let limit = query.limit();
    let cursor = query.text("cursor");
    query.finish()?;
    let cursors = Cursors::of(&["members", &actor.brand.to_string()]);
    let after: Option<(String, MemberId)> =
        cursor.map(|cursor| cursors.read(&cursor)).transpose()?;
    let rows = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move {
                let after = after.as_ref().map(|(name, id)| (name.as_str(), *id));
                members::list(tx, None, after, limit + 1).await
            })
        })
        .await?;
    let (rows, next_cursor) = cursors.page(rows, limit, |row| (row.name.clone(), row.id));
    let data: Vec<MemberView> = rows.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(Paged { data, next_cursor }))
}

/// One member.
#[utoipa::path(
    get, path = "/v1/members/{id}", tag = "members", params(("id" = String, Path)),
    responses((status = 200, body = MemberView), (status = 404, body = ProblemBody))
)]
pub(crate) async fn get(
    app: web::Data<App>,
    actor: Actor,
    id: Id<MemberId>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(show(&app, actor.brand, id.0).await?))
}

async fn show(app: &App, brand: BrandId, id: MemberId) -> Result<MemberView, Problem> {
    let found = app
        .store
        .brand(brand, move |tx| Box::pin(members::find(tx, id)))
        .await?;
    found.map(Into::into).ok_or_else(Problem::not_found)
}

impl MemberPatch {
    fn check(self) -> Result<MemberChange, Problem> {
        let mut checks = Checks::default();
        let capacity = self.capacity.and_then(|capacity| {
            let capacity = i32::try_from(capacity)
                .ok()
                .filter(|_| (0..=MAX_CAPACITY).contains(&capacity));
            if capacity.is_none() {
                checks.fault("/capacity", "must be a whole number from 0 to 10000");
            }
            capacity
        });
        let change = MemberChange {
            name: self.name.map(|name| checks.line("/name", &name, 1, 200)),
            capacity,
            role: self
                .role
                .and_then(|role| checks.parse::<Role>("/role", &role)),
            active: self.active,
            teams: self.team_ids.map(|ids| {
                let parse = |(index, id): (usize, &String)| {
                    checks.parse::<TeamId>(&format!("/team_ids/{index}"), id)
                };
                let mut teams: Vec<TeamId> = ids.iter().enumerate().filter_map(parse).collect();
                teams.sort_unstable();
                teams.dedup();
                teams
            }),
            skills: self.skills.inspect(|skills| {
                if skills.len() > MAX_SKILLS {
                    checks.fault("/skills", format!("must name {MAX_SKILLS} at the most"));
                }
            }),
            external_id: self
                .external_id
                .map(|id| id.map(|id| checks.line("/external_id", &id, 1, 200))),
        };
        checks.finish()?;
        Ok(change)
    }
}

/// Changes a member: capacity, teams, skills, role, name; `active: false` deactivates.
#[utoipa::path(
    patch, path = "/v1/members/{id}", tag = "members", params(("id" = String, Path)), request_body = MemberPatch,
    responses(
        (status = 200, body = MemberView), (status = 409, body = ProblemBody, description = "last_owner"),
        (status = 422, body = ProblemBody, description = "unknown_reference, bot_member, quota_exceeded")
    )
)]
pub(crate) async fn patch(
    app: web::Data<App>,
    actor: Actor,
    id: Id<MemberId>,
    body: Body<MemberPatch>,
) -> Result<HttpResponse, Problem> {
    let wanted = body.0.check()?;
    change(&app, &actor, id.0, wanted).await?;
    Ok(HttpResponse::Ok().json(show(&app, actor.brand, id.0).await?))
}

/// Deactivates a member: their sessions end within 5 s, what they hold goes back to the queue, and what
/// they did keeps its author.
#[utoipa::path(
    delete, path = "/v1/members/{id}", tag = "members", params(("id" = String, Path)),
    responses(
        (status = 204), (status = 409, body = ProblemBody, description = "last_owner"),
        (status = 422, body = ProblemBody, description = "bot_member")
    )
)]
pub(crate) async fn delete(
    app: web::Data<App>,
    actor: Actor,
    id: Id<MemberId>,
) -> Result<HttpResponse, Problem> {
    let wanted = MemberChange {
        active: Some(false),
        ..MemberChange::default()
    };
    change(&app, &actor, id.0, wanted).await
}

async fn change(
    app: &App,
    actor: &Actor,
    id: MemberId,
    wanted: MemberChange,
) -> Result<HttpResponse, Problem> {
    // Only an owner makes or unmakes owners.
    let before = person_role(app, actor.brand, id).await?;
    let is_owners_matter = wanted.role == Some(Role::Owner)
        || (before == Role::Owner && (wanted.role.is_some() || wanted.active == Some(false)));
    if is_owners_matter && actor.role != Role::Owner {
        return Err(Problem::new(Code::Forbidden));
    }
    let (cause, audit, limits) = (actor.cause(), app.audit.clone(), app.quotas.defaults);
    let answer = actor.write(app, move |tx| {
        Box::pin(async move {
            if wanted.active == Some(true)
                && members::find(tx, id).await?.is_some_and(|one| !one.active)
            {
                quotas::require_seat(tx, &limits).await?;
            }
            let outcome = members::change(tx, id, &wanted, &cause).await?;
            let (changed, renamed_from) = done(outcome)?;
            if let Some(line) = entry(&audit, id, &wanted, changed, renamed_from) {
                audit.record(tx, &cause, line).await?;
            }
            Ok(Answer::nothing())
        })
    });
    let answer = answer.await?;
    give_back(app, actor.brand).await;
    // Capacity and teams decide who may be given work.
    app.hint_router();
    Ok(answer)
}

fn done(outcome: MemberOutcome) -> Result<(Map<String, Value>, Option<String>), Problem> {
    let unknown = |pointer, what| Problem::at(Code::UnknownReference, pointer, what);
    match outcome {
        MemberOutcome::Done {
            changed,
            renamed_from,
        } => Ok((changed, renamed_from)),
        MemberOutcome::Missing => Err(Problem::not_found()),
        MemberOutcome::LastOwner => Err(Problem::new(Code::LastOwner)),
        MemberOutcome::UnknownTeam => Err(unknown("/team_ids", "names an unknown team")),
        MemberOutcome::UnknownSkill => Err(unknown("/skills", "names an unknown skill")),
    }
}

/// The line that the audit log gets, where anything was changed. What could name a person goes in as a
/// digest.
fn entry(
    audit: &Auditor,
    id: MemberId,
    wanted: &MemberChange,
    mut changed: Map<String, Value>,
    renamed_from: Option<String>,
) -> Option<audit::Entry> {
    if let (Some(from), Some(to)) = (renamed_from, &wanted.name) {
        let names = json!([audit.digest(&from), audit.digest(to)]);
        changed.insert("name".to_owned(), names);
    }
    if let Some(Value::Array(ids)) = changed.get_mut("external_id") {
        for id in ids {
            if let Value::String(text) = id {
                *text = audit.digest(text);
            }
        }
    }
    if changed.is_empty() {
        return None;
    }
    let action = match changed.get("active").map(|active| &active[1]) {
        Some(Value::Bool(false)) => "member.deactivated",
        Some(Value::Bool(true)) => "member.activated",
        Some(_) | None => "member.changed",
    };
    let (before, after) = audit::split(&changed);
    Some(audit::Entry {
        action,
        target_type: "member",
        target: Some(id.0),
        before: Some(before),
        after: Some(after),
    })
}

/// Gives back what members can no longer hold. What isn't now is by whoever looks after the brands next.
pub(super) async fn give_back(app: &App, brand: BrandId) {
    if let Err(error) = members::give_back(&app.store, brand).await {
        tracing::warn!(brand.id = %brand, error = chain(&error), "cannot give back conversations");
    }
}

/// The role of a member who is a person: an API key's is changed with its key.
async fn person_role(app: &App, brand: BrandId, id: MemberId) -> Result<Role, Problem> {
    let found = app
        .store
        .brand(brand, move |tx| Box::pin(members::find(tx, id)))
        .await?;
    match found {
        Some(member) if member.is_bot() => Err(Problem::new(Code::BotMember)),
        Some(member) => Ok(member.role),
        None => Err(Problem::not_found()),
    }
}

/// Sets a member's presence: one's own, or as a lead another's. It shows while a stream is open.
#[utoipa::path(
    put, path = "/v1/members/{id}/presence", tag = "members", params(("id" = String, Path)),
    request_body = SetPresence,
    responses(
        (status = 200, body = MemberView), (status = 422, body = ProblemBody, description = "bot_member")
    )
)]
pub(crate) async fn put_presence(
    app: web::Data<App>,
    actor: Actor,
    id: Id<MemberId>,
    body: Body<SetPresence>,
) -> Result<HttpResponse, Problem> {
    let id = id.0;
    let mut checks = Checks::default();
    let wanted = checks.parse::<Presence>("/status", &body.0.status);
    checks.finish()?;
    let Some(wanted) = wanted else {
        return Err(Problem::new(Code::InvalidRequest));
    };
    // A foreign id is missing whatever the role.
    person_role(&app, actor.brand, id).await?;
    if id != actor.member {
        actor.require(Permission::ConversationsLead)?;
    }
    let cause = actor.cause();
    let set = app.store.brand(actor.brand, move |tx| {
        Box::pin(async move { presence::set_status(tx, id, wanted, &cause).await })
    });
    set.await?.ok_or_else(Problem::not_found)?;
    app.hint_router();
    Ok(HttpResponse::Ok().json(show(&app, actor.brand, id).await?))
}
