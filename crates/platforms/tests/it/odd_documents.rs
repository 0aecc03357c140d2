//! Whatever is signed and posted, splitting and normalising end with a value.

use proptest::prelude::*;
use roost_platforms::x::normalise::{Normalised, normalise};
use roost_platforms::x::split::{RawEvent, split};
use serde_json::{Value, json};

/// A document that holds all that we read, in both envelopes.
fn rich_document() -> Value {
    let message = json!({
        "type": "message_create", "id": "1900000000000000001", "created_timestamp": "1760000000123",
        "initiated_via": {"tweet_id": "5", "welcome_message_id": "6"},
        "message_create": {
            "target": {"recipient_id": "71"}, "sender_id": "82", "source_app_id": "9",
            "message_data": {
                "text": "hi \u{1f4a7} https://t.co/a",
                "entities": {"urls": [{"url": "https://t.co/a", "indices": [5, 19]}]},
                "quick_reply": {"type": "options", "options": [{"label": "a"}]},
                "quick_reply_response": {"type": "options", "metadata": "m"},
                "ctas": [{"type": "web_url", "label": "a", "url": "https://example.com"}],
                "attachment": {"type": "media", "media": {
                    "id": 5, "id_str": "5", "type": "video", "url": "https://t.co/a",
                    "media_url_https": "https://pbs.twimg.com/a.jpg", "sizes": {"large": {"w": 1, "h": 2}},
                    "video_info": {"variants": [{"content_type": "video/mp4", "bitrate": 1, "url": "https://v.example/a"}]},
                }},
            },
        },
    });
    let activity = json!({
        "created_timestamp": "1760000000123", "sender_id": "82", "target": {"recipient_id": "71"},
        "last_read_event_id": "7",
    });
    let users = json!({"82": {"id": "82", "name": "n", "screen_name": "s"}, "71": {"data": {"id": "71", "username": "u"}}});
    json!({
        "for_user_id": "71",
        "direct_message_events": [message],
        "direct_message_indicate_typing_events": [activity],
        "direct_message_mark_read_events": [activity],
        "user_event": {"revoke": {"date_time": "2026-01-01T00:00:00+00:00", "target": {"app_id": "9"}, "source": {"user_id": "71"}}},
        "follow_events": [{"type": "follow", "source": {"id": "82"}}],
        "users": users, "apps": {"9": {"id": "9"}},
        "data": [
            {"event_uuid": "-1", "filter": {"user_id": "71"}, "event_type": "dm.received",
             "payload": {"direct_message_events": [message], "users": users}},
            {"event_uuid": "2", "filter": {"user_id": "71"}, "event_type": "chat.received", "payload": {
                "id": "u", "created_at_msec": "1760000000123", "sender_id": "82", "conversation_id": "82:71"}},
            {"event_uuid": "3", "filter": {}, "event_type": "oauth.revoke", "payload": {"user_id": "71", "app_id": "9"}},
        ],
    })
}

fn pointers(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, inner)| pointers(inner, &format!("{at}/{key}"), out)),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(n, inner)| pointers(inner, &format!("{at}/{n}"), out)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Every promise that holds for any document.
fn check(raw: &[u8]) -> Vec<RawEvent> {
    let Ok(events) = split(raw) else {
        return Vec::new();
    };
    assert!(!events.is_empty());
    for event in &events {
        assert!(
            (1..=96).contains(&event.event_id.len()) && (1..=66).contains(&event.kind.len()),
            "{event:?}"
        );
        assert_eq!(
            event.fault.is_some(),
            event.kind == "malformed",
            "{event:?}"
        );
        if event.kind == "dm" {
            assert!(event.parties.is_some() && event.event_id.parse::<i64>().unwrap() > 0);
            assert_eq!(
                event.account_id.is_some(),
                event.counterpart_id.is_some(),
                "{event:?}"
            );
        }
        let result = normalise(
            &event.kind,
            event.account_id.as_deref(),
            &event.event_id,
            &event.body,
            event.users.as_deref(),
        );
        if let Ok(Normalised::Message(message)) = &result {
            assert_eq!(message.event_id, event.event_id);
            assert!(
                !message.text.contains('\0') && message.display_text().len() <= message.text.len()
            );
        }
    }
    events
}

#[test]
fn the_rich_document_is_understood_whole() {
    let events = check(rich_document().to_string().as_bytes());
    let mut kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            "chat", "dm", "dm", "follow", "read", "revoke", "revoke", "typing"
        ]
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9]{1,20}".prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        "[a-z_]{0,8}",
        prop::sample::select(vec![
            "for_user_id",
            "direct_message_events",
            "data",
            "users",
            "user_event",
            "payload",
            "id"
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(key.clone(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8_000))]

    #[test]
    fn any_field_may_hold_anything(pick in any::<prop::sample::Index>(), again in any::<prop::sample::Index>(), value in any_json(), other in any_json()) {
        let mut document = rich_document();
        for (pick, value) in [(pick, value), (again, other)] {
            let mut places = Vec::new();
            pointers(&document, "", &mut places);
            *document.pointer_mut(pick.get::<String>(&places)).unwrap() = value;
        }
        check(document.to_string().as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6_000))]

    #[test]
    fn any_json_is_taken(value in any_json()) {
        let raw = value.to_string();
        let events = check(raw.as_bytes());
        prop_assert_eq!(events.is_empty(), matches!(value, Value::Null | Value::Bool(_) | Value::Number(_)));
    }

    #[test]
    fn bytes_may_be_broken_anywhere(at in any::<prop::sample::Index>(), cut in 0_usize..40, with in prop::collection::vec(any::<u8>(), 0..6)) {
        let mut raw = rich_document().to_string().into_bytes();
        let at = at.index(raw.len());
        let end = (at + cut).min(raw.len());
        raw.splice(at..end, with);
        check(&raw);
    }
}
