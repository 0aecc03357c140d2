//! Sending by v2, deleting aside (see `lookup`), and DM blocks.

use actix_web::HttpResponse;
use actix_web::http::{Method, StatusCode};
use actix_web::web::ServiceConfig;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Dm, Draft, Pair, send};
use crate::call::{Answer, Call, later, now, resource};
use crate::error::ApiError;
use crate::ids::{AccountId, MediaId};
use crate::limits::Family;

/// Body of a send. Unknown fields are refused: the published schema says
/// `additionalProperties: false`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateMessage {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    attachments: Option<Vec<Attachment>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attachment {
    media_id: MediaId,
}

pub(crate) fn routes(routes: &mut ServiceConfig) {
    routes
        .service(
            resource("/2/dm_conversations/with/{participant_id}/messages")
                .route(later(Method::POST, send_to_participant)),
        )
        .service(
            resource("/2/dm_conversations/{id}/messages")
                .route(later(Method::POST, send_to_conversation)),
        )
        .service(resource("/2/dm_conversations").route(now(Method::POST, create_group)))
        .service(resource("/2/users/{id}/dm/block").route(now(Method::POST, block)))
        .service(resource("/2/users/{id}/dm/unblock").route(now(Method::POST, unblock)));
}

async fn send_to_participant(call: Call) -> Answer {
    send::run(
        call,
        |call, sender| draft(call, sender, call.path("participant_id")?),
        created,
    )
    .await
}

async fn send_to_conversation(call: Call) -> Answer {
    let to_pair = |call: &Call, sender: AccountId| {
        let id: String = call.path("id")?;
        let pair = Pair::parse(&id).filter(|pair| pair.contains(sender));
        let pair = pair.ok_or_else(|| {
            ApiError::forbidden(220, "You are not a participant of this conversation.")
        })?;
        draft(call, sender, pair.other(sender))
    };
    send::run(call, to_pair, created).await
}

fn draft(call: &Call, sender: AccountId, recipient: AccountId) -> Result<Draft, ApiError> {
    let body: CreateMessage = call.json()?;
    let attachments = body.attachments.unwrap_or_default();
    if attachments.len() > 1 {
        return Err(ApiError::invalid_request("Only one attachment is allowed."));
    }
    let mut draft = Draft::text(sender, recipient, body.text.unwrap_or_default());
    draft.media_id = attachments.first().map(|attachment| attachment.media_id);
    draft.source_app_id = Some(call.sim.config.app_id.clone());
    Ok(draft)
}

fn created(_: &Call, dm: &Dm) -> (StatusCode, Value) {
    let data = json!({ "dm_conversation_id": dm.pair().to_string(), "dm_event_id": dm.id });
    (StatusCode::CREATED, json!({ "data": data }))
}

/// Groups reach no webhook, and this stand-in is about webhooks: it has none.
fn create_group(call: &Call) -> Answer {
    call.user()?;
    Err(ApiError::forbidden(
        87,
        "Client is not permitted to create group conversations here.",
    ))
}

fn block(call: &Call) -> Answer {
    set_block(call, true)
}

fn unblock(call: &Call) -> Answer {
    set_block(call, false)
}

fn set_block(call: &Call, blocked: bool) -> Answer {
    let user = call.user()?;
    call.spend(Family::Other, user)?;
    let other: AccountId = call.path("id")?;
    call.sim.change(|world| {
        if world.accounts.get(other).is_none() {
            return Err(ApiError::not_found(50, "User not found."));
        }
        if let Some(account) = world.accounts.get_mut(user) {
            if blocked {
                account.blocks.insert(other);
            } else {
                account.blocks.remove(&other);
            }
        }
        Ok(HttpResponse::Ok().json(json!({ "data": { "blocked": blocked } })))
    })
}
