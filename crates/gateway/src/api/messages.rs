//! Messages: threads, writing, and what people do about a reply.

use actix_web::{HttpResponse, web};
use jiff::Timestamp;
use roost_domain::ids::{ConversationId, MemberId, MessageId};
use roost_domain::role::Permission;
use roost_platforms::x::fingerprint::fingerprint;
use roost_store::ledger::{Actor as LedgerActor, Cause};
use roost_store::messages::{self, NewPost, PostKind, PostOutcome, StoredMessage, ThreadKey};
use roost_store::outbound::{self, ActOutcome};
use roost_store::visibility::Visibility;
use roost_store::{BrandTx, conversations, members};
use serde_json::json;
use uuid::Uuid;

use super::changes::read_until;
use crate::app::App;
use crate::auth::{Actor, Answer, Who};
use crate::input::{Body, Checks, Id, OptionalBody, Query};
use crate::problem::{Code, Problem, ProblemBody};
use crate::quotas;
use crate::wire::channel::Nothing;
use crate::wire::list::{Cursors, Paged};
use crate::wire::message::{CreateMessage, MessageView, RetryMessage};

/// Longest text of a DM, in characters (X, "Create new direct message event").
const MAX_REPLY_CHARACTERS: usize = 10_000;
/// Members whom one note may call.
const MAX_MENTIONS: usize = 50;
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
    actor: Actor,
    id: Id<ConversationId>,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let descending = read_order(&query);
    let limit = query.limit();
    let cursor = query.text("cursor");
    query.finish()?;
    let (conversation, visibility) = (id.0, actor.visibility());
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
                if !conversations::exists(tx, conversation, &visibility).await? {
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
    actor: Actor,
    id: Id<MessageId>,
) -> Result<HttpResponse, Problem> {
    let visibility = actor.visibility();
    let found = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move { find(tx, id.0, &visibility).await })
        })
        .await?;
    Ok(HttpResponse::Ok().json(MessageView::from(found)))
}

async fn find(
    tx: &mut BrandTx,
    id: MessageId,
    visibility: &Visibility,
) -> Result<StoredMessage, Problem> {
    messages::find(tx, id, visibility)
        .await?
        .ok_or_else(Problem::not_found)
}

impl CreateMessage {
    /// A plain reply.
    pub(super) fn reply(text: String, client_ref: Option<String>) -> Self {
        Self {
            kind: "reply".to_owned(),
            text,
            then: None,
            until: None,
            client_ref,
            mention_ids: Vec::new(),
            on_behalf_of: None,
        }
    }

    pub(super) fn check(
        self,
        conversation: ConversationId,
        author: &Author,
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
        let mentions = read_mentions(&mut checks, &self.mention_ids, is_reply);
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
            author: author.member,
            is_bot: author.is_bot,
            mentions,
            kind,
            text: self.text,
            client_ref,
        })
    }
}

fn read_mentions(checks: &mut Checks, ids: &[String], is_reply: bool) -> Vec<MemberId> {
    if ids.len() > MAX_MENTIONS {
        checks.fault("/mention_ids", format!("must have at most {MAX_MENTIONS}"));
    }
    if is_reply && !ids.is_empty() {
        checks.fault("/mention_ids", "goes with a note only");
    }
    let ids = ids.iter().enumerate();
    ids.filter_map(|(index, id)| checks.parse(&format!("/mention_ids/{index}"), id))
        .collect()
}

/// As whom a message is written.
#[derive(Debug, Clone)]
pub(super) struct Author {
    pub(super) member: MemberId,
    is_bot: bool,
    pub(super) cause: Cause,
    /// Somebody else for whom an API key writes.
    stands_for: bool,
}

impl Author {
    /// The caller, or whom they write for.
    pub(super) fn of(actor: &Actor, on_behalf_of: Option<&str>) -> Result<Self, Problem> {
        let own = Self {
            member: actor.member,
            is_bot: matches!(actor.who, Who::Key(_)),
            cause: actor.cause(),
            stands_for: false,
        };
        let Some(id) = on_behalf_of else {
            return Ok(own);
        };
        let mut checks = Checks::default();
        let member = checks.parse::<MemberId>("/on_behalf_of", id);
        checks.finish()?;
        if !own.is_bot {
            let detail = "Only an API key writes on somebody's behalf";
            return Err(Problem::with(Code::Forbidden, detail));
        }
        actor.require(Permission::MessagesAsMember)?;
        let member = member.ok_or_else(|| Problem::new(Code::InvalidRequest))?;
        Ok(Self {
            member,
            is_bot: false,
            cause: Cause {
                actor: LedgerActor::Member(member),
                ..own.cause
            },
            stands_for: true,
        })
    }

    /// Refuses one who isn't there, has left, or may not reply.
    async fn check(&self, tx: &mut BrandTx) -> Result<(), Problem> {
        if !self.stands_for {
            return Ok(());
        }
        let at = "/on_behalf_of";
        let Some(member) = members::find(tx, self.member).await? else {
            return Err(Problem::at(
                Code::UnknownReference,
                at,
                "names an unknown member",
            ));
        };
        if member.active && member.role.allows(Permission::MessagesWrite) {
            Ok(())
        } else {
            let detail = "is deactivated, or has a role that may not reply";
            Err(Problem::at(Code::MemberCannotTake, at, detail))
        }
    }
}

