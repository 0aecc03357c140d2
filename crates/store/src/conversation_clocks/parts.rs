//! Where a clock's time went.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use roost_domain::ids::ConversationId;
use uuid::Uuid;

use crate::error::StoreError;
use crate::ledger::{Rules, StoredClock};
use crate::ts::Ts;
use crate::tx::BrandTx;

/// Seconds of the time that counted, by where they were spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts {
    /// Nobody had the conversation.
    pub queue: i64,
    /// Somebody had it, and the answer was not written yet.
    pub agent: i64,
    /// The answer was written and waited to be sent.
    pub sending: i64,
    /// The platform had not told us of the message yet.
    pub late: i64,
}

/// Since when the conversation has had an assignee, or none, in order.
pub(super) type Holders = Vec<(Timestamp, bool)>;

impl Parts {
    /// The parts of a clock until it ended, or until now.
    pub(super) fn of(
        clock: &StoredClock,
        rules: &Rules,
        holders: &Holders,
        written_at: Option<Timestamp>,
        end: Timestamp,
    ) -> Self {
        let late = clock.late_seconds.unwrap_or(0);
        let known_at = clock.started_at + SignedDuration::from_secs(i64::from(late));
        let known_at = known_at.min(end);
        let sent_from = written_at.map_or(end, |at| at.clamp(known_at, end));
        let used = |from: Timestamp, to: Timestamp| {
            (clock.used(rules, to) - clock.used(rules, from))
                .as_secs()
                .max(0)
        };
        let mut parts = Self {
            late: used(clock.started_at, known_at),
            sending: used(sent_from, end),
            ..Self::default()
        };
        let mut from = known_at;
        let mut held = false;
        for (at, is_held) in holders {
            let until = (*at).clamp(from, sent_from);
            parts.add(held, used(from, until));
            from = until;
            held = *is_held;
        }
        parts.add(held, used(from, sent_from));
        parts
    }

    fn add(&mut self, held: bool, seconds: i64) {
        *(if held {
            &mut self.agent
        } else {
            &mut self.queue
        }) += seconds;
    }
}

/// When the conversation got and lost its assignees.
pub(super) async fn holders(
    tx: &mut BrandTx,
    conversation: ConversationId,
) -> Result<Holders, StoreError> {
    let brand = tx.brand();
    let rows: Vec<(Ts, bool)> = sqlx::query_as(
        "select occurred_at, type = 'conversation.assigned' from events
         where brand_id = $1 and conversation_id = $2
           and type in ('conversation.assigned', 'conversation.unassigned')
         order by seq",
    )
    .bind(brand.0)
    .bind(conversation.0)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|(at, held)| (at.get(), held))
        .collect())
}

/// When answers that went out over us were written, by their id.
pub(super) async fn written(
    tx: &mut BrandTx,
    answers: Vec<Uuid>,
) -> Result<HashMap<Uuid, Timestamp>, StoreError> {
    let brand = tx.brand();
    let rows: Vec<(Uuid, Ts)> = sqlx::query_as(
        "select message_id, queued_at from outbound_messages where brand_id = $1 and message_id = any ($2)",
    )
    .bind(brand.0)
    .bind(answers)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|(id, at)| (id, at.get())).collect())
}
