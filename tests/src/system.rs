//! The whole house, running: the real binary, in one process or one for each role, against real
//! services and the simulator.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roost_bus::{Bus, BusConfig};
use roost_service::Metrics;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use uuid::Uuid;

use crate::api::Member;
use crate::db::{TestDb, setting};
use crate::platform::Platform;
use crate::process::{Process, clean, free_ports, log_folder};
use crate::wait::until;
use crate::webhook::Webhook;

/// Roles, in the order of a message's way.
pub const ROLES: [&str; 7] = [
    "ingester", "inbox", "relay", "router", "sla", "sender", "gateway",
];

/// How the roles share processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// All in one, as `roost all`.
    Together,
    /// One process for each, so that each can be killed.
    Apart,
    /// Some roles in one process, such as `"ingester,inbox"`.
    Only(&'static str),
}

/// Where the services are.
#[derive(Debug, Clone)]
pub struct Services {
    /// PostgreSQL as superuser.
    pub admin_url: String,
    /// Redis.
    pub redis_url: String,
    /// RabbitMQ.
    pub amqp_url: String,
}

impl Services {
    /// Those that all tests share.
    ///
    /// # Panics
    /// When the tests aren't run by `cargo xtask test`.
    #[must_use]
    pub fn shared() -> Self {
        Self {
            admin_url: setting("ROOST_TEST_ADMIN_URL"),
            redis_url: setting("ROOST_TEST_REDIS_URL"),
            amqp_url: setting("ROOST_TEST_AMQP_URL"),
        }
    }
}

/// What a test may choose.
#[derive(Debug, Clone)]
pub struct Options {
    /// How the roles share processes.
    pub layout: Layout,
    /// Where the services are.
    pub services: Services,
    /// Ingress queues per lane: few, since each costs the broker a moment.
    pub partitions: u16,
    /// Further settings, such as `("ROOST_SEND_QUIET_MS", "20000")`.
    pub settings: Vec<(&'static str, String)>,
    /// Further arguments of the simulator.
    pub simulator: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            layout: Layout::Together,
            services: Services::shared(),
            partitions: 2,
            settings: Vec::new(),
            simulator: Vec::new(),
        }
    }
}

/// A running system.
#[derive(Debug)]
pub struct System {
    /// Its database.
    pub db: TestDb,
    /// The stand-in for X.
    pub platform: Platform,
    /// Posts to its ingester.
    pub webhook: Webhook,
    /// Base URL of its gateway.
    pub gateway: String,
    /// First part of its queues.
    pub prefix: String,
    options: Options,
    settings: BTreeMap<String, String>,
    processes: BTreeMap<String, Process>,
    ops_ports: BTreeMap<String, u16>,
    simulator: Process,
    logs: PathBuf,
}

const CONSUMER_KEY: &str = "test-consumer-key";
const CONSUMER_SECRET: &str = "test-consumer-secret-0123456789";
/// The simulator's id for our app.
const APP_ID: &str = "27000001";
const READY: Duration = Duration::from_secs(60);

