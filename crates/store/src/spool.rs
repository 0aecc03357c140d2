//! What the broker couldn't take: kept until it can.

use roost_domain::ids::BrandId;
use uuid::Uuid;

use crate::error::StoreError;
use crate::tx::Store;

/// A webhook event that waits for the broker.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SpoolRow {
    /// Made by the ingester.
    pub id: Uuid,
    /// The ingress partition it was meant for.
    pub partition: i16,
    /// The lane it was meant for: `main` or `bulk`.
    pub lane: String,
    /// The ingress body.
    pub body: Vec<u8>,
    /// The webhook request that brought it.
    pub request_id: String,
}

const NO_BRAND: &[BrandId] = &[];

/// Stores events that the broker did not take.
///
/// # Errors
/// When the database fails; then nothing was stored.
pub async fn append(store: &Store, rows: &[SpoolRow]) -> Result<(), StoreError> {
    let rows = rows.to_vec();
    store
        .ingest(NO_BRAND, |tx| {
            Box::pin(async move {
                let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
                let partitions: Vec<i16> = rows.iter().map(|row| row.partition).collect();
                let lanes: Vec<&str> = rows.iter().map(|row| row.lane.as_str()).collect();
                let bodies: Vec<&[u8]> = rows.iter().map(|row| row.body.as_slice()).collect();
                let requests: Vec<&str> = rows.iter().map(|row| row.request_id.as_str()).collect();
                sqlx::query(
                    "insert into spool (id, partition, lane, body, request_id)
                     select * from unnest($1::uuid[], $2::smallint[], $3::text[], $4::bytea[], $5::text[])
                     on conflict (id) do nothing",
                )
                .bind(ids)
                .bind(partitions)
                .bind(lanes)
                .bind(bodies)
                .bind(requests)
                .execute(tx.conn())
                .await?;
                Ok(())
            })
        })
        .await
}

/// Takes the oldest events for 30 s; whoever takes them publishes them and calls [`done`].
///
/// # Errors
/// When the database fails.
pub async fn claim(store: &Store, limit: i64) -> Result<Vec<SpoolRow>, StoreError> {
    store
        .ingest(NO_BRAND, move |tx| {
            Box::pin(async move {
                Ok(sqlx::query_as(
                    "with due as (
                         select id from spool where lease_until is null or lease_until < now()
                         order by created_at, id limit $1 for update skip locked
                     )
                     update spool s set lease_until = now() + interval '30 seconds' from due where s.id = due.id
                     returning s.id, s.partition, s.lane, s.body, s.request_id",
                )
                .bind(limit)
                .fetch_all(tx.conn())
                .await?)
            })
        })
        .await
}

/// Removes events that the broker has confirmed.
///
/// # Errors
/// When the database fails; the events are then published again, which the inbox absorbs.
pub async fn done(store: &Store, ids: &[Uuid]) -> Result<(), StoreError> {
    let ids = ids.to_vec();
    store
        .ingest(NO_BRAND, move |tx| {
            Box::pin(async move {
                sqlx::query("delete from spool where id = any($1)")
                    .bind(ids)
                    .execute(tx.conn())
                    .await?;
                Ok(())
            })
        })
        .await
}

/// How many events wait.
///
/// # Errors
/// When the database fails.
pub async fn depth(store: &Store) -> Result<i64, StoreError> {
    store
        .ingest(NO_BRAND, |tx| {
            Box::pin(async move {
                Ok(sqlx::query_scalar("select count(*) from spool")
                    .fetch_one(tx.conn())
                    .await?)
            })
        })
        .await
}
