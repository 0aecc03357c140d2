use crate::support::{Running, SECRET, dead_bus, dead_store, dm, live_bus, post_of};
use roost_bus::Lane;
use roost_domain::bucket::bucket_of;
use roost_platforms::x::signature;
use roost_service::Metrics;
use roost_store::spool;
use roost_tests::db::TestDb;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_signed_dm_is_in_its_queue_before_the_answer() {
    let role = Running::live(None).await;
    let response = role
        .post(&post_of("7001", &[dm(11, "7001", "42", "caf\\u00e9")]))
        .await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-request-id"], "req-from-outside");
    let events = role.received(Lane::Main, 1).await;
    let event = &events[0];
    assert_eq!((event.v, event.kind.as_str()), (1, "dm"));
    assert_eq!(
        (event.account_id.as_str(), event.counterpart_id.as_str()),
        ("7001", "42")
    );
    assert_eq!(
        (event.event_id.as_str(), event.app.as_str()),
        ("11", "main")
    );
    assert_eq!(event.bucket, bucket_of("x", "main", "42", "7001"));
    assert_eq!(event.request_id, "req-from-outside");
    assert!(
        event.body.get().contains("caf\\u00e9"),
        "raw bytes are kept"
    );
    assert!(role.counts("roost_ingester_webhooks_total{result=\"published\"} 1"));
    assert!(role.counts("roost_ingester_events_total{kind=\"dm\"} 1"));
    role.finish().await;
}

#[tokio::test]
async fn the_previous_secret_is_good_during_rotation() {
    let role = Running::live(None).await;
    let body = post_of("7001", &[dm(1, "7001", "42", "hi")]);
    let signed = signature::sign(&"older-secret".into(), body.as_bytes());
    assert_eq!(role.post_signed(&body, &signed).await.status(), 200);
    role.finish().await;
}

#[tokio::test]
async fn a_thousand_events_of_one_account_take_the_bulk_lane_together() {
    let role = Running::live(None).await;
    let dms: Vec<_> = (1..=1_000)
        .map(|n| dm(n, "7001", &n.to_string(), "x"))
        .collect();
    assert_eq!(role.post(&post_of("7001", &dms)).await.status(), 200);
    assert_eq!(role.received(Lane::Bulk, 1_000).await.len(), 1_000);
    assert_eq!(
        role.post(&post_of("7002", &[dm(1, "7002", "5", "x")]))
            .await
            .status(),
        200
    );
    assert_eq!(role.received(Lane::Main, 1).await[0].account_id, "7002");
    role.finish().await;
}

#[tokio::test]
async fn odd_but_signed_documents_are_kept_raw_and_counted() {
    let role = Running::live(None).await;
    for body in [
        r#"{"replay_job_status":{"webhook_id":"1","job_state":"Complete"}}"#,
        r#"{"for_user_id":"7001","direct_message_events":[{"id":3}]}"#,
        r#"{"for_user_id":"7001","direct_message_events":null,"new_thing":[{"id":"8"}]}"#,
        "[]",
        "{}",
    ] {
        assert_eq!(role.post(body).await.status(), 200, "{body}");
    }
    assert_eq!(role.received(Lane::Main, 5).await.len(), 5);
    assert!(role.counts("roost_ingester_events_total{kind=\"malformed\"} 2"));
    role.finish().await;
}

#[tokio::test]
async fn without_a_broker_events_are_spooled_and_drained_to_the_bulk_lane() {
    let db = TestDb::new().await;
    let metrics = Metrics::new();
    let role = Running::start(dead_bus(&metrics), Some(db.store.clone()), metrics);
    let body = post_of(
        "7001",
        &[dm(1, "7001", "42", "a"), dm(2, "7001", "43", "b")],
    );
    let started = Instant::now();
    assert_eq!(role.post(&body).await.status(), 200);
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "no waiting for a broker known to be away"
    );
    assert_eq!(spool::depth(&db.store).await.unwrap(), 2);
    assert!(role.counts("roost_ingester_webhooks_total{result=\"spooled\"} 1"));
    let typing = r#"{"for_user_id":"7001","direct_message_indicate_typing_events":[{"created_timestamp":"1766000000000","sender_id":"42","target":{"recipient_id":"7001"}}]}"#;
    assert_eq!(role.post(typing).await.status(), 200);
    assert_eq!(
        spool::depth(&db.store).await.unwrap(),
        2,
        "typing is not worth a row"
    );
    assert!(role.counts("roost_ingester_dropped_typing_total 1"));
    role.finish().await;

    let metrics = Metrics::new();
    let role = Running::start(live_bus(&metrics).await, Some(db.store.clone()), metrics);
    let mut ids: Vec<_> = role
        .received(Lane::Bulk, 2)
        .await
        .into_iter()
        .map(|event| event.event_id)
        .collect();
    ids.sort();
    assert_eq!(ids, ["1", "2"]);
    roost_tests::wait::until("an empty spool", Duration::from_secs(20), || async {
        (spool::depth(&db.store).await.unwrap() == 0).then_some(())
    })
    .await;
    role.finish().await;
}

#[tokio::test]
async fn with_neither_broker_nor_spool_x_is_asked_to_come_again() {
    let metrics = Metrics::new();
    let role = Running::start(dead_bus(&metrics), Some(dead_store()), metrics);
    let started = Instant::now();
    let response = role
        .post(&post_of("7001", &[dm(1, "7001", "42", "a")]))
        .await;
    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    assert!(started.elapsed() < Duration::from_millis(3_500));
    assert!(role.counts("roost_ingester_webhooks_total{result=\"unavailable\"} 1"));
    let ready = reqwest::get(role.url("/readyz")).await.unwrap();
    assert_eq!(ready.status(), 503);
    let challenge = reqwest::get(role.url("/webhooks/x/main?crc_token=abc"))
        .await
        .unwrap();
    assert_eq!(challenge.status(), 200, "the challenge needs neither");
    role.finish().await;
}

#[tokio::test]
async fn the_challenge_is_answered_and_nothing_else_is_signed() {
    let metrics = Metrics::new();
    let role = Running::start(dead_bus(&metrics), None, metrics);
    let ask = async |query: &str| reqwest::get(role.url(query)).await.unwrap();
    let response = ask("/webhooks/x/main?crc_token=MDk4MmU5NjY&nonce=1").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    let text = response.text().await.unwrap();
    let expected = signature::sign(&SECRET.into(), b"MDk4MmU5NjY");
    assert_eq!(text, format!(r#"{{"response_token":"{expected}"}}"#));
    for query in [
        "/webhooks/x/main",
        "/webhooks/x/main?crc_token=",
        "/webhooks/x/main?crc_token=%7B%22for_user_id%22%3A%221%22%7D",
        "/webhooks/x/main?crc_token=a&crc_token=b",
    ] {
        assert_eq!(ask(query).await.status(), 400, "{query}");
    }
    assert_eq!(ask("/webhooks/x/other?crc_token=abc").await.status(), 404);
    assert_eq!(ask("/webhooks/x/empty?crc_token=abc").await.status(), 404);
    assert!(role.counts("roost_ingester_crc_total{result=\"answered\"} 1"));
    role.finish().await;
}
