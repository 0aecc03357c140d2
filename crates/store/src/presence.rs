//! Presence of record: who takes work now.
//!
//! A member's `status` follows from what they set and whether a stream of theirs is open: what they
//! set while one is, offline without. A stream that is gone counts for the grace, so that a dropped
//! connection is no departure; [`expire_absent`] ends it. Every transition is an update of the row
//! that the transaction holds, and writes its event in the same transaction.

use std::collections::BTreeMap;

use jiff::Timestamp;
use roost_domain::event::EventType;
use roost_domain::ids::{BrandId, MemberId};
use roost_domain::routing::Presence;
use serde_json::json;
use uuid::Uuid;

use crate::error::StoreError;
use crate::events::append_subject_event;
use crate::ledger::{Actor, Cause, parse};
use crate::ts::Ts;
use crate::tx::{BrandTx, Store};

/// Members that one sweep sets offline at most.
const SWEEP_LIMIT: i32 = 500;

/// A member's presence after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredPresence {
    /// Whether they take work.
    pub status: Presence,
    /// Since when (database time).
    pub since: Timestamp,
    /// Whether this call changed it; then an event was written.
    pub changed: bool,
}

/// The row that the transaction holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    set_status: Presence,
    status: Presence,
    since: Timestamp,
    has_stream: bool,
}

/// A stream of a member's has opened: online, unless they have set another status. None if the brand
/// has no such member. The gateway must have sent its first beat before.
///
/// Idempotent by the stream's id.
///
/// # Errors
/// When the database fails.
pub async fn open_stream(
    tx: &mut BrandTx,
    member: MemberId,
    stream: Uuid,
    gateway: Uuid,
) -> Result<Option<StoredPresence>, StoreError> {
    let brand = tx.brand();
    let Some(held) = hold(tx, member).await? else {
        return Ok(None);
    };
    sqlx::query(
        "insert into streams (brand_id, stream_id, member_id, gateway_id) values ($1, $2, $3, $4)
         on conflict (brand_id, stream_id) do nothing",
    )
    .bind(brand.0)
    .bind(stream)
    .bind(member.0)
    .bind(gateway)
    .execute(tx.conn())
    .await?;
    touch(tx, member).await?;
    let cause = Cause::new(Actor::Member(member), None);
    transition(tx, member, held, held.set_status, &cause)
        .await
        .map(Some)
}

/// A stream has closed. Nobody goes offline by it: the grace begins.
///
/// # Errors
/// When the database fails.
pub async fn close_stream(
    tx: &mut BrandTx,
    member: MemberId,
    stream: Uuid,
) -> Result<(), StoreError> {
    let brand = tx.brand();
    if hold(tx, member).await?.is_none() {
        return Ok(());
    }
    let gone = sqlx::query("delete from streams where brand_id = $1 and stream_id = $2")
        .bind(brand.0)
        .bind(stream)
        .execute(tx.conn())
        .await?;
    if gone.rows_affected() > 0 {
        touch(tx, member).await?;
    }
    Ok(())
}

/// Sets what the member wants to be. It shows while they are here: a member without a stream stays
/// offline and gets the status with their next one. None if the brand has no such member.
///
/// # Errors
/// When the database fails.
pub async fn set_status(
    tx: &mut BrandTx,
    member: MemberId,
    wanted: Presence,
    cause: &Cause,
) -> Result<Option<StoredPresence>, StoreError> {
    let brand = tx.brand();
    let Some(held) = hold(tx, member).await? else {
        return Ok(None);
    };
    sqlx::query("update presence set set_status = $3 where brand_id = $1 and member_id = $2")
        .bind(brand.0)
        .bind(member.0)
        .bind(wanted.as_str())
        .execute(tx.conn())
        .await?;
    // Whoever counts as here without a stream is within the grace.
    let is_here = held.has_stream || held.status != Presence::Offline;
    let status = if is_here { wanted } else { Presence::Offline };
    transition(tx, member, held, status, cause).await.map(Some)
}

