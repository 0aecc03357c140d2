//! SLA policies: an ordered list in each brand, of which the first that matches holds.

mod reapplies;
mod references;

use jiff::Timestamp;
use roost_domain::ids::PolicyId;
use roost_domain::sla::PolicySpec;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::StoreError;
use crate::ledger::Cause;
use crate::spec_versions::{self, SpecVersion};
use crate::ts::Ts;
use crate::tx::BrandTx;
pub use reapplies::{StoredReapply, begin_reapply, count_outdated_clocks, list_reapplies};
pub use references::{Named, Table, count_naming, hold};

/// Most policies of a brand.
pub const MOST: usize = 50;

/// A policy.
#[derive(Debug, Clone)]
pub struct StoredPolicy {
    /// Ours.
    pub id: PolicyId,
    /// Unique in the brand, whatever the case.
    pub name: String,
    /// Rises with every change of name or spec; the order is no part of it.
    pub version: i64,
    /// What it says.
    pub spec: PolicySpec,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    version: i64,
    spec: Json<PolicySpec>,
    created_at: Ts,
    updated_at: Ts,
}

impl From<Row> for StoredPolicy {
    fn from(row: Row) -> Self {
        Self {
            id: PolicyId(row.id),
            name: row.name,
            version: row.version,
            spec: row.spec.0,
            created_at: row.created_at.get(),
            updated_at: row.updated_at.get(),
        }
    }
}

/// All policies, in the order in which they are tried.
///
/// # Errors
/// When the database fails.
pub async fn list(tx: &mut BrandTx) -> Result<Vec<StoredPolicy>, StoreError> {
    let brand = tx.brand();
    let rows: Vec<Row> = sqlx::query_as(
        "select id, name, version::bigint, spec, created_at, updated_at from sla_policies
         where brand_id = $1 and deleted_at is null order by ordinal, id",
    )
    .bind(brand.0)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// One policy.
///
/// # Errors
/// When the database fails.
pub async fn find(tx: &mut BrandTx, id: PolicyId) -> Result<Option<StoredPolicy>, StoreError> {
    let brand = tx.brand();
    let row: Option<Row> = sqlx::query_as(
        "select id, name, version::bigint, spec, created_at, updated_at from sla_policies
         where brand_id = $1 and id = $2 and deleted_at is null",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(Into::into))
}

/// Makes a policy and its first version; it has no place before [`arrange`] gives it one. A name that is
/// taken is refused by `sla_policies_name_key`.
///
/// # Errors
/// When the database fails or the constraint refuses.
pub async fn create(
    tx: &mut BrandTx,
    name: &str,
    spec: &PolicySpec,
    cause: &Cause,
) -> Result<PolicyId, StoreError> {
    let brand = tx.brand();
    let id = PolicyId(Uuid::now_v7());
    sqlx::query(
        "with made as (
             insert into sla_policies (brand_id, id, name, spec) values ($1, $2, $3, $4)
             returning brand_id, id, version, spec
         )
         insert into sla_policy_versions (brand_id, policy_id, version, spec, created_by)
         select brand_id, id, version, spec, $5 from made",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(name)
    .bind(Json(spec))
    .bind(cause.actor.id())
    .execute(tx.conn())
    .await?;
    Ok(id)
}

/// Writes what a policy says from now on, as a new version. A name that is taken is refused by
/// `sla_policies_name_key`.
///
/// # Errors
/// When the database fails or the constraint refuses.
pub async fn replace(
    tx: &mut BrandTx,
    id: PolicyId,
    name: &str,
    spec: &PolicySpec,
    cause: &Cause,
) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "with changed as (
             update sla_policies set name = $3, spec = $4, version = version + 1, updated_at = now()
             where brand_id = $1 and id = $2
             returning brand_id, id, version, spec
         )
         insert into sla_policy_versions (brand_id, policy_id, version, spec, created_by)
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

/// Puts the policies into this order. Only for who has taken the brand's turn and names all of them.
///
/// # Errors
/// When the database fails.
pub async fn arrange(tx: &mut BrandTx, order: &[PolicyId]) -> Result<(), StoreError> {
    let brand = tx.brand();
    let ids: Vec<Uuid> = order.iter().map(|id| id.0).collect();
    sqlx::query(
        "update sla_policies p set ordinal = wanted.place
         from unnest($2::uuid[]) with ordinality as wanted (id, place)
         where p.brand_id = $1 and p.id = wanted.id and p.ordinal <> wanted.place",
    )
    .bind(brand.0)
    .bind(ids)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Takes a policy away. The row and its versions stay: clocks that run by it go on.
///
/// # Errors
/// When the database fails.
pub async fn delete(tx: &mut BrandTx, id: PolicyId) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query("update sla_policies set deleted_at = now() where brand_id = $1 and id = $2")
        .bind(brand.0)
        .bind(id.0)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// A page of a policy's versions, newest first, before one of them.
///
/// # Errors
/// When the database fails.
pub async fn versions(
    tx: &mut BrandTx,
    id: PolicyId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<SpecVersion<PolicySpec>>, StoreError> {
    let statement = "select version::bigint, spec, created_by, created_at from sla_policy_versions
         where brand_id = $1 and policy_id = $2 and ($3::bigint is null or version < $3)
         order by version desc limit $4";
    spec_versions::page(tx, statement, id.0, before, limit).await
}
