//! What an operator sees of the inbox.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use roost_service::Metrics;

/// The inbox's metrics.
#[derive(Debug, Clone)]
pub struct InboxMetrics {
    /// Events by what became of them.
    pub events: IntCounterVec,
    /// Events in a batch.
    pub batch_size: Histogram,
    /// From begin to commit.
    pub batch_seconds: Histogram,
    /// From the ingester's receipt to the commit.
    pub delay_seconds: Histogram,
    /// Conversations folded anew for late events.
    pub refolds: IntCounter,
    /// Times that a batch had to wait.
    pub held: IntCounter,
    /// Messages given up with a reason.
    pub dead: IntCounter,
    /// Partitions that this process works on.
    pub partitions: IntGauge,
    /// Messages that wait in this process's partitions, by lane.
    pub waiting: IntGaugeVec,
}

impl InboxMetrics {
    /// Registers them.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            events: metrics.counter_vec(
                "roost_inbox_events_total",
                "Events by outcome: stored, duplicate, raw, blocked, erased, read, typing, revoked.",
                &["outcome"],
            ),
            batch_size: metrics.histogram(
                "roost_inbox_batch_events",
                "Events taken by one transaction.",
                &[1.0, 5.0, 10.0, 50.0, 100.0, 200.0, 500.0],
            ),
            batch_seconds: metrics
                .latency("roost_inbox_batch_seconds", "Duration of one transaction."),
            delay_seconds: metrics.latency(
                "roost_inbox_delay_seconds",
                "From the receipt of a webhook to its commit.",
            ),
            refolds: metrics.counter(
                "roost_inbox_refolds_total",
                "Conversations folded anew for late events.",
            ),
            held: metrics.counter(
                "roost_inbox_held_back_total",
                "Times that a batch waited because the database did not take it.",
            ),
            dead: metrics.counter(
                "roost_inbox_dead_total",
                "Messages put aside with a reason.",
            ),
            partitions: metrics.gauge(
                "roost_inbox_partitions",
                "Ingress partitions that this process works on.",
            ),
            waiting: metrics.gauge_vec(
                "roost_inbox_waiting_messages",
                "Messages that wait in the broker for this process, by lane.",
                &["lane"],
            ),
        }
    }
}
