//! A team's queue under lock.

use std::collections::HashSet;

use roost_domain::ids::{ConversationId, MemberId, TeamId};
use roost_domain::routing::Waiting;
use uuid::Uuid;

use crate::error::StoreError;
use crate::ledger::{Conversation, Ledger, parse};
use crate::ts::Ts;
use crate::tx::BrandTx;

/// The front of a team's queue.
#[derive(Debug, Clone, Default)]
pub struct Queue {
    /// Those that this transaction holds; the ledger has them.
    pub held: Vec<Waiting>,
    /// Those in the hands of somebody else, as they were before. Their place in the queue stands, so
    /// that nobody behind them gets the room that is theirs.
    pub skipped: Vec<Waiting>,
    /// Held ones behind the front that were never told why they wait.
    pub untold: Vec<ConversationId>,
    /// Whether there are more behind the front.
    pub more: bool,
}

/// Locks the first conversations of a team's queue, those that nobody else has in hand.
///
/// # Errors
/// When the database fails.
pub async fn lock_queue(
    tx: &mut BrandTx,
    ledger: &mut Ledger,
    team: TeamId,
    limit: usize,
) -> Result<Queue, StoreError> {
    let brand = tx.brand();
    let front = front(tx, team, limit).await?;
    let more = front.len() >= limit;
    let mut wanted: Vec<Uuid> = front.iter().map(|one| one.conversation.0).collect();
    if more {
        let behind = untold(tx, team, &wanted, limit).await?;
        wanted.extend(behind);
    }
    if wanted.is_empty() {
        return Ok(Queue::default());
    }
    // Nothing is waited for while conversations are locked, so their order can't deadlock.
    let free: Vec<Uuid> = sqlx::query_scalar(
        "select id from conversations
         where brand_id = $1 and id = any ($2) and team_id = $3 and status = 'open' and queued_at is not null
         order by id for update skip locked",
    )
    .bind(brand.0)
    .bind(wanted)
    .bind(team.0)
    .fetch_all(tx.conn())
    .await?;
    let free: Vec<ConversationId> = free.into_iter().map(ConversationId).collect();
    ledger.lock(tx.conn(), brand, &free).await?;
    let in_front: HashSet<ConversationId> = front.iter().map(|one| one.conversation).collect();
    let held: Vec<Waiting> = free
        .iter()
        .filter(|id| in_front.contains(id))
        .filter_map(|id| ledger.get(*id).and_then(as_waiting))
        .collect();
    let mut skipped = front;
    skipped.retain(|one| free.binary_search(&one.conversation).is_err());
    let untold = free
        .into_iter()
        .filter(|id| !in_front.contains(id))
        .collect();
    still_waiting(tx, team, &mut skipped).await?;
    Ok(Queue {
        held,
        skipped,
        untold,
        more,
    })
}

fn as_waiting(conversation: &Conversation) -> Option<Waiting> {
    Some(Waiting {
        conversation: conversation.id,
        priority: conversation.priority,
        due_at: conversation.due_in_queue(),
        queued_at: conversation.queued_at?,
        holder: conversation.assignee,
    })
}

/// The queue in its order, without locks.
async fn front(tx: &mut BrandTx, team: TeamId, limit: usize) -> Result<Vec<Waiting>, StoreError> {
    #[derive(sqlx::FromRow)]
    struct Row {
        id: Uuid,
        priority: String,
        due_at: Option<Ts>,
        queued_at: Ts,
        assignee_id: Option<Uuid>,
    }
    let brand = tx.brand();
    // The order of roost_domain::routing::sort_queue.
    let rows: Vec<Row> = sqlx::query_as(
        "select c.id, c.priority, k.due_at, c.queued_at, c.assignee_id from conversations c
         left join lateral (
             select min(due_at) as due_at from sla_clocks
             where brand_id = c.brand_id and conversation_id = c.id and state = 'running' and kind <> 'resolution'
         ) k on true
         where c.brand_id = $1 and c.team_id = $2 and c.queued_at is not null and c.status = 'open'
         order by array_position(array['urgent', 'high', 'normal', 'low'], c.priority), k.due_at nulls last,
                  c.queued_at, c.id
         limit $3",
    )
    .bind(brand.0)
    .bind(team.0)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Waiting {
                conversation: ConversationId(row.id),
                priority: parse(&row.priority)?,
                due_at: row.due_at.map(Ts::get),
                queued_at: row.queued_at.get(),
                holder: row.assignee_id.map(MemberId),
            })
        })
        .collect()
}

async fn untold(
    tx: &mut BrandTx,
    team: TeamId,
    front: &[Uuid],
    limit: usize,
) -> Result<Vec<Uuid>, StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_scalar(
        "select id from conversations
         where brand_id = $1 and team_id = $2 and queued_at is not null and status = 'open'
           and waiting_reason is null and assignee_id is null and id <> all ($3)
         order by queued_at, id limit $4",
    )
    .bind(brand.0)
    .bind(team.0)
    .bind(front)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(tx.conn())
    .await?)
}

/// Leaves only those that still wait: who had one in hand may have settled it meanwhile.
async fn still_waiting(
    tx: &mut BrandTx,
    team: TeamId,
    skipped: &mut Vec<Waiting>,
) -> Result<(), StoreError> {
    if skipped.is_empty() {
        return Ok(());
    }
    let brand = tx.brand();
    let ids: Vec<Uuid> = skipped.iter().map(|one| one.conversation.0).collect();
    let waiting: Vec<Uuid> = sqlx::query_scalar(
        "select id from conversations
         where brand_id = $1 and id = any ($2) and team_id = $3 and queued_at is not null order by id",
    )
    .bind(brand.0)
    .bind(ids)
    .bind(team.0)
    .fetch_all(tx.conn())
    .await?;
    skipped.retain(|one| waiting.binary_search(&one.conversation.0).is_ok());
    Ok(())
}
