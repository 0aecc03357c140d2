//! Skills.

use actix_web::{HttpRequest, HttpResponse, web};
use roost_domain::ids::SkillId;
use roost_store::skills::{self, Deletion, StoredSkill};
use roost_store::{BrandTx, StoreError, audit, on_constraint};
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Body, Checks, Id, Query, if_match};
use crate::problem::{Code, Problem, ProblemBody, changed};
use crate::wire::list::Paged;
use crate::wire::skill::{NamedSkill, SkillView};

/// All skills by name.
#[utoipa::path(
    get, path = "/v1/skills", tag = "skills", responses((status = 200, body = Paged<SkillView>))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
) -> Result<HttpResponse, Problem> {
    query.finish()?;
    let rows = app
        .store
        .brand(actor.brand, |tx| Box::pin(skills::list(tx, None)))
        .await?;
    Ok(HttpResponse::Ok().json(Paged::whole(
        rows.into_iter().map(SkillView::from).collect(),
    )))
}

async fn find(tx: &mut BrandTx, id: SkillId) -> Result<StoredSkill, Problem> {
    let found = skills::list(tx, Some(id)).await?.pop();
    found.ok_or_else(Problem::not_found)
}

fn show(skill: StoredSkill) -> Result<Answer, Problem> {
    let version = skill.version;
    Ok(Answer::ok(&SkillView::from(skill))?.version(version))
}

/// One skill.
#[utoipa::path(
    get, path = "/v1/skills/{id}", tag = "skills", params(("id" = String, Path)),
    responses((status = 200, body = SkillView))
)]
pub(crate) async fn get(
    app: web::Data<App>,
    actor: Actor,
    id: Id<SkillId>,
) -> Result<HttpResponse, Problem> {
    let skill = app
        .store
        .brand(actor.brand, move |tx| Box::pin(find(tx, id.0)))
        .await?;
    Ok(show(skill)?.response())
}

fn read_name(body: &NamedSkill) -> Result<String, Problem> {
    let mut checks = Checks::default();
    let name = checks.line("/name", &body.name, 1, 100);
    checks.finish()?;
    Ok(name)
}

fn refused(error: StoreError) -> Problem {
    if on_constraint(&error, "skills_name_key") {
        Problem::at(Code::NameTaken, "/name", "is in use")
    } else {
        error.into()
    }
}

fn entry(
    action: &'static str,
    id: SkillId,
    before: Option<Value>,
    after: Option<Value>,
) -> audit::Entry {
    audit::Entry {
        action,
        target_type: "skill",
        target: Some(id.0),
        before,
        after,
    }
}

/// Makes a skill.
#[utoipa::path(
    post, path = "/v1/skills", tag = "skills", request_body = NamedSkill,
    responses((status = 201, body = SkillView), (status = 409, body = ProblemBody, description = "name_taken"))
)]
pub(crate) async fn create(
    app: web::Data<App>,
    actor: Actor,
    body: Body<NamedSkill>,
) -> Result<HttpResponse, Problem> {
    let name = read_name(&body.0)?;
    let (cause, audit) = (actor.cause(), app.audit.clone());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let skill = skills::create(tx, &name).await.map_err(refused)?;
            let line = entry(
                "skill.created",
                skill.id,
                None,
                Some(json!({ "name": name })),
            );
            audit.record(tx, &cause, line).await?;
            Ok(Answer::created(&SkillView::from(skill))?.version(1))
        })
    });
    answer.await
}

/// Renames a skill, for all who have it.
#[utoipa::path(
    patch, path = "/v1/skills/{id}", tag = "skills",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "An ETag of the skill")),
    request_body = NamedSkill,
    responses(
        (status = 200, body = SkillView),
        (status = 409, body = ProblemBody, description = "name_taken, version_conflict")
    )
)]
pub(crate) async fn patch(
    app: web::Data<App>,
    actor: Actor,
    request: HttpRequest,
    id: Id<SkillId>,
    body: Body<NamedSkill>,
) -> Result<HttpResponse, Problem> {
    let (id, if_version) = (id.0, if_match(&request)?);
    let name = read_name(&body.0)?;
    let (cause, audit) = (actor.cause(), app.audit.clone());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let outcome = skills::rename(tx, id, &name, if_version).await;
            let before = changed(outcome.map_err(refused)?)?;
            let line = entry(
                "skill.changed",
                id,
                Some(json!({ "name": before.name })),
                Some(json!({ "name": name })),
            );
            audit.record(tx, &cause, line).await?;
            show(find(tx, id).await?)
        })
    });
    answer.await
}

/// Deletes a skill that no member has and no conversation needs.
#[utoipa::path(
    delete, path = "/v1/skills/{id}", tag = "skills", params(("id" = String, Path)),
    responses((status = 204), (status = 409, body = ProblemBody, description = "in_use, with the count"))
)]
pub(crate) async fn delete(
    app: web::Data<App>,
    actor: Actor,
    id: Id<SkillId>,
) -> Result<HttpResponse, Problem> {
    let id = id.0;
    let (cause, audit) = (actor.cause(), app.audit.clone());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            match skills::delete(tx, id).await? {
                Deletion::Missing => Err(Problem::not_found()),
                Deletion::InUse(count) => {
                    Err(Problem::new(Code::InUse).extra("count", count.into()))
                }
                Deletion::Done(before) => {
                    let facts = json!({ "name": before.name });
                    let line = entry("skill.deleted", id, Some(facts), None);
                    audit.record(tx, &cause, line).await?;
                    Ok(Answer::nothing())
                }
            }
        })
    });
    answer.await
}
