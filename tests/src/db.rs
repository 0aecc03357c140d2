//! A database for a test, and brands in it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use roost_domain::ids::{BrandId, ChannelId, MemberId, PolicyId, TeamId, UserId};
use roost_domain::sla::{PolicySpec, Seconds, Target};
use roost_store::bootstrap::{Passwords, bootstrap, copy_database, drop_database, role_url};
use roost_store::seal::KeyRing;
use roost_store::{Store, StoreConfig};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

/// An environment variable that `cargo xtask test` sets.
///
/// # Panics
/// When it is missing.
#[must_use]
pub fn setting(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run the tests by `cargo xtask test`"))
}

/// A migrated database that lives as long as this value.
#[derive(Debug)]
pub struct TestDb {
    /// As the services have it.
    pub store: Store,
    /// The database's name.
    pub name: String,
    /// Connects as `roost_owner`.
    pub owner_url: SecretString,
    /// Connects as `roost_app`.
    pub app_url: SecretString,
    /// Connects as `roost_ingest`.
    pub ingest_url: SecretString,
    admin_url: SecretString,
    /// Whether it outlives this value.
    stays: bool,
}

/// A brand with a team, members and a connected X account.
#[derive(Debug, Clone)]
pub struct Brand {
    /// The brand.
    pub id: BrandId,
    /// Its default team; every member is in it.
    pub team: TeamId,
    /// An owner first, then agents.
    pub members: Vec<MemberId>,
    /// The connected account.
    pub channel: ChannelId,
    /// The account's id on X.
    pub account_id: String,
    /// First response in 3600 s, next response in 1800 s.
    pub policy: PolicyId,
}

const PASSWORD: &str = "test-only";

fn migrations_hash() -> u64 {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        std::fs::read(file).unwrap().hash(&mut hasher);
    }
    hasher.finish()
}

impl TestDb {
    /// Makes one.
    ///
    /// # Panics
    /// When the test services aren't there.
    pub async fn new() -> Self {
        Self::at(&setting("ROOST_TEST_ADMIN_URL")).await
    }

    /// Makes one on another server than the shared one.
    ///
    /// # Panics
    /// When the server isn't there.
    pub async fn at(admin_url: &str) -> Self {
        let admin_url = SecretString::from(admin_url.to_owned());
        let password = SecretString::from(PASSWORD.to_owned());
        let template = format!("roost_template_{:016x}", migrations_hash());
        // One test makes the template; the others wait for it.
        let mut lock = PgConnection::connect(admin_url.expose_secret())
            .await
            .unwrap();
        sqlx::query("select pg_advisory_lock(726573)")
            .execute(&mut lock)
            .await
            .unwrap();
        let exists: bool =
            sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
                .bind(&template)
                .fetch_one(&mut lock)
                .await
                .unwrap();
        if !exists {
            let making = format!("{template}_making");
            drop_database(&admin_url, &making).await.unwrap();
            let urls = bootstrap(&admin_url, &making, &password, Passwords::Keep)
                .await
                .unwrap();
            roost_store::migrate::migrate(&urls.owner).await.unwrap();
            copy_database(&admin_url, &making, &template).await.unwrap();
            drop_database(&admin_url, &making).await.unwrap();
        }
        let name = format!("roost_test_{}", Uuid::now_v7().simple());
        copy_database(&admin_url, &template, &name).await.unwrap();
        lock.close().await.unwrap();
        Self::connected(admin_url, name)
    }

    /// One that stays, filled once by the owner: found again under this label while the migrations are the same.
    ///
    /// # Panics
    /// When the server isn't there.
    pub async fn kept(
        admin_url: &str,
        label: &str,
        fill: impl AsyncFnOnce(&Self, &mut PgConnection),
    ) -> Self {
        let name = format!("roost_kept_{:016x}_{label}", migrations_hash());
        let mut admin = PgConnection::connect(admin_url).await.unwrap();
        let exists: bool =
            sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
                .bind(&name)
                .fetch_one(&mut admin)
                .await
                .unwrap();
        if !exists {
            let made = Self::at(admin_url).await;
            let mut owner = made.owner().await;
            fill(&made, &mut owner).await;
            // Nobody may be connected to a database that gets another name.
            owner.close().await.unwrap();
            made.store.close().await;
            // Its name is ours: letters, digits and underscores.
            let rename = format!("alter database {} rename to {name}", made.name);
            sqlx::raw_sql(AssertSqlSafe(rename))
                .execute(&mut admin)
                .await
                .unwrap();
        }
        let mut kept = Self::connected(SecretString::from(admin_url.to_owned()), name);
        kept.stays = true;
        kept
    }

