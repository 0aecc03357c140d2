//! Reading a webhook's raw bytes, with limits.
//!
//! No content decoding: the signature is over what X sent, and a compressed
//! body can blow up past any limit.

use crate::metrics::Outcome;
use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::Payload;
use futures_util::StreamExt as _;
use std::time::Duration;

/// Nine full-length DMs of escaped emoji pass 1 MiB.
pub(crate) const MAX_BODY: usize = 8 * 1024 * 1024;
/// The server's own time limit ends with the head, so the body has this one.
const READ_LIMIT: Duration = Duration::from_secs(5);

/// The whole body.
///
/// # Errors
/// [`Outcome::TooLarge`] without reading more than the limit,
/// [`Outcome::SlowBody`], or [`Outcome::BrokenBody`].
pub(crate) async fn read(request: &HttpRequest, payload: Payload) -> Result<Vec<u8>, Outcome> {
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BODY) {
        return Err(Outcome::TooLarge);
    }
    // No more is set aside on the client's word than an ordinary body needs.
    let room = announced.unwrap_or(0).min(64 * 1024);
    let reading = tokio::time::timeout(READ_LIMIT, collect(payload, room));
    reading.await.unwrap_or(Err(Outcome::SlowBody))
}

async fn collect(mut payload: Payload, room: usize) -> Result<Vec<u8>, Outcome> {
    let mut body = Vec::with_capacity(room);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Outcome::BrokenBody)?;
        if body.len() + chunk.len() > MAX_BODY {
            return Err(Outcome::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
