//! What an operator sees of the clocks' worker.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};
use roost_domain::sla::Firing;
use roost_service::Metrics;
use roost_store::timers::Fired;

/// Seconds, from a millisecond to an hour: catching up after downtime shows as well.
const LAG_BUCKETS: [f64; 14] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3_600.0,
];

/// The worker's metrics.
#[derive(Debug, Clone)]
pub struct SlaMetrics {
    /// From the due instant to the firing.
    pub lag_seconds: Histogram,
    /// Things told, by what.
    pub fired: IntCounterVec,
    /// Snoozes ended.
    pub woken: IntCounter,
    /// Clocks that were due without being a conversation's running one.
    pub orphans: IntCounter,
    /// Failures by what was done about them.
    pub failures: IntCounterVec,
    /// Conversations put aside because their timers can't be handled.
    pub aside: IntGauge,
    /// When a look at the timers last succeeded, in Unix seconds.
    pub last_look: IntGauge,
}

impl SlaMetrics {
    /// Registers them.
    #[must_use]
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            lag_seconds: metrics.histogram(
                "roost_sla_lag_seconds",
                "From a due instant to its firing.",
                &LAG_BUCKETS,
            ),
            fired: metrics.counter_vec(
                "roost_sla_fired_total",
                "Things told, by what: warning, breach, escalation.",
                &["what"],
            ),
            woken: metrics.counter("roost_sla_woken_total", "Snoozes that ran out."),
            orphans: metrics.counter(
                "roost_sla_orphans_total",
                "Due clocks that were not their conversation's running one, put to rest.",
            ),
            failures: metrics.counter_vec(
                "roost_sla_failures_total",
                "Failures by treatment: again, hold, drop.",
                &["treatment"],
            ),
            aside: metrics.gauge(
                "roost_sla_aside_conversations",
                "Conversations whose timers can't be handled.",
            ),
            last_look: metrics.gauge(
                "roost_sla_last_look_timestamp_seconds",
                "When a look at the timers last succeeded.",
            ),
        }
    }

    pub(crate) fn told(&self, fired: &Fired) {
        for (firing, lag) in &fired.told {
            self.lag_seconds.observe(lag.as_secs_f64().max(0.0));
            let what = match firing {
                Firing::Warning(_) => "warning",
                Firing::Breach => "breach",
                Firing::Escalation(_) => "escalation",
            };
            self.fired.with_label_values(&[what]).inc();
        }
        let orphans = u64::try_from(fired.orphans.len()).unwrap_or(u64::MAX);
        self.orphans.inc_by(orphans);
    }

    pub(crate) fn failed(&self, treatment: &str) {
        self.failures.with_label_values(&[treatment]).inc();
    }
}
