//! Where teams are asked to be routed: a team once at a time, and never twice for what one run covers.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use roost_bus::{Bus, Hint};
use roost_domain::ids::{BrandId, TeamId};
use roost_service::Backoff;
use roost_store::{Store, StoreError};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

use crate::error::{Failure, classify};
use crate::metrics::RouterMetrics;
use crate::step::{self, Outcome};

/// A team of a brand.
pub(crate) type Team = (BrandId, TeamId);

/// Transactions of a process at the same time.
const CONCURRENCY: usize = 4;
/// How long a request waits for other hands before the team is put off.
const PATIENCE: Duration = Duration::from_secs(2);

/// Routes teams on request.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) store: Store,
    pub(crate) metrics: RouterMetrics,
    bus: Bus,
    permits: Semaphore,
    teams: Mutex<HashMap<Team, Arc<Tray>>>,
    put_off: Mutex<BTreeSet<Team>>,
    wake: Notify,
}

/// A team's requests. A run answers all that were made before it began.
#[derive(Debug, Default)]
struct Tray {
    asked: AtomicU64,
    answered: tokio::sync::Mutex<u64>,
}

impl Desk {
    pub(crate) fn new(store: Store, bus: Bus, metrics: RouterMetrics) -> Self {
        Self {
            store,
            metrics,
            bus,
            permits: Semaphore::new(CONCURRENCY),
            teams: Mutex::default(),
            put_off: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// Routes all of these; returns when a run that began after the call has ended for each.
    ///
    /// # Errors
    /// When the database is away; then those that failed have to be asked for again.
    pub(crate) async fn route_all(
        self: &Arc<Self>,
        teams: impl IntoIterator<Item = Team>,
    ) -> Result<(), StoreError> {
        let mut runs = JoinSet::new();
        for team in teams {
            let desk = self.clone();
            runs.spawn(async move { desk.route(team).await });
        }
        let mut failure = None;
        while let Some(ended) = runs.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => failure = Some(error),
                Err(error) => {
                    tracing::error!(%error, "routing a team panicked");
                    self.metrics.failed("drop");
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// Resolves when teams were put off.
    pub(crate) async fn has_put_off(&self) {
        self.wake.notified().await;
    }

    /// Takes the teams that were put off.
    pub(crate) fn take_put_off(&self) -> BTreeSet<Team> {
        std::mem::take(&mut *self.put_off.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn put_off(&self, teams: impl IntoIterator<Item = Team>) {
        let mut waiting = self.put_off.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend(teams);
        self.wake.notify_one();
    }

    async fn route(&self, team: Team) -> Result<(), StoreError> {
        let tray = self.tray(team);
        let number = tray.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut answered = tray.answered.lock().await;
        if *answered < number {
            let covers = tray.asked.load(Ordering::SeqCst);
            self.settle(team).await?;
            *answered = covers;
        }
        drop(answered);
        self.clear(team, &tray);
        Ok(())
    }

    fn tray(&self, team: Team) -> Arc<Tray> {
        let mut teams = self.teams.lock().unwrap_or_else(PoisonError::into_inner);
        teams.entry(team).or_default().clone()
    }

    /// Forgets a team that nobody asks for.
    fn clear(&self, team: Team, tray: &Arc<Tray>) {
        let mut teams = self.teams.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's and the caller's: whoever else wants one has to come through the map.
        if Arc::strong_count(tray) == 2 {
            teams.remove(&team);
        }
    }

    /// Routes a team until there is nothing left that it could do now.
    async fn settle(&self, team: Team) -> Result<(), StoreError> {
        let began = Instant::now();
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(250));
        loop {
            match self.step(team).await {
                Ok(Outcome::Gone) => return Ok(()),
                Ok(Outcome::Busy) => self.metrics.busy.inc(),
                Ok(Outcome::Routed(routed)) if routed.more => continue,
                Ok(Outcome::Routed(routed)) if routed.skipped == 0 => return Ok(()),
                Ok(Outcome::Routed(_)) => {}
                Err(error) => match classify(&error) {
                    Failure::Again => self.metrics.failed("again"),
                    Failure::Hold => {
                        self.metrics.failed("hold");
                        if !self.store.is_up().await {
                            return Err(error);
                        }
                        // It is this team's doing, such as a time limit: neighbours go on.
                        tracing::warn!(
                            brand.id = %team.0, team.id = %team.1, error = describe(&error),
                            "routing a team is put off"
                        );
                        self.put_off([team]);
                        return Ok(());
                    }
                    Failure::Drop => {
                        self.metrics.failed("drop");
                        tracing::error!(
                            brand.id = %team.0, team.id = %team.1, error = describe(&error),
                            "cannot route a team; the next sweep tries again"
                        );
                        return Ok(());
                    }
                },
            }
            if began.elapsed() > PATIENCE {
                self.put_off([team]);
                return Ok(());
            }
            backoff.wait().await;
        }
    }

    async fn step(&self, (brand, team): Team) -> Result<Outcome, StoreError> {
        // The semaphore is never closed; if it were, the step would still be right.
        let _permit = self.permits.acquire().await.ok();
        let timer = self.metrics.step_seconds.start_timer();
        let outcome = step::route_team(&self.store, brand, team).await?;
        timer.observe_duration();
        if let Outcome::Routed(routed) = &outcome {
            self.metrics.routed(routed);
            if routed.has_told() {
                self.bus.hint(Hint::Relay, b"router");
            }
        }
        Ok(outcome)
    }
}

/// A failure with its causes.
pub(crate) fn describe(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
