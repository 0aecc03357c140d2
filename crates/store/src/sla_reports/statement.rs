//! The statement: verdicts by period of the verdict, and below them durations by period of the end.

use roost_domain::ids::{ChannelId, MemberId, PolicyId, TeamId};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use super::{Dimension, Figures, Group, ReportQuery};
use crate::error::StoreError;
use crate::ts::Ts;
use crate::tx::BrandTx;
use crate::visibility::Visibility;

/// What one half of the statement knows of a group in a period.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Row {
    /// From 1.
    period: i32,
    kind: String,
    team_id: Option<Uuid>,
    member_id: Option<Uuid>,
    channel_id: Option<Uuid>,
    priority: Option<String>,
    policy_id: Option<Uuid>,
    /// As [`VERDICTS`], or as [`ENDS`] begins.
    counts: Vec<i64>,
    used: Option<Vec<f64>>,
    calendar: Option<Vec<f64>>,
    overdue: Option<Vec<f64>>,
}

/// Five counts, then one for each of [`super::REASONS`].
const VERDICTS: &str = "
    array[
        count(*) filter (where r.verdict = 'met'),
        count(*) filter (where r.verdict = 'breached'),
        count(*) filter (where r.verdict = 'breached' and exists (
            select from sla_excuses x
            where x.brand_id = r.brand_id and (x.channel_id is null or x.channel_id = r.channel_id)
              and x.starts_at <= r.verdict_at and r.verdict_at < x.ends_at)),
        count(*) filter (where r.verdict = 'cancelled'),
        count(*) filter (where r.verdict = 'cancelled' and r.used_ms >= r.target_seconds * 900),
        count(*) filter (where r.verdict = 'cancelled' and r.cancelled_as = 'resolved'),
        count(*) filter (where r.verdict = 'cancelled' and r.cancelled_as = 'no_reply_needed'),
        count(*) filter (where r.verdict = 'cancelled' and r.cancelled_as = 'blocked'),
        count(*) filter (where r.verdict = 'cancelled' and r.cancelled_as = 'erased'),
        count(*) filter (where r.verdict = 'cancelled' and r.cancelled_as = 'channel_disconnected'),
        count(*) filter (where r.verdict = 'cancelled' and r.cancelled_as = 'policy'),
        count(*) filter (where r.verdict = 'cancelled' and r.cancelled_as = 'left_queue')
    ] as counts,
    null::float8[] as used, null::float8[] as calendar, null::float8[] as overdue";

/// Two counts and the percentiles. What was cancelled says nothing of how long an answer takes.
const ENDS: &str = "
    array[
        count(*),
        count(*) filter (where r.cycle > 1 and r.cancelled_as is distinct from 'no_reply_needed')
    ] as counts,
    percentile_cont(array[0.5, 0.9, 0.95]) within group (order by r.used_ms)
        filter (where r.cancelled_as is null) as used,
    percentile_cont(array[0.5, 0.9, 0.95]) within group (order by r.calendar_ms)
        filter (where r.cancelled_as is null) as calendar,
    percentile_cont(array[0.5, 0.9]) within group (order by r.used_ms - r.target_seconds * 1000)
        filter (where r.cancelled_as is null and r.verdict = 'breached') as overdue";

/// Reads the rows, few more than the wanted ones if there are more.
pub(super) async fn run(
    tx: &mut BrandTx,
    query: &ReportQuery,
    most_rows: usize,
) -> Result<Vec<Row>, StoreError> {
    let brand = tx.brand();
    // The one statement here that may be long: a year of a busy brand is sorted three times.
    sqlx::query(
        "select set_config('statement_timeout', '20s', true), set_config('work_mem', '64MB', true),
                set_config('max_parallel_workers_per_gather', '2', true)",
    )
    .execute(tx.conn())
    .await?;
    let mut statement = QueryBuilder::new("");
    for (at, figures, between) in [
        ("r.verdict_at", VERDICTS, ""),
        ("r.ended_at", ENDS, " union all "),
    ] {
        statement.push(between).push("(select width_bucket(");
        statement.push(at).push(", ");
        let borders: Vec<Ts> = query.borders.iter().copied().map(Ts::from).collect();
        let (first, last) = (borders.first().copied(), borders.last().copied());
        statement
            .push_bind(borders)
            .push("::timestamptz[]) as period, r.kind collate \"C\" as kind");
        let mut keys = String::from("1, 2");
        for dimension in Dimension::ALL {
            let (column, kind) = match dimension {
                Dimension::Team => ("team_id", "uuid"),
                Dimension::Member => ("member_id", "uuid"),
                Dimension::Channel => ("channel_id", "uuid"),
                Dimension::Priority => ("priority", "text"),
                Dimension::Policy => ("policy_id", "uuid"),
            };
            if query.by.contains(&dimension) {
                statement.push(format!(", r.{column}"));
                keys.push_str(&format!(", r.{column}"));
            } else {
                statement.push(format!(", null::{kind} as {column}"));
            }
        }
        statement
            .push(",")
            .push(figures)
            .push(" from sla_results r where r.verdict is not null and r.brand_id = ")
            .push_bind(brand.0)
            .push(format!(" and {at} >= "))
            .push_bind(first)
            .push(format!(" and {at} < "))
            .push_bind(last);
        push_filter(&mut statement, query);
        statement.push(format!(" group by {keys} limit {})", most_rows + 1));
    }
    let rows = statement.build_query_as().fetch_all(tx.conn()).await?;
    Ok(rows)
}

