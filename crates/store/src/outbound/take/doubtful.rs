//! Replies whose attempt nobody saw the end of.

use roost_domain::event::EventType;
use serde_json::json;
use uuid::Uuid;

use super::{Doubt, Put, Take, Work};
use crate::error::StoreError;
use crate::ledger::{Actor, Cause};
use crate::outbound::{evidence, finish, rules, stray};
use crate::seal::Sealer;
use crate::ts::Ts;

impl Take<'_> {
    /// The sender's lease ran out in the middle of an attempt: that is never "not sent".
    pub(super) async fn doubt(&mut self) -> Result<Work, StoreError> {
        let started_at = self.row.attempt_started_at.map_or(self.ledger.now, Ts::get);
        let detail = "the sender vanished";
        finish::doubt(
            self.tx,
            self.due.message,
            started_at + rules::signed(self.terms.quiet),
            detail,
        )
        .await?;
        sqlx::query(
            "update send_attempts set ended_at = clock_timestamp(), outcome = 'unknown', error = $4
             where brand_id = $1 and message_id = $2 and attempt_no = $3 and outcome is null",
        )
        .bind(self.due.brand.0)
        .bind(self.due.message.0)
        .bind(self.row.attempt_no)
        .bind(detail)
        .execute(self.tx.conn())
        .await?;
        self.tell(
            EventType::MessageUnconfirmed,
            json!({ "message_id": self.due.message }),
        );
        Ok(Work::Put(Put::Unconfirmed))
    }

    /// Back into doubt, to be looked at again at once.
    pub(super) async fn doubt_again(&mut self) -> Result<Work, StoreError> {
        let detail = "a message of the account may be this reply";
        finish::doubt(self.tx, self.due.message, self.ledger.now, detail).await?;
        self.tell(
            EventType::MessageUnconfirmed,
            json!({ "message_id": self.due.message }),
        );
        Ok(Work::Put(Put::Unconfirmed))
    }

    pub(super) async fn look_up(&mut self, sealer: &Sealer) -> Result<Work, StoreError> {
        let now = self.ledger.now;
        let started_at = self.row.attempt_started_at.map_or(now, Ts::get);
        // What we know already needs no look-up.
        let strays = stray::of_reply(self.tx, self.due.message).await?;
        let cause = Cause::new(Actor::System, self.row.request_id.clone());
        if evidence::by_stray(self.tx, &mut self.ledger, self.due, &strays, &cause).await? {
            return Ok(Work::Put(Put::Settled));
        }
        if now >= started_at + rules::DECIDE_AFTER {
            return self.leave_to_a_person().await;
        }
        let Some(credentials) = self.credentials(sealer).await? else {
            let until = (now + rules::CHANNEL_WAIT).min(started_at + rules::DECIDE_AFTER);
            return self.put_off(until, Put::Channel).await;
        };
        let lease = Uuid::new_v4();
        sqlx::query(
            "update outbound_messages set lease_token = $3, lease_until = $4 where brand_id = $1 and message_id = $2",
        )
        .bind(self.due.brand.0)
        .bind(self.due.message.0)
        .bind(lease)
        .bind(Ts::from(now + rules::signed(self.terms.lease)))
        .execute(self.tx.conn())
        .await?;
        Ok(Work::LookUp(Box::new(Doubt {
            due: self.due,
            lease,
            started_at,
            platform: std::mem::take(&mut self.row.platform),
            app: std::mem::take(&mut self.row.app),
            account_id: std::mem::take(&mut self.row.account_id),
            recipient_id: std::mem::take(&mut self.row.recipient_id),
            credentials,
            request_id: self.row.request_id.clone(),
        })))
    }

    async fn leave_to_a_person(&mut self) -> Result<Work, StoreError> {
        sqlx::query(
            "update outbound_messages set needs_decision = true, lease_token = null, lease_until = null,
                    not_before = null
             where brand_id = $1 and message_id = $2",
        )
        .bind(self.due.brand.0)
        .bind(self.due.message.0)
        .execute(self.tx.conn())
        .await?;
        let data = json!({ "message_id": self.due.message, "needs_decision": true });
        self.tell(EventType::MessageUnconfirmed, data);
        self.ledger.set_failed_send(self.due.conversation, true);
        Ok(Work::Put(Put::Undecided))
    }
}
