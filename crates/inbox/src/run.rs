//! The role: partitions in, workers on them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use roost_bus::{Bus, Lane, SubscriptionSpec};
use roost_cache::Cache;
use roost_service::health::Weight;
use roost_service::{Health, Metrics, Shutdown};
use roost_store::Store;
use roost_store::seal::Sealer;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::forward::{GiveBack, PREFETCH, Part, forward};
use crate::metrics::InboxMetrics;
use crate::partitions::{LEASE_SECONDS, Partitions};
use crate::signs::Signs;
use crate::step::Rules;
use crate::worker::{Lanes, Tools, Worker};

/// Workers in a process: each has a transaction under way while the others collect.
const WORKERS: u16 = 2;
/// Parts that wait for a worker; beyond that the broker's prefetch holds the rest.
const WAITING_PARTS: usize = 16;

/// How long asking for queue depths may take.
const MEASURE_LIMIT: Duration = Duration::from_secs(2);

/// What the role works with.
#[derive(Debug, Clone)]
pub struct Deps {
    /// The database.
    pub store: Store,
    /// The broker.
    pub bus: Bus,
    /// Where signs of typing go.
    pub cache: Cache,
    /// Seals dead letters.
    pub sealer: Sealer,
    /// What folding needs to know.
    pub rules: Rules,
    /// Ingress partitions of the installation.
    pub partitions: u16,
    /// Where the role says how it is.
    pub health: Health,
    /// Where it counts.
    pub metrics: Metrics,
}

/// The way to one worker.
struct Feed {
    main: mpsc::Sender<Part>,
    bulk: mpsc::Sender<Part>,
    give_back: GiveBack,
}

/// Runs until the shutdown.
///
/// # Errors
/// When a worker dies.
pub async fn run(deps: Deps, shutdown: Shutdown) -> anyhow::Result<()> {
    let metrics = InboxMetrics::new(&deps.metrics);
    let check = deps.health.check("inbox", Weight::Required);
    let signs = Signs::default();
    let mut workers = JoinSet::new();
    let mut feeds: Vec<Feed> = Vec::new();
    for _ in 0..WORKERS {
        let (main, main_parts) = mpsc::channel(WAITING_PARTS);
        let (bulk, bulk_parts) = mpsc::channel(WAITING_PARTS);
        let give_back = GiveBack::new();
        let tools = Tools {
            store: deps.store.clone(),
            bus: deps.bus.clone(),
            cache: deps.cache.clone(),
            sealer: deps.sealer.clone(),
            rules: deps.rules.clone(),
            metrics: metrics.clone(),
            signs: signs.clone(),
        };
        let worker = Worker::new(tools, give_back.clone());
        feeds.push(Feed {
            main,
            bulk,
            give_back,
        });
        let shutdown = shutdown.clone();
        let lanes = Lanes::new(main_parts, bulk_parts);
        workers.spawn(async move { worker.work(lanes, &shutdown).await });
    }
    let partitions = Partitions::new(deps.store.clone(), deps.partitions);
    let mut forwarders: BTreeMap<u16, [JoinHandle<()>; 2]> = BTreeMap::new();
    loop {
        match partitions.keep().await {
            Ok(own) => {
                check.up();
                metrics
                    .partitions
                    .set(i64::try_from(own.len()).unwrap_or(0));
                follow(&deps.bus, &own, &mut forwarders, &feeds);
                // Best effort: a broker that hangs must not cost the leases.
                timeout(MEASURE_LIMIT, measure(&deps.bus, &own, &metrics))
                    .await
                    .ok();
            }
            // Partitions that it has stay: the leases only spread the load.
            Err(error) => {
                tracing::warn!(%error, "cannot renew the inbox's partitions");
                check.down("the database is not available");
            }
        }
        let renew = Duration::from_secs(u64::try_from(LEASE_SECONDS / 3).unwrap_or(5));
        tokio::select! {
            going_on = shutdown.sleep(renew) => if !going_on { break },
            Some(ended) = workers.join_next() => {
                ended.context("an inbox worker died")?;
                break;
            }
        }
    }
    for task in forwarders.into_values().flatten() {
        task.abort();
    }
    drop(feeds);
    while let Some(ended) = workers.join_next().await {
        ended.context("an inbox worker died")?;
    }
    if let Err(error) = partitions.give_back().await {
        tracing::debug!(%error, "cannot give partitions back; their leases run out by themselves");
    }
    Ok(())
}

/// Says how far behind its partitions are.
async fn measure(bus: &Bus, own: &BTreeSet<u16>, metrics: &InboxMetrics) {
    for (name, lane) in [("main", Lane::Main), ("bulk", Lane::Bulk)] {
        let mut waiting = 0;
        for partition in own {
            let depth = bus
                .queue_depth(&bus.topology().ingress_queue(*partition, lane))
                .await;
            waiting += i64::from(depth.unwrap_or(0));
        }
        metrics.waiting.with_label_values(&[name]).set(waiting);
    }
}

/// Starts and stops forwarders until they are those of these partitions.
fn follow(
    bus: &Bus,
    own: &BTreeSet<u16>,
    forwarders: &mut BTreeMap<u16, [JoinHandle<()>; 2]>,
    feeds: &[Feed],
) {
    forwarders.retain(|partition, tasks| {
        let stays = own.contains(partition);
        if !stays {
            tasks.iter().for_each(JoinHandle::abort);
        }
        stays
    });
    for partition in own {
        let Some(to) = feeds.get(usize::from(*partition) % feeds.len().max(1)) else {
            continue;
        };
        forwarders.entry(*partition).or_insert_with(|| {
            [(Lane::Main, &to.main), (Lane::Bulk, &to.bulk)].map(|(lane, feed)| {
                let spec = SubscriptionSpec::Ingress {
                    partition: *partition,
                    lane,
                    prefetch: PREFETCH,
                };
                let give_back = to.give_back.clone();
                tokio::spawn(forward(bus.clone(), spec, feed.clone(), give_back))
            })
        });
    }
}
