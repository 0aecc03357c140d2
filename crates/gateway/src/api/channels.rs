//! Channels.

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, web};
use roost_domain::ids::{ChannelId, TeamId};
use roost_platforms::sandbox;
use roost_platforms::x::client::ApiError;
use roost_store::audit::Entry;
use roost_store::channels::{self, ChannelChange, ChannelFilter, StoredChannel};
use roost_store::visibility::Visibility;
use roost_store::{BrandTx, StoreError, budgets, signs};
use serde_json::json;

use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Body, Checks, Id, Query, if_match};
use crate::problem::{Code, Problem, ProblemBody, chain, expect_version};
use crate::wire::capabilities::Capabilities;
use crate::wire::channel::{ChannelBudget, ChannelHealth, ChannelPatch, ChannelView, Signs};
use crate::wire::list::{Cursors, Paged};
use crate::x_side::XSide;

const PLATFORMS: [&str; 2] = ["x", sandbox::PLATFORM];
const STATUSES: [&str; 4] = ["active", "degraded", "reauth_required", "disconnected"];
/// X, "Rate limits": the send calls of an account share a window of 15 min.
const X_WINDOW_SECONDS: u32 = 900;

/// A page of channels, oldest first.
#[utoipa::path(
    get, path = "/v1/channels", tag = "channels",
    params(
        ("platform" = Option<Vec<String>>, Query, description = "x, sandbox"),
        ("status" = Option<Vec<String>>, Query, description = "active, degraded, reauth_required, disconnected"),
        ("limit" = Option<i64>, Query, description = "1 to 200"), ("cursor" = Option<String>, Query)
    ),
    responses((status = 200, body = Paged<ChannelView>))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let platforms = one_of(&query, "platform", &PLATFORMS);
    let statuses = one_of(&query, "status", &STATUSES);
    let limit = query.limit();
    let cursor = query.text("cursor");
    query.finish()?;
    let cursors = Cursors::of(&[
        "channels",
        &actor.brand.to_string(),
        &platforms.join(","),
        &statuses.join(","),
    ]);
    let after = cursor.map(|cursor| cursors.read::<ChannelId>(&cursor));
    let filter = ChannelFilter {
        platforms,
        statuses,
        after: after.transpose()?,
    };
    let visible = actor.visibility();
    let rows = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move { channels::search(tx, &filter, &visible, limit + 1).await })
        })
        .await?;
    let (rows, next_cursor) = cursors.page(rows, limit, |row| row.id);
    let data: Vec<ChannelView> = rows.into_iter().map(Into::into).collect();
    Ok(HttpResponse::Ok().json(Paged { data, next_cursor }))
}

/// Values of a closed list, sorted.
fn one_of(query: &Query, name: &str, known: &[&str]) -> Vec<String> {
    let mut values = query.texts(name);
    if values.iter().any(|value| !known.contains(&value.as_str())) {
        query.fault(name, format!("must be one of {}", known.join(", ")));
    }
    values.sort_unstable();
    values.dedup();
    values
}

pub(super) async fn find(
    tx: &mut BrandTx,
    id: ChannelId,
    visible: &Visibility,
) -> Result<StoredChannel, Problem> {
    channels::find(tx, id, visible)
        .await?
        .ok_or_else(Problem::not_found)
}

/// A channel that the caller sees.
pub(super) async fn seen(
    app: &App,
    actor: &Actor,
    id: ChannelId,
) -> Result<StoredChannel, Problem> {
    let visible = actor.visibility();
    app.store
        .brand(actor.brand, move |tx| {
            Box::pin(async move { find(tx, id, &visible).await })
        })
        .await
}

