//! Fixtures are invented, in the shapes that X publishes.

use serde_json::{Value, json};

use super::*;

const BRAND: &str = "7100000000000000001";
const CUSTOMER: &str = "8200000000000000002";

fn split_json(document: &Value) -> Vec<RawEvent> {
    split(document.to_string().as_bytes()).unwrap()
}

fn only(document: &Value) -> RawEvent {
    let mut events = split_json(document);
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

fn message(id: &str, from: &str, to: &str) -> Value {
    json!({
        "type": "message_create", "id": id, "created_timestamp": "1760000000123",
        "message_create": {
            "target": {"recipient_id": to}, "sender_id": from,
            "message_data": {"text": "hello", "entities": {"urls": []}},
        },
    })
}

fn aaa(messages: &[Value]) -> Value {
    json!({"for_user_id": BRAND, "direct_message_events": messages})
}

fn xaa(event_type: &str, payload: &Value) -> Value {
    json!({"data": {
        "event_uuid": "-42", "filter": {"user_id": BRAND}, "event_type": event_type, "payload": payload,
    }})
}

fn summary(event: &RawEvent) -> (&str, &str, Option<&str>, Option<&str>) {
    (
        &event.kind,
        &event.event_id,
        event.account_id.as_deref(),
        event.counterpart_id.as_deref(),
    )
}

#[test]
fn a_message_is_the_same_event_in_both_envelopes_and_directions() {
    for (from, to, event_type) in [
        (CUSTOMER, BRAND, "dm.received"),
        (BRAND, CUSTOMER, "dm.sent"),
    ] {
        let body = message("1900000000000000001", from, to);
        let old = only(&aaa(std::slice::from_ref(&body)));
        let new = only(&xaa(event_type, &json!({"direct_message_events": [body]})));
        for event in [old, new] {
            assert_eq!(
                summary(&event),
                ("dm", "1900000000000000001", Some(BRAND), Some(CUSTOMER))
            );
            assert_eq!(
                serde_json::from_str::<Value>(event.body.get()).unwrap(),
                body
            );
            let parties = event.parties.unwrap();
            assert_eq!(
                (parties.sender_id.as_str(), parties.recipient_id.as_str()),
                (from, to)
            );
        }
    }
}

#[test]
fn every_element_of_every_array_becomes_one_event_in_order() {
    let events = split_json(&json!({
        "for_user_id": BRAND,
        "direct_message_events": [message("11", CUSTOMER, BRAND), message("12", CUSTOMER, BRAND)],
        "direct_message_indicate_typing_events": [
            {"created_timestamp": "1760000000123", "sender_id": CUSTOMER, "target": {"recipient_id": BRAND}}],
        "direct_message_mark_read_events": [
            {"created_timestamp": "1760000000123", "sender_id": CUSTOMER, "target": {"recipient_id": BRAND},
             "last_read_event_id": "12"}],
        "follow_events": [{"type": "follow", "source": {"id": CUSTOMER}}],
        "tweet_create_events": [{"id": 10, "id_str": "1900000000000000010", "text": "hi"}],
        "wormhole_events": [{"shape": "cube"}, 3, null],
        "user_has_blocked": "false",
    }));
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "dm",
            "dm",
            "typing",
            "read",
            "follow",
            "tweet_create",
            "wormhole",
            "wormhole",
            "wormhole"
        ]
    );
    assert_eq!(events[2].event_id, format!("typing:{CUSTOMER}"));
    assert_eq!(events[3].counterpart_id.as_deref(), Some(CUSTOMER));
    assert_eq!(events[5].event_id, "1900000000000000010");
    assert_eq!(events[4].event_id.len(), 32);
    assert!(
        events
            .iter()
            .all(|event| event.account_id.as_deref() == Some(BRAND))
    );
}

#[test]
fn ids_as_numbers_are_read_exactly() {
    let raw = format!(
        r#"{{"for_user_id":{BRAND},"direct_message_events":[{{"type":"message_create","id":1900000000000000001,
        "message_create":{{"target":{{"recipient_id":{BRAND}}},"sender_id":{CUSTOMER},"message_data":{{"text":"a"}}}}}}]}}"#
    );
    let events = split(raw.as_bytes()).unwrap();
    assert_eq!(
        summary(&events[0]),
        ("dm", "1900000000000000001", Some(BRAND), Some(CUSTOMER))
    );
}

