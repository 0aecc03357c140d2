//! A relay that was paused past the end of its leases.

use std::time::Duration;

use roost_relay::Outcome;
use roost_store::sequencer::{self, Slot};

use crate::support::{Consumer, World, bus, drain, hold};

const LEASE: Duration = Duration::from_secs(1);

async fn mark_of(world: &World, bucket: u8) -> i64 {
    let mut owner = world.db.owner().await;
    sqlx::query_scalar("select position from relay_marks where slot = $1")
        .bind(i16::from(Slot::of_bucket(bucket).number()))
        .fetch_one(&mut owner)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_relay_numbers_and_publishes_nothing_after_a_take_over() {
    let world = World::new().await;
    let brand = world.db.brand("Acme", 0).await;
    let conversation = world.conversation(&brand, 5).await;
    let mut consumer = Consumer::new(&world.bus).await;
    let mut paused = world.relay(LEASE);
    hold(&mut paused, 16).await;
    paused.step().await.unwrap();
    for _ in 0..3 {
        world.write(brand.id, conversation, Duration::ZERO).await;
    }
    let numbered = paused.number().await.unwrap();
    assert_eq!(numbered.len(), 3);

    // It sleeps; another takes over, publishes those and goes on.
    let mut next = world.relay(LEASE);
    hold(&mut next, 16).await;
    world.write(brand.id, conversation, Duration::ZERO).await;
    assert_eq!(drain(&mut next).await, 4);
    consumer.wait_for(4).await;
    assert_eq!(mark_of(&world, 5).await, 4);

    // It wakes in the middle of its batch.
    paused.publish(&numbered).await.unwrap();
    world.write(brand.id, conversation, Duration::ZERO).await;
    assert!(
        paused.number().await.unwrap().is_empty(),
        "its leases are another's"
    );
    assert_eq!(paused.step().await.unwrap(), Outcome::Idle);
    assert_eq!(mark_of(&world, 5).await, 4, "marks never fall");
    // Even a mark that was under way can't move back.
    let old: Vec<_> = numbered.iter().collect();
    sequencer::mark(&world.store, &old).await.unwrap();
    assert_eq!(mark_of(&world, 5).await, 4);

    hold(&mut next, 16).await;
    assert_eq!(drain(&mut next).await, 1);
    consumer.wait_for(5).await;
    assert_eq!(consumer.seen.len(), 5, "the paused relay published nothing");
    consumer.assert_in_order();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_nobody_took_meanwhile_is_searched_before_it_goes_on() {
    let world = World::new().await;
    let brand = world.db.brand("Acme", 0).await;
    let conversation = world.conversation(&brand, 5).await;
    let mut consumer = Consumer::new(&world.bus).await;
    let mut relay = world.relay(LEASE);
    hold(&mut relay, 16).await;
    relay.step().await.unwrap();
    world.write(brand.id, conversation, Duration::ZERO).await;
    let numbered = relay.number().await.unwrap();
    tokio::time::sleep(LEASE + Duration::from_millis(100)).await;
    relay.publish(&numbered).await.unwrap();
    world.write(brand.id, conversation, Duration::ZERO).await;
    relay.keep().await.unwrap();
    assert_eq!(drain(&mut relay).await, 2);
    consumer.wait_for(2).await;
    consumer.assert_in_order();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_numbered_while_the_broker_is_away() {
    let world = World::new().await;
    let brand = world.db.brand("Acme", 0).await;
    let conversation = world.conversation(&brand, 5).await;
    world.write(brand.id, conversation, Duration::ZERO).await;
    let away = bus("amqp://guest:guest@127.0.0.1:9/%2f");
    let metrics = roost_relay::RelayMetrics::new(&roost_service::Metrics::new());
    let mut relay = roost_relay::Relay::new(world.store.clone(), away.clone(), metrics, LEASE);
    hold(&mut relay, 16).await;
    assert!(relay.step().await.is_err());
    assert_eq!(sequencer::backlog(&world.store).await.unwrap(), 1);
    relay.give_back().await;
    let mut back = world.relay(LEASE);
    hold(&mut back, 16).await;
    assert_eq!(drain(&mut back).await, 1);
    away.close().await;
    world.end().await;
}
