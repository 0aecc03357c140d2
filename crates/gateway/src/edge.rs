//! What happens to every request before its handler and to every answer after it.

use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpResponse, web};
use roost_service::RequestId;

use crate::app::App;
use crate::problem::{Code, Problem};

/// Gives the request its id, measures it, answers preflights, and makes every error a problem.
///
/// # Errors
/// None: every error has become an answer.
pub(crate) async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let inbound = request
        .headers()
        .get(RequestId::HEADER)
        .and_then(|id| id.to_str().ok());
    let id = RequestId::accept(inbound);
    request.extensions_mut().insert(id.clone());
    let app = request.app_data::<web::Data<App>>().cloned();
    let origin = request.headers().get(header::ORIGIN).cloned();
    let is_preflight = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight {
        request.into_response(HttpResponse::NoContent().finish())
    } else {
        // The request must not be cloned here: routing takes it apart.
        next.call(request).await?.map_into_boxed_body()
    };
    if let Some(mut problem) = problem_of(&response, &id) {
        // What the gate has said of the allowances goes with every answer.
        for name in ["ratelimit", "ratelimit-policy"] {
            let name = HeaderName::from_static(name);
            if let Some(value) = response.headers().get(&name) {
                problem.headers_mut().insert(name, value.clone());
            }
        }
        response = response.into_response(problem);
    }
    let headers = response.headers_mut();
    harden(headers);
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        headers.insert(HeaderName::from_static(RequestId::HEADER), value);
    }
    if let Some(app) = app {
        if let Some(origin) = origin.filter(|origin| allows(&app, origin)) {
            share(response.headers_mut(), origin, is_preflight);
        }
        let route = response
            .request()
            .match_pattern()
            .unwrap_or_else(|| "none".to_owned());
        let class = format!("{}xx", response.status().as_u16() / 100);
        app.metrics
            .requests
            .with_label_values(&[route.as_str(), class.as_str()])
            .inc();
        app.metrics
            .seconds
            .with_label_values(&[&route])
            .observe(started.elapsed().as_secs_f64());
    }
    Ok(response)
}

/// The problem behind an error answer, logged once if it is ours.
fn problem_of(response: &ServiceResponse<BoxBody>, id: &RequestId) -> Option<HttpResponse> {
    if response.status().as_u16() < 400 {
        return None;
    }
    let error = response.response().error()?;
    let known = error.as_error::<Problem>();
    let foreign = known.is_none().then(|| of_actix(response.status(), error));
    let problem = known.or(foreign.as_ref())?;
    if let Some(cause) = problem.cause() {
        let route = response.request().match_pattern().unwrap_or_default();
        if problem.code() == Code::Internal {
            tracing::error!(request_id = %id, route, cause, "request failed");
        } else {
            tracing::warn!(request_id = %id, route, code = problem.code().as_str(), cause, "request failed");
        }
    }
    Some(problem.response(Some(id.as_str())))
}

fn of_actix(status: StatusCode, error: &Error) -> Problem {
    match status.as_u16() {
        404 => Problem::not_found(),
        405 => Problem::new(Code::MethodNotAllowed),
        408 => Problem::new(Code::RequestTimeout),
        413 => Problem::new(Code::BodyTooLarge),
        400..=499 => Problem::with(Code::InvalidRequest, error.to_string()),
        _ => Problem::caused(Code::Internal, error),
    }
}

/// Nothing here is a page with scripts, whatever a browser is told, unless the handler says otherwise.
fn harden(headers: &mut HeaderMap) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        (
            "content-security-policy",
            "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        (
            "permissions-policy",
            "camera=(), microphone=(), geolocation=()",
        ),
        (
            "strict-transport-security",
            "max-age=31536000; includeSubDomains",
        ),
    ] {
        let name = HeaderName::from_static(name);
        // A page with scripts of ours brings its own policy.
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

fn allows(app: &App, origin: &HeaderValue) -> bool {
    app.config
        .public
        .cors_origins
        .iter()
        .any(|allowed| origin.as_bytes() == allowed.as_bytes())
}

fn share(headers: &mut HeaderMap, origin: HeaderValue, is_preflight: bool) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "etag, x-request-id, retry-after, ratelimit, ratelimit-policy, idempotency-replayed",
        ),
    );
    if is_preflight {
        for (name, value) in [
            (
                header::ACCESS_CONTROL_ALLOW_METHODS,
                "GET, POST, PUT, PATCH, DELETE",
            ),
            (
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                "authorization, content-type, if-match, idempotency-key, x-request-id",
            ),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}