#[test]
fn a_message_without_for_user_id_keeps_its_parties() {
    for account in [Value::Null, json!([]), json!("me"), json!(-1), json!({})] {
        let event = only(&json!({
            "for_user_id": account, "direct_message_events": [message("11", CUSTOMER, BRAND)]
        }));
        assert_eq!(summary(&event), ("dm", "11", None, None));
        assert_eq!(event.parties.unwrap().recipient_id, BRAND);
    }
}

#[test]
fn what_cannot_be_used_is_kept_as_malformed_with_its_fault() {
    let with = |pointer: &str, value: Value| {
        let mut body = message("11", CUSTOMER, BRAND);
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    for (body, fault) in [
        (json!(null), Fault::NotAnObject),
        (json!("text"), Fault::NotAnObject),
        (json!([1, 2]), Fault::NotAnObject),
        (with("/id", json!(null)), Fault::IdUnusable),
        (with("/id", json!("abc")), Fault::IdUnusable),
        (with("/id", json!(1.5)), Fault::IdUnusable),
        (with("/message_create", json!(null)), Fault::SenderUnusable),
        (with("/message_create", json!([])), Fault::SenderUnusable),
        (
            with("/message_create/sender_id", json!({})),
            Fault::SenderUnusable,
        ),
        (
            with("/message_create/target", json!(["7"])),
            Fault::RecipientUnusable,
        ),
        (
            with("/message_create/target/recipient_id", json!(null)),
            Fault::RecipientUnusable,
        ),
        (message("11", CUSTOMER, "5"), Fault::ForeignAccount),
    ] {
        let event = only(&aaa(std::slice::from_ref(&body)));
        assert_eq!(
            (event.kind.as_str(), event.fault),
            ("malformed", Some(fault)),
            "{body}"
        );
        assert_eq!(
            serde_json::from_str::<Value>(event.body.get()).unwrap(),
            body
        );
        assert!(!event.event_id.is_empty());
    }
}

#[test]
fn an_odd_element_does_not_harm_its_neighbours() {
    let events = split_json(&aaa(&[
        message("11", CUSTOMER, BRAND),
        json!({"id": {}}),
        message("12", CUSTOMER, BRAND),
    ]));
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["dm", "malformed", "dm"]);
}

#[test]
fn an_object_or_null_where_an_array_belongs_is_tolerated() {
    let single =
        json!({"for_user_id": BRAND, "direct_message_events": message("11", CUSTOMER, BRAND)});
    assert_eq!(only(&single).kind, "dm");
    let scalar = json!({"for_user_id": BRAND, "direct_message_events": 5});
    assert_eq!(only(&scalar).fault, Some(Fault::NotAnObject));
    let null = json!({"for_user_id": BRAND, "direct_message_events": null});
    assert_eq!(only(&null).kind, "unknown");
}

#[test]
fn typing_for_a_foreign_account_has_no_counterpart() {
    let event = only(&json!({
        "for_user_id": "5",
        "direct_message_indicate_typing_events": [{"sender_id": CUSTOMER, "target": {"recipient_id": BRAND}}],
    }));
    assert_eq!(
        summary(&event),
        ("typing", &*format!("typing:{CUSTOMER}"), Some("5"), None)
    );
}

#[test]
fn revocations_name_their_account_in_both_envelopes() {
    let old = only(&json!({"user_event": {"revoke": {
        "date_time": "2026-05-24T09:48:12+00:00", "target": {"app_id": "77"}, "source": {"user_id": BRAND},
    }}}));
    let new = only(&json!({"data": {
        "event_uuid": "593", "filter": {}, "event_type": "oauth.revoke",
        "payload": {"date_time": "2026-05-24T09:48:12+00:00", "user_id": BRAND, "app_id": "77"},
    }}));
    assert_eq!(
        (old.kind.as_str(), old.account_id.as_deref()),
        ("revoke", Some(BRAND))
    );
    assert_eq!(summary(&new), ("revoke", "593", Some(BRAND), None));
    let odd = only(&json!({"user_event": {"revoke": {"source": null}}}));
    assert_eq!(odd.kind, "malformed");
    assert_eq!(
        only(&json!({"user_event": {"promote": {}}})).kind,
        "user_event"
    );
}

