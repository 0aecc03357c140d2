//! Fixtures are invented, in the shapes that X publishes.

use serde_json::{Value, json};

use super::*;

const BRAND: &str = "7100000000000000001";
const CUSTOMER: &str = "8200000000000000002";
const ID: &str = "1900000000000000001";

fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap()
}

fn run(kind: &str, body: &Value) -> Result<Normalised, NormaliseError> {
    normalise(kind, Some(BRAND), ID, &raw(body), None)
}

fn body_with(data: &Value) -> Value {
    json!({
        "type": "message_create", "id": ID, "created_timestamp": "1760000000123",
        "message_create": {"target": {"recipient_id": BRAND}, "sender_id": CUSTOMER, "message_data": data},
    })
}

fn message(body: &Value) -> PlatformMessage {
    match run("dm", body) {
        Ok(Normalised::Message(message)) => *message,
        other => panic!("{other:?}"),
    }
}

fn fault(body: &Value) -> NormaliseError {
    run("dm", body).unwrap_err()
}

#[test]
fn a_plain_message_is_read_whole() {
    let message = message(&body_with(&json!({
        "text": "one\ntwo \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}", "entities": {"urls": [], "hashtags": []}
    })));
    assert_eq!(
        (message.event_id.as_str(), message.event_no),
        (ID, 1_900_000_000_000_000_001)
    );
    assert_eq!(message.sent_at.as_millisecond(), 1_760_000_000_123);
    assert_eq!(
        (message.sender_id.as_str(), message.recipient_id.as_str()),
        (CUSTOMER, BRAND)
    );
    assert_eq!(
        message.text,
        "one\ntwo \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}"
    );
    assert_eq!(message.display_text(), message.text);
    assert_eq!(message.entities, json!({"urls": [], "hashtags": []}));
    assert_eq!(
        (message.quick_replies, message.buttons),
        (Value::Null, Value::Null)
    );
    assert!(message.attachments.is_empty() && message.source_app_id.is_none());
}

#[test]
fn a_text_over_any_limit_is_not_cut() {
    let text = "\u{e9}".repeat(12_000);
    assert_eq!(message(&body_with(&json!({"text": text}))).text, text);
}

#[test]
fn the_time_is_a_string_a_number_or_inside_the_id() {
    let at = |time: Value| {
        let mut body = body_with(&json!({"text": "a"}));
        body["created_timestamp"] = time;
        message(&body).sent_at
    };
    assert_eq!(at(json!("1760000000123")), at(json!(1_760_000_000_123_i64)));
    for odd in [
        json!(null),
        json!("soon"),
        json!(-5),
        json!({}),
        json!("9223372036854775807"),
    ] {
        assert_eq!(at(odd), snowflake::time_of(1_900_000_000_000_000_001));
    }
}

#[test]
fn a_picture_is_an_attachment_and_its_link_is_no_text() {
    let picture = json!({"type": "media", "media": {
        "id": 1_900_000_000_000_000_000_i64, "id_str": "1900000000000000123", "type": "photo",
        "media_url_https": "https://ton.twitter.com/1.1/ton/data/dm/19/1900000000000000123/pic.jpg",
        "url": "https://t.co/AbCdEfGhIj",
        "sizes": {"thumb": {"w": 150, "h": 150}, "large": {"w": 1080, "h": 720}},
    }});
    for (text, shown) in [
        (" https://t.co/AbCdEfGhIj", ""),
        ("look at this https://t.co/AbCdEfGhIj", "look at this"),
        (
            "https://t.co/AbCdEfGhIj is the link",
            "https://t.co/AbCdEfGhIj is the link",
        ),
    ] {
        let message = message(&body_with(&json!({"text": text, "attachment": picture})));
        assert_eq!(
            (message.text.as_str(), message.display_text()),
            (text, shown)
        );
        let attachment = &message.attachments[0];
        assert_eq!(attachment.kind, AttachmentKind::Photo);
        assert_eq!(attachment.media_id.as_deref(), Some("1900000000000000123"));
        assert!(
            attachment
                .source_url
                .as_deref()
                .unwrap()
                .ends_with("pic.jpg")
        );
        assert_eq!(
            (attachment.width, attachment.height),
            (Some(1080), Some(720))
        );
        assert_eq!(attachment.raw, picture);
    }
}

