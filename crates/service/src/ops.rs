//! `/healthz`, `/readyz` and `/metrics`.

use crate::{Health, Metrics, Shutdown};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, HttpResponse, HttpServer};
use anyhow::Context as _;
use std::net::SocketAddr;
use std::time::Duration;

/// Adds the three routes to any actix app:
/// `App::new().configure(ops::routes(&health, &metrics))`.
pub fn routes(health: &Health, metrics: &Metrics) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let health = Data::new(health.clone());
    let metrics = Data::new(metrics.clone());
    move |config: &mut ServiceConfig| {
        config
            .app_data(health)
            .app_data(metrics)
            .route("/healthz", web::get().to(healthz))
            .route("/readyz", web::get().to(readyz))
            .route("/metrics", web::get().to(scrape));
    }
}

/// Serves the three routes on `address` until shutdown. `/readyz` answers for
/// as long as the process drains.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(
    address: SocketAddr,
    health: Health,
    metrics: Metrics,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let server =
        HttpServer::new(move || App::new().configure(routes(&health, &metrics))).workers(1);
    // Bound in a statement of its own: the builder isn't `Send`, the running
    // server is.
    let running = crate::hardened!(server, shutdown, Duration::from_secs(2))
        .bind(address)
        .with_context(|| format!("bind ops address {address}"))?
        .run();
    running.await.context("serve ops routes")
}

/// The process runs. Says nothing about what it depends on.
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok")
}

async fn readyz(health: Data<Health>) -> HttpResponse {
    let report = health.report();
    if report.ready {
        HttpResponse::Ok().json(report)
    } else {
        HttpResponse::ServiceUnavailable().json(report)
    }
}

async fn scrape(metrics: Data<Metrics>) -> HttpResponse {
    match metrics.render() {
        Ok(text) => HttpResponse::Ok()
            .content_type("text/plain; version=0.0.4")
            .body(text),
        Err(error) => {
            tracing::error!(%error, "cannot render metrics");
            HttpResponse::InternalServerError().finish()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Weight;
    use actix_web::test;

    #[tokio::test]
    async fn it_serves_on_a_runtime_of_many_threads_until_shutdown() {
        let shutdown = Shutdown::new();
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let serving = serve(address, Health::new(), Metrics::new(), shutdown.clone());
        let task = tokio::spawn(serving);
        shutdown.trigger();
        task.await.unwrap().unwrap();
    }

    #[actix_web::test]
    async fn the_three_routes_answer() {
        let health = Health::new();
        let metrics = Metrics::new();
        metrics.counter("roost_test_ops_total", "Test.").inc();
        let app = test::init_service(App::new().configure(routes(&health, &metrics))).await;
        let get = |path: &str| test::TestRequest::get().uri(path).to_request();

        assert!(
            test::call_service(&app, get("/healthz"))
                .await
                .status()
                .is_success()
        );
        assert!(
            test::call_service(&app, get("/readyz"))
                .await
                .status()
                .is_success()
        );
        health.probe("broker", Weight::Required, || (false, "down".to_owned()));
        assert_eq!(test::call_service(&app, get("/readyz")).await.status(), 503);
        let body = test::call_and_read_body(&app, get("/metrics")).await;
        assert!(String::from_utf8_lossy(&body).contains("roost_test_ops_total 1"));
    }
}
