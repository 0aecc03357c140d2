//! What the verdicts on clocks add up to: `sla_results`, counted by period, kind and group.
//!
//! Verdicts count in the period of the verdict, durations in the period in which the clock ended; both are
//! read in one statement, so that they speak of the same moment.

mod names;
mod statement;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use roost_domain::conversation::Priority;
use roost_domain::ids::{ChannelId, MemberId, PolicyId, TeamId};
use roost_domain::sla::ClockKind;

use crate::error::StoreError;
use crate::tx::BrandTx;
use crate::visibility::Visibility;
pub use names::Names;

/// By what figures are told apart, besides period and kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// Whose queue the conversation was in.
    Team,
    /// Who answered; while nobody has, who had it.
    Member,
    /// Over which account.
    Channel,
    /// For which priority the target was taken.
    Priority,
    /// By which policy the clock ran.
    Policy,
}

impl Dimension {
    /// All of them, in the order in which columns stand.
    pub const ALL: [Self; 5] = [
        Self::Team,
        Self::Member,
        Self::Channel,
        Self::Priority,
        Self::Policy,
    ];

    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::Member => "member",
            Self::Channel => "channel",
            Self::Priority => "priority",
            Self::Policy => "policy",
        }
    }
}

/// What is counted, and how it is told apart.
#[derive(Debug, Clone)]
pub struct ReportQuery {
    /// Where periods meet: the first one's beginning, … the last one's end, which it doesn't contain.
    pub borders: Vec<Timestamp>,
    /// By what.
    pub by: BTreeSet<Dimension>,
    /// Of these kinds only; empty: all. Likewise below.
    pub kinds: Vec<ClockKind>,
    /// None is one too: in nobody's queue.
    pub teams: Vec<Option<TeamId>>,
    /// None is one too: nobody's.
    pub members: Vec<Option<MemberId>>,
    /// Over these accounts.
    pub channels: Vec<ChannelId>,
    /// With targets of these priorities.
    pub priorities: Vec<Priority>,
    /// By these policies.
    pub policies: Vec<PolicyId>,
    /// Of the conversations that the caller sees.
    pub visibility: Visibility,
}

impl ReportQuery {
    fn periods(&self) -> usize {
        self.borders.len().saturating_sub(1)
    }
}

/// What a row is about. A dimension that wasn't asked for is none, as is one that a clock has no value of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// Of which kind.
    pub kind: ClockKind,
    /// Whose queue.
    pub team: Option<TeamId>,
    /// Whose.
    pub member: Option<MemberId>,
    /// Over which account.
    pub channel: Option<ChannelId>,
    /// With which priority's target.
    pub priority: Option<Priority>,
    /// By which policy.
    pub policy: Option<PolicyId>,
}

impl Group {
    fn of(kind: ClockKind) -> Self {
        Self {
            kind,
            team: None,
            member: None,
            channel: None,
            priority: None,
            policy: None,
        }
    }
}

/// The figures of a group in a period. Times are milliseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Verdicts in time.
    pub met: i64,
    /// Verdicts too late, those without an answer included.
    pub breached: i64,
    /// Breached ones that fell due in a period that somebody has excused.
    pub excused: i64,
    /// Clocks that ended without a verdict on anybody.
    pub cancelled: i64,
    /// The same by reason, in the order of [`REASONS`].
    pub cancelled_by_reason: [i64; REASONS.len()],
    /// Cancelled when nine tenths of the target or more were used.
    pub cancelled_late: i64,
    /// Clocks that ended in the period, however they did.
    pub ended: i64,
    /// Among the ended: of a cycle that a reopening began, unless it was for a mere thank-you.
    pub reopened: i64,
    /// p50, p90 and p95 of the time that counted, of ended ones that weren't cancelled.
    pub used: Option<[f64; 3]>,
    /// The same by the wall clock.
    pub calendar: Option<[f64; 3]>,
    /// p50 and p90 of the time beyond the target, of those that were late.
    pub overdue: Option<[f64; 2]>,
}

/// Why clocks are cancelled.
pub const REASONS: [&str; 7] = [
    "resolved",
    "no_reply_needed",
    "blocked",
    "erased",
    "channel_disconnected",
    "policy",
    "left_queue",
];

/// The figures of each period: every group of the report in every period.
#[derive(Debug, Clone)]
pub struct Report {
    /// By period, then by kind and group's names.
    pub rows: Vec<ReportRow>,
    /// What the groups are called.
    pub names: Names,
}

/// A row of a report.
#[derive(Debug, Clone)]
pub struct ReportRow {
    /// Which period, from 0.
    pub period: usize,
    /// What it is about.
    pub group: Group,
    /// What was counted.
    pub figures: Figures,
}

/// A report would have more rows than the caller takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyRows;

/// Counts. Without dimensions each wanted kind has a row in each period; with some, each group that has
/// anything in any of them.
///
/// # Errors
/// When the database fails.
pub async fn report(
    tx: &mut BrandTx,
    query: &ReportQuery,
    most_rows: usize,
) -> Result<Result<Report, TooManyRows>, StoreError> {
    let rows = statement::run(tx, query, most_rows).await?;
    let mut found: BTreeMap<(usize, Group), Figures> = BTreeMap::new();
    for row in rows {
        let (period, group) = row.place()?;
        row.add_to(found.entry((period, group)).or_default());
    }
    let groups: BTreeSet<Group> = if query.by.is_empty() {
        let kinds = if query.kinds.is_empty() {
            ClockKind::ALL.to_vec()
        } else {
            query.kinds.clone()
        };
        kinds.into_iter().map(Group::of).collect()
    } else {
        found.keys().map(|(_, group)| group.clone()).collect()
    };
    // The statement stops when one half has more: then there are more here too.
    if groups.len() * query.periods() > most_rows {
        return Ok(Err(TooManyRows));
    }
    let names = names::load(tx, &groups).await?;
    let mut groups: Vec<Group> = groups.into_iter().collect();
    groups.sort_by_cached_key(|group| (names.key(group), group.clone()));
    let mut rows = Vec::with_capacity(groups.len() * query.periods());
    for period in 0..query.periods() {
        for group in &groups {
            rows.push(ReportRow {
                period,
                figures: found.remove(&(period, group.clone())).unwrap_or_default(),
                group: group.clone(),
            });
        }
    }
    Ok(Ok(Report { rows, names }))
}
