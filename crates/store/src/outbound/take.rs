//! Taking one reply in hand, whatever state it is in.

mod doubtful;

use std::time::Duration;

use jiff::Timestamp;
use roost_domain::event::EventType;
use roost_domain::ids::MessageId;
use serde_json::json;
use uuid::Uuid;

use super::{Due, rules, stray};
use crate::budgets;
use crate::channels::{self, Credentials};
use crate::error::StoreError;
use crate::ledger::{Actor, Cause, Ledger};
use crate::seal::Sealer;
use crate::ts::Ts;
use crate::tx::{BrandTx, Store};

/// How long things may take; `quiet` is longer than `lease`.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// How long a sender owns what it has taken.
    pub lease: Duration,
    /// How long after an attempt a look-up may decide that nothing was sent.
    pub quiet: Duration,
}

/// A reply to send now. The attempt is committed.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Which reply.
    pub due: Due,
    /// Fences what this sender writes about it.
    pub lease: Uuid,
    /// Its number among the reply's attempts, from 1.
    pub attempt_no: i32,
    /// The attempt's instant, by the database's clock.
    pub started_at: Timestamp,
    /// How long it has waited.
    pub queued_at: Timestamp,
    /// The whole text.
    pub text: String,
    /// The customer's id on the platform.
    pub recipient_id: String,
    /// Such as `x`.
    pub platform: String,
    /// The app's name in the webhook path.
    pub app: String,
    /// Signs the call.
    pub credentials: Credentials,
    /// The request that queued it.
    pub request_id: Option<String>,
}

/// A reply of which nobody knows whether it was sent: ask the platform.
#[derive(Debug, Clone)]
pub struct Doubt {
    /// Which reply.
    pub due: Due,
    /// Fences what this sender writes about it.
    pub lease: Uuid,
    /// When it was attempted, by the database's clock.
    pub started_at: Timestamp,
    /// Such as `x`.
    pub platform: String,
    /// The app's name in the webhook path.
    pub app: String,
    /// The account's own id on the platform.
    pub account_id: String,
    /// The customer's.
    pub recipient_id: String,
    /// Signs the call.
    pub credentials: Credentials,
    /// The request that queued it.
    pub request_id: Option<String>,
}

/// What is to be done with a reply.
#[derive(Debug, Clone)]
pub enum Work {
    /// Send it.
    Send(Box<Claimed>),
    /// Look it up.
    LookUp(Box<Doubt>),
    /// Nothing: it was put where it belongs.
    Put(Put),
}

/// Where a reply was put instead of being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// Another has it, it has to wait, or there is nothing to do any more.
    Busy,
    /// It waits for the send budget.
    Budget,
    /// Its account can't send now.
    Channel,
    /// Its account is gone: it failed.
    Failed,
    /// It asks its author first.
    Held,
    /// It was sent before: its echo stood in the thread as a message of its own.
    Settled,
    /// Its sender vanished in the middle: nobody knows.
    Unconfirmed,
    /// No evidence came: a person has to decide.
    Undecided,
}

impl Put {
    /// Its label in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Budget => "budget",
            Self::Channel => "channel",
            Self::Failed => "failed",
            Self::Held => "held",
            Self::Settled => "settled",
            Self::Unconfirmed => "unconfirmed",
            Self::Undecided => "undecided",
        }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    state: String,
    needs_decision: bool,
    recipient_id: String,
    attempt_no: i32,
    attempt_started_at: Option<Ts>,
    lease_until: Option<Ts>,
    not_before: Option<Ts>,
    queued_at: Ts,
    requeues: i16,
    text: String,
    by_member: bool,
    stored_seq: i64,
    channel_status: String,
    platform: String,
    app: String,
    account_id: String,
    request_id: Option<String>,
}

/// Takes a due reply in hand: claims it for sending or for a look-up, or puts it where it belongs.
///
/// Two senders never send one reply: the second finds it claimed, because both lock the conversation
/// and look again.
///
/// # Errors
/// When the database fails; then nothing was claimed, or the claim runs out by itself.
pub async fn take(
    store: &Store,
    due: Due,
    terms: Terms,
    sealer: &Sealer,
) -> Result<Work, StoreError> {
    let sealer = sealer.clone();
    store
        .brand(due.brand, move |tx| {
            Box::pin(async move {
                let mut ledger = Ledger::begin(tx.conn(), &[due.brand]).await?;
                ledger
                    .lock(tx.conn(), due.brand, &[due.conversation])
                    .await?;
                let Some(row) = lock_row(tx, due.message).await? else {
                    return Ok(Work::Put(Put::Busy));
                };
                let mut take = Take {
                    tx,
                    ledger,
                    due,
                    terms,
                    row,
                };
                let work = take.decide(&sealer).await?;
                let Take { tx, ledger, .. } = take;
                ledger.flush(tx.conn()).await?;
                Ok(work)
            })
        })
        .await
}

