//! Versions of what clocks run by: a version never changes once it is written.

use jiff::Timestamp;
use roost_domain::ids::MemberId;
use serde::de::DeserializeOwned;
use sqlx::types::Json;
use uuid::Uuid;

use crate::error::StoreError;
use crate::ts::Ts;
use crate::tx::BrandTx;

/// A version.
#[derive(Debug, Clone)]
pub struct SpecVersion<T> {
    /// 1, 2, 3 …
    pub version: i64,
    /// What it says.
    pub spec: T,
    /// Who made it; none: the sign-up did.
    pub created_by: Option<MemberId>,
    /// When it was made.
    pub created_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row<T> {
    version: i64,
    spec: Json<T>,
    created_by: Option<Uuid>,
    created_at: Ts,
}

impl<T> From<Row<T>> for SpecVersion<T> {
    fn from(row: Row<T>) -> Self {
        Self {
            version: row.version,
            spec: row.spec.0,
            created_by: row.created_by.map(MemberId),
            created_at: row.created_at.get(),
        }
    }
}

/// A page of versions that `statement` reads, newest first.
pub(crate) async fn page<T>(
    tx: &mut BrandTx,
    statement: &'static str,
    of: Uuid,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<SpecVersion<T>>, StoreError>
where
    T: DeserializeOwned + Send + Unpin + 'static,
{
    let brand = tx.brand();
    let rows: Vec<Row<T>> = sqlx::query_as(statement)
        .bind(brand.0)
        .bind(of)
        .bind(before)
        .bind(limit)
        .fetch_all(tx.conn())
        .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}
