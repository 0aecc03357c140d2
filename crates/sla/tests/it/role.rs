//! The running role.

use std::time::Duration;

use jiff::Timestamp;
use roost_bus::{Bus, BusConfig, Hint};
use roost_service::{Health, Metrics, Shutdown};
use roost_sla::{Deps, run};
use roost_tests::db::{first_response_in, setting};
use roost_tests::wait::until;
use secrecy::SecretString;
use uuid::Uuid;

use crate::support::World;

/// Nothing is due when the worker falls asleep; a hint wakes it for a clock of two seconds, which
/// warns and breaches at its instants.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_fires_at_its_instants() {
    let world = World::new().await;
    let short = first_response_in(2, 50);
    world.db.put_policy(&world.brand, &short).await;
    let metrics = Metrics::new();
    let url = SecretString::from(setting("ROOST_TEST_AMQP_URL"));
    let config = BusConfig {
        partitions: 1,
        ..BusConfig::new(url, format!("t{}", Uuid::now_v7().simple()))
    };
    let bus = Bus::start(config, &metrics);
    assert!(bus.wait_up(Duration::from_secs(20)).await);
    let shutdown = Shutdown::new();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let deps = Deps {
            store: world.db.store.clone(),
            bus: bus.clone(),
            health: Health::new(),
            metrics: metrics.clone(),
        };
        workers.spawn(run(deps, shutdown.clone()));
    }
    let id = world.db.open_at(&world.brand, Timestamp::now()).await;
    let (limit, all) = (
        Duration::from_secs(15),
        ["sla.started", "sla.warning", "sla.breached"],
    );
    until("warning and breach", limit, || async {
        // Hints may be lost, so the test sends more than one.
        bus.hint(Hint::Sla, b"test");
        (world.told(id).await == all).then_some(())
    })
    .await;
    let late = world
        .count(
            "select count(*) from sla_clocks
             where warned_at < warn_at or fired_at < due_at
                or warned_at > warn_at + interval '900 ms' or fired_at > due_at + interval '900 ms'",
        )
        .await;
    assert_eq!(late, 0);
    let text = metrics.render().unwrap();
    assert!(text.contains("roost_sla_lag_seconds_count 2"), "{text}");
    shutdown.trigger();
    for ended in workers.join_all().await {
        ended.unwrap();
    }
    assert!(bus.remove_topology().await);
    bus.close().await;
}
