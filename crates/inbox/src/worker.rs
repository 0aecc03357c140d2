//! One worker: takes what its partitions have delivered, handles it, acknowledges after the commit.
//!
//! A batch that fails is sorted out by `clear`; what no try helps goes to the dead letters by `aside`.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use roost_bus::{Bus, Delivery, Hint, ack_all};
use roost_cache::Cache;
use roost_domain::fair;
use roost_service::Shutdown;
use roost_store::Store;
use roost_store::seal::Sealer;
use serde_json::json;
use tokio::sync::mpsc;

use crate::aside::Aside;
use crate::clear::{Failure, Heap};
use crate::forward::{GiveBack, Part};
use crate::metrics::InboxMetrics;
use crate::signs::Signs;
use crate::step::{Batch, Done, Rules, handle_batch};

/// Events in one transaction, at most: more costs latency and gains little.
const BATCH: usize = 500;
/// Events of the bulk lane in one transaction while the main lane is in use.
const BULK_BATCH: usize = 100;
/// How long after its last event the main lane counts as in use.
const BUSY_FOR: Duration = Duration::from_secs(1);
/// Events of a lane that wait here, at most.
const MOST_WAITING: usize = 4 * BATCH;
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
    pub(crate) signs: Signs,
}

/// What the forwarders of a worker's partitions deliver.
#[derive(Debug)]
pub(crate) struct Lanes {
    main: Lane,
    bulk: Lane,
    main_was_busy: Option<Instant>,
}

impl Lanes {
    pub(crate) fn new(main: mpsc::Receiver<Part>, bulk: mpsc::Receiver<Part>) -> Self {
        let lane = |parts| Lane {
            parts,
            waiting: VecDeque::new(),
        };
        Self {
            main: lane(main),
            bulk: lane(bulk),
            main_was_busy: None,
        }
    }

    /// The next batch: the main lane's, but for every fifth turn or when it has none. What was given
    /// back is passed over: it comes again. None at the end.
    async fn next(&mut self, turn: u32, give_back: &GiveBack) -> Option<Vec<Delivery>> {
        loop {
            self.main.collect(give_back);
            self.bulk.collect(give_back);
            let has_main = !self.main.waiting.is_empty();
            if has_main {
                self.main_was_busy = Some(Instant::now());
            }
            let is_bulk_turn = !has_main || turn.is_multiple_of(BULK_TURN);
            if is_bulk_turn && !self.bulk.waiting.is_empty() {
                let is_busy = self.main_was_busy.is_some_and(|at| at.elapsed() < BUSY_FOR);
                // What comes over the main lane meanwhile waits for this batch.
                let most = if is_busy { BULK_BATCH } else { BATCH };
                return Some(self.bulk.take(most));
            }
            if has_main {
                return Some(self.main.take(BATCH));
            }
            let (lane, part) = tokio::select! {
                biased;
                part = self.main.parts.recv() => (&mut self.main, part),
                part = self.bulk.parts.recv() => (&mut self.bulk, part),
            };
            lane.add(part?);
        }
    }
}

/// What one lane has for a worker.
#[derive(Debug)]
struct Lane {
    parts: mpsc::Receiver<Part>,
    /// With the round in which each was handed out, in the order of arrival.
    waiting: VecDeque<(u64, Delivery)>,
}

impl Lane {
    fn add(&mut self, part: Part) {
        let round = part.round;
        let handed = part.deliveries.into_iter();
        self.waiting
            .extend(handed.map(|delivery| (round, delivery)));
    }

    /// Takes what has arrived, up to a bound; the rest stays with the broker.
    fn collect(&mut self, give_back: &GiveBack) {
        while self.waiting.len() < MOST_WAITING
            && let Ok(part) = self.parts.try_recv()
        {
            self.add(part);
        }
        self.waiting.retain(|(round, _)| give_back.is_round(*round));
    }

    /// A batch in which accounts take their turns: what a flood has waiting makes its own messages
    /// late and not the others'.
    fn take(&mut self, most: usize) -> Vec<Delivery> {
        if self.waiting.len() <= most {
            return self
                .waiting
                .drain(..)
                .map(|(_, delivery)| delivery)
                .collect();
        }
        let accounts: Vec<&str> = self
            .waiting
            .iter()
            .map(|(_, delivery)| delivery.headers.get("account").unwrap_or_default())
            .collect();
        let chosen: BTreeSet<usize> = fair::choose(&accounts, most).into_iter().collect();
        let (batch, rest): (Vec<_>, Vec<_>) = self
            .waiting
            .drain(..)
            .enumerate()
            .partition(|(place, _)| chosen.contains(place));
        self.waiting = rest.into_iter().map(|(_, waiting)| waiting).collect();
        batch
            .into_iter()
            .map(|(_, (_, delivery))| delivery)
            .collect()
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
        self.signs.note(&self.store, &done.signs);
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
