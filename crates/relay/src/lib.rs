//! The log goes out: event rows become messages on the broker, in order per conversation.
//!
//! What it is for: giving committed events their positions (it is the sequencer) and publishing
//! them with confirms, at least once. Work is shared by slots of buckets, leased in PostgreSQL.
//! What it must not know: what an event means.
//!
//! Start reading at [`Relay::step`], then [`slots`] (who relays what).

mod metrics;
pub mod slots;
mod step;

use std::time::{Duration, Instant};

use roost_bus::{Bus, Hint, Subscription, SubscriptionSpec};
use roost_service::health::{Health, Weight};
use roost_service::{Backoff, Metrics, Shutdown};
use roost_store::{Store, sequencer};

pub use crate::metrics::RelayMetrics;
pub use crate::step::{Outcome, Relay};

/// What the relay works with.
#[derive(Debug, Clone)]
pub struct Deps {
    /// PostgreSQL.
    pub store: Store,
    /// RabbitMQ.
    pub bus: Bus,
    /// Where it counts.
    pub metrics: Metrics,
    /// Where it says how it is.
    pub health: Health,
    /// How long a slot stays its own without renewal; renewed at a third of it.
    pub lease: Duration,
}

/// The usual length of a lease.
pub const LEASE: Duration = Duration::from_secs(5);

/// The net under lost hints.
const POLL: Duration = Duration::from_secs(1);
const BACKLOG_EVERY: Duration = Duration::from_secs(5);
const SETTLE_EVERY: Duration = Duration::from_secs(60);

/// Relays until shutdown, then gives its slots back.
///
/// # Errors
/// None today: every failure is retried here.
pub async fn run(deps: Deps, shutdown: Shutdown) -> anyhow::Result<()> {
    let check = deps.health.check("relay", Weight::Degrading);
    let metrics = RelayMetrics::new(&deps.metrics);
    let mut hints = deps.bus.subscribe(SubscriptionSpec::Hints(Hint::Relay));
    let mut relay = Relay::new(
        deps.store.clone(),
        deps.bus.clone(),
        metrics.clone(),
        deps.lease,
    );
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(3));
    let mut measured = Every::new(BACKLOG_EVERY);
    let mut settled = Every::new(SETTLE_EVERY);
    while !shutdown.is_triggered() {
        if let Err(error) = relay.keep().await {
            tracing::warn!(%error, "cannot renew the relay's leases");
        }
        if measured.is_due()
            && let Ok(backlog) = sequencer::backlog(&deps.store).await
        {
            metrics.backlog.set(backlog);
        }
        match relay.step().await {
            Ok(Outcome::Done(_)) => {
                check.up();
                backoff.reset();
            }
            Ok(Outcome::Idle) => {
                check.up();
                backoff.reset();
                if settled.is_due() {
                    relay.settle().await;
                }
                woken(&mut hints, &shutdown, POLL.min(relay.next_keep())).await;
            }
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "relaying failed; what was not confirmed is published again"
                );
                check.down("events wait");
                metrics.failures.inc();
                shutdown.sleep(backoff.next_delay()).await;
            }
        }
    }
    relay.give_back().await;
    Ok(())
}

async fn woken(hints: &mut Subscription, shutdown: &Shutdown, limit: Duration) {
    tokio::select! {
        () = shutdown.triggered() => {}
        () = tokio::time::sleep(limit) => {}
        hint = hints.next_batch(1_000) => if hint.is_none() {
            // The bus is closing: only shutdown is left to wait for.
            shutdown.sleep(limit).await;
        },
    }
}

/// A chore that is done now and then.
#[derive(Debug)]
struct Every {
    period: Duration,
    due: Instant,
}

impl Every {
    fn new(period: Duration) -> Self {
        Self {
            period,
            due: Instant::now(),
        }
    }

    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = now >= self.due;
        if due {
            self.due = now + self.period;
        }
        due
    }
}
