//! Labels of conversations.

use jiff::Timestamp;
use roost_domain::ids::LabelId;
use uuid::Uuid;

use crate::changed::{Changed, expect_version};
use crate::deleted::Deleted;
use crate::error::StoreError;
use crate::sla_policies::{Named, count_naming};
use crate::ts::Ts;
use crate::tx::BrandTx;

/// A label.
#[derive(Debug, Clone)]
pub struct StoredLabel {
    /// Ours.
    pub id: LabelId,
    /// Unique in the brand, whatever the case.
    pub name: String,
    /// `#rrggbb`, in lower case.
    pub color: String,
    /// Rises with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// By what lists are ordered.
    pub sort_name: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    color: String,
    version: i64,
    created_at: Ts,
    sort_name: String,
}

impl From<Row> for StoredLabel {
    fn from(row: Row) -> Self {
        Self {
            id: LabelId(row.id),
            name: row.name,
            color: row.color,
            version: row.version,
            created_at: row.created_at.get(),
            sort_name: row.sort_name,
        }
    }
}

/// A page of labels by name, after a label's `sort_name` and id.
///
/// # Errors
/// When the database fails.
pub async fn list(
    tx: &mut BrandTx,
    after: Option<(&str, LabelId)>,
    limit: i64,
) -> Result<Vec<StoredLabel>, StoreError> {
    let brand = tx.brand();
    let rows: Vec<Row> = sqlx::query_as(
        "select id, name, color, version, created_at, lower(name) as sort_name from labels
         where brand_id = $1 and ($2::text is null or (lower(name), id) > ($2, $3))
         order by lower(name), id limit $4",
    )
    .bind(brand.0)
    .bind(after.map(|(name, _)| name))
    .bind(after.map(|(_, id)| id.0))
    .bind(limit)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// One label.
///
/// # Errors
/// When the database fails.
pub async fn find(tx: &mut BrandTx, id: LabelId) -> Result<Option<StoredLabel>, StoreError> {
    let brand = tx.brand();
    let row: Option<Row> = sqlx::query_as(
        "select id, name, color, version, created_at, lower(name) as sort_name from labels
         where brand_id = $1 and id = $2",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(Into::into))
}

/// Makes a label; a name that is taken is refused by `labels_name_key`.
///
/// # Errors
/// When the database fails or the constraint refuses.
pub async fn create(tx: &mut BrandTx, name: &str, color: &str) -> Result<LabelId, StoreError> {
    let brand = tx.brand();
    let id = LabelId(Uuid::now_v7());
    sqlx::query("insert into labels (brand_id, id, name, color) values ($1, $2, $3, $4)")
        .bind(brand.0)
        .bind(id.0)
        .bind(name)
        .bind(color)
        .execute(tx.conn())
        .await?;
    Ok(id)
}

/// A wanted change; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct LabelChange {
    /// The new name.
    pub name: Option<String>,
    /// The new colour.
    pub color: Option<String>,
    /// Only if the label still has this version.
    pub if_version: Option<i64>,
}

/// Changes a label and answers its version; a name that is taken is refused by `labels_name_key`.
///
/// # Errors
/// When the database fails or the constraint refuses.
pub async fn change(
    tx: &mut BrandTx,
    id: LabelId,
    change: &LabelChange,
) -> Result<Changed<i64>, StoreError> {
    let brand = tx.brand();
    let held = expect_version(lock(tx, id).await?, change.if_version, |version| *version);
    if !matches!(held, Changed::Done(_)) {
        return Ok(held);
    }
    let version = sqlx::query_scalar(
        "update labels set name = coalesce($3, name), color = coalesce($4, color), version = version + 1
         where brand_id = $1 and id = $2
         returning version",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(&change.name)
    .bind(&change.color)
    .fetch_one(tx.conn())
    .await?;
    Ok(Changed::Done(version))
}

/// Deletes a label that no conversation has and no SLA policy names.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut BrandTx, id: LabelId) -> Result<Deleted, StoreError> {
    let brand = tx.brand();
    // Who puts the label on a conversation waits for this lock, so the count holds.
    if lock(tx, id).await?.is_none() {
        return Ok(Deleted::Missing);
    }
    let count: i64 = sqlx::query_scalar(
        "select count(*) from conversation_labels where brand_id = $1 and label_id = $2",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_one(tx.conn())
    .await?;
    let count = count + count_naming(tx, Named::Label(id)).await?;
    if count > 0 {
        return Ok(Deleted::InUse { count });
    }
    sqlx::query("delete from labels where brand_id = $1 and id = $2")
        .bind(brand.0)
        .bind(id.0)
        .execute(tx.conn())
        .await?;
    Ok(Deleted::Done)
}

async fn lock(tx: &mut BrandTx, id: LabelId) -> Result<Option<i64>, StoreError> {
    let brand = tx.brand();
    Ok(
        sqlx::query_scalar("select version from labels where brand_id = $1 and id = $2 for update")
            .bind(brand.0)
            .bind(id.0)
            .fetch_optional(tx.conn())
            .await?,
    )
}

/// The labels of these names, whatever the case, in the order of the names; a name that nobody made a
/// label of has none.
///
/// # Errors
/// When the database fails.
pub async fn resolve_names(
    tx: &mut BrandTx,
    names: &[String],
) -> Result<Vec<Option<LabelId>>, StoreError> {
    let brand = tx.brand();
    let rows: Vec<(Option<Uuid>,)> = sqlx::query_as(
        "select l.id from unnest($2::text[]) with ordinality as wanted (name, ordinal)
         left join labels l on l.brand_id = $1 and lower(l.name) = lower(wanted.name)
         order by wanted.ordinal",
    )
    .bind(brand.0)
    .bind(names)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|(id,)| id.map(LabelId)).collect())
}
