//! Conversations: lists, one, and changing it.

use actix_web::http::header::{ETAG, IF_MATCH};
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::{SignedDuration, Timestamp};
use roost_domain::conversation::{Priority, Status};
use roost_domain::ids::{ConversationId, MemberId};
use roost_store::conversation_acts::{self, ChangeOutcome, ConversationChange};
use roost_store::conversations::{
    self, ConversationFilter, ListKey, Page, Sort, SortField, StoredConversation,
};
use roost_store::{BrandTx, events};
use serde_json::json;

use super::messages::exists;
use crate::app::App;
use crate::auth::{Actor, Read, Reply};
use crate::input::{Body, Checks, Id, Query};
use crate::problem::{Code, Fault, Problem, ProblemBody};
use crate::wire::conversation::{ConversationPage, ConversationPatch, ConversationView};
use crate::wire::event::write_cursor;
use crate::wire::list::Cursors;

/// Longest snooze.
const MAX_SNOOZE: SignedDuration = SignedDuration::from_hours(24 * 366);

/// A page of conversations.
#[utoipa::path(
    get, path = "/v1/conversations", tag = "conversations",
    params(
        ("status" = Option<Vec<String>>, Query, description = "open, pending, snoozed, resolved"),
        ("priority" = Option<Vec<String>>, Query, description = "low, normal, high, urgent"),
        ("assignee_id" = Option<Vec<String>>, Query, description = "Members, or none"),
        ("team_id" = Option<Vec<String>>, Query, description = "Teams, or none"),
        ("channel_id" = Option<Vec<String>>, Query), ("contact_id" = Option<Vec<String>>, Query),
        ("has_failed_send" = Option<bool>, Query),
        ("opened_after" = Option<String>, Query, description = "RFC 3339, inclusive"),
        ("opened_before" = Option<String>, Query, description = "RFC 3339, exclusive"),
        ("updated_after" = Option<String>, Query, description = "RFC 3339, inclusive"),
        ("updated_before" = Option<String>, Query, description = "RFC 3339, exclusive"),
        ("sort" = Option<String>, Query, description = "last_message_at, waiting_since, opened_at, updated_at or next_due_at; a leading - reverses. Default: -last_message_at"),
        ("limit" = Option<i64>, Query, description = "1 to 200"), ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = ConversationPage), (status = 400, body = ProblemBody))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor<Read>,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let filter = read_filter(&query);
    let sort = read_sort(&query);
    let limit = query.limit();
    let cursor = query.text("cursor");
    query.finish()?;
    let brand = actor.brand;
    let cursors = Cursors::of(&[
        "conversations",
        &brand.to_string(),
        &format!("{filter:?}"),
        &format!("{sort:?}"),
    ]);
    let after = match &cursor {
        Some(cursor) => {
            let (micros, id): (Option<i64>, ConversationId) = cursors.read(cursor)?;
            let at = micros.map(Timestamp::from_microsecond).transpose();
            let at = at.map_err(|_| Problem::new(Code::InvalidCursor))?;
            Some(ListKey { at, id })
        }
        None => None,
    };
    let page = Page {
        sort,
        after,
        limit: limit + 1,
    };
    let reader = actor.member;
    let (head, rows) = app
        .store
        .brand(brand, move |tx| {
            Box::pin(async move {
                // Read before the rows: a change after it is in the feed, if not in the rows.
                let head = events::head(tx).await?;
                Ok::<_, Problem>((head, conversations::list(tx, &filter, &page, reader).await?))
            })
        })
        .await?;
    let (rows, next_cursor) = cursors.page(rows, limit, |row| {
        let key = ListKey::of(row, sort);
        (key.at.map(Timestamp::as_microsecond), key.id)
    });
    Ok(HttpResponse::Ok().json(ConversationPage {
        data: rows.into_iter().map(Into::into).collect(),
        next_cursor,
        after: cursor.is_none().then(|| write_cursor(brand, head)),
    }))
}

fn read_filter(query: &Query) -> ConversationFilter {
    ConversationFilter {
        status: query.all("status"),
        priority: query.all("priority"),
        assignee: query.all_or_none("assignee_id"),
        team: query.all_or_none("team_id"),
        channel: query.all("channel_id"),
        contact: query.all("contact_id"),
        has_failed_send: query.flag("has_failed_send"),
        opened_after: query.instant("opened_after"),
        opened_before: query.instant("opened_before"),
        updated_after: query.instant("updated_after"),
        updated_before: query.instant("updated_before"),
    }
}

fn read_sort(query: &Query) -> Sort {
    let default = Sort {
        field: SortField::LastMessageAt,
        descending: true,
    };
    let Some(text) = query.text("sort") else {
        return default;
    };
    let (descending, name) = match text.strip_prefix('-') {
        Some(name) => (true, name),
        None => (false, text.as_str()),
    };
    if let Some(field) = SortField::parse(name) {
        return Sort { field, descending };
    }
    query.fault(
        "sort",
        "must be last_message_at, waiting_since, opened_at, updated_at or next_due_at",
    );
    default
}

