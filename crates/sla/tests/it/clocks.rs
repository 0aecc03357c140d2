//! Warnings and breaches.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use roost_sla::step::{Outcome, fire_due};

use crate::support::{World, ago};

#[tokio::test]
async fn a_clock_warns_once_and_then_breaches_once() {
    let world = World::new().await;
    let id = world.waiting_for(2_600).await;
    assert_eq!(world.fire().await, Outcome { found: 0, done: 0 });
    // The same clock, later.
    let later = |seconds: i32| {
        format!(
            "update sla_clocks set started_at = started_at - make_interval(secs => {seconds}),
                 due_at = due_at - make_interval(secs => {seconds}),
                 warn_at = warn_at - make_interval(secs => {seconds}),
                 next_fire_at = next_fire_at - make_interval(secs => {seconds})"
        )
    };
    world.owner_runs(&later(200)).await;
    assert_eq!(world.fire().await.done, 1);
    assert_eq!(world.fire().await.found, 0);
    assert_eq!(world.told(id).await, ["sla.started", "sla.warning"]);
    world.owner_runs(&later(900)).await;
    assert_eq!(world.fire().await.done, 1);
    assert_eq!(world.fire().await.found, 0);
    assert_eq!(
        world.told(id).await,
        ["sla.started", "sla.warning", "sla.breached"]
    );
    let keys = world
        .count("select count(*) from sla_firings where what in ('warning:75', 'breach') and verdict_no = 0")
        .await;
    assert_eq!(keys, 2);
}

#[tokio::test]
async fn a_warning_whose_breach_is_due_as_well_is_not_told() {
    let world = World::new().await;
    let id = world.waiting_for(4_000).await;
    assert_eq!(world.fire().await.done, 1);
    assert_eq!(world.told(id).await, ["sla.started", "sla.breached"]);
    let in_time = world
        .count("select count(*) from sla_clocks where breached_at = due_at and fired_at > due_at + interval '390 s'")
        .await;
    assert_eq!(in_time, 1, "the event carries both instants");
}

