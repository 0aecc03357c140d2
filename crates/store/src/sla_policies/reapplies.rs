//! Moves of running clocks to the present version of their policy.

use jiff::Timestamp;
use roost_domain::ids::{PolicyId, ReapplyId};
use uuid::Uuid;

use crate::error::StoreError;
use crate::ledger::Cause;
use crate::ts::Ts;
use crate::tx::BrandTx;

/// A move.
#[derive(Debug, Clone)]
pub struct StoredReapply {
    /// Ours.
    pub id: ReapplyId,
    /// To which version.
    pub version: i64,
    /// How many clocks were moved so far.
    pub moved: i64,
    /// When somebody asked for it.
    pub created_at: Timestamp,
    /// When it was done.
    pub finished_at: Option<Timestamp>,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    version: i64,
    moved: i64,
    created_at: Ts,
    finished_at: Option<Ts>,
}

impl From<Row> for StoredReapply {
    fn from(row: Row) -> Self {
        Self {
            id: ReapplyId(row.id),
            version: row.version,
            moved: row.moved,
            created_at: row.created_at.get(),
            finished_at: row.finished_at.map(Ts::get),
        }
    }
}

/// How many clocks that have not ended run by another spec of the policy than its present one, or by
/// another spec of their calendar than that one's.
///
/// # Errors
/// When the database fails.
pub async fn count_outdated_clocks(tx: &mut BrandTx, policy: PolicyId) -> Result<i64, StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_scalar(
        "select count(*) from sla_clocks k
         join sla_policies p on p.brand_id = k.brand_id and p.id = k.policy_id
         left join sla_policy_versions v
           on v.brand_id = k.brand_id and v.policy_id = k.policy_id and v.version = k.policy_version
         left join calendars c on c.brand_id = k.brand_id and c.id = k.calendar_id
         left join calendar_versions w
           on w.brand_id = k.brand_id and w.calendar_id = k.calendar_id and w.version = k.calendar_version
         where k.brand_id = $1 and k.policy_id = $2 and k.state in ('running', 'paused')
           and (v.spec is distinct from p.spec or w.spec is distinct from c.spec)",
    )
    .bind(brand.0)
    .bind(policy.0)
    .fetch_one(tx.conn())
    .await?)
}

/// Orders the move of a policy's running clocks to a version; the worker does it. One that is under way
/// already is refused by `sla_reapplies_open_key`.
///
/// # Errors
/// When the database fails or the constraint refuses.
pub async fn begin_reapply(
    tx: &mut BrandTx,
    policy: PolicyId,
    version: i64,
    cause: &Cause,
) -> Result<StoredReapply, StoreError> {
    let brand = tx.brand();
    let row: Row = sqlx::query_as(
        "insert into sla_reapplies (brand_id, id, policy_id, version, actor_type, actor_id, request_id)
         values ($1, $2, $3, $4::bigint::int, $5, $6, $7)
         returning id, version::bigint, moved::bigint, created_at, finished_at",
    )
    .bind(brand.0)
    .bind(Uuid::now_v7())
    .bind(policy.0)
    .bind(version)
    .bind(cause.actor.kind())
    .bind(cause.actor.id())
    .bind(&cause.request_id)
    .fetch_one(tx.conn())
    .await?;
    Ok(row.into())
}

/// A page of a policy's moves, newest first, before one of them.
///
/// # Errors
/// When the database fails.
pub async fn list_reapplies(
    tx: &mut BrandTx,
    policy: PolicyId,
    before: Option<ReapplyId>,
    limit: i64,
) -> Result<Vec<StoredReapply>, StoreError> {
    let brand = tx.brand();
    let rows: Vec<Row> = sqlx::query_as(
        "select id, version::bigint, moved::bigint, created_at, finished_at from sla_reapplies
         where brand_id = $1 and policy_id = $2 and ($3::uuid is null or id < $3)
         order by id desc limit $4",
    )
    .bind(brand.0)
    .bind(policy.0)
    .bind(before.map(|id| id.0))
    .bind(limit)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}
