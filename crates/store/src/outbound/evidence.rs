//! Settling what is in doubt, from what the platform shows.

use jiff::Timestamp;
use roost_domain::event::EventType;
use roost_domain::ids::{BrandId, ConversationId, MessageId};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::stray::{self, Stray};
use super::take::Doubt;
use super::{Due, rules};
use crate::conversation_acts::lock_identity;
use crate::error::StoreError;
use crate::ledger::{Actor, Cause, Ledger};
use crate::settle::{self, Accepted};
use crate::ts::Ts;
use crate::tx::{BrandTx, Store};

/// A message of the account as the platform's webhook tells it.
#[derive(Debug, Clone, Copy)]
pub struct Echo {
    /// The platform's time.
    pub sent_at: Timestamp,
    /// Of the text as the platform returns it.
    pub fingerprint: [u8; 32],
}

/// The reply of this conversation that an echo shows to be sent, if there is one; the caller settles
/// it by [`settle::sent`]. The conversation must be locked.
///
/// An attempt without a certain "no" and with an equal fingerprint explains an echo whose platform time
/// lies between 5 s before and 5 min after its start; the oldest wins. That holds for a reply that a
/// look-up had put back into the queue as well: it must not go out again. A reply that was never
/// attempted explains nothing. One that a person marked as sent gets its time from the echo.
///
/// # Errors
/// When the database fails.
pub async fn match_echo(
    connection: &mut PgConnection,
    brand: BrandId,
    conversation: ConversationId,
    echo: &Echo,
) -> Result<Option<MessageId>, StoreError> {
    let found: Option<Uuid> = sqlx::query_scalar(
        "select o.message_id from outbound_messages o
         join messages m on m.brand_id = o.brand_id and m.id = o.message_id and m.platform_event_id is null
         cross join lateral (
             select min(a.started_at) as started_at from send_attempts a
             where a.brand_id = o.brand_id and a.message_id = o.message_id
               and (a.outcome is null or a.outcome = 'unknown')
               and a.started_at between $4::timestamptz - interval '5 minutes' and $4 + interval '5 seconds'
         ) attempt
         where o.brand_id = $1 and o.conversation_id = $2 and o.fingerprint = $3
           and (o.state <> 'sent' or o.settled_by = 'member') and attempt.started_at is not null
         order by attempt.started_at, o.message_id limit 1 for update of o",
    )
    .bind(brand.0)
    .bind(conversation.0)
    .bind(echo.fingerprint.as_slice())
    .bind(Ts::from(echo.sent_at))
    .fetch_optional(connection)
    .await?;
    Ok(found.map(MessageId))
}

/// A message of the account as a look-up shows it.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// The platform's id of the message.
    pub platform_event_id: String,
    /// The same as a number.
    pub event_no: i64,
    /// The platform's time.
    pub sent_at: Timestamp,
    /// Of the text as the platform returns it.
    pub fingerprint: [u8; 32],
}

/// What a look-up did to a reply in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is there: sent.
    Sent,
    /// It isn't: queued again, for the first and only time.
    Queued,
    /// No verdict; it stays in doubt.
    Open,
    /// Another settled it meanwhile.
    Gone,
}

impl Settled {
    /// Its label in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Queued => "queued",
            Self::Open => "open",
            Self::Gone => "gone",
        }
    }
}

/// Settles a reply by what a look-up showed of the account's messages, back to `complete_since` (all
/// there is, without).
///
/// It is made at least `quiet` after the attempt: absent then, in a list that reaches back to the
/// attempt, means not sent. Only what is a reply's is another's: a message that we know and that no reply
/// explains may be this one. Such a stray settles it, or, where another app seems to have written it,
/// keeps it in doubt; in neither case it goes out again by itself.
///
/// # Errors
/// When the database fails.
pub async fn settle_doubt(
    store: &Store,
    doubt: &Doubt,
    sightings: Vec<Sighting>,
    complete_since: Option<Timestamp>,
) -> Result<Settled, StoreError> {
    let doubt = doubt.clone();
    store
        .brand(doubt.due.brand, move |tx| {
            Box::pin(async move {
                let due = doubt.due;
                let cause = Cause::new(Actor::System, doubt.request_id.clone());
                lock_identity(tx.conn(), due.brand, due.conversation).await?;
                let mut ledger = Ledger::begin(tx.conn(), &[due.brand]).await?;
                ledger
                    .lock(tx.conn(), due.brand, &[due.conversation])
                    .await?;
                let Some((fingerprint, requeues)) = lock_doubt(tx, &doubt).await? else {
                    return Ok(Settled::Gone);
                };
                let evidence = evidence(tx, &doubt, &fingerprint, sightings).await?;
                let settled = if let Some(seen) = evidence.unclaimed {
                    let accepted = Accepted {
                        platform_event_id: seen.platform_event_id,
                        event_no: seen.event_no,
                        sent_at: seen.sent_at,
                        settled_by: "lookup",
                    };
                    settle::sent(
                        &mut ledger,
                        tx.conn(),
                        due.brand,
                        due.message,
                        &accepted,
                        &cause,
                    )
                    .await?;
                    ledger.refold(tx.conn(), &cause).await?;
                    Settled::Sent
                } else if by_stray(tx, &mut ledger, due, &evidence.strays, &cause).await? {
                    Settled::Sent
                } else if evidence.strays.is_empty()
                    && requeues == 0
                    && rules::covers(complete_since, doubt.started_at)
                {
                    queue_once_more(tx, due.message).await?;
                    let data = json!({ "message_id": due.message });
                    ledger.emit(
                        due.conversation,
                        EventType::MessageQueued,
                        &cause,
                        Some(data),
                    );
                    Settled::Queued
                } else {
                    wait(tx, due.message, next_look_up(&doubt, ledger.now)).await?;
                    Settled::Open
                };
                ledger.flush(tx.conn()).await?;
                Ok(settled)
            })
        })
        .await
}

