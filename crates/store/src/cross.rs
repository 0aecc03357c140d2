//! What the named functions over all brands tell: ids of work that is due.

use uuid::Uuid;

use crate::error::StoreError;
use crate::tx::Store;

/// Brands and ids of things of theirs, as `statement` finds at most so many.
pub(crate) async fn pairs<B: From<Uuid>, T: From<Uuid>>(
    store: &Store,
    statement: &'static str,
    most: i32,
) -> Result<Vec<(B, T)>, StoreError> {
    let rows: Vec<(Uuid, Uuid)> = store
        .system(move |tx| {
            Box::pin(async move {
                Ok::<_, StoreError>(
                    sqlx::query_as(statement)
                        .bind(most)
                        .fetch_all(tx.conn())
                        .await?,
                )
            })
        })
        .await?;
    Ok(rows
        .into_iter()
        .map(|(brand, id)| (brand.into(), id.into()))
        .collect())
}
