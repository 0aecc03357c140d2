//! Looking at the log, and telling how far it goes.

use jiff::Timestamp;
use roost_domain::ids::{AuditId, BrandId};
use uuid::Uuid;

use super::Line;
use crate::error::StoreError;
use crate::ts::Ts;
use crate::tx::{BrandTx, SystemTx};

/// Which lines are wanted; all where nothing is said.
#[derive(Debug, Clone, Default)]
pub struct LineFilter {
    /// Exactly these actions.
    pub actions: Vec<String>,
    /// Or those that begin like one of these.
    pub action_prefixes: Vec<String>,
    /// Done by one of these.
    pub actors: Vec<Uuid>,
    /// To one of these kinds of things.
    pub target_types: Vec<String>,
    /// To one of these things.
    pub targets: Vec<Uuid>,
    /// Not earlier.
    pub after: Option<Timestamp>,
    /// Earlier.
    pub before: Option<Timestamp>,
}

/// Lines, newest first, from before a number.
///
/// # Errors
/// When the database fails.
pub async fn list(
    tx: &mut BrandTx,
    filter: &LineFilter,
    before_seq: Option<i64>,
    limit: i64,
) -> Result<Vec<Line>, StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_as(
        "select seq, id, at, actor_type, actor_id, action, target_type, target_id, before, after, address, request_id,
                hash
         from audit_log l
         where brand_id = $1 and ($2::bigint is null or seq < $2)
           and (cardinality($3::text[]) + cardinality($4::text[]) = 0 or action = any ($3)
                or exists (select from unnest($4::text[]) p (text) where starts_with(l.action, p.text)))
           and (cardinality($5::uuid[]) = 0 or actor_id = any ($5))
           and (cardinality($6::text[]) = 0 or target_type = any ($6))
           and (cardinality($7::uuid[]) = 0 or target_id = any ($7))
           and ($8::timestamptz is null or at >= $8) and ($9::timestamptz is null or at < $9)
         order by seq desc limit $10",
    )
    .bind(brand.0)
    .bind(before_seq)
    .bind(&filter.actions)
    .bind(&filter.action_prefixes)
    .bind(&filter.actors)
    .bind(&filter.target_types)
    .bind(&filter.targets)
    .bind(filter.after.map(Ts::from))
    .bind(filter.before.map(Ts::from))
    .bind(limit)
    .fetch_all(tx.conn())
    .await?)
}

/// Finds one line.
///
/// # Errors
/// When the database fails.
pub async fn find(tx: &mut BrandTx, id: AuditId) -> Result<Option<Line>, StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_as(
        "select seq, id, at, actor_type, actor_id, action, target_type, target_id, before, after, address, request_id,
                hash
         from audit_log where brand_id = $1 and id = $2",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_optional(tx.conn())
    .await?)
}

/// How far a brand's log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Whose.
    pub brand: BrandId,
    /// The number of its last line.
    pub seq: i64,
    /// The hash of its last line.
    pub hash: Vec<u8>,
}

impl Head {
    /// The hash in hexadecimal.
    #[must_use]
    pub fn hash_text(&self) -> String {
        self.hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Heads that have not been told today, which count as told once this is committed.
///
/// # Errors
/// When the database fails.
pub async fn untold_heads(tx: &mut SystemTx, most: i32) -> Result<Vec<Head>, StoreError> {
    let rows: Vec<(Uuid, i64, Vec<u8>)> =
        sqlx::query_as("select brand_id, seq, hash from audit_heads_untold($1)")
            .bind(most)
            .fetch_all(tx.conn())
            .await?;
    Ok(rows
        .into_iter()
        .map(|(brand, seq, hash)| Head {
            brand: BrandId(brand),
            seq,
            hash,
        })
        .collect())
}
