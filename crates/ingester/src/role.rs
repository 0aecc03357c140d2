//! The role: an HTTP server and the loop that drains the spool.

use crate::apps::Apps;
use crate::crc::Challenges;
use crate::lanes::Lanes;
use crate::metrics::IngesterMetrics;
use crate::{routes, spool};
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use anyhow::Context as _;
use roost_bus::Bus;
use roost_platforms::AppSecrets;
use roost_service::health::Weight;
use roost_service::{Health, Metrics, Shutdown, config, hardened, http, ops};
use roost_store::Store;
use roost_store::seal::Sealer;
use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The settings of this role.
#[derive(Debug, Clone)]
pub struct IngesterConfig {
    /// Where webhooks arrive.
    pub listen: SocketAddr,
    /// When an account goes to the bulk lane.
    pub lanes: config::Lanes,
    /// Time for requests under way at shutdown.
    pub grace: Duration,
}

/// What the role works with.
#[derive(Debug, Clone)]
pub struct Deps {
    /// Settings.
    pub config: IngesterConfig,
    /// By the last part of the webhook path, from the configuration. An app
    /// without a secret is served nothing: an empty key verifies anybody.
    pub apps: HashMap<String, AppSecrets>,
    /// The broker.
    pub bus: Bus,
    /// The spool; connects when first used. Without one, a broker that is away
    /// means 503.
    pub store: Option<Store>,
    /// Opens the secrets of apps that brands bring along; without one their webhooks are refused.
    pub sealer: Option<Sealer>,
    /// Where the role reports its state.
    pub health: Health,
    /// Where it counts.
    pub metrics: Metrics,
}

/// What handlers and the drain loop share.
pub(crate) struct State {
    pub(crate) apps: Apps,
    pub(crate) challenges: Challenges,
    pub(crate) bus: Bus,
    pub(crate) store: Option<Store>,
    pub(crate) lanes: Lanes,
    pub(crate) metrics: IngesterMetrics,
    spool_works: AtomicBool,
}

impl State {
    fn new(deps: &Deps) -> Self {
        Self {
            apps: Apps::new(deps.apps.clone(), deps.store.as_ref(), deps.sealer.as_ref()),
            challenges: Challenges::default(),
            bus: deps.bus.clone(),
            store: deps.store.clone(),
            lanes: Lanes::new(deps.config.lanes),
            metrics: IngesterMetrics::new(&deps.metrics),
            spool_works: AtomicBool::new(false),
        }
    }

    pub(crate) fn note_spool(&self, works: bool) {
        if self.spool_works.swap(works, Ordering::Relaxed) && !works {
            tracing::warn!("the spool is away");
        }
    }

    fn spool_works(&self) -> bool {
        self.spool_works.load(Ordering::Relaxed)
    }
}

/// Serves webhooks and drains the spool until shutdown.
///
/// # Errors
/// When the address can't be bound or the server fails.
pub async fn run(deps: Deps, shutdown: Shutdown) -> anyhow::Result<()> {
    let address = deps.config.listen;
    let listener =
        TcpListener::bind(address).with_context(|| format!("bind ingester address {address}"))?;
    listener
        .set_nonblocking(true)
        .context("prepare ingester socket")?;
    serve(deps, listener, shutdown).await
}

/// As [`run`], on a socket that is bound already.
///
/// # Errors
/// When the server fails.
pub async fn serve(deps: Deps, listener: TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
    let state = Arc::new(State::new(&deps));
    report_health(&deps.health, &state);
    let data = Data::from(state.clone());
    let Deps {
        health, metrics, ..
    } = deps;
    let server = HttpServer::new(move || {
        App::new()
            .wrap(from_fn(http::limit_head))
            .app_data(data.clone())
            .configure(routes::configure)
            .configure(ops::routes(&health, &metrics))
    });
    let server = hardened!(server, shutdown.clone(), deps.config.grace)
        .listen(listener)
        .context("listen for webhooks")?
        .run();
    tracing::info!(address = %deps.config.listen, "ingester is up");
    let draining = spool::drain(&state, &shutdown);
    let looking = state.apps.keep(&shutdown);
    let (served, (), ()) = tokio::join!(server, draining, looking);
    served.context("serve webhooks")
}

/// With either the broker or the spool the role does its job; with one of them
/// it is degraded, and says which.
fn report_health(health: &Health, state: &Arc<State>) {
    let word = |works: bool| if works { "ok" } else { "away" }.to_owned();
    let of = state.clone();
    health.probe("ingester_broker", Weight::Degrading, move || {
        let detail = if of.bus.is_blocked() {
            "blocked by an alarm".to_owned()
        } else {
            word(of.bus.is_up())
        };
        (of.bus.is_up(), detail)
    });
    let of = state.clone();
    health.probe("ingester_spool", Weight::Degrading, move || {
        (of.spool_works(), word(of.spool_works()))
    });
    let of = state.clone();
    health.probe("ingester", Weight::Required, move || {
        let works = of.bus.is_up() || of.spool_works();
        (works, word(works))
    });
}
