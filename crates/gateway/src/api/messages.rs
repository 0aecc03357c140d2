//! Messages: threads, writing, and what people do about a reply.

use actix_web::{HttpResponse, web};
use jiff::Timestamp;
use roost_domain::ids::{ConversationId, MemberId, MessageId};
use roost_platforms::x::fingerprint::fingerprint;
use roost_store::messages::{self, NewPost, PostKind, PostOutcome, StoredMessage, ThreadKey};
use roost_store::outbound::{self, ActOutcome};
use roost_store::{BrandTx, conversations};
use serde_json::json;
use uuid::Uuid;

use super::conversations::read_until;
use crate::app::App;
use crate::auth::{Actor, Read, Reply};
use crate::input::{Body, Checks, Id, OptionalBody, Query};
use crate::problem::{Code, Problem, ProblemBody};
use crate::wire::channel::Nothing;
use crate::wire::list::{Cursors, Paged};
use crate::wire::message::{CreateMessage, MessageView, RetryMessage};

/// Longest text of a DM, in characters (X, "Create new direct message event").
const MAX_REPLY_CHARACTERS: usize = 10_000;
/// Longest note, in characters.
const MAX_NOTE_CHARACTERS: usize = 50_000;

/// A page of a conversation's messages.
#[utoipa::path(
    get, path = "/v1/conversations/{id}/messages", tag = "messages",
    params(
        ("id" = String, Path), ("order" = Option<String>, Query, description = "asc (default) or desc"),
        ("limit" = Option<i64>, Query, description = "1 to 200"), ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Paged<MessageView>), (status = 404, body = ProblemBody))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor<Read>,
    id: Id<ConversationId>,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let descending = read_order(&query);
    let limit = query.limit();
    let cursor = query.text("cursor");
    query.finish()?;
    let conversation = id.0;
    let cursors = Cursors::of(&[
        "messages",
        &conversation.to_string(),
        if descending { "-" } else { "+" },
    ]);
    let after = match cursor {
        Some(cursor) => {
            let (micros, no, id): (i64, i64, Uuid) = cursors.read(&cursor)?;
            let at = Timestamp::from_microsecond(micros);
            Some(ThreadKey {
                at: at.map_err(|_| Problem::new(Code::InvalidCursor))?,
                no,
                id,
            })
        }
        None => None,
    };
    let rows = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move {
                if !conversations::exists(tx, conversation).await? {
                    return Err(Problem::not_found());
                }
                Ok(messages::thread(tx, conversation, after, descending, limit + 1).await?)
            })
        })
        .await?;
    let (rows, next_cursor) = cursors.page(rows, limit, |row| {
        (row.order_at.as_microsecond(), row.order_no, row.id.0)
    });
    let data: Vec<MessageView> = rows.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(Paged { data, next_cursor }))
}

/// Whether the newest comes first.
pub(super) fn read_order(query: &Query) -> bool {
    match query.text("order").as_deref() {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(_) => {
            query.fault("order", "must be asc or desc");
            false
        }
    }
}

/// One message.
#[utoipa::path(
    get, path = "/v1/messages/{id}", tag = "messages", params(("id" = String, Path)),
    responses((status = 200, body = MessageView), (status = 404, body = ProblemBody))
)]
pub(crate) async fn get(
    app: web::Data<App>,
    actor: Actor<Read>,
    id: Id<MessageId>,
) -> Result<HttpResponse, Problem> {
    let found = app
        .store
        .brand(actor.brand, move |tx| Box::pin(find(tx, id.0)))
        .await?;
    Ok(HttpResponse::Ok().json(MessageView::from(found)))
}

async fn find(tx: &mut BrandTx, id: MessageId) -> Result<StoredMessage, Problem> {
    messages::find(tx, id).await?.ok_or_else(Problem::not_found)
}

