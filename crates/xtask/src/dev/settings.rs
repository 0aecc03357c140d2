//! Ports, keys and addresses of a demo, the same at each start.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::external;
use crate::backing::Backing;
use crate::build::Binaries;
use crate::http::Request;
use crate::services::Service;
use crate::{process, state};

/// The brand's account at the stand-in for X.
pub(super) const BRAND_ACCOUNT: &str = "1500000000000000001";
pub(super) const BRAND_HANDLE: &str = "harbor_help";
/// The name of the X app in webhook paths.
pub(super) const APP: &str = "main";
/// The id of the X app.
const APP_ID: &str = "27000001";

/// What `roost bootstrap` prints.
#[derive(Debug, Deserialize)]
struct Databases {
    owner_url: String,
    app_url: String,
    ingest_url: String,
}

/// Everything that the parts of a demo must agree on.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) gateway_url: String,
    pub(super) ingester_url: String,
    pub(super) ops_url: String,
    pub(super) simulator_url: String,
    pub(super) stream_url: String,
    pub(super) consumer_key: String,
    pub(super) consumer_secret: String,
    pub(super) database_url: String,
    pub(super) redis_url: String,
    pub(super) amqp_url: String,
    pub(super) has_simulator: bool,
    simulator_port: u16,
    smtp_port: u16,
    roost: Vec<(&'static str, String)>,
}

impl Settings {
    /// Makes database and roles, and chooses the rest.
    ///
    /// # Errors
    /// When the database can't be made or no port is free.
    pub(super) fn make(
        backing: &mut Backing,
        binaries: &Binaries,
        no_simulator: bool,
    ) -> Result<Self> {
        let name = external::name();
        let admin_url = backing.url(Service::Postgres)?;
        let redis_url = backing.url(Service::Redis)?;
        let amqp_url = external::broker_url(backing)?;
        let state = &mut backing.set.state;
        let role_password = state.password("database-roles")?;
        let databases = bootstrap(binaries, &admin_url, &name, &role_password)?;
        let gateway_port = state.port("gateway")?;
        let ingester_port = state.port("ingester")?;
        let ops_port = state.port("ops")?;
        let simulator_port = state.port("simulator")?;
        let smtp_port = state.port("smtp")?;
        let mut settings = Self {
            // `localhost`, since browsers give its pages secure cookies over plain HTTP.
            gateway_url: format!("http://localhost:{gateway_port}"),
            stream_url: format!("ws://localhost:{gateway_port}/v1/stream"),
            ingester_url: format!("http://127.0.0.1:{ingester_port}"),
            ops_url: format!("http://127.0.0.1:{ops_port}"),
            simulator_url: format!("http://127.0.0.1:{simulator_port}"),
            consumer_key: state.password("x-consumer-key")?,
            consumer_secret: state.password("x-consumer-secret")?,
            database_url: databases.owner_url,
            redis_url,
            amqp_url,
            has_simulator: !no_simulator,
            simulator_port,
            smtp_port,
            roost: Vec::new(),
        };
        let secrets_key = state.key("secrets-key")?;
        let jwt_secret = state.key("jwt-secret")?;
        let audit_key = state.key("audit-key")?;
        settings.roost = vec![
            ("ROOST_DATABASE_URL", settings.database_url.clone()),
            ("ROOST_DATABASE_APP_URL", databases.app_url),
            ("ROOST_DATABASE_INGEST_URL", databases.ingest_url),
            ("ROOST_REDIS_URL", settings.redis_url.clone()),
            ("ROOST_AMQP_URL", settings.amqp_url.clone()),
            ("ROOST_PREFIX", name),
            ("ROOST_GATEWAY_LISTEN", format!("127.0.0.1:{gateway_port}")),
            (
                "ROOST_INGESTER_LISTEN",
                format!("127.0.0.1:{ingester_port}"),
            ),
            ("ROOST_OPS_LISTEN", format!("127.0.0.1:{ops_port}")),
            ("ROOST_PUBLIC_URL", settings.gateway_url.clone()),
            ("ROOST_WEBHOOK_URL", settings.ingester_url.clone()),
            ("ROOST_X_API_URL", settings.simulator_url.clone()),
            (
                "ROOST_X_AUTHORIZE_URL",
                format!("{}/oauth/authorize", settings.simulator_url),
            ),
            ("ROOST_X_CONSUMER_KEY", settings.consumer_key.clone()),
            ("ROOST_X_CONSUMER_SECRET", settings.consumer_secret.clone()),
            ("ROOST_X_APP_ID", APP_ID.to_owned()),
            ("ROOST_SECRETS_KEYS", format!("dev:{secrets_key}")),
            ("ROOST_EGRESS_ALLOW", "127.0.0.0/8,::1/128".to_owned()),
            ("ROOST_JWT_SECRET", jwt_secret),
            ("ROOST_AUDIT_KEY", audit_key),
            ("ROOST_LOG_FORMAT", "json".to_owned()),
        ];
        if settings.has_simulator {
            let smtp_url = format!("smtp://127.0.0.1:{smtp_port}");
            settings.roost.push(("ROOST_SMTP_URL", smtp_url));
        }
        Ok(settings)
    }

