//! The audit log.

use actix_web::{HttpResponse, web};
use roost_domain::ids::{AuditId, MemberId};
use roost_store::audit::{self, LineFilter};

use crate::app::App;
use crate::auth::Actor;
use crate::input::{Id, Query};
use crate::problem::Problem;
use crate::wire::audit::{AuditLineView, bare_id};
use crate::wire::list::{Cursors, Paged};

/// Values of one filter.
const MAX_VALUES: usize = 50;

fn read_filter(query: &Query) -> LineFilter {
    let mut filter = LineFilter {
        actors: query
            .all::<MemberId>("actor_id")
            .iter()
            .map(|id| id.0)
            .collect(),
        target_types: query.texts("target_type"),
        after: query.instant("after"),
        before: query.instant("before"),
        ..LineFilter::default()
    };
    for action in query.texts("action") {
        let stem = action.strip_suffix(".*").unwrap_or(&action);
        let is_name = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        if !stem.split('.').all(is_name) {
            query.fault(
                "action",
                "must be an action, or its first part with a wildcard, such as member.*",
            );
        } else if stem.len() < action.len() {
            filter.action_prefixes.push(format!("{stem}."));
        } else {
            filter.actions.push(action);
        }
    }
    for id in query.texts("target_id") {
        match bare_id(&id) {
            Some(id) => filter.targets.push(id),
            None => query.fault("target_id", "is not an id of a thing in the log"),
        }
    }
    let counts = [
        ("actor_id", filter.actors.len()),
        ("target_type", filter.target_types.len()),
        ("target_id", filter.targets.len()),
        (
            "action",
            filter.actions.len() + filter.action_prefixes.len(),
        ),
    ];
    for (name, _) in counts.iter().filter(|(_, count)| *count > MAX_VALUES) {
        query.fault(name, format!("may be given {MAX_VALUES} times at the most"));
    }
    filter
}

/// What was changed, by whom and from where, newest first.
#[utoipa::path(
    get, path = "/v1/audit-log", tag = "audit",
    params(
        ("action" = Option<Vec<String>>, Query, description = "An action, or `member.*`; repeated: any of them"),
        ("actor_id" = Option<Vec<String>>, Query, description = "Members, those of API keys too"),
        ("target_type" = Option<Vec<String>>, Query), ("target_id" = Option<Vec<String>>, Query),
        ("after" = Option<String>, Query, description = "Not earlier than this instant"),
        ("before" = Option<String>, Query, description = "Earlier than this instant"),
        ("limit" = Option<i64>, Query, description = "1 to 200"), ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Paged<AuditLineView>))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let filter = read_filter(&query);
    let limit = query.limit();
    let cursor = query.text("cursor");
    query.finish()?;
    let cursors = Cursors::of(&[
        "audit-log",
        &actor.brand.to_string(),
        &format!("{filter:?}"),
    ]);
    let before: Option<i64> = cursor.map(|cursor| cursors.read(&cursor)).transpose()?;
    let rows = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move { audit::list(tx, &filter, before, limit + 1).await })
        })
        .await?;
    let (rows, next_cursor) = cursors.page(rows, limit, |row| row.seq);
    let data: Vec<AuditLineView> = rows.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(Paged { data, next_cursor }))
}

/// One line.
#[utoipa::path(
    get, path = "/v1/audit-log/{id}", tag = "audit", params(("id" = String, Path)),
    responses((status = 200, body = AuditLineView))
)]
pub(crate) async fn get(
    app: web::Data<App>,
    actor: Actor,
    id: Id<AuditId>,
) -> Result<HttpResponse, Problem> {
    let found = app
        .store
        .brand(actor.brand, move |tx| Box::pin(audit::find(tx, id.0)))
        .await?;
    let line = found.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Ok().json(AuditLineView::from(line)))
}
