//! From where somebody asks, as their list of sessions shows it.

use actix_web::HttpRequest;
use actix_web::http::header::USER_AGENT;
use roost_store::accounts::Place;

use super::address;
use crate::app::App;

/// Longest name of a browser that is kept, in characters.
const MAX_AGENT: usize = 300;

/// Address and browser of a request.
pub(crate) fn of(app: &App, request: &HttpRequest) -> Place {
    let agent = request.headers().get(USER_AGENT);
    let agent = agent.and_then(|agent| agent.to_str().ok());
    Place {
        address: address::of(request, &app.config.public.trusted_proxies)
            .map(|address| address.to_string()),
        user_agent: agent.map(|agent| agent.chars().take(MAX_AGENT).collect()),
    }
}
