//! What has to be done now and then for all brands, beside the requests. Each part happens once or does
//! no harm twice, so every gateway does it.

use std::sync::Arc;
use std::time::Duration;

use roost_service::Shutdown;
use roost_store::{StoreError, audit, idempotency};

use crate::app::App;
use crate::problem::chain;

/// How often there is a look at what is due.
const LOOK_EVERY: Duration = Duration::from_secs(4);
/// Kept answers are thrown away and heads of chains are told every so many looks: two minutes.
const SWEEP_EVERY: u64 = 30;
/// Rows that one statement deletes at most.
const BATCH: i32 = 1_000;

/// Keeps order until shutdown.
pub(crate) async fn keep_order(app: Arc<App>, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut looks: u64 = 0;
    loop {
        if let Err(error) = look(&app, looks.is_multiple_of(SWEEP_EVERY)).await {
            tracing::warn!(error = chain(&error), "cannot keep order");
        }
        looks += 1;
        if !shutdown.sleep(LOOK_EVERY).await {
            return Ok(());
        }
    }
}

async fn look(app: &App, sweeps: bool) -> Result<(), StoreError> {
    app.keys.note_used().await?;
    if sweeps {
        while idempotency::forget_old(&app.store, BATCH).await? >= i64::from(BATCH) {}
        while tell_heads(app).await? {}
    }
    Ok(())
}

/// Writes the heads of the brands' audit chains into the log of the process, each once a day: what is
/// cut off the end of a chain is missed by who has them. Whether there may be more.
async fn tell_heads(app: &App) -> Result<bool, StoreError> {
    app.store
        .system(|tx| {
            Box::pin(async move {
                let heads = audit::untold_heads(tx, BATCH).await?;
                // Before the commit that marks them as told: better twice than never.
                for head in &heads {
                    tracing::info!(brand.id = %head.brand, seq = head.seq, hash = head.hash_text(), "audit head");
                }
                Ok(i32::try_from(heads.len()).is_ok_and(|told| told >= BATCH))
            })
        })
        .await
}
