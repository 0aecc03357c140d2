//! What a webhook may hold besides events: each body gets a clear answer, nothing signed is lost,
//! nothing unsigned is kept, and the next customer is served as if nothing had been.

use std::time::Duration;

use jiff::Timestamp;
use roost_tests::db::{Brand, snowflake};
use roost_tests::system::{Layout, Options, System};
use roost_tests::wait::until;
use roost_tests::webhook::Dm;
use serde_json::{Value, json};

const MESSAGES: &str = "select count(*) from messages";
const RAW: &str = "select count(*) from raw_unclaimed";

/// What has to become of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
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

/// Only the way in: the other roles have no part in this.
pub(crate) async fn ingest_only() -> (System, Brand) {
    let options = Options { layout: Layout::Only("ingester,inbox,relay"), ..Options::default() };
    let system = System::start(options).await;
    let brand = system.db.brand("Acme", 1).await;
    (system, brand)
}

/// A fresh DM from one of many customers.
pub(crate) fn dm(brand: &Brand, number: i64, text: &str) -> Dm {
    let now = Timestamp::now();
    Dm {
        id: snowflake(now, number),
        at_ms: now.as_millisecond(),
        from: (1_000_000_000 + number).to_string(),
        to: brand.account_id.clone(),
        text: text.to_owned(),
    }
}

/// A DM's body with one place replaced; `place` is a JSON pointer, of the first event or of the body.
fn with(brand: &Brand, number: i64, place: &str, value: Value) -> String {
    let mut body = dm(brand, number, "well formed elsewhere").body();
    let (parent, key) = place.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap_or_else(|| panic!("{place}"));
    match parent {
        Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
        parent => parent[key] = value,
    }
    body.to_string()
}

/// A DM's body without one key.
fn without(brand: &Brand, number: i64, place: &str) -> String {
    let mut body = dm(brand, number, "well formed elsewhere").body();
    let (parent, key) = place.rsplit_once('/').unwrap();
    body.pointer_mut(parent).and_then(Value::as_object_mut).unwrap().remove(key).unwrap();
    body.to_string()
}

const EVENT: &str = "/direct_message_events/0";