    fn connected(admin_url: SecretString, name: String) -> Self {
        let password = SecretString::from(PASSWORD.to_owned());
        let url = |role| role_url(&admin_url, role, &password, &name).unwrap();
        let (owner_url, app_url, ingest_url) =
            (url("roost_owner"), url("roost_app"), url("roost_ingest"));
        let store = Store::new(&StoreConfig {
            app_url: app_url.clone(),
            ingest_url: ingest_url.clone(),
            app_connections: 6,
            ingest_connections: 4,
        })
        .unwrap();
        Self {
            store,
            name,
            owner_url,
            app_url,
            ingest_url,
            admin_url,
            stays: false,
        }
    }

    /// A connection as the owner, who sees every brand: for arranging and looking.
    ///
    /// # Panics
    /// When the database is away.
    pub async fn owner(&self) -> PgConnection {
        PgConnection::connect(self.owner_url.expose_secret())
            .await
            .unwrap()
    }

    /// Adds a brand with an owner and this many agents, all of capacity 5 and offline.
    ///
    /// # Panics
    /// When the database is away.
    pub async fn brand(&self, name: &str, agents: usize) -> Brand {
        let mut owner = self.owner().await;
        let (brand, team, policy, channel) = (
            Uuid::now_v7(),
            Uuid::now_v7(),
            Uuid::now_v7(),
            Uuid::now_v7(),
        );
        let account_id = (brand.as_u128() % 1_000_000_000_000).to_string();
        sqlx::query(
            "insert into brands (brand_id, name, time_zone) values ($1, $2, 'Europe/Berlin')",
        )
        .bind(brand)
        .bind(name)
        .execute(&mut owner)
        .await
        .unwrap();
        sqlx::query(
            "insert into teams (brand_id, id, name, is_default) values ($1, $2, 'Support', true)",
        )
        .bind(brand)
        .bind(team)
        .execute(&mut owner)
        .await
        .unwrap();
        let target = |seconds| Target {
            calendar_id: None,
            seconds: Seconds::all(seconds),
        };
        let standard = PolicySpec {
            first_response: Some(target(3_600)),
            next_response: Some(target(1_800)),
            warnings: vec![75],
            ..PolicySpec::default()
        };
        sqlx::query(
            "with made as (
                 insert into sla_policies (brand_id, id, name, spec) values ($1, $2, 'Standard', $3)
                 returning brand_id, id, version, spec
             )
             insert into sla_policy_versions (brand_id, policy_id, version, spec) select * from made",
        )
        .bind(brand)
        .bind(policy)
        .bind(Json(standard))
        .execute(&mut owner)
        .await
        .unwrap();
        let mut members = Vec::new();
        for number in 0..=agents {
            let member = Uuid::now_v7();
            let role = if number == 0 { "owner" } else { "agent" };
            sqlx::query(
                "insert into members (brand_id, id, user_id, name, email, role, capacity)
                 values ($1, $2, $3, $4, $5, $6, 5)",
            )
            .bind(brand)
            .bind(member)
            .bind(UserId(Uuid::now_v7()).0)
            .bind(format!("{name} {number}"))
            .bind(format!("{number}@{member}.example"))
            .bind(role)
            .execute(&mut owner)
            .await
            .unwrap();
            sqlx::query(
                "insert into team_members (brand_id, team_id, member_id) values ($1, $2, $3)",
            )
            .bind(brand)
            .bind(team)
            .bind(member)
            .execute(&mut owner)
            .await
            .unwrap();
            sqlx::query("insert into presence (brand_id, member_id) values ($1, $2)")
                .bind(brand)
                .bind(member)
                .execute(&mut owner)
                .await
                .unwrap();
            members.push(MemberId(member));
        }
        // Connected long ago, so that no message of a test counts as history.
        sqlx::query(
            "insert into channels (brand_id, id, platform, app, account_id, handle, name, team_id, connected_at)
             values ($1, $2, 'x', 'main', $3, $4, $4, $5, 'epoch')",
        )
        .bind(brand)
        .bind(channel)
        .bind(&account_id)
        .bind(name)
        .bind(team)
        .execute(&mut owner)
        .await
        .unwrap();
        sqlx::query(
            "insert into channel_routes (platform, app, account_id, brand_id, channel_id)
             values ('x', 'main', $1, $2, $3)",
        )
        .bind(&account_id)
        .bind(brand)
        .bind(channel)
        .execute(&mut owner)
        .await
        .unwrap();
        owner.close().await.unwrap();
        Brand {
            id: BrandId(brand),
            team: TeamId(team),
            members,
            channel: ChannelId(channel),
            account_id,
            policy: PolicyId(policy),
        }
    }

    /// Makes a version of the brand's policy that says this.
    ///
    /// # Panics
    /// When the database is away.
    pub async fn put_policy(&self, brand: &Brand, spec: &PolicySpec) {
        let mut owner = self.owner().await;
        put_policy(&mut owner, brand.id, spec).await;
    }

    /// Puts a member online, with a stream.
    ///
    /// # Panics
    /// When the database fails.
    pub async fn put_online(&self, brand: &Brand, member: MemberId) {
        let mut owner = self.owner().await;
        let gateway = Uuid::now_v7();
        sqlx::query("insert into gateways (id) values ($1)")
            .bind(gateway)
            .execute(&mut owner)
            .await
            .unwrap();
        sqlx::query("insert into streams (brand_id, stream_id, member_id, gateway_id) values ($1, $2, $3, $4)")
            .bind(brand.id.0)
            .bind(Uuid::now_v7())
            .bind(member.0)
            .bind(gateway)
            .execute(&mut owner)
            .await
            .unwrap();
        sqlx::query(
            "update presence set status = 'online', since = now(), last_stream_at = now()
             where brand_id = $1 and member_id = $2",
        )
        .bind(brand.id.0)
        .bind(member.0)
        .execute(&mut owner)
        .await
        .unwrap();
        owner.close().await.unwrap();
    }
}

