//! Figures of one bus.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};
use roost_service::Metrics;

#[derive(Debug, Clone)]
pub(crate) struct BusMetrics {
    pub(crate) up: IntGauge,
    pub(crate) blocked: IntGauge,
    pub(crate) connects: IntCounterVec,
    pub(crate) published: IntCounterVec,
    pub(crate) confirm: Histogram,
    pub(crate) window: Histogram,
    pub(crate) hints: IntCounterVec,
    pub(crate) delivered: IntCounterVec,
    pub(crate) dead_lettered: IntCounter,
}

impl BusMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            up: metrics.gauge("roost_bus_up", "1 while the publishing connection works."),
            blocked: metrics.gauge(
                "roost_bus_blocked",
                "1 while the broker blocks publishers by an alarm.",
            ),
            connects: metrics.counter_vec(
                "roost_bus_connects_total",
                "Connection attempts.",
                &["link", "result"],
            ),
            published: metrics.counter_vec(
                "roost_bus_published_total",
                "Messages published, by outcome.",
                &["result"],
            ),
            confirm: metrics.latency(
                "roost_bus_confirm_seconds",
                "From hand-over of a batch to its last confirm.",
            ),
            window: metrics.histogram(
                "roost_bus_window_messages",
                "Messages in flight together on a channel.",
                &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0],
            ),
            hints: metrics.counter_vec(
                "roost_bus_hints_total",
                "Hints, by outcome; a dropped one costs a poll interval.",
                &["result"],
            ),
            delivered: metrics.counter_vec(
                "roost_bus_delivered_total",
                "Messages delivered to consumers.",
                &["redelivered"],
            ),
            dead_lettered: metrics.counter(
                "roost_bus_dead_lettered_total",
                "Messages moved to a dead-letter queue by a consumer.",
            ),
        }
    }
}
