//! Who works on what: leases that end by themselves and fence their old holders.

use uuid::Uuid;

use crate::error::StoreError;
use crate::tx::Store;

/// Takes or renews a lease. The answer is its epoch, or none if another process holds it.
///
/// # Errors
/// When the database fails.
pub async fn take(store: &Store, name: &str, holder: Uuid, seconds: i32) -> Result<Option<i64>, StoreError> {
    let name = name.to_owned();
    store
        .system(move |tx| {
            Box::pin(async move {
                Ok(sqlx::query_scalar("select lease_take($1, $2, $3)")
                    .bind(name)
                    .bind(holder)
                    .bind(seconds)
                    .fetch_one(tx.conn())
                    .await?)
            })
        })
        .await
}

/// Gives a lease back, so that another needn't wait for its end.
///
/// # Errors
/// When the database fails.
pub async fn give_back(store: &Store, name: &str, holder: Uuid) -> Result<(), StoreError> {
    let name = name.to_owned();
    store
        .system(move |tx| {
            Box::pin(async move {
                sqlx::query("select lease_drop($1, $2)").bind(name).bind(holder).execute(tx.conn()).await?;
                Ok(())
            })
        })
        .await
}
