//! Any body, signed, to a webhook: for inputs that the simulator itself would never send.

use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::ServiceConfig;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use crate::call::{Answer, Call, later, resource};
use crate::crc::{brief, sign};
use crate::error::ApiError;
use crate::ids::WebhookId;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inject {
    /// Absent = the first webhook.
    #[serde(default)]
    webhook_id: Option<WebhookId>,
    /// An address instead of a registered webhook.
    #[serde(default)]
    url: Option<String>,
    /// The exact bytes as text …
    #[serde(default)]
    body: Option<String>,
    /// … or as base64.
    #[serde(default)]
    body_base64: Option<String>,
    /// Sent instead of the right signature; empty = no header at all.
    #[serde(default)]
    signature: Option<String>,
}

pub(super) fn routes(routes: &mut ServiceConfig) {
    routes.service(resource("/sim/inject").route(later(Method::POST, inject)));
}

async fn inject(call: Call) -> Answer {
    let wish: Inject = call.json()?;
    let url = target(&call, &wish)?;
    let bytes = match (wish.body, wish.body_base64) {
        (Some(text), None) => text.into_bytes(),
        (None, Some(base64)) => STANDARD
            .decode(base64)
            .map_err(|_| ApiError::invalid_request("body_base64 is no base64"))?,
        _ => {
            return Err(ApiError::invalid_request(
                "give one of body and body_base64",
            ));
        }
    };
    let right = || sign(&call.sim.config.consumer_secret, &bytes);
    let signature = wish.signature.unwrap_or_else(right);
    let mut request = call
        .sim
        .http
        .post(url)
        .header("content-type", "application/json")
        .timeout(call.sim.config.delivery_timeout());
    if !signature.is_empty() {
        request = request.header("x-twitter-webhooks-signature", signature);
    }
    let clock = Instant::now();
    let outcome = request.body(bytes).send().await;
    let latency_ms = u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX);
    let answer = match outcome {
        Ok(answer) => json!({
            "status": answer.status().as_u16(),
            "latency_ms": latency_ms,
            "body": answer.text().await.unwrap_or_default(),
        }),
        Err(error) => json!({ "status": null, "latency_ms": latency_ms, "error": brief(&error) }),
    };
    Ok(HttpResponse::Ok().json(answer))
}

fn target(call: &Call, wish: &Inject) -> Result<String, ApiError> {
    if let Some(url) = &wish.url {
        return Ok(url.clone());
    }
    let world = call.sim.read();
    let webhook = match wish.webhook_id {
        Some(id) => world.webhooks.get(&id),
        None => world.webhooks.values().next(),
    };
    let missing = || ApiError::not_found(34, "there is no such webhook");
    webhook
        .map(|webhook| webhook.url.clone())
        .ok_or_else(missing)
}
