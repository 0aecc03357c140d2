//! Figures of the role. Labels come from the enums here.

use prometheus::{Gauge, Histogram, IntCounter, IntCounterVec, IntGauge};
use roost_platforms::x::split::kind;
use roost_service::Metrics;

/// How a POST ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All events are in the broker.
    Published,
    /// Some events are in the spool.
    Spooled,
    /// Neither took them: 503.
    Unavailable,
    /// Wrong or missing signature: 401.
    Unauthorized,
    /// No such app: 404.
    UnknownApp,
    /// Over the limit: 413.
    TooLarge,
    /// The body did not arrive in time: 408.
    SlowBody,
    /// The body ended early: 400.
    BrokenBody,
    /// Signed, but no JSON: 400.
    NotJson,
    /// Signed JSON that holds no events, or too many: 400.
    NotEvents,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Spooled => "spooled",
            Self::Unavailable => "unavailable",
            Self::Unauthorized => "unauthorized",
            Self::UnknownApp => "unknown_app",
            Self::TooLarge => "too_large",
            Self::SlowBody => "slow_body",
            Self::BrokenBody => "broken_body",
            Self::NotJson => "not_json",
            Self::NotEvents => "not_events",
        }
    }
}

pub(crate) struct IngesterMetrics {
    webhooks: IntCounterVec,
    events: IntCounterVec,
    malformed: IntCounterVec,
    lanes: IntCounterVec,
    crc: IntCounterVec,
    last_crc: Gauge,
    pub(crate) confirm: Histogram,
    pub(crate) spooled: IntCounter,
    pub(crate) dropped_typing: IntCounter,
    pub(crate) drained: IntCounter,
    pub(crate) spool_depth: IntGauge,
}

impl IngesterMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            webhooks: metrics.counter_vec(
                "roost_ingester_webhooks_total",
                "Webhook POSTs, by how they ended.",
                &["result"],
            ),
            events: metrics.counter_vec(
                "roost_ingester_events_total",
                "Events in verified POSTs, by kind.",
                &["kind"],
            ),
            malformed: metrics.counter_vec(
                "roost_ingester_malformed_total",
                "Events kept raw because they can't be used, by fault.",
                &["fault"],
            ),
            lanes: metrics.counter_vec(
                "roost_ingester_lane_events_total",
                "Events by the lane they took.",
                &["lane"],
            ),
            crc: metrics.counter_vec(
                "roost_ingester_crc_total",
                "Challenges, by result.",
                &["result"],
            ),
            last_crc: metrics.float_gauge(
                "roost_ingester_last_crc_timestamp_seconds",
                "When a challenge was last answered; alert when it is 26 h ago.",
            ),
            confirm: metrics.latency(
                "roost_ingester_confirm_seconds",
                "From publish to the confirm of a POST's last event.",
            ),
            spooled: metrics.counter(
                "roost_ingester_spooled_total",
                "Events written to the spool.",
            ),
            dropped_typing: metrics.counter(
                "roost_ingester_dropped_typing_total",
                "Typing events dropped because the broker did not take them.",
            ),
            drained: metrics.counter(
                "roost_ingester_drained_total",
                "Events moved from the spool to the broker.",
            ),
            spool_depth: metrics.gauge(
                "roost_ingester_spool_events",
                "Events that wait in the spool.",
            ),
        }
    }

    pub(crate) fn webhook(&self, outcome: Outcome) {
        self.webhooks.with_label_values(&[outcome.as_str()]).inc();
    }

    pub(crate) fn event(&self, kind: &str) {
        self.events.with_label_values(&[kind_label(kind)]).inc();
    }

    pub(crate) fn malformed(&self, fault: &str) {
        self.malformed.with_label_values(&[fault]).inc();
    }

    pub(crate) fn lane(&self, lane: roost_bus::Lane) {
        self.lanes.with_label_values(&[lane.as_str()]).inc();
    }

    pub(crate) fn crc_answered(&self) {
        self.crc.with_label_values(&["answered"]).inc();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        self.last_crc
            .set(now.map_or(0.0, |since| since.as_secs_f64()));
    }

    pub(crate) fn crc_refused(&self) {
        self.crc.with_label_values(&["refused"]).inc();
    }
}

/// X's own names are open-ended, so they share one label.
fn kind_label(name: &str) -> &'static str {
    match name {
        kind::DM => "dm",
        kind::TYPING => "typing",
        kind::READ => "read",
        kind::CHAT => "chat",
        kind::REVOKE => "revoke",
        kind::MALFORMED => "malformed",
        _ => "other",
    }
}
