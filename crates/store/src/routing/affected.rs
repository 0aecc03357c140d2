//! Which teams an event concerns.

use roost_domain::ids::{BrandId, EventId, MemberId, TeamId};
use serde_json::Value;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::StoreError;
use crate::tx::{BrandTx, Store};

/// The teams of a brand in which these events may have changed who gets what: a conversation that
/// waits, an agent who has room. Teams in which nothing waits are left out.
///
/// # Errors
/// When the database fails.
pub async fn affected_teams(
    store: &Store,
    brand: BrandId,
    events: Vec<EventId>,
) -> Result<Vec<TeamId>, StoreError> {
    store
        .brand(brand, move |tx| {
            Box::pin(async move {
                let concern = concern(tx, &events).await?;
                teams(tx, concern).await
            })
        })
        .await
}

/// What the events speak of.
#[derive(Debug, Default)]
struct Concern {
    conversations: Vec<Uuid>,
    members: Vec<Uuid>,
    teams: Vec<Uuid>,
}

#[derive(sqlx::FromRow)]
struct Row {
    kind: String,
    conversation_id: Option<Uuid>,
    subject_id: Option<Uuid>,
    assignee: Option<Json<Value>>,
}

async fn concern(tx: &mut BrandTx, events: &[EventId]) -> Result<Concern, StoreError> {
    let brand = tx.brand();
    let ids: Vec<Uuid> = events.iter().map(|id| id.0).collect();
    let rows: Vec<Row> = sqlx::query_as(
        "select type as kind, conversation_id, subject_id, data -> 'changed' -> 'assignee_id' as assignee
         from events where brand_id = $1 and id = any ($2)",
    )
    .bind(brand.0)
    .bind(ids)
    .fetch_all(tx.conn())
    .await?;
    let mut concern = Concern::default();
    for row in rows {
        concern.conversations.extend(row.conversation_id);
        // Whoever lost it has room.
        let before = row
            .assignee
            .and_then(|change| change.0.get(0).and_then(Value::as_str)?.parse().ok());
        concern
            .members
            .extend(before.map(|member: MemberId| member.0));
        match row.subject_id {
            Some(subject) if row.kind.starts_with("member.") => concern.members.push(subject),
            Some(subject) if row.kind.starts_with("team.") => concern.teams.push(subject),
            Some(_) | None => {}
        }
    }
    Ok(concern)
}

async fn teams(tx: &mut BrandTx, concern: Concern) -> Result<Vec<TeamId>, StoreError> {
    let brand = tx.brand();
    // A conversation that isn't open, or waits to be routed, is no load to who has it.
    let teams: Vec<Uuid> = sqlx::query_scalar(
        "with changed as (
             select team_id, assignee_id, status <> 'open' or queued_at is not null as is_no_load
             from conversations where brand_id = $1 and id = any ($2)
         ), with_room as (
             select unnest($3::uuid[]) as member_id
             union select assignee_id from changed where is_no_load and assignee_id is not null
         ), concerned as (
             select unnest($4::uuid[]) as team_id
             union select team_id from changed
             union select m.team_id from team_members m join with_room r on r.member_id = m.member_id
                   where m.brand_id = $1
         )
         select t.id from teams t join concerned c on c.team_id = t.id
         where t.brand_id = $1
           and exists (
               select from conversations q
               where q.brand_id = $1 and q.team_id = t.id and q.queued_at is not null
                 and (t.mode = 'auto' or q.waiting_reason is null or q.assignee_id is not null))
         order by t.id",
    )
    .bind(brand.0)
    .bind(concern.conversations)
    .bind(concern.members)
    .bind(concern.teams)
    .fetch_all(tx.conn())
    .await?;
    Ok(teams.into_iter().map(TeamId).collect())
}
