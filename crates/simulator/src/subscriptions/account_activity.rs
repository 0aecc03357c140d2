//! `/2/account_activity/…` and its v1.1 twins.

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::ServiceConfig;
use serde_json::json;

use crate::call::{Answer, Call, now, resource};
use crate::error::ApiError;
use crate::feed::Item;
use crate::ids::{AccountId, WebhookId};
use crate::webhooks::{refusal, unknown};

/// Subscriptions of the enterprise tier, as told by the count.
const PROVISIONED: usize = 5_000;

pub(crate) fn routes(routes: &mut ServiceConfig) {
    const V2: &str = "/2/account_activity/webhooks/{webhook_id}/subscriptions";
    const V1: &str = "/1.1/account_activity/webhooks/{webhook_id}/subscriptions";
    routes
        .service(
            resource(format!("{V2}/all"))
                .route(now(Method::POST, subscribe))
                .route(now(Method::GET, is_subscribed)),
        )
        .service(resource(format!("{V2}/all/list")).route(now(Method::GET, list)))
        .service(resource(format!("{V2}/{{user_id}}/all")).route(now(Method::DELETE, unsubscribe)))
        .service(resource("/2/account_activity/subscriptions/count").route(now(Method::GET, count)))
        .service(
            resource(format!("{V1}/all.json"))
                .route(now(Method::POST, v1_subscribe))
                .route(now(Method::GET, v1_is_subscribed)),
        )
        .service(resource(format!("{V1}/all/list.json")).route(now(Method::GET, v1_list)))
        .service(
            resource(format!("{V1}/{{user_id}}/all.json"))
                .route(now(Method::DELETE, v1_unsubscribe)),
        )
        .service(
            resource("/1.1/account_activity/subscriptions/count.json")
                .route(now(Method::GET, v1_count)),
        );
}

/// The webhook of the path, which must exist.
fn webhook(call: &Call) -> Result<WebhookId, ApiError> {
    let id = call.path("webhook_id").map_err(|_| unknown())?;
    if call.sim.read().webhooks.contains_key(&id) {
        Ok(id)
    } else {
        Err(unknown())
    }
}

fn add(call: &Call) -> Result<(), ApiError> {
    let user = call.user()?;
    let webhook = webhook(call)?;
    let fresh = call
        .sim
        .change(|world| world.account_activity.insert((webhook, user)));
    call.sim.feed.publish(Item::Overview);
    if fresh {
        Ok(())
    } else {
        Err(ApiError::conflict(
            355,
            "DuplicateSubscriptionFailed: the subscription exists already",
        ))
    }
}

fn remove(call: &Call) -> Result<(), ApiError> {
    call.app()?;
    let webhook = webhook(call)?;
    let user: AccountId = call.path("user_id")?;
    let existed = call
        .sim
        .change(|world| world.account_activity.remove(&(webhook, user)));
    call.sim.feed.publish(Item::Overview);
    if existed {
        Ok(())
    } else {
        Err(no_subscription())
    }
}

fn no_subscription() -> ApiError {
    refusal(
        "SubscriptionNotFound",
        "the account has no subscription on this webhook",
    )
}

fn has(call: &Call) -> Result<bool, ApiError> {
    let user = call.user()?;
    let webhook = webhook(call)?;
    Ok(call.sim.read().account_activity.contains(&(webhook, user)))
}

fn subscribe(call: &Call) -> Answer {
    add(call)?;
    Ok(HttpResponse::Ok().json(json!({ "data": { "subscribed": true } })))
}

fn is_subscribed(call: &Call) -> Answer {
    if has(call)? {
        Ok(HttpResponse::Ok().json(json!({ "data": { "subscribed": true } })))
    } else {
        Err(no_subscription())
    }
}

fn unsubscribe(call: &Call) -> Answer {
    remove(call)?;
    Ok(HttpResponse::Ok().json(json!({ "data": { "subscribed": false } })))
}

fn list(call: &Call) -> Answer {
    call.app()?;
    Ok(HttpResponse::Ok().json(json!({ "data": listed(call)? })))
}

fn listed(call: &Call) -> Result<serde_json::Value, ApiError> {
    let id = webhook(call)?;
    let world = call.sim.read();
    let url = world.webhooks.get(&id).map(|webhook| webhook.url.clone());
    let users = world
        .account_activity
        .iter()
        .filter(|(webhook, _)| *webhook == id);
    let users: Vec<_> = users.map(|(_, user)| json!({ "user_id": user })).collect();
    Ok(json!({
        "application_id": call.sim.config.app_id,
        "webhook_id": id,
        "webhook_url": url,
        "subscriptions": users,
    }))
}

/// Numbers travel as strings here, as on the platform.
fn counted(call: &Call) -> serde_json::Value {
    json!({
        "account_name": call.sim.config.app_name,
        "subscriptions_count_all": call.sim.read().account_activity.len().to_string(),
        "subscriptions_count_direct_messages": "0",
        "provisioned_count": PROVISIONED.to_string(),
    })
}

fn count(call: &Call) -> Answer {
    call.app()?;
    Ok(HttpResponse::Ok().json(json!({ "data": counted(call) })))
}

fn v1_subscribe(call: &Call) -> Answer {
    add(call)?;
    Ok(HttpResponse::NoContent().finish())
}

fn v1_is_subscribed(call: &Call) -> Answer {
    if has(call)? {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(ApiError::not_found(34, "Sorry, that page does not exist."))
    }
}

fn v1_unsubscribe(call: &Call) -> Answer {
    remove(call)?;
    Ok(HttpResponse::NoContent().finish())
}

fn v1_list(call: &Call) -> Answer {
    call.app()?;
    Ok(HttpResponse::Ok().json(listed(call)?))
}

fn v1_count(call: &Call) -> Answer {
    call.app()?;
    Ok(HttpResponse::Ok().json(counted(call)))
}
