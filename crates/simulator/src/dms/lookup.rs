//! Reading messages: v2 `dm_events` and v1.1 `events/list` and `events/show`.

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::ServiceConfig;
use serde_json::{Map, Value, json};

use super::{Dm, Pair, event};
use crate::call::{Answer, Call, now, resource};
use crate::error::ApiError;
use crate::ids::{AccountId, DmId};
use crate::limits::Family;
use crate::state::World;

const PAGE_MAX: usize = 100;

pub(crate) fn routes(routes: &mut ServiceConfig) {
    routes
        .service(resource("/2/dm_events").route(now(Method::GET, all)))
        .service(
            resource("/2/dm_events/{id}")
                .route(now(Method::GET, one))
                .route(now(Method::DELETE, delete)),
        )
        .service(
            resource("/2/dm_conversations/with/{participant_id}/dm_events")
                .route(now(Method::GET, with_participant)),
        )
        .service(
            resource("/2/dm_conversations/{id}/dm_events").route(now(Method::GET, conversation)),
        )
        .service(resource("/1.1/direct_messages/events/list.json").route(now(Method::GET, v1_list)))
        .service(
            resource("/1.1/direct_messages/events/show.json").route(now(Method::GET, v1_show)),
        );
}

/// The caller, once its budget for look-ups and the faults let it through.
fn reader(call: &Call) -> Result<AccountId, ApiError> {
    let account = call.user()?;
    call.spend(Family::Lookup, account)?;
    call.sim
        .change(|world| world.faults.lookup(account))
        .map_or(Ok(account), Err)
}

fn all(call: &Call) -> Answer {
    let viewer = reader(call)?;
    page(call, viewer, None)
}

fn with_participant(call: &Call) -> Answer {
    let viewer = reader(call)?;
    page(
        call,
        viewer,
        Some(Pair::of(viewer, call.path("participant_id")?)),
    )
}

fn conversation(call: &Call) -> Answer {
    let viewer = reader(call)?;
    let id: String = call.path("id")?;
    let pair = Pair::parse(&id).filter(|pair| pair.contains(viewer));
    let missing = || ApiError::not_found(34, format!("Could not find conversation [{id}]."));
    page(call, viewer, Some(pair.ok_or_else(missing)?))
}

fn page(call: &Call, viewer: AccountId, pair: Option<Pair>) -> Answer {
    let max: usize = call.query_as("max_results")?.unwrap_or(PAGE_MAX);
    if !(1..=PAGE_MAX).contains(&max) {
        return Err(ApiError::invalid_request(
            "The `max_results` query parameter is not between 1 and 100.",
        ));
    }
    // Pages go down from the last id shown, so a message that comes meanwhile shifts nothing.
    let below: Option<DmId> = call.query_as("pagination_token")?;
    let types = call
        .query("event_types")
        .unwrap_or_else(|| "MessageCreate".to_owned());
    let wanted = types.split(',').any(|kind| kind.trim() == "MessageCreate");
    let fields = call.query("dm_event.fields").unwrap_or_default();

    let world = call.sim.read();
    let older = world.dms.newest_first(viewer, pair);
    let mut older = older
        .filter(|dm| wanted && below.is_none_or(|below| dm.id < below))
        .peekable();
    let shown: Vec<&Dm> = older.by_ref().take(max).collect();

    let mut body = Map::new();
    let events: Vec<_> = shown
        .iter()
        .map(|dm| event::v2(&world, dm, &fields))
        .collect();
    let mut meta = json!({ "result_count": events.len() });
    if older.peek().is_some()
        && let Some(last) = shown.last()
    {
        meta["next_token"] = json!(last.id);
    }
    if !events.is_empty() {
        body.insert("data".into(), Value::Array(events));
    }
    if let Some(includes) = includes(call, &world, &shown) {
        body.insert("includes".into(), includes);
    }
    body.insert("meta".into(), meta);
    Ok(HttpResponse::Ok().json(body))
}

