//! A running ingester, and X's side of the wire.

use roost_bus::envelope::Ingress;
use roost_bus::{Bus, BusConfig, Delivery, Lane, SubscriptionSpec};
use roost_ingester::{Deps, IngesterConfig, serve};
use roost_platforms::AppSecrets;
use roost_platforms::x::signature;
use roost_service::{Health, Metrics, Shutdown, config};
use roost_store::seal::Sealer;
use roost_store::{Store, StoreConfig};
use roost_tests::db::{key_ring, setting};
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

pub(crate) const SECRET: &str = "consumer-secret-of-the-test";
const SOON: Duration = Duration::from_secs(30);

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) bus: Bus,
    pub(crate) metrics: Metrics,
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<anyhow::Result<()>>,
}

pub(crate) fn bus_config(url: String) -> BusConfig {
    let prefix = format!("t{}", &uuid::Uuid::new_v4().simple().to_string()[..12]);
    BusConfig {
        partitions: 2,
        ..BusConfig::new(url.into(), prefix)
    }
}

pub(crate) async fn live_bus(metrics: &Metrics) -> Bus {
    let bus = Bus::start(bus_config(setting("ROOST_TEST_AMQP_URL")), metrics);
    assert!(bus.wait_up(SOON).await, "the broker did not come up");
    bus
}

pub(crate) fn dead_bus(metrics: &Metrics) -> Bus {
    Bus::start(bus_config("amqp://a:b@127.0.0.1:9/%2f".to_owned()), metrics)
}

pub(crate) fn sealer() -> Sealer {
    Sealer::new(key_ring(&["only"]))
}

pub(crate) fn dead_store() -> Store {
    let url = "postgres://nobody:nothing@127.0.0.1:9/none".to_owned();
    Store::new(&StoreConfig {
        app_url: url.clone().into(),
        ingest_url: url.into(),
        app_connections: 1,
        ingest_connections: 1,
    })
    .unwrap()
}

impl Running {
    pub(crate) fn start(bus: Bus, store: Option<Store>, metrics: Metrics) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let app = |secret: &str, previous: Option<&str>| AppSecrets {
            name: "main".to_owned(),
            consumer_key: "key".to_owned(),
            consumer_secret: secret.into(),
            previous_consumer_secret: previous.map(Into::into),
        };
        let apps = HashMap::from([
            ("main".to_owned(), app(SECRET, Some("older-secret"))),
            ("empty".to_owned(), app("", Some(""))),
        ]);
        let deps = Deps {
            config: IngesterConfig {
                listen: address,
                lanes: config::Lanes {
                    account_rate_per_second: 50,
                    account_burst: 200,
                },
                grace: Duration::from_secs(2),
            },
            apps,
            bus: bus.clone(),
            store,
            sealer: Some(sealer()),
            health: Health::new(),
            metrics: metrics.clone(),
        };
        let shutdown = Shutdown::new();
        let task = tokio::spawn(serve(deps, listener, shutdown.clone()));
        Self {
            address,
            bus,
            metrics,
            shutdown,
            task,
        }
    }

    pub(crate) async fn live(store: Option<Store>) -> Self {
        let metrics = Metrics::new();
        Self::start(live_bus(&metrics).await, store, metrics)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// As X posts it.
    pub(crate) async fn post(&self, body: &str) -> reqwest::Response {
        let signed = signature::sign(&SECRET.into(), body.as_bytes());
        self.post_signed(body, &signed).await
    }

    pub(crate) async fn post_signed(&self, body: &str, signed: &str) -> reqwest::Response {
        self.post_to("main", body, signed).await
    }

    pub(crate) async fn post_to(&self, app: &str, body: &str, signed: &str) -> reqwest::Response {
        reqwest::Client::new()
            .post(self.url(&format!("/webhooks/x/{app}")))
            .header(signature::HEADER, signed)
            .header("x-request-id", "req-from-outside")
            .body(body.to_owned())
            .send()
            .await
            .unwrap()
    }

    /// Takes everything from a lane until `count` envelopes are there.
    pub(crate) async fn received(&self, lane: Lane, count: usize) -> Vec<Ingress> {
        let mut lanes: Vec<_> = (0..2)
            .map(|partition| {
                self.bus.subscribe(SubscriptionSpec::Ingress {
                    partition,
                    lane,
                    prefetch: 500,
                })
            })
            .collect();
        let (one, two) = lanes.split_at_mut(1);
        let mut envelopes = Vec::new();
        let collecting = async {
            while envelopes.len() < count {
                let batch: Vec<Delivery> = tokio::select! {
                    batch = one[0].next_batch(500) => batch.unwrap(),
                    batch = two[0].next_batch(500) => batch.unwrap(),
                };
                for delivery in batch {
                    assert!(delivery.headers.get("request_id").is_some());
                    envelopes.push(serde_json::from_slice(&delivery.body).unwrap());
                    delivery.ack().await;
                }
            }
        };
        let outcome = tokio::time::timeout(SOON, collecting).await;
        assert!(
            outcome.is_ok(),
            "{} of {count} events came",
            envelopes.len()
        );
        envelopes
    }

    pub(crate) fn counts(&self, line: &str) -> bool {
        self.metrics.render().unwrap().contains(line)
    }

    /// Stops the role and removes its queues.
    pub(crate) async fn finish(self) {
        self.shutdown.trigger();
        tokio::time::timeout(SOON, self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        if self.bus.is_up() {
            assert!(self.bus.remove_topology().await);
        }
        self.bus.close().await;
    }
}

/// A direct message from a customer, in the shape of Account Activity.
pub(crate) fn dm(id: u64, account: &str, sender: &str, text: &str) -> String {
    format!(
        r#"{{"type":"message_create","id":"{id}","created_timestamp":"1766000000000","message_create":{{"target":{{"recipient_id":"{account}"}},"sender_id":"{sender}","message_data":{{"text":"{text}","entities":{{"hashtags":[],"symbols":[],"user_mentions":[],"urls":[]}}}}}}}}"#
    )
}

pub(crate) fn post_of(account: &str, dms: &[String]) -> String {
    format!(
        r#"{{"for_user_id":"{account}","direct_message_events":[{}]}}"#,
        dms.join(",")
    )
}
