//! How often one may try.
//!
//! While Redis is away each process counts for itself at half the allowance: guessing gets slower,
//! never free.

use std::time::Duration;

use actix_web::HttpRequest;
use roost_cache::RateLimit;

use super::refresh;
use crate::app::App;
use crate::problem::{Code, Problem};

const MINUTES_5: Duration = Duration::from_secs(300);
/// Tries at one account, whoever makes them.
const PER_ACCOUNT: RateLimit = RateLimit {
    scope: "sign_in.account",
    count: 30,
    period: MINUTES_5,
    burst: 30,
};
/// Tries from one address: an office shares it.
const PER_ADDRESS: RateLimit = RateLimit {
    scope: "sign_in.address",
    count: 300,
    period: MINUTES_5,
    burst: 300,
};

/// Takes one try from the allowances of an account (by its e-mail address) and of the caller.
pub(crate) async fn sign_in(app: &App, request: &HttpRequest, email: &str) -> Result<(), Problem> {
    let address = request
        .peer_addr()
        .map(|peer| peer.ip().to_string())
        .unwrap_or_default();
    // Keys are shown by tools: none holds an address of a person.
    let account: String = refresh::hash(email)[..12]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    for (limit, key) in [(PER_ADDRESS, address), (PER_ACCOUNT, account)] {
        let decision = app.cache.allow(&limit, None, &key, 1).await;
        if !decision.allowed {
            let seconds = decision.retry_after.as_secs() + 1;
            return Err(Problem::new(Code::RateLimited).retry_after(seconds));
        }
    }
    Ok(())
}
