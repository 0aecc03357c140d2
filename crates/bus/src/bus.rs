//! The handle that roles hold.

use crate::connection;
use crate::consumer::{Subscription, SubscriptionSpec};
use crate::consuming::{self, ConsumeLink};
use crate::error::PublishError;
use crate::hints::{self, HintSender};
use crate::link::{LinkError, LinkState, Shared, chain, limited};
use crate::message::Outgoing;
use crate::metrics::BusMetrics;
use crate::publisher::{self, Job, Outcome};
use crate::topology::{Hint, Topology};
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use roost_service::Metrics;
use secrecy::SecretString;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex as SyncMutex;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

const REQUEST_LIMIT: Duration = Duration::from_secs(5);
const REMOVE_LIMIT: Duration = Duration::from_secs(60);

/// How to reach the broker and what to declare there.
#[derive(Debug, Clone)]
pub struct BusConfig {
    /// `amqp(s)://user:password@host:port/vhost`
    pub url: SecretString,
    /// First part of every name.
    pub prefix: String,
    /// Ingress queues per lane.
    pub partitions: u16,
    /// How long a confirm may take.
    pub confirm_timeout: Duration,
    /// Messages that a work queue holds before it refuses more.
    pub queue_limit: u32,
}

impl BusConfig {
    /// 16 partitions, 2 s for a confirm, a million messages a queue.
    #[must_use]
    pub fn new(url: SecretString, prefix: impl Into<String>) -> Self {
        Self {
            url,
            prefix: prefix.into(),
            partitions: 16,
            confirm_timeout: Duration::from_secs(2),
            queue_limit: 1_000_000,
        }
    }
}

/// The process's access to the broker: one connection for publishing, one for
/// consuming, both rebuilt when they break. Cheap to clone; the tasks end with
/// the last clone or with [`Bus::close`].
#[derive(Clone)]
pub struct Bus {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    jobs: mpsc::UnboundedSender<Job>,
    hints: HintSender,
    link: watch::Receiver<Option<ConsumeLink>>,
    tasks: SyncMutex<Vec<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.closing.trigger();
    }
}

impl Bus {
    /// Starts the tasks that keep both connections; must be called inside a
    /// tokio runtime. Never fails because the broker is away.
    #[must_use]
    pub fn start(config: BusConfig, metrics: &Metrics) -> Self {
        let topology = Topology::new(config.prefix.clone(), config.partitions, config.queue_limit);
        let shared = Arc::new(Shared::new(config, topology, BusMetrics::new(metrics)));
        let (jobs, queue) = mpsc::unbounded_channel();
        let (hints, hint_queue) = hints::queue();
        let (declared, stands) = watch::channel(false);
        let (link_sender, link) = watch::channel(None);
        let queue = Arc::new(Mutex::new(queue));
        let tasks = vec![
            tokio::spawn(publisher::keep(shared.clone(), queue, hint_queue, declared)),
            tokio::spawn(consuming::keep(shared.clone(), stands, link_sender)),
        ];
        let inner = Inner {
            shared,
            jobs,
            hints,
            link,
            tasks: SyncMutex::new(tasks),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Names of queues and partitions.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.inner.shared.topology
    }

    /// Whether a publish has a chance now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.inner.shared.state() == LinkState::Up
    }

