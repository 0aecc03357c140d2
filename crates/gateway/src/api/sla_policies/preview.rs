//! What a policy would do to today's conversations, before anybody saves it.

use actix_web::{HttpResponse, web};
use roost_domain::ids::PolicyId;
use roost_store::ledger::{self, Proposal};
use roost_store::sla_policies;

use super::{find, order, read, references};
use crate::app::App;
use crate::auth::Actor;
use crate::input::{Body, Query};
use crate::problem::{Problem, ProblemBody};
use crate::wire::sla_policy::{CreateSlaPolicy, SlaPreviewView};

/// What a policy would do to the clocks that run, if it were saved and reapplied: how many would be due
/// sooner, later, at once, or end. Changes nothing.
#[utoipa::path(
    post, path = "/v1/sla-policies/preview", tag = "sla",
    params(("policy_id" = Option<String>, Query, description = "Which policy it would change; without, it would be a new one before the last")),
    request_body = CreateSlaPolicy,
    responses(
        (status = 200, body = SlaPreviewView),
        (
            status = 422, body = ProblemBody,
            description = "unknown_reference, attribute_invalid, catch_all_required, policy_never_reached"
        )
    )
)]
pub(crate) async fn preview(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
    body: Body<CreateSlaPolicy>,
) -> Result<HttpResponse, Problem> {
    let mut policies: Vec<PolicyId> = query.all("policy_id");
    if policies.len() > 1 {
        query.fault("policy_id", "must be one policy");
    }
    query.finish()?;
    let policy = policies.pop();
    let (_, mut spec) = read::read(body.0)?;
    let brand = actor.brand;
    let found = app.store.brand(brand, move |tx| {
        Box::pin(async move {
            if let Some(id) = policy {
                find(tx, id).await?;
            }
            references::check(tx, &mut spec).await?;
            let present = sla_policies::list(tx).await?;
            let mut list: Vec<_> = present
                .iter()
                .map(|one| {
                    if Some(one.id) == policy {
                        &spec.conditions
                    } else {
                        &one.spec.conditions
                    }
                })
                .collect();
            if policy.is_none() {
                list.insert(list.len().saturating_sub(1), &spec.conditions);
            }
            order::check(list.into_iter())?;
            let proposal = Proposal { policy, spec };
            let preview = ledger::preview(tx.conn(), brand, &proposal).await;
            Ok::<_, Problem>(preview?)
        })
    });
    Ok(HttpResponse::Ok().json(SlaPreviewView::from(found.await?)))
}
