//! Retrying in place.

use roost_service::{Backoff, Shutdown};
use std::time::Duration;
use tokio::time::Instant;

/// Longest time that a delivery is held. The broker's own limit
/// (`consumer_timeout`, 30 min by default) kills the channel.
const HOLD_AT_MOST: Duration = Duration::from_secs(5 * 60);

/// What to do after a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try the held batch again.
    Again,
    /// Held for 5 minutes: drop the batch and call `Subscription::reopen`.
    GiveBack,
    /// The process is shutting down: drop the batch; it is delivered again.
    Stop,
}

/// Backs off while a batch is held because of a transient fault (database,
/// network). A returned message would go near the head of the queue and burn a
/// delivery, so an ordered queue is retried in place.
#[derive(Debug)]
pub struct HoldBack {
    since: Option<Instant>,
    backoff: Backoff,
}

impl HoldBack {
    /// Waits of 0.1 s to 10 s.
    #[must_use]
    pub fn new() -> Self {
        Self {
            since: None,
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(10)),
        }
    }

    /// To be called when the batch succeeded or was given back.
    pub fn reset(&mut self) {
        self.since = None;
        self.backoff.reset();
    }

    /// Waits before the next attempt.
    pub async fn wait(&mut self, shutdown: &Shutdown) -> Verdict {
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() > HOLD_AT_MOST {
            return Verdict::GiveBack;
        }
        if shutdown.sleep(self.backoff.next_delay()).await {
            Verdict::Again
        } else {
            Verdict::Stop
        }
    }
}

impl Default for HoldBack {
    fn default() -> Self {
        Self::new()
    }
}
