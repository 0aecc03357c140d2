//! One worker: takes what its partitions have delivered, handles it, acknowledges after the commit.
//!
//! A batch that fails is sorted out by `clear`; what no try helps goes to the dead letters by `aside`.

use std::time::Instant;

use jiff::Timestamp;
use roost_bus::{Bus, Delivery, Hint, ack_all};
use roost_cache::Cache;
use roost_service::Shutdown;
use roost_store::Store;
use roost_store::seal::Sealer;
use serde_json::json;
use tokio::sync::mpsc;

use crate::aside::Aside;
use crate::clear::{Failure, Heap};
use crate::forward::{GiveBack, Part};
use crate::metrics::InboxMetrics;
use crate::step::{Batch, Done, Rules, handle_batch};

/// Events in one transaction, at most: more costs latency and gains little.
const BATCH: usize = 500;
/// One batch in this many may be of the bulk lane while the main lane is busy.
const BULK_TURN: u32 = 5;
/// What went back to the queue this often is taken alone, so that it can't harm its neighbours.
const SUSPICIOUS: u64 = 5;

/// What a worker works with.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) cache: Cache,
    pub(crate) sealer: Sealer,
    pub(crate) rules: Rules,
    pub(crate) metrics: InboxMetrics,
}

/// What the forwarders of a worker's partitions deliver.
#[derive(Debug)]
pub(crate) struct Lanes {
    pub(crate) main: mpsc::Receiver<Part>,
    pub(crate) bulk: mpsc::Receiver<Part>,
}

impl Lanes {
    /// The next batch: the main lane's, but for every fifth turn or when it has none. Parts that were
    /// given back are passed over: they come again.
    async fn next(&mut self, turn: u32, give_back: &GiveBack) -> Option<Vec<Delivery>> {
        let mut parts = Vec::new();
        if turn.is_multiple_of(BULK_TURN)
            && let Ok(part) = self.bulk.try_recv()
        {
            parts.push(part);
        } else {
            let first = tokio::select! {
                biased;
                part = self.main.recv() => part,
                part = self.bulk.recv() => part,
            };
            parts.push(first?);
        }
        let size = |parts: &[Part]| -> usize {
            let sizes = parts.iter().map(|part| part.deliveries.len());
            sizes.sum()
        };
        while size(&parts) < BATCH
            && let Ok(part) = self.main.try_recv()
        {
            parts.push(part);
        }
        parts.retain(|part| give_back.is_current(part));
        Some(parts.into_iter().flat_map(|part| part.deliveries).collect())
    }
}

/// A worker and what it has put aside.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) tools: Tools,
    pub(crate) give_back: GiveBack,
    pub(crate) aside: Aside,
}

impl Worker {
    pub(crate) fn new(tools: Tools, give_back: GiveBack) -> Self {
        Self {
            tools,
            give_back,
            aside: Aside::new(),
        }
    }

    /// Works until the shutdown; a batch in hand is finished.
    pub(crate) async fn work(mut self, mut lanes: Lanes, shutdown: &Shutdown) {
        let mut turn = 0_u32;
        loop {
            turn = turn.wrapping_add(1);
            let next = tokio::select! {
                biased;
                () = shutdown.triggered() => break,
                next = lanes.next(turn, &self.give_back) => next,
            };
            let Some(batch) = next else { break };
            let (alone, together): (Vec<Delivery>, Vec<Delivery>) = batch
                .into_iter()
                .partition(|delivery| delivery.delivery_count > SUSPICIOUS);
            let mut heaps = vec![Heap::new(together)];
            heaps.extend(alone.into_iter().map(|delivery| Heap::new(vec![delivery])));
            if !self.clear(heaps, shutdown).await {
                break;
            }
            self.aside.reap(&self.give_back);
        }
        self.aside.finish().await;
    }
}

impl Tools {
    pub(crate) async fn handle(&self, deliveries: &[Delivery]) -> Result<(), Failure> {
        let started = Instant::now();
        let batch = Batch::read(deliveries.iter().map(|delivery| delivery.body.as_slice()))
            .map_err(|error| Failure::Body(error.to_string()))?;
        let oldest = batch.oldest_receipt();
        let done = handle_batch(&self.store, &self.rules, batch)
            .await
            .map_err(Failure::Store)?;
        // Nothing waits for these, so they go before the acknowledgements.
        if done.events > 0 {
            self.bus.hint(Hint::Relay, b"inbox");
            self.bus.hint(Hint::Sla, b"inbox");
        }
        ack_all(deliveries).await;
        for typing in &done.typing {
            let sign = json!({
                "type": "typing", "conversation_id": typing.conversation, "actor": { "type": "contact" },
            });
            self.cache
                .publish_ephemeral(typing.brand.0, &sign.to_string())
                .await;
        }
        self.count(&done, deliveries.len(), started, oldest);
        Ok(())
    }

    /// Whether the database takes a batch at all; asked by the step itself, with nothing in it.
    pub(crate) async fn can_work(&self) -> bool {
        let Ok(nothing) = Batch::read([]) else {
            return false;
        };
        handle_batch(&self.store, &self.rules, nothing)
            .await
            .is_ok()
    }

    fn count(&self, done: &Done, size: usize, started: Instant, oldest: Option<Timestamp>) {
        let outcomes = [
            ("stored", done.stored),
            ("duplicate", done.duplicates),
            ("raw", done.raw),
            ("blocked", done.blocked),
            ("erased", done.erased),
            ("read", done.reads),
            ("typing", done.typing.len()),
            ("revoked", done.revoked),
        ];
        for (outcome, count) in outcomes {
            self.metrics
                .events
                .with_label_values(&[outcome])
                .inc_by(u64::try_from(count).unwrap_or(0));
        }
        self.metrics
            .refolds
            .inc_by(u64::try_from(done.refolds).unwrap_or(0));
        self.metrics
            .batch_size
            .observe(f64::from(u32::try_from(size).unwrap_or(u32::MAX)));
        self.metrics
            .batch_seconds
            .observe(started.elapsed().as_secs_f64());
        if let Some(oldest) = oldest {
            self.metrics.delay_seconds.observe(
                Timestamp::now()
                    .duration_since(oldest)
                    .as_secs_f64()
                    .max(0.0),
            );
        }
    }
}
