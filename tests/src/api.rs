//! A member who works through the API, in verbs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::stream::Stream;
use crate::wait::until;

/// Longest wait for what should take a moment.
pub const SOON: Duration = Duration::from_secs(20);

/// A member with a session.
#[derive(Debug, Clone)]
pub struct Member {
    http: reqwest::Client,
    gateway: String,
    /// For signing in.
    pub email: String,
    password: String,
    token: Arc<Mutex<String>>,
    /// TypeID.
    pub id: String,
    /// TypeID of the brand.
    pub brand_id: String,
}

/// An answer of the API.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status; 0 when no answer came.
    pub status: u16,
    /// The body; null where there was none.
    pub body: Value,
    /// The `set-cookie` headers as a `cookie` header.
    pub cookies: String,
}

impl Answer {
    /// The body of a success.
    ///
    /// # Panics
    /// When it was none.
    pub fn ok(self) -> Value {
        assert!(
            (200..300).contains(&self.status),
            "{} {}",
            self.status,
            self.body
        );
        self.body
    }

    /// The code of a problem.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

async fn read(answer: reqwest::Result<reqwest::Response>) -> Answer {
    let Ok(answer) = answer else {
        return Answer {
            status: 0,
            body: Value::Null,
            cookies: String::new(),
        };
    };
    let status = answer.status().as_u16();
    let cookies = answer.headers().get_all("set-cookie").iter();
    let pairs =
        cookies.filter_map(|cookie| Some(cookie.to_str().ok()?.split(';').next()?.to_owned()));
    let cookies = pairs.collect::<Vec<_>>().join("; ");
    let body = answer.json().await.unwrap_or(Value::Null);
    Answer {
        status,
        body,
        cookies,
    }
}

impl Member {
    /// Signs a new brand up.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn sign_up(gateway: &str, brand_name: &str, email: &str, password: &str) -> Self {
        // An agent's client: no redirects, no proxy, an answer within what the API promises.
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        let account = json!({
            "brand_name": brand_name, "full_name": format!("Owner of {brand_name}"),
            "email": email, "password": password, "time_zone": "Europe/Berlin",
        });
        let answer = read(
            http.post(format!("{gateway}/v1/signup"))
                .json(&account)
                .send()
                .await,
        )
        .await
        .ok();
        let text = |value: &Value| {
            value
                .as_str()
                .unwrap_or_else(|| panic!("{answer}"))
                .to_owned()
        };
        Self {
            http,
            gateway: gateway.to_owned(),
            email: email.to_owned(),
            password: password.to_owned(),
            token: Arc::new(Mutex::new(text(&answer["access_token"]))),
            id: text(&answer["member"]["id"]),
            brand_id: text(&answer["brand"]["id"]),
        }
    }

    /// Signs a colleague in.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn sign_in(&self, email: &str, password: &str) -> Self {
        let mut member = Self {
            email: email.to_owned(),
            password: password.to_owned(),
            token: Arc::default(),
            ..self.clone()
        };
        let answer = member.new_session().await.ok();
        member.id = answer["member"]["id"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"))
            .to_owned();
        member
    }

    async fn new_session(&self) -> Answer {
        let credentials = json!({ "email": self.email, "password": self.password });
        let request = self
            .http
            .post(format!("{}/v1/sessions", self.gateway))
            .json(&credentials);
        let answer = read(request.send().await).await;
        if let Some(token) = answer.body["access_token"].as_str() {
            token.clone_into(&mut self.token.lock().unwrap());
        }
        answer
    }

    /// The access token at hand.
    ///
    /// # Panics
    /// Never: nobody panics while holding the lock.
    #[must_use]
    pub fn token(&self) -> String {
        self.token.lock().unwrap().clone()
    }

