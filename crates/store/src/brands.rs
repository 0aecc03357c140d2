//! The brand itself.

use jiff::Timestamp;

use crate::changed::{Changed, expect_version};
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
    /// Rises with each change.
    pub version: i64,
}

/// The transaction's brand.
///
/// # Errors
/// When the database fails.
pub async fn find(tx: &mut BrandTx) -> Result<Option<StoredBrand>, StoreError> {
    let brand = tx.brand();
    let row: Option<(String, String, Ts, i64)> = sqlx::query_as(
        "select name, time_zone, created_at, version from brands where brand_id = $1",
    )
    .bind(brand.0)
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|(name, time_zone, at, version)| StoredBrand {
        name,
        time_zone,
        created_at: at.get(),
        version,
    }))
}

/// A wanted change; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct BrandChange {
    /// The version that it is made on.
    pub if_version: Option<i64>,
    /// What it is called.
    pub name: Option<String>,
    /// An IANA name.
    pub time_zone: Option<String>,
}

/// Lets only one at a time in the brand decide what concerns all of it, such as whether there is room
/// for one more, until its commit.
///
/// # Errors
/// When the database fails.
pub async fn take_turns(tx: &mut BrandTx) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query("select from brands where brand_id = $1 for no key update")
        .bind(brand.0)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Changes the transaction's brand; answers how it was.
///
/// # Errors
/// When the database fails.
pub async fn change(
    tx: &mut BrandTx,
    change: &BrandChange,
) -> Result<Changed<StoredBrand>, StoreError> {
    let brand = tx.brand();
    take_turns(tx).await?;
    let before = expect_version(find(tx).await?, change.if_version, |brand| brand.version);
    if matches!(before, Changed::Done(_)) {
        sqlx::query(
            "update brands set name = coalesce($2, name), time_zone = coalesce($3, time_zone), version = version + 1
             where brand_id = $1",
        )
        .bind(brand.0)
        .bind(&change.name)
        .bind(&change.time_zone)
        .execute(tx.conn())
        .await?;
    }
    Ok(before)
}
