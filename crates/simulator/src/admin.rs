//! `/sim/…`: the strings behind the stage, for tests, the pages and `cargo xtask dev`. JSON in and
//! out, no sign-in: the simulator listens on loopback.

mod accounts;
mod inject;
pub(crate) mod messages;
mod watch;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::ServiceConfig;
use serde::Deserialize;
use serde_json::json;

use crate::call::{Answer, Call, now, resource};
use crate::error::ApiError;
use crate::faults::Rule;
use crate::feed::Item;
use crate::ids::AccountId;
use crate::limits::{LimitMode, Limits};

pub(crate) fn routes(routes: &mut ServiceConfig) {
    routes
        .service(resource("/sim/health").route(now(Method::GET, health)))
        .service(resource("/sim/app").route(now(Method::GET, app)))
        .service(
            resource("/sim/faults")
                .route(now(Method::GET, list_faults))
                .route(now(Method::POST, add_fault))
                .route(now(Method::PUT, replace_faults))
                .route(now(Method::DELETE, clear_faults)),
        )
        .service(resource("/sim/limits").route(now(Method::PUT, set_limits)))
        .service(resource("/sim/reset").route(now(Method::POST, reset)));
    accounts::routes(routes);
    messages::routes(routes);
    inject::routes(routes);
    watch::routes(routes);
}

/// An account by id, handle or `@handle`.
fn who(call: &Call, text: &str) -> Result<AccountId, ApiError> {
    let world = call.sim.read();
    let account = world.accounts.find(text);
    account
        .map(|account| account.id)
        .ok_or_else(|| ApiError::not_found(50, format!("there is no account `{text}`")))
}

fn health(call: &Call) -> Answer {
    let world = call.sim.read();
    Ok(HttpResponse::Ok().json(json!({ "ok": true, "dms": world.dms.len() })))
}

/// What an operator would copy from the developer portal.
fn app(call: &Call) -> Answer {
    let config = &call.sim.config;
    Ok(HttpResponse::Ok().json(json!({
        "app_id": config.app_id,
        "name": config.app_name,
        "consumer_key": config.consumer_key,
        "consumer_secret": config.consumer_secret,
        "bearer_token": call.sim.read().bearer,
        "url": call.sim.public_url(),
    })))
}

fn faults(call: &Call) -> HttpResponse {
    let world = call.sim.read();
    HttpResponse::Ok().json(json!({ "rules": world.faults.rules().collect::<Vec<_>>() }))
}

fn list_faults(call: &Call) -> Answer {
    Ok(faults(call))
}

/// Adds one rule.
fn add_fault(call: &Call) -> Answer {
    let rule: Rule = call.json()?;
    call.sim.change(|world| world.faults.add(rule));
    call.sim.feed.publish(Item::Overview);
    Ok(faults(call))
}

/// `{"rules": […]}` in place of all there are.
fn replace_faults(call: &Call) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rules {
        rules: Vec<Rule>,
    }
    let body: Rules = call.json()?;
    call.sim.change(|world| {
        world.faults.clear();
        for rule in body.rules {
            world.faults.add(rule);
        }
    });
    call.sim.feed.publish(Item::Overview);
    Ok(faults(call))
}

fn clear_faults(call: &Call) -> Answer {
    call.sim.change(|world| world.faults.clear());
    call.sim.feed.publish(Item::Overview);
    Ok(faults(call))
}

/// `{"mode": "published"|"dev"|"off"}`; all windows start anew.
fn set_limits(call: &Call) -> Answer {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct SetLimits {
        mode: LimitMode,
    }
    let body: SetLimits = call.json()?;
    call.sim
        .change(|world| world.limits = Limits::new(body.mode));
    Ok(HttpResponse::Ok().json(json!({ "mode": body.mode })))
}

fn reset(call: &Call) -> Answer {
    call.sim.reset();
    call.sim.feed.publish(Item::Overview);
    Ok(HttpResponse::Ok().json(json!({ "reset": true })))
}
