//! `cargo xtask bench NAME`: measures on the machine at hand, as ratios to raw ceilings of the same run.
//!
//! Figures of one machine and day say little; a ratio formed in one run says what our own code costs.
//! Everything runs on loopback against services of its own, is bounded, and ends by itself. Start
//! reading at [`ingest`].

#![expect(
    clippy::print_stdout,
    reason = "a bench tells its user what it measured"
)]

mod acks;
mod bare;
mod bodies;
mod broker;
mod ceiling;
mod clocks;
mod cpu;
mod fairness;
mod flow;
mod growth;
mod house;
mod ingest;
mod latency;
mod load;
mod machine;
mod report;

use clap::{Parser, Subcommand};

/// Benches of Roost.
#[derive(Debug, Parser)]
#[command(name = "roost-bench")]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Acknowledged webhooks, and webhooks through to stored, assigned and relayed, as ratios to
    /// raw ceilings.
    Ingest(ingest::Ingest),
    /// Webhook POST to frame on a stream, on an idle system.
    Latency(latency::Latency),
    /// Lists, filters and searches of a large brand, as ratios to those of a small one.
    Growth(growth::Growth),
    /// A quiet brand's latency beside another's flood, as a ratio to the same without it.
    Fairness(fairness::Fairness),
    /// What SLA clocks cost, and how soon they tell.
    Clocks(clocks::Clocks),
    /// The first ceiling's server, in a process of its own like the ingester.
    #[command(hide = true)]
    BareHandler(bare::BareHandler),
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match cli.bench {
            Bench::Ingest(bench) => Box::pin(ingest::run(&bench)).await,
            Bench::Latency(bench) => Box::pin(latency::run(&bench)).await,
            Bench::Growth(bench) => Box::pin(growth::run(&bench)).await,
            Bench::Clocks(bench) => Box::pin(clocks::run(&bench)).await,
            Bench::Fairness(bench) => Box::pin(fairness::run(&bench)).await,
            Bench::BareHandler(handler) => bare::serve(&handler).await,
        }
    })
}