/// One channel.
#[utoipa::path(
    get, path = "/v1/channels/{id}", tag = "channels", params(("id" = String, Path)),
    responses((status = 200, body = ChannelView), (status = 404, body = ProblemBody))
)]
pub(crate) async fn get(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ChannelId>,
) -> Result<HttpResponse, Problem> {
    let channel = seen(&app, &actor, id.0).await?;
    Ok(HttpResponse::Ok()
        .insert_header((ETAG, format!("\"{}\"", channel.version)))
        .json(ChannelView::from(channel)))
}

/// How a channel fares.
#[utoipa::path(
    get, path = "/v1/channels/{id}/health", tag = "channels", params(("id" = String, Path)),
    responses((status = 200, body = ChannelHealth), (status = 404, body = ProblemBody))
)]
pub(crate) async fn health(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ChannelId>,
) -> Result<HttpResponse, Problem> {
    let visible = actor.visibility();
    let health = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move {
                let channel = find(tx, id.0, &visible).await?;
                let signs = Signs {
                    events: signs::of_channel(tx, id.0).await?,
                    last_crc: signs::last_crc(tx, &channel.platform, &channel.app).await?,
                    trouble: signs::trouble(tx, id.0).await?,
                };
                Ok::<_, Problem>(ChannelHealth::new(channel, signs))
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(health))
}

/// How many messages may still be sent, as far as the platform told.
#[utoipa::path(
    get, path = "/v1/channels/{id}/budget", tag = "channels", params(("id" = String, Path)),
    responses((status = 200, body = ChannelBudget), (status = 404, body = ProblemBody))
)]
pub(crate) async fn budget(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ChannelId>,
) -> Result<HttpResponse, Problem> {
    let visible = actor.visibility();
    let view = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move {
                let channel = find(tx, id.0, &visible).await?;
                let (own, shared) =
                    budgets::known(tx, id.0, &channel.platform, &channel.app).await?;
                let window = (channel.platform == "x").then_some(X_WINDOW_SECONDS);
                Ok::<_, Problem>(ChannelBudget::new(own, shared, window))
            })
        })
        .await?;
    Ok(HttpResponse::Ok().json(view))
}

/// What can be sent over a channel.
#[utoipa::path(
    get, path = "/v1/channels/{id}/capabilities", tag = "channels", params(("id" = String, Path)),
    responses((status = 200, body = Capabilities), (status = 404, body = ProblemBody))
)]
pub(crate) async fn capabilities(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ChannelId>,
) -> Result<HttpResponse, Problem> {
    let channel = seen(&app, &actor, id.0).await?;
    Ok(HttpResponse::Ok().json(Capabilities::of(&channel.platform)))
}

/// Changes a channel's name or team. With `If-Match`, only if nothing else has changed since.
#[utoipa::path(
    patch, path = "/v1/channels/{id}", tag = "channels",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "An ETag of the channel")),
    request_body = ChannelPatch,
    responses(
        (status = 200, body = ChannelView), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "version_conflict"),
        (status = 422, body = ProblemBody, description = "unknown_reference")
    )
)]
pub(crate) async fn patch(
    app: web::Data<App>,
    actor: Actor,
    request: HttpRequest,
    id: Id<ChannelId>,
    body: Body<ChannelPatch>,
) -> Result<HttpResponse, Problem> {
    let if_version = if_match(&request)?;
    let mut checks = Checks::default();
    let change = ChannelChange {
        name: body.0.name.map(|name| checks.line("/name", &name, 1, 200)),
        team: body
            .0
            .team_id
            .map(|id| id.and_then(|id| checks.parse::<TeamId>("/team_id", &id))),
    };
    checks.finish()?;
    let (visible, cause, audit) = (actor.visibility(), actor.cause(), app.audit.clone());
    let id = id.0;
    let work = actor.write(&app, move |tx| {
        Box::pin(async move {
            channels::lock(tx, id).await?;
            let before = find(tx, id, &visible).await?;
            expect_version(if_version, before.version)?;
            channels::change(tx, id, &change)
                .await
                .map_err(refused_team)?;
            let after = find(tx, id, &visible).await?;
            if after.version != before.version {
                let facts =
                    |channel: &StoredChannel| json!({ "name": channel.name, "team_id": channel.team });
                let entry = Entry {
                    action: "channel.updated",
                    target_type: "channel",
                    target: Some(id.0),
                    before: Some(facts(&before)),
                    after: Some(facts(&after)),
                };
                audit.record(tx, &cause, entry).await?;
            }
            let version = after.version;
            Ok(Answer::ok(&ChannelView::from(after))?.version(version))
        })
    });
    work.await
}

