//! The whole role, woken by hints.

use std::collections::HashMap;
use std::time::Duration;

use roost_bus::{Bus, BusConfig, Hint};
use roost_platforms::x::client::SendApi;
use roost_sender::{CONCURRENCY, Deps, Limits};
use roost_service::{Health, Metrics, Shutdown};
use roost_tests::db::setting;
use roost_tests::wait::until;
use secrecy::SecretString;

use crate::support::{SOON, World, accept, client, sealer};

fn deps(world: &World, bus: Bus) -> Deps {
    Deps {
        store: world.db.store.clone(),
        bus,
        x: client(&world.platform.url),
        api: SendApi::V2,
        sealer: sealer(),
        limits: Limits {
            total_timeout: Duration::from_secs(6),
            lease: Duration::from_secs(30),
            quiet: Duration::from_secs(60),
        },
        concurrency: CONCURRENCY,
        metrics: Metrics::new(),
        health: Health::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_sends_everything_in_order_and_stops_cleanly() {
    const CONVERSATIONS: usize = 12;
    const EACH: usize = 5;
    let world = World::new(accept).await;
    let mut config = BusConfig::new(
        SecretString::from(setting("ROOST_TEST_AMQP_URL")),
        format!("t{}", uuid::Uuid::now_v7().simple()),
    );
    config.partitions = 1;
    let bus = Bus::start(config, &Metrics::new());
    assert!(bus.wait_up(SOON).await);
    let shutdown = Shutdown::new();
    let deps = deps(&world, bus.clone());
    let metrics = deps.metrics.clone();
    let roles =
        [deps.clone(), deps].map(|deps| tokio::spawn(roost_sender::run(deps, shutdown.clone())));
    let mut conversations = Vec::new();
    for _ in 0..CONVERSATIONS {
        conversations.push(world.customer().await);
    }
    for number in 0..EACH {
        for conversation in &conversations {
            world.reply(*conversation, &number.to_string()).await;
            bus.hint(Hint::Sender, b"");
        }
    }
    let all = i64::try_from(CONVERSATIONS * EACH).unwrap();
    until("all to be sent", SOON, async || {
        (world
            .count("select count(*) from outbound_messages where state = 'sent'")
            .await
            == all)
            .then_some(())
    })
    .await;
    shutdown.trigger();
    for role in roles {
        role.await.unwrap().unwrap();
    }
    let mut sent: HashMap<String, Vec<String>> = HashMap::new();
    for asked in world.platform.sends() {
        sent.entry(asked.recipient().to_owned())
            .or_default()
            .push(asked.body.clone());
    }
    let wanted: Vec<String> = (0..EACH)
        .map(|number| format!("{{\"text\":\"{number}\"}}"))
        .collect();
    assert_eq!(sent.len(), CONVERSATIONS);
    assert!(
        sent.values().all(|bodies| *bodies == wanted),
        "each once and in order: {sent:?}"
    );
    let text = metrics.render().unwrap();
    assert!(
        text.contains(&format!(
            "roost_sender_results_total{{outcome=\"accepted\"}} {all}"
        )),
        "{text}"
    );
    bus.remove_topology().await;
    bus.close().await;
}

#[tokio::test]
async fn limits_out_of_order_stop_it_at_the_start() {
    let second = Duration::from_secs(1);
    let limits = |quiet: u32, lease: u32, total: u32| Limits {
        total_timeout: second * total,
        lease: second * lease,
        quiet: second * quiet,
    };
    assert!(limits(60, 30, 15).check().is_ok());
    for (quiet, lease, total) in [(30, 30, 15), (60, 15, 15), (60, 30, 5)] {
        assert!(limits(quiet, lease, total).check().is_err());
    }
}
