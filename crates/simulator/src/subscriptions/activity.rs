//! `/2/activity/subscriptions`.

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::ServiceConfig;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ActivitySubscription, Filter};
use crate::call::{Answer, Call, now, resource};
use crate::error::ApiError;
use crate::feed::Item;
use crate::ids::{SubscriptionId, WebhookId, iso, now_ms};
use crate::oauth::verify::Caller;
use crate::state::World;
use crate::webhooks::{refusal, unknown};

/// Self-serve limit.
const LIMIT: usize = 1_500;

/// Families of event types, and whether they are private: those need the account's own token.
const FAMILIES: [(&str, bool); 12] = [
    ("dm.", true),
    ("chat.", true),
    ("mute.", true),
    ("block.", true),
    ("post.", false),
    ("like.", false),
    ("follow.", false),
    ("profile.update.", false),
    ("spaces.", false),
    ("broadcast.", false),
    ("news.", false),
    ("repost.", false),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateSubscription {
    event_type: String,
    filter: Filter,
    #[serde(default)]
    tag: Option<String>,
    #[serde(default)]
    webhook_id: Option<WebhookId>,
}

/// Only these two can change.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdateSubscription {
    #[serde(default)]
    tag: Option<String>,
    #[serde(default)]
    webhook_id: Option<WebhookId>,
}

pub(crate) fn routes(routes: &mut ServiceConfig) {
    routes
        .service(
            resource("/2/activity/subscriptions")
                .route(now(Method::POST, create))
                .route(now(Method::GET, list))
                .route(now(Method::DELETE, delete_many)),
        )
        .service(
            resource("/2/activity/subscriptions/{id}")
                .route(now(Method::PUT, update))
                .route(now(Method::DELETE, delete)),
        );
}

fn view(subscription: &ActivitySubscription) -> Value {
    let mut view = json!({
        "subscription_id": subscription.id,
        "event_type": subscription.event_type,
        "filter": subscription.filter,
        "created_at": iso(subscription.created_ms),
        "updated_at": iso(subscription.updated_ms),
    });
    if let Some(tag) = &subscription.tag {
        view["tag"] = json!(tag);
    }
    if let Some(webhook) = subscription.webhook_id {
        view["webhook_id"] = json!(webhook);
    }
    view
}

fn check_tag(tag: Option<&String>) -> Result<(), ApiError> {
    if tag.is_none_or(|tag| (1..=200).contains(&tag.chars().count())) {
        Ok(())
    } else {
        Err(ApiError::invalid_request("tag: 1 to 200 characters."))
    }
}

fn check_webhook(world: &World, id: Option<WebhookId>) -> Result<(), ApiError> {
    if id.is_none_or(|id| world.webhooks.contains_key(&id)) {
        Ok(())
    } else {
        Err(unknown())
    }
}

fn create(call: &Call) -> Answer {
    let caller = call.caller()?;
    let body: CreateSubscription = call.json()?;
    check_tag(body.tag.as_ref())?;
    let family = FAMILIES
        .iter()
        .find(|(prefix, _)| body.event_type.starts_with(prefix));
    let (_, private) = family.ok_or_else(|| {
        ApiError::invalid_request(format!("event_type: `{}` is unknown.", body.event_type))
    })?;
    if body.filter.user_id.is_none() && body.filter.keyword.is_none() {
        return Err(ApiError::invalid_request(
            "filter: user_id or keyword is required.",
        ));
    }
    // Private events of an account are for whoever holds that account's token.
    let own = matches!((caller, body.filter.user_id), (Caller::User(id), Some(of)) if id == of);
    if *private && !own {
        return Err(ApiError::forbidden(
            220,
            "Private events need a token of the account they are about.",
        ));
    }
    let created = call.sim.change(|world| {
        check_webhook(world, body.webhook_id)?;
        if world.activity.len() >= LIMIT {
            return Err(refusal(
                "SubscriptionLimitExceeded",
                "the app has all its subscriptions",
            ));
        }
        let twin = world.activity.values().any(|other| {
            other.event_type == body.event_type
                && other.webhook_id == body.webhook_id
                && other.filter.user_id == body.filter.user_id
                && other.filter.keyword == body.filter.keyword
                && other.filter.direction == body.filter.direction
        });
        if twin {
            return Err(ApiError::conflict(
                355,
                "DuplicateSubscriptionFailed: the subscription exists already",
            ));
        }
        let now_ms = now_ms();
        let subscription = ActivitySubscription {
            id: SubscriptionId(world.ids.next(now_ms)),
            event_type: body.event_type,
            filter: body.filter,
            tag: body.tag,
            webhook_id: body.webhook_id,
            created_ms: now_ms,
            updated_ms: now_ms,
        };
        let view = view(&subscription);
        world.activity.insert(subscription.id, subscription);
        Ok(json!({
            "data": { "subscription": view },
            "meta": { "total_subscriptions": world.activity.len() },
        }))
    })?;
    call.sim.feed.publish(Item::Overview);
    Ok(HttpResponse::Ok().json(created))
}

fn list(call: &Call) -> Answer {
    call.caller()?;
    let world = call.sim.read();
    let data: Vec<_> = world.activity.values().map(view).collect();
    let meta = json!({ "total_subscriptions": data.len(), "result_count": data.len() });
    Ok(HttpResponse::Ok().json(json!({ "data": data, "meta": meta })))
}

fn update(call: &Call) -> Answer {
    call.caller()?;
    let id: SubscriptionId = call.path("id")?;
    let body: UpdateSubscription = call.json()?;
    check_tag(body.tag.as_ref())?;
    call.sim.change(|world| {
        check_webhook(world, body.webhook_id)?;
        let subscription = world.activity.get_mut(&id).ok_or_else(no_such)?;
        subscription.tag = body.tag.or_else(|| subscription.tag.take());
        subscription.webhook_id = body.webhook_id.or(subscription.webhook_id);
        subscription.updated_ms = now_ms();
        let view = view(subscription);
        Ok(HttpResponse::Ok().json(json!({
            "data": { "subscription": view },
            "meta": { "total_subscriptions": world.activity.len() },
        })))
    })
}

fn delete(call: &Call) -> Answer {
    call.caller()?;
    let id: SubscriptionId = call.path("id")?;
    call.sim
        .change(|world| world.activity.remove(&id).map(drop).ok_or_else(no_such))?;
    deleted(call)
}

fn delete_many(call: &Call) -> Answer {
    call.caller()?;
    let missing = || ApiError::invalid_request("The `ids` query parameter is missing.");
    let ids = call.query("ids").ok_or_else(missing)?;
    let ids: Result<Vec<SubscriptionId>, _> = ids.split(',').map(|id| id.trim().parse()).collect();
    let ids =
        ids.map_err(|_| ApiError::invalid_request("The `ids` query parameter is not valid."))?;
    call.sim.change(|world| {
        for id in ids {
            world.activity.remove(&id);
        }
    });
    deleted(call)
}

fn deleted(call: &Call) -> Answer {
    call.sim.feed.publish(Item::Overview);
    let total = call.sim.read().activity.len();
    Ok(HttpResponse::Ok().json(json!({
        "data": { "deleted": true },
        "meta": { "total_subscriptions": total },
    })))
}

fn no_such() -> ApiError {
    ApiError::not_found(
        34,
        "SubscriptionNotFound: there is no subscription with that id",
    )
}
