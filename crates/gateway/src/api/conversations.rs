//! Conversations: lists, and one.

use actix_web::http::header::ETAG;
use actix_web::{HttpResponse, web};
use jiff::Timestamp;
use roost_domain::ids::{ConversationId, MemberId};
use roost_store::conversations::{self, ListKey, Page, StoredConversation};
use roost_store::visibility::Visibility;
use roost_store::{BrandTx, events};

use super::filters::{FilterInput, read_sort};
use crate::app::App;
use crate::auth::Actor;
use crate::input::{Id, Query};
use crate::problem::{Code, Problem, ProblemBody};
use crate::wire::conversation::{ConversationPage, ConversationView};
use crate::wire::event::write_cursor;
use crate::wire::list::Cursors;

/// A page of conversations.
#[utoipa::path(
    get, path = "/v1/conversations", tag = "conversations",
    params(
        ("status" = Option<Vec<String>>, Query, description = "open, pending, snoozed, resolved"),
        ("priority" = Option<Vec<String>>, Query, description = "low, normal, high, urgent"),
        ("assignee_id" = Option<Vec<String>>, Query, description = "Members, or none"),
        ("team_id" = Option<Vec<String>>, Query, description = "Teams, or none"),
        ("channel_id" = Option<Vec<String>>, Query), ("contact_id" = Option<Vec<String>>, Query),
        ("label" = Option<Vec<String>>, Query, description = "Ids of labels"),
        ("sla" = Option<Vec<String>>, Query, description = "How the earliest running clock stands: at_risk, breached"),
        ("external_id" = Option<Vec<String>>, Query),
        ("attributes" = Option<HashMap<String, String>>, Query, style = DeepObject, explode, description = "Attributes by their keys: attributes[tier]=gold"),
        ("q" = Option<String>, Query, description = "Looks for names and handles of customers and for texts of messages"),
        ("has_failed_send" = Option<bool>, Query),
        ("opened_after" = Option<String>, Query, description = "RFC 3339, inclusive"),
        ("opened_before" = Option<String>, Query, description = "RFC 3339, exclusive"),
        ("updated_after" = Option<String>, Query, description = "RFC 3339, inclusive"),
        ("updated_before" = Option<String>, Query, description = "RFC 3339, exclusive"),
        ("resolved_after" = Option<String>, Query, description = "RFC 3339, inclusive; of resolved ones"),
        ("resolved_before" = Option<String>, Query, description = "RFC 3339, exclusive; of resolved ones"),
        ("sort" = Option<String>, Query, description = "last_message_at, waiting_since, opened_at, updated_at or next_due_at; a leading - reverses. Default: -last_message_at"),
        ("limit" = Option<i64>, Query, description = "1 to 200"), ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = ConversationPage), (status = 400, body = ProblemBody))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let filter = FilterInput::read_with_search(&query);
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
    let (reader, visibility) = (actor.member, actor.visibility());
    let (head, rows) = app
        .store
        .brand(brand, move |tx| {
            Box::pin(async move {
                // Read before the rows: a change after it is in the feed, if not in the rows.
                let head = events::head(tx).await?;
                let filter = filter.resolve(tx).await?;
                let rows = conversations::list(tx, &filter, &visibility, &page, reader).await?;
                Ok::<_, Problem>((head, rows))
            })
        })
        .await?;
    let (rows, next_cursor) = cursors.page(rows, limit, |(key, _)| {
        (key.at.map(Timestamp::as_microsecond), key.id)
    });
    Ok(HttpResponse::Ok().json(ConversationPage {
        data: rows.into_iter().map(|(_, row)| row.into()).collect(),
        next_cursor,
        after: cursor.is_none().then(|| write_cursor(brand, head)),
    }))
}

/// One conversation. The `ETag` is its version.
#[utoipa::path(
    get, path = "/v1/conversations/{id}", tag = "conversations", params(("id" = String, Path)),
    responses((status = 200, body = ConversationView), (status = 404, body = ProblemBody))
)]
pub(crate) async fn get(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ConversationId>,
) -> Result<HttpResponse, Problem> {
    let (reader, visibility) = (actor.member, actor.visibility());
    let found = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move { find(tx, id.0, &visibility, reader).await })
        })
        .await?;
    Ok(show(found))
}

pub(super) async fn find(
    tx: &mut BrandTx,
    id: ConversationId,
    visibility: &Visibility,
    reader: MemberId,
) -> Result<StoredConversation, Problem> {
    conversations::find(tx, id, visibility, Some(reader))
        .await?
        .ok_or_else(Problem::not_found)
}

fn show(found: StoredConversation) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((ETAG, format!("\"{}\"", found.version)))
        .json(ConversationView::from(found))
}
