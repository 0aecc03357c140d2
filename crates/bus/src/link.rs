//! What the tasks of one bus share, and how a connection can fail.

use crate::bus::BusConfig;
use crate::metrics::BusMetrics;
use crate::topology::Topology;
use roost_service::Shutdown;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Confirms that may fail to come, one after another, before the connection
/// counts as dead.
const MAX_TIMEOUTS: u32 = 3;

/// The state of the publishing connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkState {
    Down,
    Up,
    /// The broker said `connection.blocked`.
    Blocked,
}

pub(crate) struct Shared {
    pub(crate) config: BusConfig,
    pub(crate) topology: Topology,
    pub(crate) metrics: BusMetrics,
    pub(crate) publishing: watch::Sender<LinkState>,
    /// Set by [`crate::Bus::close`] and when the last handle is dropped.
    pub(crate) closing: Shutdown,
    timeouts: AtomicU32,
    next_id: AtomicU64,
}

impl Shared {
    pub(crate) fn new(config: BusConfig, topology: Topology, metrics: BusMetrics) -> Self {
        Self {
            config,
            topology,
            metrics,
            publishing: watch::Sender::new(LinkState::Down),
            closing: Shutdown::new(),
            timeouts: AtomicU32::new(0),
            next_id: AtomicU64::new(1),
        }
    }

    pub(crate) fn state(&self) -> LinkState {
        *self.publishing.borrow()
    }

    pub(crate) fn set_state(&self, state: LinkState) {
        self.publishing.send_replace(state);
        self.metrics.up.set(i64::from(state == LinkState::Up));
        self.metrics
            .blocked
            .set(i64::from(state == LinkState::Blocked));
    }

    /// Unique within this bus: tells which message the broker returned.
    pub(crate) fn next_message_id(&self) -> String {
        self.next_id.fetch_add(1, Ordering::Relaxed).to_string()
    }

    pub(crate) fn note_confirm(&self) {
        self.timeouts.store(0, Ordering::Relaxed);
    }

    /// A wait for confirms that brought none at all.
    ///
    /// # Errors
    /// When it was the last one allowed.
    pub(crate) fn note_timeout(&self) -> Result<(), LinkError> {
        let count = self.timeouts.fetch_add(1, Ordering::Relaxed) + 1;
        if count < MAX_TIMEOUTS || self.state() == LinkState::Blocked {
            return Ok(());
        }
        self.note_confirm();
        Err(LinkError::Silent(count))
    }
}

/// Why a connection was given up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("the broker's URL is not valid: {0}")]
    Url(String),
    #[error("cannot reach the broker")]
    Unreachable(#[source] std::io::Error),
    #[error("{0} took longer than {1:?}")]
    Slow(&'static str, Duration),
    #[error("cannot {0}")]
    Amqp(&'static str, #[source] lapin::Error),
    #[error("{0} confirms in a row did not come")]
    Silent(u32),
    #[error("the connection ended")]
    Ended,
    #[error("a consumer ended: {0}")]
    Consumer(String),
}

/// Awaits a request to the broker, with a limit: the library has none.
pub(crate) async fn limited<T>(
    what: &'static str,
    limit: Duration,
    request: impl Future<Output = lapin::Result<T>>,
) -> Result<T, LinkError> {
    match tokio::time::timeout(limit, request).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(LinkError::Amqp(what, error)),
        Err(_) => Err(LinkError::Slow(what, limit)),
    }
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
