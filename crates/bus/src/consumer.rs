//! Subscriptions that outlive connections.

use crate::Bus;
use crate::consuming::ConsumeLink;
use crate::delivery::{self, Delivery, Outstanding};
use crate::link::{LinkError, Shared, chain, limited};
use crate::topology::{Hint, Lane, Topology, text};
use futures_util::StreamExt as _;
use lapin::options::{BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(10);
/// Hints that wait for a slow role; older ones are dropped.
const HINT_QUEUE: i64 = 1_000;

/// What to consume. `prefetch` is how many unacknowledged messages the broker
/// lets out; 50 and more pays (performance notes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriptionSpec {
    /// A partition of a lane. One consumer at a time gets messages; others wait
    /// to take over.
    Ingress {
        /// Which partition.
        partition: u16,
        /// Which lane.
        lane: Lane,
        /// Unacknowledged messages.
        prefetch: u16,
    },
    /// A router queue, `0..ROUTER_QUEUES`.
    Router {
        /// Which queue.
        index: u8,
        /// Unacknowledged messages.
        prefetch: u16,
    },
    /// Every event, through a queue of this process's own that vanishes with
    /// the connection: after each reconnect, events were missed.
    Events {
        /// Unacknowledged messages.
        prefetch: u16,
    },
    /// Hints for a role; acknowledged by themselves.
    Hints(Hint),
    /// The dead letters of a queue, by its short name (`ingress.p03`).
    Dead {
        /// Whose dead letters.
        queue: String,
        /// Unacknowledged messages.
        prefetch: u16,
    },
}

