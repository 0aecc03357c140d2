//! Metric registry with get-or-create constructors.
//!
//! A restarted task asks for its metrics again and gets the same ones, which
//! `prometheus` alone refuses. Names follow
//! `roost_<role>_<noun>_<unit>_total|_seconds`; labels come from enums.

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter,
    IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};
use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Seconds, from half a millisecond to ten seconds.
const LATENCY_BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0,
];

/// The metrics of a process. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    known: Arc<Mutex<HashMap<String, Box<dyn Any + Send + Sync>>>>,
}

impl Metrics {
    /// An empty registry plus the process's own figures (memory, CPU, open files).
    #[must_use]
    pub fn new() -> Self {
        let metrics = Self {
            registry: Registry::new(),
            known: Arc::default(),
        };
        let process = prometheus::process_collector::ProcessCollector::for_self();
        metrics.register("process", process);
        metrics
    }

    /// The registry behind it.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// A counter.
    #[must_use]
    pub fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.counter_vec(name, help, &[])
            .with_label_values::<&str>(&[])
    }

    /// A counter with labels.
    #[must_use]
    pub fn counter_vec(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.get_or_create(name, || IntCounterVec::new(Opts::new(name, help), labels))
    }

    /// A whole-number gauge.
    #[must_use]
    pub fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.gauge_vec(name, help, &[])
            .with_label_values::<&str>(&[])
    }

    /// A whole-number gauge with labels.
    #[must_use]
    pub fn gauge_vec(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.get_or_create(name, || IntGaugeVec::new(Opts::new(name, help), labels))
    }

    /// A gauge of seconds or ratios.
    #[must_use]
    pub fn float_gauge(&self, name: &str, help: &str) -> Gauge {
        let vec: GaugeVec = self.get_or_create(name, || GaugeVec::new(Opts::new(name, help), &[]));
        vec.with_label_values::<&str>(&[])
    }

    /// A histogram of seconds.
    #[must_use]
    pub fn latency(&self, name: &str, help: &str) -> Histogram {
        self.histogram(name, help, &LATENCY_BUCKETS)
    }

    /// A histogram of seconds with labels.
    #[must_use]
    pub fn latency_vec(&self, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
        self.histogram_vec(name, help, &LATENCY_BUCKETS, labels)
    }

    /// A histogram over your own buckets, such as batch sizes.
    #[must_use]
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.histogram_vec(name, help, buckets, &[])
            .with_label_values::<&str>(&[])
    }

    /// A histogram over your own buckets with labels.
    #[must_use]
    pub fn histogram_vec(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
        labels: &[&str],
    ) -> HistogramVec {
        self.get_or_create(name, || {
            HistogramVec::new(
                HistogramOpts::new(name, help).buckets(buckets.to_vec()),
                labels,
            )
        })
    }

    /// The text format that Prometheus scrapes.
    ///
    /// # Errors
    /// When a family is inconsistent, such as a bad label set.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn get_or_create<M>(&self, name: &str, create: impl Fn() -> prometheus::Result<M>) -> M
    where
        M: Collector + Clone + Any + Send + Sync,
    {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(metric) = known.get(name).and_then(|any| any.downcast_ref::<M>()) {
            return metric.clone();
        }
        #[expect(
            clippy::expect_used,
            reason = "names and labels are constants: a wrong one fails the first test that runs the role"
        )]
        let metric = create().expect("metric name and labels are valid");
        self.register(name, metric.clone());
        known.insert(name.to_owned(), Box::new(metric.clone()));
        metric
    }

    fn register(&self, name: &str, collector: impl Collector + 'static) {
        if let Err(error) = self.registry.register(Box::new(collector)) {
            tracing::error!(metric = name, %error, "cannot register metric");
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_twice_gives_the_same_metric() {
        let metrics = Metrics::new();
        metrics.counter("roost_test_things_total", "Things.").inc();
        metrics.counter("roost_test_things_total", "Things.").inc();
        let labelled = metrics.counter_vec("roost_test_kinds_total", "Kinds.", &["kind"]);
        labelled.with_label_values(&["a"]).inc();
        metrics
            .latency("roost_test_seconds", "Time.")
            .observe(0.002);
        let text = metrics.render().unwrap();
        assert!(text.contains("roost_test_things_total 2"), "{text}");
        assert!(text.contains("roost_test_kinds_total{kind=\"a\"} 1"));
        assert!(text.contains("roost_test_seconds_count 1"));
        assert!(text.contains("process_open_fds"));
    }
}
