//! The Account Activity envelope, whose message objects the X Activity envelope shares.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::event::{Directory, Fault, Parties, RawEvent, digest, kind, kind_named};
use super::{SplitError, for_each_element, xaa};
use crate::x::wire::{self, Activity, MessageCreate, MessageEvent};

pub(super) const MESSAGES: &str = "direct_message_events";
pub(super) const TYPING: &str = "direct_message_indicate_typing_events";
pub(super) const READS: &str = "direct_message_mark_read_events";

/// What an envelope says about all its events.
pub(super) struct Envelope<'a> {
    pub(super) account: Option<i64>,
    pub(super) users: Directory<'a>,
    pub(super) apps: Directory<'a>,
}

pub(super) fn split_into(
    events: &mut Vec<RawEvent>,
    entries: &[(Cow<'_, str>, &RawValue)],
) -> Result<(), SplitError> {
    let last = |name: &str| {
        entries
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| *value)
    };
    let envelope = Envelope {
        account: last("for_user_id").and_then(wire::id_of),
        users: Directory::read(last("users")),
        apps: Directory::read(last("apps")),
    };
    for (key, value) in entries {
        match key.as_ref() {
            "for_user_id" | "users" | "apps" => {}
            MESSAGES => for_each_element(events, value, |body| message(body, &envelope))?,
            TYPING => for_each_element(events, value, |body| typing(body, &envelope))?,
            READS => for_each_element(events, value, |body| read(body, &envelope))?,
            "user_event" => for_each_element(events, value, |body| user_event(body, &envelope))?,
            "data" => xaa::split_into(events, value)?,
            // What says something about the envelope as a whole, such as `user_has_blocked`.
            _ if !matches!(value.get().as_bytes().first(), Some(b'[' | b'{')) => {}
            name => {
                let kind = kind_named(
                    name.strip_suffix("_events")
                        .filter(|n| !n.is_empty())
                        .unwrap_or(name),
                );
                for_each_element(events, value, |body| {
                    RawEvent::plain(&kind, body).of_account(envelope.account)
                })?;
            }
        }
    }
    Ok(())
}

/// An element of `direct_message_events`, from either envelope.
pub(super) fn message(body: &RawValue, envelope: &Envelope<'_>) -> RawEvent {
    let malformed = |fault| RawEvent::malformed(body, fault).of_account(envelope.account);
    let Some(event) = wire::object_of::<MessageEvent<'_>>(body) else {
        return malformed(Fault::NotAnObject);
    };
    if let Some(other) = event.kind.and_then(wire::text_of)
        && other != "message_create"
    {
        return RawEvent::plain("direct_message", body).of_account(envelope.account);
    }
    let create = event
        .message_create
        .and_then(wire::object_of::<MessageCreate<'_>>);
    let Some(id) = event.id.and_then(wire::id_of) else {
        return malformed(Fault::IdUnusable);
    };
    let Some(sender) = create
        .as_ref()
        .and_then(|c| c.sender_id)
        .and_then(wire::id_of)
    else {
        return malformed(Fault::SenderUnusable);
    };
    let Some(recipient) = create.as_ref().and_then(|c| wire::recipient_of(c.target)) else {
        return malformed(Fault::RecipientUnusable);
    };
    let app = create
        .as_ref()
        .and_then(|c| c.source_app_id)
        .and_then(wire::id_of);
    let event = between(
        sender,
        recipient,
        envelope,
        RawEvent::new(kind::DM, id.to_string(), body),
    );
    if envelope.account.is_some() && event.counterpart_id.is_none() {
        return RawEvent {
            kind: kind::MALFORMED.to_owned(),
            fault: Some(Fault::ForeignAccount),
            ..event
        };
    }
    RawEvent {
        apps: app.and_then(|app| envelope.apps.entries(&[app])),
        ..event
    }
}

/// An element of the typing array. It has no id and needs none: only the newest counts.
pub(super) fn typing(body: &RawValue, envelope: &Envelope<'_>) -> RawEvent {
    activity(kind::TYPING, body, envelope, |sender| {
        format!("typing:{sender}")
    })
}

/// An element of the read array: all up to `last_read_event_id` has been read by the sender.
pub(super) fn read(body: &RawValue, envelope: &Envelope<'_>) -> RawEvent {
    let event = activity(kind::READ, body, envelope, |_| digest(body));
    let watermark = wire::object_of::<Activity<'_>>(body)
        .and_then(|activity| activity.last_read_event_id)
        .and_then(wire::id_of);
    if event.fault.is_none() && watermark.is_none() {
        return RawEvent::malformed(body, Fault::IdUnusable).of_account(envelope.account);
    }
    event
}

fn activity(
    kind: &str,
    body: &RawValue,
    envelope: &Envelope<'_>,
    event_id: impl FnOnce(i64) -> String,
) -> RawEvent {
    let malformed = |fault| RawEvent::malformed(body, fault).of_account(envelope.account);
    let Some(activity) = wire::object_of::<Activity<'_>>(body) else {
        return malformed(Fault::NotAnObject);
    };
    let Some(sender) = activity.sender_id.and_then(wire::id_of) else {
        return malformed(Fault::SenderUnusable);
    };
    let Some(recipient) = wire::recipient_of(activity.target) else {
        return malformed(Fault::RecipientUnusable);
    };
    // X's own example names an account that is neither sender nor recipient: kept as it is, with no
    // counterpart.
    between(
        sender,
        recipient,
        envelope,
        RawEvent::new(kind, event_id(sender), body),
    )
}

fn between(sender: i64, recipient: i64, envelope: &Envelope<'_>, event: RawEvent) -> RawEvent {
    let counterpart = match envelope.account {
        Some(account) if account == sender => Some(recipient),
        Some(account) if account == recipient => Some(sender),
        _ => None,
    };
    RawEvent {
        counterpart_id: counterpart.map(|id| id.to_string()),
        parties: Some(Parties {
            sender_id: sender.to_string(),
            recipient_id: recipient.to_string(),
        }),
        users: envelope.users.entries(&[sender, recipient]),
        ..event.of_account(envelope.account)
    }
}

/// `user_event` is an object, not an array, and comes without `for_user_id`.
fn user_event(body: &RawValue, envelope: &Envelope<'_>) -> RawEvent {
    #[derive(Deserialize)]
    struct UserEvent<'a> {
        #[serde(borrow)]
        revoke: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Revoke<'a> {
        #[serde(borrow)]
        source: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Source<'a> {
        #[serde(borrow)]
        user_id: Option<&'a RawValue>,
    }
    let Some(revoke) = wire::object_of::<UserEvent<'_>>(body).and_then(|event| event.revoke) else {
        return RawEvent::plain("user_event", body).of_account(envelope.account);
    };
    let user = wire::object_of::<Revoke<'_>>(revoke)
        .and_then(|revoke| wire::object_of::<Source<'_>>(revoke.source?))
        .and_then(|source| wire::id_of(source.user_id?));
    match user {
        Some(user) => RawEvent::plain(kind::REVOKE, body).of_account(Some(user)),
        None => RawEvent::malformed(body, Fault::SenderUnusable).of_account(envelope.account),
    }
}