#[test]
fn of_a_film_the_best_mp4_is_taken() {
    let message = message(&body_with(
        &json!({"text": "", "attachment": {"type": "media", "media": {
            "id_str": "5", "type": "video", "media_url_https": "https://pbs.twimg.com/still.jpg",
            "video_info": {"variants": [
                {"content_type": "application/x-mpegURL", "url": "https://video.twimg.com/a.m3u8"},
                {"content_type": "video/mp4", "bitrate": 320_000, "url": "https://video.twimg.com/low.mp4"},
                {"content_type": "video/mp4", "bitrate": 2_176_000, "url": "https://video.twimg.com/high.mp4"},
                {"content_type": "video/mp4", "bitrate": 832_000, "url": "https://video.twimg.com/mid.mp4"},
                {"content_type": "video/mp4", "bitrate": 9_999_999, "url": "file:///etc/passwd"}, null, 7],
            },
        }}}),
    ));
    let film = &message.attachments[0];
    assert_eq!(film.kind, AttachmentKind::Video);
    assert_eq!(
        film.source_url.as_deref(),
        Some("https://video.twimg.com/high.mp4")
    );
    assert_eq!(film.content_type.as_deref(), Some("video/mp4"));
    assert_eq!(
        film.preview_url.as_deref(),
        Some("https://pbs.twimg.com/still.jpg")
    );
}

#[test]
fn a_place_and_an_unknown_attachment_are_kept() {
    let place = json!({"type": "location", "location": {"type": "shared_coordinate",
        "shared_coordinate": {"coordinates": {"type": "Point", "coordinates": [7.1, 50.7]}}}});
    let kept = message(&body_with(&json!({"text": "here", "attachment": place})));
    assert_eq!(
        (kept.attachments[0].kind.as_str(), &kept.attachments[0].raw),
        ("location", &place)
    );
    let kept = message(&body_with(&json!({"attachment": {"type": "hologram"}})));
    assert_eq!(
        (kept.attachments[0].kind.as_str(), kept.text.as_str()),
        ("hologram", "")
    );
    for odd in [json!(null), json!([]), json!("x"), json!(1)] {
        let kept = message(&body_with(&json!({"text": "a", "attachment": odd})));
        assert!(kept.attachments.is_empty());
    }
}

#[test]
fn quick_replies_buttons_and_answers_are_kept_as_sent() {
    let question = json!({"type": "options", "options": [{"label": "Yes", "metadata": "y"}]});
    let buttons = json!([{"type": "web_url", "label": "Open", "url": "https://example.com"}]);
    let kept = message(&body_with(
        &json!({"text": "ok?", "quick_reply": question, "ctas": buttons}),
    ));
    assert_eq!((kept.quick_replies, kept.buttons), (question, buttons));
    let answer = json!({"type": "options", "metadata": "y"});
    let kept = message(&body_with(
        &json!({"text": "Yes", "quick_reply_response": answer}),
    ));
    assert_eq!(
        (kept.text.as_str(), kept.quick_reply_answer),
        ("Yes", Some(answer))
    );
}

#[test]
fn what_led_the_customer_here_and_which_app_sent_are_read() {
    let mut body = body_with(&json!({"text": "hi"}));
    body["initiated_via"] = json!({"tweet_id": "123", "welcome_message_id": 456});
    body["message_create"]["source_app_id"] = json!(77);
    let kept = message(&body);
    let via = kept.initiated_via.unwrap();
    assert_eq!(
        (via.tweet_id.as_deref(), via.welcome_message_id.as_deref()),
        (Some("123"), Some("456"))
    );
    assert_eq!(kept.source_app_id.as_deref(), Some("77"));
    for odd in [json!(null), json!({}), json!([]), json!({"tweet_id": {}})] {
        body["initiated_via"] = odd;
        assert_eq!(message(&body).initiated_via, None);
    }
}

#[test]
fn people_are_read_in_both_shapes_and_may_be_missing() {
    let users = json!({
        CUSTOMER: {"id": CUSTOMER, "name": "A Customer \u{2744}", "screen_name": "customer",
            "profile_image_url": "http://pbs.twimg.com/a.jpg", "profile_image_url_https": "https://pbs.twimg.com/a.jpg"},
        BRAND: {"data": {"id": BRAND, "name": "A Brand", "username": "brand", "profile_image_url": "https://pbs.twimg.com/b.jpg"}},
        "5": {"data": null}, "6": null, "7": {"name": 3}, "x": {"name": "no id"},
    });
    let body = raw(&body_with(&json!({"text": "hi"})));
    let Normalised::Message(message) =
        normalise("dm", Some(BRAND), ID, &body, Some(&raw(&users))).unwrap()
    else {
        panic!()
    };
    let seen = |id: &str| {
        let profile = message.profile(id).unwrap();
        (
            profile.name.clone().unwrap(),
            profile.handle.clone().unwrap(),
            profile.avatar_url.clone().unwrap(),
        )
    };
    assert_eq!(
        seen(CUSTOMER),
        (
            "A Customer \u{2744}".into(),
            "customer".into(),
            "https://pbs.twimg.com/a.jpg".into()
        )
    );
    assert_eq!(
        seen(BRAND),
        (
            "A Brand".into(),
            "brand".into(),
            "https://pbs.twimg.com/b.jpg".into()
        )
    );
    assert!(
        ["5", "6", "7", "x"]
            .iter()
            .all(|id| message.profile(id).is_none())
    );
}