    /// A `roost` command with these settings and no other: the shell's are for the services.
    pub(super) fn roost(&self, binaries: &Binaries) -> Command {
        let mut command = clean(&binaries.roost);
        command.envs(self.roost.iter().map(|(name, value)| (name, value)));
        if let Some(level) = std::env::var_os("ROOST_LOG_LEVEL") {
            command.env("ROOST_LOG_LEVEL", level);
        }
        command
    }

    /// The command that runs the simulator.
    pub(super) fn simulator(&self, binaries: &Binaries, state: &Path) -> Command {
        let mut command = clean(&binaries.simulator);
        command
            .env("ROOST_SIMULATOR_CONSUMER_KEY", &self.consumer_key)
            .env("ROOST_SIMULATOR_CONSUMER_SECRET", &self.consumer_secret)
            .args(["--listen", &format!("127.0.0.1:{}", self.simulator_port)])
            .args(["--smtp-listen", &format!("127.0.0.1:{}", self.smtp_port)])
            .args(["--app-id", APP_ID, "--limits", "dev", "--demo"])
            .args([
                "--account",
                &format!("{BRAND_ACCOUNT}:{BRAND_HANDLE}:Harbor Help"),
            ])
            .arg("--state")
            .arg(state.join("state.json"));
        command
    }

    /// Takes over the app's bearer token, which the simulator makes.
    ///
    /// # Errors
    /// When it tells none.
    pub(super) fn learn_bearer_token(&mut self) -> Result<()> {
        let app = Request::new("GET", format!("{}/sim/app", self.simulator_url)).send_ok()?;
        let token = app.get("bearer_token").and_then(|token| token.as_str());
        let token = token.context("the simulator told no bearer token")?;
        self.roost.push(("ROOST_X_BEARER_TOKEN", token.to_owned()));
        Ok(())
    }
}

/// A command without the shell's `ROOST_…` variables.
fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ROOST_") {
            command.env_remove(name);
        }
    }
    command.current_dir(state::checkout());
    command
}

fn bootstrap(
    binaries: &Binaries,
    admin_url: &str,
    database: &str,
    role_password: &str,
) -> Result<Databases> {
    let mut command = clean(&binaries.roost);
    // Secrets go by variables: anyone can list a process's arguments.
    command
        .args(["bootstrap", "--database", database])
        .env("ROOST_BOOTSTRAP_URL", admin_url)
        .env("ROOST_BOOTSTRAP_PASSWORD", role_password);
    let text = process::output(&mut command).context("cannot make the database and its roles")?;
    serde_json::from_str(&text).context("cannot read what `roost bootstrap` printed")
}
