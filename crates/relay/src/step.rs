//! One batch of the log: numbered, published, marked.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures_util::future::join_all;
use roost_bus::envelope::{EventPointer, VERSION};
use roost_bus::{Bus, Headers, Outgoing, PublishError, Route};
use roost_domain::event::OF_ROUTING;
use roost_store::sequencer::{self, Placed, Slot, Tenure};
use roost_store::{Store, StoreError};

use crate::metrics::RelayMetrics;
use crate::slots::Slots;

/// Events of one batch, at most.
const BATCH: i32 = 1_000;
/// Messages that share one wait for confirms: well inside the confirm timeout.
const WINDOW: usize = 1_000;
/// Parts of a window that go out side by side, as many as the publisher has channels.
const LANES: usize = 4;
/// Marks that one settling writes, at most.
const SETTLE: i32 = 10_000;

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It published this many events; there may be more.
    Done(usize),
    /// There was nothing.
    Idle,
}

/// One relay.
#[derive(Debug)]
pub struct Relay {
    store: Store,
    bus: Bus,
    slots: Slots,
    metrics: RelayMetrics,
    /// The last bucket of a batch that was full: the next one begins behind it, so that busy buckets
    /// can't keep the others waiting.
    full_up_to: Option<u8>,
}

impl Relay {
    /// One without slots.
    #[must_use]
    pub fn new(store: Store, bus: Bus, metrics: RelayMetrics, lease: Duration) -> Self {
        let slots = Slots::new(store.clone(), lease);
        Self {
            store,
            bus,
            slots,
            metrics,
            full_up_to: None,
        }
    }

    /// Looks after its leases when that is due; see [`Slots::keep`].
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep(&mut self) -> Result<(), StoreError> {
        let kept = self.slots.keep().await;
        self.metrics.slots.set(self.slots.count().into());
        kept
    }

    /// How long until [`Relay::keep`] is due.
    #[must_use]
    pub fn next_keep(&self) -> Duration {
        self.slots.next_keep()
    }

    /// How many slots it holds.
    #[must_use]
    pub fn slots(&self) -> u8 {
        self.slots.count()
    }

    /// Publishes the next batch.
    ///
    /// At least once: a slot in which anything failed is searched for what was numbered and not
    /// marked before it goes on. A repeated event has the same id, position and `seq`.
    ///
    /// # Errors
    /// When the database or the broker fails; nothing is lost by calling again.
    pub async fn step(&mut self) -> anyhow::Result<Outcome> {
        if !self.bus.is_up() {
            bail!("the broker is not connected");
        }
        let mut done = 0;
        for slot in self.slots.behind() {
            done += self.catch_up(slot).await?;
        }
        let events = self.number().await.context("number events")?;
        done += events.len();
        self.publish(&events).await?;
        self.metrics.succeeded();
        Ok(if done == 0 {
            Outcome::Idle
        } else {
            Outcome::Done(done)
        })
    }

    /// Publishes what the last holder of a slot, or this one, numbered and may not have published.
    async fn catch_up(&mut self, slot: Slot) -> anyhow::Result<usize> {
        let mut done = 0;
        loop {
            let events = sequencer::unpublished(&self.store, slot, BATCH)
                .await
                .context("find unpublished events")?;
            if events.is_empty() {
                self.slots.caught_up(slot);
                return Ok(done);
            }
            self.publish(&events).await?;
            if !self.slots.holds(slot) {
                return Ok(done);
            }
            done += events.len();
        }
    }

