//! `roost-simulator`: serves the stand-in, or plays a script of many customers against one.

use clap::{Parser, Subcommand};
use roost_simulator::{Play, SimConfig};
use tracing_subscriber::EnvFilter;

/// A stand-in for X (Twitter) Direct Messages.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: SimConfig,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plays many customers against a running simulator.
    Play(Play),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(
            EnvFilter::try_from_env("ROOST_SIMULATOR_LOG")
                .unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn,actix_http=off")),
        )
        .init();
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Play(script)) => roost_simulator::play(script).await,
        None => serve(cli.serve).await,
    }
}

async fn serve(config: SimConfig) -> anyhow::Result<()> {
    let simulator = roost_simulator::start(config).await?;
    announce(simulator.url());
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        result = tokio::signal::ctrl_c() => result?,
    }
    simulator.stop().await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the line that a starter waits for")]
fn announce(url: &str) {
    println!("ready {url}");
}