/// Refuses mentions of those who aren't there.
async fn check_mentions(tx: &mut BrandTx, mentions: &[MemberId]) -> Result<(), Problem> {
    if mentions.is_empty() {
        return Ok(());
    }
    let limit = i64::try_from(mentions.len()).unwrap_or(i64::MAX);
    let known = members::list(tx, Some(mentions), None, limit).await?;
    let unknown = mentions
        .iter()
        .position(|id| !known.iter().any(|member| member.id == *id));
    match unknown {
        Some(index) => Err(Problem::at(
            Code::UnknownReference,
            format!("/mention_ids/{index}"),
            "names an unknown member",
        )),
        None => Ok(()),
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
        (status = 422, body = ProblemBody, description = "text_too_long, channel_disconnected, client_ref_reused, unknown_reference, member_cannot_take, quota_exceeded"),
        (status = 409, body = ProblemBody, description = "conversation_exists")
    )
)]
pub(crate) async fn create(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ConversationId>,
    body: Body<CreateMessage>,
) -> Result<HttpResponse, Problem> {
    let author = Author::of(&actor, body.0.on_behalf_of.as_deref())?;
    let new = body.0.check(id.0, &author, Timestamp::now())?;
    let (visibility, limits) = (actor.visibility(), app.quotas.defaults);
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            if !conversations::exists(tx, id.0, &visibility).await? {
                return Err(Problem::not_found());
            }
            author.check(tx).await?;
            if matches!(new.kind, PostKind::Reply { .. }) {
                quotas::require_message(tx, &limits).await?;
            }
            check_mentions(tx, &new.mentions).await?;
            let (id, is_new) = refused(messages::post(tx, new, &author.cause).await?)?;
            let view = MessageView::from(find(tx, id, &visibility).await?);
            if is_new {
                Answer::created(&view)
            } else {
                Answer::ok(&view)
            }
        })
    });
    let answer = answer.await?;
    app.hint_sender();
    Ok(answer)
}

/// The message and whether it is new; or why there is none.
pub(super) fn refused(outcome: PostOutcome) -> Result<(MessageId, bool), Problem> {
    match outcome {
        PostOutcome::Created(id) => Ok((id, true)),
        PostOutcome::Repeated(id) => Ok((id, false)),
        PostOutcome::RefReused => Err(Problem::at(
            Code::ClientRefReused,
            "/client_ref",
            "belongs to a message with another text",
        )),
        PostOutcome::Missing => Err(Problem::not_found()),
        PostOutcome::ChannelDisconnected => Err(Problem::new(Code::ChannelDisconnected)),
        PostOutcome::Exists(other) => Err(exists(other)),
    }
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
    actor: Actor,
    id: Id<MessageId>,
    body: OptionalBody<RetryMessage>,
) -> Result<HttpResponse, Problem> {
    let (id, confirm, cause) = (id.0, body.0.confirm, actor.cause());
    let visibility = actor.visibility();
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            find(tx, id, &visibility).await?;
            let outcome = outbound::retry(tx, id, confirm, &cause).await?;
            after(tx, id, &visibility, outcome, Code::NotRetryable).await
        })
    });
    let answer = answer.await?;
    app.hint_sender();
    Ok(answer)
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
    actor: Actor,
    id: Id<MessageId>,
    body: OptionalBody<Nothing>,
) -> Result<HttpResponse, Problem> {
    let Nothing {} = body.0;
    let (id, cause, visibility) = (id.0, actor.cause(), actor.visibility());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            find(tx, id, &visibility).await?;
            let outcome = outbound::cancel(tx, id, &cause).await?;
            after(tx, id, &visibility, outcome, Code::AlreadySending).await
        })
    });
    let answer = answer.await?;
    // Those behind it may go now.
    app.hint_sender();
    Ok(answer)
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
    actor: Actor,
    id: Id<MessageId>,
    body: OptionalBody<Nothing>,
) -> Result<HttpResponse, Problem> {
    let Nothing {} = body.0;
    let (id, cause, visibility) = (id.0, actor.cause(), actor.visibility());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            find(tx, id, &visibility).await?;
            let outcome = outbound::mark_sent(tx, id, &cause).await?;
            after(tx, id, &visibility, outcome, Code::NotUnconfirmed).await
        })
    });
    let answer = answer.await?;
    app.hint_sender();
    Ok(answer)
}

/// The message after an act on it; a refusal rolls back.
async fn after(
    tx: &mut BrandTx,
    id: MessageId,
    visibility: &Visibility,
    outcome: ActOutcome,
    wrong_state: Code,
) -> Result<Answer, Problem> {
    match outcome {
        ActOutcome::Done => Answer::ok(&MessageView::from(find(tx, id, visibility).await?)),
        ActOutcome::WrongState => Err(Problem::new(wrong_state)),
        // The message is there: it was found before the act.
        ActOutcome::Missing => Err(Problem::with(wrong_state, "it is no reply of ours")),
        ActOutcome::NeedsConfirmation => Err(Problem::at(
            Code::ConfirmationNeeded,
            "/confirm",
            "must be true: the customer may get it twice",
        )),
    }
}
