//! One team, one transaction.

mod manual;

use std::collections::HashSet;

use jiff::SignedDuration;
use roost_domain::ids::{BrandId, ConversationId, TeamId};
use roost_domain::routing::{Decision, Waiting, decide, sort_queue};
use roost_store::ledger::{Cause, Ledger};
use roost_store::routing::{self, TeamLock};
use roost_store::tx::BrandTx;
use roost_store::{Store, StoreError};

/// Conversations that one step decides at most, and those that it tells why they wait.
const LIMIT: usize = 500;

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Another router has the team: what made it due may have come after that one looked.
    Busy,
    /// There is no such team.
    Gone,
    /// The team was routed.
    Routed(Routed),
}

/// What routing a team came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routed {
    /// How long each assigned conversation had waited.
    pub assigned: Vec<SignedDuration>,
    /// How many came back to the agent who had them.
    pub kept: usize,
    /// How many were told why they wait, or that it is for another reason now.
    pub told: usize,
    /// How many were in the hands of somebody else: the team is due again soon.
    pub skipped: usize,
    /// Whether there is room left and more behind the front of the queue: due again at once.
    pub more: bool,
}

impl Routed {
    /// Whether events were written.
    #[must_use]
    pub fn has_told(&self) -> bool {
        !self.assigned.is_empty() || self.told > 0
    }
}

/// Decides a team's whole queue and keeps the decisions.
///
/// Once for each conversation, because only one that waits, under its lock, is decided; never over
/// anybody's capacity, because loads are read under the members' locks.
///
/// # Errors
/// When the database fails; then nothing was changed.
pub async fn route_team(
    store: &Store,
    brand: BrandId,
    team: TeamId,
) -> Result<Outcome, StoreError> {
    store
        .brand(brand, move |tx| Box::pin(route(tx, team)))
        .await
}

async fn route(tx: &mut BrandTx, team: TeamId) -> Result<Outcome, StoreError> {
    let lock = routing::lock_team(tx, team).await?;
    let is_manual = match lock {
        TeamLock::Busy => return Ok(Outcome::Busy),
        TeamLock::Gone => return Ok(Outcome::Gone),
        TeamLock::Auto => false,
        TeamLock::Manual => true,
    };
    let brand = tx.brand();
    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
    let queue = routing::lock_queue(tx, &mut ledger, team, LIMIT).await?;
    let mut routed = Routed {
        skipped: queue.skipped.len(),
        ..Routed::default()
    };
    if queue.held.is_empty() {
        return Ok(Outcome::Routed(routed));
    }
    let candidates = routing::lock_candidates(tx, team).await?;
    let mut front: Vec<Waiting> = queue.held.clone();
    front.extend(&queue.skipped);
    sort_queue(&mut front);
    let decisions = if is_manual {
        manual::decide(&front, &candidates, ledger.now)
    } else {
        decide(&front, &candidates, ledger.now)
            .into_iter()
            .map(|decision| {
                let reason = decision.reason();
                (decision, reason)
            })
            .collect()
    };
    let last = decisions.last().cloned();
    let held: HashSet<ConversationId> = queue.held.iter().map(|one| one.conversation).collect();
    let mut kept = Vec::new();
    for (decision, reason) in decisions {
        if held.contains(&decision.conversation) {
            apply(&mut ledger, decision, reason, &mut routed, &mut kept);
        }
    }
    match last {
        // Nobody has room for the last of the front, so for nobody behind it either.
        Some((last, reason)) if last.member.is_none() => {
            for conversation in queue.untold {
                let decision = Decision {
                    conversation,
                    ..last.clone()
                };
                apply(
                    &mut ledger,
                    decision,
                    reason.clone(),
                    &mut routed,
                    &mut kept,
                );
            }
        }
        Some(_) | None => routed.more = queue.more,
    }
    routing::keep(tx, team, &kept).await?;
    ledger.flush(tx.conn()).await?;
    Ok(Outcome::Routed(routed))
}

/// Carries a decision out and says whether it is worth keeping: one that leaves things as they are
/// was told before.
fn apply(
    ledger: &mut Ledger,
    decision: Decision,
    reason: String,
    routed: &mut Routed,
    kept: &mut Vec<(Decision, String)>,
) {
    let id = decision.conversation;
    let Some(before) = ledger.get(id) else { return };
    let (holder, queued_at, waits_for) = (
        before.assignee,
        before.queued_at,
        before.waiting_reason.clone(),
    );
    let cause = Cause::system();
    match decision.member {
        Some(_) if decision.kept => {
            ledger.keep_assignee(id);
            routed.kept += 1;
        }
        Some(member) => {
            ledger.assign(id, Some(member), &cause);
            let waited = queued_at.map(|since| ledger.now.duration_since(since));
            routed.assigned.extend(waited);
        }
        None => {
            if holder.is_some() {
                ledger.assign(id, None, &cause);
            } else if waits_for.as_ref() == Some(&reason) {
                return;
            }
            ledger.wait(id, &reason, &cause);
            routed.told += 1;
        }
    }
    kept.push((decision, reason));
}
