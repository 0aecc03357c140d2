//! The versions of policies and calendars that a transaction's clocks run by.
//!
//! A version never changes, so a process reads each of them once; what each transaction asks is only which
//! are the present ones.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use jiff::Timestamp;
use roost_domain::conversation::Priority;
use roost_domain::ids::{BrandId, CalendarId, PolicyId};
use roost_domain::sla::{
    Calendar, CalendarSpec, Circumstances, ClockKind, OnReopen, PolicySpec, Time,
};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::preview::Proposal;
use crate::error::StoreError;
use crate::ts::Ts;

/// Versions that a process keeps, at most; a calendar takes some hundred kibibytes once it is used.
const KEPT: usize = 2_000;

/// A version of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PolicyKey {
    /// Which policy.
    pub id: PolicyId,
    /// Which version of it.
    pub version: i32,
}

/// A version of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CalendarKey {
    /// Which calendar.
    pub id: CalendarId,
    /// Which version of it.
    pub version: i32,
}

/// What a clock runs by.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Its policy.
    pub policy: Arc<PolicySpec>,
    /// Its calendar; none: calendar time.
    pub calendar: Option<Arc<Calendar>>,
}

impl Rules {
    /// What counts as time.
    #[must_use]
    pub fn time(&self) -> Time<'_> {
        match &self.calendar {
            Some(calendar) => Time::Open(calendar),
            None => Time::Wall,
        }
    }
}

/// What a clock that starts now gets.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Whose target.
    pub policy: PolicyKey,
    /// Whose open hours count.
    pub calendar: Option<CalendarKey>,
    /// The target.
    pub target_seconds: i64,
    /// The versions themselves.
    pub rules: Rules,
}

/// Versions read so far.
#[derive(Debug, Default)]
struct Known {
    policies: HashMap<PolicyKey, Arc<PolicySpec>>,
    calendars: HashMap<CalendarKey, Arc<Calendar>>,
}

static KNOWN: LazyLock<RwLock<Known>> = LazyLock::new(RwLock::default);

/// The versions that a transaction works with.
#[derive(Debug, Default)]
pub(crate) struct Rulebook {
    policies: HashMap<PolicyKey, Arc<PolicySpec>>,
    calendars: HashMap<CalendarKey, Arc<Calendar>>,
    /// The present policies of each brand, in their order.
    present: BTreeMap<BrandId, Vec<PolicyKey>>,
    /// The present version of each calendar.
    hours: HashMap<CalendarId, i32>,
}

/// Which circumstances the present policies of a brand ask for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    pub(super) labels: bool,
    pub(super) contact: bool,
}

impl Rulebook {
    /// Reads the present versions of these brands, and the database's time.
    pub(super) async fn begin(
        connection: &mut PgConnection,
        brands: &[BrandId],
    ) -> Result<(Timestamp, Self), StoreError> {
        type Row = (Ts, Option<Uuid>, Option<Uuid>, Option<i32>, Option<bool>);
        let ids: Vec<Uuid> = brands.iter().map(|brand| brand.0).collect();
        // The outer join keeps the row with the time where a brand has no policy.
        let rows: Vec<Row> = sqlx::query_as(
            "select clock_timestamp() as now, p.brand_id, p.id, p.version, p.is_policy
             from (select 1) one
             left join (
                 select brand_id, id, version, ordinal, true as is_policy from sla_policies
                 where brand_id = any ($1) and deleted_at is null
                 union all
                 select brand_id, id, version, 0, false from calendars
                 where brand_id = any ($1) and deleted_at is null
             ) p on true
             order by p.brand_id, p.ordinal, p.id",
        )
        .bind(ids)
        .fetch_all(&mut *connection)
        .await?;
        let now = rows
            .first()
            .map_or_else(Timestamp::default, |row| row.0.get());
        let mut book = Self::default();
        for (_, brand, id, version, is_policy) in rows {
            let (Some(brand), Some(id), Some(version)) = (brand, id, version) else {
                continue;
            };
            if is_policy == Some(true) {
                let id = PolicyId(id);
                let list = book.present.entry(BrandId(brand)).or_default();
                list.push(PolicyKey { id, version });
            } else {
                book.hours.insert(CalendarId(id), version);
            }
        }
        let policies: Vec<(BrandId, PolicyKey)> = book
            .present
            .iter()
            .flat_map(|(brand, list)| list.iter().map(|key| (*brand, *key)))
            .collect();
        book.learn_policies(&mut *connection, &policies).await?;
        let calendars: Vec<(BrandId, CalendarKey)> = policies
            .iter()
            .filter_map(|(brand, key)| Some((*brand, book.policies.get(key)?)))
            .flat_map(|(brand, policy)| {
                ClockKind::ALL
                    .into_iter()
                    .filter_map(move |kind| Some((brand, policy.target(kind)?.calendar_id?)))
            })
            .filter_map(|(brand, id)| {
                let version = *book.hours.get(&id)?;
                Some((brand, CalendarKey { id, version }))
            })
            .collect();
        book.learn_calendars(connection, &calendars).await?;
        Ok((now, book))
    }

