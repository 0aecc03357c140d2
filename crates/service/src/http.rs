//! The edge that every HTTP server of ours shares: limits on heads and
//! connections, time limits, graceful stop.

use crate::Shutdown;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse};
use std::time::Duration;

/// Longest request line plus headers, in bytes.
pub const MAX_HEAD_BYTES: usize = 32 * 1024;
/// Time in which a client must have sent its head.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle time after which a kept connection is closed.
pub const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Connections that one worker thread holds at most.
pub const MAX_CONNECTIONS: usize = 10_000;

/// Applies the shared limits to a server and stops it on `shutdown`: no new
/// connections, what is under way gets `grace`, then it is dropped.
#[macro_export]
macro_rules! hardened {
    ($server:expr, $shutdown:expr, $grace:expr) => {{
        let shutdown: $crate::Shutdown = $shutdown;
        let grace: ::std::time::Duration = $grace;
        $server
            .client_request_timeout($crate::http::HEAD_TIMEOUT)
            .keep_alive($crate::http::KEEP_ALIVE)
            .max_connections($crate::http::MAX_CONNECTIONS)
            .shutdown_timeout(grace.as_secs().max(1))
            .shutdown_signal($crate::http::stop_signal(shutdown))
    }};
}

/// An owned future for actix's `shutdown_signal`.
pub async fn stop_signal(shutdown: Shutdown) {
    shutdown.triggered().await;
}

/// Middleware: a head over [`MAX_HEAD_BYTES`] is answered 431.
///
/// actix itself stops reading at 128 KiB; this is the tighter limit.
///
/// # Errors
/// Only those of the inner service.
pub async fn limit_head(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let head: usize = request
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum::<usize>()
        + request.uri().to_string().len();
    if head > MAX_HEAD_BYTES {
        let answer = HttpResponse::RequestHeaderFieldsTooLarge()
            .force_close()
            .finish();
        return Ok(request.into_response(answer));
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}