/// Leaves a reply in doubt because it could not be looked up, until an instant or for a while.
///
/// # Errors
/// When the database fails; the lease then runs out by itself.
pub async fn postpone_doubt(
    store: &Store,
    doubt: &Doubt,
    until: Option<Timestamp>,
) -> Result<(), StoreError> {
    let doubt = doubt.clone();
    store
        .brand(doubt.due.brand, move |tx| {
            Box::pin(async move {
                let ledger = Ledger::begin(tx.conn(), &[doubt.due.brand]).await?;
                if lock_doubt(tx, &doubt).await?.is_some() {
                    let next = next_look_up(&doubt, ledger.now);
                    let decide_at = doubt.started_at + rules::DECIDE_AFTER;
                    wait(
                        tx,
                        doubt.due.message,
                        until.map_or(next, |until| until.max(next).min(decide_at)),
                    )
                    .await?;
                }
                Ok(())
            })
        })
        .await
}

fn next_look_up(doubt: &Doubt, now: Timestamp) -> Timestamp {
    (now + rules::LOOK_UP_EVERY).min(doubt.started_at + rules::DECIDE_AFTER)
}

async fn lock_doubt(tx: &mut BrandTx, doubt: &Doubt) -> Result<Option<(Vec<u8>, i16)>, StoreError> {
    Ok(sqlx::query_as(
        "select fingerprint, requeues from outbound_messages
         where brand_id = $1 and message_id = $2 and state = 'unknown' and lease_token = $3 for update",
    )
    .bind(doubt.due.brand.0)
    .bind(doubt.due.message.0)
    .bind(doubt.lease)
    .fetch_optional(tx.conn())
    .await?)
}

/// Settles a reply by the oldest of its strays, those of other apps left out; false if there is none.
pub(super) async fn by_stray(
    tx: &mut BrandTx,
    ledger: &mut Ledger,
    due: Due,
    strays: &[Stray],
    cause: &Cause,
) -> Result<bool, StoreError> {
    let Some(stray) = strays.iter().find(|stray| !stray.is_of_another_app) else {
        return Ok(false);
    };
    stray.settle(tx, ledger, due.message, "echo", cause).await
}

/// What speaks for an attempt's delivery.
struct Evidence {
    /// The oldest message that can be this attempt's and that we don't know yet.
    unclaimed: Option<Sighting>,
    /// Those that we know and that are no reply's.
    strays: Vec<Stray>,
}

async fn evidence(
    tx: &mut BrandTx,
    doubt: &Doubt,
    fingerprint: &[u8],
    sightings: Vec<Sighting>,
) -> Result<Evidence, StoreError> {
    let mut possible: Vec<Sighting> = sightings
        .into_iter()
        .filter(|seen| {
            seen.fingerprint == fingerprint && rules::is_in_window(doubt.started_at, seen.sent_at)
        })
        .collect();
    possible.sort_by_key(|seen| (seen.sent_at, seen.event_no));
    let ids: Vec<&str> = possible
        .iter()
        .map(|seen| seen.platform_event_id.as_str())
        .collect();
    let mut strays = stray::of_reply(tx, doubt.due.message).await?;
    for stray in stray::among(tx, doubt.due, &ids).await? {
        if !strays
            .iter()
            .any(|known| known.platform_event_id == stray.platform_event_id)
        {
            strays.push(stray);
        }
    }
    let known: Vec<String> = sqlx::query_scalar(
        "select platform_event_id from messages
         where brand_id = $1 and channel_id = $2 and platform_event_id = any($3)",
    )
    .bind(doubt.due.brand.0)
    .bind(doubt.due.channel.0)
    .bind(ids)
    .fetch_all(tx.conn())
    .await?;
    let unclaimed = possible
        .into_iter()
        .find(|seen| !known.contains(&seen.platform_event_id));
    Ok(Evidence { unclaimed, strays })
}

async fn queue_once_more(tx: &mut BrandTx, message: MessageId) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "update outbound_messages set state = 'queued', requeues = requeues + 1, lease_token = null,
                lease_until = null, not_before = null, code = null, detail = null
         where brand_id = $1 and message_id = $2",
    )
    .bind(brand.0)
    .bind(message.0)
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn wait(tx: &mut BrandTx, message: MessageId, until: Timestamp) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "update outbound_messages set lease_token = null, lease_until = null, not_before = $3
         where brand_id = $1 and message_id = $2",
    )
    .bind(brand.0)
    .bind(message.0)
    .bind(Ts::from(until))
    .execute(tx.conn())
    .await?;
    Ok(())
}
