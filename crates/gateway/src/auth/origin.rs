//! From which page a browser asks.

use actix_web::HttpRequest;
use actix_web::http::header::ORIGIN;

use crate::app::App;
use crate::problem::{Code, Problem};

/// Refuses what a foreign page makes a browser send along with our cookies. Programs, which send
/// neither header, pass.
pub(crate) fn check(request: &HttpRequest, app: &App) -> Result<(), Problem> {
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap_or("null"))
    };
    let refused = || Problem::new(Code::OriginRefused);
    if let Some(origin) = header(ORIGIN.as_str()) {
        return if is_ours(app, origin) {
            Ok(())
        } else {
            Err(refused())
        };
    }
    match header("sec-fetch-site") {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) => Err(refused()),
    }
}

/// As [`check`], where a browser always names the page: a WebSocket handshake.
pub(crate) fn check_present(request: &HttpRequest, app: &App) -> Result<(), Problem> {
    if request.headers().contains_key(ORIGIN) {
        check(request, app)
    } else {
        Ok(())
    }
}

/// Whether pages of this origin may act for our members.
fn is_ours(app: &App, origin: &str) -> bool {
    origin == origin_of(&app.config.public.url)
        || app
            .config
            .public
            .cors_origins
            .iter()
            .any(|ours| ours == origin)
}

/// Scheme, host and port of a URL.
fn origin_of(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..]
        .find('/')
        .map_or(url.len(), |at| after_scheme + at);
    &url[..end]
}

#[cfg(test)]
mod tests {
    use super::origin_of;

    #[test]
    fn a_path_is_no_part_of_an_origin() {
        assert_eq!(
            origin_of("https://roost.example/app"),
            "https://roost.example"
        );
        assert_eq!(origin_of("http://localhost:8080"), "http://localhost:8080");
    }
}