    /// Makes sure that these versions are at hand.
    pub(super) async fn learn(
        &mut self,
        connection: &mut PgConnection,
        wanted: Vec<(BrandId, PolicyKey, Option<CalendarKey>)>,
    ) -> Result<(), StoreError> {
        let (mut policies, mut calendars) = (Vec::new(), Vec::new());
        for (brand, policy, calendar) in wanted {
            policies.push((brand, policy));
            calendars.extend(calendar.map(|calendar| (brand, calendar)));
        }
        self.learn_policies(&mut *connection, &policies).await?;
        self.learn_calendars(connection, &calendars).await
    }

    async fn learn_policies(
        &mut self,
        connection: &mut PgConnection,
        wanted: &[(BrandId, PolicyKey)],
    ) -> Result<(), StoreError> {
        let missing = known_or_missing(wanted, &mut self.policies, |known| &known.policies);
        if missing.is_empty() {
            return Ok(());
        }
        let (brands, ids, versions) = columns(missing.iter().map(|(b, k)| (*b, k.id.0, k.version)));
        let rows: Vec<(Uuid, i32, Json<PolicySpec>)> = sqlx::query_as(
            "select v.policy_id, v.version, v.spec
             from unnest($1::uuid[], $2::uuid[], $3::int[]) as w (brand_id, policy_id, version)
             join sla_policy_versions v using (brand_id, policy_id, version)",
        )
        .bind(brands)
        .bind(ids)
        .bind(versions)
        .fetch_all(connection)
        .await?;
        let read = rows.into_iter().map(|(id, version, spec)| {
            let key = PolicyKey::new(PolicyId(id), version);
            (key, Arc::new(spec.0))
        });
        keep(read.collect(), &mut self.policies, |known| {
            &mut known.policies
        });
        Ok(())
    }

    async fn learn_calendars(
        &mut self,
        connection: &mut PgConnection,
        wanted: &[(BrandId, CalendarKey)],
    ) -> Result<(), StoreError> {
        let missing = known_or_missing(wanted, &mut self.calendars, |known| &known.calendars);
        if missing.is_empty() {
            return Ok(());
        }
        let (brands, ids, versions) = columns(missing.iter().map(|(b, k)| (*b, k.id.0, k.version)));
        let rows: Vec<(Uuid, i32, Json<CalendarSpec>)> = sqlx::query_as(
            "select v.calendar_id, v.version, v.spec
             from unnest($1::uuid[], $2::uuid[], $3::int[]) as w (brand_id, calendar_id, version)
             join calendar_versions v using (brand_id, calendar_id, version)",
        )
        .bind(brands)
        .bind(ids)
        .bind(versions)
        .fetch_all(connection)
        .await?;
        let mut read = Vec::new();
        for (id, version, spec) in rows {
            let id = CalendarId(id);
            let calendar = Calendar::new(&spec.0)
                .map_err(|_| StoreError::Corrupt(format!("calendar {id}")))?;
            read.push((CalendarKey { id, version }, Arc::new(calendar)));
        }
        keep(read, &mut self.calendars, |known| &mut known.calendars);
        Ok(())
    }

    /// Puts a policy as somebody thinks of saving it in its place among the present ones.
    pub(super) async fn propose(
        &mut self,
        connection: &mut PgConnection,
        brand: BrandId,
        proposal: &Proposal,
    ) -> Result<PolicyKey, StoreError> {
        let id = proposal.policy.unwrap_or(PolicyId(Uuid::nil()));
        let key = PolicyKey::new(id, i32::MAX);
        let spec = Arc::new(proposal.spec.clone());
        let calendars: Vec<(BrandId, CalendarKey)> = ClockKind::ALL
            .into_iter()
            .filter_map(|kind| spec.target(kind)?.calendar_id)
            .filter_map(|id| {
                let version = *self.hours.get(&id)?;
                Some((brand, CalendarKey { id, version }))
            })
            .collect();
        self.learn_calendars(connection, &calendars).await?;
        self.policies.insert(key, spec);
        let list = self.present.entry(brand).or_default();
        match list.iter_mut().find(|known| known.id == id) {
            Some(known) => *known = key,
            None => list.insert(list.len().saturating_sub(1), key),
        }
        Ok(key)
    }

