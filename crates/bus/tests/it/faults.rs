use crate::proxy::{Mode, Proxy};
use crate::support::{TestBus, broker_url, config, eventually, ingress};
use roost_bus::{Bus, Lane, PublishError, SubscriptionSpec};
use roost_service::Metrics;
use std::time::{Duration, Instant};

/// The broker behind a proxy.
async fn behind_proxy() -> (TestBus, Proxy) {
    let url = broker_url();
    let (start, rest) = url.rsplit_once('@').expect("the URL names a user");
    let (target, vhost) = rest.split_once('/').unwrap_or((rest, "%2f"));
    let target = tokio::net::lookup_host(target)
        .await
        .unwrap()
        .next()
        .unwrap();
    let proxy = Proxy::start(target).await;
    let mut config = config(format!("{start}@{}/{vhost}", proxy.address));
    config.confirm_timeout = Duration::from_millis(500);
    (TestBus::start(config).await, proxy)
}

#[tokio::test]
async fn a_cut_connection_comes_back_with_its_consumers() {
    let (bus, proxy) = behind_proxy().await;
    let mut subscription = bus.subscribe(SubscriptionSpec::Ingress {
        partition: 0,
        lane: Lane::Main,
        prefetch: 10,
    });
    bus.publish(ingress(0, "before")).await.unwrap();
    let before = subscription.next_batch(10).await.unwrap();
    assert_eq!(before[0].body, b"before");

    proxy.set(Mode::Refuse);
    eventually("the bus notices", || async { !bus.is_up() }).await;
    let started = Instant::now();
    assert_eq!(
        bus.publish(ingress(0, "during")).await,
        Err(PublishError::Down)
    );
    assert!(
        started.elapsed() < Duration::from_millis(100),
        "fails at once"
    );
    eventually("its channel is gone", || async { !before[0].is_held() }).await;
    before[0].ack().await;

    proxy.set(Mode::Pass);
    assert!(bus.wait_up(crate::support::SOON).await);
    let again = subscription.next_batch(10).await.unwrap();
    assert_eq!(
        again[0].body, b"before",
        "the late acknowledgement was dropped"
    );
    assert!(again[0].redelivered);
    subscription.ack_all(&again).await;
    assert_eq!(*subscription.epochs().borrow(), 2);
    bus.publish(ingress(0, "after")).await.unwrap();
    let after = subscription.next_batch(10).await.unwrap();
    assert_eq!(after[0].body, b"after");
    subscription.ack_all(&after).await;
    bus.finish().await;
}

#[tokio::test]
async fn a_silent_broker_costs_the_timeout_and_then_the_connection() {
    let (bus, proxy) = behind_proxy().await;
    bus.publish(ingress(0, "before")).await.unwrap();
    proxy.set(Mode::Stall);
    let mut waited = 0;
    while bus.is_up() {
        let started = Instant::now();
        let outcome = bus.publish(ingress(0, "during")).await;
        assert!(
            matches!(outcome, Err(PublishError::TimedOut | PublishError::Down)),
            "{outcome:?}"
        );
        assert!(started.elapsed() < Duration::from_millis(900));
        waited += 1;
        assert!(waited <= 12, "the connection is still trusted");
    }
    assert!(waited >= 2, "one slow confirm is no reason to reconnect");
    proxy.set(Mode::Pass);
    eventually("publishing works again", || async {
        bus.publish(ingress(0, "after")).await.is_ok()
    })
    .await;
    assert!(bus.wait_up(crate::support::SOON).await);
    bus.finish().await;
}

#[tokio::test]
async fn starting_without_a_broker_fails_nothing_but_publishes() {
    let config = config("amqp://nobody:nothing@127.0.0.1:9/%2f".to_owned());
    let bus = Bus::start(config, &Metrics::new());
    assert!(!bus.wait_up(Duration::from_millis(50)).await);
    assert_eq!(bus.publish(ingress(0, "x")).await, Err(PublishError::Down));
    assert_eq!(bus.queue_depth("ingress.p00").await, None);
    bus.hint(roost_bus::Hint::Relay, b"");
    bus.close().await;
}
