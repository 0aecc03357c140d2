//! Named background tasks that are restarted when they fail and drained at the
//! end.

use crate::{Backoff, Metrics, Shutdown};
use std::collections::HashMap;
use std::time::Duration;
use tokio::task::{Id, JoinSet};

/// A task that ran at least this long starts again at the shortest delay.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// Owns the tasks of a process.
#[derive(Debug)]
pub struct Supervisor {
    tasks: JoinSet<()>,
    names: HashMap<Id, &'static str>,
    shutdown: Shutdown,
    failures: prometheus::IntCounterVec,
}

impl Supervisor {
    /// No tasks yet. Failures are counted in `roost_service_task_failures_total`.
    #[must_use]
    pub fn new(shutdown: Shutdown, metrics: &Metrics) -> Self {
        Self {
            tasks: JoinSet::new(),
            names: HashMap::new(),
            shutdown,
            failures: metrics.counter_vec(
                "roost_service_task_failures_total",
                "Tasks that returned an error or panicked and were started again.",
                &["task", "how"],
            ),
        }
    }

    /// Runs what `make` makes. An error or a panic is logged, counted and
    /// followed by a new run after a jittered delay (0.2 s to 15 s), until
    /// shutdown; a task that returns `Ok` is done.
    pub fn spawn<F>(&mut self, name: &'static str, make: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let shutdown = self.shutdown.clone();
        let failures = self.failures.clone();
        let handle = self.tasks.spawn(async move {
            let mut backoff = Backoff::reconnect();
            loop {
                let started = tokio::time::Instant::now();
                // A task of its own, so that a panic ends the run and not this loop.
                // In a set, so that cutting this loop cuts the run.
                let mut run = JoinSet::new();
                run.spawn(make());
                let how = match run.join_next().await {
                    None | Some(Ok(Ok(()))) => return,
                    Some(Ok(Err(error))) => {
                        tracing::error!(task = name, error = format!("{error:#}"), "task failed");
                        "error"
                    }
                    Some(Err(error)) => {
                        tracing::error!(task = name, %error, "task panicked");
                        "panic"
                    }
                };
                failures.with_label_values(&[name, how]).inc();
                if started.elapsed() > HEALTHY_AFTER {
                    backoff.reset();
                }
                if !shutdown.sleep(backoff.next_delay()).await {
                    return;
                }
            }
        });
        self.names.insert(handle.id(), name);
    }

    /// Resolves when every task is done by itself.
    pub async fn finished(&mut self) {
        while self.next_finished().await {}
    }

    /// Triggers shutdown and waits at most `grace` for the tasks to finish.
    ///
    /// # Errors
    /// The names of the tasks that were cut.
    pub async fn drain(mut self, grace: Duration) -> Result<(), Vec<&'static str>> {
        self.shutdown.trigger();
        if tokio::time::timeout(grace, self.finished()).await.is_ok() {
            return Ok(());
        }
        let mut cut: Vec<_> = self.names.values().copied().collect();
        cut.sort_unstable();
        self.tasks.shutdown().await;
        Err(cut)
    }

    async fn next_finished(&mut self) -> bool {
        match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => self.names.remove(&id).is_some(),
            Some(Err(error)) => self.names.remove(&error.id()).is_some(),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn a_panic_is_counted_and_the_task_runs_again() {
        let metrics = Metrics::new();
        let mut supervisor = Supervisor::new(Shutdown::new(), &metrics);
        let runs = Arc::new(AtomicU32::new(0));
        let seen = runs.clone();
        supervisor.spawn("flaky", move || {
            let run = seen.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(run > 0, "first run panics");
                anyhow::ensure!(run > 1, "second run fails");
                Ok(())
            }
        });
        supervisor.finished().await;
        assert_eq!(runs.load(Ordering::SeqCst), 3);
        let text = metrics.render().unwrap();
        assert!(text.contains("how=\"panic\",task=\"flaky\"} 1"), "{text}");
        assert!(text.contains("how=\"error\",task=\"flaky\"} 1"), "{text}");
    }

    #[tokio::test]
    async fn draining_names_what_was_cut() {
        let shutdown = Shutdown::new();
        let mut supervisor = Supervisor::new(shutdown.clone(), &Metrics::new());
        supervisor.spawn("polite", move || {
            let shutdown = shutdown.clone();
            async move {
                shutdown.triggered().await;
                Ok(())
            }
        });
        supervisor.spawn("deaf", std::future::pending);
        let cut = supervisor.drain(Duration::from_millis(50)).await;
        assert_eq!(cut, Err(vec!["deaf"]));
    }
}
