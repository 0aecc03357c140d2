//! Filters of the list of conversations that people keep.

use jiff::Timestamp;
use roost_domain::ids::{MemberId, SavedFilterId};
use serde_json::Value;
use uuid::Uuid;

use crate::error::StoreError;
use crate::ts::Ts;
use crate::tx::BrandTx;

/// Filters that a member keeps at most, and that a brand shares.
pub const MOST: i64 = 200;

/// A filter under a name.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedFilter {
    /// Ours.
    pub id: SavedFilterId,
    /// Whose; none where everybody has it.
    pub member: Option<MemberId>,
    /// What its owner calls it.
    pub name: String,
    /// Parameters of the list.
    pub filter: Value,
    /// The list's order.
    pub sort: String,
    /// Rises with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    member_id: Option<Uuid>,
    name: String,
    filter: Value,
    sort: String,
    version: i64,
    created_at: Ts,
    updated_at: Ts,
}

impl From<Row> for SavedFilter {
    fn from(row: Row) -> Self {
        Self {
            id: SavedFilterId(row.id),
            member: row.member_id.map(MemberId),
            name: row.name,
            filter: row.filter,
            sort: row.sort,
            version: row.version,
            created_at: row.created_at.get(),
            updated_at: row.updated_at.get(),
        }
    }
}

/// A page of a member's own and the shared ones, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    tx: &mut BrandTx,
    member: MemberId,
    after: Option<SavedFilterId>,
    limit: i64,
) -> Result<Vec<SavedFilter>, StoreError> {
    let brand = tx.brand();
    let rows: Vec<Row> = sqlx::query_as(
        "select id, member_id, name, filter, sort, version, created_at, updated_at from saved_filters
         where brand_id = $1 and (member_id is null or member_id = $2) and ($3::uuid is null or id > $3)
         order by id limit $4",
    )
    .bind(brand.0)
    .bind(member.0)
    .bind(after.map(|id| id.0))
    .bind(limit)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Finds and locks one of a member's own or of the shared ones.
///
/// # Errors
/// When the database fails.
pub async fn lock(
    tx: &mut BrandTx,
    id: SavedFilterId,
    member: MemberId,
) -> Result<Option<SavedFilter>, StoreError> {
    let brand = tx.brand();
    let row: Option<Row> = sqlx::query_as(
        "select id, member_id, name, filter, sort, version, created_at, updated_at from saved_filters
         where brand_id = $1 and id = $2 and (member_id is null or member_id = $3) for update",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(member.0)
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(Into::into))
}

/// Keeps a filter; false if its owner has [`MOST`] already. The constraint `saved_filters_name_key`
/// refuses a second one of a name.
///
/// # Errors
/// When the database fails.
pub async fn create(
    tx: &mut BrandTx,
    id: SavedFilterId,
    member: Option<MemberId>,
    name: &str,
    filter: &Value,
    sort: &str,
) -> Result<bool, StoreError> {
    let brand = tx.brand();
    let made = sqlx::query(
        "insert into saved_filters (brand_id, id, member_id, name, filter, sort)
         select $1, $2, $3, $4, $5, $6
         where (select count(*) from saved_filters
                where brand_id = $1 and member_id is not distinct from $3) < $7",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(member.map(|member| member.0))
    .bind(name)
    .bind(filter)
    .bind(sort)
    .bind(MOST)
    .execute(tx.conn())
    .await?;
    Ok(made.rows_affected() > 0)
}

/// Writes what a locked one is now.
///
/// # Errors
/// When the database fails.
pub async fn update(tx: &mut BrandTx, changed: &SavedFilter) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "update saved_filters set name = $3, filter = $4, sort = $5, version = version + 1, updated_at = now()
         where brand_id = $1 and id = $2",
    )
    .bind(brand.0)
    .bind(changed.id.0)
    .bind(&changed.name)
    .bind(&changed.filter)
    .bind(&changed.sort)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Throws one away.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut BrandTx, id: SavedFilterId) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query("delete from saved_filters where brand_id = $1 and id = $2")
        .bind(brand.0)
        .bind(id.0)
        .execute(tx.conn())
        .await?;
    Ok(())
}