    /// Whether the broker refuses messages because of an alarm.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.inner.shared.state() == LinkState::Blocked
    }

    /// Waits until both connections work; `false` after `limit`.
    pub async fn wait_up(&self, limit: Duration) -> bool {
        let mut state = self.inner.shared.publishing.subscribe();
        let mut link = self.inner.link.clone();
        let both = async {
            state
                .wait_for(|state| *state == LinkState::Up)
                .await
                .is_ok()
                && link.wait_for(Option::is_some).await.is_ok()
        };
        tokio::time::timeout(limit, both).await.unwrap_or(false)
    }

    /// Publishes one message: persistent, and routed or refused. `Ok` means
    /// that the broker has it on disk.
    ///
    /// # Errors
    /// See [`PublishError`]; within the confirm timeout and an eighth.
    pub async fn publish(&self, message: Outgoing) -> Result<(), PublishError> {
        let outcomes = self.publish_all(vec![message]).await;
        outcomes
            .into_iter()
            .next()
            .unwrap_or(Err(PublishError::Down))
    }

    /// Publishes messages together, in this order, with one wait for all
    /// confirms; outcomes in the same order. Where one fails, later ones may
    /// have succeeded.
    pub async fn publish_all(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PublishError>> {
        let count = messages.len();
        let all = |error: PublishError| -> Vec<Outcome> { vec![Err(error); count] };
        let shared = &self.inner.shared;
        match shared.state() {
            _ if count == 0 => return Vec::new(),
            LinkState::Down => return all(PublishError::Down),
            LinkState::Blocked => return all(PublishError::Blocked),
            LinkState::Up => {}
        }
        let (reply, answer) = oneshot::channel();
        if self.inner.jobs.send(Job { messages, reply }).is_err() {
            return all(PublishError::Down);
        }
        // A little longer than the batch itself has, so that its partial
        // outcome gets here.
        let limit = shared.config.confirm_timeout.mul_f64(1.125);
        match tokio::time::timeout(limit, answer).await {
            Ok(Ok(outcomes)) => outcomes,
            Ok(Err(_)) => all(PublishError::Down),
            Err(_) => all(PublishError::TimedOut),
        }
    }

    /// Wakes a role wherever it runs: not persistent, not confirmed, dropped
    /// when the broker is away. Never waits.
    pub fn hint(&self, role: Hint, payload: &[u8]) {
        let dropped = !self.is_up() || self.inner.hints.try_send((role, payload.to_vec())).is_err();
        if dropped {
            let hints = &self.inner.shared.metrics.hints;
            hints.with_label_values(&["dropped"]).inc();
        }
    }

    /// Starts consuming; survives reconnects by itself. Must be called inside
    /// a tokio runtime.
    #[must_use]
    pub fn subscribe(&self, spec: SubscriptionSpec) -> Subscription {
        let Inner { shared, link, .. } = &*self.inner;
        Subscription::start(self, shared.clone(), link.clone(), spec)
    }

    /// Messages ready in a queue, by its short name; `None` when it can't be
    /// asked now.
    pub async fn queue_depth(&self, queue: &str) -> Option<u32> {
        let link = self.inner.link.borrow().clone()?;
        let ask = async {
            let opened = link.connection.create_channel();
            let channel = limited("open channel", REQUEST_LIMIT, opened).await?;
            let options = QueueDeclareOptions {
                passive: true,
                ..QueueDeclareOptions::default()
            };
            let name = self.topology().full_name(queue);
            let declare = channel.queue_declare(name.into(), options, FieldTable::default());
            let answer = limited("ask queue depth", REQUEST_LIMIT, declare).await?;
            Ok::<_, LinkError>(answer.message_count())
        };
        ask.await
            .inspect_err(|error| tracing::debug!(%error, queue, "cannot ask queue depth"))
            .ok()
    }

    /// Deletes all queues and exchanges of this prefix with what they hold:
    /// for tests and resets. `false` when the broker didn't do it.
    pub async fn remove_topology(&self) -> bool {
        let shared = &self.inner.shared;
        // A connection of its own: consumers whose queue vanishes end theirs.
        let removed = async {
            let connection = connection::open(shared, "remove", false).await?;
            let opened = connection.create_channel();
            let channel = limited("open channel", REQUEST_LIMIT, opened).await?;
            let removing = shared.topology.remove(&channel);
            let end = limited("remove topology", REMOVE_LIMIT, removing).await;
            connection::close(&connection).await;
            end
        };
        removed
            .await
            .inspect_err(|error| tracing::warn!(error = chain(error), "cannot remove topology"))
            .is_ok()
    }

    /// Sends what is queued, waits for its confirms, and closes. Publishing
    /// fails afterwards and subscriptions end.
    pub async fn close(&self) {
        self.inner.shared.closing.trigger();
        let tasks = {
            let mut tasks = self
                .inner
                .tasks
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *tasks)
        };
        for task in tasks {
            if let Err(panic) = task.await {
                tracing::error!(%panic, "bus task panicked");
            }
        }
    }

    pub(crate) fn note_dead_letter(&self) {
        self.inner.shared.metrics.dead_lettered.inc();
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("prefix", &self.inner.shared.config.prefix)
            .field("state", &self.inner.shared.state())
            .finish_non_exhaustive()
    }
}