#[test]
fn encrypted_chat_is_one_kind_and_keeps_its_type_in_the_body() {
    let payload = json!({
        "id": "0b5f6f6e-2a55-4b34-9a54-1f6b5dc5a001", "created_at_msec": "1760000000123",
        "sender_id": CUSTOMER, "conversation_id": format!("{CUSTOMER}:{BRAND}"), "encoded_event": "AAAA",
    });
    let event = only(&xaa("chat.received", &payload));
    assert_eq!(
        summary(&event),
        (
            "chat",
            "0b5f6f6e-2a55-4b34-9a54-1f6b5dc5a001",
            Some(BRAND),
            Some(CUSTOMER)
        )
    );
    assert!(event.body.get().contains("chat.received"));
    let sent = only(&xaa(
        "chat.sent",
        &json!({"sender_id": BRAND, "conversation_id": format!("{CUSTOMER}:{BRAND}")}),
    ));
    assert_eq!(summary(&sent), ("chat", "-42", Some(BRAND), Some(CUSTOMER)));
    let joined = only(&xaa(
        "chat.conversation.join",
        &json!({"id": "g1", "sender_id": CUSTOMER}),
    ));
    assert_eq!(
        summary(&joined),
        ("chat", "-42", Some(BRAND), Some(CUSTOMER))
    );
}

#[test]
fn other_activity_keeps_its_name_and_its_whole_data() {
    let document = xaa("post.mention.create", &json!({"id": "1", "text": "hi"}));
    let event = only(&document);
    assert_eq!(
        summary(&event),
        ("post.mention.create", "-42", Some(BRAND), None)
    );
    assert_eq!(
        serde_json::from_str::<Value>(event.body.get()).unwrap(),
        document["data"]
    );
}

#[test]
fn activity_of_unpublished_shape_stays_raw_under_its_own_name() {
    assert_eq!(only(&xaa("dm.read", &json!({"who": 1}))).kind, "dm.read");
    assert_eq!(
        only(&xaa("dm.indicate_typing", &Value::Null)).kind,
        "dm.indicate_typing"
    );
    let typing = json!({"direct_message_indicate_typing_events": [
        {"sender_id": CUSTOMER, "target": {"recipient_id": BRAND}}]});
    assert_eq!(only(&xaa("dm.indicate_typing", &typing)).kind, "typing");
    let lost = only(&xaa("dm.received", &json!({"direct_message_events": null})));
    assert_eq!(
        (lost.kind.as_str(), lost.fault),
        ("malformed", Some(Fault::PayloadUnusable))
    );
    let untyped = only(&json!({"data": {"payload": {}}}));
    assert_eq!(untyped.fault, Some(Fault::TypeUnusable));
    assert_eq!(only(&json!({"data": 7})).fault, Some(Fault::NotAnObject));
}

#[test]
fn a_replay_report_is_an_event_of_its_own() {
    let event = only(&json!({"replay_job_status": {"job_id": "1", "job_state": "Complete"}}));
    assert_eq!(
        (event.kind.as_str(), event.account_id),
        ("replay_job_status", None)
    );
}

#[test]
fn names_of_x_never_pass_for_ours() {
    assert_eq!(only(&json!({"dm_events": [{"id": "1"}]})).kind, "x.dm");
    assert_eq!(only(&xaa("typing", &json!({}))).kind, "x.typing");
    assert_eq!(only(&json!({"we\u{2603}ird": [{}]})).kind, "unknown");
    assert_eq!(only(&json!({"_events": [{}]})).kind, "_events");
    let other = json!({"type": "message_delete", "id": "9"});
    assert_eq!(only(&aaa(&[other])).kind, "direct_message");
}

#[test]
fn a_document_without_events_is_kept_whole() {
    for document in [
        json!({}),
        json!({"for_user_id": BRAND}),
        json!({"ping": true}),
    ] {
        let event = only(&document);
        assert_eq!(event.kind, "unknown");
        assert_eq!(event.body.get(), document.to_string());
    }
    for document in [json!([]), json!([{"a": 1}]), json!("text")] {
        assert_eq!(only(&document).fault, Some(Fault::NotAnObject));
    }
}