async fn lock_row(tx: &mut BrandTx, message: MessageId) -> Result<Option<Row>, StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_as(
        "select o.state, o.needs_decision, o.recipient_id, o.attempt_no, o.attempt_started_at, o.lease_until,
                o.not_before, o.queued_at, o.requeues, m.text, m.author_type = 'member' as by_member, m.stored_seq,
                c.status as channel_status, c.platform, c.app, c.account_id, e.request_id
         from outbound_messages o
         join messages m on m.brand_id = o.brand_id and m.id = o.message_id
         join channels c on c.brand_id = o.brand_id and c.id = o.channel_id
         left join lateral (
             select q.request_id from events q
             where q.brand_id = o.brand_id and q.conversation_id = o.conversation_id and q.seq = m.stored_seq limit 1
         ) e on true
         where o.brand_id = $1 and o.message_id = $2 for update of o",
    )
    .bind(brand.0)
    .bind(message.0)
    .fetch_optional(tx.conn())
    .await?)
}

struct Take<'t> {
    tx: &'t mut BrandTx,
    ledger: Ledger,
    due: Due,
    terms: Terms,
    row: Row,
}

impl Take<'_> {
    async fn decide(&mut self, sealer: &Sealer) -> Result<Work, StoreError> {
        let now = self.ledger.now;
        let is_later = |instant: Option<Ts>| instant.is_some_and(|at| at.get() > now);
        if self.row.needs_decision || is_later(self.row.not_before) {
            return Ok(Work::Put(Put::Busy));
        }
        match self.row.state.as_str() {
            "queued" => self.claim(sealer).await,
            "sending" | "unknown" if is_later(self.row.lease_until) => Ok(Work::Put(Put::Busy)),
            "sending" => self.doubt().await,
            "unknown" => self.look_up(sealer).await,
            _ => Ok(Work::Put(Put::Busy)),
        }
    }

    async fn claim(&mut self, sealer: &Sealer) -> Result<Work, StoreError> {
        if self.is_blocked().await? {
            return Ok(Work::Put(Put::Busy));
        }
        // A look-up put it back; an echo that came since and was not recognised speaks against it.
        if self.row.requeues > 0 && !stray::of_reply(self.tx, self.due.message).await?.is_empty() {
            return self.doubt_again().await;
        }
        if self.row.channel_status == "disconnected" {
            return self.fail_disconnected().await;
        }
        let Some(credentials) = self.credentials(sealer).await? else {
            return self
                .put_off(self.ledger.now + rules::CHANNEL_WAIT, Put::Channel)
                .await;
        };
        let waited = self.ledger.now.duration_since(self.row.queued_at.get());
        let overtaken = self
            .ledger
            .get(self.due.conversation)
            .is_some_and(|conversation| conversation.state.last_inbound_seq > self.row.stored_seq);
        if rules::asks_author(self.row.by_member, waited, overtaken) {
            return self.hold().await;
        }
        let (platform, app) = (self.row.platform.clone(), self.row.app.clone());
        if let Some(reset_at) =
            budgets::find_exhausted(self.tx, self.due.channel, &platform, &app).await?
        {
            return self.put_off(reset_at, Put::Budget).await;
        }
        if !budgets::take(self.tx, self.due.channel).await? {
            // Another has just taken the last: its window tells how long.
            budgets::put_back(self.tx, self.due.channel).await?;
            return Ok(Work::Put(Put::Budget));
        }
        self.start_attempt(credentials).await
    }

    /// Whether something else of the conversation has to be settled first.
    async fn is_blocked(&mut self) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar(
            "select exists (
                 select from outbound_messages o
                 join outbound_messages other on other.brand_id = o.brand_id
                      and other.conversation_id = o.conversation_id and other.message_id <> o.message_id
                 where o.brand_id = $1 and o.message_id = $2
                   and (other.state in ('sending', 'unknown') and not other.needs_decision
                     or other.state = 'unknown' and other.fingerprint = o.fingerprint
                     or other.state = 'queued' and not other.needs_decision
                        and (other.queued_at, other.message_id) < (o.queued_at, o.message_id)))",
        )
        .bind(self.due.brand.0)
        .bind(self.due.message.0)
        .fetch_one(self.tx.conn())
        .await?)
    }

    /// The account's token, if the account may use it now. One that doesn't open is no use either.
    async fn credentials(&mut self, sealer: &Sealer) -> Result<Option<Credentials>, StoreError> {
        if !matches!(self.row.channel_status.as_str(), "active" | "degraded") {
            return Ok(None);
        }
        match channels::credentials(self.tx, self.due.channel, sealer).await {
            Err(StoreError::Sealed) => Ok(None),
            other => other,
        }
    }

    async fn start_attempt(&mut self, credentials: Credentials) -> Result<Work, StoreError> {
        let lease = Uuid::new_v4();
        let started_at = self.ledger.now;
        let attempt_no = self.row.attempt_no + 1;
        sqlx::query(
            "with claimed as (
                 update outbound_messages set state = 'sending', attempt_no = $3, attempt_started_at = $4,
                        lease_token = $5, lease_until = $6, not_before = null, code = null, detail = null
                 where brand_id = $1 and message_id = $2
             )
             insert into send_attempts (brand_id, message_id, attempt_no, started_at) values ($1, $2, $3, $4)",
        )
        .bind(self.due.brand.0)
        .bind(self.due.message.0)
        .bind(attempt_no)
        .bind(Ts::from(started_at))
        .bind(lease)
        .bind(Ts::from(started_at + rules::signed(self.terms.lease)))
        .execute(self.tx.conn())
        .await?;
        Ok(Work::Send(Box::new(Claimed {
            due: self.due,
            lease,
            attempt_no,
            started_at,
            queued_at: self.row.queued_at.get(),
            text: std::mem::take(&mut self.row.text),
            recipient_id: std::mem::take(&mut self.row.recipient_id),
            platform: std::mem::take(&mut self.row.platform),
            app: std::mem::take(&mut self.row.app),
            credentials,
            request_id: self.row.request_id.clone(),
        })))
    }

    /// It waits until its author says whether it still holds; the others go past it.
    async fn hold(&mut self) -> Result<Work, StoreError> {
        sqlx::query(
            "update outbound_messages set needs_decision = true, code = 'held_for_author'
             where brand_id = $1 and message_id = $2",
        )
        .bind(self.due.brand.0)
        .bind(self.due.message.0)
        .execute(self.tx.conn())
        .await?;
        let data = json!({ "message_id": self.due.message, "code": "held_for_author", "needs_decision": true });
        self.tell(EventType::MessageUpdated, data);
        self.ledger.set_failed_send(self.due.conversation, true);
        Ok(Work::Put(Put::Held))
    }

    async fn fail_disconnected(&mut self) -> Result<Work, StoreError> {
        sqlx::query(
            "update outbound_messages set state = 'failed', code = 'channel_disconnected', not_before = null
             where brand_id = $1 and message_id = $2",
        )
        .bind(self.due.brand.0)
        .bind(self.due.message.0)
        .execute(self.tx.conn())
        .await?;
        self.tell(
            EventType::MessageFailed,
            json!({ "message_id": self.due.message, "code": "channel_disconnected" }),
        );
        self.ledger.set_failed_send(self.due.conversation, true);
        Ok(Work::Put(Put::Failed))
    }

    /// A little later than the instant, and not all at once.
    async fn put_off(&mut self, until: Timestamp, put: Put) -> Result<Work, StoreError> {
        sqlx::query(
            "update outbound_messages set not_before = $3 + random() * interval '2 seconds'
             where brand_id = $1 and message_id = $2",
        )
        .bind(self.due.brand.0)
        .bind(self.due.message.0)
        .bind(Ts::from(until))
        .execute(self.tx.conn())
        .await?;
        Ok(Work::Put(put))
    }

    fn tell(&mut self, kind: EventType, data: serde_json::Value) {
        let cause = Cause::new(Actor::System, self.row.request_id.clone());
        self.ledger
            .emit(self.due.conversation, kind, &cause, Some(data));
    }
}
