//! v1.1: `events/new` with quick replies and buttons, typing indicators, read receipts.

use actix_web::HttpResponse;
use actix_web::http::{Method, StatusCode};
use actix_web::web::ServiceConfig;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Draft, QuickReplyOption, event, send};
use crate::call::{Answer, Call, later, now, resource};
use crate::error::ApiError;
use crate::feed::Item;
use crate::ids::{AccountId, DmId, MediaId};
use crate::limits::Family;

#[derive(Debug, Deserialize)]
struct NewEvent {
    event: Event,
}

#[derive(Debug, Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    message_create: MessageCreate,
}

#[derive(Debug, Deserialize)]
struct MessageCreate {
    target: Target,
    message_data: MessageData,
}

#[derive(Debug, Deserialize)]
struct Target {
    recipient_id: AccountId,
}

#[derive(Debug, Deserialize)]
struct MessageData {
    #[serde(default)]
    text: String,
    #[serde(default)]
    quick_reply: Option<QuickReply>,
    #[serde(default)]
    ctas: Vec<NewCta>,
    #[serde(default)]
    attachment: Option<Attachment>,
}

#[derive(Debug, Deserialize)]
struct QuickReply {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    options: Vec<QuickReplyOption>,
}

#[derive(Debug, Deserialize)]
struct NewCta {
    #[serde(rename = "type")]
    kind: String,
    label: String,
    url: String,
}

#[derive(Debug, Deserialize)]
struct Attachment {
    media: Media,
}

#[derive(Debug, Deserialize)]
struct Media {
    id: MediaId,
}

pub(crate) fn routes(routes: &mut ServiceConfig) {
    routes
        .service(
            resource("/1.1/direct_messages/events/new.json").route(later(Method::POST, create)),
        )
        .service(
            resource("/1.1/direct_messages/indicate_typing.json").route(now(Method::POST, typing)),
        )
        .service(resource("/1.1/direct_messages/mark_read.json").route(now(Method::POST, read)));
}

async fn create(call: Call) -> Answer {
    send::run(call, draft, |call, dm| {
        let world = call.sim.read();
        let event: Value = json!(event::v1(&world, &call.sim.public_url(), dm, false));
        (StatusCode::OK, json!({ "event": event }))
    })
    .await
}

fn draft(call: &Call, sender: AccountId) -> Result<Draft, ApiError> {
    let NewEvent { event } = call.json()?;
    let data = event.message_create.message_data;
    if event.kind != "message_create" {
        return Err(ApiError::invalid_request(
            "event.type: must be message_create.",
        ));
    }
    let options = data.quick_reply.map(checked_options).transpose()?;
    let ctas = checked_ctas(data.ctas)?;
    let mut draft = Draft::text(sender, event.message_create.target.recipient_id, data.text);
    draft.media_id = data.attachment.map(|attachment| attachment.media.id);
    draft.quick_reply = options;
    draft.ctas = ctas;
    draft.source_app_id = Some(call.sim.config.app_id.clone());
    Ok(draft)
}

/// At most 20 options; label 36, description 72, metadata 1,000 characters.
fn checked_options(reply: QuickReply) -> Result<Vec<QuickReplyOption>, ApiError> {
    let fits = |text: Option<&String>, max| text.is_none_or(|text| text.chars().count() <= max);
    let good = reply.kind == "options"
        && (1..=20).contains(&reply.options.len())
        && reply.options.iter().all(|option| {
            !option.label.is_empty()
                && fits(Some(&option.label), 36)
                && fits(option.description.as_ref(), 72)
                && fits(option.metadata.as_ref(), 1_000)
        });
    if good {
        Ok(reply.options)
    } else {
        Err(ApiError::invalid_request(
            "quick_reply: 1 to 20 options with a label of at most 36 characters.",
        ))
    }
}

/// At most three `web_url` buttons with an http(s) address.
fn checked_ctas(ctas: Vec<NewCta>) -> Result<Vec<(String, String)>, ApiError> {
    let good = ctas.len() <= 3
        && ctas.iter().all(|cta| {
            cta.kind == "web_url"
                && (1..=36).contains(&cta.label.chars().count())
                && (cta.url.starts_with("https://") || cta.url.starts_with("http://"))
        });
    if good {
        Ok(ctas.into_iter().map(|cta| (cta.label, cta.url)).collect())
    } else {
        Err(ApiError::invalid_request(
            "ctas: 1 to 3 web_url buttons with a label of at most 36 characters.",
        ))
    }
}

/// The partner named by `recipient_id`.
fn partner(call: &Call) -> Result<AccountId, ApiError> {
    let missing = || ApiError::invalid(38, "recipient_id parameter is missing.");
    let text = call.field("recipient_id").ok_or_else(missing)?;
    let id = text
        .parse()
        .map_err(|_| ApiError::invalid_request("recipient_id is invalid."))?;
    match call.sim.read().accounts.get(id) {
        Some(_) => Ok(id),
        None => Err(ApiError::invalid(108, "Cannot find specified user.")),
    }
}

fn typing(call: &Call) -> Answer {
    let sender = call.user()?;
    call.spend(Family::Presence, sender)?;
    let recipient = partner(call)?;
    call.sim.feed.publish(Item::Typing {
        from: sender,
        to: recipient,
    });
    Ok(HttpResponse::NoContent().finish())
}

fn read(call: &Call) -> Answer {
    let reader = call.user()?;
    call.spend(Family::Presence, reader)?;
    let author = partner(call)?;
    let missing = || ApiError::invalid(38, "last_read_event_id parameter is missing.");
    let up_to: DmId = call
        .field("last_read_event_id")
        .ok_or_else(missing)?
        .parse()
        .map_err(|_| ApiError::invalid_request("last_read_event_id is invalid."))?;
    call.sim.change(|world| {
        match world.dms.get(up_to, reader) {
            Some(dm) if dm.sender == author => world.dms.mark_read(reader, author, up_to),
            _ => {
                return Err(ApiError::invalid_request(
                    "last_read_event_id is no message of that user.",
                ));
            }
        }
        Ok(())
    })?;
    call.sim.feed.publish(Item::Read {
        reader,
        author,
        up_to,
    });
    Ok(HttpResponse::NoContent().finish())
}
