//! Merging contacts, and undoing it. A person says who is whom; nothing merges by name or handle.

use actix_web::{HttpResponse, web};
use roost_domain::ids::{ContactId, MergeId};
use roost_store::audit::Entry;
use roost_store::merges::{self, MergeOutcome, StoredMerge, UndoOutcome};
use roost_store::{BrandTx, contacts};
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Body, Checks, Id};
use crate::problem::{Code, Problem};
use crate::wire::contact::{ContactMergeView, CreateContactMerge};

fn told(merge: &StoredMerge) -> Value {
    json!({
        "survivor_id": merge.survivor,
        "merged_id": merge.merged,
        "conversations": merge.conversations,
    })
}

async fn find(tx: &mut BrandTx, id: MergeId) -> Result<StoredMerge, Problem> {
    merges::find(tx, id).await?.ok_or_else(Problem::not_found)
}

/// Gives one contact's accounts and conversations to another. Each conversation stays as it is; clocks
/// run on.
#[utoipa::path(
    post, path = "/v1/contact-merges", tag = "contacts", request_body = CreateContactMerge,
    responses(
        (status = 201, body = ContactMergeView),
        (status = 400, description = "`cannot_merge_with_itself`"),
        (status = 409, description = "`already_merged`"), (status = 410, description = "`erased`"),
        (status = 422, description = "`unknown_reference`; `contact_blocked`: one is, the other isn't")
    )
)]
pub(crate) async fn create(
    app: web::Data<App>,
    actor: Actor,
    body: Body<CreateContactMerge>,
) -> Result<HttpResponse, Problem> {
    let mut checks = Checks::default();
    let survivor = checks.parse::<ContactId>("/survivor_id", &body.0.survivor_id);
    let merged = checks.parse::<ContactId>("/merged_id", &body.0.merged_id);
    checks.finish()?;
    let (Some(survivor), Some(merged)) = (survivor, merged) else {
        return Err(Problem::new(Code::InvalidRequest));
    };
    if survivor == merged {
        let detail = "is the survivor";
        return Err(Problem::at(
            Code::CannotMergeWithItself,
            "/merged_id",
            detail,
        ));
    }
    let (audit, cause, member) = (app.audit.clone(), actor.cause(), actor.member);
    let sandbox_only = actor.visibility().sandbox_only;
    let pointer = move |id| {
        if id == survivor {
            "/survivor_id"
        } else {
            "/merged_id"
        }
    };
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            for id in [survivor, merged] {
                if sandbox_only && contacts::find(tx, id, true).await?.is_none() {
                    let detail = "names an unknown contact";
                    return Err(Problem::at(Code::UnknownReference, pointer(id), detail));
                }
            }
            let (code, at, detail) = match merges::merge(tx, survivor, merged, member, &cause)
                .await?
            {
                MergeOutcome::Done(id) => {
                    let merge = find(tx, id).await?;
                    let entry = Entry {
                        action: "contact.merged",
                        target_type: "contact",
                        target: Some(survivor.0),
                        before: None,
                        after: Some(told(&merge)),
                    };
                    audit.record(tx, &cause, entry).await?;
                    return Answer::created(&ContactMergeView::from(merge));
                }
                MergeOutcome::Missing(id) => {
                    (Code::UnknownReference, id, "names an unknown contact")
                }
                MergeOutcome::Already(id) => (Code::AlreadyMerged, id, "was merged into another"),
                MergeOutcome::Erased(id) => (Code::Erased, id, "was erased"),
                MergeOutcome::OneIsBlocked(id) => {
                    (Code::ContactBlocked, id, "is blocked, and the other isn't")
                }
            };
            Err(Problem::at(code, pointer(at), detail))
        })
    });
    let answer = answer.await?;
    app.hint_relay();
    Ok(answer)
}

/// One merge.
#[utoipa::path(
    get, path = "/v1/contact-merges/{id}", tag = "contacts", params(("id" = String, Path)),
    responses((status = 200, body = ContactMergeView))
)]
pub(crate) async fn get(
    app: web::Data<App>,
    actor: Actor,
    id: Id<MergeId>,
) -> Result<HttpResponse, Problem> {
    let merge = app
        .store
        .brand(actor.brand, move |tx| Box::pin(find(tx, id.0)))
        .await?;
    Ok(Answer::ok(&ContactMergeView::from(merge))?.response())
}

/// Undoes a merge: each account goes back with all its conversations, those opened since too.
#[utoipa::path(
    delete, path = "/v1/contact-merges/{id}", tag = "contacts", params(("id" = String, Path)),
    responses(
        (status = 200, body = ContactMergeView), (status = 409, description = "`nothing_to_undo`"),
        (status = 410, description = "`erased`")
    )
)]
pub(crate) async fn delete(
    app: web::Data<App>,
    actor: Actor,
    id: Id<MergeId>,
) -> Result<HttpResponse, Problem> {
    let (audit, cause, id) = (app.audit.clone(), actor.cause(), id.0);
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            match merges::undo(tx, id, &cause).await? {
                UndoOutcome::Done => {}
                UndoOutcome::Missing => return Err(Problem::not_found()),
                UndoOutcome::Nothing => return Err(Problem::new(Code::NothingToUndo)),
                UndoOutcome::Erased => return Err(Problem::new(Code::Erased)),
            }
            let merge = find(tx, id).await?;
            let entry = Entry {
                action: "contact.unmerged",
                target_type: "contact",
                target: Some(merge.survivor.0),
                before: Some(told(&merge)),
                after: None,
            };
            audit.record(tx, &cause, entry).await?;
            Answer::ok(&ContactMergeView::from(merge))
        })
    });
    let answer = answer.await?;
    app.hint_relay();
    Ok(answer)
}
