//! The stand-in for X, from behind its stage: accounts, customers who write, what they see, and bad
//! days.

use std::time::Duration;

use serde_json::{Value, json};

use crate::wait::until;

/// The simulator of one test.
#[derive(Debug, Clone)]
pub struct Platform {
    http: reqwest::Client,
    url: String,
}

/// A person at X.
#[derive(Debug, Clone)]
pub struct Customer {
    platform: Platform,
    /// The numeric account id.
    pub id: String,
    /// Without `@`.
    pub handle: String,
}

impl Platform {
    pub(crate) fn new(url: String) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, url }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks it something.
    ///
    /// # Panics
    /// When it doesn't answer with JSON and a 2xx.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self
            .http
            .get(format!("{}{path}", self.url))
            .send()
            .await
            .unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "GET {path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Tells it something.
    ///
    /// # Panics
    /// When it doesn't answer with JSON and a 2xx.
    pub async fn tell(&self, method: &str, path: &str, body: &Value) -> Value {
        let request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.url));
        let answer = request.json(body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Makes a brand's account; answers its id.
    ///
    /// # Panics
    /// When the handle is taken.
    pub async fn brand_account(&self, handle: &str, id: Option<&str>) -> String {
        let mut account = json!({ "handle": handle, "name": handle, "brand": true });
        if let Some(id) = id {
            account["id"] = json!(id);
        }
        let account = self.tell("POST", "/sim/accounts", &account).await;
        account["id"].as_str().unwrap().to_owned()
    }

    /// Makes a customer.
    ///
    /// # Panics
    /// When the handle is taken.
    pub async fn customer(&self, handle: &str) -> Customer {
        self.customer_with(json!({ "handle": handle, "name": format!("Customer {handle}") }))
            .await
    }

    /// Makes a customer with a chosen account id.
    ///
    /// # Panics
    /// When handle or id are taken.
    pub async fn customer_of(&self, id: &str, handle: &str) -> Customer {
        self.customer_with(
            json!({ "id": id, "handle": handle, "name": format!("Customer {handle}") }),
        )
        .await
    }

    async fn customer_with(&self, account: Value) -> Customer {
        let made = self.tell("POST", "/sim/accounts", &account).await;
        Customer {
            platform: self.clone(),
            id: made["id"].as_str().unwrap().to_owned(),
            handle: made["handle"].as_str().unwrap().to_owned(),
        }
    }

    /// Adds a rule of a bad day.
    pub async fn fault(&self, rule: Value) {
        self.tell("POST", "/sim/faults", &rule).await;
    }

    /// Good weather again.
    pub async fn clear_faults(&self) {
        self.tell("DELETE", "/sim/faults", &json!({})).await;
    }

    /// Calls to its send endpoints so far.
    ///
    /// # Panics
    /// When it answers nonsense.
    pub async fn sends(&self) -> Vec<Value> {
        self.get("/sim/sends").await["sends"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// All messages between two accounts, oldest first.
    ///
    /// # Panics
    /// When it answers nonsense.
    pub async fn between(&self, a: &str, b: &str) -> Vec<Value> {
        let dms = self
            .get(&format!("/sim/dms?a={a}&b={b}&limit=100000"))
            .await;
        dms["dms"].as_array().unwrap().clone()
    }

    /// Waits until no delivery is on its way.
    pub async fn settled(&self) {
        until(
            "all deliveries of the simulator",
            Duration::from_secs(30),
            || async {
                let counts = self.get("/sim/deliveries?limit=0").await["counts"].clone();
                (counts["pending"].as_u64().unwrap_or(0) == 0).then_some(())
            },
        )
        .await;
    }
}

impl Customer {
    /// Writes to an account (its id or handle); answers the platform's event id.
    ///
    /// # Panics
    /// When the platform refuses.
    pub async fn writes(&self, to: &str, text: &str) -> String {
        self.writes_with(to, text, json!({})).await
    }

    /// Writes with more fields of the simulator's `POST /sim/dms`, such as `envelope` or `photo`.
    ///
    /// # Panics
    /// When the platform refuses.
    pub async fn writes_with(&self, to: &str, text: &str, more: Value) -> String {
        let mut body = json!({ "from": self.id, "to": to, "text": text });
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        let written = self.platform.tell("POST", "/sim/dms", &body).await;
        written["dm"]["id"].as_str().unwrap().to_owned()
    }

    /// Is seen typing.
    pub async fn types_to(&self, to: &str) {
        self.platform
            .tell("POST", "/sim/typing", &json!({ "from": self.id, "to": to }))
            .await;
    }

    /// Reads all that the account wrote.
    pub async fn reads(&self, author: &str) {
        self.platform
            .tell(
                "POST",
                "/sim/read",
                &json!({ "from": self.id, "to": author }),
            )
            .await;
    }

    /// Texts that an account (by its id) sent to this customer, oldest first.
    ///
    /// # Panics
    /// When the simulator answers nonsense.
    pub async fn texts_from(&self, account: &str) -> Vec<String> {
        let dms = self.platform.between(account, &self.id).await;
        let own = dms.iter().filter(|dm| dm["from"] == account);
        own.map(|dm| dm["text"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Changes the account, such as `{"inbox": "closed"}`.
    pub async fn becomes(&self, patch: Value) {
        self.platform
            .tell("PATCH", &format!("/sim/accounts/{}", self.id), &patch)
            .await;
    }
}
