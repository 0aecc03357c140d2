//! `ingest`: what a webhook costs, and what a message costs, beside the least that they could.

use std::path::Path;
use std::time::Duration;

use clap::Args;

use crate::acks::{self, Acks, Bodies};
use crate::bodies::MESSAGES;
use crate::broker::Broker;
use crate::cpu::Spent;
use crate::flow::{Flow, Roles, Way};
use crate::house::{self, House};
use crate::report::{median, ms, verdict};
use crate::{ceiling, machine};

/// Targets of the ratios, and where the second should get to.
const ACKS_TARGET: f64 = 0.6;
const FLOW_TARGET: f64 = 0.10;
const FLOW_GOAL: f64 = 0.25;
/// More than this share of the machine taken by others during a measurement makes it worthless.
const OUTSIDE: f64 = 0.10;

/// Arguments of the bench.
#[derive(Debug, Args)]
pub(crate) struct Ingest {
    /// Measure although other work keeps the machine busy
    #[arg(long)]
    anyway: bool,
    /// Which half: `acks`, `flow` or both
    #[arg(long, default_value = "both", value_parser = ["both", "acks", "flow"])]
    part: String,
    /// How often each figure is taken; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Webhooks of one measurement of acknowledgements
    #[arg(long, default_value_t = 40_000)]
    acks: usize,
    /// Open connections of the client
    #[arg(long, default_value_t = 256)]
    connections: usize,
    /// Brands
    #[arg(long, default_value_t = 20)]
    brands: usize,
    /// Conversations of each brand, of ten messages each
    #[arg(long, default_value_t = 150)]
    conversations: usize,
    /// Agents of each brand, all online
    #[arg(long, default_value_t = 5)]
    agents: usize,
    /// Roles that take part in the whole way
    #[arg(long, default_value = "all")]
    roles: String,
    /// Leave out the drain of a full queue
    #[arg(long)]
    no_drain: bool,
}

/// Runs the bench.
///
/// # Errors
/// When the machine is busy, or something under test fails.
pub(crate) async fn run(bench: &Ingest) -> anyhow::Result<()> {
    machine::must_be_idle(bench.anyway).await?;
    let folder = house::folder();
    machine::describe(&folder)?;
    println!("logs         {}", folder.display());
    let broker = Broker::declare(format!("bench{}", std::process::id())).await?;
    let outcome = measure(bench, &broker, &folder).await;
    broker.remove().await;
    println!("pressure     {}", machine::pressure());
    outcome
}

async fn measure(bench: &Ingest, broker: &Broker, folder: &Path) -> anyhow::Result<()> {
    let mut noise: f64 = 0.0;
    if bench.part != "flow" {
        noise = noise.max(acknowledgements(bench, broker, folder).await?);
    }
    if bench.part != "acks" {
        noise = noise.max(whole_way(bench, broker, folder).await?);
    }
    if noise > OUTSIDE {
        println!(
            "WARNING: other work took up to {:.0} % of all processors: take these figures again",
            noise * 100.0
        );
    }
    Ok(())
}

/// Answers the largest share that other work took.
async fn acknowledgements(bench: &Ingest, broker: &Broker, folder: &Path) -> anyhow::Result<f64> {
    let house = House::build(bench.brands, 1).await?;
    let customers = bench.acks.div_ceil(bench.brands * MESSAGES);
    let bodies = Bodies {
        bodies: house.workload(customers).bodies(),
        connections: bench.connections,
    };
    println!(
        "\nacknowledged webhooks: {} bodies, {} connections",
        bodies.bodies.len(),
        bodies.connections
    );
    let (mut ceilings, mut rates, mut noise) = (Vec::new(), Vec::new(), 0.0_f64);
    for _ in 0..bench.rounds {
        let bare = acks::bare(&bodies, broker, folder).await?;
        let real = acks::real(&bodies, &house, broker, folder).await?;
        for (name, acks) in [("A  bare handler", &bare), ("b  roost ingester", &real)] {
            tell_acks(name, acks, bodies.bodies.len());
            noise = noise.max(acks.spent.outside());
        }
        ceilings.push(bare.rate);
        rates.push(real.rate);
    }
    let (ceiling, rate) = (median(ceilings), median(rates));
    let ratio = rate / ceiling;
    println!(
        "b / A = {rate:.0} / {ceiling:.0} = {ratio:.2}   target {ACKS_TARGET:.2}: {}",
        verdict(ratio, ACKS_TARGET)
    );
    house.leave();
    Ok(noise)
}

