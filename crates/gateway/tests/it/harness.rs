//! A gateway on a free port, its database, and people signed in.

use std::net::TcpListener;
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use roost_bus::envelope::{EventPointer, VERSION};
use roost_bus::{Bus, BusConfig, Outgoing, Route};
use roost_cache::Cache;
use roost_domain::ids::{BrandId, ChannelId, MemberId, TeamId};
use roost_domain::role::Permission;
use roost_gateway::Deps;
use roost_platforms::x::client::{Timeouts, XClient};
use roost_service::{Config, Health, Metrics, Shutdown};
use roost_store::audit::Auditor;
use roost_store::sequencer::{Slot, Tenure, number};
use roost_store::{
    leases,
    seal::{KeyRing, Sealer},
};
use roost_tests::db::{TestDb, setting};
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) struct Gateway {
    pub(crate) db: TestDb,
    pub(crate) url: String,
    pub(crate) bus: Bus,
    pub(crate) metrics: Metrics,
    pub(crate) sealer: Sealer,
    pub(crate) http: Client,
    shutdown: Shutdown,
    relay: Uuid,
    has_broker: bool,
}

/// A signed-in member.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) brand: BrandId,
    pub(crate) member: MemberId,
    pub(crate) token: String,
    pub(crate) cookie: String,
}

/// An API key: its address, and who has it.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) path: String,
    pub(crate) bearer: Person,
}

/// A brand whose owner is signed in, with a team and a channel.
#[derive(Debug, Clone)]
pub(crate) struct Brand {
    pub(crate) owner: Person,
    pub(crate) team: TeamId,
    pub(crate) channel: ChannelId,
    pub(crate) account_id: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

const NO_BROKER: &str = "amqp://nobody@127.0.0.1:1/%2f";
pub(crate) const PASSWORD: &str = "correct horse battery";

impl Gateway {
    /// Without a broker: hints and pointers go nowhere, everything else is real.
    pub(crate) async fn start() -> Self {
        Self::with(NO_BROKER, "http://127.0.0.1:1", false, &[]).await
    }

    /// As [`Gateway::start`], with other settings than the defaults.
    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::with(NO_BROKER, "http://127.0.0.1:1", false, settings).await
    }

    /// Without a broker, but with somebody who answers as X.
    pub(crate) async fn start_with_x(x_url: &str) -> Self {
        Self::with(NO_BROKER, x_url, false, &[]).await
    }

    /// As [`Gateway::start`], behind a proxy that says from where a request comes.
    pub(crate) async fn start_behind_proxy() -> Self {
        Self::start_with(&[("ROOST_TRUSTED_PROXIES", "127.0.0.1")]).await
    }

    /// Without a broker, but with somebody who takes mail.
    pub(crate) async fn start_with_smtp(smtp_url: &str) -> Self {
        Self::start_with(&[("ROOST_SMTP_URL", smtp_url)]).await
    }

    /// With one, for live streams.
    pub(crate) async fn start_with_broker() -> Self {
        let amqp_url = setting("ROOST_TEST_AMQP_URL");
        Self::with(&amqp_url, "http://127.0.0.1:1", true, &[]).await
    }

