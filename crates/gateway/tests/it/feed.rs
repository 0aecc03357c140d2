//! The feed.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::customer::writes;
use crate::harness::Gateway;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_the_feed_gets_each_event_once_in_order() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    for number in 0..4 {
        writes(&gateway, &brand, &format!("5{number}"), "hello").await;
    }
    gateway.relay().await;
    let mut cursor = "oldest".to_owned();
    let mut ids = Vec::new();
    let mut cursors = Vec::new();
    loop {
        let page = gateway
            .get(&brand.owner, &format!("/v1/events?limit=3&after={cursor}"))
            .await;
        assert_eq!(page.status, 200, "{}", page.text);
        page.body["next_cursor"]
            .as_str()
            .unwrap()
            .clone_into(&mut cursor);
        let rows = page.body["data"].as_array().unwrap().clone();
        if rows.is_empty() {
            break;
        }
        ids.extend(page.ids());
        cursors.extend(
            rows.iter()
                .map(|row| row["cursor"].as_str().unwrap().to_owned()),
        );
    }
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
    assert!(ids.len() > 12);
    // Any event's cursor goes on right behind it.
    let rest = gateway
        .get(
            &brand.owner,
            &format!("/v1/events?after={}&limit=200", cursors[4]),
        )
        .await;
    assert_eq!(rest.ids(), ids[5..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_move_the_cursor_past_what_they_leave_out() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let one = writes(&gateway, &brand, "1", "hello").await;
    writes(&gateway, &brand, "2", "hello").await;
    gateway.relay().await;
    let of_one = gateway
        .get(
            &brand.owner,
            &format!("/v1/events?conversation_id={one}&types=message.*,sla.started"),
        )
        .await;
    let kinds: Vec<&str> = of_one.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["message.received", "sla.started"]);
    let now = gateway.get(&brand.owner, "/v1/events?after=now").await;
    assert_eq!(of_one.body["next_cursor"], now.body["next_cursor"]);
    let none = gateway
        .get(&brand.owner, "/v1/events?types=message_received")
        .await;
    assert_eq!(none.body["data"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_waits_is_answered_when_something_happens() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    gateway.relay().await;
    let started = Instant::now();
    let waiting = gateway.get(
        &brand.owner,
        "/v1/events?after=now&wait=20&types=message.received",
    );
    let writing = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        writes(&gateway, &brand, "77", "hello").await;
        gateway.relay().await;
    };
    let (answer, ()) = tokio::join!(waiting, writing);
    assert_eq!(answer.ids().len(), 1, "{}", answer.text);
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_from_before_the_feeds_reach_is_told_so() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    gateway.relay().await;
    let start = gateway
        .get(&brand.owner, "/v1/events?after=oldest&limit=1")
        .await;
    let first = start.body["data"][0]["cursor"].as_str().unwrap().to_owned();
    writes(&gateway, &brand, "77", "hello").await;
    gateway.relay().await;
    let mut db = gateway.db.owner().await;
    sqlx::query("update events set occurred_at = now() - interval '31 days' where position <= 3")
        .execute(&mut db)
        .await
        .unwrap();
    let answer = gateway
        .get(&brand.owner, &format!("/v1/events?after={first}"))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (410, "cursor_expired"),
        "{}",
        answer.text
    );
    let oldest = answer.body["oldest"].as_str().unwrap();
    assert_eq!(
        gateway
            .get(&brand.owner, &format!("/v1/events?after={oldest}&limit=1"))
            .await
            .code(),
        "cursor_expired",
        "ids are not aged by this test"
    );
}