    /// Makes a request; an access token that ran out is replaced once.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.call_with(method, path, body, &[]).await
    }

    /// Makes a request with more headers.
    ///
    /// # Panics
    /// When the method is none.
    pub async fn call_with(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let make = || {
            let request = self
                .http
                .request(method.parse().unwrap(), format!("{}{path}", self.gateway));
            let request = headers
                .iter()
                .fold(request.bearer_auth(self.token()), |r, (k, v)| {
                    r.header(*k, *v)
                });
            body.map_or_else(
                || request.try_clone().unwrap(),
                |body| request.try_clone().unwrap().json(body),
            )
        };
        let answer = read(make().send().await).await;
        if answer.status == 401 && self.new_session().await.status < 300 {
            return read(make().send().await).await;
        }
        answer
    }

    /// Reads something that is there.
    ///
    /// # Panics
    /// When it isn't.
    pub async fn get(&self, path: &str) -> Value {
        self.call("GET", path, None).await.ok()
    }

    /// Connects an account of X through the approval page of the simulator; answers the channel.
    ///
    /// # Panics
    /// When a step is refused.
    pub async fn connect_x(&self, platform: &crate::platform::Platform, account_id: &str) -> Value {
        let begun = self
            .call("POST", "/v1/channels/x/connect", Some(&json!({})))
            .await;
        let cookies = begun.cookies.clone();
        let begun = begun.ok();
        let approval = begun["authorize_url"].as_str().unwrap();
        let token = approval
            .split(['?', '&'])
            .find_map(|part| part.strip_prefix("oauth_token="))
            .unwrap();
        let approved = json!({ "oauth_token": token, "account_id": account_id });
        let approved = platform.tell("POST", "/sim/oauth/approve", &approved).await;
        let back = approved["redirect_url"].as_str().unwrap();
        // The browser that began brings its cookie, and no token.
        let finished = read(self.http.get(back).header("cookie", cookies).send().await).await;
        assert!(
            (200..400).contains(&finished.status),
            "callback: {} {}",
            finished.status,
            finished.body
        );
        let channels = self.get("/v1/channels").await;
        let found = channels["data"]
            .as_array()
            .unwrap()
            .iter()
            .find(|channel| channel["account_id"] == account_id);
        let channel = found.unwrap_or_else(|| panic!("{channels}")).clone();
        assert_eq!(channel["status"], "active", "{channel}");
        channel
    }

    /// Opens a stream, which puts the member online.
    ///
    /// # Panics
    /// When the gateway refuses.
    pub async fn open_stream(&self, topics: &[&str]) -> Stream {
        let stream = Stream::open(&self.gateway, &self.token(), topics)
            .await
            .unwrap();
        until("the member to be online", SOON, || async {
            let members = self.call("GET", "/v1/members", None).await.body;
            let me = members["data"]
                .as_array()?
                .iter()
                .find(|member| member["id"] == self.id)?
                .clone();
            (me["presence"]["status"] == "online").then_some(())
        })
        .await;
        stream
    }

    /// Opens a stream once, whatever comes of it.
    pub async fn try_stream(&self, topics: &[&str]) -> Option<Stream> {
        if self.token().is_empty() || self.call("GET", "/v1/me", None).await.status == 0 {
            return None;
        }
        Stream::open(&self.gateway, &self.token(), topics).await
    }

    /// All conversations, newest first.
    ///
    /// # Panics
    /// When the list fails.
    pub async fn conversations(&self) -> Vec<Value> {
        self.pages("/v1/conversations?limit=200&sort=-opened_at")
            .await
    }

    /// All messages of a conversation, oldest first.
    ///
    /// # Panics
    /// When the list fails.
    pub async fn messages(&self, conversation: &str) -> Vec<Value> {
        self.pages(&format!(
            "/v1/conversations/{conversation}/messages?limit=200&order=asc"
        ))
        .await
    }

    /// All rows of a list; `path` ends in a query.
    ///
    /// # Panics
    /// When a page fails.
    pub async fn pages(&self, path: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut next = path.to_owned();
        loop {
            let page = self.get(&next).await;
            rows.extend(page["data"].as_array().unwrap().iter().cloned());
            let Some(cursor) = page["next_cursor"].as_str() else {
                return rows;
            };
            next = format!("{path}&cursor={cursor}");
        }
    }

    /// The one conversation with a customer, once it is there.
    pub async fn conversation_with(&self, handle: &str) -> Value {
        until("the conversation", SOON, || async {
            self.conversations()
                .await
                .into_iter()
                .find(|found| found["contact"]["handle"] == handle)
        })
        .await
    }

    /// Replies; answers the message.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn replies(&self, conversation: &str, text: &str) -> Value {
        let reply = json!({ "kind": "reply", "text": text });
        self.call(
            "POST",
            &format!("/v1/conversations/{conversation}/messages"),
            Some(&reply),
        )
        .await
        .ok()
    }

    /// Sets the status of a conversation; answers it.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn sets_status(&self, conversation: &str, status: &str) -> Value {
        let patch = json!({ "status": status });
        self.call(
            "PATCH",
            &format!("/v1/conversations/{conversation}"),
            Some(&patch),
        )
        .await
        .ok()
    }

    /// Waits until a message's delivery has one of these statuses; answers the message.
    pub async fn delivery_of(
        &self,
        message: &Value,
        statuses: &[&str],
        deadline: Duration,
    ) -> Value {
        let path = format!(
            "/v1/messages/{}",
            message["id"].as_str().unwrap_or_default()
        );
        until(
            &format!("the reply to be {statuses:?}"),
            deadline,
            || async {
                let message = self.call("GET", &path, None).await.body;
                let status = message["delivery"]["status"].as_str()?;
                statuses.contains(&status).then_some(message)
            },
        )
        .await
    }
}
