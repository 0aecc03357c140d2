//! The net under lost events: whoever waits is found, whoever left is noticed.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use roost_bus::{Bus, Hint, Subscription};
use roost_service::Shutdown;
use roost_service::health::Check;
use roost_store::{presence, routing};
use tokio::time::Instant;

use crate::desk::Desk;

/// Teams that one sweep looks at, those with the longest waits first.
const TEAMS: i32 = 2_000;
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// Hints that come closer than this share a sweep.
const HINTED_EVERY: Duration = Duration::from_secs(1);
/// The queue is measured and absences are noticed this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a team rests that other hands kept from being routed.
const PUT_OFF_FOR: Duration = Duration::from_millis(500);

/// What the sweep works with.
pub(crate) struct Sweep {
    pub(crate) desk: Arc<Desk>,
    pub(crate) bus: Bus,
    pub(crate) hints: Subscription,
    pub(crate) grace_seconds: i32,
    pub(crate) check: Check,
}

impl Sweep {
    /// Sweeps at once, then every 30 s and on hints, until shutdown.
    pub(crate) async fn run(mut self, shutdown: Shutdown) {
        let mut next_sweep = Instant::now();
        let mut next_look = Instant::now();
        while !shutdown.is_triggered() {
            let now = Instant::now();
            if now >= next_look {
                next_look = now + LOOK_EVERY;
                self.report("look at presence and queues", Self::look(&self).await);
            }
            if now >= next_sweep {
                next_sweep = now + SWEEP_EVERY;
                self.report("sweep over waiting teams", Self::sweep(&self).await);
            }
            tokio::select! {
                () = shutdown.triggered() => return,
                () = tokio::time::sleep_until(next_look.min(next_sweep)) => {}
                hinted = self.hints.next_batch(1_000) => match hinted {
                    Some(_) => next_sweep = next_sweep.min(now + HINTED_EVERY),
                    // The bus is closing: only shutdown is left to wait for.
                    None => return shutdown.triggered().await,
                },
                () = self.desk.has_put_off() => {
                    if !shutdown.sleep(PUT_OFF_FOR).await {
                        return;
                    }
                    let teams = self.desk.take_put_off();
                    if self.desk.route_all(teams.clone()).await.is_err() {
                        // The sweep, at the latest, finds them again; until then they stay on the list.
                        self.desk.put_off(teams);
                    }
                }
            }
        }
    }

    fn report(&self, what: &str, done: anyhow::Result<()>) {
        match done {
            Ok(()) => self.check.up(),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "cannot {what}");
                self.check.down("the database doesn't answer");
            }
        }
    }

    async fn look(&self) -> anyhow::Result<()> {
        let gone = presence::expire_absent(&self.desk.store, self.grace_seconds).await;
        if gone.as_ref().is_ok_and(|count| *count > 0) {
            self.bus.hint(Hint::Relay, b"presence");
        }
        gone.context("set the absent offline")?;
        let backlog = routing::backlog(&self.desk.store)
            .await
            .context("count what waits")?;
        self.desk.metrics.queue_length.set(backlog.waiting);
        self.desk
            .metrics
            .queue_age_seconds
            .set(backlog.oldest.as_secs_f64());
        Ok(())
    }

    async fn sweep(&self) -> anyhow::Result<()> {
        let teams = routing::waiting_teams(&self.desk.store, TEAMS)
            .await
            .context("find waiting teams")?;
        self.desk.route_all(teams).await.context("route them")?;
        let now = jiff::Timestamp::now().as_second();
        self.desk.metrics.last_sweep.set(now);
        Ok(())
    }
}
