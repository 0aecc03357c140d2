//! The `data` of an event.

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;

use roost_domain::ids::{ChannelId, ContactId, ConversationId, MemberId, MessageId, TeamId};
use roost_store::events::StoredEvent;
use roost_store::visibility::{Place, Visibility};
use roost_store::{
    BrandTx, StoreError, channels, contacts, conversations, members, messages, teams,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::wire::At;
use crate::wire::channel::ChannelView;
use crate::wire::conversation::{ContactView, ConversationView};
use crate::wire::member::MemberView;
use crate::wire::message::MessageView;
use crate::wire::team::TeamView;

/// The rows that a page of events speaks of, as they are now.
#[derive(Debug, Default)]
pub(super) struct Resources {
    conversations: HashMap<ConversationId, Place>,
    contacts: HashMap<ContactId, Vec<Place>>,
    shown: HashMap<String, Value>,
}

impl Resources {
    pub(super) async fn load(tx: &mut BrandTx, events: &[StoredEvent]) -> Result<Self, StoreError> {
        let mut found = Self::default();
        // Everything, whoever asks: one page serves many streams, and each is asked about itself.
        let everything = Visibility::ALL;
        let wanted = of(events, |event| event.conversation);
        for row in conversations::load(tx, &wanted, &everything, None).await? {
            found.conversations.insert(row.id, row.place());
            found.show(row.id, ConversationView::from(row));
        }
        for row in messages::load(tx, &of(events, message_id), &everything).await? {
            found.show(row.id, MessageView::from(row));
        }
        let wanted = of(events, contact_id);
        for row in contacts::load(tx, &wanted).await? {
            found.show(row.id, ContactView::from(row));
        }
        for (contact, place) in conversations::places_of_contacts(tx, &wanted).await? {
            found.contacts.entry(contact).or_default().push(place);
        }
        let subjects = |prefix| of(events, move |event| subject(event, prefix));
        let wanted: Vec<MemberId> = subjects("member").into_iter().map(MemberId).collect();
        if !wanted.is_empty() {
            let limit = i64::try_from(wanted.len()).unwrap_or(i64::MAX);
            for row in members::list(tx, Some(&wanted), None, limit).await? {
                found.show(row.id, MemberView::from(row));
            }
        }
        let wanted: Vec<ChannelId> = subjects("channel").into_iter().map(ChannelId).collect();
        if !wanted.is_empty() {
            for row in channels::load(tx, &wanted).await? {
                found.show(row.id, ChannelView::from(row));
            }
        }
        let wanted: Vec<TeamId> = subjects("team").into_iter().map(TeamId).collect();
        if !wanted.is_empty() {
            for row in teams::list(tx, Some(&wanted)).await? {
                found.show(row.id, TeamView::from(row));
            }
        }
        Ok(found)
    }

    fn show(&mut self, id: impl ToString, view: impl Serialize) {
        // A view of ours has only text keys, so it always becomes a value.
        self.shown.insert(
            id.to_string(),
            serde_json::to_value(view).unwrap_or_default(),
        );
    }

    /// Where the conversation of an event stands now.
    pub(super) fn place(&self, event: &StoredEvent) -> Option<Place> {
        self.conversations.get(&event.conversation?).copied()
    }

    /// Where the conversations of an event's customer stand now.
    pub(super) fn places(&self, event: &StoredEvent) -> Vec<Place> {
        contact_id(event)
            .and_then(|contact| self.contacts.get(&contact).cloned())
            .unwrap_or_default()
    }

    /// What an event carries for those out of whose sight it took its conversation: that it went.
    pub(super) fn farewell(&self, event: &StoredEvent) -> Value {
        json!({ "id": event.conversation, "changed": event.data["changed"] })
    }

    /// What an event carries.
    pub(super) fn data(&self, event: &StoredEvent) -> Value {
        let id = match family(event) {
            "conversation" => event.conversation.map(|id| id.to_string()),
            "message" | "note" => message_id(event).map(|id| id.to_string()),
            "contact" => contact_id(event).map(|id| id.to_string()),
            "member" => event.subject.map(|id| MemberId(id).to_string()),
            "channel" => event.subject.map(|id| ChannelId(id).to_string()),
            "team" => event.subject.map(|id| TeamId(id).to_string()),
            _ => None,
        };
        let mut data = id
            .and_then(|id| self.shown.get(&id).cloned())
            .unwrap_or_else(|| json!({}));
        if let (Some(data), Some(facts)) = (data.as_object_mut(), event.data.as_object()) {
            as_it_was(&event.kind, data);
            if family(event) == "member" {
                // They move without an event of this kind; what it doesn't tell, it doesn't know.
                data.remove("load");
                data.remove("presence");
            }
            for (name, fact) in facts {
                data.insert(name.clone(), fact.clone());
            }
        }
        with_millis(&mut data);
        data
    }
}

fn family(event: &StoredEvent) -> &str {
    event.kind.split('.').next().unwrap_or_default()
}

fn of<T: Ord>(events: &[StoredEvent], id: impl Fn(&StoredEvent) -> Option<T>) -> Vec<T> {
    events
        .iter()
        .filter_map(id)
        .collect::<BTreeSet<T>>()
        .into_iter()
        .collect()
}

fn subject(event: &StoredEvent, wanted: &str) -> Option<uuid::Uuid> {
    event.subject.filter(|_| family(event) == wanted)
}

fn fact<T: FromStr>(event: &StoredEvent, name: &str) -> Option<T> {
    event.data[name].as_str()?.parse().ok()
}

fn message_id(event: &StoredEvent) -> Option<MessageId> {
    matches!(family(event), "message" | "note").then(|| fact(event, "message_id"))?
}

fn contact_id(event: &StoredEvent) -> Option<ContactId> {
    if family(event) != "contact" {
        return None;
    }
    fact(event, "contact_id")
        .or_else(|| fact(event, "id"))
        .or_else(|| event.subject.map(ContactId))
}

/// A reply's row tells how far it is now; its event tells how far it was.
fn as_it_was(kind: &str, message: &mut Map<String, Value>) {
    let status = match kind {
        "message.queued" => "queued",
        "message.sent" => "sent",
        "message.failed" => "failed",
        "message.unconfirmed" => "unknown",
        _ => return,
    };
    if let Some(delivery) = message.get_mut("delivery").and_then(Value::as_object_mut)
        && delivery.get("status").and_then(Value::as_str) != Some(status)
    {
        delivery.insert("status".to_owned(), json!(status));
        if matches!(status, "queued" | "sent") {
            delivery.insert("needs_decision".to_owned(), json!(false));
            delivery.insert("code".to_owned(), Value::Null);
            delivery.insert("detail".to_owned(), Value::Null);
        }
    }
}

/// Facts keep instants to the microsecond; the wire has milliseconds.
fn with_millis(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if is_instant(name) => {
                        if let Ok(at) = text.parse() {
                            *text = At(at).text();
                        }
                    }
                    Value::Array(pair) if is_instant(name) => {
                        for text in pair {
                            if let Some(at) = text.as_str().and_then(|text| text.parse().ok()) {
                                *text = json!(At(at));
                            }
                        }
                    }
                    Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::String(_)
                    | Value::Array(_)
                    | Value::Object(_) => with_millis(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(with_millis),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_instant(name: &str) -> bool {
    name.ends_with("_at") || name == "since" || name.ends_with("_since") || name.ends_with("_until")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_get_three_decimals_and_texts_stay() {
        let mut value = json!({
            "opened_at": "2026-01-01T00:00:00.123456Z", "text": "2026-01-01T00:00:00.123456Z",
            "changed": { "snoozed_until": [null, "2026-01-01T00:00:00Z"] },
        });
        with_millis(&mut value);
        assert_eq!(value["opened_at"], "2026-01-01T00:00:00.123Z");
        assert_eq!(value["text"], "2026-01-01T00:00:00.123456Z");
        assert_eq!(
            value["changed"]["snoozed_until"],
            json!([null, "2026-01-01T00:00:00.000Z"])
        );
    }

    #[test]
    fn a_queued_event_shows_a_queued_reply_however_far_it_is_now() {
        let mut message = json!({ "delivery": { "status": "failed", "code": "x", "detail": "y" } });
        as_it_was("message.queued", message.as_object_mut().unwrap());
        assert_eq!(message["delivery"]["status"], "queued");
        assert_eq!(message["delivery"]["code"], Value::Null);
    }
}