#[test]
fn what_is_not_json_is_refused() {
    for raw in [
        &b""[..],
        b" ",
        b"{",
        b"{}x",
        b"\xff{}",
        b"{\"a\":\"\xff\"}",
        b"{\"a\":\"\x00\"}",
        b"test=1",
        b"{'a':1}",
    ] {
        assert_eq!(split(raw).unwrap_err(), SplitError::NotJson, "{raw:?}");
    }
    for raw in [&b"null"[..], b"true", b"0", b"-1e9"] {
        assert_eq!(split(raw).unwrap_err(), SplitError::NotAnEvent, "{raw:?}");
    }
}

#[test]
fn a_depth_bomb_is_refused_and_brackets_in_text_are_not() {
    let bomb = |depth: usize| format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(
        split(bomb(1_000_000).as_bytes()).unwrap_err(),
        SplitError::NotJson
    );
    assert!(split(bomb(MAX_DEPTH - 1).as_bytes()).is_ok());
    let text = json!({"hologram_events": ["[\\\"".repeat(1000)]});
    assert_eq!(split_json(&text).len(), 1);
}

#[test]
fn too_many_events_are_refused() {
    let raw = format!("{{\"x_events\":[{}0]}}", "0,".repeat(MAX_EVENTS));
    assert_eq!(
        split(raw.as_bytes()).unwrap_err(),
        SplitError::TooManyEvents
    );
    let raw = format!("{{\"data\":[{}0]}}", "0,".repeat(MAX_EVENTS));
    assert_eq!(
        split(raw.as_bytes()).unwrap_err(),
        SplitError::TooManyEvents
    );
}

#[test]
fn a_thousand_events_carry_only_their_own_people() {
    let customer = |n: usize| (1000 + n).to_string();
    let messages: Vec<Value> = (0..1000)
        .map(|n| message(&(n + 1).to_string(), &customer(n), BRAND))
        .collect();
    let mut users: serde_json::Map<String, Value> = (0..1000)
        .map(|n| {
            (
                customer(n),
                json!({"id": customer(n), "name": "x".repeat(200)}),
            )
        })
        .collect();
    users.insert(
        BRAND.to_owned(),
        json!({"data": {"id": BRAND, "username": "brand"}}),
    );
    let events = split_json(
        &json!({"for_user_id": BRAND, "direct_message_events": messages, "users": users}),
    );
    assert_eq!(events.len(), 1000);
    for (n, event) in events.iter().enumerate() {
        let own: serde_json::Map<String, Value> =
            serde_json::from_str(event.users.as_ref().unwrap().get()).unwrap();
        assert_eq!(own.keys().collect::<Vec<_>>(), [&customer(n), BRAND]);
    }
}

#[test]
fn odd_user_maps_are_left_out() {
    for users in [
        json!(null),
        json!([]),
        json!("x"),
        json!({}),
        json!({"x": 1}),
    ] {
        let event = only(&json!({
            "for_user_id": BRAND, "direct_message_events": [message("11", CUSTOMER, BRAND)], "users": users
        }));
        assert_eq!((event.kind.as_str(), event.users.is_none()), ("dm", true));
    }
}

#[test]
fn the_sending_app_travels_with_its_message() {
    let mut body = message("11", BRAND, CUSTOMER);
    body["message_create"]["source_app_id"] = json!("77");
    let event = only(&json!({
        "for_user_id": BRAND, "direct_message_events": [body],
        "apps": {"77": {"id": "77", "name": "Desk"}, "78": {"id": "78"}},
    }));
    assert_eq!(
        event.apps.unwrap().get(),
        r#"{"77":{"id":"77","name":"Desk"}}"#
    );
}

#[test]
fn escapes_and_unstorable_characters_survive_as_text() {
    let raw = format!(
        r#"{{"for_user_id":"{BRAND}","direct_message_events":[{{"type":"message_create","id":"1","message_create":{{
        "target":{{"recipient_id":"{BRAND}"}},"sender_id":"{CUSTOMER}",
        "message_data":{{"text":"a\u0000b\ud83d\/\ud83d\udca7"}}}}}}]}}"#
    );
    let events = split(raw.as_bytes()).unwrap();
    let body: Value = serde_json::from_str(events[0].body.get()).unwrap();
    assert_eq!(
        body["message_create"]["message_data"]["text"],
        "a\u{fffd}b\u{fffd}/\u{1f4a7}"
    );
}
