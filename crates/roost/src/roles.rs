//! Which roles run, and what each gets.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use anyhow::{Context as _, bail};
use roost_bus::{Bus, BusConfig};
use roost_cache::Cache;
use roost_platforms::AppSecrets;
use roost_platforms::x::client::{SendApi, Timeouts, XClient};
use roost_service::health::Weight;
use roost_service::{Config, Health, Metrics, Shutdown, Supervisor, config, ops, telemetry};
use roost_store::audit::Auditor;
use roost_store::seal::{KeyRing, Sealer};
use roost_store::{Store, StoreConfig};

/// Every role, in the order of a message's way.
const ROLES: [&str; 7] = [
    "ingester", "inbox", "relay", "router", "sla", "sender", "gateway",
];

/// The settings that any role needs.
const REQUIRED: [&str; 4] = [
    "database_app_url",
    "database_ingest_url",
    "amqp_url",
    "redis_url",
];

/// The X app that belongs to the installation itself.
const MAIN_APP: &str = "main";

/// Runs roles until SIGTERM or Ctrl-C, then lets them finish what is in hand.
pub(crate) async fn run(names: &[String]) -> anyhow::Result<()> {
    let roles = chosen(names)?;
    let config = Config::load_for(&required(&roles))?;
    telemetry::init(config.log.format, &config.log.level)?;
    let shutdown = Shutdown::on_signals()?;
    let (health, metrics) = (Health::new(), Metrics::new());
    let pool = if roles.len() > 1 {
        config.database.pool_size_all
    } else {
        config.database.pool_size
    };
    let house = House {
        store: store(&config, pool, (pool / 4).max(4))?,
        sealer: needs_keys(&roles).then(|| sealer(&config)).transpose()?,
        bus: bus(&config, &metrics),
        cache: Cache::start(&config.redis_url, config.broker.prefix.clone(), &metrics)?,
        health,
        metrics,
        config,
    };
    house.watch_services(&shutdown);
    let mut supervisor = Supervisor::new(shutdown.clone(), &house.metrics);
    for role in &roles {
        house.start(role, &mut supervisor, &shutdown)?;
    }
    let (ops_health, ops_metrics) = (house.health.clone(), house.metrics.clone());
    let (listen, ops_shutdown) = (house.config.listen.ops, shutdown.clone());
    supervisor.spawn("ops", move || {
        ops::serve(
            listen,
            ops_health.clone(),
            ops_metrics.clone(),
            ops_shutdown.clone(),
        )
    });
    tracing::info!(
        roles = roles.iter().copied().collect::<Vec<_>>().join(","),
        "started"
    );
    let lacking = tokio::select! {
        () = shutdown.triggered() => None,
        () = supervisor.finished() => None,
        ids = house.missing_keys(&shutdown) => Some(ids),
    };
    shutdown.trigger();
    let cut = supervisor.drain(house.config.shutdown_grace).await;
    house.bus.close().await;
    house.store.close().await;
    if let Some(ids) = lacking {
        bail!(
            "secrets_keys lacks {}, which stored values need",
            ids.join(", ")
        );
    }
    match cut {
        Ok(()) => Ok(()),
        Err(cut) => bail!("did not finish in time: {}", cut.join(", ")),
    }
}

fn chosen(names: &[String]) -> anyhow::Result<BTreeSet<&'static str>> {
    let mut roles = BTreeSet::new();
    for name in names.iter().flat_map(|names| names.split(',')) {
        if name == "all" {
            roles.extend(ROLES);
        } else {
            let known = ROLES.into_iter().find(|role| *role == name);
            roles.insert(known.with_context(|| {
                format!("unknown role or command `{name}`; see `roost --help`")
            })?);
        }
    }
    Ok(roles)
}

