//! What wakes the hub: pointers from the broker, signs from Redis.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use roost_bus::SubscriptionSpec;
use roost_bus::envelope::EventPointer;
use roost_cache::Ephemeral;
use roost_domain::ids::{BrandId, ConversationId};
use roost_service::Shutdown;
use serde_json::Value;

use crate::app::App;

const PREFETCH: u16 = 500;
/// The net below the broker: how often every log with a reader is looked at.
const POLL: Duration = Duration::from_secs(5);

/// Follows the broker until shutdown.
pub(crate) async fn pump_events(app: Arc<App>, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut subscription = app
        .bus
        .subscribe(SubscriptionSpec::Events { prefetch: PREFETCH });
    let mut epochs = subscription.epochs();
    let mut poll = tokio::time::interval(POLL);
    poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let batch = tokio::select! {
            () = shutdown.triggered() => return Ok(()),
            _ = poll.tick() => { app.hub.read_all(); continue; }
            // A new queue: what was published in between went nowhere.
            Ok(()) = epochs.changed() => { app.hub.read_all(); continue; }
            batch = subscription.next_batch(500) => batch,
        };
        let Some(batch) = batch else { return Ok(()) };
        let mut heads: HashMap<BrandId, i64> = HashMap::new();
        for delivery in &batch {
            match serde_json::from_slice::<EventPointer>(&delivery.body) {
                Ok(pointer) => {
                    let head = heads.entry(BrandId(pointer.brand_id)).or_default();
                    *head = pointer.position.max(*head);
                }
                // The poll finds what it pointed to.
                Err(error) => tracing::warn!(%error, "cannot read an event pointer"),
            }
        }
        for (brand, position) in heads {
            app.hub.heard(brand, position);
        }
        subscription.ack_all(&batch).await;
    }
}

/// Follows Redis until shutdown.
pub(crate) async fn pump_ephemeral(app: Arc<App>, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut signs = app.cache.subscribe_ephemeral();
    loop {
        let sign = tokio::select! {
            () = shutdown.triggered() => return Ok(()),
            sign = signs.next() => sign,
        };
        let Ephemeral::Message { brand, json } = sign else {
            continue;
        };
        let Some(conversation) = conversation_of(&json) else {
            continue;
        };
        app.hub
            .whisper(BrandId(brand), conversation, Arc::from(json))
            .await;
    }
}

fn conversation_of(json: &str) -> Option<ConversationId> {
    let sign: Value = serde_json::from_str(json).ok()?;
    sign["conversation_id"].as_str()?.parse().ok()
}
