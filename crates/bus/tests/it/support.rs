//! A bus of one's own: random prefix, few queues, removed at the end.

use roost_bus::{Bus, BusConfig, Headers, Lane, Outgoing, Route};
use roost_service::Metrics;
use std::ops::Deref;
use std::time::Duration;

pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) fn broker_url() -> String {
    std::env::var("ROOST_TEST_AMQP_URL")
        .expect("ROOST_TEST_AMQP_URL is not set: run the tests with `cargo xtask test`")
}

pub(crate) fn config(url: String) -> BusConfig {
    let prefix = format!("t{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
    BusConfig {
        partitions: 2,
        ..BusConfig::new(url.into(), prefix)
    }
}

/// A bus whose queues vanish with [`TestBus::finish`].
pub(crate) struct TestBus {
    pub(crate) bus: Bus,
    pub(crate) metrics: Metrics,
}

impl Deref for TestBus {
    type Target = Bus;

    fn deref(&self) -> &Bus {
        &self.bus
    }
}

impl TestBus {
    pub(crate) async fn start(config: BusConfig) -> Self {
        let metrics = Metrics::new();
        let bus = Bus::start(config, &metrics);
        assert!(bus.wait_up(SOON).await, "the broker did not come up");
        Self { bus, metrics }
    }

    pub(crate) async fn plain() -> Self {
        Self::start(config(broker_url())).await
    }

    pub(crate) async fn finish(self) {
        assert!(self.bus.remove_topology().await);
        self.bus.close().await;
    }
}

pub(crate) fn ingress(partition: u16, body: &str) -> Outgoing {
    Outgoing {
        route: Route::Ingress {
            partition,
            lane: Lane::Main,
        },
        body: body.as_bytes().to_vec(),
        headers: Headers::new().with("request_id", "req-1"),
    }
}

/// Waits for `condition` with a deadline.
pub(crate) async fn eventually<F: Future<Output = bool>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) {
    let deadline = tokio::time::Instant::now() + SOON;
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
