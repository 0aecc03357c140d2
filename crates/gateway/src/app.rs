//! What every request and every stream shares.

use roost_bus::{Bus, Hint};
use roost_cache::Cache;
use roost_platforms::x::client::XClient;
use roost_service::{Config, Health, Metrics};
use roost_store::Store;
use roost_store::audit::Auditor;
use roost_store::seal::Sealer;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::auth::{Fresh, Keys, Passwords, Sessions, Tokens};
use crate::metrics::GatewayMetrics;
use crate::quotas::Quotas;
use crate::stream::Hub;

/// What the gateway is given.
#[derive(Debug, Clone)]
pub struct Deps {
    /// Settings.
    pub config: Config,
    /// PostgreSQL.
    pub store: Store,
    /// RabbitMQ.
    pub bus: Bus,
    /// Redis.
    pub cache: Cache,
    /// X, as the app named `main`.
    pub x: XClient,
    /// Seals platform tokens.
    pub sealer: Sealer,
    /// Writes the audit log.
    pub audit: Auditor,
    /// The process's health.
    pub health: Health,
    /// The process's figures.
    pub metrics: Metrics,
}

/// The gateway's state.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) cache: Cache,
    pub(crate) x: XClient,
    pub(crate) sealer: Sealer,
    pub(crate) metrics: GatewayMetrics,
    pub(crate) tokens: Tokens,
    pub(crate) sessions: Sessions,
    pub(crate) keys: Keys,
    pub(crate) quotas: Quotas,
    pub(crate) audit: Auditor,
    pub(crate) passwords: Passwords,
    pub(crate) hub: Hub,
    /// Counts of conversations by what was counted.
    pub(crate) counts: Fresh<String, i64>,
    pub(crate) outbox: Notify,
    /// This process among the gateways.
    pub(crate) gateway: Uuid,
}

impl App {
    pub(crate) fn new(deps: &Deps) -> Self {
        let metrics = GatewayMetrics::new(&deps.metrics);
        let sessions = Sessions::new(deps.store.clone());
        Self {
            tokens: Tokens::new(&deps.config.keys.jwt_secret),
            passwords: Passwords::new(metrics.hashes.clone()),
            hub: Hub::new(deps.store.clone(), metrics.clone()),
            outbox: Notify::new(),
            sessions,
            counts: Fresh::default(),
            keys: Keys::new(deps.store.clone()),
            quotas: Quotas::new(deps.store.clone(), &deps.config.limits),
            audit: deps.audit.clone(),
            gateway: Uuid::now_v7(),
            metrics,
            config: deps.config.clone(),
            store: deps.store.clone(),
            bus: deps.bus.clone(),
            cache: deps.cache.clone(),
            x: deps.x.clone(),
            sealer: deps.sealer.clone(),
        }
    }

    /// After a commit that wrote events: they have to reach the log's readers.
    pub(crate) fn hint_relay(&self) {
        self.bus.hint(Hint::Relay, b"");
    }

    /// After a commit that has clocks moved.
    pub(crate) fn hint_sla(&self) {
        self.bus.hint(Hint::Sla, b"");
    }

    /// After a commit that queued a reply.
    pub(crate) fn hint_sender(&self) {
        self.hint_relay();
        self.bus.hint(Hint::Sender, b"");
    }

    /// After a commit that queued a mail.
    pub(crate) fn hint_mail(&self) {
        self.outbox.notify_one();
    }

    /// After a commit that let somebody take work.
    pub(crate) fn hint_router(&self) {
        self.hint_relay();
        self.bus.hint(Hint::Router, b"");
    }
}
