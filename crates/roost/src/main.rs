//! The one binary: parse the configuration, pick roles, wire them, wait.
//!
//! Start reading at [`roles`]; operator commands are under [`commands`].

mod commands;
mod roles;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The support backend for direct messages.
#[derive(Debug, Parser)]
#[command(name = "roost", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the database and its roles; print their URLs as JSON.
    Bootstrap(commands::database::Bootstrap),
    /// Remove a database that bootstrap made.
    DropDatabase(commands::database::DropDatabase),
    /// Bring the schema up to date.
    Migrate,
    /// Fill in a demo brand; print its members as JSON.
    Seed,
    /// Look at and deal with messages that no worker could handle.
    #[command(subcommand)]
    Dead(commands::dead::Dead),
    /// Check that nobody has tampered with the audit log.
    #[command(subcommand)]
    Audit(commands::audit::Audit),
    /// Check that the clocks are what the log gives; without a command, run the role of that name.
    Sla(commands::sla::Sla),
    /// Set what one brand may have.
    #[command(subcommand)]
    Brand(commands::brand::Brand),
    /// Look at the keys that seal secrets, and move to another.
    #[command(subcommand)]
    Keys(commands::keys::Keys),
    /// Print the API's description, or write the pages that are made from it.
    Openapi {
        /// The folder of the pages, `docs/api`
        #[arg(long)]
        write: Option<std::path::PathBuf>,
    },
    /// Run roles: `all`, or any of ingester, inbox, relay, router, sla, sender, gateway.
    #[command(external_subcommand)]
    Roles(Vec<String>),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error.into()),
    };
    match runtime.block_on(Box::pin(run(cli.command))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error),
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Bootstrap(args) => commands::database::bootstrap(args).await,
        Command::DropDatabase(args) => commands::database::drop(args).await,
        Command::Migrate => commands::database::migrate().await,
        Command::Seed => commands::seed::seed().await,
        Command::Dead(args) => commands::dead::run(args).await,
        Command::Audit(args) => commands::audit::run(args).await,
        Command::Sla(args) => match args.command {
            Some(commands::sla::Act::Verify { brand }) => commands::sla::verify_all(brand).await,
            Some(commands::sla::Act::Roles(others)) => {
                let roles = std::iter::once("sla".to_owned()).chain(others);
                roles::run(&roles.collect::<Vec<_>>()).await
            }
            None => roles::run(&["sla".to_owned()]).await,
        },
        Command::Brand(args) => commands::brand::run(args).await,
        Command::Keys(args) => commands::keys::run(args).await,
        Command::Openapi { write: None } => commands::print(&roost_gateway::openapi_json()),
        Command::Openapi {
            write: Some(folder),
        } => {
            for (name, page) in roost_gateway::reference() {
                std::fs::write(folder.join(name), page)?;
            }
            Ok(())
        }
        Command::Roles(names) => roles::run(&names).await,
    }
}

#[expect(
    clippy::print_stderr,
    reason = "a command's last word goes to its user"
)]
fn complain(error: &anyhow::Error) -> ExitCode {
    eprintln!("roost: {error:#}");
    ExitCode::FAILURE
}
