//! Acting as an account: writing, typing, reading.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::ServiceConfig;
use serde::Deserialize;
use serde_json::{Value, json};

use super::who;
use crate::call::{Answer, Call, now, resource};
use crate::delivery::{self, EchoPlan, Envelope, Happening};
use crate::dms::{self, Dm, Draft, InitiatedVia, Pair, QuickReplyAnswer, event};
use crate::error::ApiError;
use crate::feed::Item;
use crate::ids::{AccountId, DmId, MediaId, now_ms};
use crate::state::Sim;

/// Messages of one POST to `/sim/dms/batch` at most.
const BATCH_MAX: usize = 1_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteDm {
    from: String,
    to: String,
    #[serde(default)]
    text: String,
    /// Sends a sample photo along.
    #[serde(default)]
    photo: bool,
    /// Makes the text the answer to a quick reply; the metadata may be null.
    #[serde(default)]
    quick_reply_answer: Option<QuickReplyAnswer>,
    #[serde(default)]
    initiated_via: Option<InitiatedVia>,
    /// The app it seems to come from; absent = one of the platform's own.
    #[serde(default)]
    source_app_id: Option<String>,
    /// Delivers in this envelope whatever the subscriptions are.
    #[serde(default)]
    envelope: Option<Envelope>,
    /// Puts this instant into the id, for late and reordered messages.
    #[serde(default)]
    created_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    dms: Vec<WriteDm>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Act {
    from: String,
    to: String,
    /// For reading: the last message read; absent = the latest.
    #[serde(default)]
    last_read: Option<DmId>,
    #[serde(default)]
    envelope: Option<Envelope>,
}

pub(super) fn routes(routes: &mut ServiceConfig) {
    routes
        .service(
            resource("/sim/dms")
                .route(now(Method::GET, list))
                .route(now(Method::POST, write)),
        )
        .service(resource("/sim/dms/batch").route(now(Method::POST, write_many)))
        .service(resource("/sim/typing").route(now(Method::POST, typing)))
        .service(resource("/sim/read").route(now(Method::POST, read)))
        .service(resource("/sim/chat").route(now(Method::POST, encrypted)));
}

/// Messages between `a` and `b`, oldest first; `after` an id, `limit` of them (the latest).
fn list(call: &Call) -> Answer {
    let named = |name: &str| {
        let missing = || ApiError::invalid_request(format!("`{name}` is missing"));
        call.query(name)
            .ok_or_else(missing)
            .and_then(|text| who(call, &text))
    };
    let (a, b) = (named("a")?, named("b")?);
    let after: Option<DmId> = call.query_as("after")?;
    let limit: usize = call.query_as("limit")?.unwrap_or(1_000);
    let world = call.sim.read();
    let newest = world.dms.newest_first(a, Some(Pair::of(a, b)));
    let newer = newest
        .take_while(|dm| after.is_none_or(|after| dm.id > after))
        .take(limit);
    let mut dms: Vec<_> = newer.map(event::plain).collect();
    dms.reverse();
    Ok(HttpResponse::Ok().json(json!({
        "dms": dms,
        "read_up_to": { "a": world.dms.read_up_to(a, b), "b": world.dms.read_up_to(b, a) },
    })))
}

/// Writes as anyone: as a customer, or as the brand in the platform's own app.
fn write(call: &Call) -> Answer {
    let dm = write_one(call, call.json()?)?;
    Ok(HttpResponse::Created().json(json!({ "dm": dm })))
}

fn write_many(call: &Call) -> Answer {
    let body: Batch = call.json()?;
    if body.dms.len() > BATCH_MAX {
        return Err(ApiError::invalid_request(format!(
            "at most {BATCH_MAX} at once"
        )));
    }
    let ids: Result<Vec<_>, _> = body
        .dms
        .into_iter()
        .map(|dm| write_one(call, dm).map(|dm| dm["id"].clone()))
        .collect();
    Ok(HttpResponse::Created().json(json!({ "ids": ids? })))
}

fn write_one(call: &Call, body: WriteDm) -> Result<Value, ApiError> {
    let (sender, recipient) = (who(call, &body.from)?, who(call, &body.to)?);
    let draft = Draft {
        quick_reply_answer: body.quick_reply_answer,
        initiated_via: body.initiated_via,
        source_app_id: body.source_app_id,
        created_ms: body.created_ms,
        ..Draft::text(sender, recipient, body.text)
    };
    write_as(&call.sim, draft, body.photo, body.envelope).map(|dm| event::plain(&dm))
}

/// Takes a message and tells everyone, with a sample photo if wished.
pub(crate) fn write_as(
    sim: &Sim,
    draft: Draft,
    photo: bool,
    envelope: Option<Envelope>,
) -> Result<Dm, ApiError> {
    let dm = sim.change(|world| {
        let now_ms = now_ms();
        let media_id = photo.then(|| {
            let id = MediaId(world.ids.next(now_ms));
            world.media.add_sample(id, draft.sender);
            id
        });
        dms::accept(world, Draft { media_id, ..draft }, now_ms)
    })?;
    delivery::announce(sim, &dm, envelope, EchoPlan::After(Duration::ZERO));
    Ok(dm)
}

/// Who acts and towards whom.
fn act(call: &Call) -> Result<(AccountId, AccountId, Act), ApiError> {
    let body: Act = call.json()?;
    Ok((who(call, &body.from)?, who(call, &body.to)?, body))
}

fn typing(call: &Call) -> Answer {
    let (from, to, body) = act(call)?;
    let deliveries = type_to(&call.sim, from, to, body.envelope);
    Ok(HttpResponse::Ok().json(json!({ "deliveries": deliveries })))
}

/// `from` types to `to`; what is heard is up to `to`'s subscriptions.
pub(crate) fn type_to(
    sim: &Sim,
    from: AccountId,
    to: AccountId,
    envelope: Option<Envelope>,
) -> usize {
    let element = json!({
        "created_timestamp": now_ms().to_string(),
        "sender_id": from,
        "target": { "recipient_id": to },
    });
    let happening = Happening {
        user: to,
        aaa_key: "direct_message_indicate_typing_events",
        xaa_type: "dm.indicate_typing",
        element,
        participants: [from, to],
        app_id: None,
        dm: None,
    };
    sim.feed.publish(Item::Typing { from, to });
    delivery::tell(sim, &happening, envelope)
}

fn read(call: &Call) -> Answer {
    let (from, to, body) = act(call)?;
    let (deliveries, up_to) =
        read_up_to(&call.sim, from, to, body.last_read, body.envelope).unzip();
    let deliveries = deliveries.unwrap_or(0);
    Ok(HttpResponse::Ok().json(json!({ "deliveries": deliveries, "last_read": up_to })))
}

/// `reader` has read everything that `author` wrote so far.
pub(crate) fn mark_read(sim: &Sim, reader: AccountId, author: AccountId) {
    read_up_to(sim, reader, author, None, None);
}

fn read_up_to(
    sim: &Sim,
    reader: AccountId,
    author: AccountId,
    last_read: Option<DmId>,
    envelope: Option<Envelope>,
) -> Option<(usize, DmId)> {
    let up_to = sim.change(|world| {
        let latest = || {
            let mut shown = world
                .dms
                .newest_first(reader, Some(Pair::of(reader, author)));
            shown.find(|dm| dm.sender == author).map(|dm| dm.id)
        };
        let up_to = last_read.or_else(latest)?;
        world.dms.mark_read(reader, author, up_to);
        Some(up_to)
    })?;
    let element = json!({
        "created_timestamp": now_ms().to_string(),
        "sender_id": reader,
        "target": { "recipient_id": author },
        "last_read_event_id": up_to,
    });
    let happening = Happening {
        user: author,
        aaa_key: "direct_message_mark_read_events",
        xaa_type: "dm.read",
        element,
        participants: [reader, author],
        app_id: None,
        dm: None,
    };
    sim.feed.publish(Item::Read {
        reader,
        author,
        up_to,
    });
    Some((delivery::tell(sim, &happening, envelope), up_to))
}

/// An encrypted chat message from `from` to `to`: ciphertext, and only in the newer envelope.
fn encrypted(call: &Call) -> Answer {
    let (from, to, _) = act(call)?;
    let element = json!({
        "id": uuid::Uuid::new_v4(),
        "conversation_token": crate::random::token(),
        "created_at_msec": now_ms().to_string(),
        "sender_id": from,
        "conversation_id": Pair::of(from, to).to_string().replace('-', ":"),
        "conversation_key_version": now_ms().to_string(),
        "encoded_event": crate::random::token(),
        "conversation_key_change_event": "",
        "message_event_signature": { "signature": crate::random::token(), "version": "1" },
    });
    let happening = Happening {
        user: to,
        aaa_key: "",
        xaa_type: "chat.received",
        element,
        participants: [from, to],
        app_id: None,
        dm: None,
    };
    let deliveries = delivery::tell(&call.sim, &happening, Some(Envelope::Xaa));
    Ok(HttpResponse::Ok().json(json!({ "deliveries": deliveries })))
}
