//! The brand itself.

use jiff::Timestamp;

use crate::error::StoreError;
use crate::ts::Ts;
use crate::tx::BrandTx;

/// A brand.
#[derive(Debug, Clone)]
pub struct StoredBrand {
    /// What it is called.
    pub name: String,
    /// An IANA name.
    pub time_zone: String,
    /// When it signed up.
    pub created_at: Timestamp,
}

/// The transaction's brand.
///
/// # Errors
/// When the database fails.
pub async fn find(tx: &mut BrandTx) -> Result<Option<StoredBrand>, StoreError> {
    let brand = tx.brand();
    let row: Option<(String, String, Ts)> =
        sqlx::query_as("select name, time_zone, created_at from brands where brand_id = $1")
            .bind(brand.0)
            .fetch_optional(tx.conn())
            .await?;
    Ok(row.map(|(name, time_zone, at)| StoredBrand {
        name,
        time_zone,
        created_at: at.get(),
    }))
}