/// One conversation. The `ETag` is its version.
#[utoipa::path(
    get, path = "/v1/conversations/{id}", tag = "conversations", params(("id" = String, Path)),
    responses((status = 200, body = ConversationView), (status = 404, body = ProblemBody))
)]
pub(crate) async fn get(
    app: web::Data<App>,
    actor: Actor<Read>,
    id: Id<ConversationId>,
) -> Result<HttpResponse, Problem> {
    let reader = actor.member;
    let found = app
        .store
        .brand(actor.brand, move |tx| Box::pin(find(tx, id.0, reader)))
        .await?;
    Ok(show(found))
}

async fn find(
    tx: &mut BrandTx,
    id: ConversationId,
    reader: MemberId,
) -> Result<StoredConversation, Problem> {
    conversations::find(tx, id, Some(reader))
        .await?
        .ok_or_else(Problem::not_found)
}

fn show(found: StoredConversation) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((ETAG, format!("\"{}\"", found.version)))
        .json(ConversationView::from(found))
}

impl ConversationPatch {
    fn check(self, now: Timestamp) -> Result<ConversationChange, Problem> {
        let mut checks = Checks::default();
        let mut status = self
            .status
            .and_then(|text| checks.parse::<Status>("/status", &text));
        let priority = self
            .priority
            .and_then(|text| checks.parse::<Priority>("/priority", &text));
        let snooze_until = match self.snooze_until {
            Some(Some(text)) => read_until(&mut checks, "/snooze_until", &text, now),
            Some(None) => {
                // Ending a snooze opens the conversation unless something else is asked for.
                status = status.or(Some(Status::Open));
                None
            }
            None => None,
        };
        if status == Some(Status::Snoozed) && snooze_until.is_none() {
            checks.fault("/snooze_until", "is needed with status snoozed");
        }
        if snooze_until.is_some() && status.is_some_and(|status| status != Status::Snoozed) {
            checks.fault("/snooze_until", "goes with status snoozed only");
        }
        checks.finish()?;
        Ok(ConversationChange {
            status,
            snooze_until,
            priority,
            if_version: None,
        })
    }
}

/// When a snooze ends.
pub(super) fn read_until(
    checks: &mut Checks,
    pointer: &str,
    text: &str,
    now: Timestamp,
) -> Option<Timestamp> {
    let until = checks.instant(pointer, text)?;
    let ahead = until.duration_since(now);
    if ahead.is_positive() && ahead <= MAX_SNOOZE {
        Some(until)
    } else {
        checks.fault(pointer, "must lie in the future, at most a year ahead");
        None
    }
}

/// Changes status, priority or snooze. With `If-Match`, only if nothing else has changed since.
#[utoipa::path(
    patch, path = "/v1/conversations/{id}", tag = "conversations",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "An ETag of the conversation")),
    request_body = ConversationPatch,
    responses(
        (status = 200, body = ConversationView), (status = 400, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody, description = "version_conflict, conversation_exists")
    )
)]
pub(crate) async fn patch(
    app: web::Data<App>,
    actor: Actor<Reply>,
    request: HttpRequest,
    id: Id<ConversationId>,
    body: Body<ConversationPatch>,
) -> Result<HttpResponse, Problem> {
    let if_version = read_if_match(&request)?;
    let change = ConversationChange {
        if_version,
        ..body.0.check(Timestamp::now())?
    };
    let (member, cause) = (actor.member, actor.cause());
    let outcome = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move {
                match conversation_acts::change(tx, id.0, &change, member, &cause).await? {
                    ChangeOutcome::Done => find(tx, id.0, member).await,
                    ChangeOutcome::Missing => Err(Problem::not_found()),
                    ChangeOutcome::Exists(other) => Err(exists(other)),
                    ChangeOutcome::Stale { version, fields } => Err(conflict(version, &fields)),
                }
            })
        })
        .await?;
    // A reopened conversation wants an agent, a closed one leaves room for another.
    app.hint_router();
    Ok(show(outcome))
}

/// The version of an `If-Match` header; none where it is missing or `*`.
fn read_if_match(request: &HttpRequest) -> Result<Option<i64>, Problem> {
    let Some(value) = request.headers().get(IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let version = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    version
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or_else(|| {
            Problem::with(
                Code::InvalidRequest,
                "If-Match must be an ETag of this conversation",
            )
        })
}

fn conflict(version: i64, fields: &[String]) -> Problem {
    let faults = fields
        .iter()
        .map(|field| Fault {
            pointer: format!("/{field}"),
            detail: "has changed since".to_owned(),
        })
        .collect();
    Problem::new(Code::VersionConflict)
        .faults(faults)
        .extra("current_version", json!(version))
}
