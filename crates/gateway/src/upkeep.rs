//! What has to be done now and then for all brands, beside the requests. Each part happens once or does
//! no harm twice, so every gateway does it.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use roost_domain::ids::BrandId;
use roost_service::Shutdown;
use roost_store::{StoreError, audit, idempotency, members, usage};

use crate::app::App;
use crate::problem::chain;

/// How often there is a look at what is due.
const LOOK_EVERY: Duration = Duration::from_secs(4);
/// Who dies while giving back has this long, in seconds, before another does it.
const HANDBACK_AFTER: i32 = 10;
/// The larger parts are done every so many looks: two minutes.
const SWEEP_EVERY: u64 = 30;
/// Rows that one statement deletes or tells at most.
const BATCH: i32 = 1_000;

/// Keeps order until shutdown.
pub(crate) async fn keep_order(app: Arc<App>, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut looks: u64 = 0;
    loop {
        // What fails is due again next time, and holds up nothing else.
        note(
            "write down which keys were used",
            app.keys.note_used().await,
        );
        note("give back", give_back(&app).await);
        if looks.is_multiple_of(SWEEP_EVERY) {
            note("count usage", count_usage(&app).await);
            note("forget answers", forget_answers(&app).await);
            note("tell the audit log's heads", tell_heads(&app).await);
        }
        looks += 1;
        if !shutdown.sleep(LOOK_EVERY).await {
            return Ok(());
        }
    }
}

fn note(part: impl Display, done: Result<(), StoreError>) {
    if let Err(error) = done {
        tracing::warn!(error = chain(&error), "cannot {part}");
    }
}

fn note_of(brand: BrandId, part: &'static str, done: Result<(), StoreError>) {
    if let Err(error) = done {
        tracing::warn!(brand.id = %brand, error = chain(&error), "cannot {part}");
    }
}

async fn give_back(app: &App) -> Result<(), StoreError> {
    for brand in members::brands_owing(&app.store, HANDBACK_AFTER).await? {
        note_of(
            brand,
            "give back",
            members::give_back(&app.store, brand).await,
        );
        app.hint_router();
    }
    Ok(())
}

async fn count_usage(app: &App) -> Result<(), StoreError> {
    for brand in usage::brands_behind(&app.store).await? {
        let counted = async {
            while app
                .store
                .brand(brand, |tx| Box::pin(usage::count_some(tx)))
                .await?
            {}
            Ok(())
        };
        note_of(brand, "count usage", counted.await);
    }
    Ok(())
}

async fn forget_answers(app: &App) -> Result<(), StoreError> {
    while idempotency::forget_old(&app.store, BATCH).await? >= i64::from(BATCH) {}
    Ok(())
}

/// Writes the heads of the brands' audit chains into the log of the process, each once a day: what is
/// cut off the end of a chain is missed by who has them.
async fn tell_heads(app: &App) -> Result<(), StoreError> {
    loop {
        let told = app.store.system(|tx| {
            Box::pin(async move {
                let heads = audit::untold_heads(tx, BATCH).await?;
                // Before the commit that marks them as told: better twice than never.
                for head in &heads {
                    tracing::info!(brand.id = %head.brand, seq = head.seq, hash = head.hash_text(), "audit head");
                }
                Ok::<_, StoreError>(heads.len())
            })
        });
        if told.await? == 0 {
            return Ok(());
        }
    }
}
