//! The signal that asks every loop to finish.

use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Cloned into every loop. Once triggered it stays so.
#[derive(Debug, Clone)]
pub struct Shutdown {
    flag: watch::Sender<bool>,
}

impl Shutdown {
    /// One that only [`Shutdown::trigger`] sets off.
    #[must_use]
    pub fn new() -> Self {
        Self {
            flag: watch::Sender::new(false),
        }
    }

    /// One that SIGTERM and SIGINT set off. A second signal while draining
    /// ends the process at once with code 130.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub fn on_signals() -> io::Result<Self> {
        let shutdown = Self::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let seen = shutdown.clone();
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                if seen.is_triggered() {
                    tracing::warn!(signal = name, "second signal: leaving without draining");
                    std::process::exit(130);
                }
                tracing::info!(signal = name, "shutting down");
                seen.trigger();
            }
        });
        Ok(shutdown)
    }

    /// Asks everyone to finish.
    pub fn trigger(&self) {
        self.flag.send_replace(true);
    }

    /// Whether it was triggered.
    #[must_use]
    pub fn is_triggered(&self) -> bool {
        *self.flag.borrow()
    }

    /// Resolves when triggered. Safe to drop and call again, so it fits `select!`.
    pub async fn triggered(&self) {
        let mut seen = self.flag.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        seen.wait_for(|set| *set).await.ok();
    }

    /// Sleeps for `duration` unless asked to finish first; `true` when the
    /// time passed, `false` on shutdown.
    pub async fn sleep(&self, duration: std::time::Duration) -> bool {
        tokio::select! {
            biased;
            () = self.triggered() => false,
            () = tokio::time::sleep(duration) => true,
        }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_trigger_reaches_every_clone_and_late_comers() {
        let shutdown = Shutdown::new();
        let clone = shutdown.clone();
        let waiting = tokio::spawn(async move { clone.triggered().await });
        assert!(shutdown.sleep(Duration::from_millis(1)).await);
        shutdown.trigger();
        waiting.await.unwrap();
        shutdown.triggered().await;
        assert!(!shutdown.sleep(Duration::from_secs(60)).await);
    }
}
