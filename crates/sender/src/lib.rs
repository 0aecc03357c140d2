//! Replies go out: queued, sending, then sent, failed or in doubt.
//!
//! What it is for: sending each reply at most once, in order within its conversation, within the
//! platform's budgets, people's replies first; and asking the platform about those whose outcome
//! nobody saw. What it must not know: how a reply changes its conversation (`roost_store::settle`), or
//! what a refusal looks like on the wire (`roost_platforms::x::client`).
//!
//! Start reading at [`step::work`], then `roost_store::outbound`.

mod boot_clock;
mod look_up;
mod metrics;
mod platform;
mod send;
pub mod step;

use std::collections::HashMap;
use std::time::Duration;

use anyhow::ensure;
use roost_bus::{Bus, Hint, Subscription, SubscriptionSpec};
use roost_domain::fair;
use roost_domain::ids::BrandId;
use roost_platforms::x::client::{SendApi, XClient};
use roost_service::health::{Health, Weight};
use roost_service::{Backoff, Metrics, Shutdown};
use roost_store::outbound::{self, Due, Terms};
use roost_store::seal::Sealer;
use roost_store::{Store, StoreError};
use tokio::task::{Id, JoinError, JoinSet};

pub use crate::metrics::SenderMetrics;
pub use crate::step::{Desk, Outcome};

/// What the sender works with.
#[derive(Debug, Clone)]
pub struct Deps {
    /// PostgreSQL.
    pub store: Store,
    /// RabbitMQ, for hints alone.
    pub bus: Bus,
    /// X, with the time limits of [`Deps::limits`].
    pub x: XClient,
    /// Which of X's calls sends.
    pub api: SendApi,
    /// Opens the accounts' tokens.
    pub sealer: Sealer,
    /// How long things may take.
    pub limits: Limits,
    /// Replies that this process has in hand at once.
    pub concurrency: usize,
    /// Where it counts.
    pub metrics: Metrics,
    /// Where it says how it is.
    pub health: Health,
}

/// The usual [`Deps::concurrency`].
pub const CONCURRENCY: usize = 16;

/// Time limits, each longer than the next: `quiet`, `lease`, `total_timeout`, 5 s.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// One call of the platform, whole.
    pub total_timeout: Duration,
    /// How long a sender owns a reply that it has taken.
    pub lease: Duration,
    /// How long after an attempt a look-up may decide.
    pub quiet: Duration,
}

impl Limits {
    /// Whether they are in order.
    ///
    /// # Errors
    /// When they aren't: a reply could then go out twice.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.quiet > self.lease
                && self.lease > self.total_timeout
                && self.total_timeout > step::GIVE_UP_AFTER,
            "sending needs quiet > lease > total timeout > 5 s, or a reply could go out twice"
        );
        Ok(())
    }

    fn terms(&self) -> Terms {
        Terms {
            lease: self.lease,
            quiet: self.quiet,
        }
    }
}

/// The net under lost hints.
const POLL: Duration = Duration::from_secs(1);
/// Replies that one look at the queue brings, at most.
const BATCH: i32 = 64;

/// Sends until shutdown, then finishes what is in hand.
///
/// # Errors
/// When the limits are out of order; every other failure is retried here.
pub async fn run(deps: Deps, shutdown: Shutdown) -> anyhow::Result<()> {
    deps.limits.check()?;
    let check = deps.health.check("sender", Weight::Degrading);
    let metrics = SenderMetrics::new(&deps.metrics);
    let mut hints = deps.bus.subscribe(SubscriptionSpec::Hints(Hint::Sender));
    let mut hands = Hands::new(&deps, metrics.clone());
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    while !shutdown.is_triggered() {
        match hands.fill().await {
            Ok(()) => {
                check.up();
                metrics.succeeded();
                backoff.reset();
                hands.wait(&mut hints, &shutdown).await;
            }
            Err(error) => {
                tracing::warn!(%error, "cannot look for replies to send");
                check.down("the database doesn't answer");
                shutdown.sleep(backoff.next_delay()).await;
            }
        }
    }
    hands.finish().await;
    Ok(())
}

/// The replies in hand, one of a conversation.
struct Hands {
    desk: Desk,
    bus: Bus,
    concurrency: usize,
    tasks: JoinSet<()>,
    in_hand: HashMap<Id, Due>,
    metrics: SenderMetrics,
}

impl Hands {
    fn new(deps: &Deps, metrics: SenderMetrics) -> Self {
        let desk = Desk {
            store: deps.store.clone(),
            x: deps.x.clone(),
            api: deps.api,
            sealer: deps.sealer.clone(),
            limits: deps.limits,
            give_up_after: step::GIVE_UP_AFTER,
            metrics: metrics.clone(),
        };
        Self {
            desk,
            bus: deps.bus.clone(),
            concurrency: deps.concurrency,
            tasks: JoinSet::new(),
            in_hand: HashMap::new(),
            metrics,
        }
    }

    /// Takes what is due while there is a hand free.
    async fn fill(&mut self) -> Result<(), StoreError> {
        if self.tasks.len() >= self.concurrency {
            return Ok(());
        }
        for due in outbound::due(&self.desk.store, BATCH).await? {
            if self.tasks.len() >= self.concurrency {
                break;
            }
            let is_busy = |busy: &Due| busy.conversation == due.conversation;
            if self.in_hand.values().any(is_busy) || !self.may_take(due.brand) {
                continue;
            }
            let (desk, bus) = (self.desk.clone(), self.bus.clone());
            let task = self.tasks.spawn(async move {
                match step::work(&desk, due).await {
                    Ok(_) => bus.hint(Hint::Relay, b""),
                    Err(error) => {
                        tracing::warn!(%error, message.id = %due.message, "cannot work on a reply; it is due again");
                        // So that a fault that concerns one reply doesn't turn into a storm of it.
                        tokio::time::sleep(POLL).await;
                    }
                }
            });
            self.in_hand.insert(task.id(), due);
        }
        self.metrics
            .in_hand
            .set(i64::try_from(self.tasks.len()).unwrap_or(i64::MAX));
        Ok(())
    }

    /// A brand whose platform is slow must not hold every hand.
    fn may_take(&self, brand: BrandId) -> bool {
        let of_brand = self.in_hand.values().filter(|due| due.brand == brand);
        fair::may_take(of_brand.count(), self.concurrency)
    }

    async fn wait(&mut self, hints: &mut Subscription, shutdown: &Shutdown) {
        tokio::select! {
            () = shutdown.triggered() => {}
            () = tokio::time::sleep(POLL) => {}
            Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
            Some(_) = hints.next_batch(1_000) => {}
        }
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.ended(ended);
        }
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                // The attempt stands: its lease runs out and it is in doubt.
                tracing::error!(%error, "sending panicked");
                self.metrics.panics.inc();
                error.id()
            }
        };
        self.in_hand.remove(&id);
    }

    /// A call under way ends within its time-out; its outcome is worth waiting for.
    async fn finish(&mut self) {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.ended(ended);
        }
    }
}
