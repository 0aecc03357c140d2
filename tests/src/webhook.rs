//! A sender of webhooks with a signature of its own making, so that the ingester is not checked by
//! the code that it checks with.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

/// What X allows for an answer.
const TIME_OUT: Duration = Duration::from_secs(10);

/// Posts to one webhook.
#[derive(Debug, Clone)]
pub struct Webhook {
    http: reqwest::Client,
    url: String,
    secret: String,
}

/// A message as the payload carries it.
#[derive(Debug, Clone)]
pub struct Dm {
    /// The platform's id; orders messages of one millisecond.
    pub id: i64,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// Account id of the sender.
    pub from: String,
    /// Account id of the recipient.
    pub to: String,
    /// What it says.
    pub text: String,
}

impl Dm {
    /// The element of `direct_message_events`.
    #[must_use]
    pub fn element(&self) -> Value {
        json!({
            "type": "message_create",
            "id": self.id.to_string(),
            "created_timestamp": self.at_ms.to_string(),
            "message_create": {
                "target": { "recipient_id": self.to },
                "sender_id": self.from,
                "message_data": {
                    "text": self.text,
                    "entities": { "hashtags": [], "symbols": [], "user_mentions": [], "urls": [] },
                },
            },
        })
    }

    /// An Account Activity body that brings it to its recipient.
    #[must_use]
    pub fn body(&self) -> Value {
        json!({
            "for_user_id": self.to,
            "direct_message_events": [self.element()],
            "users": {
                &self.from: { "id": self.from, "name": format!("Customer {}", self.from),
                    "screen_name": format!("c{}", self.from), "profile_image_url_https": "https://example.com/c.png" },
                &self.to: { "id": self.to, "name": "Brand", "screen_name": "brand" },
            },
        })
    }
}

impl Webhook {
    pub(crate) fn new(url: String, secret: String) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(TIME_OUT)
            .build()
            .unwrap();
        Self { http, url, secret }
    }

    /// The value of the signature header for these bytes.
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length.
    #[must_use]
    pub fn signature(&self, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).unwrap();
        mac.update(body);
        format!("sha256={}", STANDARD.encode(mac.finalize().into_bytes()))
    }

    /// Posts bytes with this signature header, or none; answers the status, or none when no answer came.
    pub async fn post_with(
        &self,
        body: Vec<u8>,
        signature: Option<&str>,
        request_id: Option<&str>,
    ) -> Option<u16> {
        let mut request = self
            .http
            .post(&self.url)
            .header("content-type", "application/json");
        if let Some(signature) = signature {
            request = request.header("x-twitter-webhooks-signature", signature);
        }
        if let Some(request_id) = request_id {
            request = request.header("x-request-id", request_id);
        }
        let answer = request.body(body).send().await.ok()?;
        Some(answer.status().as_u16())
    }

    /// Posts bytes with the right signature; answers the status.
    ///
    /// # Panics
    /// When no answer comes.
    pub async fn post_bytes(&self, body: impl Into<Vec<u8>>) -> u16 {
        let body = body.into();
        let signature = self.signature(&body);
        self.post_with(body, Some(&signature), None)
            .await
            .expect("the webhook answers")
    }

    /// Posts a document with the right signature; answers the status.
    ///
    /// # Panics
    /// When no answer comes.
    pub async fn post(&self, body: &Value) -> u16 {
        self.post_bytes(body.to_string()).await
    }

    /// Asks the challenge; answers status and body.
    ///
    /// # Panics
    /// When no answer comes.
    pub async fn challenge(&self, token: &str) -> (u16, String) {
        let answer = self
            .http
            .get(&self.url)
            .query(&[("crc_token", token)])
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}