fn required(roles: &BTreeSet<&'static str>) -> Vec<&'static str> {
    let mut keys = REQUIRED.to_vec();
    if needs_keys(roles) {
        keys.push("secrets_keys");
    }
    if roles.contains("gateway") {
        keys.push("jwt_secret");
    }
    // The inbox recognises by it who was erased.
    if roles.contains("gateway") || roles.contains("inbox") {
        keys.push("audit_key");
    }
    if roles.contains("ingester") {
        keys.push("x_consumer_secret");
    }
    keys
}

fn needs_keys(roles: &BTreeSet<&'static str>) -> bool {
    roles
        .iter()
        .any(|role| matches!(*role, "inbox" | "sender" | "gateway"))
}

pub(crate) fn key_ring(config: &Config) -> anyhow::Result<KeyRing> {
    let keys = config.keys.secrets_keys.iter();
    let ring = KeyRing::new(keys.map(|key| (key.id.clone(), key.key.clone())));
    ring.context("secrets_keys is no ring of keys")
}

pub(crate) fn sealer(config: &Config) -> anyhow::Result<Sealer> {
    Ok(Sealer::new(key_ring(config)?))
}

pub(crate) fn store(
    config: &Config,
    app_connections: u32,
    ingest_connections: u32,
) -> anyhow::Result<Store> {
    Ok(Store::new(&StoreConfig {
        app_url: config.database.app_url.clone(),
        ingest_url: config.database.ingest_url.clone(),
        app_connections,
        ingest_connections,
    })?)
}

pub(crate) fn bus(config: &Config, metrics: &Metrics) -> Bus {
    let bus = BusConfig {
        partitions: config.broker.partitions,
        ..BusConfig::new(config.broker.url.clone(), config.broker.prefix.clone())
    };
    Bus::start(bus, metrics)
}

/// What the roles of one process share.
struct House {
    config: Config,
    store: Store,
    // One for all roles, so that they share what it knows; none where no role needs it.
    sealer: Option<Sealer>,
    bus: Bus,
    cache: Cache,
    health: Health,
    metrics: Metrics,
}

impl House {
    /// Looks after the outside systems for `/readyz`.
    fn watch_services(&self, shutdown: &Shutdown) {
        let bus = self.bus.clone();
        // The ingester spools without a broker; the others wait for it.
        self.health.probe("broker", Weight::Degrading, move || {
            (bus.is_up(), "not connected".to_owned())
        });
        let cache = self.cache.clone();
        self.health.probe("redis", Weight::Degrading, move || {
            (cache.is_up(), "not connected".to_owned())
        });
        let (store, check) = (
            self.store.clone(),
            self.health.check("database", Weight::Required),
        );
        let shutdown = shutdown.clone();
        tokio::spawn(async move {
            loop {
                let (up, detail) = connected(store.is_up().await);
                check.set(up, detail);
                if !shutdown.sleep(Duration::from_secs(2)).await {
                    return;
                }
            }
        });
    }

    fn start(
        &self,
        role: &'static str,
        supervisor: &mut Supervisor,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        let shutdown = shutdown.clone();
        match role {
            "ingester" => {
                let deps = self.ingester();
                supervisor.spawn(role, move || {
                    roost_ingester::run(deps.clone(), shutdown.clone())
                });
            }
            "inbox" => {
                let deps = self.inbox()?;
                supervisor.spawn(role, move || {
                    roost_inbox::run(deps.clone(), shutdown.clone())
                });
            }
            "relay" => {
                let deps = roost_relay::Deps {
                    store: self.store.clone(),
                    bus: self.bus.clone(),
                    metrics: self.metrics.clone(),
                    health: self.health.clone(),
                    lease: roost_relay::LEASE,
                };
                supervisor.spawn(role, move || {
                    roost_relay::run(deps.clone(), shutdown.clone())
                });
            }
            "sender" => {
                let deps = self.sender()?;
                supervisor.spawn(role, move || {
                    roost_sender::run(deps.clone(), shutdown.clone())
                });
            }
            "router" => {
                let deps = roost_router::Deps {
                    store: self.store.clone(),
                    bus: self.bus.clone(),
                    health: self.health.clone(),
                    metrics: self.metrics.clone(),
                    presence_grace: self.config.presence_grace,
                };
                supervisor.spawn(role, move || {
                    roost_router::run(deps.clone(), shutdown.clone())
                });
            }
            "sla" => {
                let deps = roost_sla::Deps {
                    store: self.store.clone(),
                    bus: self.bus.clone(),
                    health: self.health.clone(),
                    metrics: self.metrics.clone(),
                };
                supervisor.spawn(role, move || roost_sla::run(deps.clone(), shutdown.clone()));
            }
            "gateway" => {
                let deps = roost_gateway::Deps {
                    config: self.config.clone(),
                    store: self.store.clone(),
                    bus: self.bus.clone(),
                    cache: self.cache.clone(),
                    x: self.x_client()?,
                    sealer: self.sealer()?,
                    audit: Auditor::new(self.config.keys.audit_key_bytes()?),
                    health: self.health.clone(),
                    metrics: self.metrics.clone(),
                };
                supervisor.spawn(role, move || {
                    roost_gateway::run(deps.clone(), shutdown.clone())
                });
            }
            other => bail!("role {other} can't be started"),
        }
        Ok(())
    }

    fn ingester(&self) -> roost_ingester::Deps {
        let x = &self.config.x;
        let app = AppSecrets {
            name: MAIN_APP.to_owned(),
            consumer_key: x.consumer_key.clone(),
            consumer_secret: x.consumer_secret.clone(),
            previous_consumer_secret: Some(x.previous_consumer_secret.clone()),
        };
        roost_ingester::Deps {
            config: roost_ingester::IngesterConfig {
                listen: self.config.listen.ingester,
                lanes: self.config.lanes,
                grace: self.config.shutdown_grace,
            },
            apps: HashMap::from([(MAIN_APP.to_owned(), app)]),
            bus: self.bus.clone(),
            store: Some(self.store.clone()),
            // The role runs without: then it serves the installation's app only.
            sealer: self.sealer.clone(),
            health: self.health.clone(),
            metrics: self.metrics.clone(),
        }
    }

    fn inbox(&self) -> anyhow::Result<roost_inbox::Deps> {
        let window = self.config.reopen_window.as_secs() / 3600;
        Ok(roost_inbox::Deps {
            store: self.store.clone(),
            bus: self.bus.clone(),
            cache: self.cache.clone(),
            sealer: self.sealer()?,
            rules: roost_inbox::step::Rules {
                reopen_window_hours: u32::try_from(window)?,
                x_app_id: self.config.x.app_id.clone(),
                audit: Auditor::new(self.config.keys.audit_key_bytes()?),
            },
            partitions: self.config.broker.partitions,
            health: self.health.clone(),
            metrics: self.metrics.clone(),
        })
    }

    fn sender(&self) -> anyhow::Result<roost_sender::Deps> {
        let sender = &self.config.sender;
        Ok(roost_sender::Deps {
            store: self.store.clone(),
            bus: self.bus.clone(),
            x: self.x_client()?,
            api: match self.config.x.send_api {
                config::SendApi::V2 => SendApi::V2,
                config::SendApi::V11 => SendApi::V1_1,
            },
            sealer: self.sealer()?,
            limits: roost_sender::Limits {
                total_timeout: sender.total_timeout,
                lease: sender.lease,
                quiet: sender.quiet,
            },
            concurrency: roost_sender::CONCURRENCY,
            metrics: self.metrics.clone(),
            health: self.health.clone(),
        })
    }

    fn sealer(&self) -> anyhow::Result<Sealer> {
        self.sealer.clone().context("the role needs secrets_keys")
    }

    /// Returns once it is known that stored values need keys that this process doesn't have. Without a
    /// database nothing is known yet, and the roles start all the same.
    async fn missing_keys(&self, shutdown: &Shutdown) -> Vec<String> {
        if let Some(sealer) = &self.sealer {
            loop {
                match sealer.missing_keys(&self.store).await {
                    Ok(ids) if ids.is_empty() => break,
                    Ok(ids) => return ids,
                    Err(error) => {
                        tracing::debug!(%error, "cannot see yet which keys are needed");
                        shutdown.sleep(Duration::from_secs(2)).await;
                    }
                }
            }
        }
        std::future::pending().await
    }

    fn x_client(&self) -> anyhow::Result<XClient> {
        let x = &self.config.x;
        let sender = &self.config.sender;
        let timeouts = Timeouts {
            connect: sender.connect_timeout,
            total: sender.total_timeout,
        };
        Ok(XClient::new(
            &x.api_url,
            &x.consumer_key,
            x.consumer_secret.clone(),
            timeouts,
        )?)
    }
}

fn connected(is_up: bool) -> (bool, String) {
    (is_up, if is_up { "ok" } else { "not connected" }.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_named_one_by_one_or_all_at_once() {
        let names = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(chosen(&names(&["all"])).unwrap().len(), ROLES.len());
        assert_eq!(chosen(&names(&["inbox,relay", "sla"])).unwrap().len(), 3);
        assert!(chosen(&names(&["boss"])).is_err());
    }

    #[test]
    fn a_role_asks_only_for_what_it_needs() {
        assert!(!required(&BTreeSet::from(["relay"])).contains(&"jwt_secret"));
        assert!(required(&BTreeSet::from(["gateway"])).contains(&"jwt_secret"));
    }
}
