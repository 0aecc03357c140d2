//! Folding conversations anew, for facts that come late.

use std::collections::HashSet;

use roost_domain::conversation::{ClockFold, Effect, Fact, Folded, Status, fold};
use roost_domain::ids::{BrandId, ConversationId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::matching::{Place, place};
use super::rows::{ActKind, ActRow};
use super::{Cause, Conversation, Ledger, StoredClock, load};
use crate::error::StoreError;

impl Ledger {
    /// Folds anew every conversation that got a late fact, and writes only the differences; answers
    /// how many those were.
    ///
    /// A conversation that is resolved stays so while its customer has another one that isn't: two
    /// unresolved ones can't exist, and the other is where somebody works.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refold(
        &mut self,
        connection: &mut PgConnection,
        cause: &Cause,
    ) -> Result<usize, StoreError> {
        let late: Vec<(BrandId, ConversationId)> = self
            .conversations
            .values()
            .filter(|conversation| conversation.must_refold)
            .map(|conversation| (conversation.brand, conversation.id))
            .collect();
        if late.is_empty() {
            return Ok(0);
        }
        let superseded = self.superseded(connection, &late).await?;
        let count = late.len();
        let mut facts = load::facts(connection, &late).await?;
        let mut clocks = load::clocks(connection, &late).await?;
        let versions = late.iter().flat_map(|(brand, id)| {
            let clocks = clocks.get(id).into_iter().flatten();
            clocks.map(|clock| (*brand, clock.policy, clock.calendar))
        });
        let versions: Vec<_> = versions.collect();
        self.rulebook.learn(connection, versions).await?;
        for (_, id) in late {
            let facts = facts.remove(&id).unwrap_or_default();
            let stored = clocks.remove(&id).unwrap_or_default();
            let old = self.old_places(id, &facts);
            let folded = self.fold_one(id, facts, superseded.contains(&id));
            if let Some(folded) = folded {
                self.take_over(id, &folded, &old, stored, cause);
            }
        }
        Ok(count)
    }

    /// Those among resolved conversations whose customer has an unresolved one, here or in the database.
    async fn superseded(
        &self,
        connection: &mut PgConnection,
        late: &[(BrandId, ConversationId)],
    ) -> Result<HashSet<ConversationId>, StoreError> {
        let is_resolved = |id: &ConversationId| {
            self.get(*id)
                .is_some_and(|held| held.state.status == Status::Resolved)
        };
        let resolved: Vec<(BrandId, ConversationId)> = late
            .iter()
            .copied()
            .filter(|(_, id)| is_resolved(id))
            .collect();
        if resolved.is_empty() {
            return Ok(HashSet::new());
        }
        let mut superseded = load::superseded(connection, &resolved).await?;
        // One that this transaction opens or reopens is not stored yet.
        for (_, id) in resolved {
            if let Some(held) = self.get(id)
                && self.all().any(|other| other.is_unresolved_beside(held))
            {
                superseded.insert(id);
            }
        }
        Ok(superseded)
    }

    /// The places of the clocks that the facts known before this transaction gave.
    fn old_places(&self, id: ConversationId, stored: &[Fact]) -> HashSet<Place> {
        let Some(conversation) = self.conversations.get(&id) else {
            return HashSet::new();
        };
        if conversation.is_unfolded {
            return HashSet::new();
        }
        let new: HashSet<Uuid> = conversation
            .new_facts
            .iter()
            .map(|fact| fact.order.id)
            .collect();
        let is_old = |fact: &&Fact| !new.contains(&fact.order.id);
        let old: Vec<Fact> = stored.iter().filter(is_old).copied().collect();
        let clocks: Vec<ClockFold> = fold(&old).clocks;
        clocks.iter().map(place).collect()
    }

    fn fold_one(
        &mut self,
        id: ConversationId,
        mut facts: Vec<Fact>,
        is_superseded: bool,
    ) -> Option<Folded> {
        let conversation = self.conversations.get_mut(&id)?;
        // A reply that this transaction has just settled is among the stored facts already.
        let stored_facts: HashSet<Uuid> = facts.iter().map(|fact| fact.order.id).collect();
        facts.extend(
            conversation
                .new_facts
                .drain(..)
                .filter(|fact| !stored_facts.contains(&fact.order.id)),
        );
        conversation.must_refold = false;
        let folded = fold(&facts);
        if !is_superseded || folded.state.status == Status::Resolved {
            return Some(folded);
        }
        // Kept as an act, so that later folds end the same. Its instant is that of the newest fact: what
        // the fold reopened was over at once, and no clock runs out meanwhile.
        let newest = folded.state.last.map_or(self.now, |last| last.at);
        let at_its_end = Conversation {
            state: folded.state,
            ..conversation.clone()
        };
        let row = ActRow::new(&at_its_end, newest.min(self.now), ActKind::Resolve, None);
        facts.push(row.fact(ActKind::Resolve));
        self.acts.push(row);
        Some(fold(&facts))
    }

    fn take_over(
        &mut self,
        id: ConversationId,
        folded: &Folded,
        old: &HashSet<Place>,
        stored: Vec<StoredClock>,
        cause: &Cause,
    ) {
        let Some(conversation) = self.conversations.get_mut(&id) else {
            return;
        };
        let before = conversation.state;
        conversation.state = folded.state;
        let (now, then) = (folded.state, before);
        let was_over = then.cycle > 0 && then.status == Status::Resolved;
        let effect = if was_over && now.status == Status::Resolved {
            None
        } else if now.cycle > then.cycle {
            Some(if then.cycle == 0 {
                Effect::Opened
            } else {
                Effect::Reopened
            })
        } else if now.status != then.status {
            Some(Effect::Status(then.status))
        } else {
            None
        };
        self.tell(id, &before, effect.as_slice(), cause);
        self.match_clocks(id, &folded.clocks, old, stored, cause);
    }
}

impl Conversation {
    /// Whether this is another, unresolved conversation of the same customer over the same channel.
    fn is_unresolved_beside(&self, one: &Self) -> bool {
        self.id != one.id
            && self.state.status != Status::Resolved
            && (self.brand, self.channel, self.identity) == (one.brand, one.channel, one.identity)
    }
}
