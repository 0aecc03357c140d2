//! Signed bodies that are odd in one way each, and what has to become of them.

use jiff::Timestamp;
use roost_tests::db::{Brand, snowflake};
use serde_json::{Value, json};

use crate::bad_input::dm;

/// What has to become of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// 200, and so many messages.
    Messages(i64),
    /// 200, and so many raw events.
    Raw(i64),
    /// 200, and nothing is worth keeping.
    Nothing,
    /// 400, and nothing is kept.
    Refused,
}

use Fate::{Messages, Nothing, Raw, Refused};

/// A DM's body with one place replaced; `place` is a JSON pointer, of the first event or of the body.
fn with(brand: &Brand, number: i64, place: &str, value: Value) -> String {
    let mut body = dm(brand, number, "well formed elsewhere").body();
    let (parent, key) = place.rsplit_once('/').unwrap();
    let parent = body
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("{place}"));
    if let Some(items) = parent.as_array_mut() {
        items[key.parse::<usize>().unwrap()] = value;
    } else {
        parent[key] = value;
    }
    body.to_string()
}

/// A DM's body without one key.
fn without(brand: &Brand, number: i64, place: &str) -> String {
    let mut body = dm(brand, number, "well formed elsewhere").body();
    let (parent, key) = place.rsplit_once('/').unwrap();
    body.pointer_mut(parent)
        .and_then(Value::as_object_mut)
        .unwrap()
        .remove(key)
        .unwrap();
    body.to_string()
}

const EVENT: &str = "/direct_message_events/0";

