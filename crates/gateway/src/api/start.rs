//! Conversations that the brand starts.

use actix_web::{HttpResponse, web};
use jiff::Timestamp;
use roost_domain::ids::{ChannelId, ContactId};
use roost_store::conversation_start::{self, Recipient, Started};
use roost_store::{conversations, messages};
use serde::Deserialize;
use utoipa::ToSchema;

use super::messages::{Author, exists, refused};
use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Body, Checks};
use crate::problem::{Code, Problem, ProblemBody};
use crate::wire::conversation::ConversationView;
use crate::wire::message::CreateMessage;

/// A first message to a customer: `contact_id` or `handle` says to whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartConversation {
    channel_id: String,
    contact_id: Option<String>,
    /// With or without the `@`.
    handle: Option<String>,
    #[schema(min_length = 1, max_length = 10_000)]
    text: String,
    #[schema(min_length = 1, max_length = 200)]
    client_ref: Option<String>,
}

impl StartConversation {
    fn check(&self) -> Result<(ChannelId, Recipient), Problem> {
        let mut checks = Checks::default();
        let channel = checks.parse::<ChannelId>("/channel_id", &self.channel_id);
        let recipient = match (&self.contact_id, &self.handle) {
            (Some(id), None) => checks
                .parse::<ContactId>("/contact_id", id)
                .map(Recipient::Contact),
            (None, Some(handle)) => {
                let handle = checks.line("/handle", handle.trim().trim_start_matches('@'), 1, 100);
                Some(Recipient::Handle(handle.to_lowercase()))
            }
            (Some(_), Some(_)) | (None, None) => {
                checks.fault("", "give contact_id or handle");
                None
            }
        };
        checks.finish()?;
        channel
            .zip(recipient)
            .ok_or_else(|| Problem::new(Code::InvalidRequest))
    }
}

/// Starts a conversation with its first message, which is queued and sent. It is pending.
#[utoipa::path(
    post, path = "/v1/conversations", tag = "conversations", request_body = StartConversation,
    responses(
        (status = 201, body = ConversationView),
        (status = 409, body = ProblemBody, description = "conversation_exists, with `conversation_id`"),
        (status = 422, body = ProblemBody, description = "contact_unreachable, contact_blocked, unknown_reference, text_too_long, channel_disconnected")
    )
)]
pub(crate) async fn create(
    app: web::Data<App>,
    actor: Actor,
    body: Body<StartConversation>,
) -> Result<HttpResponse, Problem> {
    let (channel, recipient) = body.0.check()?;
    let first = CreateMessage::reply(body.0.text, body.0.client_ref);
    let author = Author::of(&actor, None)?;
    let (reader, cause) = (actor.member, actor.cause());
    let visibility = actor.visibility();
    let now = Timestamp::now();
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let unknown =
                |pointer: &str, detail: &str| Problem::at(Code::UnknownReference, pointer, detail);
            let id = match conversation_start::start(tx, channel, &recipient, &cause).await? {
                Started::New(id) => id,
                Started::Exists(id) => return Err(exists(id)),
                Started::UnknownChannel => {
                    return Err(unknown("/channel_id", "names an unknown channel"));
                }
                Started::UnknownContact => match recipient {
                    Recipient::Contact(_) => {
                        return Err(unknown("/contact_id", "names an unknown contact"));
                    }
                    Recipient::Handle(_) => return Err(Problem::new(Code::ContactUnreachable)),
                },
                Started::Unreachable => return Err(Problem::new(Code::ContactUnreachable)),
                Started::Blocked => return Err(Problem::new(Code::ContactBlocked)),
            };
            let post = first.check(id, &author, now)?;
            let outcome = messages::post(tx, post, &cause).await?;
            refused(outcome)?;
            let found = conversations::find(tx, id, &visibility, Some(reader))
                .await?
                .ok_or_else(Problem::not_found)?;
            let version = found.version;
            Ok(Answer::created(&ConversationView::from(found))?.version(version))
        })
    });
    let answer = answer.await?;
    app.hint_sender();
    Ok(answer)
}
