//! Signs of a person at a conversation: reading and typing.

use actix_web::{HttpResponse, web};
use roost_domain::ids::{ConversationId, MessageId};
use roost_store::conversations;
use serde_json::json;

use crate::app::App;
use crate::auth::Actor;
use crate::input::{Body, Checks, Id, OptionalBody};
use crate::problem::{Code, Problem, ProblemBody};
use crate::wire::channel::Nothing;
use crate::wire::conversation::MarkRead;

/// Moves the caller's read mark forward to a message.
#[utoipa::path(
    put, path = "/v1/conversations/{id}/read", tag = "conversations", params(("id" = String, Path)),
    request_body = MarkRead,
    responses(
        (status = 204), (status = 400, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 422, body = ProblemBody, description = "unknown_reference")
    )
)]
pub(crate) async fn read(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ConversationId>,
    body: Body<MarkRead>,
) -> Result<HttpResponse, Problem> {
    let mut checks = Checks::default();
    let message = checks.parse::<MessageId>("/message_id", &body.0.message_id);
    checks.finish()?;
    let Some(message) = message else {
        return Err(Problem::new(Code::InvalidRequest));
    };
    let (conversation, reader) = (id.0, actor.member);
    let visibility = actor.visibility();
    app.store
        .brand(actor.brand, move |tx| {
            Box::pin(async move {
                if !conversations::exists(tx, conversation, &visibility).await? {
                    return Err(Problem::not_found());
                }
                if conversations::mark_read(tx, conversation, message.0, reader).await? {
                    return Ok(());
                }
                let detail = "is no message of this conversation";
                Err(Problem::at(Code::UnknownReference, "/message_id", detail))
            })
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Says that the caller is writing. Colleagues see it for a moment; it may be lost.
#[utoipa::path(
    put, path = "/v1/conversations/{id}/typing", tag = "conversations", params(("id" = String, Path)),
    request_body = Option<Nothing>,
    responses((status = 204), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody))
)]
pub(crate) async fn typing(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ConversationId>,
    body: OptionalBody<Nothing>,
) -> Result<HttpResponse, Problem> {
    let Nothing {} = body.0;
    show(&app, &actor, id.0, "typing").await
}

/// Says that the caller looks at it. Colleagues see it for a moment; it may be lost, so say it again every
/// 20 s or so.
#[utoipa::path(
    put, path = "/v1/conversations/{id}/viewing", tag = "conversations", params(("id" = String, Path)),
    request_body = Option<Nothing>,
    responses((status = 204), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody))
)]
pub(crate) async fn viewing(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ConversationId>,
    body: OptionalBody<Nothing>,
) -> Result<HttpResponse, Problem> {
    let Nothing {} = body.0;
    show(&app, &actor, id.0, "viewing").await
}

/// Tells the colleagues who look at it.
async fn show(
    app: &App,
    actor: &Actor,
    conversation: ConversationId,
    what: &'static str,
) -> Result<HttpResponse, Problem> {
    let visibility = actor.visibility();
    let exists = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move { conversations::exists(tx, conversation, &visibility).await })
        })
        .await?;
    if !exists {
        return Err(Problem::not_found());
    }
    let sign = json!({
        "type": what,
        "conversation_id": conversation,
        "actor": { "type": "member", "id": actor.member },
    });
    app.cache
        .publish_ephemeral(actor.brand.0, &sign.to_string())
        .await;
    Ok(HttpResponse::NoContent().finish())
}
