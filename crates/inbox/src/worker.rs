//! One worker: takes what its partitions have delivered, handles it, acknowledges after the commit.
//!
//! A batch that fails for good is halved until the poison is alone; that one goes to the dead letters
//! with its reason while its neighbours go on. A transient fault holds the batch and backs off.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use roost_bus::{Bus, Delivery, Hint, HoldBack, Verdict, ack_all};
use roost_cache::Cache;
use roost_domain::fair;
use roost_service::Shutdown;
use roost_store::seal::Sealer;
use roost_store::{Store, StoreError, dead};
use serde_json::json;
use tokio::sync::{Notify, mpsc};

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
/// How often a single event may fail for good before it is put aside: a constraint may have lost a
/// race that its second try wins.
const TRIES: u32 = 3;
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
    pub(crate) fn new(
        main: mpsc::Receiver<Vec<Delivery>>,
        bulk: mpsc::Receiver<Vec<Delivery>>,
    ) -> Self {
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

    /// The next batch: the main lane's, but for every fifth turn or when it has none. None at the end.
    async fn next(&mut self, turn: u32) -> Option<Vec<Delivery>> {
        loop {
            self.main.collect();
            self.bulk.collect();
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
            lane.waiting.extend(part?);
        }
    }
}

/// What one lane has for a worker.
#[derive(Debug)]
struct Lane {
    parts: mpsc::Receiver<Vec<Delivery>>,
    /// In the order of arrival.
    waiting: VecDeque<Delivery>,
}

impl Lane {
    /// Takes what has arrived, up to a bound; the rest stays with the broker.
    fn collect(&mut self) {
        while self.waiting.len() < MOST_WAITING
            && let Ok(part) = self.parts.try_recv()
        {
            self.waiting.extend(part);
        }
    }

    /// A batch in which accounts take their turns: what a flood has waiting makes its own messages
    /// late and not the others'.
    fn take(&mut self, most: usize) -> Vec<Delivery> {
        if self.waiting.len() <= most {
            return self.waiting.drain(..).collect();
        }
        let accounts: Vec<&str> = self
            .waiting
            .iter()
            .map(|delivery| delivery.headers.get("account").unwrap_or_default())
            .collect();
        let chosen: BTreeSet<usize> = fair::choose(&accounts, most).into_iter().collect();
        let (batch, rest): (Vec<_>, Vec<_>) = self
            .waiting
            .drain(..)
            .enumerate()
            .partition(|(place, _)| chosen.contains(place));
        self.waiting = rest.into_iter().map(|(_, delivery)| delivery).collect();
        batch.into_iter().map(|(_, delivery)| delivery).collect()
    }
}

/// Works until the shutdown; a batch in hand is finished.
pub(crate) async fn work(tools: Tools, mut lanes: Lanes, give_back: &Notify, shutdown: &Shutdown) {
    let mut turn = 0_u32;
    loop {
        turn = turn.wrapping_add(1);
        let next = tokio::select! {
            biased;
            () = shutdown.triggered() => return,
            next = lanes.next(turn) => next,
        };
        let Some(batch) = next else { return };
        let (alone, together): (Vec<Delivery>, Vec<Delivery>) = batch
            .into_iter()
            .partition(|delivery| delivery.delivery_count > SUSPICIOUS);
        let mut heaps: Vec<Vec<Delivery>> =
            alone.into_iter().map(|delivery| vec![delivery]).collect();
        heaps.push(together);
        if !tools.clear(heaps, give_back, shutdown).await {
            return;
        }
    }
}

impl Tools {
    /// Handles heaps of deliveries, halving those that fail; false at the shutdown.
    async fn clear(
        &self,
        mut heaps: Vec<Vec<Delivery>>,
        give_back: &Notify,
        shutdown: &Shutdown,
    ) -> bool {
        let mut hold = HoldBack::new();
        let mut tries = 0;
        while let Some(heap) = heaps.pop() {
            if heap.is_empty() {
                continue;
            }
            match self.handle(&heap).await {
                Ok(()) => {
                    hold.reset();
                    tries = 0;
                }
                Err(failure) if failure.is_transient() => {
                    tracing::warn!(error = %failure.reason(), events = heap.len(), "batch held back");
                    heaps.push(heap);
                    match hold.wait(shutdown).await {
                        Verdict::Again => {}
                        Verdict::Stop => return false,
                        Verdict::GiveBack => {
                            give_back.notify_waiters();
                            return true;
                        }
                    }
                }
                Err(_) if heap.len() > 1 => {
                    let mut front = heap;
                    let back = front.split_off(front.len() / 2);
                    heaps.push(back);
                    heaps.push(front);
                }
                Err(failure) => {
                    tries += 1;
                    if tries < TRIES && failure.may_pass() {
                        heaps.push(heap);
                        continue;
                    }
                    tries = 0;
                    self.put_aside(&heap, &failure.reason()).await;
                }
            }
        }
        true
    }

    async fn handle(&self, deliveries: &[Delivery]) -> Result<(), Failure> {
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

    fn count(&self, done: &Done, size: usize, started: Instant, oldest: Option<Timestamp>) {
        let outcomes = [
            ("stored", done.stored),
            ("duplicate", done.duplicates),
            ("raw", done.raw),
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

    /// Puts a message among the dead letters, in the database for people and in the broker for keeps.
    async fn put_aside(&self, heap: &[Delivery], reason: &str) {
        for delivery in heap {
            tracing::error!(
                reason,
                queue = delivery.queue(),
                "message put aside: see `roost dead list`"
            );
            let recorded = dead::record(
                &self.store,
                &self.sealer,
                delivery.queue(),
                None,
                reason,
                &delivery.body,
            )
            .await;
            if let Err(error) = recorded {
                tracing::error!(%error, "cannot record a dead letter");
            }
            match delivery.dead_letter(reason).await {
                Ok(()) => self.metrics.dead.inc(),
                // Still held: the broker delivers it again and it comes here once more.
                Err(error) => tracing::warn!(%error, "cannot put a message aside"),
            }
        }
    }
}

enum Failure {
    Body(String),
    Store(StoreError),
}

impl Failure {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }

    fn may_pass(&self) -> bool {
        matches!(self, Self::Store(_))
    }

    /// With its causes, for the operator; none of them holds a message's text.
    fn reason(&self) -> String {
        match self {
            Self::Body(reason) => reason.clone(),
            Self::Store(error) => {
                let mut reason = error.to_string();
                let mut source = std::error::Error::source(error);
                while let Some(cause) = source {
                    reason = format!("{reason}: {cause}");
                    source = cause.source();
                }
                reason
            }
        }
    }
}
