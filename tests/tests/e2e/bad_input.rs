//! What a webhook may hold besides events: each body gets a clear answer, nothing signed is lost,
//! nothing unsigned is kept, and the next customer is served as if nothing had been.

use std::time::Duration;

use jiff::Timestamp;
use roost_tests::db::{Brand, snowflake};
use roost_tests::system::{Layout, Options, System};
use roost_tests::wait::until;
use roost_tests::webhook::Dm;
use serde_json::{Value, json};

use crate::odd_bodies::Fate::{Messages, Nothing, Raw, Refused};
use crate::odd_bodies::odd_bodies;

const MESSAGES: &str = "select count(*) from messages";
const RAW: &str = "select count(*) from raw_unclaimed";

/// Only the way in: the other roles have no part in this.
pub(crate) async fn ingest_only() -> (System, Brand) {
    let options = Options {
        layout: Layout::Only("ingester,inbox,relay"),
        ..Options::default()
    };
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
        assert_eq!(
            seen.await,
            (messages, raw),
            "messages and raw events after: {name}"
        );
    }
    // The next customer.
    assert_eq!(
        system
            .webhook
            .post(&dm(&brand, 9_999, "as if nothing had been").body())
            .await,
        200
    );
    system.wait_for_count(MESSAGES, messages + 1).await;
    assert_eq!(system.count(MESSAGES).await, messages + 1);
    assert_eq!(system.count("select count(*) from dead_messages").await, 0);
    assert_eq!(
        system
            .metric("roost_service_task_failures_total", &[])
            .await,
        0.0
    );
    assert!(system.metric("roost_ingester_malformed_total", &[]).await >= 10.0);
    assert_eq!(
        system
            .metric("roost_ingester_webhooks_total", &["result=\"not_json\""])
            .await,
        5.0
    );
    assert_eq!(
        system
            .metric("roost_ingester_webhooks_total", &["result=\"not_events\""])
            .await,
        3.0
    );
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
        (
            r"line\nbreak\ttab \\ \/ \u0001",
            "line\nbreak\ttab \\ / \u{1}",
        ),
    ];
    for (number, (escaped, _)) in cases.iter().enumerate() {
        let body = dm(&brand, i64::try_from(number).unwrap(), "PLACE")
            .body()
            .to_string();
        assert_eq!(
            system
                .webhook
                .post_bytes(body.replace("PLACE", escaped))
                .await,
            200,
            "{escaped}"
        );
    }
    system
        .wait_for_count(MESSAGES, i64::try_from(cases.len()).unwrap())
        .await;
    let mut owner = system.db.owner().await;
    let mut stored: Vec<String> = sqlx::query_scalar("select text from messages")
        .fetch_all(&mut owner)
        .await
        .unwrap();
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
    for signature in [
        None,
        Some(""),
        Some("sha256="),
        Some(no_base64),
        Some(short),
        Some(&other_hash),
        Some(&of_another_body),
    ] {
        let status = system
            .webhook
            .post_with(body.clone(), signature, None)
            .await;
        assert_eq!(status, Some(401), "{signature:?}");
    }
    // One byte more than what was signed.
    let mut longer = body.clone();
    longer.push(b' ');
    assert_eq!(
        system.webhook.post_with(longer, Some(&right), None).await,
        Some(401)
    );
    assert_eq!(
        system
            .metric(
                "roost_ingester_webhooks_total",
                &["result=\"unauthorized\""]
            )
            .await,
        8.0
    );
    // A signed one overtakes nothing: had the others been queued, they would come first.
    assert_eq!(
        system.webhook.post(&dm(&brand, 1, "genuine").body()).await,
        200
    );
    system.wait_for_count(MESSAGES, 1).await;
    assert_eq!(system.count(MESSAGES).await, 1);
    assert_eq!(system.count(RAW).await, 0);
    assert_eq!(system.count("select count(*) from spool").await, 0);
    assert_eq!(
        system
            .count("select count(*) from messages where text = 'genuine'")
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_challenge_page_signs_tokens_and_nothing_else() {
    let (system, brand) = ingest_only().await;
    let (status, body) = system.webhook.challenge("a1B2-c3_D4").await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &answer["response_token"]),
        (200, &json!(system.webhook.signature(b"a1B2-c3_D4")))
    );
    for token in [
        dm(&brand, 1, "x").body().to_string().as_str(),
        "{}",
        "[]",
        "",
        "\"a\"",
    ] {
        let (status, body) = system.webhook.challenge(token).await;
        assert_eq!(status, 400, "{token}");
        assert!(!body.contains("sha256="), "{token}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_mebibytes_are_taken_and_a_byte_more_is_not() {
    const LIMIT: usize = 8 * 1024 * 1024;
    let (system, brand) = ingest_only().await;
    let mut body = dm(&brand, 1, "a large envelope")
        .body()
        .to_string()
        .into_bytes();
    body.resize(LIMIT, b' ');
    assert_eq!(system.webhook.post_bytes(body.clone()).await, 200);
    body.push(b' ');
    let signature = system.webhook.signature(&body);
    // The server may hang up before the last byte was sent; then no answer is read.
    let status = system.webhook.post_with(body, Some(&signature), None).await;
    assert!(matches!(status, Some(413) | None), "{status:?}");
    until(
        "the refusal to be counted",
        Duration::from_secs(5),
        || async {
            (system
                .metric("roost_ingester_webhooks_total", &["result=\"too_large\""])
                .await
                >= 1.0)
                .then_some(())
        },
    )
    .await;
    system.wait_for_count(MESSAGES, 1).await;
    assert_eq!(system.count(MESSAGES).await + system.count(RAW).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_events_in_one_post_are_a_thousand_messages() {
    let (system, brand) = ingest_only().await;
    let events: Vec<Value> = (0..1_000)
        .map(|n| dm(&brand, n % 50, "x"))
        .enumerate()
        .map(|(n, dm)| {
            let n = i64::try_from(n).unwrap();
            Dm {
                id: snowflake(Timestamp::now(), n),
                text: format!("number {n}"),
                ..dm
            }
            .element()
        })
        .collect();
    let body = json!({ "for_user_id": brand.account_id, "direct_message_events": events });
    assert_eq!(system.webhook.post(&body).await, 200);
    // A customer of the same account who writes meanwhile is not behind them for long.
    assert_eq!(
        system
            .webhook
            .post(&dm(&brand, 5_000, "and me").body())
            .await,
        200
    );
    system.wait_for_count(MESSAGES, 1_001).await;
    // X posts all of it again.
    assert_eq!(system.webhook.post(&body).await, 200);
    until(
        "the copies to be recognised",
        Duration::from_secs(20),
        || async {
            (system
                .metric("roost_inbox_events_total", &["outcome=\"duplicate\""])
                .await
                >= 1_000.0)
                .then_some(())
        },
    )
    .await;
    assert_eq!(system.count(MESSAGES).await, 1_001);
    assert_eq!(system.count("select count(*) from conversations").await, 51);
}
