//! One unit of work: a micro-batch of events in one transaction.
//!
//! It happens once because of the unique key on platform events: what was stored before is left out,
//! so the broker may deliver a batch again after a crash between commit and acknowledgement.

mod apply;
mod aside;
mod echo;
mod typing;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use roost_domain::ids::{BrandId, ChannelId};
use roost_store::audit::Auditor;
use roost_store::contacts::{self, IdentityName, Known, Profile, Recall};
use roost_store::inbound::{self, ChannelInfo, InboundEvent};
use roost_store::ledger::{Actor, Cause, IdentityKey, Ledger};
use roost_store::outbound;
use roost_store::raw::{self, RawEvent};
use roost_store::routes::{self, Account, Route};
use roost_store::signs::Sign;
use roost_store::{IngestTx, Store, StoreError};
use uuid::Uuid;

use crate::read::{Event, Meaning, NotIngress, read};
pub use typing::Typing;

/// What folding needs to know beside the events.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How long after its resolve a message reopens a conversation, in hours; 0 = never.
    pub reopen_window_hours: u32,
    /// The numeric id of our own X app: what echoes of our sends carry.
    pub x_app_id: String,
    /// Holds the key of the digests by which those who were erased are recognised.
    pub audit: Auditor,
}

/// What a batch came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Done {
    /// Messages stored.
    pub stored: usize,
    /// Events that were there already.
    pub duplicates: usize,
    /// Events kept raw.
    pub raw: usize,
    /// Messages of blocked contacts.
    pub blocked: usize,
    /// Events older than the erasure of their contact, dropped.
    pub erased: usize,
    /// Reading marks.
    pub reads: usize,
    /// Accounts that revoked our access.
    pub revoked: usize,
    /// Conversations folded anew.
    pub refolds: usize,
    /// Log lines written.
    pub events: usize,
    /// Signs to pass on, worth nothing later.
    pub typing: Vec<Typing>,
    /// Which channels had events of which kinds.
    pub signs: BTreeSet<Sign>,
}

/// Bodies of a batch, read.
#[derive(Debug)]
pub struct Batch(Vec<Event>);

impl Batch {
    /// Reads the bodies of a batch.
    ///
    /// # Errors
    /// When one is no ingress event; the same bytes fail again.
    pub fn read<'a>(bodies: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, NotIngress> {
        bodies
            .into_iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// When the ingester received its oldest event.
    #[must_use]
    pub fn oldest_receipt(&self) -> Option<Timestamp> {
        self.0
            .iter()
            .filter_map(|event| event.ingress.received_at.parse().ok())
            .min()
    }

