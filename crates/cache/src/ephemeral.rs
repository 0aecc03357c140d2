//! Fan-out of what may be lost, over pub/sub.

use crate::cache::CONNECT_LIMIT;
use futures_util::StreamExt as _;
use redis::{Client, Msg, RedisResult};
use roost_service::Backoff;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Messages that wait for a slow gateway; more are dropped.
const QUEUE: usize = 1_024;
/// A connection that says nothing is asked, or a frozen server would go
/// unnoticed for ever.
const PING_EVERY: Duration = Duration::from_secs(5);

/// One thing heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ephemeral {
    /// The subscription was made again: what was said in between is lost, so
    /// clients should drop what they show of typing and viewing.
    Reconnected,
    /// Something said about a brand.
    Message {
        /// Whose.
        brand: Uuid,
        /// What was published.
        json: String,
    },
}

/// Everything that is published, for all brands, until it is dropped.
#[derive(Debug)]
pub struct EphemeralStream {
    messages: mpsc::Receiver<Ephemeral>,
    task: JoinHandle<()>,
}

impl EphemeralStream {
    pub(crate) fn start(client: Client, prefix: String) -> Self {
        let (forward, messages) = mpsc::channel(QUEUE);
        Self {
            messages,
            task: tokio::spawn(keep_listening(client, prefix, forward)),
        }
    }

    /// Waits for the next; never ends. Cancel-safe.
    pub async fn next(&mut self) -> Ephemeral {
        match self.messages.recv().await {
            Some(message) => message,
            // The task ends only when this is dropped.
            None => std::future::pending().await,
        }
    }
}

impl Drop for EphemeralStream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn channel(prefix: &str, brand: Uuid) -> String {
    format!("{prefix}:ephemeral:{brand}")
}

async fn keep_listening(client: Client, prefix: String, forward: mpsc::Sender<Ephemeral>) {
    let mut backoff = Backoff::reconnect();
    let mut first = true;
    loop {
        match listen(&client, &prefix, &forward, first, &mut backoff).await {
            Ok(()) => tracing::info!("Redis ended the subscription"),
            Err(error) => tracing::debug!(%error, "cannot listen to Redis"),
        }
        first = false;
        backoff.wait().await;
    }
}

async fn listen(
    client: &Client,
    prefix: &str,
    forward: &mpsc::Sender<Ephemeral>,
    first: bool,
    backoff: &mut Backoff,
) -> RedisResult<()> {
    let connected = tokio::time::timeout(CONNECT_LIMIT, client.get_async_pubsub()).await;
    let mut connection = connected.map_err(slow)??;
    let pattern = format!("{prefix}:ephemeral:*");
    let subscribing = connection.psubscribe(pattern);
    tokio::time::timeout(CONNECT_LIMIT, subscribing)
        .await
        .map_err(slow)??;
    backoff.reset();
    if !first {
        offer(forward, Ephemeral::Reconnected).await;
    }
    let (mut sink, mut stream) = connection.split();
    let mut ping = tokio::time::interval(PING_EVERY);
    loop {
        tokio::select! {
            message = stream.next() => match message {
                Some(message) => {
                    if let Some(message) = read(prefix, &message) {
                        // A gateway that can't keep up loses typing, not memory.
                        forward.try_send(message).ok();
                    }
                }
                None => return Ok(()),
            },
            _ = ping.tick() => {
                let asked = sink.ping::<redis::Value>();
                tokio::time::timeout(CONNECT_LIMIT, asked).await.map_err(slow)??;
            }
        }
    }
}

/// The marker must arrive, so this one waits.
async fn offer(forward: &mpsc::Sender<Ephemeral>, message: Ephemeral) {
    forward.send(message).await.ok();
}

fn read(prefix: &str, message: &Msg) -> Option<Ephemeral> {
    let brand = message
        .get_channel_name()
        .strip_prefix(prefix)?
        .strip_prefix(":ephemeral:")?
        .parse()
        .ok()?;
    let json = message.get_payload().ok()?;
    Some(Ephemeral::Message { brand, json })
}

fn slow(_: tokio::time::error::Elapsed) -> redis::RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}
