//! What the relay counts.

use prometheus::{Gauge, Histogram, IntCounter, IntGauge};
use roost_service::Metrics;

/// Its figures.
#[derive(Debug, Clone)]
pub struct RelayMetrics {
    pub(crate) events: IntCounter,
    pub(crate) backlog: IntGauge,
    pub(crate) slots: IntGauge,
    pub(crate) sequence: Histogram,
    pub(crate) publish: Histogram,
    pub(crate) failures: IntCounter,
    pub(crate) last_success: Gauge,
}

impl RelayMetrics {
    /// Registers them, or finds those of an earlier run.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            events: metrics.counter(
                "roost_relay_events_total",
                "Events published and confirmed.",
            ),
            backlog: metrics.gauge(
                "roost_relay_backlog_events",
                "Events that wait for their position, up to 100000.",
            ),
            slots: metrics.gauge("roost_relay_slots", "Slots that this relay holds, of 16."),
            sequence: metrics.latency(
                "roost_relay_sequence_seconds",
                "Giving a batch of events their positions.",
            ),
            publish: metrics.latency(
                "roost_relay_publish_seconds",
                "Publishing a batch, confirms included.",
            ),
            failures: metrics.counter(
                "roost_relay_step_failures_total",
                "Steps that failed and are done again.",
            ),
            last_success: metrics.float_gauge(
                "roost_relay_last_success_timestamp_seconds",
                "When a step last succeeded, idle ones included.",
            ),
        }
    }

    pub(crate) fn succeeded(&self) {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        self.last_success
            .set(since_epoch.map_or(0.0, |since| since.as_secs_f64()));
    }
}
