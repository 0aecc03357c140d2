//! Figures of the cache.

use prometheus::{IntCounterVec, IntGauge};
use roost_service::Metrics;

#[derive(Debug, Clone)]
pub(crate) struct CacheMetrics {
    pub(crate) up: IntGauge,
    fallbacks: IntCounterVec,
}

impl CacheMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            up: metrics.gauge("roost_cache_up", "1 while Redis answers."),
            fallbacks: metrics.counter_vec(
                "roost_cache_faults_total",
                "Calls that Redis did not answer, and what became of them.",
                &["call", "result"],
            ),
        }
    }

    pub(crate) fn count(&self, call: &str, result: &str) {
        self.fallbacks.with_label_values(&[call, result]).inc();
    }
}
