//! What happened in a conversation, and its clocks.

use actix_web::{HttpResponse, web};
use roost_domain::ids::ConversationId;
use roost_store::{conversation_clocks, conversations, events};

use super::messages::read_order;
use crate::app::App;
use crate::auth::Actor;
use crate::events::render;
use crate::input::{Id, Query};
use crate::problem::{Problem, ProblemBody};
use crate::wire::clock::{ClockView, ClocksView};
use crate::wire::event::EventView;
use crate::wire::list::{Cursors, Paged};

/// A page of a conversation's events by their `seq`.
#[utoipa::path(
    get, path = "/v1/conversations/{id}/timeline", tag = "conversations",
    params(
        ("id" = String, Path), ("order" = Option<String>, Query, description = "asc (default) or desc"),
        ("limit" = Option<i64>, Query, description = "1 to 200"), ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Paged<EventView>), (status = 404, body = ProblemBody))
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
    let conversation = id.0;
    let cursors = Cursors::of(&[
        "timeline",
        &conversation.to_string(),
        if descending { "-" } else { "+" },
    ]);
    let visibility = actor.visibility();
    let after: Option<i64> = cursor.map(|cursor| cursors.read(&cursor)).transpose()?;
    let (rows, next_cursor) = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move {
                if !conversations::exists(tx, conversation, &visibility).await? {
                    return Err(Problem::not_found());
                }
                let rows =
                    events::of_conversation(tx, conversation, after, descending, limit + 1).await?;
                let (rows, next) = cursors.page(rows, limit, |row| row.seq);
                Ok((render(tx, &rows).await?, next))
            })
        })
        .await?;
    let data: Vec<EventView> = rows.into_iter().map(|event| event.view).collect();
    Ok(HttpResponse::Ok().json(Paged { data, next_cursor }))
}

/// A conversation's SLA clocks as they stand now, newest cycle first.
#[utoipa::path(
    get, path = "/v1/conversations/{id}/sla", tag = "conversations", params(("id" = String, Path)),
    responses((status = 200, body = ClocksView), (status = 404, body = ProblemBody))
)]
pub(crate) async fn clocks(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ConversationId>,
) -> Result<HttpResponse, Problem> {
    let (conversation, visibility) = (id.0, actor.visibility());
    let (now, clocks) = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move {
                if !conversations::exists(tx, conversation, &visibility).await? {
                    return Err(Problem::not_found());
                }
                Ok(conversation_clocks::list(tx, conversation).await?)
            })
        })
        .await?;
    let data = clocks
        .into_iter()
        .map(|clock| ClockView::new(clock, now))
        .collect();
    Ok(HttpResponse::Ok().json(ClocksView { data }))
}