/// A team that isn't the brand's is refused by a foreign key.
pub(super) fn refused_team(error: StoreError) -> Problem {
    if matches!(error, StoreError::Constraint { .. }) {
        Problem::at(Code::UnknownReference, "/team_id", "names an unknown team")
    } else {
        error.into()
    }
}

/// Disconnects an account: its events are no longer taken, its token is forgotten. While clocks run in
/// its conversations this has to be confirmed: it ends them as `channel_disconnected`.
#[utoipa::path(
    delete, path = "/v1/channels/{id}", tag = "channels",
    params(
        ("id" = String, Path),
        ("confirm" = Option<bool>, Query, description = "Although clocks run in its conversations")
    ),
    responses(
        (status = 204), (status = 404, body = ProblemBody),
        (status = 422, body = ProblemBody, description = "confirmation_needed, with running_clocks")
    )
)]
pub(crate) async fn delete(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ChannelId>,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let is_confirmed = query.flag("confirm").unwrap_or(false);
    query.finish()?;
    let channel = seen(&app, &actor, id.0).await?;
    let (cause, audit, before) = (actor.cause(), app.audit.clone(), channel.clone());
    let member = actor.member;
    let work = actor.write(&app, move |tx| {
        Box::pin(async move {
            if before.status == "disconnected" {
                return Ok(Answer::nothing());
            }
            let running = channels::count_running_clocks(tx, before.id).await?;
            if running > 0 && !is_confirmed {
                let detail = format!(
                    "{running} clocks are running in its conversations: repeat with ?confirm=true"
                );
                return Err(Problem::with(Code::ConfirmationNeeded, detail)
                    .extra("running_clocks", json!(running)));
            }
            channels::end_clocks(tx, before.id, member, &cause).await?;
            channels::disconnect(tx, before.id, "disconnected_by_member", &cause).await?;
            let entry = Entry {
                action: "channel.disconnected",
                target_type: "channel",
                target: Some(before.id.0),
                before: Some(json!({ "status": before.status })),
                after: Some(json!({ "status": "disconnected", "running_clocks": running })),
            };
            audit.record(tx, &cause, entry).await?;
            Ok(Answer::nothing())
        })
    });
    let answer = work.await?;
    app.hint_relay();
    if channel.status != "disconnected" && channel.platform == "x" {
        unsubscribe(&app, &actor, &channel).await;
    }
    Ok(answer)
}

/// Stops the flow of an account's events, if our webhook is there at all. If that fails X goes on
/// posting, and the inbox keeps such events as unclaimed.
async fn unsubscribe(app: &App, actor: &Actor, channel: &StoredChannel) {
    let side = match XSide::of(app, actor.brand, &channel.app).await {
        Ok(Some(side)) => side,
        Ok(None) => return,
        Err(problem) => {
            tracing::warn!(channel.id = %channel.id, cause = problem.cause(), "cannot unsubscribe at x");
            return;
        }
    };
    let asking = async {
        let bearer = side.bearer().await?;
        if let Some(webhook) = side.find_webhook(&bearer).await? {
            side.x
                .unsubscribe(&bearer, &webhook.id, &channel.account_id)
                .await?;
        }
        Ok::<_, ApiError>(())
    };
    if let Err(error) = asking.await {
        tracing::warn!(channel.id = %channel.id, error = chain(&error), "cannot unsubscribe at x");
    }
}
