//! The two bodies that travel through the broker. A new field is optional for
//! one release.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

/// Version of both bodies.
pub const VERSION: u8 = 1;

/// One platform event on its way to inbox. It carries the raw event, because
/// nothing is stored yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ingress {
    /// [`VERSION`].
    pub v: u8,
    /// `x`
    pub platform: String,
    /// The app in the webhook's path.
    pub app: String,
    /// Platform id of the connected account; empty where the event names none.
    #[serde(default)]
    pub account_id: String,
    /// Platform id of the customer; empty where the event names none.
    #[serde(default)]
    pub counterpart_id: String,
    /// Hash of platform, app and the two ids; fixed for ever.
    pub bucket: u8,
    /// `dm`, `typing`, `read`, `chat`, `revoke`, or the platform's own word.
    pub kind: String,
    /// The platform's id, else one made from the body.
    pub event_id: String,
    /// Follows the event from webhook to reply.
    pub request_id: String,
    /// RFC 3339 with milliseconds, by the ingester's clock.
    pub received_at: String,
    /// The single event as the platform wrote it.
    pub body: Box<RawValue>,
    /// The platform's users map, where it sent one.
    #[serde(default)]
    pub users: Option<Box<RawValue>>,
    /// The platform's apps map, where it sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apps: Option<Box<RawValue>>,
}

/// Says that an event was written to the log. Ids only: consumers re-read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPointer {
    /// [`VERSION`].
    pub v: u8,
    /// Whose log.
    pub brand_id: Uuid,
    /// Which event.
    pub event_id: Uuid,
    /// Its type, such as `message.received`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The conversation, where it concerns one.
    #[serde(default)]
    pub conversation_id: Option<Uuid>,
    /// Its place in the conversation.
    #[serde(default)]
    pub seq: Option<i64>,
    /// Its place in the brand's log.
    pub position: i64,
    /// Decides the routing key and the queue.
    pub bucket: u8,
    /// The request that caused it, where there was one.
    #[serde(default)]
    pub request_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_raw_event_keeps_its_bytes() {
        let text = r#"{"v":1,"platform":"x","app":"main","account_id":"1","counterpart_id":"2","bucket":7,"kind":"dm","event_id":"9","request_id":"r","received_at":"2026-01-02T03:04:05.678Z","body":{"a" : "\u00e9\/"},"users":null}"#;
        let ingress: Ingress = serde_json::from_str(text).unwrap();
        assert_eq!(ingress.body.get(), r#"{"a" : "\u00e9\/"}"#);
        assert_eq!(serde_json::to_string(&ingress).unwrap(), text);
    }

    #[test]
    fn a_pointer_without_conversation_reads_back() {
        let text = format!(
            r#"{{"v":1,"brand_id":"{0}","event_id":"{0}","type":"member.updated","position":4,"bucket":3}}"#,
            Uuid::nil()
        );
        let pointer: EventPointer = serde_json::from_str(&text).unwrap();
        assert_eq!(pointer.kind, "member.updated");
        assert_eq!(pointer.conversation_id, None);
    }
}
