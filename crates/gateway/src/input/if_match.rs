//! `If-Match`: a change only if nothing else has changed since.

use actix_web::HttpRequest;
use actix_web::http::header::IF_MATCH;

use crate::problem::{Code, Problem};

/// The version of an `If-Match` header; none where it is missing or `*`.
pub(crate) fn if_match(request: &HttpRequest) -> Result<Option<i64>, Problem> {
    let Some(value) = request.headers().get(IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let version = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    version
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or_else(|| {
            Problem::with(
                Code::InvalidRequest,
                "If-Match must be an ETag of this address",
            )
        })
}
