//! Taking back what was done to a conversation.

use actix_web::{HttpResponse, web};
use roost_domain::ids::ConversationId;
use roost_store::conversation_acts::{self, Undone};
use roost_store::conversations;

use super::messages::exists;
use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Id, OptionalBody};
use crate::problem::{Code, Problem, ProblemBody};
use crate::wire::channel::Nothing;
use crate::wire::conversation::ConversationView;

/// Undoes a resolve or snooze of the last minute, as if it had not been.
#[utoipa::path(
    post, path = "/v1/conversations/{id}/undo", tag = "conversations", params(("id" = String, Path)),
    request_body = Option<Nothing>,
    responses(
        (status = 200, body = ConversationView),
        (status = 409, body = ProblemBody, description = "nothing_to_undo, too_late, conversation_exists")
    )
)]
pub(crate) async fn undo(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ConversationId>,
    body: OptionalBody<Nothing>,
) -> Result<HttpResponse, Problem> {
    let Nothing {} = body.0;
    take_back(&app, &actor, id.0, Wanted::Undo).await
}

/// Says that what the customer wrote last asks for no reply, such as a thank-you: the conversation goes
/// back to what it was before.
#[utoipa::path(
    post, path = "/v1/conversations/{id}/no-reply-needed", tag = "conversations", params(("id" = String, Path)),
    request_body = Option<Nothing>,
    responses(
        (status = 200, body = ConversationView),
        (status = 409, body = ProblemBody, description = "nobody_waits")
    )
)]
pub(crate) async fn no_reply_needed(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ConversationId>,
    body: OptionalBody<Nothing>,
) -> Result<HttpResponse, Problem> {
    let Nothing {} = body.0;
    take_back(&app, &actor, id.0, Wanted::NoReply).await
}

#[derive(Debug, Clone, Copy)]
enum Wanted {
    Undo,
    NoReply,
}

async fn take_back(
    app: &App,
    actor: &Actor,
    id: ConversationId,
    wanted: Wanted,
) -> Result<HttpResponse, Problem> {
    let (member, cause, visibility) = (actor.member, actor.cause(), actor.visibility());
    let answer = actor.write(app, move |tx| {
        Box::pin(async move {
            if !conversations::exists(tx, id, &visibility).await? {
                return Err(Problem::not_found());
            }
            let done = match wanted {
                Wanted::Undo => conversation_acts::undo(tx, id, &cause).await?,
                Wanted::NoReply => {
                    conversation_acts::no_reply_needed(tx, id, member, &cause).await?
                }
            };
            match (done, wanted) {
                (Undone::Done, _) => {}
                (Undone::Missing, _) => return Err(Problem::not_found()),
                (Undone::Nothing, Wanted::Undo) => return Err(Problem::new(Code::NothingToUndo)),
                (Undone::Nothing, Wanted::NoReply) => return Err(Problem::new(Code::NobodyWaits)),
                (Undone::TooLate, _) => return Err(Problem::new(Code::TooLate)),
                (Undone::Exists(other), _) => return Err(exists(other)),
            }
            let found = conversations::find(tx, id, &visibility, Some(member))
                .await?
                .ok_or_else(Problem::not_found)?;
            let version = found.version;
            Ok(Answer::ok(&ConversationView::from(found))?.version(version))
        })
    });
    let answer = answer.await?;
    app.hint_router();
    Ok(answer)
}