fn push_filter(statement: &mut QueryBuilder<Postgres>, query: &ReportQuery) {
    let any_of = |statement: &mut QueryBuilder<Postgres>, column: &str, ids: Vec<Uuid>| {
        if !ids.is_empty() {
            statement
                .push(format!(" and r.{column} = any ("))
                .push_bind(ids)
                .push(")");
        }
    };
    let any_or_none =
        |statement: &mut QueryBuilder<Postgres>, column: &str, ids: Vec<Option<Uuid>>| {
            if ids.is_empty() {
                return;
            }
            let known: Vec<Uuid> = ids.iter().copied().flatten().collect();
            let has_none = known.len() < ids.len();
            statement
                .push(format!(" and (r.{column} = any ("))
                .push_bind(known)
                .push(")");
            if has_none {
                statement.push(format!(" or r.{column} is null"));
            }
            statement.push(")");
        };
    let teams = query.teams.iter().map(|id| id.map(|id| id.0)).collect();
    any_or_none(statement, "team_id", teams);
    let members = query.members.iter().map(|id| id.map(|id| id.0)).collect();
    any_or_none(statement, "member_id", members);
    let channels = query.channels.iter().map(|id| id.0).collect();
    any_of(statement, "channel_id", channels);
    let policies = query.policies.iter().map(|id| id.0).collect();
    any_of(statement, "policy_id", policies);
    let words = [
        (
            "kind",
            query.kinds.iter().map(|it| it.as_str()).collect::<Vec<_>>(),
        ),
        (
            "priority",
            query.priorities.iter().map(|it| it.as_str()).collect(),
        ),
    ];
    for (column, words) in words {
        if !words.is_empty() {
            statement
                .push(format!(" and r.{column} = any ("))
                .push_bind(words)
                .push(")");
        }
    }
    if query.visibility != Visibility::ALL {
        statement.push(
            " and exists (select from conversations c where c.brand_id = r.brand_id and c.id = r.conversation_id",
        );
        query.visibility.push(statement);
        statement.push(")");
    }
}

impl Row {
    /// Which period, from 0, and which group.
    pub(super) fn place(&self) -> Result<(usize, Group), StoreError> {
        let period = usize::try_from(self.period - 1).map_err(unreadable)?;
        let priority = self.priority.as_deref().map(str::parse).transpose();
        let group = Group {
            kind: self.kind.parse().map_err(unreadable)?,
            team: self.team_id.map(TeamId),
            member: self.member_id.map(MemberId),
            channel: self.channel_id.map(ChannelId),
            priority: priority.map_err(unreadable)?,
            policy: self.policy_id.map(PolicyId),
        };
        Ok((period, group))
    }

    /// Writes what it knows into the figures of its group.
    pub(super) fn add_to(self, figures: &mut Figures) {
        match self.counts.as_slice() {
            [met, breached, excused, cancelled, late, reasons @ ..] => {
                figures.met = *met;
                figures.breached = *breached;
                figures.excused = *excused;
                figures.cancelled = *cancelled;
                figures.cancelled_late = *late;
                for (held, counted) in figures.cancelled_by_reason.iter_mut().zip(reasons) {
                    *held = *counted;
                }
            }
            [ended, reopened] => {
                figures.ended = *ended;
                figures.reopened = *reopened;
                figures.used = self.used.and_then(|values| values.try_into().ok());
                figures.calendar = self.calendar.and_then(|values| values.try_into().ok());
                figures.overdue = self.overdue.and_then(|values| values.try_into().ok());
            }
            _ => {}
        }
    }
}

fn unreadable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