/// Sets offline whoever has had no stream of a living gateway for longer than the grace; answers how
/// many. One brand's failure doesn't keep the others from it.
///
/// Happens once for each absence: only a row that isn't offline yet is changed.
///
/// # Errors
/// The first failure, after all brands were tried.
pub async fn expire_absent(store: &Store, grace_seconds: i32) -> Result<usize, StoreError> {
    let absent: Vec<(Uuid, Uuid)> = store
        .system(move |tx| {
            Box::pin(async move {
                sqlx::query("select gateway_bury($1)")
                    .bind(grace_seconds)
                    .execute(tx.conn())
                    .await?;
                Ok::<_, StoreError>(
                    sqlx::query_as("select brand_id, member_id from cross_absent_members($1, $2)")
                        .bind(grace_seconds)
                        .bind(SWEEP_LIMIT)
                        .fetch_all(tx.conn())
                        .await?,
                )
            })
        })
        .await?;
    let mut by_brand: BTreeMap<BrandId, Vec<Uuid>> = BTreeMap::new();
    for (brand, member) in absent {
        by_brand.entry(BrandId(brand)).or_default().push(member);
    }
    let mut expired = 0;
    let mut failure = None;
    for (brand, members) in by_brand {
        let done = store
            .brand(brand, move |tx| {
                Box::pin(async move { expire(tx, members, grace_seconds).await })
            })
            .await;
        match done {
            Ok(count) => expired += count,
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    failure.map_or(Ok(expired), Err)
}

async fn expire(
    tx: &mut BrandTx,
    members: Vec<Uuid>,
    grace_seconds: i32,
) -> Result<usize, StoreError> {
    let brand = tx.brand();
    // A stream that opens meanwhile moves `last_stream_at` of the row that this waits for.
    let gone: Vec<(Uuid, String, Ts)> = sqlx::query_as(
        "with absent as (
             select p.member_id, p.status from presence p
             where p.brand_id = $1 and p.member_id = any ($2) and p.status <> 'offline'
               and coalesce(p.last_stream_at, p.since) < now() - make_interval(secs => $3)
               and not exists (select from streams s where s.brand_id = p.brand_id and s.member_id = p.member_id)
             order by p.member_id for update
         )
         update presence p set status = 'offline', since = clock_timestamp(), version = version + 1
         from absent where p.brand_id = $1 and p.member_id = absent.member_id
         returning p.member_id, absent.status, p.since",
    )
    .bind(brand.0)
    .bind(members)
    .bind(grace_seconds)
    .fetch_all(tx.conn())
    .await?;
    let count = gone.len();
    for (member, before, since) in gone {
        tell(
            tx,
            MemberId(member),
            parse(&before)?,
            Presence::Offline,
            since.get(),
            &Cause::system(),
        )
        .await?;
    }
    Ok(count)
}

/// Everyone's presence, by member.
///
/// # Errors
/// When the database fails.
pub async fn list(tx: &mut BrandTx) -> Result<Vec<(MemberId, Presence, Timestamp)>, StoreError> {
    let brand = tx.brand();
    let rows: Vec<(Uuid, String, Ts)> = sqlx::query_as(
        "select member_id, status, since from presence where brand_id = $1 order by member_id",
    )
    .bind(brand.0)
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|(member, status, since)| Ok((MemberId(member), parse(&status)?, since.get())))
        .collect()
}

/// Locks a member's presence, which exists from then on.
async fn hold(tx: &mut BrandTx, member: MemberId) -> Result<Option<Held>, StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "insert into presence (brand_id, member_id)
         select brand_id, id from members where brand_id = $1 and id = $2
         on conflict (brand_id, member_id) do nothing",
    )
    .bind(brand.0)
    .bind(member.0)
    .execute(tx.conn())
    .await?;
    let row: Option<(String, String, Ts)> = sqlx::query_as(
        "select set_status, status, since from presence
         where brand_id = $1 and member_id = $2 for update",
    )
    .bind(brand.0)
    .bind(member.0)
    .fetch_optional(tx.conn())
    .await?;
    let Some((set_status, status, since)) = row else {
        return Ok(None);
    };
    // A statement of its own, after the lock: it sees what the lock's last holder committed.
    let has_stream = sqlx::query_scalar(
        "select exists (select from streams where brand_id = $1 and member_id = $2)",
    )
    .bind(brand.0)
    .bind(member.0)
    .fetch_one(tx.conn())
    .await?;
    Ok(Some(Held {
        set_status: parse(&set_status)?,
        status: parse(&status)?,
        since: since.get(),
        has_stream,
    }))
}

/// Notes that a stream was here a moment ago.
async fn touch(tx: &mut BrandTx, member: MemberId) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "update presence set last_stream_at = clock_timestamp() where brand_id = $1 and member_id = $2",
    )
    .bind(brand.0)
    .bind(member.0)
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn transition(
    tx: &mut BrandTx,
    member: MemberId,
    held: Held,
    status: Presence,
    cause: &Cause,
) -> Result<StoredPresence, StoreError> {
    if status == held.status {
        return Ok(StoredPresence {
            status,
            since: held.since,
            changed: false,
        });
    }
    let brand = tx.brand();
    let since: Ts = sqlx::query_scalar(
        "update presence set status = $3, since = clock_timestamp(), version = version + 1
         where brand_id = $1 and member_id = $2 returning since",
    )
    .bind(brand.0)
    .bind(member.0)
    .bind(status.as_str())
    .fetch_one(tx.conn())
    .await?;
    tell(tx, member, held.status, status, since.get(), cause).await?;
    Ok(StoredPresence {
        status,
        since: since.get(),
        changed: true,
    })
}

async fn tell(
    tx: &mut BrandTx,
    member: MemberId,
    before: Presence,
    after: Presence,
    since: Timestamp,
    cause: &Cause,
) -> Result<(), StoreError> {
    let data = json!({
        "id": member,
        "presence": { "status": after.as_str(), "since": since },
        "changed": { "presence": [before.as_str(), after.as_str()] },
    });
    append_subject_event(tx, EventType::MemberPresenceChanged, member.0, cause, data).await?;
    Ok(())
}
