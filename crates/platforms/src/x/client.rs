//! Calls to X's API.
//!
//! Invariant: a request goes out at most once. There is no retry, no redirect and no proxy here, and
//! every failure says whether the request may have been written (`Broken`); the callers decide.

mod classify;
mod limits;
mod login;
mod lookup;
mod outcome;
mod receipts;
mod send;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Method, RequestBuilder, Url, redirect, retry};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

pub use limits::RateLimits;
pub use login::{AccessToken, Me, RequestToken};
pub use lookup::{RecentDms, SentDm};
pub use outcome::{ApiError, Refusal, RefusalCode, Retry, Scope, SendOutcome, SendReport};
pub use send::{Button, QuickReply, SendApi, SendOptions};

use super::oauth1;
use super::secrets::UserCredentials;

/// Answers of X are small; more than this is not read.
const MAX_REPLY_BYTES: usize = 1 << 20;

/// How long a call may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// DNS, TCP and TLS together. Failing within it is certain: nothing was sent.
    pub connect: Duration,
    /// The whole call, answer included.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            total: Duration::from_secs(15),
        }
    }
}

/// The client can't be made from its configuration.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The base URL isn't an absolute `http` or `https` URL.
    #[error("x api url is not an absolute http or https url")]
    BaseUrl,
    /// TLS or the like can't be set up.
    #[error("cannot set up the http client for x")]
    Http(#[source] reqwest::Error),
}

/// X's API as one of our apps. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub struct XClient {
    http: reqwest::Client,
    base: Url,
    consumer_key: Arc<str>,
    consumer_secret: SecretString,
}

