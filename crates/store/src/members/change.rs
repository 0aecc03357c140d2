//! Changing a member.

use roost_domain::event::EventType;
use roost_domain::ids::{MemberId, TeamId};
use roost_domain::role::Role;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::handback::owe;
use crate::error::StoreError;
use crate::events::append_subject_event;
use crate::ledger::Cause;
use crate::skills;
use crate::tx::BrandTx;

/// A wanted change; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct MemberChange {
    /// What colleagues call them.
    pub name: Option<String>,
    /// How many open conversations they take.
    pub capacity: Option<i32>,
    /// What they may do.
    pub role: Option<Role>,
    /// False deactivates.
    pub active: Option<bool>,
    /// All their teams.
    pub teams: Option<Vec<TeamId>>,
    /// All their skills, by name or id.
    pub skills: Option<Vec<String>>,
    /// The brand's own name for them; the inner none removes it.
    pub external_id: Option<Option<String>>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberOutcome {
    /// Done. What they can no longer hold is owed: see [`super::give_back`].
    Done {
        /// The fields that have changed, each with how it was and is. The name is left out.
        changed: Map<String, Value>,
        /// The name as it was, where it has changed.
        renamed_from: Option<String>,
    },
    /// No such member.
    Missing,
    /// A brand keeps an active owner.
    LastOwner,
    /// A team that isn't the brand's.
    UnknownTeam,
    /// A skill that isn't the brand's.
    UnknownSkill,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    capacity: i32,
    role: String,
    active: bool,
    external_id: Option<String>,
}

/// Changes a member. What they can no longer hold is owed from then on; [`super::give_back`] gives it
/// back, after this has been committed.
///
/// # Errors
/// When the database fails.
pub async fn change(
    tx: &mut BrandTx,
    id: MemberId,
    change: &MemberChange,
    cause: &Cause,
) -> Result<MemberOutcome, StoreError> {
    let brand = tx.brand();
    // The member and the owners are locked by one statement, in the order of their ids as everywhere:
    // two owners can't leave at once, and the router can't be met half-way. Keys stay free, so that
    // rows that refer to a member can be written meanwhile.
    let locked: Vec<Row> = sqlx::query_as(
        "select id, name, capacity, role, active, external_id from members
         where brand_id = $1 and (id = $2 or role = 'owner' and active) order by id for no key update",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_all(tx.conn())
    .await?;
    let is_only_owner = locked
        .iter()
        .filter(|row| row.role == "owner" && row.active)
        .all(|row| row.id == id.0);
    let before = locked.into_iter().find(|row| row.id == id.0).map(|row| {
        (
            row.name,
            row.capacity,
            row.role,
            row.active,
            row.external_id,
        )
    });
    let Some((name, capacity, role, active, external_id)) = before else {
        return Ok(MemberOutcome::Missing);
    };
    let role_after = change
        .role
        .map_or_else(|| role.clone(), |role| role.as_str().to_owned());
    let active_after = change.active.unwrap_or(active);
    let is_owner = role == "owner" && active;
    if is_owner && is_only_owner && (role_after != "owner" || !active_after) {
        return Ok(MemberOutcome::LastOwner);
    }
    let capacity_after = change.capacity.unwrap_or(capacity);
    let external_after = change
        .external_id
        .clone()
        .unwrap_or_else(|| external_id.clone());
    sqlx::query(
        "update members set name = $3, capacity = $4, role = $5, active = $6, external_id = $7
         where brand_id = $1 and id = $2",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(change.name.as_ref().unwrap_or(&name))
    .bind(capacity_after)
    .bind(&role_after)
    .bind(active_after)
    .bind(&external_after)
    .execute(tx.conn())
    .await?;
    let mut changed = Map::new();
    let mut note = |field: &str, from: Value, to: Value| {
        if from != to {
            changed.insert(field.to_owned(), json!([from, to]));
        }
    };
    note("capacity", json!(capacity), json!(capacity_after));
    note("role", json!(role), json!(role_after));
    note("active", json!(active), json!(active_after));
    note("external_id", json!(external_id), json!(external_after));
    if let Some(teams) = &change.teams {
        let Some((from, gone)) = set_teams(tx, id, teams).await? else {
            return Ok(MemberOutcome::UnknownTeam);
        };
        note("team_ids", json!(from), json!(teams));
        for team in gone {
            owe(tx, id, Some(team), cause).await?;
        }
    }
    if let Some(wanted) = &change.skills {
        let Some((from, to)) = skills::set(tx, id, wanted).await? else {
            return Ok(MemberOutcome::UnknownSkill);
        };
        note("skills", json!(from), json!(to));
    }
    if active && !active_after {
        owe(tx, id, None, cause).await?;
    }
    let is_renamed = change.name.as_ref().is_some_and(|wanted| *wanted != name);
    if !changed.is_empty() || is_renamed {
        let data = json!({
            "role": role_after, "capacity": capacity_after, "active": active_after, "external_id": external_after,
            "changed": changed,
        });
        append_subject_event(tx, EventType::MemberUpdated, id.0, cause, data).await?;
    }
    Ok(MemberOutcome::Done {
        changed,
        renamed_from: is_renamed.then_some(name),
    })
}

/// Replaces a member's teams; answers those before and those left, or none where one is unknown.
async fn set_teams(
    tx: &mut BrandTx,
    id: MemberId,
    teams: &[TeamId],
) -> Result<Option<(Vec<TeamId>, Vec<TeamId>)>, StoreError> {
    let brand = tx.brand();
    let wanted: Vec<Uuid> = teams.iter().map(|team| team.0).collect();
    if !crate::teams::unknown(tx, teams).await?.is_empty() {
        return Ok(None);
    }
    let before: Vec<Uuid> = sqlx::query_scalar(
        "select team_id from team_members where brand_id = $1 and member_id = $2 order by team_id",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_all(tx.conn())
    .await?;
    sqlx::query(
        "delete from team_members where brand_id = $1 and member_id = $2 and not team_id = any ($3)",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(&wanted)
    .execute(tx.conn())
    .await?;
    sqlx::query(
        "insert into team_members (brand_id, team_id, member_id)
         select $1, team, $2 from unnest($3::uuid[]) team on conflict do nothing",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(&wanted)
    .execute(tx.conn())
    .await?;
    let left = before
        .iter()
        .filter(|team| !wanted.contains(team))
        .copied()
        .map(TeamId)
        .collect();
    Ok(Some((before.into_iter().map(TeamId).collect(), left)))
}