/// Bodies that are signed and odd.
pub(crate) fn odd_bodies(brand: &Brand) -> Vec<(&'static str, Vec<u8>, Fate)> {
    let mut number = 0;
    let mut next = || {
        number += 1;
        number
    };
    let mut rows: Vec<(&'static str, Vec<u8>, Fate)> = Vec::new();
    let mut add = |name, body: String, fate| rows.push((name, body.into_bytes(), fate));
    let at = |rest: &str| format!("{EVENT}{rest}");
    let account: i64 = brand.account_id.parse().unwrap();

    // Ids and texts in other clothes.
    add(
        "for_user_id is a number",
        with(brand, next(), "/for_user_id", json!(account)),
        Messages(1),
    );
    let n = next();
    add(
        "id is a number",
        with(brand, n, &at("/id"), json!(snowflake(Timestamp::now(), n))),
        Messages(1),
    );
    add(
        "sender is a number",
        with(brand, next(), &at("/message_create/sender_id"), json!(77)),
        Messages(1),
    );
    let target = json!({ "recipient_id": account });
    add(
        "recipient is a number",
        with(brand, next(), &at("/message_create/target"), target),
        Messages(1),
    );
    add(
        "time is a number",
        with(
            brand,
            next(),
            &at("/created_timestamp"),
            json!(Timestamp::now().as_millisecond()),
        ),
        Messages(1),
    );
    add(
        "time is missing",
        without(brand, next(), &at("/created_timestamp")),
        Messages(1),
    );
    add(
        "time is nonsense",
        with(brand, next(), &at("/created_timestamp"), json!("yesterday")),
        Messages(1),
    );
    add(
        "time is far in the future",
        with(
            brand,
            next(),
            &at("/created_timestamp"),
            json!("9999999999999"),
        ),
        Messages(1),
    );
    add(
        "for_user_id is missing",
        without(brand, next(), "/for_user_id"),
        Messages(1),
    );
    add(
        "for_user_id is null",
        with(brand, next(), "/for_user_id", Value::Null),
        Messages(1),
    );
    add(
        "text is a number",
        with(
            brand,
            next(),
            &at("/message_create/message_data/text"),
            json!(5),
        ),
        Messages(1),
    );
    add(
        "text is empty",
        with(
            brand,
            next(),
            &at("/message_create/message_data/text"),
            json!(""),
        ),
        Messages(1),
    );
    add(
        "text is long",
        with(
            brand,
            next(),
            &at("/message_create/message_data/text"),
            json!("é".repeat(20_000)),
        ),
        Messages(1),
    );

    // Unknown and broken company.
    add(
        "unknown fields",
        with(
            brand,
            next(),
            &at("/message_create/mood"),
            json!({ "a": [1, null] }),
        ),
        Messages(1),
    );
    add(
        "unknown top-level text",
        with(brand, next(), "/user_has_blocked", json!("false")),
        Messages(1),
    );
    add(
        "users is missing",
        without(brand, next(), "/users"),
        Messages(1),
    );
    add(
        "users is an array",
        with(brand, next(), "/users", json!([1, 2])),
        Messages(1),
    );
    add(
        "users is null",
        with(brand, next(), "/users", Value::Null),
        Messages(1),
    );
    let n = next();
    let nobody = with(
        brand,
        n,
        &format!("/users/{}", 1_000_000_000 + n),
        Value::Null,
    );
    add("the customer's profile is null", nobody, Messages(1));
    let n = next();
    let strange = json!({ "name": ["x"], "screen_name": 7, "profile_image_url_https": { "a": 1 } });
    add(
        "the customer's profile is strange",
        with(brand, n, &format!("/users/{}", 1_000_000_000 + n), strange),
        Messages(1),
    );
    let n = next();
    let large = json!({ "name": "n".repeat(5_000), "screen_name": "s".repeat(5_000), "profile_image_url_https": "javascript:alert(1)" });
    add(
        "the customer's profile is large",
        with(brand, n, &format!("/users/{}", 1_000_000_000 + n), large),
        Messages(1),
    );
    add(
        "entities is null",
        with(
            brand,
            next(),
            &at("/message_create/message_data/entities"),
            Value::Null,
        ),
        Messages(1),
    );
    add(
        "entities is a text",
        with(
            brand,
            next(),
            &at("/message_create/message_data/entities"),
            json!("x"),
        ),
        Messages(1),
    );
    add(
        "attachment is a number",
        with(
            brand,
            next(),
            &at("/message_create/message_data/attachment"),
            json!(5),
        ),
        Messages(1),
    );
    let empty = json!({ "type": "media", "media": [] });
    add(
        "media is an array",
        with(
            brand,
            next(),
            &at("/message_create/message_data/attachment"),
            empty,
        ),
        Messages(1),
    );
    let huge = json!({ "type": "media", "media": { "id": 1, "type": "photo", "media_url_https": 3, "sizes": { "large": { "w": -5, "h": 1.5e300 } } } });
    add(
        "media has impossible sizes",
        with(
            brand,
            next(),
            &at("/message_create/message_data/attachment"),
            huge,
        ),
        Messages(1),
    );
    add(
        "the answer to a quick reply is a text",
        with(
            brand,
            next(),
            &at("/message_create/message_data/quick_reply_response"),
            json!("x"),
        ),
        Messages(1),
    );
    add(
        "initiated_via is a list",
        with(brand, next(), &at("/initiated_via"), json!([1])),
        Messages(1),
    );
    add(
        "source_app_id is an object",
        with(
            brand,
            next(),
            &at("/message_create/source_app_id"),
            json!({}),
        ),
        Messages(1),
    );

    // Not to be read as a message: kept as it came.
    add(
        "message_create is null",
        with(brand, next(), &at("/message_create"), Value::Null),
        Raw(1),
    );
    add(
        "message_data is null",
        with(
            brand,
            next(),
            &at("/message_create/message_data"),
            Value::Null,
        ),
        Raw(1),
    );
    add(
        "text is missing",
        without(brand, next(), &at("/message_create/message_data/text")),
        Raw(1),
    );
    add(
        "text is an object",
        with(
            brand,
            next(),
            &at("/message_create/message_data/text"),
            json!({}),
        ),
        Raw(1),
    );
    add(
        "target is null",
        with(brand, next(), &at("/message_create/target"), Value::Null),
        Raw(1),
    );
    add(
        "sender is missing",
        without(brand, next(), &at("/message_create/sender_id")),
        Raw(1),
    );
    add(
        "sender is a word",
        with(
            brand,
            next(),
            &at("/message_create/sender_id"),
            json!("bob"),
        ),
        Raw(1),
    );
    add("id is missing", without(brand, next(), &at("/id")), Raw(1));
    add(
        "id is no id",
        with(brand, next(), &at("/id"), json!("-17")),
        Raw(1),
    );
    add(
        "id is larger than an id",
        with(brand, next(), &at("/id"), json!("92233720368547758070")),
        Raw(1),
    );
    add(
        "the event is null",
        with(brand, next(), EVENT, Value::Null),
        Raw(1),
    );
    add(
        "the event is a text",
        with(brand, next(), EVENT, json!("hello")),
        Raw(1),
    );
    add(
        "another type",
        with(brand, next(), &at("/type"), json!("participants_join")),
        Raw(1),
    );
    add(
        "of two strangers",
        with(brand, next(), "/for_user_id", json!("5")),
        Raw(1),
    );
    let n = next();
    add(
        "to oneself",
        with(
            brand,
            n,
            &at("/message_create/sender_id"),
            json!(brand.account_id),
        ),
        Raw(1),
    );
    add(
        "an unknown array",
        json!({ "for_user_id": brand.account_id, "some_future_events": [{ "a": 1 }, { "a": 2 }] })
            .to_string(),
        Raw(2),
    );
    add(
        "no known key",
        json!({ "hello": "world" }).to_string(),
        Raw(1),
    );
    add("an empty object", "{}".to_owned(), Raw(1));
    add("an array", "[1,2]".to_owned(), Raw(1));
    add("a text", "\"just a text\"".to_owned(), Raw(1));
    add(
        "events is null",
        json!({ "for_user_id": brand.account_id, "direct_message_events": null }).to_string(),
        Raw(1),
    );
    add("data is null", json!({ "data": null }).to_string(), Raw(1));
    add("data is a text", json!({ "data": "x" }).to_string(), Raw(1));
    add(
        "event_type is a number",
        json!({ "data": { "event_uuid": "1", "event_type": 4 } }).to_string(),
        Raw(1),
    );
    add("payload is null", json!({ "data": { "event_uuid": "2", "event_type": "dm.received", "filter": null, "payload": null } }).to_string(), Raw(1));
    add("an unknown event_type", json!({ "data": { "event_uuid": "-3", "event_type": "dream.begin", "filter": { "user_id": brand.account_id }, "payload": { "x": 1 } } }).to_string(), Raw(1));
    add(
        "of an account that isn't connected",
        with(brand, next(), "/for_user_id", json!("5")).replace(&brand.account_id, "5"),
        Raw(1),
    );
    let typing = json!({ "for_user_id": brand.account_id, "direct_message_indicate_typing_events": [{ "sender_id": "9", "target": null }] });
    add("typing at nobody", typing.to_string(), Raw(1));
    let typing = json!({ "for_user_id": brand.account_id, "direct_message_indicate_typing_events": [
        { "created_timestamp": "1", "sender_id": "9", "target": { "recipient_id": "10" } }] });
    add("typing of strangers", typing.to_string(), Nothing);

    // No document of events.
    for (name, body) in [
        ("a number", "17"),
        ("null", "null"),
        ("true", "true"),
        ("nothing", ""),
        ("half a document", "{\"for_user_id\":"),
        ("words", "hello"),
    ] {
        add(name, body.to_owned(), Refused);
    }
    add(
        "deeper than anyone reads",
        format!("{}1{}", "[".repeat(200), "]".repeat(200)),
        Refused,
    );
    rows.push((
        "bytes that are no text",
        b"{\"a\":\"\xff\xfe\"}".to_vec(),
        Refused,
    ));
    rows
}
