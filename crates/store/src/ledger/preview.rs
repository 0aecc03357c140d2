//! What a changed policy would do to today's running clocks, before anybody saves it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use roost_domain::ids::{BrandId, ChannelId, ConversationId, PolicyId, TeamId};
use roost_domain::sla::{Circumstances, PolicySpec};
use sqlx::PgConnection;
use uuid::Uuid;

use super::about::{self, About};
use super::rulebook::{PolicyKey, Rulebook};
use super::{StoredClock, load};
use crate::error::StoreError;

/// Conversations that are looked at, at most.
const MOST: i64 = 20_000;
/// Those that are read at once.
const CHUNK: usize = 500;

/// A policy as somebody thinks of saving it.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// Which policy it changes; none for a new one, which would stand before the last.
    pub policy: Option<PolicyId>,
    /// What it would say.
    pub spec: PolicySpec,
}

/// What would become of clocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effects {
    /// Clocks that run or rest.
    pub clocks: i64,
    /// Due earlier than now planned.
    pub sooner: i64,
    /// Due later.
    pub later: i64,
    /// Among those due earlier: due at once, since their new target has passed.
    pub already_late: i64,
    /// Ended, because the policy that holds would have no target for them.
    pub ended: i64,
    /// As they are: other policies hold, nothing differs, or their breach is recorded.
    pub unchanged: i64,
}

/// What would become of a brand's clocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// Conversations looked at.
    pub conversations: i64,
    /// Whether there are more than were looked at.
    pub more: bool,
    /// By kind of clock.
    pub kinds: BTreeMap<&'static str, Effects>,
}

struct Place {
    channel: ChannelId,
    team: Option<TeamId>,
    about: About,
}

/// Compares every running clock's due instant with what it would be if the policy said this and the
/// running clocks were moved to it. Reads only.
///
/// # Errors
/// When the database fails.
pub async fn preview(
    connection: &mut PgConnection,
    brand: BrandId,
    proposal: &Proposal,
) -> Result<Preview, StoreError> {
    let (now, mut rulebook) = Rulebook::begin(&mut *connection, &[brand]).await?;
    let proposed = rulebook.propose(&mut *connection, brand, proposal).await?;
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select distinct conversation_id from sla_clocks
         where brand_id = $1 and state in ('running', 'paused') order by 1 limit $2",
    )
    .bind(brand.0)
    .bind(MOST + 1)
    .fetch_all(&mut *connection)
    .await?;
    let most = usize::try_from(MOST).unwrap_or(usize::MAX);
    let mut found = Preview {
        conversations: i64::try_from(ids.len().min(most)).unwrap_or(MOST),
        more: ids.len() > most,
        ..Preview::default()
    };
    for chunk in ids.get(..ids.len().min(most)).unwrap_or(&[]).chunks(CHUNK) {
        let of: Vec<(BrandId, ConversationId)> = chunk
            .iter()
            .map(|id| (brand, ConversationId(*id)))
            .collect();
        let places = places(&mut *connection, &rulebook, &of).await?;
        let clocks = load::live_clocks(&mut *connection, &of).await?;
        let versions: Vec<_> = clocks
            .values()
            .flatten()
            .map(|clock| (brand, clock.policy, clock.calendar))
            .collect();
        rulebook.learn(&mut *connection, versions).await?;
        for (id, clocks) in clocks {
            let Some(place) = places.get(&id) else {
                continue;
            };
            for clock in clocks {
                let kind = found.kinds.entry(clock.kind.as_str()).or_default();
                kind.clocks += 1;
                judge(&rulebook, (brand, place, proposed), &clock, now, kind);
            }
        }
    }
    Ok(found)
}

fn judge(
    rulebook: &Rulebook,
    (brand, place, proposed): (BrandId, &Place, PolicyKey),
    clock: &StoredClock,
    now: Timestamp,
    effects: &mut Effects,
) {
    let of = Circumstances {
        channel: place.channel,
        team: place.team,
        priority: clock.priority,
        labels: place.about.labels.clone(),
        contact_attributes: place.about.contact_attributes.clone(),
        new_contact: place.about.is_first,
    };
    let holds = rulebook.matching(brand, &of);
    let keeps = holds.is_none_or(|holds| holds != proposed && holds.id == clock.policy.id);
    if keeps || clock.breached_at.is_some() {
        effects.unchanged += 1;
        return;
    }
    let terms = holds.and_then(|holds| rulebook.terms(holds, clock.kind, clock.priority, None));
    let Some(terms) = terms else {
        effects.ended += 1;
        return;
    };
    let mut moved = clock.clone();
    moved.target_seconds = terms.target_seconds;
    moved.due_floor = None;
    moved.compute(&terms.rules);
    // One that rests is due after what is left of its target.
    let measure = |clock: &StoredClock| match clock.due_at {
        Some(due) => due.as_millisecond(),
        None => clock.target_seconds.saturating_mul(1_000),
    };
    let (before, after) = (measure(clock), measure(&moved));
    match after.cmp(&before) {
        std::cmp::Ordering::Less => effects.sooner += 1,
        std::cmp::Ordering::Equal => effects.unchanged += 1,
        std::cmp::Ordering::Greater => effects.later += 1,
    }
    if after < before && moved.due_at.is_some_and(|due| due < now) {
        effects.already_late += 1;
    }
}

async fn places(
    connection: &mut PgConnection,
    rulebook: &Rulebook,
    of: &[(BrandId, ConversationId)],
) -> Result<BTreeMap<ConversationId, Place>, StoreError> {
    let mut abouts = about::read(&mut *connection, rulebook, of).await?;
    let (brands, ids): (Vec<Uuid>, Vec<Uuid>) = of.iter().map(|(b, id)| (b.0, id.0)).unzip();
    let rows: Vec<(Uuid, Uuid, Option<Uuid>)> = sqlx::query_as(
        "select c.id, c.channel_id, c.team_id
         from unnest($1::uuid[], $2::uuid[]) as w (brand_id, id) join conversations c using (brand_id, id)",
    )
    .bind(brands)
    .bind(ids)
    .fetch_all(connection)
    .await?;
    let places = rows.into_iter().map(|(id, channel, team)| {
        let id = ConversationId(id);
        let place = Place {
            channel: ChannelId(channel),
            team: team.map(TeamId),
            about: abouts.remove(&id).unwrap_or_default(),
        };
        (id, place)
    });
    Ok(places.collect())
}
