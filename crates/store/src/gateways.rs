//! The processes that hold members' streams.

use uuid::Uuid;

use crate::error::StoreError;
use crate::tx::Store;

/// Says that a gateway lives. True where it wasn't known: it is new, or was silent for so long that
/// its streams were forgotten and have to be opened again.
///
/// # Errors
/// When the database fails.
pub async fn beat(store: &Store, gateway: Uuid) -> Result<bool, StoreError> {
    store
        .system(move |tx| {
            Box::pin(async move {
                Ok(sqlx::query_scalar("select gateway_beat($1)")
                    .bind(gateway)
                    .fetch_one(tx.conn())
                    .await?)
            })
        })
        .await
}
