//! Names of exchanges and queues, and their declaration.
//!
//! The code declares everything at each connect; a broker that was wiped is
//! whole again after the next reconnect. The arguments are fixed: an existing
//! queue with others makes the declaration fail, loudly.

use futures_util::future::try_join_all;
use lapin::options::{
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

/// Quorum queues of the router; each takes 64 of the 256 buckets.
pub const ROUTER_QUEUES: u8 = 4;

/// Returns before the broker itself dead-letters a message. Below RabbitMQ 4.3
/// every return counts, crashes of consumers too, so it is far above what our
/// own retries need (settled: broker).
const DELIVERY_LIMIT: i64 = 1_000;

/// A lane of the ingress queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Live traffic.
    Main,
    /// Floods, replays, backlogs.
    Bulk,
}

impl Lane {
    /// `main` or `bulk`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Bulk => "bulk",
        }
    }

    /// The lane of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "main" => Some(Self::Main),
            "bulk" => Some(Self::Bulk),
            _ => None,
        }
    }
}

/// A role that can be woken by a hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hint {
    /// There are events to relay.
    Relay,
    /// There are replies to send.
    Sender,
    /// There are new or earlier clocks.
    Sla,
    /// Somebody has become able to take work.
    Router,
}

impl Hint {
    /// The routing key.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Sender => "sender",
            Self::Sla => "sla",
            Self::Router => "router",
        }
    }
}

/// Names. Queues are known by their short name (`ingress.p03`); the prefix is
/// added where the broker is spoken to.
#[derive(Debug, Clone)]
pub struct Topology {
    prefix: String,
    partitions: u16,
    queue_limit: u32,
}

impl Topology {
    pub(crate) fn new(prefix: String, partitions: u16, queue_limit: u32) -> Self {
        Self {
            prefix,
            partitions: partitions.max(1),
            queue_limit,
        }
    }

    /// Ingress queues per lane.
    #[must_use]
    pub fn partitions(&self) -> u16 {
        self.partitions
    }

    /// The ingress partition of a bucket.
    #[must_use]
    pub fn partition_of(&self, bucket: u8) -> u16 {
        u16::from(bucket) % self.partitions
    }

    /// The router queue of a bucket.
    #[must_use]
    pub fn router_index_of(bucket: u8) -> u8 {
        bucket / 64
    }

    /// Short name of an ingress queue.
    #[must_use]
    pub fn ingress_queue(&self, partition: u16, lane: Lane) -> String {
        format!("ingress.{}", self.ingress_key(partition, lane))
    }

    /// Short name of a router queue.
    #[must_use]
    pub fn router_queue(&self, index: u8) -> String {
        format!("router.p{index}")
    }

    /// Short names of all queues that hold work.
    #[must_use]
    pub fn work_queues(&self) -> Vec<String> {
        let lanes = [Lane::Main, Lane::Bulk];
        let ingress = lanes
            .into_iter()
            .flat_map(|lane| (0..self.partitions).map(move |p| (p, lane)))
            .map(|(partition, lane)| self.ingress_queue(partition, lane));
        let router = (0..ROUTER_QUEUES).map(|index| self.router_queue(index));
        ingress.chain(router).collect()
    }

    /// Short name of the dead letters of a queue.
    #[must_use]
    pub fn dead_queue(queue: &str) -> String {
        format!("dead.{queue}")
    }

    /// A short name as the broker knows it.
    #[must_use]
    pub fn full_name(&self, short: &str) -> String {
        format!("{}.{short}", self.prefix)
    }

    pub(crate) fn ingress_exchange(&self) -> String {
        self.full_name("ingress")
    }

    pub(crate) fn events_exchange(&self) -> String {
        self.full_name("events")
    }

    pub(crate) fn hints_exchange(&self) -> String {
        self.full_name("hints")
    }

    pub(crate) fn dead_exchange(&self) -> String {
        self.full_name("dead")
    }

    #[expect(clippy::unused_self, reason = "keys belong to a topology")]
    pub(crate) fn ingress_key(&self, partition: u16, lane: Lane) -> String {
        match lane {
            Lane::Main => format!("p{partition:02}"),
            Lane::Bulk => format!("bulk.p{partition:02}"),
        }
    }

    pub(crate) fn event_key(bucket: u8) -> String {
        format!("b{bucket:03}")
    }

    /// A word more than [`Topology::event_key`], so that `b007` doesn't match it and `b007.#` does.
    pub(crate) fn news_key(bucket: u8) -> String {
        format!("b{bucket:03}.news")
    }

