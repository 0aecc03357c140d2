//! The role: events in, teams routed.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use roost_bus::{Bus, Hint, ROUTER_QUEUES, SubscriptionSpec};
use roost_service::health::{Health, Weight};
use roost_service::{Metrics, Shutdown};
use roost_store::Store;
use tokio::task::JoinSet;

use crate::consume::consume;
use crate::desk::Desk;
use crate::metrics::RouterMetrics;
use crate::sweep::Sweep;

/// Unacknowledged events that the broker lets out for each queue.
const PREFETCH: u16 = 1_000;

/// What the role works with.
#[derive(Debug, Clone)]
pub struct Deps {
    /// The database.
    pub store: Store,
    /// The broker.
    pub bus: Bus,
    /// Where the role says how it is.
    pub health: Health,
    /// Where it counts.
    pub metrics: Metrics,
    /// How long a member counts as present without a stream.
    pub presence_grace: Duration,
}

/// Runs until shutdown.
///
/// # Errors
/// When one of its loops dies.
pub async fn run(deps: Deps, shutdown: Shutdown) -> anyhow::Result<()> {
    let check = deps.health.check("router", Weight::Degrading);
    let metrics = RouterMetrics::new(&deps.metrics);
    let desk = Arc::new(Desk::new(deps.store, deps.bus.clone(), metrics));
    let mut loops = JoinSet::new();
    for index in 0..ROUTER_QUEUES {
        let events = deps.bus.subscribe(SubscriptionSpec::Router {
            index,
            prefetch: PREFETCH,
        });
        loops.spawn(consume(
            desk.clone(),
            events,
            check.clone(),
            shutdown.clone(),
        ));
    }
    let sweep = Sweep {
        desk,
        hints: deps.bus.subscribe(SubscriptionSpec::Hints(Hint::Router)),
        bus: deps.bus,
        grace_seconds: i32::try_from(deps.presence_grace.as_secs()).unwrap_or(i32::MAX),
        check,
    };
    loops.spawn(sweep.run(shutdown));
    while let Some(ended) = loops.join_next().await {
        ended.context("a loop of the router died")?;
    }
    Ok(())
}
