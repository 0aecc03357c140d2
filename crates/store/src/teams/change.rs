//! Changing a team.

use roost_domain::event::EventType;
use roost_domain::ids::{MemberId, TeamId};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{StoredTeam, list};
use crate::brands;
use crate::changed::{Changed, expect_version};
use crate::error::StoreError;
use crate::events::append_subject_event;
use crate::ledger::Cause;
use crate::members;
use crate::tx::BrandTx;

/// A wanted change; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct TeamChange {
    /// The version that it is made on.
    pub if_version: Option<i64>,
    /// Unique in the brand.
    pub name: Option<String>,
    /// `auto` or `manual`.
    pub mode: Option<String>,
    /// Whether only its members, supervisors and above see its conversations.
    pub is_closed: Option<bool>,
    /// All its members.
    pub members: Option<Vec<MemberId>>,
    /// Makes it the brand's default team, in place of the one that was.
    pub becomes_default: bool,
}

/// A team that was changed.
#[derive(Debug, Clone)]
pub struct TeamChanged {
    /// How it is now.
    pub team: StoredTeam,
    /// The fields that have changed, each with how it was and is.
    pub changed: Map<String, Value>,
}

/// Changes a team. Who left it owes its open conversations: see [`members::give_back`].
///
/// # Errors
/// When the database fails, `teams_name_key` refuses, or a member isn't the brand's.
pub async fn change(
    tx: &mut BrandTx,
    id: TeamId,
    change: &TeamChange,
    cause: &Cause,
) -> Result<Changed<TeamChanged>, StoreError> {
    let brand = tx.brand();
    if change.becomes_default {
        // One at a time in a brand: who waited for the team that was the default wouldn't see which one
        // became it meanwhile.
        brands::take_turns(tx).await?;
    }
    // With the default team, in the order of their ids as everywhere, so that nobody meets half-way.
    sqlx::query(
        "select from teams where brand_id = $1 and (id = $2 or is_default and $3) order by id for no key update",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(change.becomes_default)
    .execute(tx.conn())
    .await?;
    let found = list(tx, Some(&[id])).await?.pop();
    let before = match expect_version(found, change.if_version, |team| team.version) {
        Changed::Done(before) => before,
        Changed::Missing => return Ok(Changed::Missing),
        Changed::Stale { version } => return Ok(Changed::Stale { version }),
    };
    if change.becomes_default {
        sqlx::query(
            "update teams set is_default = false, version = version + 1
             where brand_id = $1 and is_default and id <> $2",
        )
        .bind(brand.0)
        .bind(id.0)
        .execute(tx.conn())
        .await?;
    }
    sqlx::query(
        "update teams set name = coalesce($3, name), mode = coalesce($4, mode), is_closed = coalesce($5, is_closed),
                is_default = is_default or $6, version = version + 1
         where brand_id = $1 and id = $2",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(&change.name)
    .bind(&change.mode)
    .bind(change.is_closed)
    .bind(change.becomes_default)
    .execute(tx.conn())
    .await?;
    if let Some(wanted) = &change.members {
        set_members(tx, &before, wanted, cause).await?;
    }
    let after = list(tx, Some(&[id])).await?.pop();
    let Some(team) = after else {
        return Ok(Changed::Missing);
    };
    let mut changed = Map::new();
    for (field, from, to) in [
        ("name", json!(before.name), json!(team.name)),
        ("mode", json!(before.mode), json!(team.mode)),
        ("is_closed", json!(before.is_closed), json!(team.is_closed)),
        (
            "is_default",
            json!(before.is_default),
            json!(team.is_default),
        ),
        ("member_ids", json!(before.members), json!(team.members)),
    ] {
        if from != to {
            changed.insert(field.to_owned(), json!([from, to]));
        }
    }
    if !changed.is_empty() {
        let data = json!({ "mode": team.mode, "changed": changed });
        append_subject_event(tx, EventType::TeamUpdated, id.0, cause, data).await?;
    }
    Ok(Changed::Done(TeamChanged { team, changed }))
}

async fn set_members(
    tx: &mut BrandTx,
    team: &StoredTeam,
    wanted: &[MemberId],
    cause: &Cause,
) -> Result<(), StoreError> {
    let brand = tx.brand();
    let ids: Vec<Uuid> = wanted.iter().map(|id| id.0).collect();
    sqlx::query(
        "delete from team_members where brand_id = $1 and team_id = $2 and not member_id = any ($3)",
    )
    .bind(brand.0)
    .bind(team.id.0)
    .bind(&ids)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "insert into team_members (brand_id, team_id, member_id)
         select $1, $2, member from unnest($3::uuid[]) member order by member on conflict do nothing",
    )
    .bind(brand.0)
    .bind(team.id.0)
    .bind(&ids)
    .execute(tx.conn())
    .await?;
    for gone in team.members.iter().filter(|id| !wanted.contains(id)) {
        members::owe(tx, *gone, Some(team.id), cause).await?;
    }
    Ok(())
}
