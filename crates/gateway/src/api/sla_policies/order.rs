//! The order of policies, and what every list of them must be.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, web};
use roost_domain::ids::PolicyId;
use roost_domain::sla::Conditions;
use roost_store::audit::Entry;
use roost_store::brands::take_turns;
use roost_store::sla_policies::{self, StoredPolicy};
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::Body;
use crate::problem::{Code, Fault, Problem, ProblemBody};
use crate::wire::list::Paged;
use crate::wire::sla_policy::{SlaPolicyOrder, SlaPolicyView};

/// Refuses a list of which the last one doesn't hold for all, or some other one does.
pub(super) fn check<'a>(
    list: impl DoubleEndedIterator<Item = &'a Conditions>,
) -> Result<(), Problem> {
    let mut list = list;
    if !list.next_back().is_some_and(Conditions::match_all) {
        return Err(Problem::new(Code::CatchAllRequired));
    }
    if list.any(Conditions::match_all) {
        return Err(Problem::new(Code::PolicyNeverReached));
    }
    Ok(())
}

/// Sets the order in which policies are tried: the first that matches holds.
#[utoipa::path(
    put, path = "/v1/sla-policies/order", tag = "sla", request_body = SlaPolicyOrder,
    responses(
        (status = 200, body = Paged<SlaPolicyView>),
        (status = 422, body = ProblemBody, description = "catch_all_required, policy_never_reached, unknown_reference")
    )
)]
pub(crate) async fn put(
    app: web::Data<App>,
    actor: Actor,
    body: Body<SlaPolicyOrder>,
) -> Result<HttpResponse, Problem> {
    let (cause, audit, order) = (actor.cause(), app.audit.clone(), body.0.policy_ids);
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            take_turns(tx).await?;
            let before = sla_policies::list(tx).await?;
            let wanted = arranged(&before, &order)?;
            check(wanted.iter().map(|policy| &policy.spec.conditions))?;
            let ids =
                |list: &[StoredPolicy]| -> Value { list.iter().map(|one| json!(one.id)).collect() };
            if ids(&before) != ids(&wanted) {
                sla_policies::arrange(tx, &order).await?;
                let line = Entry {
                    action: "sla_policies.ordered",
                    target_type: "sla_policy",
                    target: None,
                    before: Some(json!({ "policy_ids": ids(&before) })),
                    after: Some(json!({ "policy_ids": ids(&wanted) })),
                };
                audit.record(tx, &cause, line).await?;
            }
            let views: Vec<SlaPolicyView> = wanted.into_iter().map(Into::into).collect();
            Answer::ok(&Paged::whole(views))
        })
    });
    answer.await
}

/// The policies in the wanted order, which names each of them once.
fn arranged(present: &[StoredPolicy], order: &[PolicyId]) -> Result<Vec<StoredPolicy>, Problem> {
    let fault = |pointer: String, detail: String| Fault { pointer, detail };
    let (mut unknown, mut invalid, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for (index, id) in order.iter().enumerate() {
        let at = format!("/policy_ids/{index}");
        match present.iter().find(|policy| policy.id == *id) {
            None => unknown.push(fault(at, format!("there is no {id}"))),
            Some(_) if !seen.insert(*id) => invalid.push(fault(at, "comes twice".to_owned())),
            Some(policy) => wanted.push(policy.clone()),
        }
    }
    let missing = present.iter().filter(|policy| !seen.contains(&policy.id));
    let missing: Vec<String> = missing.map(|policy| policy.id.to_string()).collect();
    if !unknown.is_empty() {
        return Err(Problem::new(Code::UnknownReference).faults(unknown));
    }
    if !missing.is_empty() {
        let detail = format!("must name every policy; it lacks {}", missing.join(", "));
        invalid.push(fault("/policy_ids".to_owned(), detail));
    }
    if invalid.is_empty() {
        Ok(wanted)
    } else {
        Err(Problem::invalid(invalid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_domain::conversation::Priority;

    #[test]
    fn a_list_ends_with_the_one_policy_that_holds_for_all() {
        let all = Conditions::default();
        let some = Conditions {
            priorities: vec![Priority::High],
            ..Conditions::default()
        };
        let code = |list: &[&Conditions]| {
            let verdict = check(list.iter().copied());
            verdict.err().map(|problem| problem.code())
        };
        assert_eq!(code(&[&all]), None);
        assert_eq!(code(&[&some, &some, &all]), None);
        assert_eq!(code(&[]), Some(Code::CatchAllRequired));
        assert_eq!(code(&[&all, &some]), Some(Code::CatchAllRequired));
        assert_eq!(code(&[&some]), Some(Code::CatchAllRequired));
        assert_eq!(code(&[&all, &all]), Some(Code::PolicyNeverReached));
        assert_eq!(code(&[&all, &some, &all]), Some(Code::PolicyNeverReached));
    }
}
