//! Who has a conversation by a person's will, and every decision with its reasons.
//!
//! By hand always wins: it locks the conversation and then the member, so an automatic decision
//! never stands on older facts. What the router decides is in [`crate::routing`].

mod decisions;

use roost_domain::conversation::Status;
use roost_domain::ids::{BrandId, ConversationId, MemberId, TeamId};
use roost_domain::role::{Permission, Role};
use sqlx::PgConnection;

use crate::error::StoreError;
use crate::ledger::{Cause, Ledger, parse};
use crate::tx::BrandTx;
pub use decisions::{CandidateView, DecisionView, latest, list};
pub(crate) use decisions::{Decided, DecidedBy, NewDecision, insert};

/// What came of an assignment by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByHand {
    /// The member has it.
    Assigned {
        /// Whether it took the member over their capacity.
        over_capacity: bool,
    },
    /// Nobody has it; an open one is back in its team's queue.
    Unassigned,
    /// The member is deactivated.
    RefusedInactive,
    /// The member's role may not reply.
    RefusedRole,
    /// The brand has no such conversation, or no such member.
    NotFound,
}

/// What came of a move to another team.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// It is in the team now; an open one waits there.
    Done,
    /// The brand has no such conversation, or no such team.
    NotFound,
}

/// Gives a conversation to a member, or takes it from whoever has it. It may exceed the member's
/// capacity and is marked so. Asking for what is so already changes nothing.
///
/// # Errors
/// When the database fails.
pub async fn assign_by_hand(
    tx: &mut BrandTx,
    conversation: ConversationId,
    to: Option<MemberId>,
    actor: MemberId,
    cause: &Cause,
) -> Result<ByHand, StoreError> {
    let brand = tx.brand();
    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
    ledger.lock(tx.conn(), brand, &[conversation]).await?;
    let Some(before) = ledger.get(conversation) else {
        return Ok(ByHand::NotFound);
    };
    let (holder, team) = (before.assignee, before.team);
    let has_it = holder.is_some() && holder == to && before.queued_at.is_none();
    let weight = weight(before.state.status);
    let Some(member) = to else {
        if holder.is_some() {
            ledger.assign(conversation, None, cause);
            let decision = NewDecision::by_hand(
                conversation,
                team,
                Decided::Unassigned,
                actor,
                "unassigned by hand",
            );
            insert(tx.conn(), brand, &[decision]).await?;
            ledger.flush(tx.conn()).await?;
        }
        return Ok(ByHand::Unassigned);
    };
    let Some(seat) = lock_seat(tx.conn(), brand, member, conversation).await? else {
        return Ok(ByHand::NotFound);
    };
    if !seat.active {
        return Ok(ByHand::RefusedInactive);
    }
    if !seat.role.allows(Permission::MessagesWrite) {
        return Ok(ByHand::RefusedRole);
    }
    let over_capacity = seat.load + weight > seat.capacity;
    if !has_it {
        give(&mut ledger, conversation, member, cause);
        let decision = NewDecision {
            over_capacity,
            ..NewDecision::by_hand(
                conversation,
                team,
                Decided::Assigned(member),
                actor,
                "assigned by hand",
            )
        };
        insert(tx.conn(), brand, &[decision]).await?;
        mark_assigned(tx.conn(), brand, member).await?;
        ledger.flush(tx.conn()).await?;
    }
    Ok(ByHand::Assigned { over_capacity })
}

