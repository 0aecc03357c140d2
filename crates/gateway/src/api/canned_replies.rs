//! Canned replies: texts with variables that members send often.

use actix_web::{HttpRequest, HttpResponse, web};
use roost_domain::ids::{CannedReplyId, ConversationId, TeamId};
use roost_domain::template::{Template, Variable};
use roost_store::audit::{Auditor, Entry};
use roost_store::canned_replies::{self, CannedReply, StoredCannedReply};
use roost_store::visibility::Visibility;
use roost_store::{BrandTx, StoreError, on_constraint};
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Body, Checks, Id, Query, if_match};
use crate::problem::{Code, Problem, changed};
use crate::wire::canned_reply::{
    CannedReplyPatch, CannedReplyView, CreateCannedReply, RenderCannedReply, RenderedReplyView,
};
use crate::wire::list::{Cursors, Paged};

/// Most teams of a reply.
const MAX_TEAMS: usize = 100;
/// Longest text, in characters.
const MAX_TEXT: usize = 10_000;

/// The canned replies that the caller may use, by title.
#[utoipa::path(
    get, path = "/v1/canned-replies", tag = "canned-replies",
    params(
        ("q" = Option<String>, Query, description = "A part of title or shortcut; case and accents don't matter"),
        ("limit" = Option<i64>, Query, description = "1 to 200"), ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Paged<CannedReplyView>))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let wanted = query.text("q");
    let limit = query.limit();
    let cursor = query.text("cursor");
    query.finish()?;
    let of = wanted.as_deref().unwrap_or_default();
    let cursors = Cursors::of(&["canned-replies", &actor.brand.to_string(), of]);
    let after: Option<(String, CannedReplyId)> =
        cursor.map(|cursor| cursors.read(&cursor)).transpose()?;
    let visibility = actor.visibility();
    let rows = app.store.brand(actor.brand, move |tx| {
        Box::pin(async move {
            let after = after.as_ref().map(|(title, id)| (title.as_str(), *id));
            canned_replies::list(tx, &visibility, wanted.as_deref(), after, limit + 1).await
        })
    });
    let (rows, next_cursor) =
        cursors.page(rows.await?, limit, |row| (row.sort_title.clone(), row.id));
    let data: Vec<CannedReplyView> = rows.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(Paged { data, next_cursor }))
}

/// One canned reply.
#[utoipa::path(
    get, path = "/v1/canned-replies/{id}", tag = "canned-replies", params(("id" = String, Path)),
    responses((status = 200, body = CannedReplyView))
)]
pub(crate) async fn get(
    app: web::Data<App>,
    actor: Actor,
    id: Id<CannedReplyId>,
) -> Result<HttpResponse, Problem> {
    let visibility = actor.visibility();
    let reply = app.store.brand(actor.brand, move |tx| {
        Box::pin(async move { find(tx, id.0, &visibility).await })
    });
    Ok(show(reply.await?)?.response())
}

async fn find(
    tx: &mut BrandTx,
    id: CannedReplyId,
    visibility: &Visibility,
) -> Result<StoredCannedReply, Problem> {
    let found = canned_replies::find(tx, id, visibility).await?;
    found.ok_or_else(Problem::not_found)
}

fn show(reply: StoredCannedReply) -> Result<Answer, Problem> {
    let version = reply.version;
    Ok(Answer::ok(&CannedReplyView::from(reply))?.version(version))
}

fn told(audit: &Auditor, reply: &StoredCannedReply) -> Value {
    json!({
        "title": reply.title,
        "shortcut": reply.shortcut,
        "text": audit.digest(&reply.text),
        "team_ids": reply.teams,
    })
}

fn shortcut(checks: &mut Checks, text: &str) -> String {
    if text.chars().any(char::is_whitespace) {
        checks.fault("/shortcut", "must not contain spaces");
    }
    checks.line("/shortcut", text, 1, 50)
}

