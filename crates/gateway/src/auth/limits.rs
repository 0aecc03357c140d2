//! How often one may ask.
//!
//! While Redis is away each process counts for itself at half the allowance: guessing gets slower,
//! never free.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use futures_util::future::join;
use roost_cache::{Decision, RateLimit};

use super::actor::Identity;
use super::{address, refresh};
use crate::app::App;
use crate::problem::{Code, Problem};

const MINUTE: Duration = Duration::from_secs(60);
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

fn a_minute(scope: &'static str, count: u32) -> RateLimit {
    RateLimit {
        scope,
        count,
        period: MINUTE,
        burst: count,
    }
}

/// The allowances that a request was counted on, for the head of its answer
/// (draft-ietf-httpapi-ratelimit-headers-10).
#[derive(Debug, Default)]
pub(super) struct Tally {
    taken: Vec<(RateLimit, Decision)>,
}

impl Tally {
    /// Takes one request from the allowances of who asks and of their brand. An office behind one
    /// address isn't counted by that.
    pub(super) async fn member(&mut self, app: &App, who: &Identity) -> Result<(), Problem> {
        let limits = app.config.limits;
        let own = a_minute("member", limits.member_per_minute);
        let of_brand = app.quotas.requests_per_minute(who.brand).await;
        let (brand, member) = (Some(who.brand.0), who.member.0.to_string());
        // An operator can free a brand of the limit.
        if of_brand == 0 {
            let own_left = app.cache.allow(&own, brand, &member, 1).await;
            self.taken.push((own, own_left));
            return self.verdict();
        }
        let all = a_minute("brand", of_brand);
        let (own_left, all_left) = join(
            app.cache.allow(&own, brand, &member, 1),
            app.cache.allow(&all, brand, "", 1),
        )
        .await;
        self.taken.extend([(own, own_left), (all, all_left)]);
        self.verdict()
    }

    /// Takes one request from the allowance of the caller's address.
    pub(super) async fn address(
        &mut self,
        app: &App,
        request: &HttpRequest,
    ) -> Result<(), Problem> {
        let limit = a_minute("address", app.config.limits.address_per_minute);
        let left = app.cache.allow(&limit, None, &from(app, request), 1).await;
        self.taken.push((limit, left));
        self.verdict()
    }

    fn verdict(&self) -> Result<(), Problem> {
        let refused = self.taken.iter().filter(|(_, left)| !left.allowed);
        match refused.map(|(_, left)| left.retry_after).max() {
            Some(wait) => Err(too_often(wait)),
            None => Ok(()),
        }
    }

    pub(super) fn show(&self, headers: &mut HeaderMap) {
        let policy = self.taken.iter().map(|(limit, _)| {
            let seconds = limit.period.as_secs();
            format!("\"{}\";q={};w={seconds}", limit.scope, limit.count)
        });
        let left = self.taken.iter().map(|(limit, left)| {
            let seconds = left.reset_after.as_secs_f64().ceil();
            format!("\"{}\";r={};t={seconds}", limit.scope, left.remaining)
        });
        let lines: [(_, Vec<String>); 2] = [
            ("ratelimit-policy", policy.collect()),
            ("ratelimit", left.collect()),
        ];
        for (name, items) in lines {
            if let Ok(value) = HeaderValue::from_str(&items.join(", "))
                && !items.is_empty()
            {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

fn too_often(wait: Duration) -> Problem {
    Problem::new(Code::RateLimited).retry_after(wait.as_secs() + 1)
}

/// Who shares the allowance of the caller's address.
fn from(app: &App, request: &HttpRequest) -> String {
    address::of(request, &app.config.public.trusted_proxies)
        .map(address::block)
        .unwrap_or_default()
}

/// Takes one try from the allowances of an account (by its e-mail address) and of the caller.
pub(crate) async fn sign_in(app: &App, request: &HttpRequest, email: &str) -> Result<(), Problem> {
    // Keys are shown by tools: none holds an address of a person.
    let account: String = refresh::hash(email)[..12]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    for (limit, key) in [(PER_ADDRESS, from(app, request)), (PER_ACCOUNT, account)] {
        let decision = app.cache.allow(&limit, None, &key, 1).await;
        if !decision.allowed {
            return Err(too_often(decision.retry_after));
        }
    }
    Ok(())
}