    async fn with(
        amqp_url: &str,
        x_url: &str,
        has_broker: bool,
        settings: &[(&str, &str)],
    ) -> Self {
        let db = TestDb::new().await;
        let prefix = format!("t{}", Uuid::now_v7().simple());
        let metrics = Metrics::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let redis_url = setting("ROOST_TEST_REDIS_URL");
        let mut variables = vec![
            ("ROOST_PREFIX", prefix.as_str()),
            ("ROOST_AMQP_URL", amqp_url),
            ("ROOST_REDIS_URL", redis_url.as_str()),
            (
                "ROOST_JWT_SECRET",
                "a-secret-for-tests-of-40-characters-only",
            ),
            (
                "ROOST_SECRETS_KEYS",
                "only:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            ),
            (
                "ROOST_AUDIT_KEY",
                "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
            ),
            ("ROOST_PUBLIC_URL", "https://roost.example"),
            ("ROOST_CORS_ORIGINS", "https://app.example"),
            ("ROOST_X_API_URL", x_url),
            ("ROOST_SHUTDOWN_GRACE_SECONDS", "2"),
        ];
        variables.extend_from_slice(settings);
        let config = Config::from_parts("", &variables, &[]).unwrap();
        let bus = Bus::start(
            BusConfig {
                partitions: 2,
                ..BusConfig::new(SecretString::from(amqp_url.to_owned()), prefix.clone())
            },
            &metrics,
        );
        let cache = Cache::start(&config.redis_url, prefix, &metrics).unwrap();
        assert!(cache.wait_up(Duration::from_secs(10)).await, "no redis");
        if has_broker {
            assert!(bus.wait_up(Duration::from_secs(60)).await, "no broker");
        }
        let keys = config.keys.secrets_keys.iter();
        let ring = KeyRing::new(keys.map(|key| (key.id.clone(), key.key.clone()))).unwrap();
        let sealer = Sealer::new(ring);
        let deps = Deps {
            x: XClient::new(
                &config.x.api_url,
                "key",
                SecretString::from("secret".to_owned()),
                Timeouts::default(),
            )
            .unwrap(),
            sealer: sealer.clone(),
            audit: Auditor::new(config.keys.audit_key_bytes().unwrap()),
            store: db.store.clone(),
            bus: bus.clone(),
            cache,
            health: Health::new(),
            metrics: metrics.clone(),
            config,
        };
        let shutdown = Shutdown::new();
        let stop = shutdown.clone();
        tokio::spawn(async move { roost_gateway::serve(deps, listener, stop).await.unwrap() });
        Self {
            db,
            url,
            bus,
            metrics,
            sealer,
            http: Client::new(),
            shutdown,
            relay: Uuid::now_v7(),
            has_broker,
        }
    }

    pub(crate) async fn call(
        &self,
        who: Option<&Person>,
        method: Method,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(who) = who {
            request = request.bearer_auth(&who.token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, who: &Person, path: &str) -> Answer {
        self.call(Some(who), Method::GET, path, None, &[]).await
    }

    pub(crate) async fn post(&self, who: &Person, path: &str, body: Value) -> Answer {
        self.call(Some(who), Method::POST, path, Some(body), &[])
            .await
    }

    pub(crate) async fn put(&self, who: &Person, path: &str, body: Value) -> Answer {
        self.call(Some(who), Method::PUT, path, Some(body), &[])
            .await
    }

    pub(crate) async fn patch(&self, who: &Person, path: &str, body: Value) -> Answer {
        self.call(Some(who), Method::PATCH, path, Some(body), &[])
            .await
    }

    pub(crate) async fn delete(&self, who: &Person, path: &str) -> Answer {
        self.call(Some(who), Method::DELETE, path, None, &[]).await
    }

    /// Signs up a brand and gives it a channel.
    pub(crate) async fn brand(&self, name: &str) -> Brand {
        let answer = self
            .call(
                None,
                Method::POST,
                "/v1/signup",
                Some(json!({
                    "brand_name": name, "full_name": format!("{name} owner"),
                    "email": format!("{}@{}.example", Uuid::now_v7().simple(), name.to_lowercase()),
                    "password": PASSWORD, "time_zone": "Europe/Berlin",
                })),
                &[],
            )
            .await;
        let owner = answer.person();
        let team = answer.body["member"]["team_ids"][0]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let channel = ChannelId(Uuid::now_v7());
        let account_id = (channel.0.as_u128() % 1_000_000_000_000).to_string();
        let mut db = self.db.owner().await;
        sqlx::query(
            "insert into channels (brand_id, id, platform, app, account_id, handle, name, connected_at)
             values ($1, $2, 'x', 'main', $3, $4, $4, 'epoch')",
        )
        .bind(owner.brand.0)
        .bind(channel.0)
        .bind(&account_id)
        .bind(name)
        .execute(&mut db)
        .await
        .unwrap();
        Brand {
            owner,
            team,
            channel,
            account_id,
        }
    }

    /// Makes an API key of a role; who has it asks like a person does.
    pub(crate) async fn key(&self, brand: &Brand, role: &str, scopes: &[&str]) -> Key {
        let body = json!({ "name": "Robot", "mode": "live", "role": role, "scopes": scopes });
        self.key_from(brand, body).await
    }

    /// Makes an API key from a body.
    pub(crate) async fn key_from(&self, brand: &Brand, body: Value) -> Key {
        let answer = self.post(&brand.owner, "/v1/api-keys", body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let text = |name: &str| answer.body[name].as_str().unwrap().to_owned();
        Key {
            path: format!("/v1/api-keys/{}", text("id")),
            bearer: Person {
                brand: brand.owner.brand,
                member: text("member_id").parse().unwrap(),
                token: text("key"),
                cookie: String::new(),
            },
        }
    }

    /// The lines of a brand's audit log, newest first: action and target's id.
    pub(crate) async fn audit(&self, brand: &Brand) -> Vec<(String, String)> {
        let answer = self.get(&brand.owner, "/v1/audit-log?limit=200").await;
        let rows = answer.body["data"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        rows.iter()
            .map(|row| (text(&row["action"]), text(&row["target"]["id"])))
            // Everybody signs up or in; what a test is about comes after.
            .filter(|(action, _)| action != "brand.signed_up" && action != "session.opened")
            .collect()
    }

    /// Adds a member with a session of their own, in the brand's team.
    pub(crate) async fn member(&self, brand: &Brand, role: &str) -> Person {
        let (user, member, session) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
        let mut db = self.db.owner().await;
        let email = format!("{}@{role}.example", member.simple());
        sqlx::query(
            "insert into users (id, email, full_name, password_hash)
             select $1, $2, $3, password_hash from users limit 1",
        )
        .bind(user)
        .bind(&email)
        .bind(role)
        .execute(&mut db)
        .await
        .unwrap();
        sqlx::query(
            "insert into members (brand_id, id, user_id, name, email, role, capacity)
             values ($1, $2, $3, $4, $5, $6, 5)",
        )
        .bind(brand.owner.brand.0)
        .bind(member)
        .bind(user)
        .bind(format!("{role} member"))
        .bind(&email)
        .bind(role)
        .execute(&mut db)
        .await
        .unwrap();
        sqlx::query("insert into team_members (brand_id, team_id, member_id) values ($1, $2, $3)")
            .bind(brand.owner.brand.0)
            .bind(brand.team.0)
            .bind(member)
            .execute(&mut db)
            .await
            .unwrap();
        let answer = self
            .call(
                None,
                Method::POST,
                "/v1/sessions",
                Some(json!({ "email": email, "password": PASSWORD })),
                &[],
            )
            .await;
        assert_eq!(answer.status, 201, "{} {session}", answer.text);
        answer.person()
    }

    /// Makes an API key as the database has it; without scopes it has all.
    pub(crate) async fn api_key(
        &self,
        brand: &Brand,
        role: &str,
        scopes: Option<&[&str]>,
    ) -> Person {
        let (member, key) = (Uuid::now_v7(), Uuid::now_v7());
        let token = format!("rk_live_{}", Uuid::new_v4().simple());
        let all: Vec<&str> = Permission::ALL.iter().map(|one| one.as_str()).collect();
        let mut db = self.db.owner().await;
        sqlx::query(
            "with bot as (
                insert into members (brand_id, id, kind, name, role) values ($1, $2, 'bot', 'key', $3)
             ) insert into api_keys (brand_id, id, member_id, mode, scopes, hint, hash, created_by)
               values ($1, $4, $2, 'live', $5, 'hint', sha256($6::bytea), $7)",
        )
        .bind(brand.owner.brand.0)
        .bind(member)
        .bind(role)
        .bind(key)
        .bind(scopes.unwrap_or(&all))
        .bind(token.as_bytes())
        .bind(brand.owner.member.0)
        .execute(&mut db)
        .await
        .unwrap();
        Person {
            brand: brand.owner.brand,
            member: MemberId(member),
            token,
            cookie: String::new(),
        }
    }

    /// Ends an API key.
    pub(crate) async fn revoke(&self, key: &Person) {
        let mut db = self.db.owner().await;
        sqlx::query("update api_keys set revoked_at = now() where member_id = $1")
            .bind(key.member.0)
            .execute(&mut db)
            .await
            .unwrap();
    }

    /// What the relay does: places for what was committed, and pointers where there is a broker.
    pub(crate) async fn relay(&self) {
        let mut held = Vec::new();
        for slot in Slot::all() {
            let epoch = leases::take(&self.db.store, &slot.lease(), self.relay, 60)
                .await
                .unwrap();
            held.push(Tenure {
                slot,
                epoch: epoch.unwrap(),
            });
        }
        loop {
            let buckets = (0..=255).collect();
            let placed = number(&self.db.store, self.relay, &held, buckets, 1_000)
                .await
                .unwrap();
            if placed.is_empty() {
                return;
            }
            if !self.has_broker {
                continue;
            }
            let messages = placed
                .into_iter()
                .map(|event| {
                    let pointer = EventPointer {
                        v: VERSION,
                        brand_id: event.brand.0,
                        event_id: event.event.0,
                        kind: event.kind,
                        conversation_id: event.conversation.map(|id| id.0),
                        seq: event.seq,
                        position: event.position,
                        bucket: event.bucket,
                        request_id: event.request_id,
                    };
                    let body = serde_json::to_vec(&pointer).unwrap();
                    Outgoing::new(
                        Route::Event {
                            bucket: event.bucket,
                        },
                        body,
                    )
                })
                .collect();
            for outcome in self.bus.publish_all(messages).await {
                outcome.unwrap();
            }
        }
    }

    /// Stops and removes what it left at the broker.
    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        if self.has_broker {
            self.bus.remove_topology().await;
        }
        self.bus.close().await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shutdown.trigger();
    }
}

impl Answer {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        Self {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }

    /// Who a sign-in signed in.
    pub(crate) fn person(&self) -> Person {
        assert!(self.status.is_success(), "{}", self.text);
        let id = |pointer: &str| self.body.pointer(pointer).unwrap().as_str().unwrap();
        Person {
            brand: id("/brand/id").parse().unwrap(),
            member: id("/member/id").parse().unwrap(),
            token: id("/access_token").to_owned(),
            cookie: self.cookie(),
        }
    }

    /// The first cookie as a client sends it back.
    pub(crate) fn cookie(&self) -> String {
        let cookie = self
            .headers
            .get("set-cookie")
            .map(|value| value.to_str().unwrap());
        cookie
            .and_then(|cookie| cookie.split(';').next())
            .unwrap_or_default()
            .to_owned()
    }

    /// The problem's code.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// Where the problem's faults are.
    pub(crate) fn pointers(&self) -> Vec<&str> {
        let faults = self.body["errors"].as_array();
        faults
            .into_iter()
            .flatten()
            .filter_map(|fault| fault["pointer"].as_str())
            .collect()
    }

    /// The ids of a list.
    pub(crate) fn ids(&self) -> Vec<String> {
        let rows = self.body["data"].as_array().unwrap();
        rows.iter()
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect()
    }
}
