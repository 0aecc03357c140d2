//! The role: asleep until the next timer.

use std::time::Duration;

use roost_bus::{Bus, Hint, Subscription, SubscriptionSpec};
use roost_service::health::{Health, Weight};
use roost_service::{Backoff, Metrics, Shutdown};
use roost_store::{Store, StoreError, timers};

use crate::aside::Aside;
use crate::metrics::SlaMetrics;
use crate::step::{Tools, fire_due, reapply_open, wake_due};

/// Clocks, and snoozes, that one look takes at most.
const LIMIT: usize = 2_000;
/// The net under lost hints: an idle worker asks one query in this time.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
/// Between two looks, so that a storm of hints is none of queries.
const SHORTEST_SLEEP: Duration = Duration::from_millis(20);
/// Between two looks while what is due can't be done.
const LONGEST_CONTENTION: Duration = Duration::from_millis(200);

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
}

/// Fires and wakes until shutdown.
///
/// # Errors
/// None: every failure is retried here.
pub async fn run(deps: Deps, shutdown: Shutdown) -> anyhow::Result<()> {
    let check = deps.health.check("sla", Weight::Degrading);
    let mut hints = deps.bus.subscribe(SubscriptionSpec::Hints(Hint::Sla));
    let mut tools = Tools {
        store: deps.store,
        metrics: SlaMetrics::new(&deps.metrics),
        aside: Aside::default(),
    };
    let mut outage = Backoff::new(Duration::from_millis(100), LONGEST_SLEEP);
    let mut contention = Backoff::new(SHORTEST_SLEEP, LONGEST_CONTENTION);
    while !shutdown.is_triggered() {
        match look(&mut tools, &deps.bus).await {
            Ok(look) => {
                check.up();
                outage.reset();
                let now = jiff::Timestamp::now().as_second();
                tools.metrics.last_look.set(now);
                match look {
                    Look::Nothing(next) => {
                        contention.reset();
                        asleep(&mut hints, &shutdown, next).await;
                    }
                    Look::Done => contention.reset(),
                    // Soon again, and not at once for ever.
                    Look::Stuck => {
                        shutdown.sleep(contention.next_delay()).await;
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "timers wait for the database");
                check.down("the database doesn't answer");
                shutdown.sleep(outage.next_delay()).await;
            }
        }
    }
    Ok(())
}

enum Look {
    /// Nothing is due for so long.
    Nothing(Duration),
    /// Something was due and some of it is done.
    Done,
    /// Something is due that is in other hands, or put aside.
    Stuck,
}

async fn look(tools: &mut Tools, bus: &Bus) -> Result<Look, StoreError> {
    // Before what is due, of which there may always be more.
    if reapply_open(tools).await? > 0 {
        bus.hint(Hint::Relay, b"sla");
        return Ok(Look::Done);
    }
    let next = timers::next_timer(&tools.store)
        .await?
        .unwrap_or(LONGEST_SLEEP);
    if !next.is_zero() {
        return Ok(Look::Nothing(next.min(LONGEST_SLEEP)));
    }
    tools.tidy();
    let fired = fire_due(tools, LIMIT).await?;
    let woken = wake_due(tools, LIMIT).await?;
    if fired.done + woken.done == 0 {
        return Ok(Look::Stuck);
    }
    bus.hint(Hint::Relay, b"sla");
    Ok(Look::Done)
}

/// Sleeps until the instant, or until a hint says that there may be an earlier one.
async fn asleep(hints: &mut Subscription, shutdown: &Shutdown, limit: Duration) {
    let deaf = limit.min(SHORTEST_SLEEP);
    shutdown.sleep(deaf).await;
    let limit = limit - deaf;
    tokio::select! {
        () = shutdown.triggered() => {}
        () = tokio::time::sleep(limit) => {}
        hint = hints.next_batch(1_000) => if hint.is_none() {
            // The bus is closing: only shutdown is left to wait for.
            shutdown.sleep(limit).await;
        },
    }
}
