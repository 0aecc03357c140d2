//! Looking on: deliveries, sends, the overview, and the live stream of the pages.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::{Bytes, ServiceConfig};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::who;
use crate::call::{Answer, Call, now, resource};
use crate::delivery::log::{Delivery, State};
use crate::error::ApiError;
use crate::feed::Item;
use crate::ids::{AccountId, DmId};
use crate::state::World;

pub(super) fn routes(routes: &mut ServiceConfig) {
    routes
        .service(resource("/sim/deliveries").route(now(Method::GET, deliveries)))
        .service(resource("/sim/sends").route(now(Method::GET, sends)))
        .service(resource("/sim/overview").route(now(Method::GET, overview)))
        .service(resource("/sim/partners").route(now(Method::GET, partners)))
        .service(resource("/sim/stream").route(now(Method::GET, live)));
}

/// Newest first; `state`, `dm_event_id` and `limit` (100) narrow.
fn deliveries(call: &Call) -> Answer {
    let limit: usize = call.query_as("limit")?.unwrap_or(100);
    let dm: Option<DmId> = call.query_as("dm_event_id")?;
    let state = call.query("state");
    let world = call.sim.read();
    let wanted = world.log.newest_first().filter(|delivery| {
        let fits = |name: &String| json!(delivery.state) == Value::String(name.clone());
        dm.is_none_or(|dm| delivery.dm_event_id == Some(dm)) && state.as_ref().is_none_or(fits)
    });
    let shown: Vec<_> = wanted.take(limit).collect();
    Ok(HttpResponse::Ok().json(json!({ "deliveries": shown, "counts": counts(&world) })))
}

fn counts(world: &World) -> BTreeMap<State, usize> {
    let mut counts = BTreeMap::new();
    for delivery in world.log.newest_first() {
        *counts.entry(delivery.state).or_default() += 1;
    }
    counts
}

/// Every call to a send endpoint, oldest first; `sender` and `limit` (the latest) narrow.
fn sends(call: &Call) -> Answer {
    let sender = call
        .query("sender")
        .map(|text| who(call, &text))
        .transpose()?;
    let limit: usize = call.query_as("limit")?.unwrap_or(100_000);
    let world = call.sim.read();
    let wanted = world
        .sends
        .iter()
        .rev()
        .filter(|send| sender.is_none_or(|id| send.sender == id));
    let mut sends: Vec<_> = wanted.take(limit).collect();
    sends.reverse();
    Ok(HttpResponse::Ok().json(json!({ "sends": sends })))
}

/// All that the overview page shows.
fn overview(call: &Call) -> Answer {
    let world = call.sim.read();
    let latest: Vec<_> = world.log.newest_first().take(60).collect();
    let mut latencies: Vec<_> = world
        .log
        .newest_first()
        .take(1_000)
        .filter_map(|delivery: &Delivery| delivery.attempts.last())
        .map(|attempt| attempt.latency_ms)
        .collect();
    latencies.sort_unstable();
    let at = |percent: usize| latencies.get(latencies.len().saturating_sub(1) * percent / 100);
    let webhooks = world.webhooks.values().map(|webhook| {
        let accounts = world
            .account_activity
            .iter()
            .filter(|(id, _)| *id == webhook.id);
        let types = world
            .activity
            .values()
            .filter(|s| s.webhook_id == Some(webhook.id));
        json!({
            "id": webhook.id, "url": webhook.url, "valid": webhook.valid, "fault": webhook.fault,
            "proven_ms": webhook.proven_ms,
            "accounts": accounts.map(|(_, id)| handle(&world, *id)).collect::<Vec<_>>(),
            "types": types.map(|s| s.event_type.as_str()).collect::<Vec<_>>(),
        })
    });
    Ok(HttpResponse::Ok().json(json!({
        "webhooks": webhooks.collect::<Vec<_>>(),
        "counts": counts(&world),
        "latency_ms": { "p50": at(50), "p99": at(99) },
        "deliveries": latest,
        "faults": world.faults.rules().collect::<Vec<_>>(),
        "limits": world.limits.mode,
        "dms": world.dms.len(),
        "sends": world.sends.len(),
    })))
}

fn handle(world: &World, id: AccountId) -> String {
    world
        .accounts
        .get(id)
        .map_or_else(|| id.to_string(), |account| account.handle.clone())
}

/// Whom an account talks with, the latest first.
fn partners(call: &Call) -> Answer {
    let missing = || ApiError::invalid_request("`account` is missing");
    let account = who(call, &call.query("account").ok_or_else(missing)?)?;
    let world = call.sim.read();
    let partners = world.dms.partners(account);
    let accounts: Vec<_> = partners
        .iter()
        .filter_map(|id| world.accounts.get(*id))
        .collect();
    Ok(HttpResponse::Ok().json(json!({ "partners": accounts })))
}

/// Server-sent events: of one account (`?account=`), or `overview` changes without one. A reader
/// that fell behind is told to reload.
fn live(call: &Call) -> Answer {
    let account = call
        .query("account")
        .map(|text| who(call, &text))
        .transpose()?;
    let items = call.sim.feed.subscribe();
    let closing = call.sim.closing.clone();
    let opening = Some(Bytes::from_static(b": hello\n\n"));
    let lines = stream::unfold(
        (items, closing, opening),
        move |(mut items, mut closing, opening)| async move {
            if let Some(hello) = opening {
                return Some((Ok::<_, actix_web::Error>(hello), (items, closing, None)));
            }
            let line = loop {
                let item = tokio::select! {
                    _ = closing.wait_for(|closing| *closing) => return None,
                    item = items.recv() => item,
                };
                let wanted = |item: &Item| match account {
                    Some(account) => item.concerns(account),
                    None => matches!(item, Item::Overview),
                };
                match item {
                    Ok(item) if wanted(&item) => break format!("data: {}\n\n", item.to_json()),
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => {
                        break "data: {\"type\":\"reload\"}\n\n".to_owned();
                    }
                    Err(RecvError::Closed) => return None,
                }
            };
            Some((Ok(Bytes::from(line)), (items, closing, None)))
        },
    );
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("cache-control", "no-store"))
        .streaming(lines))
}
