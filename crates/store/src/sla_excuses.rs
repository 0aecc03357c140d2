//! Excuses: periods whose breaches are counted apart.

use jiff::Timestamp;
use roost_domain::ids::{ChannelId, ExcuseId, MemberId};
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::error::StoreError;
use crate::ts::Ts;
use crate::tx::BrandTx;

/// An excuse.
#[derive(Debug, Clone)]
pub struct Excuse {
    /// Over which account; none: over all.
    pub channel: Option<ChannelId>,
    /// Breaches that fell due from here on …
    pub starts_at: Timestamp,
    /// … and before this.
    pub ends_at: Timestamp,
    /// Why.
    pub reason: String,
}

/// An excuse as it is kept.
#[derive(Debug, Clone)]
pub struct StoredExcuse {
    /// Ours; later ones are greater.
    pub id: ExcuseId,
    /// What it says.
    pub excuse: Excuse,
    /// Who made it.
    pub created_by: Option<MemberId>,
    /// When it was made.
    pub created_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    channel_id: Option<Uuid>,
    starts_at: Ts,
    ends_at: Ts,
    reason: String,
    created_by: Option<Uuid>,
    created_at: Ts,
}

impl From<Row> for StoredExcuse {
    fn from(row: Row) -> Self {
        Self {
            id: ExcuseId(row.id),
            excuse: Excuse {
                channel: row.channel_id.map(ChannelId),
                starts_at: row.starts_at.get(),
                ends_at: row.ends_at.get(),
                reason: row.reason,
            },
            created_by: row.created_by.map(MemberId),
            created_at: row.created_at.get(),
        }
    }
}

const COLUMNS: &str = "id, channel_id, starts_at, ends_at, reason, created_by, created_at";

/// A page of the excuses, latest period first, after one's beginning and id.
///
/// # Errors
/// When the database fails.
pub async fn list(
    tx: &mut BrandTx,
    after: Option<(Timestamp, ExcuseId)>,
    limit: i64,
) -> Result<Vec<StoredExcuse>, StoreError> {
    let mut query = QueryBuilder::new(format!(
        "select {COLUMNS} from sla_excuses where brand_id = "
    ));
    query.push_bind(tx.brand().0);
    if let Some((starts_at, id)) = after {
        query
            .push(" and (starts_at, id) < (")
            .push_bind(Ts::from(starts_at))
            .push(", ")
            .push_bind(id.0)
            .push(")");
    }
    query
        .push(" order by starts_at desc, id desc limit ")
        .push_bind(limit);
    let rows: Vec<Row> = query.build_query_as().fetch_all(tx.conn()).await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Excuses a period. A channel that isn't the brand's is refused by a foreign key.
///
/// # Errors
/// When the database fails or a constraint refuses.
pub async fn create(
    tx: &mut BrandTx,
    new: &Excuse,
    by: MemberId,
) -> Result<StoredExcuse, StoreError> {
    let brand = tx.brand();
    let row: Row = sqlx::query_as(
        "insert into sla_excuses (brand_id, id, channel_id, starts_at, ends_at, reason, created_by)
         values ($1, $2, $3, $4, $5, $6, $7)
         returning id, channel_id, starts_at, ends_at, reason, created_by, created_at",
    )
    .bind(brand.0)
    .bind(Uuid::now_v7())
    .bind(new.channel.map(|id| id.0))
    .bind(Ts::from(new.starts_at))
    .bind(Ts::from(new.ends_at))
    .bind(&new.reason)
    .bind(by.0)
    .fetch_one(tx.conn())
    .await?;
    Ok(row.into())
}

/// Takes an excuse back; answers what it was, if there was one.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut BrandTx, id: ExcuseId) -> Result<Option<StoredExcuse>, StoreError> {
    let brand = tx.brand();
    let row: Option<Row> = sqlx::query_as(
        "delete from sla_excuses where brand_id = $1 and id = $2
         returning id, channel_id, starts_at, ends_at, reason, created_by, created_at",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(Into::into))
}
