//! Giving back what a member can no longer hold.
//!
//! A change of a member commits before what they hold is given back: by then nobody gives them anything
//! new, and conversations are locked before members everywhere. What is owed is a row that commits with
//! the change, so that whoever dies in between is followed by somebody else.

use roost_domain::ids::{BrandId, ConversationId, MemberId, TeamId};
use uuid::Uuid;

use crate::assignments::{Decided, DecidedBy, NewDecision, insert};
use crate::error::StoreError;
use crate::ledger::{Actor, Cause, Ledger};
use crate::tx::{BrandTx, Store};

/// Conversations that one transaction gives back at most.
const BATCH: i64 = 200;

/// Notes that a member has to give back all unresolved conversations, or a team's open ones.
pub(crate) async fn owe(
    tx: &mut BrandTx,
    member: MemberId,
    team: Option<TeamId>,
    cause: &Cause,
) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "insert into handbacks (brand_id, id, member_id, team_id, actor_type, actor_id, request_id)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(brand.0)
    .bind(Uuid::now_v7())
    .bind(member.0)
    .bind(team.map(|team| team.0))
    .bind(cause.actor.kind())
    .bind(cause.actor.id())
    .bind(&cause.request_id)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Brands of which something has been owed for so many seconds: whoever was to give it back has died.
///
/// # Errors
/// When the database fails.
pub async fn brands_owing(store: &Store, seconds: i32) -> Result<Vec<BrandId>, StoreError> {
    let brands: Vec<Uuid> = store
        .system(move |tx| {
            Box::pin(async move {
                Ok::<_, StoreError>(
                    sqlx::query_scalar("select brand_id from cross_handbacks_due($1, 100)")
                        .bind(seconds)
                        .fetch_all(tx.conn())
                        .await?,
                )
            })
        })
        .await?;
    Ok(brands.into_iter().map(BrandId).collect())
}

/// Gives back all that is owed in a brand, some conversations at a time.
///
/// Happens once for each conversation: it is taken only while the member still has it.
///
/// # Errors
/// When the database fails; the rest is still owed then.
pub async fn give_back(store: &Store, brand: BrandId) -> Result<(), StoreError> {
    while store
        .brand(brand, |tx| Box::pin(async move { step(tx).await }))
        .await?
    {}
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Owed {
    id: Uuid,
    member_id: Uuid,
    team_id: Option<Uuid>,
    actor_type: String,
    actor_id: Option<Uuid>,
    request_id: Option<String>,
    /// The member came back meanwhile: they may keep it.
    is_moot: bool,
}

/// One batch of one debt; whether there may be more.
async fn step(tx: &mut BrandTx) -> Result<bool, StoreError> {
    let brand = tx.brand();
    let owed: Option<Owed> = sqlx::query_as(
        "select h.id, h.member_id, h.team_id, h.actor_type, h.actor_id, h.request_id,
                case when h.team_id is null then m.active
                     else exists (select from team_members t where t.brand_id = h.brand_id and t.team_id = h.team_id
                                    and t.member_id = h.member_id) and m.active
                end as is_moot
         from handbacks h join members m on m.brand_id = h.brand_id and m.id = h.member_id
         where h.brand_id = $1 order by h.created_at, h.id limit 1 for update of h",
    )
    .bind(brand.0)
    .fetch_optional(tx.conn())
    .await?;
    let Some(owed) = owed else {
        return Ok(false);
    };
    if owed.is_moot || release(tx, &owed).await? == 0 {
        sqlx::query("delete from handbacks where brand_id = $1 and id = $2")
            .bind(brand.0)
            .bind(owed.id)
            .execute(tx.conn())
            .await?;
    }
    Ok(true)
}

async fn release(tx: &mut BrandTx, owed: &Owed) -> Result<usize, StoreError> {
    let brand = tx.brand();
    let member = MemberId(owed.member_id);
    let held: Vec<Uuid> = sqlx::query_scalar(
        "select id from conversations
         where brand_id = $1 and assignee_id = $2 and status <> 'resolved'
           and ($3::uuid is null or status = 'open' and team_id = $3)
         order by id limit $4",
    )
    .bind(brand.0)
    .bind(member.0)
    .bind(owed.team_id)
    .bind(BATCH)
    .fetch_all(tx.conn())
    .await?;
    if held.is_empty() {
        return Ok(0);
    }
    let (actor, reason) = (
        match (owed.actor_type.as_str(), owed.actor_id) {
            ("member", Some(id)) => Actor::Member(MemberId(id)),
            ("bot", Some(id)) => Actor::Bot(MemberId(id)),
            _ => Actor::System,
        },
        match owed.team_id {
            Some(_) => "member left the team",
            None => "member deactivated",
        },
    );
    let cause = Cause::new(actor, owed.request_id.clone());
    let held: Vec<ConversationId> = held.into_iter().map(ConversationId).collect();
    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
    ledger.lock(tx.conn(), brand, &held).await?;
    let still: Vec<ConversationId> = ledger
        .all()
        .filter(|one| one.assignee == Some(member))
        .map(|one| one.id)
        .collect();
    for conversation in &still {
        ledger.assign(*conversation, None, &cause);
    }
    let decisions: Vec<NewDecision> = still
        .iter()
        .map(|conversation| NewDecision {
            conversation: *conversation,
            team: ledger.get(*conversation).and_then(|one| one.team),
            outcome: Decided::Unassigned,
            by: DecidedBy::Member,
            actor: cause.actor.id().map(MemberId),
            reason: reason.to_owned(),
            over_capacity: false,
            candidates: Vec::new(),
        })
        .collect();
    insert(tx.conn(), brand, &decisions).await?;
    ledger.flush(tx.conn()).await?;
    Ok(held.len())
}
