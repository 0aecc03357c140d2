//! Settings of the server, from the command line or from a test.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::accounts::AccountSpec;
use crate::limits::LimitMode;

/// How the bodies of Account Activity events are escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Escape {
    /// As captured from the platform: `\/` and `\uXXXX` for all that isn't ASCII.
    #[default]
    Full,
    /// Only `\/`.
    Slashes,
    /// As `serde_json` writes.
    None,
}

/// Everything that can be set. The defaults suit a test: a free port, limits of `dev`.
#[derive(Debug, Clone, clap::Args)]
pub struct SimConfig {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, env = "ROOST_SIMULATOR_LISTEN", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Address to take mail on by SMTP, for `/mailbox`; none without it.
    #[arg(long)]
    pub smtp_listen: Option<SocketAddr>,
    /// Address that others reach it by, when it isn't the one it listens on.
    #[arg(long, env = "ROOST_SIMULATOR_PUBLIC_URL")]
    pub public_url: Option<String>,
    /// The app's consumer (API) key.
    #[arg(
        long = "app-consumer-key",
        env = "ROOST_SIMULATOR_CONSUMER_KEY",
        default_value = "sim-consumer-key"
    )]
    pub consumer_key: String,
    /// The app's consumer (API) secret: signs requests, CRC answers and deliveries.
    #[arg(
        long = "app-consumer-secret",
        env = "ROOST_SIMULATOR_CONSUMER_SECRET",
        default_value = "sim-consumer-secret",
        hide_env_values = true
    )]
    pub consumer_secret: String,
    /// The app's numeric id, as echoes show it.
    #[arg(long, env = "ROOST_SIMULATOR_APP_ID", default_value = "29820954")]
    pub app_id: String,
    /// The app's name, as approval pages show it.
    #[arg(long, default_value = "Roost")]
    pub app_name: String,
    /// A brand's account as `id:handle:name`; may be repeated.
    #[arg(
        long = "account",
        env = "ROOST_SIMULATOR_ACCOUNTS",
        value_delimiter = ';'
    )]
    pub accounts: Vec<AccountSpec>,
    /// Which rate limits hold.
    #[arg(long, value_enum, default_value_t)]
    pub limits: LimitMode,
    /// File that keeps accounts, tokens, messages and webhooks over a restart.
    #[arg(long = "state")]
    pub state_file: Option<PathBuf>,
    /// Factor on the waits between tries of a delivery (4 s, 30 s, 266 s).
    #[arg(long, default_value_t = 1.0)]
    pub retry_scale: f64,
    /// Time-out of one delivery, in milliseconds.
    #[arg(long, default_value_t = 10_000)]
    pub delivery_timeout_ms: u64,
    /// Deliveries on their way at once.
    #[arg(long, default_value_t = 32)]
    pub delivery_concurrency: usize,
    /// Seconds between CRC challenges of each webhook.
    #[arg(long, default_value_t = 1_800)]
    pub crc_interval_seconds: u64,
    /// How bodies of Account Activity events are escaped.
    #[arg(long, value_enum, default_value_t)]
    pub escape: Escape,
    /// Webhooks that the app may have.
    #[arg(long, default_value_t = 5)]
    pub webhook_limit: usize,
    /// Takes replay windows that the platform would find too young or too long.
    #[arg(long)]
    pub lenient_replay: bool,
    /// Seed of the faults' randomness.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Deliveries that are remembered, for the overview and for replays.
    #[arg(long, default_value_t = 50_000)]
    pub keep_deliveries: usize,
    /// A few named customers write, and react to replies.
    #[arg(long)]
    pub demo: bool,
    /// Factor on the demo customers' pauses; below 1 they hurry.
    #[arg(long, default_value_t = 1.0)]
    pub demo_pace: f64,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            smtp_listen: None,
            public_url: None,
            consumer_key: "sim-consumer-key".to_owned(),
            consumer_secret: "sim-consumer-secret".to_owned(),
            app_id: "29820954".to_owned(),
            app_name: "Roost".to_owned(),
            accounts: Vec::new(),
            limits: LimitMode::default(),
            state_file: None,
            retry_scale: 1.0,
            delivery_timeout_ms: 10_000,
            delivery_concurrency: 32,
            crc_interval_seconds: 1_800,
            escape: Escape::default(),
            webhook_limit: 5,
            lenient_replay: false,
            seed: 1,
            keep_deliveries: 50_000,
            demo: false,
            demo_pace: 1.0,
        }
    }
}

impl SimConfig {
    /// The longest that a webhook may take to answer.
    pub(crate) fn delivery_timeout(&self) -> Duration {
        Duration::from_millis(self.delivery_timeout_ms)
    }

    /// The `apps` map that goes with `source_app_id`.
    pub(crate) fn apps_map(&self, ids: impl IntoIterator<Item = String>) -> Value {
        let apps = ids.into_iter().map(|id| {
            let name = if id == self.app_id {
                self.app_name.as_str()
            } else {
                "Another app"
            };
            let app = json!({ "id": id, "name": name, "url": "https://example.com/app" });
            (id, app)
        });
        Value::Object(apps.collect::<Map<_, _>>())
    }
}
