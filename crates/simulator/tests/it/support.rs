//! A running simulator, a webhook that records, and a client that signs by its own means.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use roost_simulator::{SimConfig, Simulator};
use serde_json::{Value, json};

pub(crate) const SECRET: &str = "sim-consumer-secret";
pub(crate) const KEY: &str = "sim-consumer-key";
pub(crate) const BRAND: &str = "2244994945";
pub(crate) const CUSTOMER: &str = "1000000001";
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A simulator with a brand `acme` and a customer `carol`.
pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    pub(crate) http: reqwest::Client,
}

/// Tokens of an account.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) token: String,
    pub(crate) secret: String,
    pub(crate) oauth2: String,
}

pub(crate) fn config() -> SimConfig {
    let brand = format!("{BRAND}:acme:Acme").parse().expect("an account");
    SimConfig {
        accounts: vec![brand],
        retry_scale: 0.01,
        ..SimConfig::default()
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(config()).await
    }

    pub(crate) async fn with(config: SimConfig) -> Self {
        let simulator = roost_simulator::start(config)
            .await
            .expect("the simulator starts");
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        let stage = Self { simulator, http };
        let carol = json!({ "id": CUSTOMER, "handle": "carol", "name": "Carol" });
        stage.post("/sim/accounts", &carol).await;
        stage
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.simulator.url())
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let answer = self
            .http
            .post(self.url(path))
            .json(body)
            .send()
            .await
            .expect("an answer");
        let status = answer.status();
        let text = answer.text().await.expect("a body");
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self
            .http
            .get(self.url(path))
            .send()
            .await
            .expect("an answer");
        answer.json().await.expect("JSON")
    }

    pub(crate) async fn keys(&self, account: &str) -> Keys {
        let keys = self
            .post(&format!("/sim/accounts/{account}/tokens"), &json!({}))
            .await;
        let text = |name: &str| keys[name].as_str().expect("text").to_owned();
        Keys {
            token: text("oauth_token"),
            secret: text("oauth_token_secret"),
            oauth2: text("oauth2_access_token"),
        }
    }

    pub(crate) async fn bearer(&self) -> String {
        self.get("/sim/app").await["bearer_token"]
            .as_str()
            .expect("text")
            .to_owned()
    }

    /// A signed call with an optional JSON body.
    pub(crate) async fn signed(
        &self,
        method: &str,
        path: &str,
        keys: &Keys,
        body: Option<Value>,
    ) -> reqwest::Response {
        let url = self.url(path);
        let header = authorization(method, &url, keys, &[]);
        let method = method.parse().expect("a method");
        let mut request = self
            .http
            .request(method, url)
            .header("authorization", header);
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.expect("an answer")
    }

    /// Sends a DM by v2.
    pub(crate) async fn send(&self, keys: &Keys, text: &str) -> reqwest::Response {
        let path = format!("/2/dm_conversations/with/{CUSTOMER}/messages");
        self.signed("POST", &path, keys, Some(json!({ "text": text })))
            .await
    }

    /// Registers the hook and subscribes the brand in the older envelope; gives the webhook's id.
    pub(crate) async fn subscribe(&self, hook: &Hook) -> String {
        let id = self.register(hook).await;
        let keys = self.keys("acme").await;
        let path = format!("/2/account_activity/webhooks/{id}/subscriptions/all");
        let answer = self.signed("POST", &path, &keys, Some(json!({}))).await;
        assert_eq!(answer.status(), 200);
        id
    }

    pub(crate) async fn register(&self, hook: &Hook) -> String {
        let request = self
            .http
            .post(self.url("/2/webhooks"))
            .bearer_auth(self.bearer().await);
        let answer = request
            .json(&json!({ "url": hook.url }))
            .send()
            .await
            .expect("an answer");
        let body: Value = answer.json().await.expect("JSON");
        body["data"]["id"]
            .as_str()
            .unwrap_or_else(|| panic!("{body}"))
            .to_owned()
    }

    pub(crate) async fn customer_writes(&self, text: &str) -> Value {
        self.post(
            "/sim/dms",
            &json!({ "from": "carol", "to": "acme", "text": text }),
        )
        .await["dm"]
            .clone()
    }

    pub(crate) async fn fault(&self, rule: Value) {
        self.post("/sim/faults", &rule).await;
    }

    /// How many messages the brand and the customer have.
    pub(crate) async fn dm_count(&self) -> usize {
        let dms = self.get("/sim/dms?a=acme&b=carol").await;
        dms["dms"].as_array().expect("an array").len()
    }
}

pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// An OAuth 1.0a header, with extra `oauth_*` parameters.
pub(crate) fn authorization(
    method: &str,
    url: &str,
    keys: &Keys,
    extra: &[(&str, &str)],
) -> String {
    static NONCE: AtomicU64 = AtomicU64::new(0);
    let nonce = format!("n{}", NONCE.fetch_add(1, Ordering::Relaxed));
    let now = jiff::Timestamp::now().as_second();
    authorization_at(method, url, keys, extra, &nonce, now)
}