    /// How many events it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Stores a batch.
///
/// # Errors
/// When the database fails; then nothing of it was stored. `is_transient` tells whether the same
/// batch may succeed later.
pub async fn handle_batch(store: &Store, rules: &Rules, batch: Batch) -> Result<Done, StoreError> {
    let rules = rules.clone();
    store
        .ingest(&[], move |tx| {
            Box::pin(async move { handle(tx, &rules, batch.0).await })
        })
        .await
}

/// An event whose channel and customer are known.
struct Placed {
    event: Event,
    route: Route,
    /// The platform's id of the connected account.
    account: String,
    /// The customer.
    identity: IdentityName,
}

async fn handle(tx: &mut IngestTx, rules: &Rules, events: Vec<Event>) -> Result<Done, StoreError> {
    let mut done = Done::default();
    let routes = find_routes(tx, &events).await?;
    let brands: BTreeSet<BrandId> = routes.values().map(|route| route.brand).collect();
    let brands: Vec<BrandId> = brands.into_iter().collect();
    tx.enter(&brands).await?;

    let (mut placed, unclaimed, revoked) = sort(events, &routes);
    done.raw = unclaimed.len();
    done.signs = placed.iter().filter_map(sign).collect();
    raw::keep(tx.conn(), &unclaimed).await?;
    done.duplicates = drop_known(tx, &mut placed).await?;

    let wanted: Vec<(BrandId, ChannelId)> = placed
        .iter()
        .map(|one| (one.route.brand, one.route.channel))
        .collect();
    let channels = inbound::channels(tx.conn(), &wanted).await?;
    let (signs, mut placed): (Vec<Placed>, Vec<Placed>) = placed
        .into_iter()
        .partition(|one| matches!(one.event.meaning, Meaning::Typing { .. }));
    done.typing = typing::find(tx, &signs).await?;

    let newest = aside::newest(&placed);
    let recall = Recall {
        audit: &rules.audit,
        newest: &newest,
    };
    let wanted = customers(&placed);
    let customers = contacts::resolve_unless_erased(tx.conn(), &wanted, Some(recall)).await?;
    done.erased = aside::drop_erased(tx, &customers, &mut placed).await?;
    let mut ledger = Ledger::begin(tx.conn(), &brands).await?;
    let keys: BTreeSet<IdentityKey> = placed
        .iter()
        .filter_map(|one| {
            let identity = customers.get(&one.identity)?.identity;
            Some(IdentityKey {
                brand: one.route.brand,
                channel: one.route.channel,
                identity,
            })
        })
        .collect();
    let keys: Vec<IdentityKey> = keys.into_iter().collect();
    ledger.lock_identities(tx.conn(), &keys).await?;

    let desk = Desk {
        rules,
        channels,
        customers,
    };
    let applied = apply::apply_all(tx, &mut ledger, &desk, placed, &mut done).await?;
    for (route, request_id) in revoked {
        let cause = Cause::new(Actor::External, Some(request_id));
        let news = inbound::access_revoked(tx.conn(), route.brand, route.channel, &cause).await?;
        done.revoked += usize::from(news);
    }
    done.refolds = ledger.refold(tx.conn(), &Cause::system()).await?;
    done.events = ledger.flush(tx.conn()).await?;
    outbound::note_strays(tx.conn(), &applied.strays).await?;
    aside::keep_blocked(tx, applied.blocked).await?;
    Ok(done)
}

/// What applying needs to know of the batch's surroundings.
struct Desk<'a> {
    rules: &'a Rules,
    channels: HashMap<ChannelId, ChannelInfo>,
    customers: HashMap<IdentityName, Known>,
}

async fn find_routes(
    tx: &mut IngestTx,
    events: &[Event],
) -> Result<HashMap<Account, Route>, StoreError> {
    let mut accounts = HashSet::new();
    for event in events {
        let of = |account: &str| Account {
            platform: event.ingress.platform.clone(),
            app: event.ingress.app.clone(),
            account_id: account.to_owned(),
        };
        for account in event.accounts() {
            accounts.insert(of(account));
            // Is the other side one of the brand's own accounts?
            accounts.extend(event.counterpart(account).map(of));
        }
    }
    let accounts: Vec<Account> = accounts.into_iter().collect();
    Ok(routes::find(tx.conn(), &accounts)
        .await?
        .into_iter()
        .collect())
}

/// Splits a batch into what belongs to a conversation, what is kept raw and which channels lost our access.
fn sort(
    events: Vec<Event>,
    routes: &HashMap<Account, Route>,
) -> (Vec<Placed>, Vec<RawEvent>, Vec<(Route, String)>) {
    let (mut placed, mut unclaimed, mut revoked) = (Vec::new(), Vec::new(), Vec::new());
    for event in events {
        let route_of = |account: &str| {
            let account = Account {
                platform: event.ingress.platform.clone(),
                app: event.ingress.app.clone(),
                account_id: account.to_owned(),
            };
            routes.get(&account).copied()
        };
        let owner = event
            .accounts()
            .into_iter()
            .find_map(|account| Some((account.to_owned(), route_of(account)?)));
        let Some((account, route)) = owner else {
            let reason = match &event.meaning {
                Meaning::Raw(reason) => reason.clone(),
                Meaning::Message(_)
                | Meaning::Unreadable { .. }
                | Meaning::Read { .. }
                | Meaning::Typing { .. }
                | Meaning::Revoked { .. } => "account is not connected".to_owned(),
            };
            // A sign that nobody waits for is worth nothing later.
            if !matches!(event.meaning, Meaning::Typing { .. }) {
                unclaimed.push(keep_raw(event, reason));
            }
            continue;
        };
        let counterpart = event.counterpart(&account).map(ToOwned::to_owned);
        match (&event.meaning, counterpart) {
            (Meaning::Revoked { .. }, _) => {
                let request_id = event.ingress.request_id.clone();
                unclaimed.push(keep_raw(event, "access revoked".to_owned()));
                revoked.push((route, request_id));
            }
            (Meaning::Raw(reason), _) => {
                let reason = reason.clone();
                unclaimed.push(keep_raw(event, reason));
            }
            (Meaning::Message(_), Some(other))
                if route_of(&other).is_some_and(|to| to.brand == route.brand) =>
            {
                unclaimed.push(keep_raw(
                    event,
                    "internal: between two of the brand's accounts".to_owned(),
                ));
            }
            (_, Some(external_id)) => {
                let platform = event.ingress.platform.clone();
                let identity = IdentityName {
                    brand: route.brand,
                    platform,
                    external_id,
                };
                placed.push(Placed {
                    event,
                    route,
                    account,
                    identity,
                });
            }
            // We read our own side, or type: nothing to keep.
            (Meaning::Read { .. } | Meaning::Typing { .. }, None) => {}
            (Meaning::Message(_) | Meaning::Unreadable { .. }, None) => {
                unclaimed.push(keep_raw(event, "no other side".to_owned()));
            }
        }
    }
    (placed, unclaimed, revoked)
}