/// Bodies that are signed and odd.
fn odd_bodies(brand: &Brand) -> Vec<(&'static str, Vec<u8>, Fate)> {
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
    add("for_user_id is a number", with(brand, next(), "/for_user_id", json!(account)), Messages(1));
    let n = next();
    add("id is a number", with(brand, n, &at("/id"), json!(snowflake(Timestamp::now(), n))), Messages(1));
    add("sender is a number", with(brand, next(), &at("/message_create/sender_id"), json!(77)), Messages(1));
    let target = json!({ "recipient_id": account });
    add("recipient is a number", with(brand, next(), &at("/message_create/target"), target), Messages(1));
    add("time is a number", with(brand, next(), &at("/created_timestamp"), json!(Timestamp::now().as_millisecond())), Messages(1));
    add("time is missing", without(brand, next(), &at("/created_timestamp")), Messages(1));
    add("time is nonsense", with(brand, next(), &at("/created_timestamp"), json!("yesterday")), Messages(1));
    add("time is far in the future", with(brand, next(), &at("/created_timestamp"), json!("9999999999999")), Messages(1));
    add("for_user_id is missing", without(brand, next(), "/for_user_id"), Messages(1));
    add("for_user_id is null", with(brand, next(), "/for_user_id", Value::Null), Messages(1));
    add("text is a number", with(brand, next(), &at("/message_create/message_data/text"), json!(5)), Messages(1));
    add("text is empty", with(brand, next(), &at("/message_create/message_data/text"), json!("")), Messages(1));
    add("text is long", with(brand, next(), &at("/message_create/message_data/text"), json!("é".repeat(20_000))), Messages(1));

    // Unknown and broken company.
    add("unknown fields", with(brand, next(), &at("/message_create/mood"), json!({ "a": [1, null] })), Messages(1));
    add("unknown top-level text", with(brand, next(), "/user_has_blocked", json!("false")), Messages(1));
    add("users is missing", without(brand, next(), "/users"), Messages(1));
    add("users is an array", with(brand, next(), "/users", json!([1, 2])), Messages(1));
    add("users is null", with(brand, next(), "/users", Value::Null), Messages(1));
    let n = next();
    let nobody = with(brand, n, &format!("/users/{}", 1_000_000_000 + n), Value::Null);
    add("the customer's profile is null", nobody, Messages(1));
    let n = next();
    let strange = json!({ "name": ["x"], "screen_name": 7, "profile_image_url_https": { "a": 1 } });
    add("the customer's profile is strange", with(brand, n, &format!("/users/{}", 1_000_000_000 + n), strange), Messages(1));
    let n = next();
    let large = json!({ "name": "n".repeat(5_000), "screen_name": "s".repeat(5_000), "profile_image_url_https": "javascript:alert(1)" });
    add("the customer's profile is large", with(brand, n, &format!("/users/{}", 1_000_000_000 + n), large), Messages(1));
    add("entities is null", with(brand, next(), &at("/message_create/message_data/entities"), Value::Null), Messages(1));
    add("entities is a text", with(brand, next(), &at("/message_create/message_data/entities"), json!("x")), Messages(1));
    add("attachment is a number", with(brand, next(), &at("/message_create/message_data/attachment"), json!(5)), Messages(1));
    let empty = json!({ "type": "media", "media": [] });
    add("media is an array", with(brand, next(), &at("/message_create/message_data/attachment"), empty), Messages(1));
    let huge = json!({ "type": "media", "media": { "id": 1, "type": "photo", "media_url_https": 3, "sizes": { "large": { "w": -5, "h": 1.5e300 } } } });
    add("media has impossible sizes", with(brand, next(), &at("/message_create/message_data/attachment"), huge), Messages(1));
    add("the answer to a quick reply is a text", with(brand, next(), &at("/message_create/message_data/quick_reply_response"), json!("x")), Messages(1));
    add("initiated_via is a list", with(brand, next(), &at("/initiated_via"), json!([1])), Messages(1));
    add("source_app_id is an object", with(brand, next(), &at("/message_create/source_app_id"), json!({})), Messages(1));

    // Not to be read as a message: kept as it came.
    add("message_create is null", with(brand, next(), &at("/message_create"), Value::Null), Raw(1));
    add("message_data is null", with(brand, next(), &at("/message_create/message_data"), Value::Null), Raw(1));
    add("text is missing", without(brand, next(), &at("/message_create/message_data/text")), Raw(1));
    add("text is an object", with(brand, next(), &at("/message_create/message_data/text"), json!({})), Raw(1));
    add("target is null", with(brand, next(), &at("/message_create/target"), Value::Null), Raw(1));
    add("sender is missing", without(brand, next(), &at("/message_create/sender_id")), Raw(1));
    add("sender is a word", with(brand, next(), &at("/message_create/sender_id"), json!("bob")), Raw(1));
    add("id is missing", without(brand, next(), &at("/id")), Raw(1));
    add("id is no id", with(brand, next(), &at("/id"), json!("-17")), Raw(1));
    add("id is larger than an id", with(brand, next(), &at("/id"), json!("92233720368547758070")), Raw(1));
    add("the event is null", with(brand, next(), EVENT, Value::Null), Raw(1));
    add("the event is a text", with(brand, next(), EVENT, json!("hello")), Raw(1));
    add("another type", with(brand, next(), &at("/type"), json!("participants_join")), Raw(1));
    add("of two strangers", with(brand, next(), "/for_user_id", json!("5")), Raw(1));
    let n = next();
    add("to oneself", with(brand, n, &at("/message_create/sender_id"), json!(brand.account_id)), Raw(1));
    add("an unknown array", json!({ "for_user_id": brand.account_id, "some_future_events": [{ "a": 1 }, { "a": 2 }] }).to_string(), Raw(2));
    add("no known key", json!({ "hello": "world" }).to_string(), Raw(1));
    add("an empty object", "{}".to_owned(), Raw(1));
    add("an array", "[1,2]".to_owned(), Raw(1));
    add("a text", "\"just a text\"".to_owned(), Raw(1));
    add("events is null", json!({ "for_user_id": brand.account_id, "direct_message_events": null }).to_string(), Raw(1));
    add("data is null", json!({ "data": null }).to_string(), Raw(1));
    add("data is a text", json!({ "data": "x" }).to_string(), Raw(1));
    add("event_type is a number", json!({ "data": { "event_uuid": "1", "event_type": 4 } }).to_string(), Raw(1));
    add("payload is null", json!({ "data": { "event_uuid": "2", "event_type": "dm.received", "filter": null, "payload": null } }).to_string(), Raw(1));
    add("an unknown event_type", json!({ "data": { "event_uuid": "-3", "event_type": "dream.begin", "filter": { "user_id": brand.account_id }, "payload": { "x": 1 } } }).to_string(), Raw(1));
    add("of an account that isn't connected", with(brand, next(), "/for_user_id", json!("5")).replace(&brand.account_id, "5"), Raw(1));
    let typing = json!({ "for_user_id": brand.account_id, "direct_message_indicate_typing_events": [{ "sender_id": "9", "target": null }] });
    add("typing at nobody", typing.to_string(), Raw(1));
    let typing = json!({ "for_user_id": brand.account_id, "direct_message_indicate_typing_events": [
        { "created_timestamp": "1", "sender_id": "9", "target": { "recipient_id": "10" } }] });
    add("typing of strangers", typing.to_string(), Nothing);

    // No document of events.
    for (name, body) in [("a number", "17"), ("null", "null"), ("true", "true"), ("nothing", ""), ("half a document", "{\"for_user_id\":"), ("words", "hello")] {
        add(name, body.to_owned(), Refused);
    }
    add("deeper than anyone reads", format!("{}1{}", "[".repeat(200), "]".repeat(200)), Refused);
    rows.push(("bytes that are no text", b"{\"a\":\"\xff\xfe\"}".to_vec(), Refused));
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_odd_body_gets_a_clear_answer_and_nothing_signed_is_lost() {
    let (system, brand) = ingest_only().await;
    let (mut messages, mut raw) = (0, 0);
    for (name, body, fate) in odd_bodies(&brand) {
        let status = system.webhook.post_bytes(body).await;
        assert_eq!(status, if fate == Refused { 400 } else { 200 }, "{name}");
        match fate {
            Messages(count) => messages += count,
            Raw(count) => raw += count,
            Nothing | Refused => {}
        }
        let seen = until(name, Duration::from_secs(10), || async {
            let counts = (system.count(MESSAGES).await, system.count(RAW).await);
            (counts.0 + counts.1 >= messages + raw).then_some(counts)
        });
        assert_eq!(seen.await, (messages, raw), "messages and raw events after: {name}");
    }
    // The next customer.
    assert_eq!(system.webhook.post(&dm(&brand, 9_999, "as if nothing had been").body()).await, 200);
    system.wait_for_count(MESSAGES, messages + 1).await;
    assert_eq!(system.count(MESSAGES).await, messages + 1);
    assert_eq!(system.count("select count(*) from dead_messages").await, 0);
    assert_eq!(system.metric("roost_service_task_failures_total", &[]).await, 0.0);
    assert!(system.metric("roost_ingester_malformed_total", &[]).await >= 10.0);
    assert_eq!(system.metric("roost_ingester_webhooks_total", &["result=\"not_json\""]).await, 5.0);
    assert_eq!(system.metric("roost_ingester_webhooks_total", &["result=\"not_events\""]).await, 3.0);
    assert!(!system.log().contains("panicked"), "{}", system.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_survive_whatever_characters_they_have() {
    let (system, brand) = ingest_only().await;
    let cases = [
        (r"lone \ud83d surrogate", "lone \u{fffd} surrogate"),
        (r"lone low \udc00 surrogate", "lone low \u{fffd} surrogate"),
        (r"nul \u0000 inside", "nul \u{fffd} inside"),
        (r"pair \ud83e\udd89 escaped", "pair 🦉 escaped"),
        ("raw 🦉👩‍👩‍👧🇫🇷 and 𝕬", "raw 🦉👩‍👩‍👧🇫🇷 and 𝕬"),
        (r"\u202egnp.exe \u200b", "\u{202e}gnp.exe \u{200b}"),
        (r"line\nbreak\ttab \\ \/ \u0001", "line\nbreak\ttab \\ / \u{1}"),
    ];
    for (number, (escaped, _)) in cases.iter().enumerate() {
        let body = dm(&brand, i64::try_from(number).unwrap(), "PLACE").body().to_string();
        assert_eq!(system.webhook.post_bytes(body.replace("PLACE", escaped)).await, 200, "{escaped}");
    }
    system.wait_for_count(MESSAGES, i64::try_from(cases.len()).unwrap()).await;
    let mut owner = system.db.owner().await;
    let mut stored: Vec<String> =
        sqlx::query_scalar("select text from messages").fetch_all(&mut owner).await.unwrap();
    let mut wanted: Vec<String> = cases.iter().map(|(_, text)| (*text).to_owned()).collect();
    stored.sort();
    wanted.sort();
    assert_eq!(stored, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_signed_right_is_refused_and_leaves_nothing() {
    let (system, brand) = ingest_only().await;
    let body = dm(&brand, 1, "forged").body().to_string().into_bytes();
    let right = system.webhook.signature(&body);
    let of_another_body = system.webhook.signature(b"{}");
    let no_base64 = "sha256=%%%";
    let short = &right[..right.len() - 4];
    let other_hash = right.replace("sha256=", "sha1=");
    for signature in [None, Some(""), Some("sha256="), Some(no_base64), Some(short), Some(&other_hash), Some(&of_another_body)] {
        let status = system.webhook.post_with(body.clone(), signature, None).await;
        assert_eq!(status, Some(401), "{signature:?}");
    }
    // One byte more than what was signed.
    let mut longer = body.clone();
    longer.push(b' ');
    assert_eq!(system.webhook.post_with(longer, Some(&right), None).await, Some(401));
    assert_eq!(system.metric("roost_ingester_webhooks_total", &["result=\"unauthorized\""]).await, 8.0);
    // A signed one overtakes nothing: had the others been queued, they would come first.
    assert_eq!(system.webhook.post(&dm(&brand, 1, "genuine").body()).await, 200);
    system.wait_for_count(MESSAGES, 1).await;
    assert_eq!(system.count(MESSAGES).await, 1);
    assert_eq!(system.count(RAW).await, 0);
    assert_eq!(system.count("select count(*) from spool").await, 0);
    assert_eq!(system.count("select count(*) from messages where text = 'genuine'").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_challenge_page_signs_tokens_and_nothing_else() {
    let (system, brand) = ingest_only().await;
    let (status, body) = system.webhook.challenge("a1B2-c3_D4").await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &answer["response_token"]), (200, &json!(system.webhook.signature(b"a1B2-c3_D4"))));
    for token in [dm(&brand, 1, "x").body().to_string().as_str(), "{}", "[]", "", "\"a\""] {
        let (status, body) = system.webhook.challenge(token).await;
        assert_eq!(status, 400, "{token}");
        assert!(!body.contains("sha256="), "{token}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_mebibytes_are_taken_and_a_byte_more_is_not() {
    const LIMIT: usize = 8 * 1024 * 1024;
    let (system, brand) = ingest_only().await;
    let mut body = dm(&brand, 1, "a large envelope").body().to_string().into_bytes();
    body.resize(LIMIT, b' ');
    assert_eq!(system.webhook.post_bytes(body.clone()).await, 200);
    body.push(b' ');
    let signature = system.webhook.signature(&body);
    // The server may hang up before the last byte was sent; then no answer is read.
    let status = system.webhook.post_with(body, Some(&signature), None).await;
    assert!(matches!(status, Some(413) | None), "{status:?}");
    until("the refusal to be counted", Duration::from_secs(5), || async {
        (system.metric("roost_ingester_webhooks_total", &["result=\"too_large\""]).await >= 1.0).then_some(())
    })
    .await;
    system.wait_for_count(MESSAGES, 1).await;
    assert_eq!(system.count(MESSAGES).await + system.count(RAW).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_events_in_one_post_are_a_thousand_messages() {
    let (system, brand) = ingest_only().await;
    let events: Vec<Value> = (0..1_000).map(|n| dm(&brand, n % 50, "x")).enumerate().map(|(n, dm)| {
        let n = i64::try_from(n).unwrap();
        Dm { id: snowflake(Timestamp::now(), n), text: format!("number {n}"), ..dm }.element()
    }).collect();
    let body = json!({ "for_user_id": brand.account_id, "direct_message_events": events });
    assert_eq!(system.webhook.post(&body).await, 200);
    // A customer of the same account who writes meanwhile is not behind them for long.
    assert_eq!(system.webhook.post(&dm(&brand, 5_000, "and me").body()).await, 200);
    system.wait_for_count(MESSAGES, 1_001).await;
    // X posts all of it again.
    assert_eq!(system.webhook.post(&body).await, 200);
    until("the copies to be recognised", Duration::from_secs(20), || async {
        (system.metric("roost_inbox_events_total", &["outcome=\"duplicate\""]).await >= 1_000.0).then_some(())
    })
    .await;
    assert_eq!(system.count(MESSAGES).await, 1_001);
    assert_eq!(system.count("select count(*) from conversations").await, 51);
}
