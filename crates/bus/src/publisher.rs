//! The publishing connection: one task that keeps it, several channels that
//! take batches from one queue.

use crate::connection;
use crate::error::PublishError;
use crate::hints::{self, HintReceiver};
use crate::link::{LinkError, LinkState, Shared, chain, limited};
use crate::message::Outgoing;
use crate::probe;
use crate::window::{self, End};
use lapin::options::ConfirmSelectOptions;
use lapin::{Channel, Connection};
use roost_service::Backoff;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Mutex, oneshot, watch};
use tokio::task::JoinSet;

/// Channels that publish side by side.
const CHANNELS: usize = 4;
/// Messages that a batch takes before it closes. A larger job goes alone.
const WINDOW: usize = 256;
const OPEN_LIMIT: Duration = Duration::from_secs(5);
/// Quorum queues are made one by one; a busy broker takes its time.
const DECLARE_LIMIT: Duration = Duration::from_secs(120);

pub(crate) type Outcome = Result<(), PublishError>;

/// Messages that go out together, in order, on one channel.
pub(crate) struct Job {
    pub(crate) messages: Vec<Outgoing>,
    pub(crate) reply: oneshot::Sender<Vec<Outcome>>,
}

/// The queue of jobs, taken from by one channel at a time.
pub(crate) type Jobs = Arc<Mutex<UnboundedReceiver<Job>>>;

/// Keeps the connection until the bus closes. `declared` turns true once the
/// topology stands.
pub(crate) async fn keep(
    shared: Arc<Shared>,
    jobs: Jobs,
    hints: HintReceiver,
    declared: watch::Sender<bool>,
) {
    let mut backoff = Backoff::reconnect();
    let mut careful = false;
    let hints = Arc::new(Mutex::new(hints));
    while !shared.closing.is_triggered() {
        match up(&shared, careful).await {
            Ok(connection) => {
                declared.send_replace(true);
                shared
                    .metrics
                    .connects
                    .with_label_values(&["publish", "ok"])
                    .inc();
                tracing::info!("publishing connection to the broker is up");
                backoff.reset();
                shared.note_confirm();
                shared.set_state(LinkState::Up);
                let end = serve(&connection, &shared, &jobs, &hints).await;
                shared.set_state(LinkState::Down);
                if let Err(error) = end {
                    tracing::warn!(error = chain(&error), "publishing connection is lost");
                }
                connection::close(&connection).await;
            }
            Err(error) => {
                shared
                    .metrics
                    .connects
                    .with_label_values(&["publish", "error"])
                    .inc();
                tracing::warn!(error = chain(&error), "cannot open publishing connection");
            }
        }
        careful = true;
        refuse_queued(&jobs).await;
        shared.closing.sleep(backoff.next_delay()).await;
    }
    refuse_queued(&jobs).await;
}

/// Those who queued while the connection went down need not wait in vain.
async fn refuse_queued(jobs: &Jobs) {
    let mut queue = jobs.lock().await;
    while let Ok(job) = queue.try_recv() {
        drop(job);
    }
}

async fn up(shared: &Arc<Shared>, careful: bool) -> Result<Arc<Connection>, LinkError> {
    let connection = connection::open(shared, "publish", careful).await?;
    let channel = limited("open channel", OPEN_LIMIT, connection.create_channel()).await?;
    let declaring = shared.topology.declare(&channel);
    limited("declare topology", DECLARE_LIMIT, declaring).await?;
    Ok(Arc::new(connection))
}

/// Runs the channels until one gives up or the bus closes (`Ok`).
async fn serve(
    connection: &Arc<Connection>,
    shared: &Arc<Shared>,
    jobs: &Jobs,
    hints: &Arc<Mutex<HintReceiver>>,
) -> Result<(), LinkError> {
    let events = connection.events_listener();
    let hint_channel = limited("open channel", OPEN_LIMIT, connection.create_channel()).await?;
    let ended = async {
        tokio::select! {
            error = connection::watch(connection, events, shared, true) => error,
            error = probe::keep(connection, shared) => error,
            error = hints::send_all(&hint_channel, shared, hints) => error,
        }
    };
    let mut ended = std::pin::pin!(ended);
    let mut channels = JoinSet::new();
    for _ in 0..CHANNELS {
        channels.spawn(work(connection.clone(), shared.clone(), jobs.clone()));
    }
    loop {
        tokio::select! {
            error = &mut ended => return Err(error),
            finished = channels.join_next() => match finished {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => return Err(error),
                Some(Err(panic)) => {
                    tracing::error!(%panic, "publishing channel panicked");
                    return Err(LinkError::Ended);
                }
                None => return Ok(()),
            },
        }
    }
}

async fn confirming(connection: &Connection) -> Result<Channel, LinkError> {
    let channel = limited("open channel", OPEN_LIMIT, connection.create_channel()).await?;
    let select = channel.confirm_select(ConfirmSelectOptions::default());
    limited("ask for confirms", OPEN_LIMIT, select).await?;
    Ok(channel)
}

/// Publishes batches until the bus closes.
async fn work(
    connection: Arc<Connection>,
    shared: Arc<Shared>,
    jobs: Jobs,
) -> Result<(), LinkError> {
    loop {
        let channel = confirming(&connection).await?;
        if batches(&channel, &shared, &jobs).await? == Next::Close {
            return Ok(());
        }
        // Under an alarm the broker reads nothing, not even the request for
        // a channel.
        let mut state = shared.publishing.subscribe();
        tokio::select! {
            () = shared.closing.triggered() => return Ok(()),
            _ = state.wait_for(|state| *state != LinkState::Blocked) => {}
        }
    }
}

#[derive(PartialEq, Eq)]
enum Next {
    /// The channel can't be trusted any more; a new one is needed.
    Reopen,
    Close,
}

async fn batches(channel: &Channel, shared: &Shared, jobs: &Jobs) -> Result<Next, LinkError> {
    loop {
        let Some(batch) = collect(shared, jobs).await else {
            return Ok(Next::Close);
        };
        if batch.is_empty() {
            continue;
        }
        match window::publish(channel, shared, batch).await {
            End::Complete => {}
            End::Incomplete { silent } => {
                if silent {
                    shared.note_timeout()?;
                }
                return Ok(Next::Reopen);
            }
            End::Broken(error) => return Err(LinkError::Amqp("publish", error)),
        }
    }
}

/// The next batch: what is queued now, at least one job. There is no linger:
/// while the other channels wait for confirms, the queue fills by itself.
async fn collect(shared: &Shared, jobs: &Jobs) -> Option<Vec<Job>> {
    let mut queue = jobs.lock().await;
    let first = tokio::select! {
        biased;
        job = queue.recv() => job?,
        () = shared.closing.triggered() => return None,
    };
    let mut size = first.messages.len();
    let mut batch = vec![first];
    while size < WINDOW {
        let Ok(job) = queue.try_recv() else { break };
        size += job.messages.len();
        batch.push(job);
    }
    // Who gave up waiting has put the message elsewhere.
    batch.retain(|job| !job.reply.is_closed());
    Some(batch)
}
