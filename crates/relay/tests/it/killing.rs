//! Relays that die lose nothing and reorder nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use roost_tests::wait::until;
use uuid::Uuid;

use crate::support::{Consumer, SOON, World, drain, hold, write};

const LEASE: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_relay_numbered_is_published_by_the_next() {
    let world = World::new().await;
    let brand = world.db.brand("Acme", 0).await;
    let conversation = world.conversation(&brand, 5).await;
    let mut consumer = Consumer::new(&world.bus).await;
    let mut killed = world.relay(LEASE);
    hold(&mut killed, 16).await;
    for _ in 0..3 {
        world.write(brand.id, conversation, Duration::ZERO).await;
    }
    assert_eq!(drain(&mut killed).await, 3);
    for _ in 0..4 {
        world.write(brand.id, conversation, Duration::ZERO).await;
    }
    // Killed after the positions were committed, before anything was published.
    assert_eq!(killed.number().await.unwrap().len(), 4);
    drop(killed);
    for _ in 0..2 {
        world.write(brand.id, conversation, Duration::ZERO).await;
    }
    let mut next = world.relay(LEASE);
    hold(&mut next, 16).await;
    assert_eq!(
        drain(&mut next).await,
        6,
        "what was marked isn't published again"
    );
    consumer.wait_for(9).await;
    consumer.assert_in_order();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_killed_at_any_moment_lose_nothing_and_reorder_nothing() {
    const WRITERS: usize = 6;
    const KILLS: usize = 8;
    let world = World::new().await;
    let brand = world.db.brand("Acme", 0).await;
    let mut consumer = Consumer::new(&world.bus).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let bucket = i16::try_from(writer * 40).unwrap();
        let conversation = world.conversation(&brand, bucket).await;
        let (store, brand, stop) = (world.store.clone(), brand.id, stop.clone());
        writers.push(tokio::spawn(async move {
            let mut written = 0_usize;
            loop {
                write(&store, brand, conversation, Duration::from_millis(2)).await;
                written += 1;
                if stop.load(Ordering::SeqCst) {
                    return written;
                }
            }
        }));
    }
    for _ in 0..KILLS {
        let mut relay = world.relay(LEASE);
        hold(&mut relay, 16).await;
        let running = tokio::spawn(async move {
            loop {
                relay.keep().await.unwrap();
                relay.step().await.unwrap();
            }
        });
        tokio::time::sleep(Duration::from_millis(u64::from(
            Uuid::new_v4().as_bytes()[0],
        )))
        .await;
        running.abort();
    }
    stop.store(true, Ordering::SeqCst);
    let mut written = 0;
    for writer in writers {
        written += writer.await.unwrap();
    }
    let mut last = world.relay(LEASE);
    hold(&mut last, 16).await;
    drain(&mut last).await;
    consumer.wait_for(written).await;
    consumer.assert_in_order();
    assert_eq!(consumer.distinct(), written);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_relays_on_a_hint_and_gives_its_slots_back() {
    let world = World::new().await;
    let brand = world.db.brand("Acme", 0).await;
    let conversation = world.conversation(&brand, 5).await;
    let mut consumer = Consumer::new(&world.bus).await;
    let shutdown = roost_service::Shutdown::new();
    let deps = roost_relay::Deps {
        store: world.store.clone(),
        bus: world.bus.clone(),
        metrics: roost_service::Metrics::new(),
        health: roost_service::Health::new(),
        lease: roost_relay::LEASE,
    };
    let health = deps.health.clone();
    let role = tokio::spawn(roost_relay::run(deps, shutdown.clone()));
    until("the role to be ready", SOON, async || {
        health.report().checks.get("relay")?.ok.then_some(())
    })
    .await;
    for _ in 0..5 {
        world.write(brand.id, conversation, Duration::ZERO).await;
        world.bus.hint(roost_bus::Hint::Relay, b"");
    }
    consumer.wait_for(5).await;
    consumer.assert_in_order();
    shutdown.trigger();
    role.await.unwrap().unwrap();
    // Nobody has to wait for the end of its leases.
    let mut next = world.relay(roost_relay::LEASE);
    next.keep().await.unwrap();
    assert_eq!(next.slots(), 16);
    world.end().await;
}
