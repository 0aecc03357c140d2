//! What the platform does on bad days.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{BRAND, Hook, Stage};

#[tokio::test]
async fn answers_can_fail_before_and_after_the_message_was_taken() {
    let stage = Stage::new().await;
    let keys = stage.keys("acme").await;
    for (kind, status, taken) in [
        ("send_429", 429, 0),
        ("send_500_before", 503, 0),
        ("send_500_after", 500, 1),
        ("send_empty", 200, 1),
        ("send_garbage", 200, 1),
    ] {
        let before = stage.dm_count().await;
        stage.fault(json!({ "kind": kind, "remaining": 1 })).await;
        let answer = stage.send(&keys, kind).await;
        assert_eq!(answer.status(), status, "{kind}");
        if kind == "send_429" {
            assert_eq!(answer.headers()["x-rate-limit-remaining"], "0");
        }
        let body = answer.text().await.expect("a body");
        assert_eq!(
            serde_json::from_str::<Value>(&body).is_ok(),
            !kind.contains("empty") && !kind.contains("garbage")
        );
        assert_eq!(stage.dm_count().await - before, taken, "{kind}");
        assert_eq!(stage.send(&keys, "fine again").await.status(), 201);
    }
    let sends = stage.get("/sim/sends?sender=acme").await;
    assert_eq!(sends["sends"].as_array().map(Vec::len), Some(10));
    assert_eq!(sends["sends"][4]["fault"], "error_after");
    assert!(sends["sends"][4]["dm_event_id"].is_string());
}

#[tokio::test]
async fn a_reset_gives_no_answer_at_all() {
    let stage = Stage::new().await;
    let keys = stage.keys("acme").await;
    for (kind, taken) in [("send_reset_after", 1), ("send_reset_before", 0)] {
        stage.fault(json!({ "kind": kind, "remaining": 1 })).await;
        let url = stage.url(&format!(
            "/2/dm_conversations/with/{}/messages",
            crate::support::CUSTOMER
        ));
        let header = crate::support::authorization("POST", &url, &keys, &[]);
        let before = stage.dm_count().await;
        let client = reqwest::Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .expect("a client");
        let request = client
            .post(url)
            .header("authorization", header)
            .json(&json!({ "text": "x" }));
        let error = request.send().await.expect_err("the connection is reset");
        let mut cause: &dyn std::error::Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let kind = cause
            .downcast_ref::<std::io::Error>()
            .map(std::io::Error::kind);
        assert_eq!(kind, Some(std::io::ErrorKind::ConnectionReset), "{cause}");
        assert_eq!(stage.dm_count().await - before, taken);
    }
}

#[tokio::test]
async fn a_hang_ends_in_the_right_answer() {
    let stage = Stage::new().await;
    let keys = stage.keys("acme").await;
    stage
        .fault(json!({ "kind": "send_hang_after", "ms": 300, "remaining": 1 }))
        .await;
    let clock = Instant::now();
    assert_eq!(stage.send(&keys, "slow").await.status(), 201);
    assert!(clock.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn echoes_can_hide_hurry_and_dawdle() {
    let stage = Stage::new().await;
    let hook = Hook::start();
    stage.subscribe(&hook).await;
    let keys = stage.keys("acme").await;
    stage
        .fault(json!({ "kind": "echo_withhold", "remaining": 1 }))
        .await;
    stage.send(&keys, "no echo").await;
    assert!(hook.settled(&stage).await.is_empty());

    stage
        .fault(json!({ "kind": "echo_first", "remaining": 1 }))
        .await;
    stage.send(&keys, "echo first").await;
    let arrived = hook.arrivals();
    assert_eq!(arrived.len(), 1, "the echo is there when the answer comes");

    stage
        .fault(json!({ "kind": "echo_delay", "ms": 200, "remaining": 1 }))
        .await;
    let clock = Instant::now();
    stage.send(&keys, "late echo").await;
    let arrived = hook.wait_for(2).await;
    assert!(arrived[1].at.duration_since(clock) >= Duration::from_millis(200));
}

#[tokio::test]
async fn deliveries_can_come_twice_late_out_of_order_or_never() {
    let stage = Stage::new().await;
    let hook = Hook::start();
    stage.subscribe(&hook).await;
    stage
        .fault(json!({ "kind": "deliver_duplicate", "copies": 3, "remaining": 1 }))
        .await;
    stage.customer_writes("thrice").await;
    assert_eq!(hook.settled(&stage).await.len(), 3);

    stage
        .fault(json!({ "kind": "deliver_drop", "remaining": 1, "account_id": BRAND }))
        .await;
    stage.customer_writes("never").await;
    assert_eq!(hook.settled(&stage).await.len(), 3);

    stage
        .fault(json!({ "kind": "deliver_reorder", "ms": 300 }))
        .await;
    for number in 0..30 {
        stage.customer_writes(&format!("{number}")).await;
    }
    let arrivals = hook.settled(&stage).await;
    assert_eq!(arrivals.len(), 33);
    let ids: Vec<String> = arrivals[3..]
        .iter()
        .map(|arrival| arrival.json()["direct_message_events"][0]["id"].to_string())
        .collect();
    assert!(
        !ids.is_sorted(),
        "thirty events shuffled over 300 ms stay in order by no luck"
    );
    let cleared = stage
        .http
        .delete(stage.url("/sim/faults"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(
        cleared.json::<Value>().await.expect("JSON"),
        json!({ "rules": [] })
    );
}