fn text(checks: &mut Checks, text: &str) -> String {
    let length = text.trim().chars().count();
    if length == 0 || length > MAX_TEXT {
        checks.fault("/text", format!("must have 1 to {MAX_TEXT} characters"));
    }
    if let Err(error) = Template::parse(text.trim()) {
        checks.fault("/text", error.to_string());
    }
    text.trim().to_owned()
}

fn teams(checks: &mut Checks, ids: &[String]) -> Vec<TeamId> {
    if ids.is_empty() || ids.len() > MAX_TEAMS {
        checks.fault(
            "/team_ids",
            format!("must name 1 to {MAX_TEAMS} teams; null stands for everybody"),
        );
    }
    let parse = |(index, id): (usize, &String)| checks.parse(&format!("/team_ids/{index}"), id);
    let ids = ids.iter().take(MAX_TEAMS).enumerate();
    ids.filter_map(parse).collect()
}

fn refused(error: StoreError) -> Problem {
    if on_constraint(&error, "canned_replies_shortcut_key") {
        Problem::at(Code::NameTaken, "/shortcut", "is in use")
    } else if matches!(error, StoreError::Constraint { .. }) {
        Problem::at(Code::UnknownReference, "/team_ids", "names an unknown team")
    } else {
        error.into()
    }
}

/// Makes a canned reply.
#[utoipa::path(
    post, path = "/v1/canned-replies", tag = "canned-replies", request_body = CreateCannedReply,
    responses(
        (status = 201, body = CannedReplyView), (status = 409, description = "`name_taken`: the shortcut"),
        (status = 422, description = "`unknown_reference`")
    )
)]
pub(crate) async fn create(
    app: web::Data<App>,
    actor: Actor,
    body: Body<CreateCannedReply>,
) -> Result<HttpResponse, Problem> {
    let mut checks = Checks::default();
    let new = CannedReply {
        title: checks.line("/title", &body.0.title, 1, 200),
        shortcut: shortcut(&mut checks, &body.0.shortcut),
        text: text(&mut checks, &body.0.text),
        teams: body.0.team_ids.map(|ids| teams(&mut checks, &ids)),
    };
    checks.finish()?;
    let (audit, cause) = (app.audit.clone(), actor.cause());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let id = canned_replies::create(tx, &new).await.map_err(refused)?;
            // Who made it sees it in the answer, whatever team it is for.
            let reply = find(tx, id, &Visibility::ALL).await?;
            let entry = Entry {
                action: "canned_reply.created",
                target_type: "canned_reply",
                target: Some(id.0),
                before: None,
                after: Some(told(&audit, &reply)),
            };
            audit.record(tx, &cause, entry).await?;
            let version = reply.version;
            Ok(Answer::created(&CannedReplyView::from(reply))?.version(version))
        })
    });
    answer.await
}

