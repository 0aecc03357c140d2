//! Whether stored clocks are what the log gives.

use std::collections::HashMap;

use jiff::Timestamp;
use roost_domain::conversation::{ClockFold, fold};
use roost_domain::ids::{BrandId, ClockId, ConversationId};
use roost_domain::sla::{ClockKind, Verdict, judge};
use sqlx::PgConnection;
use uuid::Uuid;

use super::matching::{Place, place};
use super::rulebook::{Rulebook, Rules};
use super::{StoredClock, load};
use crate::error::StoreError;

/// A clock that isn't what the facts, its policy and its calendar give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Of which conversation.
    pub conversation: ConversationId,
    /// Which clock.
    pub clock: ClockId,
    /// What it measures.
    pub kind: ClockKind,
    /// What differs: the field, how it is stored, what it should be.
    pub what: String,
}

/// Rebuilds the clocks of these conversations from their facts and compares them with the stored ones.
/// Reads only.
///
/// # Errors
/// When the database fails.
pub async fn check_clocks(
    connection: &mut PgConnection,
    brand: BrandId,
    ids: &[ConversationId],
) -> Result<Vec<Difference>, StoreError> {
    let of: Vec<(BrandId, ConversationId)> = ids.iter().map(|id| (brand, *id)).collect();
    let mut facts = load::facts(connection, &of).await?;
    let mut clocks = load::clocks(connection, &of).await?;
    let mut rulebook = Rulebook::default();
    let versions: Vec<_> = clocks
        .values()
        .flatten()
        .map(|clock| (brand, clock.policy, clock.calendar))
        .collect();
    rulebook.learn(connection, versions).await?;
    let queues = queues(connection, brand, ids).await?;
    let mut found = Vec::new();
    for id in ids {
        let folded = fold(&facts.remove(id).unwrap_or_default());
        let stored = clocks.remove(id).unwrap_or_default();
        let check = Check {
            conversation: *id,
            folded: folded
                .clocks
                .iter()
                .map(|clock| (place(clock), clock))
                .collect(),
            queued_at: queues.get(id).copied().flatten(),
        };
        for clock in &stored {
            if let Some(rules) = rulebook.rules(clock.policy, clock.calendar) {
                check.clock(clock, &rules, &mut found);
            } else {
                let what = "its policy or calendar is missing".to_owned();
                found.push(check.differs(clock, what));
            }
        }
    }
    Ok(found)
}

/// Since when conversations wait for an assignee.
async fn queues(
    connection: &mut PgConnection,
    brand: BrandId,
    ids: &[ConversationId],
) -> Result<HashMap<ConversationId, Option<Timestamp>>, StoreError> {
    let wanted: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows: Vec<(Uuid, Option<crate::ts::Ts>)> = sqlx::query_as(
        "select id, queued_at from conversations where brand_id = $1 and id = any ($2)",
    )
    .bind(brand.0)
    .bind(wanted)
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(id, at)| (ConversationId(id), at.map(crate::ts::Ts::get)))
        .collect())
}

struct Check<'a> {
    conversation: ConversationId,
    folded: HashMap<Place, &'a ClockFold>,
    queued_at: Option<Timestamp>,
}

impl Check<'_> {
    fn differs(&self, clock: &StoredClock, what: String) -> Difference {
        Difference {
            conversation: self.conversation,
            clock: clock.id,
            kind: clock.kind,
            what,
        }
    }

    fn clock(&self, clock: &StoredClock, rules: &Rules, found: &mut Vec<Difference>) {
        let mut say = |what: String| found.push(self.differs(clock, what));
        // What a policy ended has its end from a change of the conversation, not from a fact.
        let by_policy = clock.cancelled_as.as_deref() == Some("policy");
        if clock.kind == ClockKind::Assignment {
            if clock.is_live() && self.queued_at != Some(clock.started_at) {
                say(format!(
                    "waits since {}, the queue says {:?}",
                    clock.started_at, self.queued_at
                ));
            }
        } else if let Some(wanted) = self.folded.get(&(clock.cycle, clock.kind, clock.ordinal)) {
            if clock.started_at != wanted.clock.started_at {
                let facts = wanted.clock.started_at;
                say(format!(
                    "started_at is {}, the facts say {facts}",
                    clock.started_at
                ));
            }
            let goes_on = rules.policy.on_reopen == roost_domain::sla::OnReopen::Continue
                && clock.kind == ClockKind::Resolution;
            if !by_policy && !goes_on {
                if !clock.has_ended_like(wanted.end) {
                    say(format!(
                        "it is {} at {:?}, the facts end it {:?}",
                        clock.state, clock.settled_at, wanted.end
                    ));
                }
                if clock.stretches != wanted.stretches {
                    say("its pauses are not those of the facts".to_owned());
                }
            }
        } else {
            say("no fact has begun it".to_owned());
        }
        instants(clock, rules, &mut say);
    }
}

/// What follows from a clock's own start, pauses, target and rules.
fn instants(clock: &StoredClock, rules: &Rules, say: &mut impl FnMut(String)) {
    let mut anew = clock.clone();
    anew.compute(rules);
    if anew.due_at != clock.due_at {
        say(format!(
            "due_at is {:?}, its rules give {:?}",
            clock.due_at, anew.due_at
        ));
    }
    if anew.next_fire_at != clock.next_fire_at {
        let (is, gives) = (clock.next_fire_at, anew.next_fire_at);
        say(format!("next_fire_at is {is:?}, its rules give {gives:?}"));
    }
    if let Some(ended) = clock.settled_at {
        let used = i64::try_from(clock.used(rules, ended).as_millis()).unwrap_or(i64::MAX);
        if clock.used_ms != Some(used) {
            say(format!(
                "used_ms is {:?}, its rules give {used}",
                clock.used_ms
            ));
        }
        let late = anew
            .due_at
            .is_some_and(|due| judge(due, ended) == Verdict::MetLate);
        if clock.state == "met" && late || clock.state == "met_late" && !late {
            say(format!(
                "it is {}, and ended {ended} with due_at {:?}",
                clock.state, anew.due_at
            ));
        }
        if late && clock.breached_at.is_none() {
            say("its breach was never told".to_owned());
        }
    }
    if let Some(breached) = clock.breached_at
        && anew.due_at.is_some_and(|due| due != breached)
    {
        say(format!(
            "breached_at is {breached}, its rules give {:?}",
            anew.due_at
        ));
    }
}
