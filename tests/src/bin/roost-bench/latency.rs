//! `latency`: how long until a customer's message stands on an agent's screen, on an idle system.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use futures_util::{SinkExt as _, StreamExt as _};
use jiff::Timestamp;
use roost_tests::db::snowflake;
use roost_tests::system::{Options, System};
use roost_tests::webhook::Dm;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::bodies::customer;
use crate::report::{ms, quantile, verdict};
use crate::{house, machine};

const TARGET: Duration = Duration::from_millis(100);
const FRAME_LIMIT: Duration = Duration::from_secs(10);
/// So that each message finds the system idle.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections, plans and caches come up with the first ones.
const WARM_UP: usize = 20;
/// Customers who take turns; the first message of each begins a conversation.
const CUSTOMERS: usize = 40;

/// An open stream.
pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Arguments of the bench.
#[derive(Debug, Args)]
pub(crate) struct Latency {
    /// Measure although other work keeps the machine busy
    #[arg(long)]
    anyway: bool,
    /// Messages that are measured
    #[arg(long, default_value_t = 200)]
    samples: usize,
}

/// Runs the bench.
///
/// # Errors
/// When the machine is busy, or a frame doesn't come.
pub(crate) async fn run(bench: &Latency) -> anyhow::Result<()> {
    machine::must_be_idle(bench.anyway).await?;
    machine::describe(&house::folder())?;
    let options = Options {
        partitions: 16,
        settings: vec![("ROOST_LOG_LEVEL", "warn".to_owned())],
        ..Options::default()
    };
    let system = System::start(options).await;
    let brand = system.brand("Bench", "bench").await;
    let mut socket = open_stream(&system.gateway, &brand.owner.token()).await?;
    let (mut acknowledged, mut shown) = (Vec::new(), Vec::new());
    for sample in 0..WARM_UP + bench.samples {
        let now = Timestamp::now();
        let number = i64::try_from(sample).unwrap_or(0);
        let dm = Dm {
            id: snowflake(now, number),
            at_ms: now.as_millisecond(),
            from: customer(sample % CUSTOMERS),
            to: brand.account_id.clone(),
            text: format!("Where is my parcel no. {sample}?"),
        };
        let body = dm.body();
        let started = Instant::now();
        let post = async { (system.webhook.post(&body).await, started.elapsed()) };
        let ((status, answered), frame) = tokio::join!(post, next_message(&mut socket));
        let came = frame?.duration_since(started);
        if status != 200 {
            bail!("the webhook was answered {status}");
        }
        if sample >= WARM_UP {
            acknowledged.push(answered);
            shown.push(came);
        }
        tokio::time::sleep(PAUSE).await;
    }
    println!(
        "\nwebhook POST to message.received on a stream, {} samples",
        shown.len()
    );
    for (name, times) in [
        ("answer to the webhook", &mut acknowledged),
        ("frame on the stream", &mut shown),
    ] {
        times.sort_unstable();
        let [median, p95, p99] = [0.5, 0.95, 0.99].map(|share| ms(quantile(times, share)));
        println!("{name:<24} median {median}, p95 {p95}, p99 {p99}");
    }
    let median = quantile(&shown, 0.5);
    println!(
        "target: median below {}: {}",
        ms(TARGET),
        verdict(TARGET.as_secs_f64(), median.as_secs_f64())
    );
    println!("pressure     {}", machine::pressure());
    Ok(())
}

/// A stream of everything that the member sees.
///
/// # Errors
/// When it can't be opened.
pub(crate) async fn open_stream(gateway: &str, token: &str) -> anyhow::Result<Socket> {
    let url = format!("{}/v1/stream", gateway.replacen("http", "ws", 1));
    let (mut socket, _) = tokio_tungstenite::connect_async(url)
        .await
        .context("open a stream")?;
    let auth = json!({ "type": "auth", "token": token, "after": null, "topics": ["all"] });
    socket.send(Message::text(auth.to_string())).await?;
    Ok(socket)
}

/// When the next `message.received` came.
async fn next_message(socket: &mut Socket) -> anyhow::Result<Instant> {
    let waiting = async {
        while let Some(frame) = socket.next().await {
            let came = Instant::now();
            if let Message::Text(text) = frame?
                && let Ok(frame) = serde_json::from_str::<Value>(&text)
                && frame["type"] == "message.received"
            {
                return Ok(came);
            }
        }
        bail!("the stream was closed")
    };
    tokio::time::timeout(FRAME_LIMIT, waiting)
        .await
        .context("no frame in 10 s")?
}
