//! `/2/webhooks` and its v1.1 twins.

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::ServiceConfig;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Webhook, prove, refusal, register, replay, unknown};
use crate::call::{Answer, Call, later, now, resource};
use crate::error::ApiError;
use crate::feed::Item;
use crate::ids::{WebhookId, iso};

#[derive(Debug, Deserialize)]
struct CreateWebhook {
    url: String,
}

pub(crate) fn routes(routes: &mut ServiceConfig) {
    routes
        .service(resource("/2/webhooks/replay").route(later(Method::POST, replay::create)))
        .service(
            resource("/2/webhooks")
                .route(later(Method::POST, create))
                .route(now(Method::GET, list)),
        )
        .service(
            resource("/2/webhooks/{id}")
                .route(later(Method::PUT, validate))
                .route(now(Method::DELETE, delete)),
        )
        .service(
            resource("/1.1/account_activity/webhooks.json")
                .route(later(Method::POST, v1_create))
                .route(now(Method::GET, v1_list)),
        )
        .service(
            resource("/1.1/account_activity/webhooks/{id}.json")
                .route(later(Method::PUT, v1_validate))
                .route(now(Method::DELETE, v1_delete)),
        );
}

fn v2(webhook: &Webhook) -> Value {
    json!({
        "id": webhook.id, "url": webhook.url, "valid": webhook.valid,
        "created_at": iso(webhook.created_ms),
    })
}

/// v1.1 writes the instant as `YYYY-MM-DD HH:MM:SS +0000`.
fn v1(webhook: &Webhook) -> Value {
    let at = iso(webhook.created_ms).replace('T', " ");
    let at = at.split('.').next().unwrap_or_default();
    json!({
        "id": webhook.id, "url": webhook.url, "valid": webhook.valid,
        "created_timestamp": format!("{at} +0000"),
    })
}

async fn create(call: Call) -> Answer {
    call.caller()?; // the app's bearer token, or a user's token of the app
    let body: CreateWebhook = call.json()?;
    let webhook = register(&call.sim, &body.url).await?;
    Ok(HttpResponse::Ok().json(json!({ "data": v2(&webhook) })))
}

fn list(call: &Call) -> Answer {
    call.app()?;
    let world = call.sim.read();
    let data: Vec<_> = world.webhooks.values().map(v2).collect();
    let meta = json!({ "result_count": data.len() });
    Ok(HttpResponse::Ok().json(json!({ "data": data, "meta": meta })))
}

async fn validate(call: Call) -> Answer {
    call.caller()?;
    if prove(&call.sim, call.path("id")?).await? {
        Ok(HttpResponse::Ok().json(json!({ "data": { "valid": true } })))
    } else {
        Err(crc_failed(&call)?)
    }
}

fn delete(call: &Call) -> Answer {
    call.caller()?;
    remove(call)?;
    Ok(HttpResponse::Ok().json(json!({ "data": { "deleted": true } })))
}

async fn v1_create(call: Call) -> Answer {
    call.user()?;
    let missing = || ApiError::invalid(38, "url parameter is missing.");
    let url = call.field("url").ok_or_else(missing)?;
    let webhook = register(&call.sim, &url).await?;
    Ok(HttpResponse::Ok().json(v1(&webhook)))
}

fn v1_list(call: &Call) -> Answer {
    call.caller()?;
    let world = call.sim.read();
    Ok(HttpResponse::Ok().json(world.webhooks.values().map(v1).collect::<Vec<_>>()))
}

async fn v1_validate(call: Call) -> Answer {
    call.user()?;
    if prove(&call.sim, call.path("id")?).await? {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(crc_failed(&call)?)
    }
}

fn v1_delete(call: &Call) -> Answer {
    call.user()?;
    remove(call)?;
    Ok(HttpResponse::NoContent().finish())
}

/// A webhook goes with all its subscriptions.
fn remove(call: &Call) -> Result<(), ApiError> {
    let id: WebhookId = call.path("id")?;
    call.sim.change(|world| {
        world.webhooks.remove(&id).ok_or_else(unknown)?;
        world.account_activity.retain(|(webhook, _)| *webhook != id);
        world
            .activity
            .retain(|_, subscription| subscription.webhook_id != Some(id));
        Ok(())
    })?;
    call.sim.feed.publish(Item::Overview);
    Ok(())
}

/// Why the last challenge failed.
fn crc_failed(call: &Call) -> Result<ApiError, ApiError> {
    let id: WebhookId = call.path("id")?;
    let fault = call
        .sim
        .read()
        .webhooks
        .get(&id)
        .and_then(|webhook| webhook.fault.clone());
    Ok(refusal("CrcValidationFailed", &fault.unwrap_or_default()))
}
