//! The two routes: X's challenge and X's events.

use crate::accept::{self, Durable};
use crate::body;
use crate::metrics::Outcome;
use crate::role::State;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER};
use actix_web::web::{self, Data, Path, Payload, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use roost_platforms::AppSecrets;
use roost_platforms::x::signature::SignatureError;
use roost_platforms::x::split::SplitError;
use roost_platforms::x::{crc, signature, split};
use roost_service::RequestId;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// Seconds after which a platform may try again.
const RETRY_SECONDS: &str = "5";

pub(crate) fn configure(config: &mut ServiceConfig) {
    config.service(
        web::resource("/webhooks/x/{app}")
            .route(web::get().to(get_challenge))
            .route(web::post().to(post_webhook)),
    );
}

#[derive(Deserialize)]
struct Challenge {
    crc_token: Option<String>,
}

/// Answers from memory, whatever else is away (but for an app that isn't known yet): a webhook whose challenge fails
/// gets no more events.
async fn get_challenge(
    state: Data<State>,
    app: Path<String>,
    query: Result<Query<Challenge>, actix_web::Error>,
) -> HttpResponse {
    let Some(secrets) = state.apps.find(&app).await else {
        state.metrics.crc_refused();
        return HttpResponse::NotFound().finish();
    };
    let token = query.ok().and_then(|query| query.into_inner().crc_token);
    // What looks like anything but a token is refused: the page must not sign
    // event bodies for whoever asks.
    let answer = token.and_then(|token| crc::respond(&secrets.consumer_secret, &token).ok());
    match answer {
        Some(response_token) => {
            state.metrics.crc_answered();
            state.challenges.note(state.store.as_ref(), &app);
            HttpResponse::Ok()
                .insert_header((CACHE_CONTROL, "no-store"))
                .json(json!({ "response_token": response_token }))
        }
        None => {
            state.metrics.crc_refused();
            HttpResponse::BadRequest().finish()
        }
    }
}

/// 200 once every event is durable.
async fn post_webhook(
    state: Data<State>,
    app: Path<String>,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let request_id = RequestId::accept(header(RequestId::HEADER));
    let outcome = match body::read(&request, payload).await {
        Ok(raw) => accept(&state, &app, &request_id, &raw, header(signature::HEADER)).await,
        Err(outcome) => outcome,
    };
    state.metrics.webhook(outcome);
    tracing::debug!(request_id = request_id.as_str(), ?outcome, "webhook");
    answer(outcome)
        .insert_header((RequestId::HEADER, request_id.as_str()))
        .finish()
}

async fn accept(
    state: &State,
    app: &str,
    request_id: &RequestId,
    raw: &[u8],
    signed: Option<&str>,
) -> Outcome {
    let Some(secrets) = state.apps.find(app).await else {
        return Outcome::UnknownApp;
    };
    if let Err(error) = verify(state, app, secrets, raw, signed).await {
        tracing::info!(request_id = request_id.as_str(), app, %error, "webhook is refused");
        return Outcome::Unauthorized;
    }
    let events = match split::split(raw) {
        Ok(events) => events,
        Err(SplitError::NotJson) => return Outcome::NotJson,
        Err(SplitError::NotAnEvent | SplitError::TooManyEvents) => return Outcome::NotEvents,
    };
    let prepared = match accept::prepare(state, app, request_id, events) {
        Ok(prepared) => prepared,
        Err(error) => {
            tracing::error!(request_id = request_id.as_str(), %error, "cannot write envelope");
            return Outcome::NotEvents;
        }
    };
    match accept::make_durable(state, request_id, prepared).await {
        Ok(Durable::Published) => Outcome::Published,
        Ok(Durable::Spooled) => Outcome::Spooled,
        Err(error) => {
            tracing::error!(request_id = request_id.as_str(), %error, "webhook gets 503");
            Outcome::Unavailable
        }
    }
}

/// With the secrets that are known, else with newer ones: X may have begun to sign with a secret that
/// the brand told us a moment ago.
async fn verify(
    state: &State,
    app: &str,
    secrets: Arc<AppSecrets>,
    raw: &[u8],
    signed: Option<&str>,
) -> Result<(), SignatureError> {
    let Err(error) = signature::verify(&secrets, raw, signed) else {
        return Ok(());
    };
    match state.apps.find_newer(app, &secrets).await {
        Some(newer) => signature::verify(&newer, raw, signed),
        None => Err(error),
    }
}

fn answer(outcome: Outcome) -> HttpResponseBuilder {
    let status = match outcome {
        Outcome::Published | Outcome::Spooled => StatusCode::OK,
        Outcome::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Outcome::Unauthorized => StatusCode::UNAUTHORIZED,
        Outcome::UnknownApp => StatusCode::NOT_FOUND,
        Outcome::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Outcome::SlowBody => StatusCode::REQUEST_TIMEOUT,
        Outcome::BrokenBody | Outcome::NotJson | Outcome::NotEvents => StatusCode::BAD_REQUEST,
    };
    let mut response = HttpResponseBuilder::new(status);
    match outcome {
        Outcome::Unavailable => {
            response.insert_header((RETRY_AFTER, RETRY_SECONDS));
        }
        // The rest of the body is of no interest.
        Outcome::TooLarge | Outcome::SlowBody | Outcome::BrokenBody => {
            response.force_close();
        }
        Outcome::Published
        | Outcome::Spooled
        | Outcome::Unauthorized
        | Outcome::UnknownApp
        | Outcome::NotJson
        | Outcome::NotEvents => {}
    }
    response
}
