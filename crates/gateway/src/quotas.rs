//! Whether a brand may have one more of something, and how often it may ask.

use std::time::Duration;

use roost_domain::ids::BrandId;
use roost_service::config::Limits as Settings;
use roost_store::routes::Account;
use roost_store::usage::{self, Limits};
use roost_store::{BrandTx, Store, brands};
use serde_json::json;

use crate::auth::Fresh;
use crate::problem::{Code, Problem};

/// How old a brand's request limit may be here.
const MAX_AGE: Duration = Duration::from_secs(10);

/// The install's limits for brands that have none of their own.
pub(crate) fn defaults(settings: &Settings) -> Limits {
    Limits {
        members: settings.brand_members,
        channels: settings.brand_channels,
        messages_per_month: settings.brand_messages_per_month,
        requests_per_minute: settings.brand_per_minute,
    }
}

/// Limits of requests, which every request needs.
#[derive(Debug)]
pub(crate) struct Quotas {
    store: Store,
    pub(crate) defaults: Limits,
    requests: Fresh<BrandId, u32>,
}

impl Quotas {
    pub(crate) fn new(store: Store, settings: &Settings) -> Self {
        Self {
            store,
            defaults: defaults(settings),
            requests: Fresh::aged(MAX_AGE),
        }
    }

    /// How many requests a brand may make in a minute; 0 is no limit. While the database is away, the
    /// default holds.
    pub(crate) async fn requests_per_minute(&self, brand: BrandId) -> u32 {
        if let Some(known) = self.requests.get(&brand) {
            return known;
        }
        let defaults = self.defaults;
        let limits = self
            .store
            .brand(brand, move |tx| {
                Box::pin(async move { usage::limits(tx, &defaults).await })
            })
            .await;
        let limit = limits.map_or(defaults.requests_per_minute, |limits| {
            limits.requests_per_minute
        });
        self.requests.put([(brand, limit)]);
        limit
    }
}

/// Refuses where there is no room for one more active person. Until the commit nobody else is told that
/// there is.
pub(crate) async fn require_seat(tx: &mut BrandTx, defaults: &Limits) -> Result<(), Problem> {
    let limit = usage::limits(tx, defaults).await?.members;
    if limit == 0 {
        return Ok(());
    }
    brands::take_turns(tx).await?;
    judge("members", limit, usage::members(tx).await?)
}

/// Refuses where there is no room for this account; one that is connected already needs none.
pub(crate) async fn require_channel(
    tx: &mut BrandTx,
    defaults: &Limits,
    account: &Account,
) -> Result<(), Problem> {
    let limit = usage::limits(tx, defaults).await?.channels;
    if limit == 0 {
        return Ok(());
    }
    brands::take_turns(tx).await?;
    judge("channels", limit, usage::channels(tx, Some(account)).await?)
}

/// Refuses a reply where the month's messages are used up. Some may slip through that are written at
/// the same time; what customers write is never refused.
pub(crate) async fn require_message(tx: &mut BrandTx, defaults: &Limits) -> Result<(), Problem> {
    let limit = usage::limits(tx, defaults).await?.messages_per_month;
    if limit == 0 {
        return Ok(());
    }
    judge("messages_per_month", limit, usage::messages(tx).await?.0)
}

fn judge(name: &str, limit: u32, used: i64) -> Result<(), Problem> {
    if used < i64::from(limit) {
        return Ok(());
    }
    let detail = format!("{used} of {limit} {} are in use", name.replace('_', " "));
    let quota = json!({ "name": name, "limit": limit, "used": used });
    Err(Problem::with(Code::QuotaExceeded, detail).extra("quota", quota))
}
