//! How often one may ask.
//!
//! While Redis is away each process counts for itself at half the allowance: guessing gets slower,
//! never free.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use futures_util::future::join;
use roost_cache::{Decision, RateLimit};
use roost_domain::ids::UserId;
use roost_store::accounts::tries;
use uuid::Uuid;

use super::actor::Identity;
use super::{address, cookies, refresh};
use crate::app::App;
use crate::problem::{Code, Problem};

/// 256 bits as text.
const DEVICE_LENGTH: usize = 43;
/// How long a browser is remembered: 180 days.
const DEVICE_SECONDS: i64 = 180 * 86_400;
const MINUTE: Duration = Duration::from_secs(60);
const MINUTES_5: Duration = Duration::from_secs(300);
/// What strangers may ask of accounts from one address: an office shares it.
const PER_ADDRESS: RateLimit = RateLimit {
    scope: "sign_in.address",
    count: 300,
    period: MINUTES_5,
    burst: 300,
};

/// Brands that one address may make: each also sends a mail to whoever it names.
const SIGN_UPS: RateLimit = RateLimit {
    scope: "sign_up.address",
    count: 30,
    period: Duration::from_secs(3600),
    burst: 30,
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

/// Takes one request about an account from the allowance of a stranger's address.
pub(crate) async fn stranger(app: &App, request: &HttpRequest) -> Result<(), Problem> {
    take(app, request, &PER_ADDRESS).await
}

/// Takes one new brand from the allowance of an address.
pub(crate) async fn sign_up(app: &App, request: &HttpRequest) -> Result<(), Problem> {
    take(app, request, &SIGN_UPS).await
}

async fn take(app: &App, request: &HttpRequest, limit: &RateLimit) -> Result<(), Problem> {
    let decision = app.cache.allow(limit, None, &from(app, request), 1).await;
    if decision.allowed {
        Ok(())
    } else {
        Err(too_often(decision.retry_after))
    }
}

/// A try at a password or code.
///
/// After five that failed, each costs the account a longer pause, and so it does the address. Whoever
/// comes from a browser or an address where the person has signed in before is counted there alone: a
/// stranger can slow down strangers, never the person. The counts are in PostgreSQL, so that nobody
/// gets free tries while Redis is away.
#[derive(Debug)]
pub(crate) struct Try {
    account: Vec<u8>,
    /// None where the address isn't counted.
    address: Option<Vec<u8>>,
}

impl Try {
    /// At the account with a mail address, by somebody unknown yet.
    pub(crate) async fn at(app: &App, request: &HttpRequest, email: &str) -> Result<Self, Problem> {
        stranger(app, request).await?;
        let here = here(app, request);
        let device = cookies::find(request, cookies::DEVICE);
        let mut places: Vec<Vec<u8>> = device.as_deref().map(device_hash).into_iter().collect();
        places.push(here.clone());
        let of = email.to_owned();
        let known = app.store.system(move |tx| {
            Box::pin(async move { tries::known_place(tx.conn(), &of, &places).await })
        });
        let known = known.await?;
        let mut account = format!("account:{email}").into_bytes();
        account.extend(known.iter().flatten());
        let own = Self {
            account: refresh::hash_bytes(&account),
            address: known.is_none().then_some(here),
        };
        own.count(app).await
    }

    /// At the password of somebody who is signed in: a stolen session can't guess it.
    pub(crate) async fn within(app: &App, session: Uuid) -> Result<Self, Problem> {
        let own = Self {
            account: refresh::hash(&format!("session:{session}")),
            address: None,
        };
        own.count(app).await
    }

    async fn count(self, app: &App) -> Result<Self, Problem> {
        let account = self.account.clone();
        let address = self.address.clone().unwrap_or_else(|| account.clone());
        let wait = app.store.system(move |tx| {
            Box::pin(async move { tries::begin(tx.conn(), &account, &address).await })
        });
        match wait.await? {
            None => Ok(self),
            Some(wait) => Err(too_often(wait)),
        }
    }

    /// It failed.
    pub(crate) async fn failed(self, app: &App) -> Result<(), Problem> {
        if let Some(address) = self.address {
            app.store
                .system(move |tx| Box::pin(async move { tries::failed(tx.conn(), &address).await }))
                .await?;
        }
        Ok(())
    }

    /// It didn't fail.
    pub(crate) async fn succeeded(self, app: &App) -> Result<(), Problem> {
        let account = self.account;
        app.store
            .system(move |tx| Box::pin(async move { tries::forgive(tx.conn(), &account).await }))
            .await?;
        Ok(())
    }
}

/// From here on the person is known at this address and in this browser; answers the cookie for it.
pub(crate) async fn remember(
    app: &App,
    request: &HttpRequest,
    user: UserId,
) -> Result<String, Problem> {
    let device = match cookies::find(request, cookies::DEVICE) {
        Some(device) if device.len() == DEVICE_LENGTH => device,
        Some(_) | None => refresh::random()?,
    };
    let places = vec![device_hash(&device), here(app, request)];
    app.store
        .system(move |tx| Box::pin(async move { tries::remember(tx.conn(), user, &places).await }))
        .await?;
    Ok(cookies::set(
        cookies::DEVICE,
        &device,
        "Strict",
        DEVICE_SECONDS,
    ))
}

fn here(app: &App, request: &HttpRequest) -> Vec<u8> {
    refresh::hash(&format!("address:{}", from(app, request)))
}

fn device_hash(device: &str) -> Vec<u8> {
    refresh::hash(&format!("device:{device}"))
}
