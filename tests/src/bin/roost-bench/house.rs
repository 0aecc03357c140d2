//! The system under test: a database with brands, and the real program.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use roost_tests::db::{Brand, TestDb, setting};
use roost_tests::process::{Process, clean, free_ports};
use secrecy::ExposeSecret as _;
use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::bodies::Workload;
use crate::cpu;

/// What X and the ingester share.
pub(crate) const SECRET: &str = "bench-consumer-secret";
const READY_LIMIT: Duration = Duration::from_secs(120);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const BEAT_EVERY: Duration = Duration::from_secs(5);
/// Enough for any workload: capacity must not be what limits.
const CAPACITY: i32 = 10_000;

/// Brands in a database of their own, agents online.
pub(crate) struct House {
    pub(crate) db: TestDb,
    pub(crate) brands: Vec<Brand>,
    beat: JoinHandle<()>,
}

impl House {
    /// Makes so many brands with so many agents each.
    ///
    /// # Errors
    /// When the database refuses, or isn't durable.
    pub(crate) async fn build(brands: usize, agents: usize) -> anyhow::Result<Self> {
        let db = TestDb::new().await;
        let mut made = Vec::with_capacity(brands);
        for number in 0..brands {
            made.push(db.brand(&format!("brand{number}"), agents).await);
        }
        let mut owner = db.owner().await;
        for name in ["fsync", "synchronous_commit"] {
            let value: String = sqlx::query_scalar("select current_setting($1)")
                .bind(name)
                .fetch_one(&mut owner)
                .await?;
            ensure!(
                value == "on",
                "{name} is {value}: figures of a database that may lose data say nothing"
            );
        }
        let gateway = put_online(&mut owner).await?;
        // In place of a gateway: the agents' streams live as long as it gives signs of life.
        let beat = tokio::spawn(async move {
            loop {
                tokio::time::sleep(BEAT_EVERY).await;
                let beat =
                    sqlx::query("update gateways set seen_at = now() where id = $1").bind(gateway);
                if beat.execute(&mut owner).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            db,
            brands: made,
            beat,
        })
    }

    /// The workload on these brands.
    pub(crate) fn workload(&self, customers: usize) -> Workload {
        let accounts = self
            .brands
            .iter()
            .map(|brand| brand.account_id.clone())
            .collect();
        // Above the numbers of the warm-up.
        Workload {
            accounts,
            customers,
            from: 1_000_000,
        }
    }

    /// A small workload that goes before, so that the database is measured as one that is in use.
    pub(crate) fn warm_up(&self) -> Workload {
        Workload {
            customers: 10,
            from: 0,
            ..self.workload(0)
        }
    }

    /// What the database does by itself within a minute of a warm-up: looks at its tables, so that
    /// plans fit what they hold.
    pub(crate) async fn analyse(&self) -> anyhow::Result<()> {
        let mut owner = self.owner().await;
        sqlx::raw_sql(
            "analyze contacts, identities, conversations, messages, events, inbound_events, sla_clocks, event_heads",
        )
        .execute(&mut owner)
        .await?;
        owner.close().await?;
        Ok(())
    }

    /// A connection as the owner, who sees every brand.
    pub(crate) async fn owner(&self) -> PgConnection {
        self.db.owner().await
    }

    /// Lets go of the database.
    pub(crate) fn leave(self) {
        self.beat.abort();
    }
}

async fn put_online(owner: &mut PgConnection) -> anyhow::Result<Uuid> {
    let gateway = Uuid::now_v7();
    let mut tx = owner.begin().await?;
    sqlx::query("update members set capacity = $1")
        .bind(CAPACITY)
        .execute(&mut *tx)
        .await?;
    sqlx::query("insert into gateways (id) values ($1)")
        .bind(gateway)
        .execute(&mut *tx)
        .await?;
    sqlx::query(
        "insert into streams (brand_id, stream_id, member_id, gateway_id)
         select brand_id, gen_random_uuid(), id, $1 from members where role = 'agent'",
    )
    .bind(gateway)
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "update presence p set status = 'online', since = now(), last_stream_at = now()
         from members m where m.brand_id = p.brand_id and m.id = p.member_id and m.role = 'agent'",
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(gateway)
}

/// `roost ROLES`, the real program.
pub(crate) struct Roost {
    process: Process,
    http: reqwest::Client,
    /// Where webhooks go.
    pub(crate) ingester: SocketAddr,
    /// Its figures.
    pub(crate) ops: SocketAddr,
}

impl Roost {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// When it doesn't become ready.
    pub(crate) async fn start(
        roles: &str,
        house: &House,
        prefix: &str,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let [ingester, gateway, ops] =
            free_ports().map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let name = format!("roost-{}", ops.port());
        let mut command = clean(&setting("ROOST_TEST_ROOST_BIN"));
        command
            .arg(roles)
            .env("ROOST_DATABASE_URL", house.db.owner_url.expose_secret())
            .env("ROOST_DATABASE_APP_URL", house.db.app_url.expose_secret())
            .env(
                "ROOST_DATABASE_INGEST_URL",
                house.db.ingest_url.expose_secret(),
            )
            .env("ROOST_REDIS_URL", setting("ROOST_TEST_REDIS_URL"))
            .env("ROOST_AMQP_URL", setting("ROOST_TEST_AMQP_URL"))
            .env("ROOST_PREFIX", prefix)
            .env("ROOST_INGESTER_LISTEN", ingester.to_string())
            .env("ROOST_GATEWAY_LISTEN", gateway.to_string())
            .env("ROOST_OPS_LISTEN", ops.to_string())
            .env(
                "ROOST_PUBLIC_URL",
                format!("http://localhost:{}", gateway.port()),
            )
            .env("ROOST_X_CONSUMER_KEY", "bench-consumer-key")
            .env("ROOST_X_CONSUMER_SECRET", SECRET)
            .env("ROOST_X_APP_ID", "4242")
            .env(
                "ROOST_SECRETS_KEYS",
                "only:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            )
            .env(
                "ROOST_AUDIT_KEY",
                "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            )
            .env(
                "ROOST_JWT_SECRET",
                "a secret of the bench that signs access tokens",
            )
            // Nothing is sent; should something be, nobody is there.
            .env("ROOST_X_API_URL", "http://127.0.0.1:9")
            // The main lane's 16 queues, as the ceiling has.
            .env("ROOST_ACCOUNT_RATE_PER_SECOND", "1000000")
            .env("ROOST_ACCOUNT_BURST", "1000000")
            .env("ROOST_LOG_LEVEL", "warn");
        let mut roost = Self {
            http: reqwest::Client::builder().no_proxy().build()?,
            process: Process::start(&name, folder, &mut command),
            ingester,
            ops,
        };
        roost.become_ready().await?;
        Ok(roost)
    }

    async fn become_ready(&mut self) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < READY_LIMIT {
            if !self.process.is_running() {
                break;
            }
            if self.get("/readyz").await.is_some() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("roost did not become ready\n{}", self.process.tail());
    }

    async fn get(&self, path: &str) -> Option<String> {
        let url = format!("http://{}{path}", self.ops);
        let answer = self.http.get(url).send().await.ok()?;
        let good = answer.status().is_success();
        answer.text().await.ok().filter(|_| good)
    }

    /// One of its figures, all labels together.
    ///
    /// # Errors
    /// When it doesn't answer.
    pub(crate) async fn figure(&self, name: &str) -> anyhow::Result<f64> {
        let Some(text) = self.get("/metrics").await else {
            bail!("roost does not answer\n{}", self.process.tail());
        };
        let of_name = text.lines().filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        Ok(of_name
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum())
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Errors
    /// When it doesn't end.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = cpu::listener(self.ops.port()).context("find the process to stop")?;
        Command::new("kill").arg(pid.to_string()).status()?;
        let started = Instant::now();
        while self.process.is_running() {
            if started.elapsed() > STOP_LIMIT {
                bail!("roost did not stop\n{}", self.process.tail());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// The last lines of its log.
    pub(crate) fn tail(&self) -> String {
        self.process.tail()
    }
}

/// A folder for the logs of a run.
pub(crate) fn folder() -> PathBuf {
    roost_tests::process::log_folder()
}