pub(crate) fn authorization_at(
    method: &str,
    url: &str,
    keys: &Keys,
    extra: &[(&str, &str)],
    nonce: &str,
    timestamp: i64,
) -> String {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let timestamp = timestamp.to_string();
    let mut own = vec![
        ("oauth_consumer_key", KEY),
        ("oauth_nonce", nonce),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", timestamp.as_str()),
        ("oauth_version", "1.0"),
    ];
    if !keys.token.is_empty() {
        own.push(("oauth_token", keys.token.as_str()));
    }
    own.extend_from_slice(extra);
    let mut pairs: Vec<_> = own
        .iter()
        .map(|(k, v)| format!("{}={}", encode(k), encode(v)))
        .collect();
    // The tests' queries are encoded already.
    pairs.extend(
        query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(str::to_owned),
    );
    pairs.sort();
    let text = format!("{method}&{}&{}", encode(base), encode(&pairs.join("&")));
    let key = format!("{}&{}", encode(SECRET), encode(&keys.secret));
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(key.as_bytes()).expect("a key");
    mac.update(text.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    own.push(("oauth_signature", &signature));
    let fields: Vec<_> = own
        .iter()
        .map(|(k, v)| format!("{k}=\"{}\"", encode(v)))
        .collect();
    format!("OAuth {}", fields.join(", "))
}

/// One POST that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) signature: String,
    pub(crate) body: Vec<u8>,
    pub(crate) at: Instant,
}

impl Arrival {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// How the webhook answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manners {
    /// Statuses of the next POSTs; 200 after them.
    pub(crate) statuses: Vec<u16>,
    pub(crate) wrong_crc: bool,
    pub(crate) crc_status: Option<u16>,
}

/// A webhook that answers challenges and records what comes.
#[derive(Clone)]
pub(crate) struct Hook {
    pub(crate) url: String,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    manners: Arc<Mutex<Manners>>,
    pub(crate) challenges: Arc<AtomicU64>,
}

impl Hook {
    pub(crate) fn start() -> Self {
        let mut hook = Self {
            url: String::new(),
            arrivals: Arc::default(),
            manners: Arc::default(),
            challenges: Arc::default(),
        };
        let data = web::Data::new(hook.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .route("/hook", web::get().to(challenge))
                .route("/hook", web::post().to(receive))
        })
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .expect("a port");
        hook.url = format!("http://{}/hook", server.addrs()[0]);
        tokio::spawn(server.run());
        hook
    }

    pub(crate) fn behave(&self, manners: Manners) {
        *self.manners.lock().expect("a lock") = manners;
    }

    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.lock().expect("a lock").clone()
    }

    /// Waits for so many POSTs.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Arrival> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let arrivals = self.arrivals();
            if arrivals.len() >= count {
                return arrivals;
            }
            assert!(
                Instant::now() < deadline,
                "{} of {count} arrived",
                arrivals.len()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Lets what is under way arrive, then says what came.
    pub(crate) async fn settled(&self, stage: &Stage) -> Vec<Arrival> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let counts = stage.get("/sim/deliveries?limit=0").await["counts"].clone();
            if counts["pending"].as_u64().unwrap_or(0) == 0 {
                return self.arrivals();
            }
            assert!(Instant::now() < deadline, "{counts}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

pub(crate) fn sha256_token(message: &[u8]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key");
    mac.update(message);
    format!("sha256={}", STANDARD.encode(mac.finalize().into_bytes()))
}

async fn challenge(
    hook: web::Data<Hook>,
    query: web::Query<Vec<(String, String)>>,
) -> HttpResponse {
    hook.challenges.fetch_add(1, Ordering::Relaxed);
    let token = query
        .iter()
        .find(|(key, _)| key == "crc_token")
        .map(|(_, v)| v.clone());
    let manners = hook.manners.lock().expect("a lock").clone();
    if let Some(status) = manners.crc_status {
        return HttpResponse::build(status.try_into().expect("a status"))
            .insert_header(("location", "/elsewhere"))
            .finish();
    }
    let message = if manners.wrong_crc {
        "wrong".to_owned()
    } else {
        token.unwrap_or_default()
    };
    HttpResponse::Ok().json(json!({ "response_token": sha256_token(message.as_bytes()) }))
}

async fn receive(hook: web::Data<Hook>, req: HttpRequest, body: web::Bytes) -> HttpResponse {
    let header = req.headers().get("x-twitter-webhooks-signature");
    let signature = header
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let status = {
        let mut manners = hook.manners.lock().expect("a lock");
        if manners.statuses.is_empty() {
            200
        } else {
            manners.statuses.remove(0)
        }
    };
    let arrival = Arrival {
        signature,
        body: body.to_vec(),
        at: Instant::now(),
    };
    hook.arrivals.lock().expect("a lock").push(arrival);
    HttpResponse::build(status.try_into().expect("a status")).finish()
}
