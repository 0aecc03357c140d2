//! Reports.

use roost_store::sla_reports::{Figures, Group, Names, REASONS};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::At;

/// What became of SLA clocks in a period.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SlaReportView {
    pub(crate) from: At,
    /// Not contained.
    pub(crate) to: At,
    /// In which days, weeks and months are cut.
    pub(crate) time_zone: String,
    /// `none`, `day`, `week` or `month`.
    pub(crate) interval: &'static str,
    pub(crate) group_by: Vec<&'static str>,
    pub(crate) data: Vec<SlaReportRow>,
}

/// The figures of one kind of clock, and of one group, in one part of the period.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SlaReportRow {
    pub(crate) starts_at: At,
    /// Not contained.
    pub(crate) ends_at: At,
    /// The local date on which it starts.
    #[schema(format = Date)]
    pub(crate) date: String,
    /// `first_response`, `next_response`, `resolution` or `assignment`.
    pub(crate) kind: &'static str,
    /// Present when grouped by team; likewise below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) team: Option<GroupView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) member: Option<GroupView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) channel: Option<GroupView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) priority: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<GroupView>,
    /// Verdicts of the period: in time.
    pub(crate) met: i64,
    /// Too late, at the instant at which it was due: what is never answered counts too.
    pub(crate) breached: i64,
    /// Of the breached: fell due in an excused period.
    pub(crate) excused: i64,
    /// Ended without being met or breached.
    pub(crate) cancelled: i64,
    pub(crate) cancelled_by_reason: CancelledView,
    /// Of the cancelled: with 90 % of the target used, or more.
    pub(crate) cancelled_late: i64,
    /// met / (met + breached).
    pub(crate) attainment: Option<f64>,
    /// The same without the excused breaches.
    pub(crate) attainment_excused: Option<f64>,
    /// Clocks that ended in the period, whatever their verdict and its date.
    pub(crate) ended: i64,
    /// Of the ended resolution clocks: of a cycle that a reopening began; ended as `no reply needed` don't
    /// count. Null for other kinds.
    pub(crate) reopened: Option<i64>,
    /// reopened / ended.
    pub(crate) reopen_rate: Option<f64>,
    /// Durations of clocks that ended in the period and weren't cancelled, as the clock counts.
    pub(crate) used_seconds: PercentilesView,
    /// The same by the wall clock.
    pub(crate) calendar_seconds: PercentilesView,
    /// By how much those were late that were, as the clock counts.
    pub(crate) overdue_seconds: OverdueView,
}

/// A group.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupView {
    /// Null: what has none.
    pub(crate) id: Option<String>,
    /// As it is called now. Null where it has none, or was deleted without a trace.
    pub(crate) name: Option<String>,
}

/// Why clocks were cancelled.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CancelledView {
    pub(crate) resolved: i64,
    pub(crate) no_reply_needed: i64,
    pub(crate) blocked: i64,
    pub(crate) erased: i64,
    pub(crate) channel_disconnected: i64,
    pub(crate) policy: i64,
    pub(crate) left_queue: i64,
}

/// Percentiles, in seconds, between neighbours in proportion; null of nothing.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct PercentilesView {
    pub(crate) p50: Option<f64>,
    pub(crate) p90: Option<f64>,
    pub(crate) p95: Option<f64>,
}

/// Percentiles, in seconds.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct OverdueView {
    pub(crate) p50: Option<f64>,
    pub(crate) p90: Option<f64>,
}

impl From<[i64; REASONS.len()]> for CancelledView {
    fn from(counts: [i64; REASONS.len()]) -> Self {
        let [
            resolved,
            no_reply_needed,
            blocked,
            erased,
            channel_disconnected,
            policy,
            left_queue,
        ] = counts;
        Self {
            resolved,
            no_reply_needed,
            blocked,
            erased,
            channel_disconnected,
            policy,
            left_queue,
        }
    }
}

/// Milliseconds as seconds, to the millisecond.
fn seconds(ms: f64) -> Option<f64> {
    Some(ms.round() / 1000.0)
}

impl From<Option<[f64; 3]>> for PercentilesView {
    fn from(found: Option<[f64; 3]>) -> Self {
        let Some([p50, p90, p95]) = found else {
            return Self::default();
        };
        Self {
            p50: seconds(p50),
            p90: seconds(p90),
            p95: seconds(p95),
        }
    }
}

impl From<Option<[f64; 2]>> for OverdueView {
    fn from(found: Option<[f64; 2]>) -> Self {
        let Some([p50, p90]) = found else {
            return Self::default();
        };
        Self {
            p50: seconds(p50),
            p90: seconds(p90),
        }
    }
}

/// A part of a whole; none of nothing.
fn share(part: i64, whole: i64) -> Option<f64> {
    // Exact up to 2^53.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    let share = part as f64 / whole as f64;
    (whole > 0).then_some(share)
}

impl GroupView {
    fn new(names: &Names, id: Option<Uuid>, shown: Option<String>) -> Self {
        Self {
            id: shown,
            name: id.and_then(|id| names.of(id)).map(str::to_owned),
        }
    }
}

impl SlaReportRow {
    /// A row without its groups.
    pub(crate) fn new(
        starts_at: At,
        ends_at: At,
        date: String,
        group: &Group,
        figures: &Figures,
    ) -> Self {
        let Figures { met, breached, .. } = *figures;
        let is_resolution = group.kind == roost_domain::sla::ClockKind::Resolution;
        Self {
            starts_at,
            ends_at,
            date,
            kind: group.kind.as_str(),
            team: None,
            member: None,
            channel: None,
            priority: None,
            policy: None,
            met,
            breached,
            excused: figures.excused,
            cancelled: figures.cancelled,
            cancelled_by_reason: figures.cancelled_by_reason.into(),
            cancelled_late: figures.cancelled_late,
            attainment: share(met, met + breached),
            attainment_excused: share(met, met + breached - figures.excused),
            ended: figures.ended,
            reopened: is_resolution.then_some(figures.reopened),
            reopen_rate: share(figures.reopened, figures.ended).filter(|_| is_resolution),
            used_seconds: figures.used.into(),
            calendar_seconds: figures.calendar.into(),
            overdue_seconds: figures.overdue.into(),
        }
    }

    /// Says of which groups it speaks.
    pub(crate) fn grouped(
        mut self,
        by: &std::collections::BTreeSet<roost_store::sla_reports::Dimension>,
        group: &Group,
        names: &Names,
    ) -> Self {
        use roost_store::sla_reports::Dimension::{Channel, Member, Policy, Priority, Team};
        let of = |is_wanted: bool, id: Option<Uuid>, shown: Option<String>| {
            is_wanted.then(|| GroupView::new(names, id, shown))
        };
        let (team, member) = (group.team, group.member);
        let (channel, policy) = (group.channel, group.policy);
        self.team = of(
            by.contains(&Team),
            team.map(|id| id.0),
            team.map(|id| id.to_string()),
        );
        self.member = of(
            by.contains(&Member),
            member.map(|id| id.0),
            member.map(|id| id.to_string()),
        );
        self.channel = of(
            by.contains(&Channel),
            channel.map(|id| id.0),
            channel.map(|id| id.to_string()),
        );
        self.policy = of(
            by.contains(&Policy),
            policy.map(|id| id.0),
            policy.map(|id| id.to_string()),
        );
        self.priority = group
            .priority
            .filter(|_| by.contains(&Priority))
            .map(roost_domain::conversation::Priority::as_str);
        self
    }
}
