//! Photos: the sample that customers send, uploads of brands, and reading them back.
//!
//! An upload keeps only what a DM needs: whose it is and its bytes.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::ServiceConfig;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::call::{Answer, Call, now, resource};
use crate::error::ApiError;
use crate::ids::{AccountId, DmId, MediaId, now_ms};
use crate::limits::Family;
use crate::png;

/// Uploads can be used for a day.
const LIFE_S: u64 = 24 * 60 * 60;
/// Largest photo, in bytes.
const MAX_BYTES: usize = 5 * 1_024 * 1_024;

#[derive(Debug, Serialize, Deserialize)]
struct Media {
    owner: AccountId,
    #[serde(default)]
    content_type: String,
    /// Base64 in the state file; empty = the sample picture of this id.
    #[serde(default)]
    base64: String,
    ready: bool,
    made_ms: u64,
}

/// All media.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct MediaStore(BTreeMap<MediaId, Media>);

impl MediaStore {
    /// A sample photo of the account.
    pub(crate) fn add_sample(&mut self, id: MediaId, owner: AccountId) {
        let content_type = "image/png".to_owned();
        let base64 = String::new();
        self.0.insert(
            id,
            Media {
                owner,
                content_type,
                base64,
                ready: true,
                made_ms: now_ms(),
            },
        );
    }

    /// Whether the account may send it now.
    pub(crate) fn is_usable_by(&self, id: MediaId, account: AccountId) -> bool {
        self.0.get(&id).is_some_and(|media| {
            let young = media.made_ms + LIFE_S * 1_000 > now_ms();
            media.owner == account && media.ready && young
        })
    }

    fn bytes(&self, id: MediaId) -> Option<(String, Vec<u8>)> {
        let media = self.0.get(&id)?;
        if media.base64.is_empty() {
            return Some(("image/png".to_owned(), png::sample(id.0)));
        }
        Some((
            media.content_type.clone(),
            STANDARD.decode(&media.base64).ok()?,
        ))
    }
}

#[derive(Debug, Deserialize)]
struct Initialize {
    media_type: String,
    total_bytes: usize,
    #[serde(default)]
    media_category: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Append {
    /// Base64, as the JSON form of the call has it.
    media: String,
    segment_index: u32,
}

pub(crate) fn routes(routes: &mut ServiceConfig) {
    routes
        .service(resource("/2/media/upload/initialize").route(now(Method::POST, initialize)))
        .service(resource("/2/media/upload/{id}/append").route(now(Method::POST, append)))
        .service(resource("/2/media/upload/{id}/finalize").route(now(Method::POST, finalize)))
        .service(resource("/2/media/upload").route(now(Method::GET, status)))
        .service(
            resource("/1.1/ton/data/dm/{dm_id}/{media_id}/{file}").route(now(Method::GET, private)),
        )
        .service(
            resource("/2/dm_conversations/media/{dm_id}/{media_id}/{file}")
                .route(now(Method::GET, private)),
        )
        .service(resource("/sim/media/{media_id}").route(now(Method::GET, open)));
}

fn initialize(call: &Call) -> Answer {
    let owner = call.user()?;
    call.spend(Family::Other, owner)?;
    let body: Initialize = call.json()?;
    let category = body.media_category.as_deref();
    if !body.media_type.starts_with("image/") || category.is_some_and(|c| c != "dm_image") {
        return Err(ApiError::invalid(324, "Only dm_image is taken here."));
    }
    if !(1..=MAX_BYTES).contains(&body.total_bytes) {
        return Err(ApiError::invalid(324, "The size must be 1 byte to 5 MB."));
    }
    let id = call.sim.change(|world| {
        let id = MediaId(world.ids.next(now_ms()));
        world.media.0.insert(
            id,
            Media {
                owner,
                content_type: body.media_type,
                base64: String::new(),
                ready: false,
                made_ms: now_ms(),
            },
        );
        id
    });
    Ok(HttpResponse::Ok().json(json!({ "data": view(id) })))
}

fn view(id: MediaId) -> Value {
    json!({ "id": id, "media_key": format!("3_{id}"), "expires_after_secs": LIFE_S })
}

/// Changes an upload of the caller.
fn upload<T>(
    call: &Call,
    act: impl FnOnce(&mut Media) -> Result<T, ApiError>,
) -> Result<(MediaId, T), ApiError> {
    let owner = call.user()?;
    let id: MediaId = call.path("id")?;
    call.sim.change(|world| {
        let media = world
            .media
            .0
            .get_mut(&id)
            .filter(|media| media.owner == owner);
        Ok((
            id,
            act(media.ok_or_else(|| ApiError::invalid(325, "A media id was not found."))?)?,
        ))
    })
}

fn append(call: &Call) -> Answer {
    let body: Append = call.json()?;
    if body.segment_index > 999 {
        return Err(ApiError::invalid_request("segment_index: 0 to 999."));
    }
    let part = STANDARD.decode(&body.media);
    let part = part.map_err(|_| ApiError::invalid_request("media: base64 is expected."))?;
    let (_, ()) = upload(call, |media| {
        let mut whole = STANDARD.decode(&media.base64).unwrap_or_default();
        whole.extend(part);
        if whole.len() > MAX_BYTES {
            return Err(ApiError::invalid(324, "The photo is larger than 5 MB."));
        }
        media.base64 = STANDARD.encode(whole);
        Ok(())
    })?;
    Ok(HttpResponse::Ok().json(json!({ "data": { "expires_at": now_ms() / 1_000 + LIFE_S } })))
}

fn finalize(call: &Call) -> Answer {
    let (id, size) = upload(call, |media| {
        if media.base64.is_empty() {
            return Err(ApiError::invalid(324, "No bytes were uploaded."));
        }
        media.ready = true;
        Ok(STANDARD
            .decode(&media.base64)
            .map_or(0, |bytes| bytes.len()))
    })?;
    let mut data = view(id);
    data["size"] = json!(size);
    Ok(HttpResponse::Ok().json(json!({ "data": data })))
}

fn status(call: &Call) -> Answer {
    let owner = call.user()?;
    let missing = || ApiError::invalid_request("The `media_id` query parameter is missing.");
    let id: MediaId = call.query_as("media_id")?.ok_or_else(missing)?;
    if !call.sim.read().media.is_usable_by(id, owner) {
        return Err(ApiError::invalid(325, "A media id was not found."));
    }
    let mut data = view(id);
    data["processing_info"] = json!({ "state": "succeeded", "progress_percent": 100 });
    Ok(HttpResponse::Ok().json(json!({ "data": data })))
}

/// A photo in a DM: only for a token of one of the two accounts.
fn private(call: &Call) -> Answer {
    let viewer = call.user()?;
    let (dm, media): (DmId, MediaId) = (call.path("dm_id")?, call.path("media_id")?);
    let world = call.sim.read();
    let photo = world.dms.get(dm, viewer).and_then(|dm| dm.photo.as_ref());
    photo
        .filter(|photo| photo.media_id == media)
        .and_then(|_| world.media.bytes(media))
        .map(|(kind, bytes)| HttpResponse::Ok().content_type(kind).body(bytes))
        .ok_or_else(ApiError::no_such_route)
}

/// The same for the phone page.
fn open(call: &Call) -> Answer {
    let bytes = call.sim.read().media.bytes(call.path("media_id")?);
    bytes
        .map(|(kind, bytes)| HttpResponse::Ok().content_type(kind).body(bytes))
        .ok_or_else(ApiError::no_such_route)
}
