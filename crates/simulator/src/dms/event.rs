//! A message in the three shapes of the wire: v1.1 `message_create`, v2 `dm_event`, and the
//! plainer one of `/sim`.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Dm;
use crate::ids::{AccountId, iso};
use crate::state::World;

/// The v1.1 event, which webhooks of both envelopes carry too.
#[derive(Debug, Serialize)]
pub(crate) struct MessageCreateEvent {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    created_timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    initiated_via: Option<Value>,
    message_create: MessageCreate,
}

#[derive(Debug, Serialize)]
struct MessageCreate {
    target: Target,
    sender_id: AccountId,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_app_id: Option<String>,
    message_data: MessageData,
}

#[derive(Debug, Serialize)]
struct Target {
    recipient_id: AccountId,
}

#[derive(Debug, Serialize)]
struct MessageData {
    text: String,
    entities: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    quick_reply: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quick_reply_response: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ctas: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attachment: Option<Value>,
}

/// The v1.1 event; `with_app` shows the app that sent it.
pub(crate) fn v1(world: &World, media_base: &str, dm: &Dm, with_app: bool) -> MessageCreateEvent {
    let options = dm.quick_reply.as_ref();
    let answer = dm.quick_reply_answer.as_ref();
    let ctas = dm.ctas.iter().map(|cta| {
        json!({ "type": "web_url", "label": cta.label, "url": cta.url, "tco_url": cta.tco_url })
    });
    MessageCreateEvent {
        kind: "message_create",
        id: dm.id.to_string(),
        created_timestamp: dm.id.created_ms().to_string(),
        initiated_via: dm.initiated_via.as_ref().map(|via| json!(via)),
        message_create: MessageCreate {
            target: Target {
                recipient_id: dm.recipient,
            },
            sender_id: dm.sender,
            source_app_id: dm.source_app_id.clone().filter(|_| with_app),
            message_data: MessageData {
                text: dm.shown.text.clone(),
                entities: v1_entities(world, dm),
                quick_reply: options.map(|o| json!({ "type": "options", "options": o })),
                quick_reply_response: answer.map(|answer| match &answer.metadata {
                    Some(metadata) => json!({ "type": "options", "metadata": metadata }),
                    None => json!({ "type": "options" }),
                }),
                ctas: (!dm.ctas.is_empty()).then(|| ctas.collect()),
                attachment: v1_attachment(media_base, dm),
            },
        },
    }
}

fn v1_entities(world: &World, dm: &Dm) -> Value {
    let mentions = dm.shown.mentions.iter().filter_map(|mention| {
        let account = world.accounts.by_handle(&mention.handle)?;
        Some(json!({
            "screen_name": account.handle, "name": account.name,
            "id": account.id.0, "id_str": account.id, "indices": mention.indices,
        }))
    });
    json!({
        "hashtags": dm.shown.hashtags,
        "symbols": dm.shown.symbols,
        "user_mentions": mentions.collect::<Vec<_>>(),
        "urls": dm.shown.urls,
    })
}

/// A photo as a v1.1 media entity. `id` is a number that JavaScript rounds, as on the platform.
fn v1_attachment(media_base: &str, dm: &Dm) -> Option<Value> {
    let photo = dm.photo.as_ref()?;
    let file = media_url(media_base, dm)?;
    let size = |resize: &str| json!({ "w": 320, "h": 200, "resize": resize });
    let media = json!({
        "id": photo.media_id.0,
        "id_str": photo.media_id,
        "indices": photo.link.indices,
        "media_url": file,
        "media_url_https": file,
        "url": photo.link.url,
        "display_url": photo.link.display_url,
        "expanded_url": photo.link.expanded_url,
        "type": "photo",
        "sizes": {
            "thumb": { "w": 150, "h": 150, "resize": "crop" },
            "small": size("fit"), "medium": size("fit"), "large": size("fit"),
        },
    });
    Some(json!({ "type": "media", "media": media }))
}

/// Where a participant's token reads the photo.
fn media_url(media_base: &str, dm: &Dm) -> Option<String> {
    let photo = dm.photo.as_ref()?;
    let slug = photo.link.url.rsplit('/').next().unwrap_or("photo");
    Some(format!(
        "{media_base}/1.1/ton/data/dm/{}/{}/{slug}.png",
        dm.id, photo.media_id
    ))
}

/// The v2 `dm_event` with the default fields and those asked for.
pub(crate) fn v2(world: &World, dm: &Dm, fields: &str) -> Value {
    let asked: Vec<_> = fields.split(',').map(str::trim).collect();
    let mut event = Map::new();
    event.insert("id".into(), json!(dm.id));
    event.insert("event_type".into(), json!("MessageCreate"));
    event.insert("text".into(), json!(dm.shown.text));
    if asked.contains(&"sender_id") {
        event.insert("sender_id".into(), json!(dm.sender));
    }
    if asked.contains(&"dm_conversation_id") {
        event.insert("dm_conversation_id".into(), json!(dm.pair().to_string()));
    }
    if asked.contains(&"created_at") {
        event.insert("created_at".into(), json!(iso(dm.id.created_ms())));
    }
    if asked.contains(&"attachments")
        && let Some(photo) = &dm.photo
    {
        event.insert(
            "attachments".into(),
            json!({ "media_keys": [format!("3_{}", photo.media_id)] }),
        );
    }
    if asked.contains(&"entities")
        && let Some(entities) = v2_entities(world, dm)
    {
        event.insert("entities".into(), entities);
    }
    Value::Object(event)
}

fn v2_entities(world: &World, dm: &Dm) -> Option<Value> {
    let shown = &dm.shown;
    let urls = shown.urls.iter().map(|url| {
        json!({
            "start": url.indices[0], "end": url.indices[1], "url": url.url,
            "expanded_url": url.expanded_url, "display_url": url.display_url,
        })
    });
    let tags = |tags: &[crate::text::TagEntity]| {
        let each = tags
            .iter()
            .map(|tag| json!({ "start": tag.indices[0], "end": tag.indices[1], "tag": tag.text }));
        each.collect::<Vec<_>>()
    };
    let mentions = shown.mentions.iter().filter_map(|mention| {
        let id = world.accounts.by_handle(&mention.handle)?.id;
        Some(json!({
            "start": mention.indices[0], "end": mention.indices[1],
            "username": mention.handle, "id": id,
        }))
    });
    let groups = [
        ("urls", urls.collect::<Vec<_>>()),
        ("hashtags", tags(&shown.hashtags)),
        ("cashtags", tags(&shown.symbols)),
        ("mentions", mentions.collect()),
    ];
    let filled: Map<_, _> = groups
        .into_iter()
        .filter(|(_, items)| !items.is_empty())
        .map(|(name, items)| (name.to_owned(), Value::Array(items)))
        .collect();
    (!filled.is_empty()).then_some(Value::Object(filled))
}

/// The plain shape of `/sim`, for the phone and for tests.
pub(crate) fn plain(dm: &Dm) -> Value {
    let photo = dm.photo.as_ref();
    json!({
        "id": dm.id,
        "created_ms": dm.id.created_ms(),
        "conversation_id": dm.pair().to_string(),
        "from": dm.sender,
        "to": dm.recipient,
        "text": dm.raw_text,
        "shown_text": dm.shown.text,
        "media_url": photo.map(|photo| format!("/sim/media/{}", photo.media_id)),
        "quick_reply": dm.quick_reply,
        "quick_reply_answer": dm.quick_reply_answer,
        "ctas": dm.ctas,
        "initiated_via": dm.initiated_via,
        "source_app_id": dm.source_app_id,
    })
}
