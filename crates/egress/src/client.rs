//! The HTTP client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::Resolve;
use reqwest::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING};
use reqwest::{Certificate, Method, redirect, retry};

use crate::error::SendError;
use crate::guard::{Guard, Reach};
use crate::resolver::{Checked, System};

/// Limits of a client.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Resolving, connecting and greeting by TLS, together.
    pub connect_timeout: Duration,
    /// The whole call, to the last byte of the answer.
    pub total_timeout: Duration,
    /// The longest answer, in bytes.
    pub max_body: usize,
    /// Authorities to trust besides the system's, each as PEM.
    pub extra_roots: Vec<Vec<u8>>,
    /// What the receiver sees as `User-Agent`.
    pub user_agent: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(15),
            max_body: 64 * 1024,
            extra_roots: Vec::new(),
            user_agent: concat!("Roost/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// The HTTP client can't be made: a certificate can't be read, or the system trusts nobody.
#[derive(Debug, thiserror::Error)]
#[error("cannot make an HTTP client")]
pub struct BuildError(#[from] reqwest::Error);

/// A call. `Debug` shows no body, no header and nothing of the URL but that there is one.
#[derive(Clone)]
pub struct Request {
    /// Such as `POST`.
    pub method: Method,
    /// As the user gave it.
    pub url: String,
    /// Those of the connection are ours: `Host`, `Connection` and what frames the body are dropped.
    pub headers: HeaderMap,
    /// May be empty.
    pub body: Vec<u8>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// An answer, read to its end.
#[derive(Clone)]
pub struct Answer {
    /// Such as 200; never a redirect.
    pub status: u16,
    /// Whatever the receiver says.
    pub headers: HeaderMap,
    /// Not decompressed.
    pub body: Vec<u8>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Calls addresses that users give. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    guard: Guard,
    public: reqwest::Client,
    /// For what isn't https at a usual port; none where the operator allows no network.
    allowed: Option<reqwest::Client>,
    max_body: usize,
}

impl Client {
    /// A client that asks the system's resolver.
    ///
    /// # Errors
    /// When the settings don't make a client.
    pub fn new(guard: Guard, settings: &Settings) -> Result<Self, BuildError> {
        Self::with_resolver(guard, settings, Arc::new(System))
    }

    /// A client that asks another resolver, whose answers are checked all the same.
    ///
    /// # Errors
    /// When the settings don't make a client.
    pub fn with_resolver(
        guard: Guard,
        settings: &Settings,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Self, BuildError> {
        let build = |reach: Reach| {
            let resolver = Checked {
                inner: Arc::clone(&resolver),
                guard: guard.clone(),
                reach,
            };
            http_client(settings, resolver)
        };
        Ok(Self {
            public: build(Reach::Public)?,
            allowed: guard
                .allows_networks()
                .then(|| build(Reach::Allowed))
                .transpose()?,
            guard,
            max_body: settings.max_body,
        })
    }

    /// The rules that this client obeys.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Calls, once. The name is resolved, every address it has is checked, and the connection goes to
    /// one of these; so a name that has changed since it was saved, or changes while it is called, leads
    /// nowhere else. Redirects are errors and proxies of the environment aren't used.
    ///
    /// # Errors
    /// When there is no whole answer; after [`SendError::TooLarge`], [`SendError::Redirect`], a time-out
    /// while answering or a broken connection the receiver may have acted on the request.
    pub async fn send(&self, request: Request) -> Result<Answer, SendError> {
        let (url, reach) = self.guard.check(&request.url).map_err(SendError::Refused)?;
        let http = match (reach, &self.allowed) {
            (Reach::Allowed, Some(allowed)) => allowed,
            (Reach::Allowed, None) | (Reach::Public, _) => &self.public,
        };
        let mut headers = request.headers;
        for ours in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(ours);
        }
        let response = http
            .request(request.method, url)
            .headers(headers)
            .body(request.body)
            .send()
            .await
            .map_err(SendError::from_http)?;
        let status = response.status();
        if status.is_redirection() && status.as_u16() != 304 {
            return Err(SendError::Redirect {
                status: status.as_u16(),
            });
        }
        self.read(response).await
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Answer, SendError> {
        let (status, limit) = (response.status().as_u16(), self.max_body);
        let too_large = SendError::TooLarge { status, limit };
        let announced = response.content_length().unwrap_or_default();
        if usize::try_from(announced).map_or(true, |length| length > limit) {
            return Err(too_large);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(SendError::from_http)? {
            if body.len() + chunk.len() > limit {
                return Err(too_large);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status,
            headers: std::mem::take(response.headers_mut()),
            body,
        })
    }
}

fn http_client(settings: &Settings, resolver: Checked) -> Result<reqwest::Client, BuildError> {
    let is_public = matches!(resolver.reach, Reach::Public);
    let roots = settings
        .extra_roots
        .iter()
        .map(|pem| Certificate::from_pem(pem))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(reqwest::Client::builder()
        .dns_resolver(Arc::new(resolver))
        .https_only(is_public)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .http1_only()
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.total_timeout)
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(4)
        .user_agent(&settings.user_agent)
        .tls_certs_merge(roots)
        .build()?)
}
