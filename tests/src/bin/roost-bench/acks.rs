//! Acknowledged webhooks: the bare handler and the real ingester, the same bodies and clients.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use roost_tests::db::setting;
use roost_tests::process::{Process, clean, free_ports};

use crate::bodies::requests;
use crate::broker::Broker;
use crate::cpu::{Parts, Spent};
use crate::house::{House, Roost, SECRET};
use crate::load::{self, Answers};

/// One measurement.
#[derive(Debug)]
pub(crate) struct Acks {
    /// Acknowledged a second.
    pub(crate) rate: f64,
    /// Half the answers came within this.
    pub(crate) median: Duration,
    /// 99 of 100 answers came within this.
    pub(crate) p99: Duration,
    /// Whose processor time it was.
    pub(crate) spent: Spent,
}

/// What both are measured with.
pub(crate) struct Bodies {
    /// Without their heads.
    pub(crate) bodies: Vec<Vec<u8>>,
    /// Open client connections.
    pub(crate) connections: usize,
}

/// The ceiling: the bare handler.
///
/// # Errors
/// When it doesn't start, or doesn't acknowledge everything.
pub(crate) async fn bare(bodies: &Bodies, broker: &Broker, folder: &Path) -> anyhow::Result<Acks> {
    broker.purge().await?;
    let [port] = free_ports();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let program = std::env::current_exe()?;
    let mut command = clean(
        program
            .to_str()
            .context("the bench's own path is no text")?,
    );
    command
        .args(["bare-handler", "--listen", &address.to_string()])
        .args([
            "--exchange",
            &format!("{}.ingress", broker.prefix),
            "--secret",
            SECRET,
        ])
        .env("ROOST_TEST_AMQP_URL", setting("ROOST_TEST_AMQP_URL"));
    let handler = Process::start("bare-handler", folder, &mut command);
    for _ in 0..500 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let acks = measure(bodies, address)
        .await
        .with_context(|| handler.tail())?;
    broker.purge().await?;
    Ok(acks)
}

/// The real ingester, without consumers.
///
/// # Errors
/// When it doesn't start, or doesn't acknowledge everything.
pub(crate) async fn real(
    bodies: &Bodies,
    house: &House,
    broker: &Broker,
    folder: &Path,
) -> anyhow::Result<Acks> {
    broker.purge().await?;
    let roost = Roost::start("ingester", house, &broker.prefix, folder).await?;
    let acks = measure(bodies, roost.ingester)
        .await
        .with_context(|| roost.tail())?;
    let spooled = roost.figure("roost_ingester_spooled_total").await?;
    anyhow::ensure!(
        spooled == 0.0,
        "{spooled} events went to the spool: not the way that is measured"
    );
    drop(roost);
    broker.purge().await?;
    Ok(acks)
}

async fn measure(bodies: &Bodies, to: SocketAddr) -> anyhow::Result<Acks> {
    let all = Arc::new(requests(&bodies.bodies, to, SECRET));
    // Connections, channels and caches come up before it counts.
    let warm_up = Arc::new(all[..all.len() / 20].to_vec());
    load::send(to, warm_up, bodies.connections).await?.rate()?;
    let mut ports = vec![("handler", to.port())];
    ports.extend(service_ports());
    let parts = Parts::new(&ports)?;
    let before = parts.read()?;
    let answers = load::send(to, all, bodies.connections).await?;
    let spent = parts.read()?.since(&before);
    Ok(Acks {
        rate: answers.rate()?,
        median: at(&answers, 0.5),
        p99: at(&answers, 0.99),
        spent,
    })
}

/// A quantile of the answers' times.
fn at(answers: &Answers, quantile: f64) -> Duration {
    crate::report::quantile(&answers.times, quantile)
}

/// Where the services listen.
pub(crate) fn service_ports() -> Vec<(&'static str, u16)> {
    [
        ("postgres", "ROOST_TEST_ADMIN_URL"),
        ("rabbitmq", "ROOST_TEST_AMQP_URL"),
        ("redis", "ROOST_TEST_REDIS_URL"),
    ]
    .into_iter()
    .filter_map(|(name, variable)| Some((name, port_of(&setting(variable))?)))
    .collect()
}

fn port_of(url: &str) -> Option<u16> {
    let host = url.split_once("://")?.1.rsplit_once('@')?.1;
    host.split('/').next()?.rsplit_once(':')?.1.parse().ok()
}
