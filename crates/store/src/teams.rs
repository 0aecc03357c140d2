//! Teams and their queues.

mod change;
mod delete;

use jiff::Timestamp;
use roost_domain::event::EventType;
use roost_domain::ids::{ConversationId, MemberId, TeamId};
use serde_json::json;
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::error::StoreError;
use crate::events::append_subject_event;
use crate::ledger::Cause;
use crate::ts::Ts;
use crate::tx::BrandTx;
use crate::visibility::Visibility;
pub use change::{TeamChange, TeamChanged, change};
pub use delete::{Dissolution, delete, move_some, unresolved};

/// A team with its members.
#[derive(Debug, Clone)]
pub struct StoredTeam {
    /// Ours.
    pub id: TeamId,
    /// Unique in the brand.
    pub name: String,
    /// `auto` or `manual`.
    pub mode: String,
    /// Whether conversations of channels without a team go here.
    pub is_default: bool,
    /// Whether only its members, supervisors and above see its conversations.
    pub is_closed: bool,
    /// Who is in it, by id.
    pub members: Vec<MemberId>,
    /// Rises with each change.
    pub version: i64,
}

/// All teams of the brand by name, or the wanted ones.
///
/// # Errors
/// When the database fails.
pub async fn list(
    tx: &mut BrandTx,
    wanted: Option<&[TeamId]>,
) -> Result<Vec<StoredTeam>, StoreError> {
    let brand = tx.brand();
    let wanted: Option<Vec<Uuid>> = wanted.map(|ids| ids.iter().map(|id| id.0).collect());
    let rows: Vec<Row> = sqlx::query_as(
        "select t.id, t.name, t.mode, t.is_default, t.is_closed, t.version,
                array(select m.member_id from team_members m
                      where m.brand_id = t.brand_id and m.team_id = t.id order by m.member_id) as members
         from teams t where t.brand_id = $1 and ($2::uuid[] is null or t.id = any ($2)) order by t.name, t.id",
    )
    .bind(brand.0)
    .bind(wanted)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    mode: String,
    is_default: bool,
    is_closed: bool,
    members: Vec<Uuid>,
    version: i64,
}

impl From<Row> for StoredTeam {
    fn from(row: Row) -> Self {
        Self {
            id: TeamId(row.id),
            name: row.name,
            mode: row.mode,
            is_default: row.is_default,
            is_closed: row.is_closed,
            members: row.members.into_iter().map(MemberId).collect(),
            version: row.version,
        }
    }
}

/// Of these ids those that are no member of the brand, and those that are API keys' members.
///
/// # Errors
/// When the database fails.
pub async fn unfit(
    tx: &mut BrandTx,
    ids: &[MemberId],
) -> Result<(Vec<MemberId>, Vec<MemberId>), StoreError> {
    let brand = tx.brand();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows: Vec<(Uuid, bool)> = sqlx::query_as(
        "select w.id, m.id is null from unnest($2::uuid[]) w (id)
         left join members m on m.brand_id = $1 and m.id = w.id
         where m.id is null or m.kind = 'bot' order by 1",
    )
    .bind(brand.0)
    .bind(ids)
    .fetch_all(tx.conn())
    .await?;
    let (unknown, bots): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, missing)| *missing);
    let ids = |rows: Vec<(Uuid, bool)>| rows.into_iter().map(|(id, _)| MemberId(id)).collect();
    Ok((ids(unknown), ids(bots)))
}

/// Those of these ids that are no team of the brand.
///
/// # Errors
/// When the database fails.
pub async fn unknown(tx: &mut BrandTx, ids: &[TeamId]) -> Result<Vec<TeamId>, StoreError> {
    let brand = tx.brand();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let missing: Vec<Uuid> = sqlx::query_scalar(
        "select w.id from unnest($2::uuid[]) w (id)
         where not exists (select from teams t where t.brand_id = $1 and t.id = w.id) order by 1",
    )
    .bind(brand.0)
    .bind(ids)
    .fetch_all(tx.conn())
    .await?;
    Ok(missing.into_iter().map(TeamId).collect())
}

/// Makes a team. A name that is taken is refused by `teams_name_key`, a member that isn't the
/// brand's by a foreign key.
///
/// # Errors
/// When the database fails or a constraint refuses.
pub async fn create(
    tx: &mut BrandTx,
    name: &str,
    mode: &str,
    is_closed: bool,
    members: &[MemberId],
    cause: &Cause,
) -> Result<TeamId, StoreError> {
    let brand = tx.brand();
    let id = TeamId(Uuid::now_v7());
    sqlx::query(
        "insert into teams (brand_id, id, name, mode, is_closed) values ($1, $2, $3, $4, $5)",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(name)
    .bind(mode)
    .bind(is_closed)
    .execute(tx.conn())
    .await?;
    let members: Vec<Uuid> = members.iter().map(|member| member.0).collect();
    sqlx::query(
        "insert into team_members (brand_id, team_id, member_id)
         select $1, $2, member from unnest($3::uuid[]) member on conflict do nothing",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(members)
    .execute(tx.conn())
    .await?;
    append_subject_event(
        tx,
        EventType::TeamUpdated,
        id.0,
        cause,
        json!({ "mode": mode }),
    )
    .await?;
    Ok(id)
}

/// A conversation that waits in a team.
#[derive(Debug, Clone)]
pub struct QueuedConversation {
    /// Which one.
    pub id: ConversationId,
    /// How urgent.
    pub priority: String,
    /// Since when it waits; never restarts.
    pub queued_at: Timestamp,
    /// The earliest due instant of its running clocks.
    pub due_at: Option<Timestamp>,
    /// Why it waits.
    pub reason: Option<String>,
}

#[derive(sqlx::FromRow)]
struct QueuedRow {
    id: Uuid,
    priority: String,
    queued_at: Ts,
    due_at: Option<Ts>,
    waiting_reason: Option<String>,
}

/// What is seen of a team's queue in the router's order, front first.
///
/// # Errors
/// When the database fails.
pub async fn queue(
    tx: &mut BrandTx,
    team: TeamId,
    visibility: &Visibility,
    limit: i64,
) -> Result<Vec<QueuedConversation>, StoreError> {
    let mut query = QueryBuilder::new(
        "select c.id, c.priority, c.queued_at, k.due_at, c.waiting_reason from conversations c
         left join lateral (
             select min(due_at) as due_at from sla_clocks
             where brand_id = c.brand_id and conversation_id = c.id and state = 'running' and kind <> 'resolution'
         ) k on true
         where c.queued_at is not null and c.brand_id = ",
    );
    query.push_bind(tx.brand().0);
    query.push(" and c.team_id = ").push_bind(team.0);
    visibility.push(&mut query);
    query.push(
        " order by array_position(array['urgent', 'high', 'normal', 'low'], c.priority), k.due_at nulls last,
                   c.queued_at, c.id
          limit ",
    );
    query.push_bind(limit);
    let rows: Vec<QueuedRow> = query.build_query_as().fetch_all(tx.conn()).await?;
    Ok(rows
        .into_iter()
        .map(|row| QueuedConversation {
            id: ConversationId(row.id),
            priority: row.priority,
            queued_at: row.queued_at.get(),
            due_at: row.due_at.map(Ts::get),
            reason: row.waiting_reason,
        })
        .collect())
}
