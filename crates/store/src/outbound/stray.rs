//! Messages of the account that no reply explained when they came, and that may be one all the same.

use jiff::Timestamp;
use roost_domain::event::EventType;
use roost_domain::ids::{BrandId, ConversationId, MessageId};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Due;
use crate::error::StoreError;
use crate::ledger::{Cause, Ledger};
use crate::settle::{self, Accepted};
use crate::ts::Ts;
use crate::tx::BrandTx;

/// Makes stored messages of the account comparable with replies, by the fingerprints of their texts.
///
/// # Errors
/// When the database fails.
pub async fn note_strays(
    connection: &mut PgConnection,
    strays: &[(BrandId, MessageId, [u8; 32])],
) -> Result<(), StoreError> {
    if strays.is_empty() {
        return Ok(());
    }
    let brands: Vec<Uuid> = strays.iter().map(|(brand, _, _)| brand.0).collect();
    let messages: Vec<Uuid> = strays.iter().map(|(_, message, _)| message.0).collect();
    let fingerprints: Vec<&[u8]> = strays
        .iter()
        .map(|(_, _, print)| print.as_slice())
        .collect();
    sqlx::query(
        "update messages m set fingerprint = noted.fingerprint
         from unnest($1::uuid[], $2::uuid[], $3::bytea[]) as noted (brand_id, id, fingerprint)
         where m.brand_id = noted.brand_id and m.id = noted.id",
    )
    .bind(brands)
    .bind(messages)
    .bind(fingerprints)
    .execute(connection)
    .await?;
    Ok(())
}

/// A message of the account that is no reply's so far.
#[derive(Debug, Clone)]
pub(super) struct Stray {
    id: MessageId,
    conversation: ConversationId,
    pub(super) platform_event_id: String,
    event_no: i64,
    sent_at: Timestamp,
    /// Another app wrote it, as far as we know our own: it settles nothing by itself.
    pub(super) is_of_another_app: bool,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    conversation_id: Uuid,
    platform_event_id: String,
    order_no: i64,
    sent_at: Ts,
    author_type: String,
}

impl From<Row> for Stray {
    fn from(row: Row) -> Self {
        Self {
            id: MessageId(row.id),
            conversation: ConversationId(row.conversation_id),
            platform_event_id: row.platform_event_id,
            event_no: row.order_no,
            sent_at: row.sent_at.get(),
            is_of_another_app: row.author_type != "external",
        }
    }
}

/// The strays that an attempt of this reply explains, by the rule of [`super::match_echo`], whichever
/// conversation with the customer they stand in; the oldest first.
pub(super) async fn of_reply(tx: &mut BrandTx, reply: MessageId) -> Result<Vec<Stray>, StoreError> {
    let brand = tx.brand();
    let rows: Vec<Row> = sqlx::query_as(
        "select m.id, m.conversation_id, m.platform_event_id, m.order_no, m.sent_at, m.author_type
         from outbound_messages o
         join conversations c on c.brand_id = o.brand_id and c.id = o.conversation_id
         join conversations t on t.brand_id = c.brand_id and t.channel_id = c.channel_id
              and t.identity_id = c.identity_id
         join messages m on m.brand_id = t.brand_id and m.conversation_id = t.id and m.fingerprint = o.fingerprint
         where o.brand_id = $1 and o.message_id = $2 and m.platform_event_id is not null and exists (
             select from send_attempts a
             where a.brand_id = o.brand_id and a.message_id = o.message_id
               and (a.outcome is null or a.outcome = 'unknown')
               and m.sent_at between a.started_at - interval '5 seconds' and a.started_at + interval '5 minutes')
         order by m.order_at, m.order_no, m.id",
    )
    .bind(brand.0)
    .bind(reply.0)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// The strays among these of the platform's messages; the oldest first.
pub(super) async fn among(
    tx: &mut BrandTx,
    due: Due,
    platform_event_ids: &[&str],
) -> Result<Vec<Stray>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(
        "select m.id, m.conversation_id, m.platform_event_id, m.order_no, m.order_at as sent_at, m.author_type
         from messages m
         where m.brand_id = $1 and m.channel_id = $2 and m.platform_event_id = any($3)
           and not exists (
               select from outbound_messages o where o.brand_id = m.brand_id and o.message_id = m.id)
         order by m.order_at, m.order_no, m.id",
    )
    .bind(due.brand.0)
    .bind(due.channel.0)
    .bind(platform_event_ids)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

impl Stray {
    /// Takes it out of its thread and of what its conversation is folded from: it is this reply. The
    /// caller settles the reply and refolds. False if it is another reply already.
    ///
    /// The reply's conversation is locked. A stray in another one has that locked now, maybe against
    /// the order of ids: in the worst case one of two transactions is rolled back and comes again.
    pub(super) async fn give_way(
        &self,
        tx: &mut BrandTx,
        ledger: &mut Ledger,
        reply: MessageId,
        cause: &Cause,
    ) -> Result<bool, StoreError> {
        let brand = tx.brand();
        if ledger.get(self.conversation).is_none() {
            ledger.lock(tx.conn(), brand, &[self.conversation]).await?;
        }
        let mut gone = 0;
        for statement in [
            "delete from attachments where brand_id = $1 and message_id = $2",
            "delete from messages where brand_id = $1 and id = $2",
        ] {
            let deleted = sqlx::query(statement)
                .bind(brand.0)
                .bind(self.id.0)
                .execute(tx.conn())
                .await?;
            gone = deleted.rows_affected();
        }
        if gone == 0 {
            return Ok(false);
        }
        let data = json!({ "message_id": self.id, "replaced_by": reply });
        ledger.emit(
            self.conversation,
            EventType::MessageDeleted,
            cause,
            Some(data),
        );
        ledger.unfold(self.conversation);
        Ok(true)
    }

    /// Settles a reply by this message of the account, which is gone then; false if either was settled
    /// before.
    pub(super) async fn settle(
        &self,
        tx: &mut BrandTx,
        ledger: &mut Ledger,
        reply: MessageId,
        settled_by: &'static str,
        cause: &Cause,
    ) -> Result<bool, StoreError> {
        let brand = tx.brand();
        if !self.give_way(tx, ledger, reply, cause).await? {
            return Ok(false);
        }
        let accepted = Accepted {
            platform_event_id: self.platform_event_id.clone(),
            event_no: self.event_no,
            sent_at: self.sent_at,
            settled_by,
        };
        let settled = settle::sent(ledger, tx.conn(), brand, reply, &accepted, cause).await?;
        ledger.refold(tx.conn(), cause).await?;
        Ok(settled)
    }
}