    /// Declares everything. Requests are sent ahead of their answers: with 256
    /// bindings, one at a time would take seconds.
    pub(crate) async fn declare(&self, channel: &Channel) -> lapin::Result<()> {
        let exchanges = [
            (self.ingress_exchange(), ExchangeKind::Direct),
            (self.events_exchange(), ExchangeKind::Topic),
            (self.hints_exchange(), ExchangeKind::Direct),
            (self.dead_exchange(), ExchangeKind::Direct),
        ];
        try_join_all(exchanges.into_iter().map(|(name, kind)| {
            let options = ExchangeDeclareOptions {
                durable: true,
                ..ExchangeDeclareOptions::default()
            };
            channel.exchange_declare(name.into(), kind, options, FieldTable::default())
        }))
        .await?;

        let work = self.work_queues();
        // Dead letters first: a work queue may need them at once.
        let dead = work.iter().map(|queue| self.declare_dead(channel, queue));
        try_join_all(dead).await?;
        try_join_all(work.iter().map(|queue| self.declare_work(channel, queue))).await?;

        let ingress = [Lane::Main, Lane::Bulk].into_iter().flat_map(|lane| {
            (0..self.partitions).map(move |partition| {
                let queue = self.ingress_queue(partition, lane);
                let key = self.ingress_key(partition, lane);
                self.bind(channel, queue, self.ingress_exchange(), key)
            })
        });
        try_join_all(ingress).await?;
        let router = (0..=u8::MAX).map(|bucket| {
            let queue = self.router_queue(Self::router_index_of(bucket));
            let key = Self::event_key(bucket);
            self.bind(channel, queue, self.events_exchange(), key)
        });
        try_join_all(router).await?;
        Ok(())
    }

    /// Deletes everything with this prefix that [`Topology::declare`] made.
    pub(crate) async fn remove(&self, channel: &Channel) -> lapin::Result<()> {
        for queue in self.work_queues() {
            for name in [queue.clone(), Self::dead_queue(&queue)] {
                let options = QueueDeleteOptions::default();
                channel
                    .queue_delete(self.full_name(&name).into(), options)
                    .await?;
            }
        }
        for exchange in ["ingress", "events", "hints", "dead"] {
            let options = ExchangeDeleteOptions::default();
            channel
                .exchange_delete(self.full_name(exchange).into(), options)
                .await?;
        }
        Ok(())
    }

    async fn declare_work(&self, channel: &Channel, queue: &str) -> lapin::Result<()> {
        let mut arguments = quorum();
        let mut set = |name: &str, value: AMQPValue| {
            arguments.insert(name.into(), value);
        };
        set("x-single-active-consumer", AMQPValue::Boolean(true));
        set("x-delivery-limit", AMQPValue::LongLongInt(DELIVERY_LIMIT));
        set("x-dead-letter-exchange", text(&self.dead_exchange()));
        set("x-dead-letter-routing-key", text(queue));
        set("x-dead-letter-strategy", text("at-least-once"));
        // At-least-once dead lettering needs it; the default throws away the oldest.
        set("x-overflow", text("reject-publish"));
        set(
            "x-max-length",
            AMQPValue::LongLongInt(self.queue_limit.into()),
        );
        self.declare_queue(channel, queue, arguments).await
    }

    async fn declare_dead(&self, channel: &Channel, queue: &str) -> lapin::Result<()> {
        let dead = Self::dead_queue(queue);
        self.declare_queue(channel, &dead, quorum()).await?;
        self.bind(channel, dead, self.dead_exchange(), queue.to_owned())
            .await
    }

    async fn declare_queue(
        &self,
        channel: &Channel,
        queue: &str,
        arguments: FieldTable,
    ) -> lapin::Result<()> {
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        channel
            .queue_declare(self.full_name(queue).into(), options, arguments)
            .await
            .map(drop)
    }

    async fn bind(
        &self,
        channel: &Channel,
        queue: String,
        exchange: String,
        key: String,
    ) -> lapin::Result<()> {
        channel
            .queue_bind(
                self.full_name(&queue).into(),
                exchange.into(),
                key.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
    }
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments
}

pub(crate) fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_design() {
        let topology = Topology::new("t1".to_owned(), 16, 100);
        assert_eq!(topology.ingress_queue(3, Lane::Main), "ingress.p03");
        assert_eq!(topology.ingress_queue(12, Lane::Bulk), "ingress.bulk.p12");
        assert_eq!(topology.full_name("ingress.p03"), "t1.ingress.p03");
        assert_eq!(Topology::dead_queue("ingress.p03"), "dead.ingress.p03");
        assert_eq!(Topology::event_key(7), "b007");
        assert_eq!(Topology::news_key(7), "b007.news");
        assert_eq!(topology.partition_of(255), 15);
        assert_eq!(Topology::router_index_of(64), 1);
        assert_eq!(topology.work_queues().len(), 36);
    }
}
