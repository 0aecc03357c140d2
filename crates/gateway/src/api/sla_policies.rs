//! SLA policies: for whom they hold, how long clocks may run, what happens then.

mod order;
mod preview;
mod read;
mod reapply;
mod references;

use actix_web::{HttpRequest, HttpResponse, web};
use roost_domain::ids::PolicyId;
use roost_domain::sla::PolicySpec;
use roost_store::audit::{Entry, differing};
use roost_store::brands::take_turns;
use roost_store::sla_policies::{self, MOST, StoredPolicy};
use roost_store::{BrandTx, StoreError, on_constraint};
use serde::Serialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Body, Id, Query, if_match, merged};
use crate::problem::{Code, Problem, ProblemBody, expect_version};
use crate::wire::list::{Cursors, Paged};
use crate::wire::sla_policy::{
    CreateSlaPolicy, SlaPolicyPatch, SlaPolicyTerms, SlaPolicyVersionView, SlaPolicyView,
};
pub(crate) use order::{__path_put as __path_put_order, put as put_order};
pub(crate) use preview::{__path_preview, preview};
pub(crate) use reapply::{
    __path_create as __path_reapply, __path_list as __path_reapplies, create as reapply,
    list as reapplies,
};

/// All policies in the order in which they are tried: the first that matches holds.
#[utoipa::path(
    get, path = "/v1/sla-policies", tag = "sla",
    responses((status = 200, body = Paged<SlaPolicyView>))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
) -> Result<HttpResponse, Problem> {
    query.finish()?;
    let rows = app
        .store
        .brand(actor.brand, |tx| Box::pin(sla_policies::list(tx)))
        .await?;
    let data: Vec<SlaPolicyView> = rows.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(Paged::whole(data)))
}

/// One policy.
#[utoipa::path(
    get, path = "/v1/sla-policies/{id}", tag = "sla", params(("id" = String, Path)),
    responses((status = 200, body = SlaPolicyView))
)]
pub(crate) async fn get(
    app: web::Data<App>,
    actor: Actor,
    id: Id<PolicyId>,
) -> Result<HttpResponse, Problem> {
    let policy = app
        .store
        .brand(actor.brand, move |tx| Box::pin(find(tx, id.0)))
        .await?;
    Ok(show(policy)?.response())
}

async fn find(tx: &mut BrandTx, id: PolicyId) -> Result<StoredPolicy, Problem> {
    let found = sla_policies::find(tx, id).await?;
    found.ok_or_else(Problem::not_found)
}

fn show(policy: StoredPolicy) -> Result<Answer, Problem> {
    let version = policy.version;
    Ok(Answer::ok(&SlaPolicyView::from(policy))?.version(version))
}

/// A policy as a body would make it.
#[derive(Serialize)]
struct Present {
    name: String,
    #[serde(flatten)]
    terms: SlaPolicyTerms,
}

impl Present {
    fn of(name: &str, spec: &PolicySpec) -> Self {
        Self {
            name: name.to_owned(),
            terms: spec.clone().into(),
        }
    }
}

/// What the audit log keeps of a policy.
fn facts(policy: &StoredPolicy) -> Value {
    json!(Present::of(&policy.name, &policy.spec))
}

fn entry(action: &'static str, id: PolicyId, before: Option<Value>, after: Option<Value>) -> Entry {
    Entry {
        action,
        target_type: "sla_policy",
        target: Some(id.0),
        before,
        after,
    }
}

fn refused(error: StoreError) -> Problem {
    if on_constraint(&error, "sla_policies_name_key") {
        Problem::at(Code::NameTaken, "/name", "is in use")
    } else {
        error.into()
    }
}

/// Makes a policy. It is tried before the last one, which holds for every conversation.
#[utoipa::path(
    post, path = "/v1/sla-policies", tag = "sla", request_body = CreateSlaPolicy,
    responses(
        (status = 201, body = SlaPolicyView), (status = 409, body = ProblemBody, description = "name_taken"),
        (
            status = 422, body = ProblemBody,
            description = "unknown_reference, attribute_invalid, policy_never_reached, quota_exceeded"
        )
    )
)]
pub(crate) async fn create(
    app: web::Data<App>,
    actor: Actor,
    body: Body<CreateSlaPolicy>,
) -> Result<HttpResponse, Problem> {
    let (name, mut spec) = read::read(body.0)?;
    let (cause, audit) = (actor.cause(), app.audit.clone());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            take_turns(tx).await?;
            let present = sla_policies::list(tx).await?;
            if present.len() >= MOST {
                let detail = format!("A brand has {MOST} policies at the most");
                return Err(Problem::with(Code::QuotaExceeded, detail));
            }
            references::check(tx, &mut spec).await?;
            let last = present.len().saturating_sub(1);
            let mut list: Vec<_> = present.iter().map(|one| &one.spec.conditions).collect();
            list.insert(last, &spec.conditions);
            order::check(list.into_iter())?;
            let made = sla_policies::create(tx, &name, &spec, &cause).await;
            let id = made.map_err(refused)?;
            let mut order: Vec<PolicyId> = present.iter().map(|one| one.id).collect();
            order.insert(last, id);
            sla_policies::arrange(tx, &order).await?;
            let policy = find(tx, id).await?;
            let line = entry("sla_policy.created", id, None, Some(facts(&policy)));
            audit.record(tx, &cause, line).await?;
            let version = policy.version;
            Ok(Answer::created(&SlaPolicyView::from(policy))?.version(version))
        })
    });
    answer.await
}

