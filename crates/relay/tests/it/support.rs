//! A log to write to, relays to run and kill, and a consumer that compares `seq`.

use std::collections::HashMap;
use std::time::Duration;

use roost_bus::envelope::EventPointer;
use roost_bus::{Bus, BusConfig, Subscription, SubscriptionSpec};
use roost_domain::event::EventType;
use roost_domain::ids::{BrandId, ConversationId};
use roost_relay::{Outcome, Relay, RelayMetrics};
use roost_service::Metrics;
use roost_store::ledger::{Cause, Ledger};
use roost_store::{Store, StoreConfig, StoreError};
use roost_tests::db::{Brand, TestDb, setting};
use roost_tests::wait::until;
use secrecy::SecretString;
use uuid::Uuid;

pub(crate) const SOON: Duration = Duration::from_secs(120);

/// A database, a broker prefix, and brands.
pub(crate) struct World {
    pub(crate) db: TestDb,
    pub(crate) store: Store,
    pub(crate) bus: Bus,
}

impl World {
    pub(crate) async fn new() -> Self {
        let db = TestDb::new().await;
        let store = Store::new(&StoreConfig {
            app_url: db.app_url.clone(),
            ingest_url: db.ingest_url.clone(),
            app_connections: 20,
            ingest_connections: 1,
        })
        .unwrap();
        let bus = bus(&setting("ROOST_TEST_AMQP_URL"));
        assert!(bus.wait_up(SOON).await, "the broker is away");
        Self { db, store, bus }
    }

    pub(crate) fn relay(&self, lease: Duration) -> Relay {
        Relay::new(
            self.store.clone(),
            self.bus.clone(),
            RelayMetrics::new(&Metrics::new()),
            lease,
        )
    }

    pub(crate) async fn conversation(&self, brand: &Brand, bucket: i16) -> ConversationId {
        let mut owner = self.db.owner().await;
        let ids = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
        sqlx::query(
            "with c as (insert into contacts (brand_id, id, name) values ($1, $2, 'A') returning id),
             i as (insert into identities (brand_id, id, contact_id, platform, external_id)
                   select $1, $3, id, 'x', $3::text from c returning id, contact_id)
             insert into conversations (brand_id, id, channel_id, identity_id, contact_id, bucket, status, cycle,
                 cycle_started_at, opened_at)
             select $1, $4, $5, id, contact_id, $6, 'open', 1, now(), now() from i",
        )
        .bind(brand.id.0)
        .bind(ids[0])
        .bind(ids[1])
        .bind(ids[2])
        .bind(brand.channel.0)
        .bind(bucket)
        .execute(&mut owner)
        .await
        .unwrap();
        ConversationId(ids[2])
    }

    /// Writes an event and holds the transaction open for a while before the commit.
    pub(crate) async fn write(
        &self,
        brand: BrandId,
        conversation: ConversationId,
        delay: Duration,
    ) {
        write(&self.store, brand, conversation, delay).await;
    }

    /// Removes what it made at the broker.
    pub(crate) async fn end(self) {
        self.bus.remove_topology().await;
        self.bus.close().await;
    }
}

pub(crate) fn bus(url: &str) -> Bus {
    let mut config = BusConfig::new(
        SecretString::from(url.to_owned()),
        format!("t{}", Uuid::now_v7().simple()),
    );
    config.partitions = 1;
    Bus::start(config, &Metrics::new())
}

pub(crate) async fn write(
    store: &Store,
    brand: BrandId,
    conversation: ConversationId,
    delay: Duration,
) {
    store
        .brand(brand, move |tx| {
            Box::pin(async move {
                let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
                ledger.lock(tx.conn(), brand, &[conversation]).await?;
                ledger.emit(conversation, EventType::NoteCreated, &Cause::system(), None);
                ledger.flush(tx.conn()).await?;
                tokio::time::sleep(delay).await;
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
}

/// An event that belongs to no conversation.
pub(crate) async fn write_alone(store: &Store, brand: BrandId, delay: Duration) {
    let id = Uuid::now_v7();
    store
        .brand(brand, move |tx| {
            Box::pin(async move {
                sqlx::query(
                    "insert into events (brand_id, id, type, subject_id, actor_type, bucket, data)
                     values ($1, $2, 'member.updated', $2, 'system', $3, '{}')",
                )
                .bind(brand.0)
                .bind(id)
                .bind(i16::from(id.as_bytes()[15]))
                .execute(tx.conn())
                .await?;
                tokio::time::sleep(delay).await;
                Ok::<_, StoreError>(())
            })
        })
        .await
        .unwrap();
}

/// Relays until nothing is left.
pub(crate) async fn drain(relay: &mut Relay) -> usize {
    let mut done = 0;
    while let Outcome::Done(count) = relay.step().await.unwrap() {
        done += count;
    }
    done
}

/// Keeps going until the relay holds this many slots.
pub(crate) async fn hold(relay: &mut Relay, slots: u8) {
    let started = std::time::Instant::now();
    while relay.slots() != slots {
        assert!(
            started.elapsed() < SOON,
            "holds {} of {slots} slots",
            relay.slots()
        );
        relay.keep().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sees every event that is published from now on.
pub(crate) struct Consumer {
    subscription: Subscription,
    pub(crate) seen: Vec<EventPointer>,
}

impl Consumer {
    pub(crate) async fn new(bus: &Bus) -> Self {
        let subscription = bus.subscribe(SubscriptionSpec::Events { prefetch: 1_000 });
        let epochs = subscription.epochs();
        until("the consumer", SOON, async || {
            (*epochs.borrow() > 0).then_some(())
        })
        .await;
        Self {
            subscription,
            seen: Vec::new(),
        }
    }

    /// Waits until this many different events have come.
    pub(crate) async fn wait_for(&mut self, distinct: usize) {
        let deadline = tokio::time::Instant::now() + SOON;
        while self.distinct() < distinct {
            let batch =
                tokio::time::timeout_at(deadline, self.subscription.next_batch(1_000)).await;
            let Ok(Some(batch)) = batch else {
                panic!("{} of {distinct} events came", self.distinct())
            };
            self.seen.extend(
                batch
                    .iter()
                    .map(|delivery| serde_json::from_slice(&delivery.body).unwrap()),
            );
            self.subscription.ack_all(&batch).await;
        }
    }

    pub(crate) fn distinct(&self) -> usize {
        self.seen
            .iter()
            .map(|event| event.event_id)
            .collect::<std::collections::HashSet<_>>()
            .len()
    }

    /// What is left when each conversation's events are taken only if their `seq` is higher than the
    /// last: nothing may be missing from it, and repeats must be the same event.
    pub(crate) fn assert_in_order(&self) {
        let mut last: HashMap<Uuid, i64> = HashMap::new();
        let mut known: HashMap<Uuid, &EventPointer> = HashMap::new();
        for event in &self.seen {
            assert_eq!(
                *known.entry(event.event_id).or_insert(event),
                event,
                "a repeat differs"
            );
            let (Some(conversation), Some(seq)) = (event.conversation_id, event.seq) else {
                continue;
            };
            let last = last.entry(conversation).or_default();
            if seq > *last {
                assert_eq!(seq, *last + 1, "conversation {conversation} skips");
                *last = seq;
            }
        }
    }
}