#[tokio::test]
async fn after_downtime_the_oldest_comes_first_and_each_once() {
    let world = World::new().await;
    let ages = [5_000, 9_000, 4_000, 7_000, 6_000, 8_000];
    let instants: Vec<Timestamp> = ages.iter().map(|age| ago(*age)).collect();
    world.db.open_many(&world.brand, &instants).await;
    assert_eq!(world.fire().await, Outcome { found: 6, done: 6 });
    let mut owner = world.db.owner().await;
    let told: Vec<String> = sqlx::query_scalar(
        "select data ->> 'due_at' from events where type = 'sla.breached' order by id",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert!(told.is_sorted(), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_that_race_fire_once() {
    let world = Arc::new(World::new().await);
    let instants: Vec<Timestamp> = (0..300).map(|_| ago(4_000)).collect();
    world.db.open_many(&world.brand, &instants).await;
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let world = world.clone();
        workers.spawn(async move {
            let mut tools = world.tools();
            let mut done = 0;
            loop {
                let outcome = fire_due(&mut tools, 100).await.unwrap();
                done += outcome.done;
                if outcome.found == 0 {
                    return done;
                }
            }
        });
    }
    let done: usize = workers.join_all().await.into_iter().sum();
    assert_eq!(done, 300);
    assert_eq!(
        world
            .count("select count(*) from events where type = 'sla.breached'")
            .await,
        300
    );
    assert_eq!(world.count("select count(*) from sla_firings").await, 300);
}

#[tokio::test]
async fn an_answer_in_time_whose_news_comes_late_withdraws_the_breach() {
    let world = World::new().await;
    let id = world.waiting_for(3_700).await;
    let message = world
        .db
        .reply(&world.brand, id, world.brand.members[1])
        .await;
    assert_eq!(world.fire().await.done, 1);
    // Due 100 s ago, answered 200 s ago.
    world.db.accept(&world.brand, id, message, ago(200)).await;
    assert_eq!(
        world.told(id).await,
        [
            "sla.started",
            "sla.breached",
            "sla.breach_withdrawn",
            "sla.met"
        ]
    );
    let met = world
        .count("select count(*) from sla_clocks where state = 'met' and breached_at is null and next_fire_at is null")
        .await;
    assert_eq!(met, 1);
    assert_eq!(world.fire().await.found, 0);
    // Told a second time, it changes nothing.
    world.db.accept(&world.brand, id, message, ago(200)).await;
    assert_eq!(world.told(id).await.len(), 4);
}

#[tokio::test]
async fn an_answer_after_the_due_instant_is_met_late() {
    let world = World::new().await;
    let id = world.waiting_for(3_700).await;
    let message = world
        .db
        .reply(&world.brand, id, world.brand.members[1])
        .await;
    world.fire().await;
    world.db.accept(&world.brand, id, message, ago(50)).await;
    assert_eq!(
        world.told(id).await,
        ["sla.started", "sla.breached", "sla.met"]
    );
    assert_eq!(
        world
            .count("select count(*) from sla_clocks where state = 'met_late'")
            .await,
        1
    );
}

#[tokio::test]
async fn while_the_customer_owes_the_answer_nothing_fires() {
    let world = World::new().await;
    let id = world.waiting_for(300).await;
    let message = world
        .db
        .reply(&world.brand, id, world.brand.members[1])
        .await;
    world.db.accept(&world.brand, id, message, ago(200)).await;
    // The first reply clears it at once, and three days pass.
    assert_eq!(world.told(id).await, ["sla.started", "sla.met"]);
    let running = world
        .count("select count(*) from sla_clocks where next_fire_at is not null")
        .await;
    assert_eq!(running, 0);
    // The next message starts a clock of the other kind.
    world
        .db
        .write_at(
            &world.brand,
            id,
            Timestamp::now() - SignedDuration::from_secs(100),
        )
        .await;
    let next = world
        .count("select count(*) from sla_clocks where kind = 'next_response' and state = 'running'")
        .await;
    assert_eq!(next, 1);
}

#[tokio::test]
async fn a_conversation_in_other_hands_is_passed_over_and_stays_due() {
    let world = World::new().await;
    let id = world.waiting_for(4_000).await;
    let other = world.waiting_for(4_000).await;
    let mut hands = world.db.owner().await;
    sqlx::raw_sql("begin").execute(&mut hands).await.unwrap();
    sqlx::query("select from conversations where id = $1 for update")
        .bind(id.0)
        .execute(&mut hands)
        .await
        .unwrap();
    assert_eq!(world.fire().await, Outcome { found: 2, done: 1 });
    assert_eq!(world.told(other).await, ["sla.started", "sla.breached"]);
    sqlx::raw_sql("rollback").execute(&mut hands).await.unwrap();
    assert_eq!(world.fire().await, Outcome { found: 1, done: 1 });
}

#[tokio::test]
async fn a_clock_that_is_not_its_conversations_is_put_to_rest() {
    let world = World::new().await;
    let id = world.waiting_for(4_000).await;
    world
        .owner_runs("update conversations set status = 'resolved', clock_kind = null")
        .await;
    assert_eq!(world.fire().await, Outcome { found: 1, done: 0 });
    assert_eq!(world.fire().await.found, 0);
    assert_eq!(world.told(id).await, ["sla.started"]);
}

#[tokio::test]
async fn a_breach_of_a_clock_that_never_was_is_withdrawn_and_never_told_again() {
    let world = World::new().await;
    let id = world.waiting_for(3_700).await;
    let message = world
        .db
        .reply(&world.brand, id, world.brand.members[1])
        .await;
    assert_eq!(world.fire().await.done, 1);
    // We had written first: no first response was due, the customer's message waits as any later one.
    world.db.accept(&world.brand, id, message, ago(3_800)).await;
    assert_eq!(
        world.told(id).await,
        [
            "sla.started",
            "sla.breached",
            "sla.started",
            "sla.breach_withdrawn",
            "sla.cancelled"
        ]
    );
    let at_rest = world
        .count(
            "select count(*) from sla_clocks
             where kind = 'first_response' and state = 'cancelled' and breached_at is null and verdict_no = 1
               and next_fire_at is null and due_at = started_at + interval '1 hour'",
        )
        .await;
    assert_eq!(at_rest, 1);
    assert_eq!(world.fire().await, Outcome { found: 1, done: 1 });
    assert_eq!(world.fire().await.found, 0);
    let breaches = world
        .count("select count(*) from events where type = 'sla.breached' and data ->> 'kind' = 'first_response'")
        .await;
    assert_eq!(breaches, 1);
}

#[tokio::test]
async fn what_is_recorded_as_told_is_not_told_again() {
    let world = World::new().await;
    let id = world.waiting_for(4_000).await;
    world
        .owner_runs(
            "insert into sla_firings (brand_id, clock_id, what, verdict_no)
             select brand_id, id, 'breach', 0 from sla_clocks",
        )
        .await;
    assert_eq!(world.fire().await, Outcome { found: 1, done: 0 });
    assert_eq!(world.fire().await.found, 0);
    assert_eq!(world.told(id).await, ["sla.started"]);
}

#[tokio::test]
async fn one_that_cannot_be_handled_does_not_hold_up_its_neighbours() {
    let world = World::new().await;
    let bad = world.waiting_for(5_000).await;
    let good = world.waiting_for(4_000).await;
    world.poison(bad).await;
    let mut tools = world.tools();
    let outcome = fire_due(&mut tools, 2).await.unwrap();
    assert_eq!(outcome, Outcome { found: 2, done: 1 });
    assert_eq!(world.told(good).await, ["sla.started", "sla.breached"]);
    assert!(tools.aside.holds(bad));
    // It takes nobody's place.
    let next = world.waiting_for(4_500).await;
    assert_eq!(
        fire_due(&mut tools, 1).await.unwrap(),
        Outcome { found: 1, done: 1 }
    );
    assert_eq!(world.told(next).await, ["sla.started", "sla.breached"]);
    assert_eq!(tools.metrics.aside.get(), 1);
}