/// A running subscription; dropping it gives unacknowledged messages back.
#[derive(Debug)]
pub struct Subscription {
    deliveries: mpsc::UnboundedReceiver<Delivery>,
    epochs: watch::Receiver<u64>,
    reopen: mpsc::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Subscription {
    pub(crate) fn start(
        bus: &Bus,
        shared: Arc<Shared>,
        link: watch::Receiver<Option<ConsumeLink>>,
        spec: SubscriptionSpec,
    ) -> Self {
        let (forward, deliveries) = mpsc::unbounded_channel();
        let (epoch, epochs) = watch::channel(0);
        let (reopen, reopens) = mpsc::channel(1);
        let task = Task {
            bus: bus.clone(),
            shared,
            link,
            spec,
            forward,
            epoch,
            reopens,
        };
        Self {
            deliveries,
            epochs,
            reopen,
            task: tokio::spawn(task.run()),
        }
    }

    /// Waits for a message, then takes what has arrived up to `max`; no linger.
    /// `None` once the bus is closed. Cancel-safe: what isn't returned stays.
    pub async fn next_batch(&mut self, max: usize) -> Option<Vec<Delivery>> {
        loop {
            let mut batch = vec![self.deliveries.recv().await?];
            while batch.len() < max {
                let Ok(delivery) = self.deliveries.try_recv() else {
                    break;
                };
                batch.push(delivery);
            }
            // Those of a lost channel come again.
            batch.retain(Delivery::is_held);
            if !batch.is_empty() {
                return Some(batch);
            }
        }
    }

    /// Acknowledges a batch in as few frames as is safe: one per channel when
    /// the batch holds everything that the channel has handed out up to its
    /// highest message, else one per message. Twice does no harm.
    pub async fn ack_all(&self, deliveries: &[Delivery]) {
        delivery::ack_all(deliveries).await;
    }

    /// Rises by one each time the subscription is (re)established; 0 before
    /// the first time. A change means that messages of a vanishing queue were
    /// missed: consumers of [`SubscriptionSpec::Events`] re-read from the log.
    #[must_use]
    pub fn epochs(&self) -> watch::Receiver<u64> {
        self.epochs.clone()
    }

    /// Gives everything unacknowledged back to the queue and starts over on a
    /// new channel: for a consumer that has held messages too long. Each return
    /// counts towards the delivery limit (1000).
    pub fn reopen(&self) {
        // A full queue means that it is on its way.
        self.reopen.try_send(()).ok();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Task {
    bus: Bus,
    shared: Arc<Shared>,
    link: watch::Receiver<Option<ConsumeLink>>,
    spec: SubscriptionSpec,
    forward: mpsc::UnboundedSender<Delivery>,
    epoch: watch::Sender<u64>,
    reopens: mpsc::Receiver<()>,
}

enum End {
    Reopen,
    Closing,
    Broken(String),
}

impl Task {
    async fn run(mut self) {
        let mut given_up = 0;
        loop {
            let fresh = |link: &Option<ConsumeLink>| {
                link.as_ref().is_some_and(|link| link.generation > given_up)
            };
            let link = tokio::select! {
                () = self.shared.closing.triggered() => return,
                link = self.link.wait_for(fresh) => match link {
                    Ok(link) => link.clone(),
                    Err(_) => return,
                },
            };
            let Some(link) = link else { continue };
            match self.consume(&link).await {
                End::Closing => return,
                End::Reopen => {}
                End::Broken(why) => {
                    given_up = link.generation;
                    link.give_up(why);
                }
            }
        }
    }

    /// One channel's life.
    async fn consume(&mut self, link: &ConsumeLink) -> End {
        let subscribed = Subscribed::open(link, &self.shared.topology, &self.spec).await;
        // The channel must live as long as its consumer.
        let (_channel, mut consumer, queue) = match subscribed {
            Ok(Subscribed {
                channel,
                consumer,
                queue,
            }) => (channel, consumer, queue),
            Err(error) => return End::Broken(format!("{:?}: {}", self.spec, chain(&error))),
        };
        let automatic = matches!(self.spec, SubscriptionSpec::Hints(_));
        let outstanding = Arc::new(Outstanding::default());
        self.epoch.send_modify(|epoch| *epoch += 1);
        loop {
            let next = tokio::select! {
                () = self.shared.closing.triggered() => return End::Closing,
                _ = self.reopens.recv() => return End::Reopen,
                next = consumer.next() => next,
            };
            let message = match next {
                Some(Ok(message)) => message,
                Some(Err(error)) => return End::Broken(format!("{queue}: {}", chain(&error))),
                None => return End::Broken(format!("{queue}: cancelled by the broker")),
            };
            let again = if message.redelivered { "yes" } else { "no" };
            self.shared
                .metrics
                .delivered
                .with_label_values(&[again])
                .inc();
            let delivery = Delivery::new(
                message,
                queue.clone(),
                outstanding.clone(),
                automatic,
                self.bus.clone(),
            );
            if self.forward.send(delivery).is_err() {
                return End::Closing;
            }
        }
    }
}

struct Subscribed {
    channel: Channel,
    consumer: Consumer,
    queue: Arc<str>,
}

impl Subscribed {
    async fn open(
        link: &ConsumeLink,
        topology: &Topology,
        spec: &SubscriptionSpec,
    ) -> Result<Self, LinkError> {
        let channel = limited("open channel", LIMIT, link.connection.create_channel()).await?;
        let (queue, prefetch) = match spec {
            SubscriptionSpec::Ingress {
                partition,
                lane,
                prefetch,
            } => (topology.ingress_queue(*partition, *lane), *prefetch),
            SubscriptionSpec::Router { index, prefetch } => {
                (topology.router_queue(*index), *prefetch)
            }
            SubscriptionSpec::Dead { queue, prefetch } => (Topology::dead_queue(queue), *prefetch),
            SubscriptionSpec::Events { prefetch } => {
                let own = Own {
                    name: format!("events.{}", Uuid::now_v7().simple()),
                    exchange: topology.events_exchange(),
                    key: "#",
                    limit: None,
                };
                (own.declare(&channel, topology).await?, *prefetch)
            }
            SubscriptionSpec::Hints(hint) => {
                let own = Own {
                    name: format!("hints.{}.{}", hint.as_str(), Uuid::now_v7().simple()),
                    exchange: topology.hints_exchange(),
                    key: hint.as_str(),
                    limit: Some(HINT_QUEUE),
                };
                (own.declare(&channel, topology).await?, 0)
            }
        };
        let qos = channel.basic_qos(prefetch, BasicQosOptions::default());
        limited("set prefetch", LIMIT, qos).await?;
        let options = BasicConsumeOptions {
            no_ack: matches!(spec, SubscriptionSpec::Hints(_)),
            ..BasicConsumeOptions::default()
        };
        let full = topology.full_name(&queue);
        let consume = channel.basic_consume(full.into(), "".into(), options, FieldTable::default());
        let consumer = limited("consume", LIMIT, consume).await?;
        Ok(Self {
            channel,
            consumer,
            queue: queue.into(),
        })
    }
}

/// A queue of this connection's own. The name is new each time: after a lost
/// connection the broker may hold the old one for a while.
struct Own {
    name: String,
    exchange: String,
    key: &'static str,
    limit: Option<i64>,
}

impl Own {
    async fn declare(self, channel: &Channel, topology: &Topology) -> Result<String, LinkError> {
        let options = QueueDeclareOptions {
            exclusive: true,
            auto_delete: true,
            ..QueueDeclareOptions::default()
        };
        let mut arguments = FieldTable::default();
        if let Some(limit) = self.limit {
            arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(limit));
            arguments.insert("x-overflow".into(), text("drop-head"));
        }
        let full = topology.full_name(&self.name);
        let declare = channel.queue_declare(full.as_str().into(), options, arguments);
        limited("declare own queue", LIMIT, declare).await?;
        let bind = channel.queue_bind(
            full.into(),
            self.exchange.into(),
            self.key.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        limited("bind own queue", LIMIT, bind).await?;
        Ok(self.name)
    }
}
