//! The process's HTTP server and what runs beside it.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::ResourceDef;
use actix_web::middleware::from_fn;
use actix_web::{App as Web, HttpRequest, HttpServer, web};
use anyhow::Context as _;
use roost_service::{Shutdown, ops};
use tokio::task::JoinSet;

use crate::app::{App, Deps};
use crate::problem::{Code, Problem};
use crate::routes::Route;
use crate::{edge, mail, routes, stream, upkeep};

/// Serves the API on the configured address until shutdown.
///
/// # Errors
/// When the address can't be bound, or the server fails.
pub async fn run(deps: Deps, shutdown: Shutdown) -> anyhow::Result<()> {
    let address = deps.config.listen.gateway;
    let listener = TcpListener::bind(address).with_context(|| format!("bind {address}"))?;
    serve(deps, listener, shutdown).await
}

/// As [`run`], on a listener that is bound already.
///
/// # Errors
/// When the server fails.
pub async fn serve(deps: Deps, listener: TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
    let app = Arc::new(App::new(&deps));
    let mut beside = JoinSet::new();
    beside.spawn(stream::pump_events(app.clone(), shutdown.clone()));
    beside.spawn(stream::pump_ephemeral(app.clone(), shutdown.clone()));
    beside.spawn(stream::keep_beating(app.clone(), shutdown.clone()));
    beside.spawn(upkeep::keep_order(app.clone(), shutdown.clone()));
    beside.spawn(mail::send_queued(app.clone(), shutdown.clone()));
    let (health, metrics) = (deps.health.clone(), deps.metrics.clone());
    let data = web::Data::from(app);
    let server = HttpServer::new(move || {
        Web::new()
            .app_data(data.clone())
            .wrap(from_fn(roost_service::http::limit_head))
            .wrap(from_fn(edge::guard))
            .configure(ops::routes(&health, &metrics))
            .configure(routes::configure)
            .default_service(web::to(nowhere))
    });
    let server = roost_service::hardened!(server, shutdown.clone(), deps.config.shutdown_grace);
    let server = server.listen(listener).context("listen for the api")?.run();
    let handle = server.handle();
    let served = tokio::select! {
        served = server => served.context("serve the api"),
        // None of them ends before shutdown but by a fault, which the supervisor then counts.
        Some(ended) = beside.join_next(), if !shutdown.is_triggered() => {
            handle.stop(true).await;
            ended.context("a task of the gateway panicked")?
        }
    };
    beside.shutdown().await;
    served
}

/// Where no route leads: 405 where only the method is wrong.
async fn nowhere(request: HttpRequest) -> Result<(), Problem> {
    // An address of its own is no id of a thing beside it.
    let is_own = |route: &&Route| route.path == request.path();
    let is_match = |route: &&Route| ResourceDef::new(route.path).is_match(request.path());
    let mut here: Vec<&Route> = routes::ROUTES.iter().filter(is_own).collect();
    if here.is_empty() {
        here = routes::ROUTES.iter().filter(is_match).collect();
    }
    let methods: Vec<String> = here.iter().map(|route| route.verb.to_uppercase()).collect();
    Err(if methods.is_empty() {
        Problem::not_found()
    } else {
        Problem::new(Code::MethodNotAllowed).allow(methods.join(", "))
    })
}