impl CreateMessage {
    fn check(
        self,
        conversation: ConversationId,
        author: MemberId,
        now: Timestamp,
    ) -> Result<NewPost, Problem> {
        let mut checks = Checks::default();
        let is_reply = match self.kind.as_str() {
            "reply" => true,
            "note" => false,
            _ => {
                checks.fault("/kind", "must be reply or note");
                false
            }
        };
        if self.text.trim().is_empty() {
            checks.fault("/text", "must not be empty");
        }
        let client_ref = self
            .client_ref
            .map(|name| checks.line("/client_ref", &name, 1, 200));
        if !is_reply && (self.then.is_some() || self.until.is_some()) {
            checks.fault("/then", "goes with a reply only");
        }
        let then_status = self.then.as_deref().and_then(|then| {
            let known = ["open", "pending", "resolved", "snoozed"]
                .into_iter()
                .find(|known| *known == then);
            if known.is_none() {
                checks.fault("/then", "must be open, pending, resolved or snoozed");
            }
            known
        });
        let then_until = self
            .until
            .as_deref()
            .and_then(|until| read_until(&mut checks, "/until", until, now));
        if (then_status == Some("snoozed")) != self.until.is_some() {
            checks.fault(
                "/until",
                "is needed with then snoozed, and goes with nothing else",
            );
        }
        checks.finish()?;
        let length = self.text.chars().count();
        let most = if is_reply {
            MAX_REPLY_CHARACTERS
        } else {
            MAX_NOTE_CHARACTERS
        };
        if length > most {
            let detail = format!("has {length} characters; {most} are the most");
            return Err(Problem::at(Code::TextTooLong, "/text", detail));
        }
        let kind = if is_reply {
            let fingerprint = fingerprint(&self.text).to_vec();
            PostKind::Reply {
                then_status,
                then_until,
                fingerprint,
            }
        } else {
            PostKind::Note
        };
        Ok(NewPost {
            conversation,
            author,
            kind,
            text: self.text,
            client_ref,
        })
    }
}

/// Writes a reply, which is queued and sent, or a note.
#[utoipa::path(
    post, path = "/v1/conversations/{id}/messages", tag = "messages", params(("id" = String, Path)),
    request_body = CreateMessage,
    responses(
        (status = 201, body = MessageView),
        (status = 200, body = MessageView, description = "The message that the same client_ref made before"),
        (status = 400, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "conversation_exists"),
        (status = 422, body = ProblemBody, description = "text_too_long, channel_disconnected, client_ref_reused")
    )
)]
pub(crate) async fn create(
    app: web::Data<App>,
    actor: Actor<Reply>,
    id: Id<ConversationId>,
    body: Body<CreateMessage>,
) -> Result<HttpResponse, Problem> {
    let new = body.0.check(id.0, actor.member, Timestamp::now())?;
    let cause = actor.cause();
    let (message, is_new) = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move {
                match messages::post(tx, new, &cause).await? {
                    PostOutcome::Created(id) => Ok((find(tx, id).await?, true)),
                    PostOutcome::Repeated(id) => Ok((find(tx, id).await?, false)),
                    PostOutcome::RefReused => Err(Problem::at(
                        Code::ClientRefReused,
                        "/client_ref",
                        "belongs to a message with another text",
                    )),
                    PostOutcome::Missing => Err(Problem::not_found()),
                    PostOutcome::ChannelDisconnected => {
                        Err(Problem::new(Code::ChannelDisconnected))
                    }
                    PostOutcome::Exists(other) => Err(exists(other)),
                }
            })
        })
        .await?;
    app.hint_sender();
    let view = MessageView::from(message);
    Ok(if is_new {
        HttpResponse::Created().json(view)
    } else {
        HttpResponse::Ok().json(view)
    })
}

/// The customer has another conversation that isn't over.
pub(super) fn exists(other: ConversationId) -> Problem {
    Problem::new(Code::ConversationExists).extra("conversation_id", json!(other))
}

