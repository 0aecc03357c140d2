//! Dead letters, as an operator sees them.

use roost_domain::ids::BrandId;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::StoreError;
use crate::seal::{Place, Sealer};
use crate::ts::Ts;
use crate::tx::Store;

/// A message that no worker could handle.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct DeadMessage {
    /// Ours.
    pub id: Uuid,
    /// The queue it came from, without the installation's prefix.
    pub queue: String,
    /// The brand, if it is known.
    pub brand_id: Option<Uuid>,
    /// Why it could not be handled.
    pub reason: String,
    /// How often it came here.
    pub attempts: i32,
    /// When it first came.
    pub first_seen_at: Ts,
    /// When it last came.
    pub last_seen_at: Ts,
}

/// What tells a letter from others even before it has an id.
fn place<'a>(row: &'a [&'a [u8]]) -> Place<'a> {
    Place::new("dead_messages", "payload", row)
}

/// Records a dead letter, sealed; one with the same body only counts up.
///
/// # Errors
/// When the database fails.
pub async fn record(
    store: &Store,
    sealer: &Sealer,
    queue: &str,
    brand: Option<BrandId>,
    reason: &str,
    body: &[u8],
) -> Result<(), StoreError> {
    let queue = queue.to_owned();
    let reason: String = reason.chars().take(2000).collect();
    let fingerprint = Sha256::digest(body).to_vec();
    let sealed = sealer
        .install()
        .seal(&place(&[queue.as_bytes(), &fingerprint]), body)?;
    store
        .ingest(&[], move |tx| {
            Box::pin(async move {
                sqlx::query(
                    "insert into dead_messages (id, queue, brand_id, fingerprint, reason, payload)
                     values ($1, $2, $3, $4, $5, $6)
                     on conflict on constraint dead_messages_fingerprint_key do update
                     set attempts = dead_messages.attempts + 1, last_seen_at = now(), reason = excluded.reason",
                )
                .bind(Uuid::now_v7())
                .bind(queue)
                .bind(brand.map(|brand| brand.0))
                .bind(fingerprint)
                .bind(reason)
                .bind(sealed)
                .execute(tx.conn())
                .await?;
                Ok(())
            })
        })
        .await
}

/// Lists dead letters, newest first.
///
/// # Errors
/// When the database fails.
pub async fn list(store: &Store, limit: i64) -> Result<Vec<DeadMessage>, StoreError> {
    store
        .ingest(&[], move |tx| {
            Box::pin(async move {
                Ok(sqlx::query_as(
                    "select id, queue, brand_id, reason, attempts, first_seen_at, last_seen_at
                     from dead_messages order by last_seen_at desc, id desc limit $1",
                )
                .bind(limit)
                .fetch_all(tx.conn())
                .await?)
            })
        })
        .await
}

/// A dead letter, opened.
#[derive(Debug)]
pub struct Opened {
    /// The queue it came from.
    pub queue: String,
    /// What it holds.
    pub body: Vec<u8>,
    /// How often it had come when it was read.
    pub attempts: i32,
}

/// Opens one dead letter.
///
/// # Errors
/// When the database fails or the body doesn't open.
pub async fn open(store: &Store, sealer: &Sealer, id: Uuid) -> Result<Option<Opened>, StoreError> {
    let row: Option<(String, Vec<u8>, Vec<u8>, i32)> = store
        .ingest(&[], move |tx| {
            Box::pin(async move {
                Ok::<_, StoreError>(
                    sqlx::query_as(
                        "select queue, fingerprint, payload, attempts from dead_messages where id = $1",
                    )
                    .bind(id)
                    .fetch_optional(tx.conn())
                    .await?,
                )
            })
        })
        .await?;
    row.map(|(queue, fingerprint, sealed, attempts)| {
        let body = sealer
            .install()
            .open(&place(&[queue.as_bytes(), &fingerprint]), &sealed)?;
        Ok(Opened {
            queue,
            body,
            attempts,
        })
    })
    .transpose()
}

/// Forgets one dead letter; false if there was none, or if it has come again since it was read.
///
/// # Errors
/// When the database fails.
pub async fn forget(store: &Store, id: Uuid, attempts: i32) -> Result<bool, StoreError> {
    store
        .ingest(&[], move |tx| {
            Box::pin(async move {
                let gone = sqlx::query("delete from dead_messages where id = $1 and attempts = $2")
                    .bind(id)
                    .bind(attempts)
                    .execute(tx.conn())
                    .await?;
                Ok(gone.rows_affected() == 1)
            })
        })
        .await
}
