//! What came of an attempt.

use jiff::Timestamp;
use roost_domain::event::EventType;
use roost_domain::ids::MessageId;
use serde_json::json;

use super::ending::{Answer, Ending, Pause};
use super::take::Claimed;
use super::{Terms, rules, stray};
use crate::budgets;
use crate::conversation_acts::lock_identity;
use crate::error::StoreError;
use crate::events::append_subject_event;
use crate::ledger::{Actor, Cause, Ledger};
use crate::settle::{self, Accepted};
use crate::ts::Ts;
use crate::tx::{BrandTx, Store};

/// Records what came of an attempt; false if the message was settled, or taken by another, meanwhile.
///
/// An acceptance is the truth whoever holds the lease, and happens once because only a message that is
/// not yet sent is settled. Anything else counts only while the lease is held.
///
/// # Errors
/// When the database fails: call again; the attempt is in doubt once its lease has run out.
pub async fn finish(
    store: &Store,
    claimed: &Claimed,
    answer: Answer,
    terms: Terms,
) -> Result<bool, StoreError> {
    let claimed = claimed.clone();
    store
        .brand(claimed.due.brand, move |tx| {
            Box::pin(async move {
                let due = claimed.due;
                // What an accepted reply asks for may reopen its conversation.
                lock_identity(tx.conn(), due.brand, due.conversation).await?;
                let mut ledger = Ledger::begin(tx.conn(), &[due.brand]).await?;
                ledger
                    .lock(tx.conn(), due.brand, &[due.conversation])
                    .await?;
                close_attempt(tx, &claimed, &answer).await?;
                let mut finish = Finish {
                    tx,
                    ledger,
                    claimed,
                    terms,
                };
                let done = finish.apply(&answer.ending).await?;
                finish.note(&answer).await?;
                let Finish { tx, ledger, .. } = finish;
                ledger.flush(tx.conn()).await?;
                Ok(done)
            })
        })
        .await
}

async fn close_attempt(
    tx: &mut BrandTx,
    claimed: &Claimed,
    answer: &Answer,
) -> Result<(), StoreError> {
    let accepted = match &answer.ending {
        Ending::Accepted {
            platform_event_id, ..
        } => Some(platform_event_id.as_str()),
        Ending::NotSent { .. }
        | Ending::NeedsReauth { .. }
        | Ending::Failed { .. }
        | Ending::Unknown { .. } => None,
    };
    sqlx::query(
        "update send_attempts set ended_at = clock_timestamp(), outcome = $4, http_status = $5,
                platform_event_id = $6, error = $7
         where brand_id = $1 and message_id = $2 and attempt_no = $3",
    )
    .bind(claimed.due.brand.0)
    .bind(claimed.due.message.0)
    .bind(claimed.attempt_no)
    .bind(answer.ending.as_str())
    .bind(answer.http_status.map(i32::from))
    .bind(accepted)
    .bind(answer.ending.error())
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Puts a message into doubt until an instant at which it may be looked up.
pub(super) async fn doubt(
    tx: &mut BrandTx,
    message: MessageId,
    look_up_at: Timestamp,
    detail: &str,
) -> Result<(), StoreError> {
    let brand = tx.brand();
    sqlx::query(
        "update outbound_messages set state = 'unknown', lease_token = null, lease_until = null, not_before = $3,
                code = 'unconfirmed', detail = $4
         where brand_id = $1 and message_id = $2",
    )
    .bind(brand.0)
    .bind(message.0)
    .bind(Ts::from(look_up_at))
    .bind(detail)
    .execute(tx.conn())
    .await?;
    Ok(())
}

struct Finish<'t> {
    tx: &'t mut BrandTx,
    ledger: Ledger,
    claimed: Claimed,
    terms: Terms,
}