impl XClient {
    /// A client for the API at `api_url` (`https://api.x.com`).
    ///
    /// # Errors
    /// [`ClientError`] when the URL is unusable or TLS can't be set up.
    pub fn new(
        api_url: &str,
        consumer_key: &str,
        consumer_secret: SecretString,
        timeouts: Timeouts,
    ) -> Result<Self, ClientError> {
        let base: Url = api_url.parse().map_err(|_| ClientError::BaseUrl)?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(ClientError::BaseUrl);
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("roost/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeouts.connect)
            .timeout(timeouts.total)
            // Shorter than any server's: a connection that the peer closes under a request leaves the
            // outcome unknown.
            .pool_idle_timeout(Duration::from_secs(10))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy()
            .build()
            .map_err(ClientError::Http)?;
        Ok(Self {
            http,
            base,
            consumer_key: consumer_key.into(),
            consumer_secret,
        })
    }

    /// The same API as another app; shares connections with this one.
    #[must_use]
    pub fn as_app(&self, consumer_key: &str, consumer_secret: SecretString) -> Self {
        Self {
            consumer_key: consumer_key.into(),
            consumer_secret,
            ..self.clone()
        }
    }

    async fn perform(&self, call: Call<'_>) -> Result<Reply, Broken> {
        Self::answer(self.request(call)?).await
    }

    async fn answer(request: RequestBuilder) -> Result<Reply, Broken> {
        let mut response = request.send().await.map_err(Broken::from_sending)?;
        let mut reply = Reply {
            status: response.status().as_u16(),
            limits: RateLimits::read(|name| response.headers().get(name)?.to_str().ok()),
            body: Vec::new(),
        };
        // The status decides; a body that breaks off is judged by what came of it.
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = MAX_REPLY_BYTES - reply.body.len();
            reply
                .body
                .extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() >= room {
                break;
            }
        }
        Ok(reply)
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Any `http` URL has a path; `new` accepts no other.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn request(&self, call: Call<'_>) -> Result<RequestBuilder, Broken> {
        let mut url = self.url(call.path);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        let authorization = match call.auth {
            Auth::App => self.sign(&call, &url, None)?,
            Auth::User(user) => self.sign(&call, &url, Some((&user.token, &user.secret)))?,
            Auth::Bearer(token) => format!("Bearer {}", token.expose_secret()),
        };
        let request = self
            .http
            .request(call.method, url)
            .header("authorization", authorization);
        Ok(match call.body {
            Body::None => request,
            Body::Json(value) => request.json(&value),
            Body::Form(fields) => request.form(fields),
        })
    }

    fn sign(
        &self,
        call: &Call<'_>,
        url: &Url,
        token: Option<(&SecretString, &SecretString)>,
    ) -> Result<String, Broken> {
        let mut nonce = [0_u8; 16];
        getrandom::fill(&mut nonce).map_err(|_| Broken::NotSent("no random numbers".to_owned()))?;
        let nonce = format!("{:032x}", u128::from_be_bytes(nonce));
        let form = match call.body {
            Body::Form(fields) => fields,
            Body::None | Body::Json(_) => &[],
        };
        let params: Vec<(&str, &str)> = call.oauth.iter().chain(form).copied().collect();
        let credentials = oauth1::Credentials {
            consumer_key: &self.consumer_key,
            consumer_secret: &self.consumer_secret,
            token,
        };
        let seconds = Timestamp::now().as_second();
        Ok(oauth1::authorization(
            call.method.as_str(),
            url,
            &params,
            &credentials,
            &nonce,
            seconds,
        ))
    }

    /// A call of which only a 2xx is a result.
    pub(super) async fn fetch(&self, call: Call<'_>) -> Result<Reply, ApiError> {
        Self::successful(self.perform(call).await?)
    }

    fn successful(reply: Reply) -> Result<Reply, ApiError> {
        if (200..300).contains(&reply.status) {
            return Ok(reply);
        }
        Err(classify::api_error(&reply, Timestamp::now()))
    }

    pub(super) async fn fetch_json(&self, call: Call<'_>) -> Result<Value, ApiError> {
        self.fetch(call).await?.json()
    }
}

/// How a request proves who it is from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Auth<'a> {
    /// OAuth 1.0a by the app alone.
    App,
    /// OAuth 1.0a by the app for an account.
    User(&'a UserCredentials),
    /// The app's own bearer token.
    Bearer(&'a SecretString),
}

#[derive(Debug, Clone)]
pub(super) enum Body<'a> {
    None,
    /// Not signed by OAuth 1.0a.
    Json(Value),
    Form(&'a [(&'a str, &'a str)]),
}

#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) path: &'a [&'a str],
    pub(super) query: &'a [(&'a str, &'a str)],
    /// Protocol parameters of the login calls.
    pub(super) oauth: &'a [(&'a str, &'a str)],
    pub(super) body: Body<'a>,
    pub(super) auth: Auth<'a>,
}

impl<'a> Call<'a> {
    pub(super) fn get(path: &'a [&'a str], auth: Auth<'a>) -> Self {
        Self {
            method: Method::GET,
            path,
            query: &[],
            oauth: &[],
            body: Body::None,
            auth,
        }
    }

    pub(super) fn post(path: &'a [&'a str], auth: Auth<'a>, body: Body<'a>) -> Self {
        Self {
            method: Method::POST,
            body,
            ..Self::get(path, auth)
        }
    }
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(super) struct Reply {
    status: u16,
    limits: Option<RateLimits>,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Result<Value, ApiError> {
        serde_json::from_slice(&self.body).map_err(|_| ApiError::Unexpected("json"))
    }
}

/// What X would make of a send that it answers with one of its codes; none for a code that doesn't say
/// whether the message was sent.
pub(crate) fn refusal_of(platform_code: i64, now: Timestamp) -> Option<Refusal> {
    let body = serde_json::json!({ "errors": [{ "code": platform_code, "message": "refused on request" }] });
    let reply = Reply {
        status: 403,
        limits: None,
        body: body.to_string().into_bytes(),
    };
    classify::refusal(&reply, now)
}

/// A call without an answer.
#[derive(Debug)]
enum Broken {
    /// Certain: not a byte of the request was written.
    NotSent(String),
    /// The request may have been written, and may have been obeyed.
    Lost(String),
}

impl Broken {
    fn from_sending(error: reqwest::Error) -> Self {
        let certain = error.is_connect() || error.is_builder();
        let detail = chain(&error.without_url());
        if certain {
            Self::NotSent(detail)
        } else {
            Self::Lost(detail)
        }
    }
}

/// An error and its causes in one line. They name no URL, for that holds ids of people.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text.chars().take(300).collect()
}
