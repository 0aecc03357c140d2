//! `roost bootstrap`, `drop-database` and `migrate`.

use anyhow::Context as _;
use clap::Args;
use roost_store::bootstrap as store;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::{configure, print};

/// Arguments of `roost bootstrap`.
#[derive(Debug, Args)]
pub(crate) struct Bootstrap {
    /// A URL whose user may create roles and databases.
    #[arg(long, env = "ROOST_BOOTSTRAP_URL", hide_env_values = true)]
    admin_url: SecretString,
    /// The database to make; lower-case letters, digits and underscores.
    #[arg(long)]
    database: String,
    /// The password that the roles get.
    #[arg(long, env = "ROOST_BOOTSTRAP_PASSWORD", hide_env_values = true)]
    role_password: SecretString,
    /// Give this password to roles that are there already; other installs on the server lose theirs.
    #[arg(long)]
    reset_passwords: bool,
}

/// Arguments of `roost drop-database`.
#[derive(Debug, Args)]
pub(crate) struct DropDatabase {
    /// A URL whose user may drop the database.
    #[arg(long, env = "ROOST_BOOTSTRAP_URL", hide_env_values = true)]
    admin_url: SecretString,
    /// The database to remove, with everything in it.
    #[arg(long)]
    database: String,
}

pub(crate) async fn bootstrap(args: Bootstrap) -> anyhow::Result<()> {
    let passwords = if args.reset_passwords {
        store::Passwords::Reset
    } else {
        store::Passwords::Keep
    };
    let urls = store::bootstrap(
        &args.admin_url,
        &args.database,
        &args.role_password,
        passwords,
    )
    .await?;
    let answer = json!({
        "owner_url": urls.owner.expose_secret(),
        "app_url": urls.app.expose_secret(),
        "ingest_url": urls.ingest.expose_secret(),
    });
    print(&answer.to_string())
}

pub(crate) async fn drop(args: DropDatabase) -> anyhow::Result<()> {
    Ok(store::drop_database(&args.admin_url, &args.database).await?)
}

pub(crate) async fn migrate() -> anyhow::Result<()> {
    let config = configure(&["database_url"])?;
    roost_store::migrate::migrate(&config.database.url)
        .await
        .context("cannot migrate the database")
}