impl Finish<'_> {
    async fn apply(&mut self, ending: &Ending) -> Result<bool, StoreError> {
        if let Ending::Accepted {
            platform_event_id,
            event_no,
            sent_at,
        } = ending
        {
            return self.accept(platform_event_id, *event_no, *sent_at).await;
        }
        if !self.holds_lease().await? {
            return Ok(false);
        }
        match ending {
            Ending::Accepted { .. } => {}
            Ending::NotSent {
                not_before,
                code,
                detail,
            } => {
                budgets::put_back(self.tx, self.claimed.due.channel).await?;
                let until = not_before
                    .unwrap_or(self.ledger.now + rules::back_off(self.claimed.attempt_no));
                self.queue_again(until, code, detail).await?;
            }
            Ending::NeedsReauth { code, detail } => {
                budgets::put_back(self.tx, self.claimed.due.channel).await?;
                self.queue_again(self.ledger.now + rules::CHANNEL_WAIT, code, detail)
                    .await?;
                self.ask_for_reauth(code).await?;
            }
            Ending::Failed { code, detail } => self.fail(code, detail).await?,
            Ending::Unknown { detail } => {
                let look_up_at = self.claimed.started_at + rules::signed(self.terms.quiet);
                doubt(self.tx, self.claimed.due.message, look_up_at, detail).await?;
                self.tell(
                    EventType::MessageUnconfirmed,
                    json!({ "message_id": self.claimed.due.message }),
                );
            }
        }
        Ok(true)
    }

    async fn accept(
        &mut self,
        platform_event_id: &str,
        event_no: i64,
        sent_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let due = self.claimed.due;
        let cause = self.cause();
        if self.is_unsettled().await? {
            // An echo that nobody recognised may stand under this id: it is this reply.
            for stray in stray::among(self.tx, due, &[platform_event_id]).await? {
                stray
                    .give_way(self.tx, &mut self.ledger, due.message, &cause)
                    .await?;
            }
        }
        let accepted = Accepted {
            platform_event_id: platform_event_id.to_owned(),
            event_no,
            sent_at,
            settled_by: "answer",
        };
        let settled = settle::sent(
            &mut self.ledger,
            self.tx.conn(),
            due.brand,
            due.message,
            &accepted,
            &cause,
        )
        .await?;
        self.ledger.refold(self.tx.conn(), &cause).await?;
        sqlx::query(
            "update channels set last_send_at = clock_timestamp() where brand_id = $1 and id = $2",
        )
        .bind(due.brand.0)
        .bind(due.channel.0)
        .execute(self.tx.conn())
        .await?;
        Ok(settled)
    }

    /// Whether the platform's id of this reply is still to be told.
    async fn is_unsettled(&mut self) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar(
            "select exists (
                 select from outbound_messages o
                 join messages m on m.brand_id = o.brand_id and m.id = o.message_id
                 where o.brand_id = $1 and o.message_id = $2 and m.platform_event_id is null)",
        )
        .bind(self.claimed.due.brand.0)
        .bind(self.claimed.due.message.0)
        .fetch_one(self.tx.conn())
        .await?)
    }

    async fn holds_lease(&mut self) -> Result<bool, StoreError> {
        let held: Option<i32> = sqlx::query_scalar(
            "select 1 from outbound_messages
             where brand_id = $1 and message_id = $2 and state = 'sending' and lease_token = $3 for update",
        )
        .bind(self.claimed.due.brand.0)
        .bind(self.claimed.due.message.0)
        .bind(self.claimed.lease)
        .fetch_optional(self.tx.conn())
        .await?;
        Ok(held.is_some())
    }

    async fn queue_again(
        &mut self,
        not_before: Timestamp,
        code: &str,
        detail: &str,
    ) -> Result<(), StoreError> {
        // A little later than the instant, and not all at once.
        sqlx::query(
            "update outbound_messages set state = 'queued', lease_token = null, lease_until = null,
                    not_before = $3 + random() * interval '1 second', code = $4, detail = $5
             where brand_id = $1 and message_id = $2",
        )
        .bind(self.claimed.due.brand.0)
        .bind(self.claimed.due.message.0)
        .bind(Ts::from(not_before))
        .bind(code)
        .bind(detail)
        .execute(self.tx.conn())
        .await?;
        Ok(())
    }

    async fn fail(&mut self, code: &str, detail: &str) -> Result<(), StoreError> {
        sqlx::query(
            "update outbound_messages set state = 'failed', lease_token = null, lease_until = null,
                    not_before = null, code = $3, detail = $4
             where brand_id = $1 and message_id = $2",
        )
        .bind(self.claimed.due.brand.0)
        .bind(self.claimed.due.message.0)
        .bind(code)
        .bind(detail)
        .execute(self.tx.conn())
        .await?;
        self.tell(
            EventType::MessageFailed,
            json!({ "message_id": self.claimed.due.message, "code": code }),
        );
        self.ledger
            .set_failed_send(self.claimed.due.conversation, true);
        Ok(())
    }

    /// Told once: by whoever finds the channel still in use.
    async fn ask_for_reauth(&mut self, code: &str) -> Result<(), StoreError> {
        let changed = sqlx::query(
            "update channels set status = 'reauth_required', status_reason = $3
             where brand_id = $1 and id = $2 and status in ('active', 'degraded')",
        )
        .bind(self.claimed.due.brand.0)
        .bind(self.claimed.due.channel.0)
        .bind(code)
        .execute(self.tx.conn())
        .await?;
        if changed.rows_affected() > 0 {
            let channel = self.claimed.due.channel;
            let data = json!({ "id": channel, "status": "reauth_required", "status_reason": code });
            let cause = self.cause();
            append_subject_event(
                self.tx,
                EventType::ChannelReauthRequired,
                channel.0,
                &cause,
                data,
            )
            .await?;
        }
        Ok(())
    }

    async fn note(&mut self, answer: &Answer) -> Result<(), StoreError> {
        if let Some(budget) = answer.budget {
            budgets::note(self.tx, self.claimed.due.channel, budget).await?;
        }
        match answer.pause {
            Some(Pause::Channel(until)) => {
                budgets::pause(self.tx, self.claimed.due.channel, until).await
            }
            Some(Pause::App(until)) => {
                budgets::pause_app(self.tx, &self.claimed.platform, &self.claimed.app, until).await
            }
            None => Ok(()),
        }
    }

    fn tell(&mut self, kind: EventType, data: serde_json::Value) {
        let cause = self.cause();
        self.ledger
            .emit(self.claimed.due.conversation, kind, &cause, Some(data));
    }

    fn cause(&self) -> Cause {
        Cause::new(Actor::System, self.claimed.request_id.clone())
    }
}
