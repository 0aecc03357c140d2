//! Channels.

use actix_web::{HttpResponse, web};
use roost_domain::ids::{ChannelId, TeamId};
use roost_platforms::x::client::{ApiError, XClient};
use roost_store::audit::{self, Auditor};
use roost_store::channels::{self, ChannelChange, StoredChannel};
use roost_store::{BrandTx, StoreError};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::connect::webhook_url;
use crate::app::App;
use crate::auth::{Actor, Answer};
use crate::input::{Body, Checks, Id, Query};
use crate::problem::{Code, Problem, ProblemBody, chain};
use crate::wire::channel::{ChannelHealth, ChannelPatch, ChannelView};
use crate::wire::list::Paged;

/// All channels, oldest first.
#[utoipa::path(
    get, path = "/v1/channels", tag = "channels",
    responses((status = 200, body = Paged<ChannelView>), (status = 401, body = ProblemBody))
)]
pub(crate) async fn list(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
) -> Result<HttpResponse, Problem> {
    query.finish()?;
    let rows = app
        .store
        .brand(actor.brand, |tx| {
            Box::pin(async move { channels::list(tx, None).await })
        })
        .await?;
    Ok(HttpResponse::Ok().json(Paged::whole(
        rows.into_iter().map(ChannelView::from).collect(),
    )))
}

async fn find(tx: &mut BrandTx, id: ChannelId) -> Result<StoredChannel, Problem> {
    channels::find(tx, id).await?.ok_or_else(Problem::not_found)
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
    let channel = app
        .store
        .brand(actor.brand, move |tx| Box::pin(find(tx, id.0)))
        .await?;
    Ok(HttpResponse::Ok().json(ChannelView::from(channel)))
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
    let channel = app
        .store
        .brand(actor.brand, move |tx| Box::pin(find(tx, id.0)))
        .await?;
    Ok(HttpResponse::Ok().json(ChannelHealth::from(channel)))
}

/// What the audit log keeps of a channel. An account may be a person's.
fn facts(audit: &Auditor, channel: &StoredChannel) -> Value {
    json!({
        "platform": channel.platform, "account": audit.digest(&channel.account_id),
        "name": audit.digest(&channel.name), "team_id": channel.team, "status": channel.status,
    })
}

pub(super) fn entry(
    action: &'static str,
    id: ChannelId,
    before: Option<Value>,
    after: Option<Value>,
) -> audit::Entry {
    audit::Entry {
        action,
        target_type: "channel",
        target: Some(id.0),
        before,
        after,
    }
}

/// Changes a channel's name or team.
#[utoipa::path(
    patch, path = "/v1/channels/{id}", tag = "channels", params(("id" = String, Path)), request_body = ChannelPatch,
    responses(
        (status = 200, body = ChannelView), (status = 400, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 422, body = ProblemBody)
    )
)]
pub(crate) async fn patch(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ChannelId>,
    body: Body<ChannelPatch>,
) -> Result<HttpResponse, Problem> {
    let mut checks = Checks::default();
    let change = ChannelChange {
        name: body.0.name.map(|name| checks.line("/name", &name, 1, 200)),
        team: body
            .0
            .team_id
            .map(|id| id.and_then(|id| checks.parse::<TeamId>("/team_id", &id))),
    };
    checks.finish()?;
    let (cause, audit) = (actor.cause(), app.audit.clone());
    let answer = actor.write(&app, move |tx| {
        Box::pin(async move {
            let before = find(tx, id.0).await?;
            match channels::change(tx, id.0, &change).await {
                Ok(true) => {}
                Ok(false) => return Err(Problem::not_found()),
                Err(StoreError::Constraint { .. }) => {
                    return Err(Problem::at(
                        Code::UnknownReference,
                        "/team_id",
                        "names an unknown team",
                    ));
                }
                Err(error) => return Err(error.into()),
            }
            let after = find(tx, id.0).await?;
            let (was, is) = (facts(&audit, &before), facts(&audit, &after));
            let line = entry("channel.changed", id.0, Some(was), Some(is));
            audit.record(tx, &cause, line).await?;
            Answer::ok(&ChannelView::from(after))
        })
    });
    answer.await
}

/// Disconnects an account: its events are no longer taken, its token is forgotten.
#[utoipa::path(
    delete, path = "/v1/channels/{id}", tag = "channels", params(("id" = String, Path)),
    responses((status = 204), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody))
)]
pub(crate) async fn delete(
    app: web::Data<App>,
    actor: Actor,
    id: Id<ChannelId>,
) -> Result<HttpResponse, Problem> {
    let (cause, audit) = (actor.cause(), app.audit.clone());
    let channel = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move {
                let channel = find(tx, id.0).await?;
                channels::disconnect(tx, id.0, "disconnected_by_member", &cause).await?;
                if channel.status != "disconnected" {
                    let facts = facts(&audit, &channel);
                    let line = entry("channel.disconnected", id.0, Some(facts), None);
                    audit.record(tx, &cause, line).await?;
                }
                Ok::<_, Problem>(channel)
            })
        })
        .await?;
    app.hint_relay();
    if channel.status != "disconnected"
        && let Err(error) = unsubscribe(&app, &channel.account_id).await
    {
        // X goes on posting; the ingester keeps such events as unclaimed.
        tracing::warn!(channel.id = %channel.id, error = chain(&error), "cannot unsubscribe at x");
    }
    Ok(HttpResponse::NoContent().finish())
}

/// Stops the flow of an account's events, if our webhook is there at all.
async fn unsubscribe(app: &App, account_id: &str) -> Result<(), ApiError> {
    let bearer = bearer(app, &app.x).await?;
    let url = webhook_url(app);
    for webhook in app.x.list_webhooks(&bearer).await? {
        if webhook.url == url {
            app.x.unsubscribe(&bearer, &webhook.id, account_id).await?;
        }
    }
    Ok(())
}

/// The app's own token: configured, or asked for.
pub(super) async fn bearer(app: &App, x: &XClient) -> Result<secrecy::SecretString, ApiError> {
    if app.config.x.bearer_token.expose_secret().is_empty() {
        x.app_bearer().await
    } else {
        Ok(app.config.x.bearer_token.clone())
    }
}