fn tell_acks(name: &str, acks: &Acks, count: usize) {
    let (median, p99) = (ms(acks.median), ms(acks.p99));
    println!(
        "{name:<28} {:>8.0}/s   median {median}, p99 {p99}",
        acks.rate
    );
    tell_spent(&acks.spent, count);
}

fn tell_spent(spent: &Spent, count: usize) {
    println!("    {spent}");
    println!("    {}", spent.each(count));
}

/// Answers the largest share that other work took.
async fn whole_way(bench: &Ingest, broker: &Broker, folder: &Path) -> anyhow::Result<f64> {
    let roles = Roles::new(&bench.roles);
    let conversations = bench.brands * bench.conversations;
    let count = conversations * MESSAGES;
    println!(
        "\nwebhook to stored, assigned and relayed: {} brands, {conversations} conversations of {MESSAGES} messages, {} \
         connections",
        bench.brands, bench.connections
    );
    let (mut ceilings, mut rates, mut noise) = (Vec::new(), Vec::new(), 0.0_f64);
    for _ in 0..bench.rounds {
        let house = House::build(bench.brands, bench.agents).await?;
        let ceiling = ceiling::measure(&house, &house.workload(bench.conversations)).await?;
        house.leave();
        println!(
            "{:<28} {:>8.0} messages/s",
            "C  bare group commits", ceiling.rate
        );
        tell_spent(&ceiling.spent, count);
        let flow = on_the_way(bench, broker, &roles, folder, async |way| {
            way.measure().await
        })
        .await?;
        tell_flow(&format!("d  roost {}", roles.names), &flow, count);
        noise = noise.max(ceiling.spent.outside()).max(flow.spent.outside());
        ceilings.push(ceiling.rate);
        rates.push(flow.rate);
    }
    let (ceiling, rate) = (median(ceilings), median(rates));
    let ratio = rate / ceiling;
    let (target, goal) = (verdict(ratio, FLOW_TARGET), verdict(ratio, FLOW_GOAL));
    println!(
        "d / C = {rate:.0} / {ceiling:.0} = {ratio:.3}   target {FLOW_TARGET:.2}: {target}   goal {FLOW_GOAL:.2}: {goal}"
    );
    if !bench.no_drain {
        let (rate, spent) =
            on_the_way(bench, broker, &roles, folder, async |way| way.drain().await).await?;
        println!(
            "{:<28} {rate:>8.0} messages/s   / C = {:.3}",
            "e  drain of full queues",
            rate / ceiling
        );
        tell_spent(&spent, count);
        noise = noise.max(spent.outside());
    }
    Ok(noise)
}

/// Measures in a house of its own.
async fn on_the_way<T>(
    bench: &Ingest,
    broker: &Broker,
    roles: &Roles,
    folder: &Path,
    measure: impl AsyncFnOnce(&Way<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let house = House::build(bench.brands, bench.agents).await?;
    let workload = house.workload(bench.conversations);
    let way = Way {
        house: &house,
        workload: &workload,
        connections: bench.connections,
        broker,
        roles,
        folder,
    };
    let measured = measure(&way).await;
    house.leave();
    measured
}

fn tell_flow(name: &str, flow: &Flow, count: usize) {
    let at = |mark: Option<Duration>| {
        mark.map_or("-".to_owned(), |at| format!("{:.1} s", at.as_secs_f64()))
    };
    let marks = flow.milestones;
    println!(
        "{name:<28} {:>8.0} messages/s   acknowledged {}, stored {}, assigned {}, relayed {}; {:.2} events a message",
        flow.rate,
        at(Some(marks.acknowledged)),
        at(marks.stored),
        at(marks.assigned),
        at(marks.relayed),
        flow.events,
    );
    tell_spent(&flow.spent, count);
    let timings: Vec<String> = flow
        .timings
        .iter()
        .map(|(name, value)| format!("{name} {value:.2}"))
        .collect();
    println!("    {}", timings.join(", "));
}
