//! Accounts and their tokens.

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::ServiceConfig;
use serde::Deserialize;
use serde_json::json;

use super::who;
use crate::accounts::{Account, AccountSpec, Inbox, Standing, is_handle};
use crate::call::{Answer, Call, now, resource};
use crate::delivery::{self, Job};
use crate::error::ApiError;
use crate::feed::Item;
use crate::ids::{AccountId, iso, now_ms};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateAccount {
    #[serde(default)]
    id: Option<AccountId>,
    handle: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    brand: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountPatch {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    inbox: Option<Inbox>,
    #[serde(default)]
    standing: Option<Standing>,
    #[serde(default)]
    follows: Option<BTreeSet<AccountId>>,
    #[serde(default)]
    blocks: Option<BTreeSet<AccountId>>,
}

pub(super) fn routes(routes: &mut ServiceConfig) {
    routes
        .service(
            resource("/sim/accounts")
                .route(now(Method::GET, list))
                .route(now(Method::POST, create)),
        )
        .service(resource("/sim/accounts/{who}").route(now(Method::PATCH, patch)))
        .service(resource("/sim/accounts/{who}/tokens").route(now(Method::POST, tokens)))
        .service(resource("/sim/accounts/{who}/revoke").route(now(Method::POST, revoke)));
}

/// All accounts; `?brand=true` or `?brand=false` for one kind.
fn list(call: &Call) -> Answer {
    let brand: Option<bool> = call.query_as("brand")?;
    let world = call.sim.read();
    let wanted = world
        .accounts
        .all()
        .filter(|account| brand.is_none_or(|b| b == account.brand));
    Ok(HttpResponse::Ok().json(json!({ "accounts": wanted.collect::<Vec<_>>() })))
}

/// Creates an account. The same handle again gives the account that there is.
fn create(call: &Call) -> Answer {
    let body: CreateAccount = call.json()?;
    if !is_handle(&body.handle) {
        return Err(ApiError::invalid_request(
            "handle: 1 to 15 letters, digits or `_`",
        ));
    }
    let account = call.sim.change(|world| {
        if let Some(account) = world.accounts.by_handle(&body.handle) {
            return if body.id.is_none_or(|id| id == account.id) {
                Ok(account.clone())
            } else {
                Err(ApiError::conflict(44, "another account has that handle"))
            };
        }
        if body.id.is_some_and(|id| world.accounts.get(id).is_some()) {
            return Err(ApiError::conflict(44, "another account has that id"));
        }
        let now_ms = now_ms();
        let id = body.id.unwrap_or_else(|| AccountId(world.ids.next(now_ms)));
        let name = body.name.unwrap_or_else(|| body.handle.clone());
        let account = Account::new(
            AccountSpec {
                id,
                handle: body.handle,
                name,
            },
            body.brand,
            now_ms,
        );
        world.accounts.insert(account.clone());
        Ok(account)
    })?;
    Ok(HttpResponse::Ok().json(account))
}

fn account_of(call: &Call) -> Result<AccountId, ApiError> {
    who(call, &call.path::<String>("who")?)
}

/// Opens or closes DMs, blocks, suspends and so on.
fn patch(call: &Call) -> Answer {
    let id = account_of(call)?;
    let body: AccountPatch = call.json()?;
    call.sim.change(|world| {
        let account = world
            .accounts
            .get_mut(id)
            .ok_or_else(ApiError::no_such_route)?;
        account.name = body.name.unwrap_or_else(|| account.name.clone());
        account.inbox = body.inbox.unwrap_or(account.inbox);
        account.standing = body.standing.unwrap_or(account.standing);
        account.follows = body.follows.unwrap_or_else(|| account.follows.clone());
        account.blocks = body.blocks.unwrap_or_else(|| account.blocks.clone());
        Ok(HttpResponse::Ok().json(account))
    })
}

/// What the three legs would end in, without them.
fn tokens(call: &Call) -> Answer {
    let id = account_of(call)?;
    let (key, secret, oauth2) = call.sim.change(|world| {
        let (key, secret) = world.tokens.issue_oauth1(id);
        (key, secret, world.tokens.issue_oauth2(id))
    });
    Ok(HttpResponse::Ok().json(json!({
        "account_id": id,
        "oauth_token": key,
        "oauth_token_secret": secret,
        "oauth2_access_token": oauth2,
    })))
}

/// The account takes the app's access back: its tokens die, its subscriptions go, and webhooks
/// that had one hear of it.
fn revoke(call: &Call) -> Answer {
    let id = account_of(call)?;
    let (tokens, jobs) = call.sim.change(|world| {
        let by_account: Vec<_> = world
            .account_activity
            .iter()
            .filter(|(_, user)| *user == id)
            .map(|(w, _)| *w)
            .collect();
        let own = world
            .activity
            .values()
            .filter(|s| s.filter.user_id == Some(id));
        let by_type: BTreeSet<_> = own.filter_map(|s| s.webhook_id).collect();
        world.account_activity.retain(|(_, user)| *user != id);
        world.activity.retain(|_, s| s.filter.user_id != Some(id));

        let app_id = &call.sim.config.app_id;
        let at = iso(now_ms()).replace('Z', "+00:00");
        let event = json!({ "user_event": { "revoke": {
            "date_time": at, "target": { "app_id": app_id }, "source": { "user_id": id },
        } } });
        let aaa = delivery::body::escaped(&event, call.sim.config.escape);
        let payload = json!({ "date_time": at, "user_id": id, "app_id": app_id });
        let xaa = delivery::body::activity_envelope("oauth.revoke", &json!({}), None, payload);
        let aaa = by_account
            .into_iter()
            .map(|w| Job::plain(w, "user_event", aaa.clone()));
        let xaa = by_type
            .into_iter()
            .map(|w| Job::plain(w, "oauth.revoke", xaa.clone()));
        (world.tokens.revoke(id), aaa.chain(xaa).collect::<Vec<_>>())
    });
    for job in jobs {
        delivery::enqueue(&call.sim, job);
    }
    call.sim.feed.publish(Item::Overview);
    Ok(HttpResponse::Ok().json(json!({ "tokens_revoked": tokens })))
}