    /// Gives the next events their positions. They are published by [`Relay::publish`], or by whoever
    /// holds the slot next.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn number(&mut self) -> Result<Vec<Placed>, StoreError> {
        let working = self.slots.working();
        if working.is_empty() {
            return Ok(Vec::new());
        }
        let started = Instant::now();
        let events = match self.number_after(&working, self.full_up_to).await {
            Ok(events) if events.is_empty() && self.full_up_to.is_some() => {
                self.number_after(&working, None).await
            }
            other => other,
        };
        match &events {
            Ok(events) => {
                let full = i32::try_from(events.len()).unwrap_or(BATCH) >= BATCH;
                self.full_up_to = events
                    .iter()
                    .map(|event| event.bucket)
                    .max()
                    .filter(|_| full);
                if !events.is_empty() {
                    self.metrics
                        .sequence
                        .observe(started.elapsed().as_secs_f64());
                }
            }
            // The commit may have happened all the same.
            Err(_) => self
                .slots
                .fell_behind(working.iter().map(|tenure| tenure.slot)),
        }
        events
    }

    async fn number_after(
        &self,
        working: &[Tenure],
        after: Option<u8>,
    ) -> Result<Vec<Placed>, StoreError> {
        let buckets: Vec<u8> = working
            .iter()
            .flat_map(|tenure| tenure.slot.buckets())
            .filter(|bucket| after.is_none_or(|after| *bucket > after))
            .collect();
        if buckets.is_empty() {
            return Ok(Vec::new());
        }
        sequencer::number(&self.store, self.slots.holder(), working, buckets, BATCH).await
    }

    /// Publishes events in this order and marks them.
    ///
    /// Events of a slot whose lease has run out meanwhile are left to its next holder.
    ///
    /// # Errors
    /// When the broker doesn't confirm or the marks can't be written; the slots concerned are searched
    /// again.
    pub async fn publish(&mut self, events: &[Placed]) -> anyhow::Result<()> {
        for window in events.chunks(WINDOW) {
            let published = self.publish_window(window).await;
            if published.is_err() {
                self.slots.fell_behind(slots_of(events));
                return published;
            }
        }
        Ok(())
    }

    async fn publish_window(&mut self, window: &[Placed]) -> anyhow::Result<()> {
        let started = Instant::now();
        let (held, lost): (BTreeSet<Slot>, BTreeSet<Slot>) = slots_of(window)
            .into_iter()
            .partition(|slot| self.slots.holds(*slot));
        self.slots.fell_behind(lost);
        let mine: Vec<&Placed> = window
            .iter()
            .filter(|event| held.contains(&Slot::of_bucket(event.bucket)))
            .collect();
        let sent = join_all(lanes(&mine).into_iter().map(|lane| self.send(lane))).await;
        let (mut published, mut failure) = (Vec::new(), None);
        for lane in sent {
            let (done, error) = lane?;
            published.extend(done);
            failure = failure.or(error);
        }
        self.metrics
            .events
            .inc_by(u64::try_from(published.len()).unwrap_or(0));
        sequencer::mark(&self.store, &published)
            .await
            .context("mark published events")?;
        if let Some(error) = failure {
            return Err(anyhow::Error::new(error).context("publish events"));
        }
        self.metrics
            .publish
            .observe(started.elapsed().as_secs_f64());
        Ok(())
    }

    /// Publishes the events of a lane in order; answers those before the first that failed.
    async fn send<'e>(
        &self,
        lane: Vec<&'e Placed>,
    ) -> anyhow::Result<(Vec<&'e Placed>, Option<PublishError>)> {
        let messages = lane
            .iter()
            .map(|event| message(event))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let outcomes = self.bus.publish_all(messages).await;
        let failed = outcomes
            .iter()
            .enumerate()
            .find_map(|(at, outcome)| Some((at, outcome.err()?)));
        let mut lane = lane;
        let error = failed.map(|(at, error)| {
            lane.truncate(at);
            error
        });
        Ok((lane, error))
    }

    /// Moves the marks of its slots up to the heads of the logs.
    pub async fn settle(&mut self) {
        let working = self.slots.working();
        if let Err(error) =
            sequencer::settle(&self.store, self.slots.holder(), &working, SETTLE).await
        {
            tracing::debug!(%error, "cannot settle the marks; a take-over only searches longer");
        }
    }

    /// Gives its slots to the others.
    pub async fn give_back(&mut self) {
        self.settle().await;
        self.slots.give_back().await;
    }
}

fn slots_of(events: &[Placed]) -> BTreeSet<Slot> {
    events
        .iter()
        .map(|event| Slot::of_bucket(event.bucket))
        .collect()
}

/// Events that go out side by side. A slot's stay together and in order, since its mark says that
/// all before it went out, and with them a conversation's.
fn lanes<'e>(events: &[&'e Placed]) -> Vec<Vec<&'e Placed>> {
    let mut lanes: [Vec<&Placed>; LANES] = Default::default();
    for event in events {
        lanes[usize::from(Slot::of_bucket(event.bucket).number()) % LANES].push(event);
    }
    lanes.into_iter().filter(|lane| !lane.is_empty()).collect()
}

/// What gives nobody anything to do goes only to those who follow everything: most lines of the log
/// are messages, and a work queue keeps each on disk.
fn route_of(event: &Placed) -> Route {
    let bucket = event.bucket;
    if OF_ROUTING.iter().any(|kind| kind.as_str() == event.kind) {
        Route::Event { bucket }
    } else {
        Route::News { bucket }
    }
}

fn message(event: &Placed) -> anyhow::Result<Outgoing> {
    let pointer = EventPointer {
        v: VERSION,
        brand_id: event.brand.0,
        event_id: event.event.0,
        kind: event.kind.clone(),
        conversation_id: event.conversation.map(|conversation| conversation.0),
        seq: event.seq,
        position: event.position,
        bucket: event.bucket,
        request_id: event.request_id.clone(),
    };
    let mut headers = Headers::new();
    if let Some(request_id) = &event.request_id {
        headers.insert("request_id", request_id.as_str());
    }
    let body = serde_json::to_vec(&pointer).context("write an event pointer")?;
    Ok(Outgoing {
        route: route_of(event),
        body,
        headers,
    })
}
