//! Starting and stopping.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::config::SimConfig;
use crate::error::ApiError;
use crate::state::Sim;
use crate::{
    admin, delivery, demo, dms, mailbox, media, oauth, pages, reset, subscriptions, users, webhooks,
};

/// Largest body of a request, in bytes.
const BODY_LIMIT: usize = 32 * 1_024 * 1_024;
/// How often a changed state is saved.
const SAVE_EVERY: Duration = Duration::from_secs(2);

/// A running simulator. It ends with [`Simulator::stop`], or when it is dropped and its runtime
/// ends.
#[derive(Debug)]
pub struct Simulator {
    url: String,
    smtp: Option<SocketAddr>,
    sim: Arc<Sim>,
    server: ServerHandle,
    closing: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts a simulator on the current Tokio runtime; it listens when this returns.
///
/// # Errors
///
/// When the address can't be bound, or the state file can't be read.
pub async fn start(config: SimConfig) -> anyhow::Result<Simulator> {
    let (job_sender, jobs) = mpsc::unbounded_channel();
    let (closing, closing_watch) = watch::channel(false);
    let sim = Arc::new(Sim::new(config, job_sender, closing_watch)?);
    let data = web::Data::from(sim.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .app_data(web::PayloadConfig::new(BODY_LIMIT))
            .configure(routes)
            .default_service(web::to(|req: actix_web::HttpRequest| async move {
                ApiError::no_such_route().response(req.path())
            }))
    })
    .workers(2)
    .shutdown_timeout(1)
    .disable_signals()
    .on_connect(reset::remember_socket)
    .bind(sim.config.listen)
    .with_context(|| format!("cannot listen on {}", sim.config.listen))?;
    let address = server
        .addrs()
        .first()
        .copied()
        .context("no address was bound")?;
    let url = format!("http://{address}");
    sim.set_public_url(&url);
    let server = server.run();
    let handle = server.handle();

    let serving = tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "the server ended");
        }
    });
    let mut tasks = vec![
        serving,
        tokio::spawn(delivery::run(sim.clone(), jobs)),
        tokio::spawn(webhooks::challenge_periodically(sim.clone())),
    ];
    if let Some(file) = sim.config.state_file.clone() {
        tasks.push(tokio::spawn(save_periodically(sim.clone(), file)));
    }
    let mut smtp = None;
    if let Some(address) = sim.config.smtp_listen {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        smtp = Some(listener.local_addr()?);
        tasks.push(tokio::spawn(mailbox::run(sim.clone(), listener)));
    }
    if sim.config.demo {
        tasks.push(tokio::spawn(demo::run(sim.clone())));
    }
    Ok(Simulator {
        url,
        smtp,
        sim,
        server: handle,
        closing,
        tasks,
    })
}

fn routes(routes: &mut web::ServiceConfig) {
    pages::routes(routes);
    oauth::legs::routes(routes);
    users::routes(routes);
    webhooks::routes::routes(routes);
    subscriptions::routes(routes);
    dms::v2::routes(routes);
    dms::v1::routes(routes);
    dms::lookup::routes(routes);
    media::routes(routes);
    mailbox::routes(routes);
    admin::routes(routes);
}

/// Saves a changed state every so often; a state that takes long is saved less often.
async fn save_periodically(sim: Arc<Sim>, file: std::path::PathBuf) {
    let mut saved = 0;
    let mut took = Duration::ZERO;
    loop {
        tokio::time::sleep(SAVE_EVERY.max(20 * took)).await;
        let changes = sim.changes();
        if changes != saved {
            saved = changes;
            let clock = Instant::now();
            save(sim.clone(), file.clone()).await;
            took = clock.elapsed();
        }
    }
}

/// Serialising a long state takes a while: not on a worker of the runtime.
async fn save(sim: Arc<Sim>, file: std::path::PathBuf) {
    let saving = tokio::task::spawn_blocking(move || log_save(&sim, &file));
    if let Err(error) = saving.await {
        tracing::error!(%error, "saving the state broke off");
    }
}

fn log_save(sim: &Sim, file: &Path) {
    if let Err(error) = sim.save(file) {
        tracing::error!(error = format!("{error:#}"), "cannot save the state");
    }
}

impl Simulator {
    /// Where it listens, such as `http://127.0.0.1:40123`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it takes mail, if it does.
    pub fn smtp(&self) -> Option<SocketAddr> {
        self.smtp
    }

    /// Ends it: open streams end, deliveries on their way are cut, the state is saved.
    pub async fn stop(self) {
        self.closing.send_replace(true);
        self.server.stop(true).await;
        for task in self.tasks {
            task.abort();
        }
        if let Some(file) = &self.sim.config.state_file {
            save(self.sim.clone(), file.clone()).await;
        }
    }
}
