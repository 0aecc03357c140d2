//! What an operator sees of the router.

use prometheus::{Gauge, Histogram, IntCounter, IntCounterVec, IntGauge};
use roost_service::Metrics;

use crate::step::Routed;

/// Seconds, from a tenth to two hours: assignments take as long as agents are few.
const WAIT_BUCKETS: [f64; 14] = [
    0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0, 7_200.0,
];

/// The router's metrics.
#[derive(Debug, Clone)]
pub struct RouterMetrics {
    /// From entering the queue to an assignment.
    pub wait_seconds: Histogram,
    /// Duration of one step.
    pub step_seconds: Histogram,
    /// Decisions by outcome.
    pub decisions: IntCounterVec,
    /// Steps that another router's lock put off.
    pub busy: IntCounter,
    /// Failures by what was done about them.
    pub failures: IntCounterVec,
    /// Conversations that wait.
    pub queue_length: IntGauge,
    /// How long the oldest of them has waited.
    pub queue_age_seconds: Gauge,
    /// When the last sweep succeeded, in Unix seconds.
    pub last_sweep: IntGauge,
}

impl RouterMetrics {
    /// Registers them.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            wait_seconds: metrics.histogram(
                "roost_router_assignment_wait_seconds",
                "From entering the queue to an assignment.",
                &WAIT_BUCKETS,
            ),
            step_seconds: metrics.latency(
                "roost_router_step_seconds",
                "Duration of routing one team once.",
            ),
            decisions: metrics.counter_vec(
                "roost_router_decisions_total",
                "Decisions by outcome: assigned, kept, waiting.",
                &["outcome"],
            ),
            busy: metrics.counter(
                "roost_router_busy_total",
                "Steps put off because another router had the team.",
            ),
            failures: metrics.counter_vec(
                "roost_router_failures_total",
                "Failures by treatment: again, hold, drop, unreadable.",
                &["treatment"],
            ),
            queue_length: metrics.gauge(
                "roost_router_queue_length",
                "Conversations that wait for an assignee, up to 100,000.",
            ),
            queue_age_seconds: metrics.float_gauge(
                "roost_router_queue_age_seconds",
                "How long the oldest waiting conversation has waited.",
            ),
            last_sweep: metrics.gauge(
                "roost_router_last_sweep_timestamp_seconds",
                "When the last sweep over waiting teams succeeded.",
            ),
        }
    }

    pub(crate) fn routed(&self, routed: &Routed) {
        for waited in &routed.assigned {
            self.wait_seconds.observe(waited.as_secs_f64());
        }
        for (outcome, count) in [
            ("assigned", routed.assigned.len()),
            ("kept", routed.kept),
            ("waiting", routed.told),
        ] {
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            self.decisions.with_label_values(&[outcome]).inc_by(count);
        }
    }

    pub(crate) fn failed(&self, treatment: &str) {
        self.failures.with_label_values(&[treatment]).inc();
    }
}
