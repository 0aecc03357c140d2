//! The player: many customers write to one brand of a running simulator.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::ids::now_ms;
use crate::random::Dice;

/// Requests under way at once.
const IN_FLIGHT: usize = 64;

/// Own words, so that texts differ and read like something.
const OPENINGS: [&str; 8] = [
    "Hello, I have a question about my order",
    "Hi there, my delivery has not arrived",
    "Good morning, the app logs me out all the time",
    "Hey, can I still change the address",
    "Hi, I think I was charged twice",
    "Hello, where do I find the invoice",
    "Hi! Is the blue one back in stock",
    "Good evening, the voucher does not work",
];
const FOLLOW_UPS: [&str; 8] = [
    "Any news?",
    "It is order number",
    "I tried that already, sadly",
    "Yes, that one",
    "Thanks, I will wait",
    "Could you look again, please",
    "Here is the page: https://example.com/orders/",
    "Great, that helped 🎉",
];

/// A script of many customers.
#[derive(Debug, Clone, Args)]
pub struct Play {
    /// Address of the simulator.
    #[arg(long)]
    pub url: String,
    /// Handle of the brand they write to.
    #[arg(long)]
    pub brand: String,
    /// How many customers.
    #[arg(long, default_value_t = 10)]
    pub customers: u32,
    /// How many messages each of them writes.
    #[arg(long, default_value_t = 10)]
    pub messages: u32,
    /// Messages a second, all together; 0 = as fast as it goes.
    #[arg(long, default_value_t = 5.0)]
    pub rate: f64,
    /// Seed of the texts and of who writes next.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Plays the script, waits until nothing is on its way any more, and prints one line of JSON:
/// messages, seconds, and deliveries by state.
///
/// # Errors
///
/// When the simulator can't be reached or refuses a message.
pub async fn play(script: Play) -> anyhow::Result<()> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .build()
        .context("build the HTTP client")?;
    let customers = create_customers(&http, &script).await?;
    let started = Instant::now();
    let sent = write_all(&http, &script, &customers).await?;
    let seconds = started.elapsed().as_secs_f64();
    let counts = settled(&http, &script.url).await?;
    print_line(&json!({ "messages": sent, "seconds": seconds, "deliveries": counts }));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the command's result")]
fn print_line(result: &Value) {
    println!("{result}");
}

async fn create_customers(http: &reqwest::Client, script: &Play) -> anyhow::Result<Vec<String>> {
    let mut handles = Vec::new();
    for number in 1..=script.customers {
        let handle = format!("play_{number:05}");
        let body = json!({ "handle": handle, "name": format!("Player {number}") });
        post(http, &script.url, "/sim/accounts", &body).await?;
        handles.push(handle);
    }
    Ok(handles)
}

/// Everybody's messages in a mixed order, at the rate.
async fn write_all(
    http: &reqwest::Client,
    script: &Play,
    customers: &[String],
) -> anyhow::Result<u64> {
    let mut dice = Dice::new(script.seed);
    let mut open: Vec<(&String, u32)> = customers.iter().map(|handle| (handle, 0)).collect();
    if script.messages == 0 {
        return Ok(0);
    }
    let mut under_way = JoinSet::new();
    let started = Instant::now();
    let mut sent = 0_u64;
    while let Some(last) = open.len().checked_sub(1) {
        let index = usize::try_from(dice.up_to(u64::try_from(last)?))?;
        let (handle, done) = &mut open[index];
        let text = line(&mut dice, *done);
        let body = json!({ "from": handle, "to": script.brand, "text": text });
        *done += 1;
        if *done >= script.messages {
            open.swap_remove(index);
        }
        if script.rate > 0.0 {
            let due = Duration::from_secs_f64(f64::from(u32::try_from(sent)?) / script.rate);
            tokio::time::sleep(due.saturating_sub(started.elapsed())).await;
        }
        if under_way.len() >= IN_FLIGHT {
            take_result(under_way.join_next().await)?;
        }
        let (http, url) = (http.clone(), script.url.clone());
        under_way.spawn(async move { post(&http, &url, "/sim/dms", &body).await });
        sent += 1;
    }
    while let Some(result) = under_way.join_next().await {
        take_result(Some(result))?;
    }
    Ok(sent)
}

fn take_result(
    joined: Option<Result<anyhow::Result<Value>, tokio::task::JoinError>>,
) -> anyhow::Result<()> {
    joined
        .context("nothing was under way")?
        .context("a message broke off")?
        .map(drop)
}

fn line(dice: &mut Dice, number: u32) -> String {
    let words = if number == 0 { &OPENINGS } else { &FOLLOW_UPS };
    let words = dice.pick(words).copied().unwrap_or("Hello");
    format!("{words} {}", 10_000 + dice.up_to(89_999))
}

/// Waits until no delivery is pending, up to a minute.
async fn settled(http: &reqwest::Client, url: &str) -> anyhow::Result<Value> {
    let deadline = now_ms() + 60_000;
    loop {
        let answer = http
            .get(format!("{url}/sim/deliveries?limit=0"))
            .send()
            .await;
        let answer: Value = answer.context("ask for the deliveries")?.json().await?;
        let counts = &answer["counts"];
        if counts["pending"].as_u64().unwrap_or(0) == 0 || now_ms() > deadline {
            return Ok(counts.clone());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn post(
    http: &reqwest::Client,
    url: &str,
    path: &str,
    body: &Value,
) -> anyhow::Result<Value> {
    let answer = http
        .post(format!("{}{path}", url.trim_end_matches('/')))
        .json(body)
        .send()
        .await;
    let answer = answer.with_context(|| format!("cannot reach the simulator at {url}"))?;
    let status = answer.status();
    let body: Value = answer.json().await.context("read the simulator's answer")?;
    if status.is_success() {
        Ok(body)
    } else {
        bail!(
            "{path}: {status}: {}",
            body["error"].as_str().unwrap_or_default()
        )
    }
}