/// Changes a policy. With `If-Match`, only if nobody has changed it since.
///
/// Clocks that run keep the version that they began with; `/reapply` moves them.
#[utoipa::path(
    patch, path = "/v1/sla-policies/{id}", tag = "sla",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "An ETag of the policy")),
    request_body = SlaPolicyPatch,
    responses(
        (status = 200, body = SlaPolicyView),
        (status = 409, body = ProblemBody, description = "name_taken, version_conflict"),
        (
            status = 422, body = ProblemBody,
            description = "unknown_reference, attribute_invalid, catch_all_required, policy_never_reached"
        )
    )
)]
pub(crate) async fn patch(
    app: web::Data<App>,
    actor: Actor,
    request: HttpRequest,
    id: Id<PolicyId>,
    body: Body<SlaPolicyPatch>,
) -> Result<HttpResponse, Problem> {
    let (id, if_version, patch) = (id.0, if_match(&request)?, body.0.0);
    let (cause, audit) = (actor.cause(), app.audit.clone());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            take_turns(tx).await?;
            let before = find(tx, id).await?;
            expect_version(if_version, before.version)?;
            let wanted = merged(&Present::of(&before.name, &before.spec), patch)?;
            let (name, mut spec) = read::read(wanted)?;
            references::check(tx, &mut spec).await?;
            if (&name, &spec) == (&before.name, &before.spec) {
                return show(before);
            }
            let present = sla_policies::list(tx).await?;
            order::check(present.iter().map(|one| {
                let is_changed = one.id == id;
                if is_changed {
                    &spec.conditions
                } else {
                    &one.spec.conditions
                }
            }))?;
            let written = sla_policies::replace(tx, id, &name, &spec, &cause).await;
            written.map_err(refused)?;
            let after = find(tx, id).await?;
            let (was, is) = differing(&facts(&before), &facts(&after));
            let line = entry("sla_policy.changed", id, Some(was), Some(is));
            audit.record(tx, &cause, line).await?;
            show(after)
        })
    });
    answer.await
}

/// Deletes a policy. Clocks that run by it go on as they are.
#[utoipa::path(
    delete, path = "/v1/sla-policies/{id}", tag = "sla", params(("id" = String, Path)),
    responses((status = 204), (status = 422, body = ProblemBody, description = "catch_all_required"))
)]
pub(crate) async fn delete(
    app: web::Data<App>,
    actor: Actor,
    id: Id<PolicyId>,
) -> Result<HttpResponse, Problem> {
    let (id, cause, audit) = (id.0, actor.cause(), app.audit.clone());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            take_turns(tx).await?;
            let before = find(tx, id).await?;
            let present = sla_policies::list(tx).await?;
            let left = present.iter().filter(|one| one.id != id);
            order::check(left.map(|one| &one.spec.conditions))?;
            sla_policies::delete(tx, id).await?;
            let line = entry("sla_policy.deleted", id, Some(facts(&before)), None);
            audit.record(tx, &cause, line).await?;
            Ok(Answer::nothing())
        })
    });
    answer.await
}

/// The versions of a policy, newest first: what a clock's `policy_version` refers to.
#[utoipa::path(
    get, path = "/v1/sla-policies/{id}/versions", tag = "sla",
    params(
        ("id" = String, Path),
        ("limit" = Option<i64>, Query, description = "1 to 200"), ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Paged<SlaPolicyVersionView>))
)]
pub(crate) async fn versions(
    app: web::Data<App>,
    actor: Actor,
    id: Id<PolicyId>,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let (limit, cursor) = (query.limit(), query.text("cursor"));
    query.finish()?;
    let id = id.0;
    let cursors = Cursors::of(&["policy-versions", &actor.brand.to_string(), &id.to_string()]);
    let before: Option<i64> = cursor.map(|cursor| cursors.read(&cursor)).transpose()?;
    let rows = app.store.brand(actor.brand, move |tx| {
        Box::pin(async move { sla_policies::versions(tx, id, before, limit + 1).await })
    });
    let rows = rows.await?;
    // One that was deleted has versions still: clocks are explained by them.
    if rows.is_empty() {
        return Err(Problem::not_found());
    }
    let (rows, next_cursor) = cursors.page(rows, limit, |row| row.version);
    let data: Vec<SlaPolicyVersionView> = rows.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(Paged { data, next_cursor }))
}
