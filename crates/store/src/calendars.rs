//! Calendars: whose open hours clocks count.

use jiff::Timestamp;
use roost_domain::ids::CalendarId;
use roost_domain::sla::CalendarSpec;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::StoreError;
use crate::ledger::Cause;
use crate::spec_versions::{self, SpecVersion};
use crate::ts::Ts;
use crate::tx::BrandTx;

/// Most calendars of a brand.
pub const MOST: i64 = 100;

/// A calendar.
#[derive(Debug, Clone)]
pub struct StoredCalendar {
    /// Ours.
    pub id: CalendarId,
    /// Unique in the brand, whatever the case.
    pub name: String,
    /// Rises with every change.
    pub version: i64,
    /// When somebody is there.
    pub spec: CalendarSpec,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// By what lists are ordered.
    pub sort_name: String,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    version: i64,
    spec: Json<CalendarSpec>,
    created_at: Ts,
    updated_at: Ts,
    sort_name: String,
}

impl From<Row> for StoredCalendar {
    fn from(row: Row) -> Self {
        Self {
            id: CalendarId(row.id),
            name: row.name,
            version: row.version,
            spec: row.spec.0,
            created_at: row.created_at.get(),
            updated_at: row.updated_at.get(),
            sort_name: row.sort_name,
        }
    }
}

/// A page of calendars by name, after one's `sort_name` and id.
///
/// # Errors
/// When the database fails.
pub async fn list(
    tx: &mut BrandTx,
    after: Option<(&str, CalendarId)>,
    limit: i64,
) -> Result<Vec<StoredCalendar>, StoreError> {
    let brand = tx.brand();
    let rows: Vec<Row> = sqlx::query_as(
        "select id, name, version::bigint, spec, created_at, updated_at, lower(name) as sort_name from calendars
         where brand_id = $1 and deleted_at is null and ($2::text is null or (lower(name), id) > ($2, $3))
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

/// One calendar.
///
/// # Errors
/// When the database fails.
pub async fn find(tx: &mut BrandTx, id: CalendarId) -> Result<Option<StoredCalendar>, StoreError> {
    let brand = tx.brand();
    let row: Option<Row> = sqlx::query_as(
        "select id, name, version::bigint, spec, created_at, updated_at, lower(name) as sort_name from calendars
         where brand_id = $1 and id = $2 and deleted_at is null",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(Into::into))
}

/// Makes a calendar and its first version; none if the brand has [`MOST`] already. A name that is taken
/// is refused by `calendars_name_key`. Only for who has taken the brand's turn.
///
/// # Errors
/// When the database fails or the constraint refuses.
pub async fn create(
    tx: &mut BrandTx,
    name: &str,
    spec: &CalendarSpec,
    cause: &Cause,
) -> Result<Option<CalendarId>, StoreError> {
    let brand = tx.brand();
    let id = CalendarId(Uuid::now_v7());
    let made = sqlx::query(
        "with made as (
             insert into calendars (brand_id, id, name, spec)
             select $1, $2, $3, $4
             where (select count(*) from calendars where brand_id = $1 and deleted_at is null) < $6
             returning brand_id, id, version, spec
         )
         insert into calendar_versions (brand_id, calendar_id, version, spec, created_by)
         select brand_id, id, version, spec, $5 from made",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(name)
    .bind(Json(spec))
    .bind(cause.actor.id())
    .bind(MOST)
    .execute(tx.conn())
    .await?;
    Ok((made.rows_affected() > 0).then_some(id))
}

/// Writes what a calendar says from now on, as a new version. A name that is taken is refused by
/// `calendars_name_key`. Only for who has taken the brand's turn.
///
/// # Errors
/// When the database fails or the constraint refuses.
pub async fn replace(
    tx: &mut BrandTx,
    id: CalendarId,
    name: &str,
    spec: &CalendarSpec,
    cause: &Cause,
) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "with changed as (
             update calendars set name = $3, spec = $4, version = version + 1, updated_at = now()
             where brand_id = $1 and id = $2
             returning brand_id, id, version, spec
         )
         insert into calendar_versions (brand_id, calendar_id, version, spec, created_by)
         select brand_id, id, version, spec, $5 from changed",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(name)
    .bind(Json(spec))
    .bind(cause.actor.id())
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// How many clocks that have not ended count by a calendar, in whatever version.
///
/// # Errors
/// When the database fails.
pub async fn count_clocks(tx: &mut BrandTx, id: CalendarId) -> Result<i64, StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_scalar(
        "select count(*) from sla_clocks
         where brand_id = $1 and calendar_id = $2 and state in ('running', 'paused')",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_one(tx.conn())
    .await?)
}

/// Takes a calendar away. Its versions stay: ended clocks are explained by them.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut BrandTx, id: CalendarId) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query("update calendars set deleted_at = now() where brand_id = $1 and id = $2")
        .bind(brand.0)
        .bind(id.0)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// A page of a calendar's versions, newest first, before one of them.
///
/// # Errors
/// When the database fails.
pub async fn versions(
    tx: &mut BrandTx,
    id: CalendarId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<SpecVersion<CalendarSpec>>, StoreError> {
    let statement = "select version::bigint, spec, created_by, created_at from calendar_versions
         where brand_id = $1 and calendar_id = $2 and ($3::bigint is null or version < $3)
         order by version desc limit $4";
    spec_versions::page(tx, statement, id.0, before, limit).await
}
