//! What the router reads, locks and keeps.
//!
//! The order of locks in a routing transaction: the team's row (only routers take it, and never wait
//! for it), conversations (never waited for either), then members in the order of their ids. Loads
//! are read after the members are locked, and whoever gives a conversation to a member locks that
//! member, so a load that a decision stands on can't grow before the commit.

mod affected;
mod queue;

use std::time::Duration;

use roost_domain::ids::{BrandId, MemberId, TeamId};
use roost_domain::routing::{Candidate, Decision};
use uuid::Uuid;

use crate::assignments::{CandidateView, Decided, DecidedBy, NewDecision};
use crate::cross;
use crate::error::StoreError;
use crate::ledger::parse;
use crate::ts::Ts;
use crate::tx::{BrandTx, Store};
pub use affected::affected_teams;
pub use queue::{Queue, lock_queue};

/// How a team's row answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TeamLock {
    /// Locked; the team assigns by itself.
    Auto,
    /// Locked; the team assigns by hand.
    Manual,
    /// Another router has it.
    Busy,
    /// There is no such team.
    Gone,
}

/// Locks a team for routing, without waiting.
///
/// # Errors
/// When the database fails.
pub async fn lock_team(tx: &mut BrandTx, team: TeamId) -> Result<TeamLock, StoreError> {
    let brand = tx.brand();
    // `for update` would bar foreign keys to the team, so that whoever opens a conversation in it
    // would wait for the router.
    let mode: Option<String> = sqlx::query_scalar(
        "select mode from teams where brand_id = $1 and id = $2 for no key update skip locked",
    )
    .bind(brand.0)
    .bind(team.0)
    .fetch_optional(tx.conn())
    .await?;
    match mode.as_deref() {
        Some("auto") => return Ok(TeamLock::Auto),
        Some(_) => return Ok(TeamLock::Manual),
        None => {}
    }
    let exists: bool =
        sqlx::query_scalar("select exists (select from teams where brand_id = $1 and id = $2)")
            .bind(brand.0)
            .bind(team.0)
            .fetch_one(tx.conn())
            .await?;
    Ok(if exists {
        TeamLock::Busy
    } else {
        TeamLock::Gone
    })
}

/// Locks a team's members and reads what they hold.
///
/// # Errors
/// When the database fails.
pub async fn lock_candidates(tx: &mut BrandTx, team: TeamId) -> Result<Vec<Candidate>, StoreError> {
    #[derive(sqlx::FromRow)]
    struct Row {
        id: Uuid,
        role: String,
        active: bool,
        capacity: i32,
        last_assigned_at: Option<Ts>,
        presence: String,
        load: i64,
    }
    let brand = tx.brand();
    sqlx::query(
        "select m.id from team_members t join members m on m.brand_id = t.brand_id and m.id = t.member_id
         where t.brand_id = $1 and t.team_id = $2 order by m.id for no key update of m",
    )
    .bind(brand.0)
    .bind(team.0)
    .execute(tx.conn())
    .await?;
    // Another statement, so that it sees what was committed while the locks were waited for.
    let rows: Vec<Row> = sqlx::query_as(
        "select m.id, m.role, m.active, m.capacity, m.last_assigned_at, coalesce(p.status, 'offline') as presence,
                (select count(*) from conversations c
                 where c.brand_id = m.brand_id and c.assignee_id = m.id and c.status = 'open'
                   and c.queued_at is null) as load
         from team_members t
         join members m on m.brand_id = t.brand_id and m.id = t.member_id
         left join presence p on p.brand_id = m.brand_id and p.member_id = m.id
         where t.brand_id = $1 and t.team_id = $2 order by m.id",
    )
    .bind(brand.0)
    .bind(team.0)
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Candidate {
                member: MemberId(row.id),
                role: parse(&row.role)?,
                active: row.active,
                presence: parse(&row.presence)?,
                capacity: row.capacity,
                load: i32::try_from(row.load).unwrap_or(i32::MAX),
                last_assigned_at: row.last_assigned_at.map(Ts::get),
            })
        })
        .collect()
}

/// Keeps decisions of the router with their reasons, and marks whom they gave something.
///
/// # Errors
/// When the database fails.
pub async fn keep(
    tx: &mut BrandTx,
    team: TeamId,
    decisions: &[(Decision, String)],
) -> Result<(), StoreError> {
    let brand = tx.brand();
    let rows: Vec<NewDecision> = decisions
        .iter()
        .map(|(decision, reason)| NewDecision {
            conversation: decision.conversation,
            team: Some(team),
            outcome: decision.member.map_or(Decided::Waiting, Decided::Assigned),
            by: DecidedBy::Router,
            actor: None,
            reason: reason.clone(),
            over_capacity: false,
            candidates: decision
                .candidates
                .iter()
                .map(CandidateView::from)
                .collect(),
        })
        .collect();
    crate::assignments::insert(tx.conn(), brand, &rows).await?;
    let mut winners: Vec<Uuid> = decisions
        .iter()
        .filter_map(|(decision, _)| decision.member)
        .map(|member| member.0)
        .collect();
    winners.sort_unstable();
    winners.dedup();
    if !winners.is_empty() {
        sqlx::query(
            "update members set last_assigned_at = clock_timestamp() where brand_id = $1 and id = any ($2)",
        )
        .bind(brand.0)
        .bind(winners)
        .execute(tx.conn())
        .await?;
    }
    Ok(())
}

/// Teams of all brands in which something waits that a router could settle, longest wait first.
///
/// # Errors
/// When the database fails.
pub async fn waiting_teams(store: &Store, most: i32) -> Result<Vec<(BrandId, TeamId)>, StoreError> {
    cross::pairs(
        store,
        "select brand_id, team_id from cross_waiting_teams($1)",
        most,
    )
    .await
}

/// What waits for an assignee in all brands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// How many conversations; counted up to 100,000.
    pub waiting: i64,
    /// How long the oldest of them has waited.
    pub oldest: Duration,
}

/// Counts what waits.
///
/// # Errors
/// When the database fails.
pub async fn backlog(store: &Store) -> Result<Backlog, StoreError> {
    let (waiting, seconds): (i64, f64) = store
        .system(|tx| {
            Box::pin(async move {
                Ok::<_, StoreError>(
                    sqlx::query_as("select waiting, oldest_seconds from routing_backlog()")
                        .fetch_one(tx.conn())
                        .await?,
                )
            })
        })
        .await?;
    Ok(Backlog {
        waiting,
        oldest: Duration::try_from_secs_f64(seconds).unwrap_or_default(),
    })
}
