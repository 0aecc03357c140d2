//! `fairness`: how much later a quiet brand's messages stand on its agents' screens while another brand
//! is flooded with fifty times its share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use futures_util::StreamExt as _;
use jiff::Timestamp;
use roost_tests::db::snowflake;
use roost_tests::system::{BrandAt, Options, System};
use roost_tests::webhook::Dm;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::bodies::customer;
use crate::latency::open_stream;
use crate::report::{ms, quantile};
use crate::{house, machine};

/// At most.
const TARGET: f64 = 2.0;
/// Customers of each brand who take turns.
const CUSTOMERS: usize = 40;
/// So long the last frames are waited for; what hasn't come by then counts as having taken as long.
const LAST_FRAMES: Duration = Duration::from_secs(30);

/// Arguments of the bench.
#[derive(Debug, Args)]
pub(crate) struct Fairness {
    /// Measure although other work keeps the machine busy
    #[arg(long)]
    anyway: bool,
    /// Quiet brands
    #[arg(long, default_value_t = 4)]
    brands: usize,
    /// Messages a second of each quiet brand: its share
    #[arg(long, default_value_t = 5)]
    rate: u32,
    /// How many times its share the flooded brand gets
    #[arg(long, default_value_t = 50)]
    times: u32,
    /// Seconds of each of the two measurements
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

/// Runs the bench.
///
/// # Errors
/// When the machine is busy, or something is refused.
pub(crate) async fn run(bench: &Fairness) -> anyhow::Result<()> {
    machine::must_be_idle(bench.anyway).await?;
    machine::describe(&house::folder())?;
    let options = Options {
        partitions: 16,
        settings: vec![("ROOST_LOG_LEVEL", "warn".to_owned())],
        ..Options::default()
    };
    let system = Arc::new(System::start(options).await);
    let mut quiet = Vec::new();
    for number in 0..bench.brands {
        let name = format!("quiet{number}");
        quiet.push(Arc::new(system.brand(&name, &name).await));
    }
    let flooded = Arc::new(system.brand("flooded", "flooded").await);
    // Connections, plans and caches come up with the first ones.
    measure(bench, &system, &quiet, None, Duration::from_secs(3)).await?;
    let time = Duration::from_secs(bench.seconds);
    let alone = measure(bench, &system, &quiet, None, time).await?;
    let beside = measure(bench, &system, &quiet, Some(&flooded), time).await?;
    println!(
        "\nwebhook POST to message.received on a stream: {} quiet brands, {} messages/s each, open loop, {} s",
        bench.brands, bench.rate, bench.seconds
    );
    for (name, times) in [("alone", &alone), ("beside the flood", &beside)] {
        let [median, p95, p99] = [0.5, 0.95, 0.99].map(|share| ms(quantile(times, share)));
        println!(
            "{name:<18} {} samples: median {median}, p95 {p95}, p99 {p99}",
            times.len()
        );
    }
    let p99 = |times: &[Duration]| quantile(times, 0.99).as_secs_f64();
    let ratio = p99(&beside) / p99(&alone).max(f64::MIN_POSITIVE);
    let word = if ratio <= TARGET { "met" } else { "MISSED" };
    println!("B13 ratio of p99   {ratio:.2} (target at most {TARGET}): {word}");
    println!("pressure           {}", machine::pressure());
    Ok(())
}

/// When each message was due, by its id.
type Due = Arc<Mutex<HashMap<String, Instant>>>;

/// Times of the quiet brands' messages, sorted.
async fn measure(
    bench: &Fairness,
    system: &Arc<System>,
    quiet: &[Arc<BrandAt>],
    flooded: Option<&Arc<BrandAt>>,
    time: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let mut flood = JoinSet::new();
    if let Some(brand) = flooded {
        let rate = bench.rate * bench.times;
        flood.spawn(write(
            system.clone(),
            brand.clone(),
            rate,
            time,
            Due::default(),
        ));
    }
    let mut readers = JoinSet::new();
    let mut writers = JoinSet::new();
    for brand in quiet {
        let due = Due::default();
        let count = u64::from(bench.rate) * time.as_secs();
        let socket = open_stream(&system.gateway, &brand.owner.token()).await?;
        readers.spawn(read(
            socket,
            due.clone(),
            usize::try_from(count)?,
            time + LAST_FRAMES,
        ));
        writers.spawn(write(system.clone(), brand.clone(), bench.rate, time, due));
    }
    let wanted = bench.rate * u32::try_from(time.as_secs())?;
    while let Some(written) = writers.join_next().await {
        let taken = written??;
        if taken < wanted {
            bail!("only {taken} of {wanted} messages of a quiet brand were taken");
        }
    }
    let mut times = Vec::new();
    while let Some(came) = readers.join_next().await {
        times.extend(came??);
    }
    while let Some(written) = flood.join_next().await {
        let sent = written??;
        println!(
            "the flood: {sent} messages, {:.0}/s",
            f64::from(sent) / time.as_secs_f64()
        );
    }
    times.sort_unstable();
    Ok(times)
}

/// Posts at a steady rate, however long answers take; answers how many were taken.
async fn write(
    system: Arc<System>,
    brand: Arc<BrandAt>,
    rate: u32,
    time: Duration,
    due: Due,
) -> anyhow::Result<u32> {
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let count = rate * u32::try_from(time.as_secs())?;
    let mut posts = JoinSet::new();
    for number in 0..count {
        let at = ticks.tick().await;
        let now = Timestamp::now();
        let id = snowflake(now, i64::from(number));
        let dm = Dm {
            id,
            at_ms: now.as_millisecond(),
            from: customer(usize::try_from(number)? % CUSTOMERS),
            to: brand.account_id.clone(),
            text: format!("Where is my parcel no. {number}?"),
        };
        due.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.to_string(), at.into_std());
        let system = system.clone();
        posts.spawn(async move { system.webhook.post(&dm.body()).await });
    }
    let mut taken = 0;
    while let Some(status) = posts.join_next().await {
        taken += u32::from(status? == 200);
    }
    Ok(taken)
}

/// Times of so many messages, as their frames come.
async fn read(
    mut socket: crate::latency::Socket,
    due: Due,
    count: usize,
    limit: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(count);
    let reading = async {
        while times.len() < count {
            let frame = socket.next().await.context("the stream was closed")??;
            let came = Instant::now();
            let Message::Text(text) = frame else { continue };
            let frame: Value = serde_json::from_str(&text)?;
            if frame["type"] != "message.received" {
                continue;
            }
            let id = frame["data"]["platform_event_id"].as_str();
            let due = due.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = id.and_then(|id| due.get(id)) {
                times.push(came.saturating_duration_since(*at));
            }
        }
        Ok::<_, anyhow::Error>(())
    };
    match timeout(limit, reading).await {
        Ok(ended) => ended?,
        Err(_) => times.resize(count, limit),
    }
    Ok(times)
}