/// Changes a canned reply. With `If-Match`, only if nobody has changed it since.
#[utoipa::path(
    patch, path = "/v1/canned-replies/{id}", tag = "canned-replies",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "An ETag of the reply")),
    request_body = CannedReplyPatch,
    responses(
        (status = 200, body = CannedReplyView),
        (status = 409, description = "`name_taken`: the shortcut, `version_conflict`"),
        (status = 422, description = "`unknown_reference`")
    )
)]
pub(crate) async fn patch(
    app: web::Data<App>,
    actor: Actor,
    request: HttpRequest,
    id: Id<CannedReplyId>,
    body: Body<CannedReplyPatch>,
) -> Result<HttpResponse, Problem> {
    let if_version = if_match(&request)?;
    let mut checks = Checks::default();
    let wanted = body.0;
    let title = wanted
        .title
        .map(|title| checks.line("/title", &title, 1, 200));
    let shortcut = wanted.shortcut.map(|text| shortcut(&mut checks, &text));
    let text = wanted.text.map(|wanted| text(&mut checks, &wanted));
    let teams = wanted
        .team_ids
        .map(|ids| ids.map(|ids| teams(&mut checks, &ids)));
    checks.finish()?;
    let (audit, cause, id) = (app.audit.clone(), actor.cause(), id.0);
    let visibility = actor.visibility();
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            canned_replies::lock(tx, id).await?;
            let before = find(tx, id, &visibility).await?;
            let new = CannedReply {
                title: title.unwrap_or_else(|| before.title.clone()),
                shortcut: shortcut.unwrap_or_else(|| before.shortcut.clone()),
                text: text.unwrap_or_else(|| before.text.clone()),
                teams: teams.unwrap_or_else(|| before.teams.clone()),
            };
            let outcome = canned_replies::replace(tx, id, &new, if_version).await;
            changed(outcome.map_err(refused)?)?;
            let after = find(tx, id, &Visibility::ALL).await?;
            let entry = Entry {
                action: "canned_reply.changed",
                target_type: "canned_reply",
                target: Some(id.0),
                before: Some(told(&audit, &before)),
                after: Some(told(&audit, &after)),
            };
            audit.record(tx, &cause, entry).await?;
            show(after)
        })
    });
    answer.await
}

/// Deletes a canned reply.
#[utoipa::path(
    delete, path = "/v1/canned-replies/{id}", tag = "canned-replies", params(("id" = String, Path)),
    responses((status = 204))
)]
pub(crate) async fn delete(
    app: web::Data<App>,
    actor: Actor,
    id: Id<CannedReplyId>,
) -> Result<HttpResponse, Problem> {
    let (audit, cause, id) = (app.audit.clone(), actor.cause(), id.0);
    let visibility = actor.visibility();
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let before = find(tx, id, &visibility).await?;
            if !canned_replies::delete(tx, id).await? {
                return Err(Problem::not_found());
            }
            let entry = Entry {
                action: "canned_reply.deleted",
                target_type: "canned_reply",
                target: Some(id.0),
                before: Some(told(&audit, &before)),
                after: None,
            };
            audit.record(tx, &cause, entry).await?;
            Ok(Answer::nothing())
        })
    });
    answer.await
}

/// Fills a canned reply for a conversation; nothing is sent.
#[utoipa::path(
    post, path = "/v1/canned-replies/{id}/render", tag = "canned-replies", params(("id" = String, Path)),
    request_body = RenderCannedReply,
    responses((status = 200, body = RenderedReplyView), (status = 422, description = "`unknown_reference`"))
)]
pub(crate) async fn render(
    app: web::Data<App>,
    actor: Actor,
    id: Id<CannedReplyId>,
    body: Body<RenderCannedReply>,
) -> Result<HttpResponse, Problem> {
    let mut checks = Checks::default();
    let conversation = checks.parse::<ConversationId>("/conversation_id", &body.0.conversation_id);
    checks.finish()?;
    let conversation = conversation.ok_or_else(|| Problem::new(Code::InvalidRequest))?;
    let (visibility, member) = (actor.visibility(), actor.member);
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let reply = find(tx, id.0, &visibility).await?;
            let found = canned_replies::surroundings(tx, conversation, member, &visibility).await?;
            let found = found.ok_or_else(|| {
                let detail = "names an unknown conversation";
                Problem::at(Code::UnknownReference, "/conversation_id", detail)
            })?;
            let template = Template::parse(&reply.text)
                .map_err(|error| Problem::caused(Code::Internal, error))?;
            let rendered = template.render(|of| match of {
                Variable::ContactName => Some(found.contact_name.clone()),
                Variable::ContactHandle => found.contact_handle.clone(),
                Variable::AgentName => Some(found.agent_name.clone()),
                Variable::BrandName => Some(found.brand_name.clone()),
                Variable::ConversationId => Some(conversation.to_string()),
            });
            Answer::ok(&RenderedReplyView::from(rendered))
        })
    });
    answer.await
}