fn sign(one: &Placed) -> Option<Sign> {
    let kind = match &one.event.meaning {
        Meaning::Message(_) => "dm",
        Meaning::Unreadable { .. } => "chat",
        Meaning::Read { .. } => "read",
        Meaning::Typing { .. } => "typing",
        Meaning::Revoked { .. } | Meaning::Raw(_) => return None,
    };
    Some(Sign {
        brand: one.route.brand,
        channel: one.route.channel,
        kind,
    })
}

fn keep_raw(event: Event, reason: String) -> RawEvent {
    let ingress = event.ingress;
    RawEvent {
        id: Uuid::now_v7(),
        platform: ingress.platform,
        app: ingress.app,
        account_id: ingress.account_id,
        kind: ingress.kind,
        event_id: ingress.event_id,
        reason,
        payload: ingress.body.get().to_owned(),
        request_id: Some(ingress.request_id),
    }
}

/// Stores the events that have an id and leaves out those that were there; answers how many were.
async fn drop_known(tx: &mut IngestTx, placed: &mut Vec<Placed>) -> Result<usize, StoreError> {
    let has_id = |one: &Placed| {
        matches!(
            one.event.meaning,
            Meaning::Message(_) | Meaning::Unreadable { .. }
        )
    };
    let events: Vec<InboundEvent> = placed
        .iter()
        .filter(|one| has_id(one))
        .map(|one| InboundEvent {
            brand_id: one.route.brand.0,
            channel_id: one.route.channel.0,
            kind: one.event.ingress.kind.clone(),
            platform_event_id: one.event.ingress.event_id.clone(),
            payload: one.event.ingress.body.get().to_owned(),
            request_id: one.event.ingress.request_id.clone(),
        })
        .collect();
    let mut new = inbound::insert_new(tx.conn(), &events).await?;
    let before = placed.len();
    // Taking the key out leaves the second of two equal events in one batch without it.
    placed.retain(|one| {
        let ingress = &one.event.ingress;
        !has_id(one)
            || new.remove(&(
                one.route.channel,
                ingress.kind.clone(),
                ingress.event_id.clone(),
            ))
    });
    Ok(before - placed.len())
}

/// The customers of a batch with what it tells of them; one who only reads is looked up, not made.
fn customers(placed: &[Placed]) -> BTreeMap<IdentityName, Option<Profile>> {
    let mut wanted: BTreeMap<IdentityName, Option<Profile>> = BTreeMap::new();
    for one in placed {
        let entry = wanted.entry(one.identity.clone()).or_default();
        match &one.event.meaning {
            Meaning::Message(message) => {
                let told = message.profile(&one.identity.external_id);
                let profile = entry.get_or_insert_default();
                profile.name = told
                    .and_then(|told| told.name.clone())
                    .or_else(|| profile.name.take());
                profile.handle = told
                    .and_then(|told| told.handle.clone())
                    .or_else(|| profile.handle.take());
                profile.avatar_url = told
                    .and_then(|told| told.avatar_url.clone())
                    .or_else(|| profile.avatar_url.take());
            }
            Meaning::Unreadable { .. } => {
                entry.get_or_insert_default();
            }
            Meaning::Read { .. }
            | Meaning::Typing { .. }
            | Meaning::Revoked { .. }
            | Meaning::Raw(_) => {}
        }
    }
    wanted
}