/// Sends a failed reply again; with `confirm`, also one whose outcome nobody could find out.
#[utoipa::path(
    post, path = "/v1/messages/{id}/retry", tag = "messages", params(("id" = String, Path)),
    request_body = Option<RetryMessage>,
    responses(
        (status = 200, body = MessageView), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "not_retryable"),
        (status = 422, body = ProblemBody, description = "confirmation_needed")
    )
)]
pub(crate) async fn retry(
    app: web::Data<App>,
    actor: Actor<Reply>,
    id: Id<MessageId>,
    body: OptionalBody<RetryMessage>,
) -> Result<HttpResponse, Problem> {
    let (id, confirm, cause) = (id.0, body.0.confirm, actor.cause());
    let acted = app.store.brand(actor.brand, move |tx| {
        Box::pin(async move {
            let outcome = outbound::retry(tx, id, confirm, &cause).await?;
            after(tx, id, outcome, Code::NotRetryable).await
        })
    });
    let view = acted.await?;
    app.hint_sender();
    Ok(HttpResponse::Ok().json(view))
}

/// Calls off a reply that still waits to be sent.
#[utoipa::path(
    post, path = "/v1/messages/{id}/cancel", tag = "messages", params(("id" = String, Path)),
    request_body = Option<Nothing>,
    responses(
        (status = 200, body = MessageView), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "already_sending")
    )
)]
pub(crate) async fn cancel(
    app: web::Data<App>,
    actor: Actor<Reply>,
    id: Id<MessageId>,
    body: OptionalBody<Nothing>,
) -> Result<HttpResponse, Problem> {
    let Nothing {} = body.0;
    let (id, cause) = (id.0, actor.cause());
    let acted = app.store.brand(actor.brand, move |tx| {
        Box::pin(async move {
            let outcome = outbound::cancel(tx, id, &cause).await?;
            after(tx, id, outcome, Code::AlreadySending).await
        })
    });
    let view = acted.await?;
    // Those behind it may go now.
    app.hint_sender();
    Ok(HttpResponse::Ok().json(view))
}

/// Says that a reply whose outcome is unknown did arrive.
#[utoipa::path(
    post, path = "/v1/messages/{id}/mark-sent", tag = "messages", params(("id" = String, Path)),
    request_body = Option<Nothing>,
    responses(
        (status = 200, body = MessageView), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "not_unconfirmed")
    )
)]
pub(crate) async fn mark_sent(
    app: web::Data<App>,
    actor: Actor<Reply>,
    id: Id<MessageId>,
    body: OptionalBody<Nothing>,
) -> Result<HttpResponse, Problem> {
    let Nothing {} = body.0;
    let (id, cause) = (id.0, actor.cause());
    let acted = app.store.brand(actor.brand, move |tx| {
        Box::pin(async move {
            let outcome = outbound::mark_sent(tx, id, &cause).await?;
            after(tx, id, outcome, Code::NotUnconfirmed).await
        })
    });
    let view = acted.await?;
    app.hint_sender();
    Ok(HttpResponse::Ok().json(view))
}

/// The message after an act on it; a refusal rolls back.
async fn after(
    tx: &mut BrandTx,
    id: MessageId,
    outcome: ActOutcome,
    wrong_state: Code,
) -> Result<MessageView, Problem> {
    match outcome {
        ActOutcome::Done => Ok(find(tx, id).await?.into()),
        ActOutcome::WrongState => {
            // A note or a customer's message is no reply, but it is there.
            find(tx, id).await?;
            Err(Problem::new(wrong_state))
        }
        ActOutcome::Missing => {
            find(tx, id).await?;
            Err(Problem::with(wrong_state, "it is no reply of ours"))
        }
        ActOutcome::NeedsConfirmation => Err(Problem::at(
            Code::ConfirmationNeeded,
            "/confirm",
            "must be true: the customer may get it twice",
        )),
    }
}
