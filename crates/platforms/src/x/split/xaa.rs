//! The X Activity envelope: one event per POST, named by `event_type`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::aaa::{self, Envelope};
use super::event::{Directory, Fault, RawEvent, digest, kind, kind_named, name_of};
use super::{SplitError, for_each_element};
use crate::x::wire::{self, ChatPayload, RevokePayload, XaaData};

/// `payload` of the direct message types.
#[derive(Deserialize)]
struct MessagePayload<'a> {
    #[serde(borrow)]
    direct_message_events: Option<&'a RawValue>,
    #[serde(borrow)]
    direct_message_indicate_typing_events: Option<&'a RawValue>,
    #[serde(borrow)]
    direct_message_mark_read_events: Option<&'a RawValue>,
    #[serde(borrow)]
    users: Option<&'a RawValue>,
    #[serde(borrow)]
    apps: Option<&'a RawValue>,
}

pub(super) fn split_into(events: &mut Vec<RawEvent>, data: &RawValue) -> Result<(), SplitError> {
    if data.get().starts_with('[') {
        let elements: Vec<&RawValue> =
            serde_json::from_str(data.get()).map_err(|_| SplitError::NotJson)?;
        for element in elements {
            if events.len() >= super::MAX_EVENTS {
                return Err(SplitError::TooManyEvents);
            }
            one(events, element)?;
        }
        return Ok(());
    }
    one(events, data)
}

fn one(events: &mut Vec<RawEvent>, data: &RawValue) -> Result<(), SplitError> {
    let Some(event) = wire::object_of::<XaaData<'_>>(data) else {
        events.push(RawEvent::malformed(data, Fault::NotAnObject));
        return Ok(());
    };
    let account = account_of(&event);
    let Some(event_type) = event.event_type.and_then(wire::text_of) else {
        events.push(RawEvent::malformed(data, Fault::TypeUnusable).of_account(account));
        return Ok(());
    };
    match event_type.as_ref() {
        "dm.received" | "dm.sent" | "dm.indicate_typing" | "dm.read" => {
            messages(events, &event_type, &event, account, data)
        }
        chat if chat.starts_with("chat.") => {
            events.push(chat_event(chat, &event, account, data));
            Ok(())
        }
        "oauth.revoke" => {
            events.push(revoke(&event, account, data));
            Ok(())
        }
        other => {
            events.push(whole(&kind_named(other), &event, account, data));
            Ok(())
        }
    }
}

fn account_of(event: &XaaData<'_>) -> Option<i64> {
    #[derive(Deserialize)]
    struct Filter<'a> {
        #[serde(borrow)]
        user_id: Option<&'a RawValue>,
    }
    wire::object_of::<Filter<'_>>(event.filter?)?
        .user_id
        .and_then(wire::id_of)
}

/// The four message types carry the arrays of Account Activity in `payload`. For typing and read X has
/// published no example, so an unknown body stays a raw event under X's own name.
fn messages(
    events: &mut Vec<RawEvent>,
    event_type: &str,
    event: &XaaData<'_>,
    account: Option<i64>,
    data: &RawValue,
) -> Result<(), SplitError> {
    let before = events.len();
    if let Some(payload) = event
        .payload
        .and_then(wire::object_of::<MessagePayload<'_>>)
    {
        let envelope = Envelope {
            account,
            users: Directory::read(payload.users),
            apps: Directory::read(payload.apps),
        };
        if let Some(array) = payload.direct_message_events {
            for_each_element(events, array, |body| aaa::message(body, &envelope))?;
        }
        if let Some(array) = payload.direct_message_indicate_typing_events {
            for_each_element(events, array, |body| aaa::typing(body, &envelope))?;
        }
        if let Some(array) = payload.direct_message_mark_read_events {
            for_each_element(events, array, |body| aaa::read(body, &envelope))?;
        }
    }
    if events.len() == before {
        let raw = match event_type {
            "dm.received" | "dm.sent" => RawEvent {
                fault: Some(Fault::PayloadUnusable),
                ..whole(kind::MALFORMED, event, account, data)
            },
            other => whole(other, event, account, data),
        };
        events.push(raw);
    }
    Ok(())
}

fn chat_event(
    event_type: &str,
    event: &XaaData<'_>,
    account: Option<i64>,
    data: &RawValue,
) -> RawEvent {
    let raw = whole(kind::CHAT, event, account, data);
    let Some(payload) = event.payload.and_then(wire::object_of::<ChatPayload<'_>>) else {
        return raw;
    };
    // Only a message has an id of its own; of other chat events the id may name the conversation.
    let is_message = matches!(event_type, "chat.received" | "chat.sent");
    let id = payload.id.filter(|_| is_message).and_then(name_of);
    let conversation = payload.conversation_id.and_then(wire::text_of);
    let sender = payload.sender_id.and_then(wire::id_of);
    let counterpart = account.and_then(|account| other_of(conversation, account, sender));
    RawEvent {
        event_id: id.unwrap_or(raw.event_id),
        counterpart_id: counterpart.map(|id| id.to_string()),
        ..raw
    }
}

/// The other account of an encrypted conversation: the other half of `a:b`; else the sender, for a
/// group has no single other.
fn other_of(conversation: Option<Cow<'_, str>>, account: i64, sender: Option<i64>) -> Option<i64> {
    let pair = conversation
        .as_deref()
        .and_then(|pair| pair.split_once(':'));
    let pair = pair.and_then(|(a, b)| Some((wire::parse_id(a)?, wire::parse_id(b)?)));
    match pair {
        Some((a, b)) if a == account => Some(b),
        Some((a, b)) if b == account => Some(a),
        _ => sender.filter(|&sender| sender != account),
    }
}

/// `oauth.revoke` has an empty filter: the account stands in the payload.
fn revoke(event: &XaaData<'_>, account: Option<i64>, data: &RawValue) -> RawEvent {
    let payload = event.payload.and_then(wire::object_of::<RevokePayload<'_>>);
    match payload
        .and_then(|payload| payload.user_id)
        .and_then(wire::id_of)
        .or(account)
    {
        Some(user) => whole(kind::REVOKE, event, Some(user), data),
        None => RawEvent {
            fault: Some(Fault::SenderUnusable),
            ..whole(kind::MALFORMED, event, None, data)
        },
    }
}

/// The event as X sent it, identified by `event_uuid`, which may be negative.
fn whole(kind: &str, event: &XaaData<'_>, account: Option<i64>, data: &RawValue) -> RawEvent {
    let event_id = event
        .event_uuid
        .and_then(name_of)
        .unwrap_or_else(|| digest(data));
    RawEvent::new(kind, event_id, data).of_account(account)
}
