//! The cookies that we set.

use actix_web::HttpRequest;
use actix_web::http::header::COOKIE;

/// Holds the refresh token. `__Host-`: only over TLS (or localhost), only for this host.
pub(crate) const REFRESH: &str = "__Host-roost_refresh";
/// Names a browser from which its person has signed in: strangers' failures don't slow it down.
pub(crate) const DEVICE: &str = "__Host-roost_device";
/// Ties a connection under way to the browser that began it.
pub(crate) const CONNECT: &str = "__Host-connect";

/// The value of a cookie of the request.
pub(crate) fn find(request: &HttpRequest, name: &str) -> Option<String> {
    request
        .headers()
        .get_all(COOKIE)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value.to_owned())
}

/// A `Set-Cookie` value that no script can read.
pub(crate) fn set(name: &str, value: &str, same_site: &str, max_age_seconds: i64) -> String {
    format!(
        "{name}={value}; Path=/; Secure; HttpOnly; SameSite={same_site}; Max-Age={max_age_seconds}"
    )
}
