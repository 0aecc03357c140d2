//! Answers kept for repeated requests: the row is written in the transaction of the effect, so that
//! there is an answer exactly where there was an effect.

use roost_domain::ids::MemberId;

use crate::error::StoreError;
use crate::tx::{BrandTx, Store};

/// How long an answer is kept, in hours.
pub const KEPT_HOURS: i32 = 24;

/// Which request an answer belongs to.
#[derive(Debug, Clone)]
pub struct RequestKey {
    /// Who asked.
    pub actor: MemberId,
    /// The route's pattern, with its method.
    pub route: String,
    /// The client's key.
    pub key: String,
    /// Of path and body: the same key with another one is a mistake of the client.
    pub hash: Vec<u8>,
}

/// An answer as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Sealed; none where there is no body.
    pub body: Option<Vec<u8>>,
    /// The `ETag`, where there is one.
    pub etag: Option<String>,
}

/// What is known of a request.
#[derive(Debug)]
pub enum Begun {
    /// It is the first; its answer has to be kept by [`keep`].
    First,
    /// It was answered before.
    Answered(KeptAnswer),
    /// The key was used for another request.
    Reused,
}

/// Begins a request. Waits for a rival that is under way with the same key, up to the lock time-out;
/// then the error is a [`StoreError::Conflict`].
///
/// # Errors
/// When the database fails, or a rival takes too long.
pub async fn begin(tx: &mut BrandTx, request: &RequestKey) -> Result<Begun, StoreError> {
    let brand = tx.brand();
    let is_first: Option<i32> = sqlx::query_scalar(
        "insert into idempotency as i (brand_id, actor_id, route, key, request_hash)
         values ($1, $2, $3, $4, $5)
         on conflict (brand_id, actor_id, route, key) do update
            set request_hash = excluded.request_hash, status = null, body = null, etag = null, created_at = now()
            where i.created_at < now() - make_interval(hours => $6)
         returning 1",
    )
    .bind(brand.0)
    .bind(request.actor.0)
    .bind(&request.route)
    .bind(&request.key)
    .bind(&request.hash)
    .bind(KEPT_HOURS)
    .fetch_optional(tx.conn())
    .await?;
    if is_first.is_some() {
        return Ok(Begun::First);
    }
    let (hash, status, body, etag): (Vec<u8>, Option<i16>, Option<Vec<u8>>, Option<String>) =
        sqlx::query_as(
            "select request_hash, status, body, etag from idempotency
             where brand_id = $1 and actor_id = $2 and route = $3 and key = $4",
        )
        .bind(brand.0)
        .bind(request.actor.0)
        .bind(&request.route)
        .bind(&request.key)
        .fetch_one(tx.conn())
        .await?;
    if hash != request.hash {
        return Ok(Begun::Reused);
    }
    // The row is committed with its answer or not at all.
    let status = status
        .and_then(|status| u16::try_from(status).ok())
        .ok_or_else(|| StoreError::Corrupt("an answer without a status".to_owned()))?;
    Ok(Begun::Answered(KeptAnswer { status, body, etag }))
}

/// Keeps the answer of a request that this transaction began.
///
/// # Errors
/// When the database fails.
pub async fn keep(
    tx: &mut BrandTx,
    request: &RequestKey,
    answer: &KeptAnswer,
) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "update idempotency set status = $5, body = $6, etag = $7
         where brand_id = $1 and actor_id = $2 and route = $3 and key = $4",
    )
    .bind(brand.0)
    .bind(request.actor.0)
    .bind(&request.route)
    .bind(&request.key)
    .bind(i16::try_from(answer.status).unwrap_or(500))
    .bind(&answer.body)
    .bind(&answer.etag)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Deletes answers of any brand that are too old, at most so many; how many.
///
/// # Errors
/// When the database fails.
pub async fn forget_old(store: &Store, most: i32) -> Result<i64, StoreError> {
    store
        .system(move |tx| {
            Box::pin(async move {
                Ok(sqlx::query_scalar("select idempotency_forget($1, $2)")
                    .bind(KEPT_HOURS)
                    .bind(most)
                    .fetch_one(tx.conn())
                    .await?)
            })
        })
        .await
}