/// Lets the author of a reply have the conversation if nobody has; true if they got it. The ledger
/// must hold the conversation, which is stored already; its maker flushes it.
///
/// # Errors
/// When the database fails.
pub async fn claim_by_reply(
    ledger: &mut Ledger,
    connection: &mut PgConnection,
    conversation: ConversationId,
    member: MemberId,
    cause: &Cause,
) -> Result<bool, StoreError> {
    let Some(before) = ledger.get(conversation) else {
        return Ok(false);
    };
    let (brand, team, weight) = (before.brand, before.team, weight(before.state.status));
    // One that came back and that the router has not looked at yet counts as the author's own.
    let is_mine_again = before.assignee == Some(member) && before.queued_at.is_some();
    if before.assignee.is_some() && !is_mine_again {
        return Ok(false);
    }
    let seat = lock_seat(connection, brand, member, conversation).await?;
    let Some(seat) = seat.filter(|seat| seat.active) else {
        return Ok(false);
    };
    give(ledger, conversation, member, cause);
    let decision = NewDecision {
        conversation,
        team,
        outcome: Decided::Assigned(member),
        by: DecidedBy::Reply,
        actor: Some(member),
        reason: "replied while nobody had it".to_owned(),
        over_capacity: seat.load + weight > seat.capacity,
        candidates: Vec::new(),
    };
    insert(connection, brand, &[decision]).await?;
    mark_assigned(connection, brand, member).await?;
    Ok(true)
}

/// Moves a conversation to another team: its assignee loses it and an open one queues there.
///
/// # Errors
/// When the database fails.
pub async fn move_to_team(
    tx: &mut BrandTx,
    conversation: ConversationId,
    team: TeamId,
    actor: MemberId,
    cause: &Cause,
) -> Result<Moved, StoreError> {
    let brand = tx.brand();
    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
    ledger.lock(tx.conn(), brand, &[conversation]).await?;
    let Some(before) = ledger.get(conversation) else {
        return Ok(Moved::NotFound);
    };
    let (from, holder) = (before.team, before.assignee);
    let exists: bool =
        sqlx::query_scalar("select exists (select from teams where brand_id = $1 and id = $2)")
            .bind(brand.0)
            .bind(team.0)
            .fetch_one(tx.conn())
            .await?;
    if !exists {
        return Ok(Moved::NotFound);
    }
    if from == Some(team) {
        return Ok(Moved::Done);
    }
    ledger.set_team(conversation, team, cause);
    if holder.is_some() {
        let decision = NewDecision::by_hand(
            conversation,
            Some(team),
            Decided::Unassigned,
            actor,
            "moved to another team",
        );
        insert(tx.conn(), brand, &[decision]).await?;
    }
    ledger.flush(tx.conn()).await?;
    Ok(Moved::Done)
}

fn give(ledger: &mut Ledger, conversation: ConversationId, member: MemberId, cause: &Cause) {
    ledger.assign(conversation, Some(member), cause);
    // Who had it before it came back has it already, but it must leave the queue.
    ledger.keep_assignee(conversation);
}

/// What an assignment has to know of a member.
struct Seat {
    role: Role,
    /// API keys' members take none.
    active: bool,
    capacity: i64,
    load: i64,
}

/// What a conversation counts as load.
fn weight(status: Status) -> i64 {
    i64::from(status == Status::Open)
}

/// Locks a member and sums what they hold, the conversation itself left out.
async fn lock_seat(
    connection: &mut PgConnection,
    brand: BrandId,
    member: MemberId,
    conversation: ConversationId,
) -> Result<Option<Seat>, StoreError> {
    // Not `for update`: that would also wait for, and hold up, every foreign key to the member.
    let row: Option<(String, bool, i32)> = sqlx::query_as(
        "select role, active and kind = 'person', capacity from members
         where brand_id = $1 and id = $2 for no key update",
    )
    .bind(brand.0)
    .bind(member.0)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((role, active, capacity)) = row else {
        return Ok(None);
    };
    let load = sqlx::query_scalar(
        "select count(*) from conversations
         where brand_id = $1 and assignee_id = $2 and status = 'open' and queued_at is null and id <> $3",
    )
    .bind(brand.0)
    .bind(member.0)
    .bind(conversation.0)
    .fetch_one(connection)
    .await?;
    Ok(Some(Seat {
        role: parse(&role)?,
        active,
        capacity: capacity.into(),
        load,
    }))
}

async fn mark_assigned(
    connection: &mut PgConnection,
    brand: BrandId,
    member: MemberId,
) -> Result<(), StoreError> {
    sqlx::query(
        "update members set last_assigned_at = clock_timestamp() where brand_id = $1 and id = $2",
    )
    .bind(brand.0)
    .bind(member.0)
    .execute(connection)
    .await?;
    Ok(())
}
