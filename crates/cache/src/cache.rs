//! The handle, its connection, and knowing whether Redis is there.

use crate::ephemeral::{self, EphemeralStream};
use crate::gcra::{self, LocalBuckets};
use crate::limit::{Decision, RateLimit, Source};
use crate::metrics::CacheMetrics;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, FromRedisValue, RedisResult};
use roost_service::Metrics;
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Longest wait for an answer.
const RESPONSE_LIMIT: Duration = Duration::from_millis(250);
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(1);
const PING_EVERY: Duration = Duration::from_secs(2);

/// Why a cache can't be made.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The URL isn't one, or asks for what this build can't do.
    #[error("the Redis URL is not valid")]
    Url(#[source] redis::RedisError),
}

/// Access to Redis. Cheap to clone.
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    link: Link,
    prefix: String,
    local: LocalBuckets,
    pinging: JoinHandle<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.pinging.abort();
    }
}

/// The multiplexed connection and what is known of its state.
#[derive(Clone)]
struct Link {
    manager: ConnectionManager,
    up: Arc<AtomicBool>,
    metrics: CacheMetrics,
}

impl Cache {
    /// Starts watching Redis; must be called inside a tokio runtime. Never
    /// fails because Redis is away.
    ///
    /// # Errors
    /// When the URL isn't valid.
    pub fn start(
        url: &SecretString,
        prefix: impl Into<String>,
        metrics: &Metrics,
    ) -> Result<Self, CacheError> {
        let client = Client::open(url.expose_secret()).map_err(CacheError::Url)?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(RESPONSE_LIMIT))
            .set_connection_timeout(Some(CONNECT_LIMIT))
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(500));
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), config)
            .map_err(CacheError::Url)?;
        let link = Link {
            manager,
            up: Arc::new(AtomicBool::new(false)),
            metrics: CacheMetrics::new(metrics),
        };
        let inner = Inner {
            client,
            pinging: tokio::spawn(keep_pinging(link.clone())),
            link,
            prefix: prefix.into(),
            local: LocalBuckets::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Whether the last exchange with Redis worked; looked at every 2 s.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.inner.link.up.load(Ordering::Relaxed)
    }

    /// Waits until Redis answers; `false` after `limit`.
    pub async fn wait_up(&self, limit: Duration) -> bool {
        let up = async {
            while !self.is_up() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(limit, up).await.is_ok()
    }

    /// Tells every gateway something that may be lost. Nothing is said when
    /// Redis is away.
    pub async fn publish_ephemeral(&self, brand: Uuid, json: &str) {
        let channel = ephemeral::channel(&self.inner.prefix, brand);
        let mut command = redis::cmd("PUBLISH");
        command.arg(channel).arg(json);
        let sent: Option<i64> = self
            .inner
            .link
            .ask("publish", async |manager| {
                command.query_async(manager).await
            })
            .await;
        if sent.is_none() {
            self.inner.link.metrics.count("publish", "dropped");
        }
    }

    /// What every process publishes by [`Cache::publish_ephemeral`], for all
    /// brands, from now on. Must be called inside a tokio runtime.
    #[must_use]
    pub fn subscribe_ephemeral(&self) -> EphemeralStream {
        EphemeralStream::start(self.inner.client.clone(), self.inner.prefix.clone())
    }

    /// Takes `cost` from the allowance of `key` (such as an address or an id)
    /// within `limit`. `brand` is `None` for what comes before a brand is
    /// known. While Redis is away the answer is this process's own, at half the
    /// allowance; [`Decision::source`] tells.
    pub async fn allow(
        &self,
        limit: &RateLimit,
        brand: Option<Uuid>,
        key: &str,
        cost: u32,
    ) -> Decision {
        let name = limit.key(&self.inner.prefix, brand, key);
        let invocation = gcra::invocation(limit, &name, cost);
        let answer = self
            .inner
            .link
            .ask("limit", async |manager| {
                invocation.invoke_async(manager).await
            })
            .await;
        match answer {
            Some(answer) => gcra::decision(answer, Source::Redis),
            None => {
                self.inner.link.metrics.count("limit", "local");
                self.inner.local.allow(&limit.halved(), name, cost)
            }
        }
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("prefix", &self.inner.prefix)
            .field("up", &self.is_up())
            .finish_non_exhaustive()
    }
}

impl Link {
    /// Asks unless Redis is known to be away; `None` where there was no answer.
    async fn ask<T: FromRedisValue>(
        &self,
        what: &'static str,
        ask: impl AsyncFnOnce(&mut ConnectionManager) -> RedisResult<T>,
    ) -> Option<T> {
        if !self.up.load(Ordering::Relaxed) {
            return None;
        }
        self.try_ask(what, RESPONSE_LIMIT, ask).await
    }

    async fn try_ask<T: FromRedisValue>(
        &self,
        what: &'static str,
        limit: Duration,
        ask: impl AsyncFnOnce(&mut ConnectionManager) -> RedisResult<T>,
    ) -> Option<T> {
        let mut manager = self.manager.clone();
        // A limit of our own: the manager's covers neither a reconnect under
        // way nor every version of the library.
        let fault = match tokio::time::timeout(limit, ask(&mut manager)).await {
            Ok(Ok(answer)) => {
                self.note(true, None);
                return Some(answer);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {limit:?}"),
        };
        self.metrics.count(what, "error");
        self.note(false, Some(&fault));
        None
    }

    fn note(&self, up: bool, fault: Option<&str>) {
        let was = self.up.swap(up, Ordering::Relaxed);
        self.metrics.up.set(i64::from(up));
        match (was, up) {
            (true, false) => tracing::warn!(fault, "Redis is away: limits are local"),
            (false, true) => tracing::info!("Redis is up"),
            (true, true) | (false, false) => {}
        }
    }
}

async fn keep_pinging(link: Link) {
    let ping = redis::cmd("PING");
    loop {
        let answer: Option<String> = link
            .try_ask("ping", CONNECT_LIMIT + RESPONSE_LIMIT, async |manager| {
                ping.query_async(manager).await
            })
            .await;
        let pause = if answer.is_some() {
            PING_EVERY
        } else {
            PING_EVERY / 4
        };
        tokio::time::sleep(pause).await;
    }
}
