//! Finding out whether stored clocks are what the log gives. Done by the owner, over all brands or one.

use roost_domain::ids::{BrandId, ConversationId};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::error::StoreError;
pub use crate::ledger::Difference;
use crate::ledger::check_clocks;

/// Conversations that are read at once.
const BATCH: i64 = 500;

/// What came of a brand's check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whose clocks.
    pub brand: BrandId,
    /// Conversations read.
    pub conversations: usize,
    /// What differs.
    pub differences: Vec<Difference>,
}

/// Rebuilds the clocks of every brand, or of one, and names those that differ from the stored ones. Reads
/// only: what changes meanwhile is seen before its change or after.
///
/// # Errors
/// When the database can't be reached or fails.
pub async fn verify(
    owner_url: &SecretString,
    only: Option<BrandId>,
) -> Result<Vec<Report>, StoreError> {
    let mut connection = PgConnection::connect(owner_url.expose_secret()).await?;
    let brands: Vec<Uuid> = sqlx::query_scalar(
        "select brand_id from brands where $1::uuid is null or brand_id = $1 order by brand_id",
    )
    .bind(only.map(|brand| brand.0))
    .fetch_all(&mut connection)
    .await?;
    let mut reports = Vec::new();
    for brand in brands {
        reports.push(verify_brand(&mut connection, BrandId(brand)).await?);
    }
    connection.close().await?;
    Ok(reports)
}

async fn verify_brand(connection: &mut PgConnection, brand: BrandId) -> Result<Report, StoreError> {
    let mut report = Report {
        brand,
        conversations: 0,
        differences: Vec::new(),
    };
    let mut after = Uuid::nil();
    loop {
        // A batch is read as of one instant: facts, clocks and queue belong together.
        let mut tx = connection
            .begin_with("begin isolation level repeatable read, read only")
            .await?;
        let ids: Vec<Uuid> = sqlx::query_scalar(
            "select id from conversations where brand_id = $1 and id > $2 order by id limit $3",
        )
        .bind(brand.0)
        .bind(after)
        .bind(BATCH)
        .fetch_all(&mut *tx)
        .await?;
        let Some(last) = ids.last() else {
            return Ok(report);
        };
        after = *last;
        report.conversations += ids.len();
        let ids: Vec<ConversationId> = ids.into_iter().map(ConversationId).collect();
        report
            .differences
            .extend(check_clocks(&mut tx, brand, &ids).await?);
        tx.rollback().await?;
    }
}
