//! What the sender counts.

use prometheus::{Gauge, Histogram, IntCounter, IntCounterVec, IntGauge};
use roost_service::Metrics;

/// Its figures.
#[derive(Debug, Clone)]
pub struct SenderMetrics {
    /// By outcome: accepted, `not_sent`, `reauth_required`, failed, unknown.
    pub(crate) results: IntCounterVec,
    /// By where they were put instead.
    pub(crate) put: IntCounterVec,
    /// Replies in doubt, by what a look-up said.
    pub(crate) looked_up: IntCounterVec,
    pub(crate) call: Histogram,
    pub(crate) waited: Histogram,
    pub(crate) in_hand: IntGauge,
    pub(crate) panics: IntCounter,
    last_success: Gauge,
}

/// Seconds that a reply may wait: from a tenth to two hours.
const WAITS: [f64; 12] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 7_200.0,
];

impl SenderMetrics {
    /// Registers them, or finds those of an earlier run.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            results: metrics.counter_vec("roost_sender_results_total", "Attempts to send a reply, by outcome.", &["outcome"]),
            put: metrics.counter_vec(
                "roost_sender_put_off_total",
                "Replies that were not sent when they were due, by why; `budget` waits for the platform's limit.",
                &["why"],
            ),
            looked_up: metrics.counter_vec(
                "roost_sender_looked_up_total",
                "Look-ups of unconfirmed replies, by what they settled.",
                &["settled"],
            ),
            call: metrics.latency("roost_sender_call_seconds", "The platform's send call."),
            waited: metrics.histogram(
                "roost_sender_wait_seconds",
                "From queueing a reply to the platform's acceptance.",
                &WAITS,
            ),
            in_hand: metrics.gauge("roost_sender_in_hand", "Replies that this process works on."),
            panics: metrics.counter("roost_sender_panics_total", "Replies whose sending panicked."),
            last_success: metrics.float_gauge(
                "roost_sender_last_success_timestamp_seconds",
                "When the queue was last looked at.",
            ),
        }
    }

    pub(crate) fn succeeded(&self) {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        self.last_success
            .set(since_epoch.map_or(0.0, |since| since.as_secs_f64()));
    }
}