#[test]
fn a_message_without_something_to_show_is_an_error() {
    for (data, field) in [
        (json!(null), "message_data"),
        (json!([]), "message_data"),
        (json!({}), "text"),
        (json!({"text": null}), "text"),
        (json!({"text": ["a"]}), "text"),
    ] {
        assert_eq!(
            fault(&body_with(&data)),
            NormaliseError::Field(field),
            "{data}"
        );
    }
    assert_eq!(message(&body_with(&json!({"text": ""}))).text, "");
    assert_eq!(message(&body_with(&json!({"text": 42}))).text, "42");
}

#[test]
fn a_number_that_fits_nowhere_costs_only_its_own_field() {
    let text = body_with(&json!({"text": "hi", "entities": "HERE"})).to_string();
    let body = RawValue::from_string(text.replace("\"HERE\"", "{\"n\":1e999}")).unwrap();
    let Normalised::Message(message) = normalise("dm", None, ID, &body, None).unwrap() else {
        panic!()
    };
    assert_eq!(
        (message.text.as_str(), message.entities),
        ("hi", Value::Null)
    );
}

#[test]
fn a_message_of_other_accounts_is_refused() {
    let body = raw(&body_with(&json!({"text": "hi"})));
    let refused = normalise("dm", Some("5"), ID, &body, None).unwrap_err();
    assert_eq!(refused, NormaliseError::ForeignAccount);
}

#[test]
fn typing_and_read_say_who_and_how_far() {
    let mut body = json!({"created_timestamp": "1760000000123", "sender_id": CUSTOMER, "target": {"recipient_id": BRAND}});
    let Normalised::Typing {
        sender_id,
        recipient_id,
    } = run("typing", &body).unwrap()
    else {
        panic!()
    };
    assert_eq!(
        (sender_id.as_str(), recipient_id.as_str()),
        (CUSTOMER, BRAND)
    );
    assert_eq!(
        run("read", &body).unwrap_err(),
        NormaliseError::Field("last_read_event_id")
    );
    body["last_read_event_id"] = json!("19");
    let Normalised::Read {
        reader_id,
        last_read_event_no,
        at,
        ..
    } = run("read", &body).unwrap()
    else {
        panic!()
    };
    assert_eq!(
        (reader_id.as_str(), last_read_event_no, at.as_millisecond()),
        (CUSTOMER, 19, 1_760_000_000_123)
    );
}

#[test]
fn encrypted_messages_are_unreadable_and_other_chat_is_nothing() {
    let mut body = json!({"event_type": "chat.received", "payload": {
        "sender_id": CUSTOMER, "created_at_msec": "1760000000123", "conversation_id": "a:b"}});
    let Normalised::Unreadable {
        event_id,
        sender_id,
        at,
        conversation_id,
    } = run("chat", &body).unwrap()
    else {
        panic!()
    };
    assert_eq!(
        (event_id.as_str(), sender_id.as_str(), at.as_millisecond()),
        (ID, CUSTOMER, 1_760_000_000_123)
    );
    assert_eq!(conversation_id.as_deref(), Some("a:b"));
    body["payload"]["created_at_msec"] = json!(null);
    assert_eq!(
        run("chat", &body).unwrap_err(),
        NormaliseError::Field("created_at_msec")
    );
    body["event_type"] = json!("chat.conversation.join");
    assert!(matches!(run("chat", &body), Ok(Normalised::Other)));
}

#[test]
fn revocations_are_read_from_both_envelopes() {
    let old = json!({"revoke": {"date_time": "2026-05-24T09:48:12+00:00", "target": {"app_id": "77"}, "source": {"user_id": BRAND}}});
    let new = json!({"event_type": "oauth.revoke", "payload": {"date_time": "2026-05-24T09:48:12+00:00", "app_id": 77, "user_id": BRAND}});
    for body in [old, new] {
        let Normalised::Revoked {
            user_id,
            app_id,
            at,
        } = run("revoke", &body).unwrap()
        else {
            panic!()
        };
        assert_eq!((user_id.as_str(), app_id.as_deref()), (BRAND, Some("77")));
        assert_eq!(at, Some("2026-05-24T09:48:12Z".parse().unwrap()));
    }
}

#[test]
fn other_kinds_are_left_to_the_caller() {
    for kind in ["follow", "malformed", "unknown", "post.create", ""] {
        assert!(
            matches!(run(kind, &json!([1])), Ok(Normalised::Other)),
            "{kind}"
        );
    }
}
