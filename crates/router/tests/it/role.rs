//! The running role: an event arrives and the right team is routed.

use std::time::Duration;

use roost_bus::envelope::{EventPointer, VERSION};
use roost_bus::{Bus, BusConfig, Outgoing, Route};
use roost_domain::ids::{BrandId, EventId, TeamId};
use roost_router::{Deps, run};
use roost_service::{Health, Metrics, Shutdown};
use roost_store::ledger::ActKind;
use roost_store::routing::affected_teams;
use roost_tests::db::setting;
use roost_tests::wait::until;
use secrecy::SecretString;
use sqlx::Connection as _;
use uuid::Uuid;

use crate::support::World;

struct Running {
    bus: Bus,
    metrics: Metrics,
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl Running {
    async fn start(world: &World) -> Self {
        let prefix = format!("t{}", Uuid::now_v7().simple());
        let url = SecretString::from(setting("ROOST_TEST_AMQP_URL"));
        let metrics = Metrics::new();
        let config = BusConfig {
            partitions: 1,
            ..BusConfig::new(url, prefix)
        };
        let bus = Bus::start(config, &metrics);
        assert!(bus.wait_up(Duration::from_secs(20)).await);
        let shutdown = Shutdown::new();
        let deps = Deps {
            store: world.db.store.clone(),
            bus: bus.clone(),
            health: Health::new(),
            metrics: metrics.clone(),
            presence_grace: Duration::from_secs(45),
        };
        let task = tokio::spawn(run(deps, shutdown.clone()));
        // The first sweep is over: what follows is the events' doing.
        let swept = metrics.clone();
        until("the first sweep", Duration::from_secs(10), || async {
            let text = swept.render().unwrap();
            let line = text
                .lines()
                .find(|line| line.starts_with("roost_router_last_sweep_timestamp_seconds"))?;
            (!line.ends_with(" 0")).then_some(())
        })
        .await;
        Self {
            bus,
            metrics,
            shutdown,
            task,
        }
    }

    /// Publishes what the relay would: the newest event of this type.
    async fn tell(&self, world: &World, kind: &str) {
        let mut owner = world.db.owner().await;
        let (event, bucket): (Uuid, i16) = sqlx::query_as(
            "select id, bucket from events where type = $1 order by id desc limit 1",
        )
        .bind(kind)
        .fetch_one(&mut owner)
        .await
        .unwrap();
        owner.close().await.unwrap();
        self.publish(world.brand.id, event, kind, u8::try_from(bucket).unwrap())
            .await;
    }

    async fn publish(&self, brand: BrandId, event: Uuid, kind: &str, bucket: u8) {
        let pointer = EventPointer {
            v: VERSION,
            brand_id: brand.0,
            event_id: event,
            kind: kind.to_owned(),
            conversation_id: None,
            seq: None,
            position: 1,
            bucket,
            request_id: None,
        };
        let body = serde_json::to_vec(&pointer).unwrap();
        self.bus
            .publish(Outgoing::new(Route::Event { bucket }, body))
            .await
            .unwrap();
    }

    async fn stop(self) {
        self.shutdown.trigger();
        self.task.await.unwrap().unwrap();
        assert!(self.bus.remove_topology().await);
        self.bus.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_followed_at_once_and_poison_is_passed_over() {
    let world = World::new(1, 1).await;
    let agent = world.agents()[0];
    let running = Running::start(&world).await;
    let first = world.db.open(&world.brand).await;
    let second = world.db.open(&world.brand).await;
    // Unreadable, of an unknown event, of an unknown brand: the queue goes on.
    let junk = Outgoing::new(Route::Event { bucket: 0 }, b"{".to_vec());
    running.bus.publish(junk).await.unwrap();
    running
        .publish(world.brand.id, Uuid::now_v7(), "conversation.opened", 0)
        .await;
    running
        .publish(
            BrandId(Uuid::now_v7()),
            Uuid::now_v7(),
            "conversation.opened",
            0,
        )
        .await;
    running.tell(&world, "conversation.opened").await;
    let limit = Duration::from_secs(5);
    until("the first to be assigned", limit, || async {
        (world.assignee(first).await == Some(agent)).then_some(())
    })
    .await;
    assert_eq!(world.assignee(second).await, None);
    // Room appears, and the event says so.
    world
        .db
        .act(&world.brand, first, ActKind::Resolve, agent)
        .await;
    running.tell(&world, "conversation.status_changed").await;
    until("the second to be assigned", limit, || async {
        (world.assignee(second).await == Some(agent)).then_some(())
    })
    .await;
    for index in 0..roost_bus::ROUTER_QUEUES {
        let queue = format!("router.p{index}");
        until("an empty queue", limit, || async {
            (running.bus.queue_depth(&queue).await == Some(0)).then_some(())
        })
        .await;
    }
    let text = running.metrics.render().unwrap();
    assert!(
        text.contains("roost_router_failures_total{treatment=\"unreadable\"} 1"),
        "{text}"
    );
    assert!(
        text.contains("roost_router_decisions_total{outcome=\"assigned\"} 2"),
        "{text}"
    );
    assert!(
        text.contains("roost_router_assignment_wait_seconds_count 2"),
        "{text}"
    );
    running.stop().await;
}

/// A team that can't be routed is given up; the others' events go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_team_that_fails_does_not_hold_up_others() {
    let world = World::new(1, 5).await;
    let running = Running::start(&world).await;
    let other = world.db.brand("Other", 1).await;
    world.db.put_online(&other, other.members[1]).await;
    let bad = world.db.open(&other).await;
    let good = world.db.open(&world.brand).await;
    world
        .owner_runs(
            "create function refuse() returns trigger language plpgsql as
                 $$ begin raise exception 'refused'; end $$",
        )
        .await;
    world
        .owner_runs(&format!(
            "create trigger poison before update on conversations for each row
                 when (new.id = '{}') execute function refuse()",
            bad.0
        ))
        .await;
    for (brand, id) in [(other.id, bad), (world.brand.id, good)] {
        let mut owner = world.db.owner().await;
        let event: Uuid = sqlx::query_scalar(
            "select id from events where conversation_id = $1 and type = 'conversation.opened'",
        )
        .bind(id.0)
        .fetch_one(&mut owner)
        .await
        .unwrap();
        // Both on one queue, the bad one first.
        running
            .publish(brand, event, "conversation.opened", 0)
            .await;
    }
    until(
        "the good one to be assigned",
        Duration::from_secs(5),
        || async { world.assignee(good).await },
    )
    .await;
    assert_eq!(world.assignee(bad).await, None);
    let text = running.metrics.render().unwrap();
    assert!(
        text.contains("roost_router_failures_total{treatment=\"drop\"} 1"),
        "{text}"
    );
    running.stop().await;
}

async fn affected(world: &World, kind: &str) -> Vec<TeamId> {
    let mut owner = world.db.owner().await;
    let event: Uuid =
        sqlx::query_scalar("select id from events where type = $1 order by id desc limit 1")
            .bind(kind)
            .fetch_one(&mut owner)
            .await
            .unwrap();
    affected_teams(&world.db.store, world.brand.id, vec![EventId(event)])
        .await
        .unwrap()
}

#[tokio::test]
async fn an_event_concerns_the_teams_of_whoever_gained_room() {
    let world = World::new(2, 1).await;
    let team = world.brand.team;
    let ids = world.open(3).await;
    assert_eq!(affected(&world, "conversation.opened").await, [team]);
    world.route().await;
    let (first, second) = (world.agents()[0], world.agents()[1]);
    // Assigned from nobody: nobody gained room, but the team still has one that waits.
    world.assign(ids[2], Some(first)).await;
    assert_eq!(
        affected(&world, "conversation.assigned").await,
        [],
        "nothing waits"
    );
    let waiting = world.db.open(&world.brand).await;
    world.assign(ids[2], Some(second)).await;
    assert_eq!(affected(&world, "conversation.assigned").await, [team]);
    let holder = world.assignee(ids[0]).await.unwrap();
    world
        .db
        .act(&world.brand, ids[0], ActKind::Pend, holder)
        .await;
    assert_eq!(
        affected(&world, "conversation.status_changed").await,
        [team]
    );
    world.owner_runs("update teams set mode = 'manual'").await;
    world.route().await;
    assert_eq!(world.assignee(waiting).await, None);
    assert_eq!(
        affected(&world, "conversation.status_changed").await,
        [],
        "a person assigns"
    );
}