/// The key of this name, as settings have it: a name stands for the same key everywhere.
#[must_use]
pub fn secrets_key(name: &str) -> String {
    STANDARD.encode(Sha256::digest(name))
}

/// The operator's keys of these names, the first being the active one.
///
/// # Panics
/// When there is no name, or a bad one.
#[must_use]
pub fn key_ring(names: &[&str]) -> KeyRing {
    let keys = names
        .iter()
        .map(|name| ((*name).to_owned(), secrets_key(name).into()));
    KeyRing::new(keys).unwrap()
}

impl Drop for TestDb {
    fn drop(&mut self) {
        if self.stays {
            return;
        }
        // A thread of its own, because the test's runtime is going away. Not for long: a login that
        // this runtime has half done would hold the server up, and what stays behind goes with the
        // test services' state.
        let (admin_url, name) = (self.admin_url.clone(), self.name.clone());
        let (done, dropped) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            if let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
            {
                runtime.block_on(drop_database(&admin_url, &name)).ok();
            }
            done.send(()).ok();
        });
        dropped.recv_timeout(Duration::from_secs(5)).ok();
    }
}

/// Makes a version of the brand's policy that says this.
///
/// # Panics
/// When the database is away.
pub async fn put_policy(owner: &mut PgConnection, brand: BrandId, spec: &PolicySpec) {
    sqlx::query(
        "with changed as (
             update sla_policies set spec = $2, version = version + 1 where brand_id = $1
             returning brand_id, id, version, spec
         )
         insert into sla_policy_versions (brand_id, policy_id, version, spec) select * from changed",
    )
    .bind(brand.0)
    .bind(Json(spec))
    .execute(owner)
    .await
    .unwrap();
}

/// A policy with this first-response target in seconds, and one warning.
#[must_use]
pub fn first_response_in(seconds: i64, warning_percent: u8) -> PolicySpec {
    PolicySpec {
        first_response: Some(Target {
            calendar_id: None,
            seconds: Seconds::all(seconds),
        }),
        warnings: vec![warning_percent],
        ..PolicySpec::default()
    }
}

/// The X event id of a message at an instant: ids carry their time.
///
/// # Panics
/// When the instant lies before X's epoch.
#[must_use]
pub fn snowflake(at: Timestamp, number: i64) -> i64 {
    let since = at.as_millisecond() - 1_288_834_974_657;
    assert!(since > 0, "before the first id");
    (since << 22) | (number & 0x3f_ffff)
}
