//! Moving running clocks to the present versions of their policy and its calendars, a chunk at a time.

use roost_domain::ids::{BrandId, ConversationId, MemberId, PolicyId, ReapplyId};
use uuid::Uuid;

use super::act::take;
use crate::cross;
use crate::error::StoreError;
use crate::ledger::{Actor, Cause};
use crate::tx::{BrandTx, Store};

/// Moves that aren't finished, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn open_reapplies(
    store: &Store,
    most: i32,
) -> Result<Vec<(BrandId, ReapplyId)>, StoreError> {
    cross::pairs(
        store,
        "select brand_id, reapply_id from cross_open_reapplies($1)",
        most,
    )
    .await
}

#[derive(sqlx::FromRow)]
struct Row {
    policy_id: Uuid,
    actor_type: String,
    actor_id: Option<Uuid>,
    request_id: Option<String>,
}

/// Moves the clocks of at most so many conversations; answers how many clocks that were, none when the
/// move is somebody else's just now, or finished. A clock with a recorded breach stays as it is.
///
/// # Errors
/// When the database fails.
pub async fn reapply(
    tx: &mut BrandTx,
    id: ReapplyId,
    most: i64,
) -> Result<Option<usize>, StoreError> {
    let brand = tx.brand();
    let row: Option<Row> = sqlx::query_as(
        "select policy_id, actor_type, actor_id, request_id from sla_reapplies
         where brand_id = $1 and id = $2 and finished_at is null for update skip locked",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let conversations: Vec<Uuid> = sqlx::query_scalar(
        "select distinct k.conversation_id from sla_clocks k
         join sla_policies p on p.brand_id = k.brand_id and p.id = k.policy_id
         left join calendars c on c.brand_id = k.brand_id and c.id = k.calendar_id
         where k.brand_id = $1 and k.policy_id = $2 and p.deleted_at is null
           and (k.policy_version < p.version or k.calendar_version < c.version)
           and k.state in ('running', 'paused') and k.breached_at is null
         order by 1 limit $3",
    )
    .bind(brand.0)
    .bind(row.policy_id)
    .bind(most)
    .fetch_all(tx.conn())
    .await?;
    if conversations.is_empty() {
        sqlx::query("update sla_reapplies set finished_at = now() where brand_id = $1 and id = $2")
            .bind(brand.0)
            .bind(id.0)
            .execute(tx.conn())
            .await?;
        return Ok(Some(0));
    }
    let actor = match (row.actor_type.as_str(), row.actor_id) {
        ("member", Some(member)) => Actor::Member(MemberId(member)),
        ("bot", Some(member)) => Actor::Bot(MemberId(member)),
        _ => Actor::System,
    };
    let cause = Cause::new(actor, row.request_id);
    let wanted: Vec<ConversationId> = conversations.into_iter().map(ConversationId).collect();
    let (mut ledger, held) = take(tx, &wanted).await?;
    let mut moved = 0;
    for id in held {
        moved += ledger.reapply(id, PolicyId(row.policy_id), &cause);
    }
    ledger.flush(tx.conn()).await?;
    sqlx::query("update sla_reapplies set moved = moved + $3 where brand_id = $1 and id = $2")
        .bind(brand.0)
        .bind(id.0)
        .bind(i32::try_from(moved).unwrap_or(i32::MAX))
        .execute(tx.conn())
        .await?;
    Ok(Some(moved))
}
