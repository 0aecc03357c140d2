//! Blocking and erasing contacts.

use actix_web::{HttpResponse, web};
use roost_domain::ids::ContactId;
use roost_store::audit::Entry;
use roost_store::contacts::{self, BlockOutcome};
use roost_store::erasure::{self, ErasureOutcome};
use serde_json::json;

use super::contacts::{find, show};
use crate::app::App;
use crate::auth::Actor;
use crate::input::Id;
use crate::problem::{Code, Problem};
use crate::wire::contact::ContactDetailView;

/// Blocks a contact: their open conversations are resolved and their clocks cancelled as `blocked`; what
/// they write is kept, counted and does nothing.
#[utoipa::path(
    put, path = "/v1/contacts/{id}/block", tag = "contacts", params(("id" = String, Path)),
    responses(
        (status = 200, body = ContactDetailView), (status = 409, description = "`already_merged`"),
        (status = 410, description = "`erased`")
    )
)]
pub(crate) async fn block(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ContactId>,
) -> Result<HttpResponse, Problem> {
    set_block(&app, &actor, id.0, true).await
}

/// Unblocks a contact: their next message opens a new conversation.
#[utoipa::path(
    delete, path = "/v1/contacts/{id}/block", tag = "contacts", params(("id" = String, Path)),
    responses(
        (status = 200, body = ContactDetailView), (status = 409, description = "`already_merged`"),
        (status = 410, description = "`erased`")
    )
)]
pub(crate) async fn unblock(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ContactId>,
) -> Result<HttpResponse, Problem> {
    set_block(&app, &actor, id.0, false).await
}

async fn set_block(
    app: &App,
    actor: &Actor,
    id: ContactId,
    is_blocked: bool,
) -> Result<HttpResponse, Problem> {
    let (audit, cause, member) = (app.audit.clone(), actor.cause(), actor.member);
    let sandbox_only = actor.visibility().sandbox_only;
    let answer = actor.write(app, move |tx| {
        Box::pin(async move {
            find(tx, id, sandbox_only).await?;
            let outcome = if is_blocked {
                contacts::block(tx, id, member, &cause).await?
            } else {
                contacts::unblock(tx, id, &cause).await?
            };
            match outcome {
                BlockOutcome::Done { resolved } => {
                    let action = if is_blocked {
                        "contact.blocked"
                    } else {
                        "contact.unblocked"
                    };
                    let entry = Entry {
                        action,
                        target_type: "contact",
                        target: Some(id.0),
                        before: None,
                        after: Some(json!({ "resolved_conversations": resolved })),
                    };
                    audit.record(tx, &cause, entry).await?;
                }
                BlockOutcome::Unchanged => {}
                BlockOutcome::Missing => return Err(Problem::not_found()),
                BlockOutcome::Merged => return Err(Problem::new(Code::AlreadyMerged)),
                BlockOutcome::Erased => return Err(Problem::new(Code::Erased)),
            }
            show(find(tx, id, sandbox_only).await?)
        })
    });
    let answer = answer.await?;
    // Resolved conversations leave room for others.
    app.hint_router();
    Ok(answer)
}

/// Erases a contact for good, with all that was merged into it: messages, files, accounts, names and raw
/// events are blanked. Rows and figures stay. Doing it again changes nothing.
#[utoipa::path(
    put, path = "/v1/contacts/{id}/erasure", tag = "contacts", params(("id" = String, Path)),
    responses((status = 200, body = ContactDetailView), (status = 409, description = "`already_merged`"))
)]
pub(crate) async fn erase(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ContactId>,
) -> Result<HttpResponse, Problem> {
    let (audit, cause, member) = (app.audit.clone(), actor.cause(), actor.member);
    let (sandbox_only, id) = (actor.visibility().sandbox_only, id.0);
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let before = find(tx, id, sandbox_only).await?;
            match erasure::erase(tx, &audit, id, member, &cause).await? {
                ErasureOutcome::Done(erased) => {
                    let entry = Entry {
                        action: "contact.erased",
                        target_type: "contact",
                        target: Some(id.0),
                        before: Some(json!({
                            "name": audit.digest(&before.name),
                            "identities": erased.identities,
                        })),
                        after: Some(json!({
                            "messages": erased.messages,
                            "attachments": erased.attachments,
                            "raw_events": erased.raw_events,
                        })),
                    };
                    audit.record(tx, &cause, entry).await?;
                }
                ErasureOutcome::Before => {}
                ErasureOutcome::Missing => return Err(Problem::not_found()),
                ErasureOutcome::Merged => return Err(Problem::new(Code::AlreadyMerged)),
            }
            show(find(tx, id, sandbox_only).await?)
        })
    });
    let answer = answer.await?;
    app.hint_router();
    Ok(answer)
}