    /// What a stored clock runs by; none if a version is missing, which the foreign keys forbid.
    pub(super) fn rules(&self, policy: PolicyKey, calendar: Option<CalendarKey>) -> Option<Rules> {
        let calendar = match calendar {
            Some(key) => Some(Arc::clone(self.calendars.get(&key)?)),
            None => None,
        };
        Some(Rules {
            policy: Arc::clone(self.policies.get(&policy)?),
            calendar,
        })
    }

    /// The present policy that holds for a conversation.
    pub(super) fn matching(&self, brand: BrandId, of: &Circumstances) -> Option<PolicyKey> {
        let present = self.present.get(&brand)?;
        let holds = |key: &&PolicyKey| {
            let policy = self.policies.get(*key);
            policy.is_some_and(|policy| policy.conditions.hold(of))
        };
        present.iter().find(holds).copied()
    }

    /// What a version of a policy gives to clocks of a kind. Of its calendar the present version, unless
    /// the clock runs by another of the same calendar already.
    pub(super) fn terms(
        &self,
        policy: PolicyKey,
        kind: ClockKind,
        priority: Priority,
        now: Option<CalendarKey>,
    ) -> Option<Terms> {
        let spec = self.policies.get(&policy)?;
        let target = spec.target(kind)?;
        let target_seconds = target.seconds.of(priority)?;
        let calendar = match target.calendar_id {
            None => None,
            Some(id) => Some(match now.filter(|now| now.id == id) {
                Some(now) => now,
                None => CalendarKey {
                    id,
                    version: *self.hours.get(&id)?,
                },
            }),
        };
        Some(Terms {
            policy,
            calendar,
            target_seconds,
            rules: self.rules(policy, calendar)?,
        })
    }

    /// The present version of a policy; none once it is deleted.
    pub(super) fn present(&self, brand: BrandId, id: PolicyId) -> Option<PolicyKey> {
        let list = self.present.get(&brand)?;
        list.iter().find(|key| key.id == id).copied()
    }

    /// Whether a version has a target; none if it isn't at hand.
    pub(super) fn has_target(
        &self,
        policy: PolicyKey,
        kind: ClockKind,
        priority: Priority,
    ) -> Option<bool> {
        let target = self.policies.get(&policy)?.target(kind);
        Some(target.is_some_and(|target| target.seconds.of(priority).is_some()))
    }

    /// Whether a present policy of the brand lets resolution clocks go on when a conversation comes back.
    pub(super) fn continues(&self, brand: BrandId) -> bool {
        self.of(brand)
            .any(|policy| policy.on_reopen == OnReopen::Continue)
    }

    /// Whether a present policy of the brand has clocks of a kind.
    pub(super) fn has(&self, brand: BrandId, kind: ClockKind) -> bool {
        self.of(brand).any(|policy| policy.target(kind).is_some())
    }

    pub(super) fn asked(&self, brand: BrandId) -> Asked {
        let mut asked = Asked::default();
        for policy in self.of(brand) {
            let conditions = &policy.conditions;
            asked.labels |= !conditions.label_ids.is_empty();
            asked.contact |=
                !conditions.contact_attributes.is_empty() || conditions.new_contact.is_some();
        }
        asked
    }

    fn of(&self, brand: BrandId) -> impl Iterator<Item = &Arc<PolicySpec>> {
        self.present
            .get(&brand)
            .into_iter()
            .flatten()
            .filter_map(|key| self.policies.get(key))
    }
}

/// Takes over what the process knows; answers what it doesn't.
fn known_or_missing<K: Copy + Eq + Hash, V>(
    wanted: &[(BrandId, K)],
    held: &mut HashMap<K, Arc<V>>,
    of: impl Fn(&Known) -> &HashMap<K, Arc<V>>,
) -> HashSet<(BrandId, K)> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    let mut missing = HashSet::new();
    for (brand, key) in wanted {
        if let Some(version) = of(&known).get(key) {
            held.insert(*key, Arc::clone(version));
        } else {
            missing.insert((*brand, *key));
        }
    }
    missing
}

/// Keeps what was read, for this transaction and those to come.
fn keep<K: Copy + Eq + Hash, V>(
    read: Vec<(K, Arc<V>)>,
    held: &mut HashMap<K, Arc<V>>,
    of: impl Fn(&mut Known) -> &mut HashMap<K, Arc<V>>,
) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    let known = of(&mut known);
    if known.len() + read.len() > KEPT {
        known.clear();
    }
    for (key, version) in read {
        known.insert(key, Arc::clone(&version));
        held.insert(key, version);
    }
}

fn columns(keys: impl Iterator<Item = (BrandId, Uuid, i32)>) -> (Vec<Uuid>, Vec<Uuid>, Vec<i32>) {
    let (mut brands, mut ids, mut versions) = (Vec::new(), Vec::new(), Vec::new());
    for (brand, id, version) in keys {
        brands.push(brand.0);
        ids.push(id);
        versions.push(version);
    }
    (brands, ids, versions)
}
