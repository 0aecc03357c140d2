//! A message that no worker can handle: put aside with its reason, in the way of nobody.

use std::time::Duration;

use roost_bus::envelope::Ingress;
use roost_bus::{Lane, Outgoing, Route};
use roost_domain::bucket::bucket_of;
use roost_tests::db::Brand;
use roost_tests::system::System;
use roost_tests::wait::until;

use crate::bad_input::{dm, ingest_only};

const STORED: &str = "select count(*) from messages";
const DEAD: &str = "select count(*) from dead_messages";

/// A good event as the ingester would queue it.
fn queued(brand: &Brand, number: i64) -> Ingress {
    let dm = dm(brand, number, "a neighbour");
    Ingress {
        v: 1,
        platform: "x".to_owned(),
        app: "main".to_owned(),
        bucket: bucket_of("x", "main", &dm.from, &dm.to),
        account_id: dm.to.clone(),
        counterpart_id: dm.from.clone(),
        kind: "dm".to_owned(),
        event_id: dm.id.to_string(),
        request_id: "req-neighbour".to_owned(),
        received_at: "2026-01-02T03:04:05.678Z".to_owned(),
        body: serde_json::value::to_raw_value(&dm.element()).unwrap(),
        users: None,
        apps: None,
    }
}

/// Puts bodies into one queue, in this order.
async fn put(system: &System, bodies: Vec<Vec<u8>>) {
    let bus = system.bus().await;
    let route = |body| {
        Outgoing::new(
            Route::Ingress {
                partition: 0,
                lane: Lane::Main,
            },
            body,
        )
    };
    for outcome in bus
        .publish_all(bodies.into_iter().map(route).collect())
        .await
    {
        outcome.unwrap();
    }
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_is_put_aside_and_its_neighbours_go_on() {
    let (system, brand) = ingest_only().await;
    // One that is no event, and one that the database refuses: text there holds no NUL.
    let no_event = b"{\"v\":1,\"platform\":".to_vec();
    let refused = serde_json::to_vec(&Ingress {
        account_id: "7\u{0}7".to_owned(),
        ..queued(&brand, 500)
    })
    .unwrap();
    let mut bodies: Vec<Vec<u8>> = (0..40)
        .map(|number| serde_json::to_vec(&queued(&brand, number)).unwrap())
        .collect();
    bodies.insert(10, no_event);
    bodies.insert(25, refused);
    put(&system, bodies).await;

    let neighbours = std::time::Instant::now();
    system.wait_for_count(STORED, 40).await;
    assert!(
        neighbours.elapsed() < Duration::from_secs(10),
        "neighbours waited {:?}",
        neighbours.elapsed()
    );
    system.wait_for_count(DEAD, 2).await;
    assert_eq!(system.count(STORED).await, 40);

    let list = system.run(&["dead", "list"]);
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(
        list.lines().all(|line| line.contains("ingress.p00")),
        "{list}"
    );
    assert!(list.contains("not an ingress event"), "{list}");
    assert!(
        list.contains("invalid byte sequence") || list.contains("0x00"),
        "{list}"
    );
    let bus = system.bus().await;
    assert_eq!(bus.queue_depth("dead.ingress.p00").await, Some(2));
    bus.close().await;
    assert!(system.metric("roost_inbox_dead_total", &[]).await >= 2.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_looks_at_a_dead_message_retries_it_and_drops_it() {
    let (system, brand) = ingest_only().await;
    put(
        &system,
        vec![
            b"not json at all".to_vec(),
            serde_json::to_vec(&queued(&brand, 1)).unwrap(),
        ],
    )
    .await;
    system.wait_for_count(DEAD, 1).await;
    let id_of = |list: &str| {
        list.split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let first = id_of(&system.run(&["dead", "list"]));
    let shown = system.run(&["dead", "show", &first]);
    assert!(shown.contains("not json at all"), "{shown}");

    // The same message fails the same way, once more.
    let _printed = system.run(&["dead", "retry", &first]);
    let again = until(
        "the retried message to die again",
        Duration::from_secs(20),
        || async {
            // Recorded anew, or counted up where it died before the first record was gone.
            let list = system.run(&["dead", "list"]);
            let id = id_of(&list);
            (!id.is_empty() && (id != first || list.contains("  2x  "))).then_some(id)
        },
    )
    .await;
    let _printed = system.run(&["dead", "drop", &again]);
    assert_eq!(system.run(&["dead", "list"]).trim(), "");
    let bus = system.bus().await;
    until(
        "the broker to have forgotten it too",
        Duration::from_secs(10),
        || async { (bus.queue_depth("dead.ingress.p00").await == Some(0)).then_some(()) },
    )
    .await;
    bus.close().await;
    // Its neighbour never noticed.
    system.wait_for_count(STORED, 1).await;
    assert_eq!(system.count(STORED).await, 1);
}
