//! Figures of the gateway.

use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge};
use roost_service::Metrics;

#[derive(Debug, Clone)]
pub(crate) struct GatewayMetrics {
    pub(crate) requests: IntCounterVec,
    pub(crate) seconds: HistogramVec,
    pub(crate) streams: IntGauge,
    pub(crate) frames: IntCounterVec,
    pub(crate) closed: IntCounterVec,
    pub(crate) hashes: IntCounter,
    pub(crate) mails: IntCounterVec,
    pub(crate) mail_age: IntGauge,
}

impl GatewayMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            requests: metrics.counter_vec(
                "roost_gateway_requests_total",
                "Requests, by route and class of status.",
                &["route", "class"],
            ),
            seconds: metrics.latency_vec(
                "roost_gateway_request_seconds",
                "Time to the head of the answer.",
                &["route"],
            ),
            streams: metrics.gauge("roost_gateway_streams", "Streams that are open."),
            frames: metrics.counter_vec(
                "roost_gateway_stream_events_total",
                "Events offered to streams, and what became of them.",
                &["result"],
            ),
            closed: metrics.counter_vec(
                "roost_gateway_streams_closed_total",
                "Streams that ended, and why.",
                &["reason"],
            ),
            hashes: metrics.counter(
                "roost_gateway_password_hashes_total",
                "Password hashes computed: one for each try, whether or not the person is known.",
            ),
            mails: metrics.counter_vec(
                "roost_gateway_mails_total",
                "Tries at sending a mail, and what became of them.",
                &["result"],
            ),
            mail_age: metrics.gauge(
                "roost_gateway_mail_oldest_seconds",
                "Age of the oldest mail that waits.",
            ),
        }
    }
}