fn includes(call: &Call, world: &World, shown: &[&Dm]) -> Option<Value> {
    let asked = call.query("expansions")?;
    let asked: Vec<_> = asked.split(',').map(str::trim).collect();
    let mut includes = Map::new();
    if asked.contains(&"sender_id") {
        let fields = call.query("user.fields").unwrap_or_default();
        let senders: BTreeSet<_> = shown.iter().map(|dm| dm.sender).collect();
        let users = senders.into_iter().filter_map(|id| world.accounts.get(id));
        includes.insert(
            "users".into(),
            users.map(|user| user.v2_fields(&fields)).collect(),
        );
    }
    if asked.contains(&"attachments.media_keys") {
        let photos = shown.iter().filter_map(|dm| dm.photo.as_ref());
        let media = photos
            .map(|photo| json!({ "media_key": format!("3_{}", photo.media_id), "type": "photo" }));
        let media: Vec<_> = media.collect();
        if !media.is_empty() {
            includes.insert("media".into(), Value::Array(media));
        }
    }
    (!includes.is_empty()).then_some(Value::Object(includes))
}

fn one(call: &Call) -> Answer {
    let viewer = reader(call)?;
    let id: DmId = call.path("id")?;
    let fields = call.query("dm_event.fields").unwrap_or_default();
    let world = call.sim.read();
    let dm = world.dms.get(id, viewer).ok_or_else(|| missing(id))?;
    let mut body = json!({ "data": event::v2(&world, dm, &fields) });
    if let Some(includes) = includes(call, &world, &[dm]) {
        body["includes"] = includes;
    }
    Ok(HttpResponse::Ok().json(body))
}

/// Deletes for the caller only; the other side keeps the message and no event is sent.
fn delete(call: &Call) -> Answer {
    let viewer = call.user()?;
    call.spend(Family::Other, viewer)?;
    let id: DmId = call.path("id")?;
    call.sim.change(|world| {
        let dm = world.dms.get_mut(id, viewer).ok_or_else(|| missing(id))?;
        dm.deleted_for.insert(viewer);
        Ok(HttpResponse::Ok().json(json!({ "data": { "deleted": true } })))
    })
}

fn missing(id: DmId) -> ApiError {
    ApiError::not_found(
        34,
        format!("Could not find direct message event with id: [{id}]."),
    )
}

fn v1_list(call: &Call) -> Answer {
    let viewer = reader(call)?;
    let count: usize = call.query_as("count")?.unwrap_or(20).clamp(1, 50);
    let below: Option<DmId> = call.query_as("cursor")?;
    let world = call.sim.read();
    let older = world.dms.newest_first(viewer, None);
    let mut older = older
        .filter(|dm| below.is_none_or(|below| dm.id < below))
        .peekable();
    let shown: Vec<&Dm> = older.by_ref().take(count).collect();

    let media_base = call.sim.public_url();
    let events = shown
        .iter()
        .map(|dm| event::v1(&world, &media_base, dm, dm.sender == viewer));
    let mut body = json!({ "events": events.collect::<Vec<_>>() });
    if let Some(apps) = apps(call, &shown, viewer) {
        body["apps"] = apps;
    }
    if older.peek().is_some()
        && let Some(last) = shown.last()
    {
        body["next_cursor"] = json!(last.id);
    }
    Ok(HttpResponse::Ok().json(body))
}

fn v1_show(call: &Call) -> Answer {
    let viewer = reader(call)?;
    let bad = || ApiError::invalid(38, "id parameter is missing.");
    let id: DmId = call.query_as("id")?.ok_or_else(bad)?;
    let world = call.sim.read();
    let dm = world.dms.get(id, viewer).ok_or_else(|| missing(id))?;
    let media_base = call.sim.public_url();
    let mut body = json!({ "event": event::v1(&world, &media_base, dm, dm.sender == viewer) });
    if let Some(apps) = apps(call, &[dm], viewer) {
        body["apps"] = apps;
    }
    Ok(HttpResponse::Ok().json(body))
}

/// Apps are shown for the caller's own messages only.
fn apps(call: &Call, shown: &[&Dm], viewer: AccountId) -> Option<Value> {
    let own = shown.iter().filter(|dm| dm.sender == viewer);
    let ids: BTreeSet<_> = own.filter_map(|dm| dm.source_app_id.clone()).collect();
    (!ids.is_empty()).then(|| call.sim.config.apps_map(ids))
}