impl System {
    /// Starts one and waits until every part is ready.
    ///
    /// # Panics
    /// When a part doesn't come up.
    pub async fn start(options: Options) -> Self {
        let logs = log_folder();
        let db = TestDb::at(&options.services.admin_url).await;
        let prefix = format!("t{}", &Uuid::new_v4().simple().to_string()[..12]);
        let [gateway_port, ingester_port, ops @ ..] = free_ports::<9>();
        let (gateway, ingester) = (
            format!("http://127.0.0.1:{gateway_port}"),
            format!("http://127.0.0.1:{ingester_port}"),
        );

        let mut command = clean(&setting("ROOST_TEST_SIMULATOR_BIN"));
        command
            .env("ROOST_SIMULATOR_CONSUMER_KEY", CONSUMER_KEY)
            .env("ROOST_SIMULATOR_CONSUMER_SECRET", CONSUMER_SECRET)
            .args([
                "--app-id",
                APP_ID,
                "--limits",
                "off",
                "--retry-scale",
                "0.05",
            ])
            .args(&options.simulator);
        let (simulator, ready) = Process::start_and_read("simulator", &logs, &mut command);
        let platform = Platform::new(ready.trim_start_matches("ready ").to_owned());
        let app = platform.get("/sim/app").await;

        let text = |value: &SecretString| value.expose_secret().to_owned();
        let mut settings = BTreeMap::from(
            [
                ("ROOST_DATABASE_URL", text(&db.owner_url)),
                ("ROOST_DATABASE_APP_URL", text(&db.app_url)),
                ("ROOST_DATABASE_INGEST_URL", text(&db.ingest_url)),
                ("ROOST_REDIS_URL", options.services.redis_url.clone()),
                ("ROOST_AMQP_URL", options.services.amqp_url.clone()),
                ("ROOST_PREFIX", prefix.clone()),
                ("ROOST_PARTITIONS", options.partitions.to_string()),
                ("ROOST_GATEWAY_LISTEN", format!("127.0.0.1:{gateway_port}")),
                ("ROOST_INGESTER_LISTEN", format!("127.0.0.1:{ingester_port}")),
                ("ROOST_PUBLIC_URL", gateway.clone()),
                ("ROOST_WEBHOOK_URL", ingester.clone()),
                ("ROOST_X_API_URL", platform.url().to_owned()),
                ("ROOST_X_AUTHORIZE_URL", format!("{}/oauth/authorize", platform.url())),
                ("ROOST_X_CONSUMER_KEY", CONSUMER_KEY.to_owned()),
                ("ROOST_X_CONSUMER_SECRET", CONSUMER_SECRET.to_owned()),
                ("ROOST_X_APP_ID", APP_ID.to_owned()),
                ("ROOST_X_BEARER_TOKEN", app["bearer_token"].as_str().unwrap().to_owned()),
                ("ROOST_SECRETS_KEYS", format!("only:{}", STANDARD.encode([7; 32]))),
                ("ROOST_AUDIT_KEY", STANDARD.encode([9; 32])),
                ("ROOST_JWT_SECRET", "only-for-tests-only-for-tests-only-for-tests".to_owned()),
                ("ROOST_LOG_FORMAT", "json".to_owned()),
                // A test that is over is killed; what it greps for must not hide behind a level.
                ("ROOST_LOG_LEVEL", "info,roost=debug,roost_ingester=debug,roost_inbox=debug,roost_sender=debug,roost_gateway=debug".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        settings.extend(
            options
                .settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone())),
        );
        let names: Vec<&str> = match options.layout {
            Layout::Together => vec!["all"],
            Layout::Apart => ROLES.to_vec(),
            Layout::Only(roles) => vec![roles],
        };
        let ops_ports = names
            .iter()
            .zip(ops)
            .map(|(name, port)| ((*name).to_owned(), port))
            .collect();
        let webhook = Webhook::new(
            format!("{ingester}/webhooks/x/main"),
            CONSUMER_SECRET.to_owned(),
        );
        let mut system = Self {
            db,
            platform,
            webhook,
            gateway,
            prefix,
            options,
            settings,
            processes: BTreeMap::new(),
            ops_ports,
            simulator,
            logs,
        };
        for name in &names {
            system.start_role(name);
        }
        for name in &names {
            system.wait_ready(name).await;
        }
        system
    }

    /// A `roost` command with this system's settings.
    #[must_use]
    pub fn roost(&self) -> Command {
        let mut command = clean(&setting("ROOST_TEST_ROOST_BIN"));
        command.envs(&self.settings);
        command
    }

    /// Runs an operator's command to its end; answers what it printed.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.roost().args(arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "roost {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts the process of a role (or `all`).
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start_role(&mut self, name: &str) {
        let mut command = self.roost();
        command
            .env(
                "ROOST_OPS_LISTEN",
                format!("127.0.0.1:{}", self.ops_ports[name]),
            )
            .arg(name);
        self.processes.insert(
            name.to_owned(),
            Process::start(name, &self.logs, &mut command),
        );
    }

    /// Kills the process of a role with SIGKILL.
    ///
    /// # Panics
    /// When there is none.
    pub fn kill_role(&mut self, name: &str) {
        self.processes.get_mut(name).unwrap().kill();
    }

    /// Waits until the process of a role says that it is ready.
    ///
    /// # Panics
    /// When it ends instead.
    pub async fn wait_ready(&mut self, name: &str) {
        let url = format!("http://127.0.0.1:{}/readyz", self.ops_ports[name]);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let process = self.processes.get_mut(name).unwrap();
        let deadline = std::time::Instant::now() + READY;
        loop {
            assert!(process.is_running(), "{name} ended:\n{}", process.tail());
            let answer = http.get(&url).timeout(Duration::from_secs(2)).send().await;
            if answer
                .as_ref()
                .is_ok_and(|answer| answer.status().is_success())
            {
                return;
            }
            if std::time::Instant::now() > deadline {
                let said = match answer {
                    Ok(answer) => answer.text().await.unwrap_or_default(),
                    Err(error) => error.to_string(),
                };
                panic!("{name} is not ready: {said}\n{}", process.tail());
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Roles whose processes have ended by themselves.
    ///
    /// # Panics
    /// When the system refuses to say.
    pub fn ended(&mut self) -> Vec<String> {
        let processes = self.processes.iter_mut();
        processes
            .filter_map(|(name, process)| (!process.is_running()).then(|| name.clone()))
            .collect()
    }

    /// Everything that Roost's processes wrote.
    #[must_use]
    pub fn log(&self) -> String {
        self.processes.values().map(Process::log).collect()
    }

    /// The sum of a metric over all processes, over the series whose labels contain all of `labels`
    /// (such as `outcome="unauthorized"`).
    ///
    /// # Panics
    /// When a process doesn't answer.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let mut sum = 0.0;
        for port in self.ops_ports.values() {
            let answer = reqwest::get(format!("http://127.0.0.1:{port}/metrics"))
                .await
                .unwrap();
            let text = answer.text().await.unwrap();
            for line in text.lines().filter(|line| !line.starts_with('#')) {
                let Some((series, value)) = line.rsplit_once(' ') else {
                    continue;
                };
                let (family, given) = series.split_once('{').unwrap_or((series, ""));
                if family == name && labels.iter().all(|label| given.contains(label)) {
                    sum += value.parse::<f64>().unwrap_or(0.0);
                }
            }
        }
        sum
    }

    /// Signs a brand up; its owner's address is made from its name.
    pub async fn sign_up(&self, brand_name: &str) -> Member {
        let name = brand_name.to_lowercase().replace(' ', ".");
        Member::sign_up(
            &self.gateway,
            brand_name,
            &format!("owner@{name}.example"),
            PASSWORD,
        )
        .await
    }

    /// Gives a brand an agent in its default team, and signs them in.
    ///
    /// # Panics
    /// When the database is away.
    pub async fn add_agent(&self, owner: &Member, name: &str, capacity: i32) -> Member {
        let email = format!(
            "{}@{}",
            name.to_lowercase(),
            owner.email.split('@').nth(1).unwrap_or("x.example")
        );
        let mut connection = self.db.owner().await;
        let brand: roost_domain::ids::BrandId = owner.brand_id.parse().unwrap();
        // The owner's password: it is hashed slowly once, not for each agent.
        sqlx::query(
            "with new_user as (
                 insert into users (id, email, full_name, password_hash)
                 select $2, $3, $4, password_hash from users where email = $5 returning id),
             new_member as (
                 insert into members (brand_id, id, user_id, name, email, role, capacity)
                 select $1, $6, id, $4, $3, 'agent', $7 from new_user returning id),
             new_presence as (
                 insert into presence (brand_id, member_id) select $1, id from new_member)
             insert into team_members (brand_id, team_id, member_id)
             select $1, teams.id, new_member.id from new_member, teams
             where teams.brand_id = $1 and teams.is_default",
        )
        .bind(brand.0)
        .bind(Uuid::now_v7())
        .bind(&email)
        .bind(name)
        .bind(&owner.email)
        .bind(Uuid::now_v7())
        .bind(capacity)
        .execute(&mut connection)
        .await
        .unwrap();
        owner.sign_in(&email, PASSWORD).await
    }

    /// A brand with a connected account of X: signed up, connected, its owner not online yet.
    pub async fn brand(&self, name: &str, handle: &str) -> BrandAt {
        self.brand_of(name, handle, None).await
    }

    /// As [`System::brand`], with a chosen account id at X.
    ///
    /// # Panics
    /// When a step is refused.
    pub async fn brand_of(&self, name: &str, handle: &str, account_id: Option<&str>) -> BrandAt {
        let owner = self.sign_up(name).await;
        let account_id = self.platform.brand_account(handle, account_id).await;
        let channel = owner.connect_x(&self.platform, &account_id).await;
        BrandAt {
            owner,
            account_id,
            handle: handle.to_owned(),
            channel,
        }
    }

    /// Waits until this query counts at least so many rows; answers how many.
    pub async fn wait_for_count(&self, query: &'static str, at_least: i64) -> i64 {
        until(
            &format!("{at_least} rows of: {query}"),
            Duration::from_secs(30),
            || async {
                let count = self.count(query).await;
                (count >= at_least).then_some(count)
            },
        )
        .await
    }

    /// A connection to the broker with this system's prefix.
    ///
    /// # Panics
    /// When the broker is away.
    pub async fn bus(&self) -> Bus {
        let config = BusConfig {
            partitions: self.options.partitions,
            ..BusConfig::new(
                self.options.services.amqp_url.clone().into(),
                self.prefix.clone(),
            )
        };
        let bus = Bus::start(config, &Metrics::new());
        assert!(bus.wait_up(Duration::from_secs(20)).await, "no broker");
        bus
    }

    /// Rows that a query of one number counts, as the owner of the database.
    ///
    /// # Panics
    /// When the query fails.
    pub async fn count(&self, query: &'static str) -> i64 {
        let mut owner = self.db.owner().await;
        sqlx::query_scalar(query)
            .fetch_one(&mut owner)
            .await
            .unwrap()
    }
}

/// The password of every member here.
pub const PASSWORD: &str = "correct horse battery staple";

/// A brand with its account at X.
#[derive(Debug, Clone)]
pub struct BrandAt {
    /// Who signed it up.
    pub owner: Member,
    /// The account's id at X.
    pub account_id: String,
    /// The account's handle.
    pub handle: String,
    /// The channel, as the API showed it when it was connected.
    pub channel: Value,
}

impl Drop for System {
    fn drop(&mut self) {
        if std::thread::panicking() {
            show(&self.processes, &self.simulator, &self.logs);
        } else {
            // Nothing to look at.
            std::fs::remove_dir_all(&self.logs).ok();
        }
        self.processes.clear();
        let (options, prefix) = (self.options.clone(), self.prefix.clone());
        let cleaner = std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
            else {
                return;
            };
            runtime.block_on(async {
                let config = BusConfig {
                    partitions: options.partitions,
                    ..BusConfig::new(options.services.amqp_url.into(), prefix)
                };
                let bus = Bus::start(config, &Metrics::new());
                if bus.wait_up(Duration::from_secs(5)).await {
                    // What is left behind goes with the test services' state.
                    bus.remove_topology().await;
                }
                bus.close().await;
            });
        });
        cleaner.join().ok();
    }
}

#[expect(clippy::print_stderr, reason = "a failed test shows why")]
fn show(processes: &BTreeMap<String, Process>, simulator: &Process, logs: &std::path::Path) {
    for process in processes.values().chain([simulator]) {
        eprintln!("{}", process.tail());
    }
    eprintln!("logs stay in {}", logs.display());
}
