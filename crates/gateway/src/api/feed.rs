//! The feed: a brand's log by position.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use jiff::{SignedDuration, Timestamp};
use roost_domain::ids::{BrandId, ConversationId};
use roost_store::BrandTx;
use roost_store::events::{self, EventFilter, FEED_DAYS};
use roost_store::visibility::{Visibility, Walls};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::app::App;
use crate::auth::Actor;
use crate::events::render;
use crate::input::Query;
use crate::problem::{Code, Problem, ProblemBody};
use crate::wire::event::{EventView, FeedPage, read_cursor, write_cursor};

/// The net below the broker while a call waits.
const POLL: Duration = Duration::from_secs(1);
/// Pages without anything to see that one statement after the other passes over.
const PAGES_PASSED_OVER: usize = 10;

/// Where to begin.
#[derive(Debug, Clone, Copy)]
enum After {
    Oldest,
    Now,
    Position(i64),
}

/// Events after a cursor. `wait` holds the answer until there is one. Events of conversations that the
/// caller doesn't see are left out: a page may be empty though its cursor has moved on.
#[utoipa::path(
    get, path = "/v1/events", tag = "events",
    params(
        ("after" = Option<String>, Query, description = "A cursor, oldest (default) or now"),
        ("types" = Option<Vec<String>>, Query, description = "Names, or prefixes ending in *; also separated by commas"),
        ("conversation_id" = Option<String>, Query),
        ("wait" = Option<i64>, Query, description = "Seconds, up to 30"),
        ("limit" = Option<i64>, Query, description = "1 to 200")
    ),
    responses(
        (status = 200, body = FeedPage), (status = 400, body = ProblemBody),
        (status = 410, body = ProblemBody, description = "cursor_expired, with `oldest`")
    )
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let brand = actor.brand;
    let limit = query.limit();
    let wait = query.number("wait", 0, 30, 0);
    let after = query.text("after");
    let filter = EventFilter {
        types: read_types(&query),
        conversation: query.text("conversation_id").and_then(|id| {
            id.parse::<ConversationId>()
                .map_err(|error| query.fault("conversation_id", error.to_string()))
                .ok()
        }),
    };
    query.finish()?;
    let after = match after.as_deref() {
        None | Some("oldest") => After::Oldest,
        Some("now") => After::Now,
        Some(cursor) => After::Position(read_cursor(brand, cursor)?),
    };
    let deadline = Instant::now() + Duration::from_secs(u64::try_from(wait).unwrap_or(0));
    let mut head = app.hub.follow(brand);
    let mut after = app
        .store
        .brand(brand, move |tx| Box::pin(resolve(tx, after)))
        .await?;
    let visibility = actor.visibility();
    loop {
        let (filter, visibility) = (filter.clone(), visibility.clone());
        let (data, next) = app
            .store
            .brand(brand, move |tx| {
                Box::pin(page(tx, after, filter, visibility, limit))
            })
            .await?;
        after = next;
        if !data.is_empty() || Instant::now() >= deadline {
            let next_cursor = write_cursor(brand, after);
            return Ok(HttpResponse::Ok().json(FeedPage { data, next_cursor }));
        }
        let poll = (Instant::now() + POLL).min(deadline);
        // Woken by the broker's pointers, or looking by itself.
        timeout_at(poll, head.changed()).await.ok();
    }
}

fn read_types(query: &Query) -> Vec<String> {
    let given = query.texts("types");
    let names: Vec<String> = given
        .iter()
        .flat_map(|names| names.split(','))
        .map(|name| name.trim().to_owned())
        .collect();
    let is_name = |name: &String| {
        let stem = name.strip_suffix('*').unwrap_or(name);
        name.len() <= 60
            && !name.is_empty()
            && stem
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_'))
    };
    if !names.iter().all(is_name) {
        query.fault(
            "types",
            "must be names such as message.received or message.*",
        );
    }
    names
}

async fn resolve(tx: &mut BrandTx, after: After) -> Result<i64, Problem> {
    let now = Timestamp::now();
    let position = match after {
        After::Oldest => return Ok(events::before_oldest(tx, now).await?),
        After::Now => return Ok(events::head(tx).await?),
        After::Position(position) => position,
    };
    let floor = now - SignedDuration::from_hours(24 * FEED_DAYS);
    match events::next_written_at(tx, position).await? {
        Some(at) if at < floor => {
            let oldest = events::before_oldest(tx, now).await?;
            let brand: BrandId = tx.brand();
            Err(Problem::new(Code::CursorExpired)
                .extra("oldest", json!(write_cursor(brand, oldest))))
        }
        Some(_) | None => Ok(position),
    }
}

/// A page, and the position up to which it was looked. Lines about what the caller doesn't see are
/// passed over, a bounded number of them at once.
async fn page(
    tx: &mut BrandTx,
    mut after: i64,
    filter: EventFilter,
    visibility: Visibility,
    limit: i64,
) -> Result<(Vec<EventView>, i64), Problem> {
    let head = events::head(tx).await?;
    let walls = Walls::load(tx).await?;
    for _ in 0..PAGES_PASSED_OVER {
        let rows = events::read_between(tx, after, head, &filter, limit).await?;
        let is_full = i64::try_from(rows.len()).unwrap_or(i64::MAX) >= limit;
        let last = rows.last().and_then(|event| event.position);
        after = match last {
            Some(last) if is_full => last,
            Some(_) | None => head.max(after),
        };
        let data: Vec<EventView> = render(tx, &rows)
            .await?
            .iter()
            .filter_map(|event| event.shown_to(&visibility, &walls).cloned())
            .collect();
        if !data.is_empty() || !is_full {
            return Ok((data, after));
        }
    }
    Ok((Vec::new(), after))
}
