//! Deleting a team, whose conversations go to another one first.

use roost_domain::event::EventType;
use roost_domain::ids::{ConversationId, MemberId, TeamId};
use serde_json::json;
use uuid::Uuid;

use super::{StoredTeam, list};
use crate::assignments::{Decided, DecidedBy, NewDecision, insert};
use crate::error::StoreError;
use crate::events::append_subject_event;
use crate::ledger::{Cause, Ledger};
use crate::sla_policies::{Named, count_naming};
use crate::tx::BrandTx;

/// Conversations that one transaction moves: unresolved ones with all that hangs on it, and resolved
/// ones, of which only the team changes.
const UNRESOLVED_BATCH: i64 = 200;
const RESOLVED_BATCH: i64 = 2_000;

/// How many unresolved conversations a team has, counted up to 1,001.
///
/// # Errors
/// When the database fails.
pub async fn unresolved(tx: &mut BrandTx, team: TeamId) -> Result<i64, StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_scalar(
        "select count(*) from (select from conversations
                               where brand_id = $1 and team_id = $2 and status <> 'resolved' limit 1001) found",
    )
    .bind(brand.0)
    .bind(team.0)
    .fetch_one(tx.conn())
    .await?)
}

/// Moves some conversations of a team to another: unresolved ones as by hand, resolved ones silently,
/// so that they reopen there. Whether there may be more.
///
/// # Errors
/// When the database fails, or the other team is gone.
pub async fn move_some(
    tx: &mut BrandTx,
    from: TeamId,
    to: TeamId,
    cause: &Cause,
) -> Result<bool, StoreError> {
    let brand = tx.brand();
    let held: Vec<Uuid> = sqlx::query_scalar(
        "select id from conversations where brand_id = $1 and team_id = $2 and status <> 'resolved'
         order by id limit $3",
    )
    .bind(brand.0)
    .bind(from.0)
    .bind(UNRESOLVED_BATCH)
    .fetch_all(tx.conn())
    .await?;
    if held.is_empty() {
        let moved = sqlx::query(
            "update conversations set team_id = $3
             where brand_id = $1 and team_id = $2 and status = 'resolved' and id in (
                select id from conversations where brand_id = $1 and team_id = $2 and status = 'resolved'
                order by id limit $4)",
        )
        .bind(brand.0)
        .bind(from.0)
        .bind(to.0)
        .bind(RESOLVED_BATCH)
        .execute(tx.conn())
        .await?;
        return Ok(moved.rows_affected() > 0);
    }
    let held: Vec<ConversationId> = held.into_iter().map(ConversationId).collect();
    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
    ledger.lock(tx.conn(), brand, &held).await?;
    let here: Vec<(ConversationId, bool)> = ledger
        .all()
        .filter(|one| one.team == Some(from))
        .map(|one| (one.id, one.assignee.is_some()))
        .collect();
    let mut decisions = Vec::new();
    for (conversation, has_holder) in here {
        ledger.set_team(conversation, to, cause);
        if has_holder {
            decisions.push(NewDecision {
                conversation,
                team: Some(to),
                outcome: Decided::Unassigned,
                by: DecidedBy::Member,
                actor: cause.actor.id().map(MemberId),
                reason: "its team was deleted".to_owned(),
                over_capacity: false,
                candidates: Vec::new(),
            });
        }
    }
    insert(tx.conn(), brand, &decisions).await?;
    ledger.flush(tx.conn()).await?;
    Ok(true)
}

/// What became of a wish to delete a team.
#[derive(Debug, Clone)]
pub enum Dissolution {
    /// It is gone; this it was.
    Done(StoredTeam),
    /// There is none.
    Missing,
    /// It is the brand's default team.
    Default,
    /// Conversations came in meanwhile, or something else refers to it.
    InUse,
}

/// Deletes a team that no conversation is in; its channels go to another team, or to the default one.
///
/// # Errors
/// When the database fails.
pub async fn delete(
    tx: &mut BrandTx,
    id: TeamId,
    heir: Option<TeamId>,
    cause: &Cause,
) -> Result<Dissolution, StoreError> {
    let brand = tx.brand();
    // Nothing can come to refer to it from here on.
    sqlx::query("select from teams where brand_id = $1 and id = $2 for update")
        .bind(brand.0)
        .bind(id.0)
        .execute(tx.conn())
        .await?;
    let Some(team) = list(tx, Some(&[id])).await?.pop() else {
        return Ok(Dissolution::Missing);
    };
    if team.is_default {
        return Ok(Dissolution::Default);
    }
    if count_naming(tx, Named::Team(id)).await? > 0 {
        return Ok(Dissolution::InUse);
    }
    for statement in [
        "update channels set team_id = $3 where brand_id = $1 and team_id = $2",
        "delete from team_members where brand_id = $1 and team_id = $2 and ($3::uuid is null or true)",
        "delete from handbacks where brand_id = $1 and team_id = $2 and ($3::uuid is null or true)",
    ] {
        sqlx::query(statement)
            .bind(brand.0)
            .bind(id.0)
            .bind(heir.map(|team| team.0))
            .execute(tx.conn())
            .await?;
    }
    let gone = sqlx::query("delete from teams where brand_id = $1 and id = $2")
        .bind(brand.0)
        .bind(id.0)
        .execute(tx.conn())
        .await
        .map_err(StoreError::from);
    match gone {
        Ok(_) => {}
        Err(StoreError::Constraint { .. }) => return Ok(Dissolution::InUse),
        Err(error) => return Err(error),
    }
    let data = json!({ "mode": team.mode, "deleted": true });
    append_subject_event(tx, EventType::TeamUpdated, id.0, cause, data).await?;
    Ok(Dissolution::Done(team))
}
