//! Snoozes that run out.

use jiff::{SignedDuration, Timestamp};
use roost_sla::step::Outcome;
use roost_store::ledger::ActKind;

use crate::support::{World, ago};

#[tokio::test]
async fn a_snooze_wakes_at_its_end_and_once() {
    let world = World::new().await;
    let member = world.brand.members[1];
    let (over, running) = (world.waiting_for(60).await, world.waiting_for(60).await);
    let later = Timestamp::now() + SignedDuration::from_secs(600);
    world
        .db
        .act(&world.brand, over, ActKind::Snooze(ago(1)), member)
        .await;
    world
        .db
        .act(&world.brand, running, ActKind::Snooze(later), member)
        .await;
    let (one, two) = tokio::join!(world.wake(), world.wake());
    assert_eq!(one.done + two.done, 1);
    assert_eq!(world.status(over).await, "open");
    assert_eq!(world.status(running).await, "snoozed");
    assert_eq!(world.wake().await, Outcome { found: 0, done: 0 });
    let changes = world.db.events_of(over).await;
    let changes = changes
        .iter()
        .filter(|kind| *kind == "conversation.status_changed")
        .count();
    assert_eq!(changes, 2, "snoozed and woken");
    // Nobody has it, so it is back in the queue.
    let queued = world
        .count("select count(*) from conversations where status = 'open' and queued_at is not null")
        .await;
    assert_eq!(queued, 1);
}

#[tokio::test]
async fn a_customers_message_ends_a_snooze_and_the_timer_with_it() {
    let world = World::new().await;
    let id = world.waiting_for(60).await;
    let soon = Timestamp::now() + SignedDuration::from_millis(300);
    world
        .db
        .act(
            &world.brand,
            id,
            ActKind::Snooze(soon),
            world.brand.members[1],
        )
        .await;
    world.db.write_at(&world.brand, id, Timestamp::now()).await;
    assert_eq!(world.status(id).await, "open");
    assert_eq!(
        world
            .count("select count(*) from conversations where snoozed_until is not null")
            .await,
        0
    );
}
