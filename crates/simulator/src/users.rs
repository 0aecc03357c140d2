//! Who an account is: v2 users and v1.1 `verify_credentials`.

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::ServiceConfig;
use serde_json::json;

use crate::accounts::Account;
use crate::call::{Answer, Call, now, resource};
use crate::error::ApiError;
use crate::ids::AccountId;
use crate::limits::Family;

pub(crate) fn routes(routes: &mut ServiceConfig) {
    routes
        .service(resource("/2/users/me").route(now(Method::GET, me)))
        .service(resource("/2/users/by/username/{handle}").route(now(Method::GET, by_handle)))
        .service(resource("/2/users/{id}").route(now(Method::GET, by_id)))
        .service(
            resource("/1.1/account/verify_credentials.json").route(now(Method::GET, credentials)),
        );
}

fn view(call: &Call, account: &Account) -> HttpResponse {
    let fields = call.query("user.fields").unwrap_or_default();
    HttpResponse::Ok().json(json!({ "data": account.v2_fields(&fields) }))
}

fn me(call: &Call) -> Answer {
    let id = call.user()?;
    call.spend(Family::Other, id)?;
    let world = call.sim.read();
    world
        .accounts
        .get(id)
        .map(|account| view(call, account))
        .ok_or_else(ApiError::dead_token)
}

fn by_id(call: &Call) -> Answer {
    call.caller()?;
    let id: AccountId = call.path("id")?;
    let world = call.sim.read();
    let missing = || ApiError::not_found(50, format!("Could not find user with id: [{id}]."));
    world
        .accounts
        .get(id)
        .map(|account| view(call, account))
        .ok_or_else(missing)
}

fn by_handle(call: &Call) -> Answer {
    call.caller()?;
    let handle: String = call.path("handle")?;
    let world = call.sim.read();
    let missing = || {
        ApiError::not_found(
            50,
            format!("Could not find user with username: [{handle}]."),
        )
    };
    world
        .accounts
        .by_handle(&handle)
        .map(|account| view(call, account))
        .ok_or_else(missing)
}

/// v1.1 carries the id as a number too, which JavaScript rounds.
fn credentials(call: &Call) -> Answer {
    let id = call.user()?;
    call.spend(Family::Other, id)?;
    let world = call.sim.read();
    let account = world.accounts.get(id).ok_or_else(ApiError::dead_token)?;
    let mut user = account.v1();
    user["id"] = json!(id.0);
    user["id_str"] = json!(id);
    Ok(HttpResponse::Ok().json(user))
}
