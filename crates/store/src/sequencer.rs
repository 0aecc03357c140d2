//! Giving committed events their places in the log, and remembering what was published of them.
//!
//! A relay holds slots: ranges of 16 buckets, each leased under the name [`Slot::lease`]. Everything
//! that numbers events locks the slots' leases first, so that a relay which was paused past the end
//! of its lease numbers nothing any more, and whoever takes a slot over sees all that was numbered
//! before.

use roost_domain::ids::{BrandId, ConversationId, EventId};
use uuid::Uuid;

use crate::error::StoreError;
use crate::tx::Store;

/// How many slots there are.
pub const SLOTS: u8 = 16;
const BUCKETS_PER_SLOT: u8 = 16;

/// What every lease of the relay begins with.
pub const LEASES: &str = "relay.";

/// A sixteenth of all buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u8);

impl Slot {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SLOTS).map(Self)
    }

    /// The slot that a bucket belongs to.
    #[must_use]
    pub fn of_bucket(bucket: u8) -> Self {
        Self(bucket / BUCKETS_PER_SLOT)
    }

    /// Its number, below [`SLOTS`].
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// Its buckets.
    pub fn buckets(self) -> impl Iterator<Item = u8> {
        let first = self.0 * BUCKETS_PER_SLOT;
        first..=first + (BUCKETS_PER_SLOT - 1)
    }

    /// The name of its lease.
    #[must_use]
    pub fn lease(self) -> String {
        format!("{LEASES}s{:02}", self.0)
    }
}

/// A slot and the epoch of the lease under which the caller has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenure {
    /// Which slot.
    pub slot: Slot,
    /// As `leases::take` answered it.
    pub epoch: i64,
}

/// An event with its place in the brand's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Whose log.
    pub brand: BrandId,
    /// Which event.
    pub event: EventId,
    /// Its conversation, if it concerns one.
    pub conversation: Option<ConversationId>,
    /// Its place in the conversation.
    pub seq: Option<i64>,
    /// Its type's public name.
    pub kind: String,
    /// Where it lives; see `roost_domain::bucket`.
    pub bucket: u8,
    /// Its place in the brand's log.
    pub position: i64,
    /// The request that caused it.
    pub request_id: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Row {
    brand_id: Uuid,
    event_id: Uuid,
    conversation_id: Option<Uuid>,
    seq: Option<i64>,
    r#type: String,
    bucket: i16,
    position: i64,
    request_id: Option<String>,
}

impl TryFrom<Row> for Placed {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            brand: BrandId(row.brand_id),
            event: EventId(row.event_id),
            conversation: row.conversation_id.map(ConversationId),
            seq: row.seq,
            kind: row.r#type,
            bucket: u8::try_from(row.bucket)
                .map_err(|_| StoreError::Corrupt("bucket".to_owned()))?,
            position: row.position,
            request_id: row.request_id,
        })
    }
}

/// In the order of the logs; `returning` promises none.
fn placed(rows: Vec<Row>) -> Result<Vec<Placed>, StoreError> {
    let mut events = rows
        .into_iter()
        .map(Placed::try_from)
        .collect::<Result<Vec<_>, _>>()?;
    events.sort_by_key(|event| (event.brand, event.position));
    Ok(events)
}

fn tenures(of: &[Tenure]) -> (Vec<i16>, Vec<i64>) {
    of.iter()
        .map(|tenure| (i16::from(tenure.slot.0), tenure.epoch))
        .unzip()
}

/// Gives up to `most` committed events of these buckets their places, and answers them in order.
/// Buckets of slots that the caller doesn't hold (any more) are left alone.
///
/// # Errors
/// When the database fails. Events may then have been numbered all the same: read
/// [`unpublished`] before going on.
pub async fn number(
    store: &Store,
    holder: Uuid,
    held: &[Tenure],
    buckets: Vec<u8>,
    most: i32,
) -> Result<Vec<Placed>, StoreError> {
    let (slots, epochs) = tenures(held);
    let buckets: Vec<i16> = buckets.into_iter().map(i16::from).collect();
    let rows = store
        .system(move |tx| {
            Box::pin(async move {
                let rows: Vec<Row> = sqlx::query_as(
                    "select brand_id, event_id, conversation_id, seq, type, bucket, position, request_id
                     from cross_sequence_events($1, $2, $3, $4, $5)",
                )
                .bind(slots)
                .bind(epochs)
                .bind(holder)
                .bind(buckets)
                .bind(most)
                .fetch_all(tx.conn())
                .await?;
                Ok::<_, StoreError>(rows)
            })
        })
        .await?;
    placed(rows)
}

/// What of a slot is numbered and not marked as published, in order, up to `most` events.
///
/// # Errors
/// When the database fails.
pub async fn unpublished(store: &Store, slot: Slot, most: i32) -> Result<Vec<Placed>, StoreError> {
    let buckets: Vec<i16> = slot.buckets().map(i16::from).collect();
    let rows = store
        .system(move |tx| {
            Box::pin(async move {
                let rows: Vec<Row> = sqlx::query_as(
                    "select brand_id, event_id, conversation_id, seq, type, bucket, position, request_id
                     from relay_unpublished($1, $2, $3)",
                )
                .bind(i16::from(slot.0))
                .bind(buckets)
                .bind(most)
                .fetch_all(tx.conn())
                .await?;
                Ok::<_, StoreError>(rows)
            })
        })
        .await?;
    placed(rows)
}

/// Remembers that these events, and all of their slots before them, are published. Marks only rise.
///
/// # Errors
/// When the database fails; the events may then be published again.
pub async fn mark(store: &Store, published: &[&Placed]) -> Result<(), StoreError> {
    if published.is_empty() {
        return Ok(());
    }
    let slots: Vec<i16> = published
        .iter()
        .map(|event| i16::from(Slot::of_bucket(event.bucket).0))
        .collect();
    let brands: Vec<Uuid> = published.iter().map(|event| event.brand.0).collect();
    let positions: Vec<i64> = published.iter().map(|event| event.position).collect();
    store
        .system(move |tx| {
            Box::pin(async move {
                sqlx::query("select relay_mark($1, $2, $3)")
                    .bind(slots)
                    .bind(brands)
                    .bind(positions)
                    .execute(tx.conn())
                    .await?;
                Ok(())
            })
        })
        .await
}

/// Marks slots of which everything numbered is published up to the heads of the logs, so that a
/// take-over has little to search.
///
/// # Errors
/// When the database fails; nothing is lost by it.
pub async fn settle(
    store: &Store,
    holder: Uuid,
    held: &[Tenure],
    most: i32,
) -> Result<(), StoreError> {
    let (slots, epochs) = tenures(held);
    store
        .system(move |tx| {
            Box::pin(async move {
                sqlx::query("select relay_settle($1, $2, $3, $4)")
                    .bind(slots)
                    .bind(epochs)
                    .bind(holder)
                    .bind(most)
                    .execute(tx.conn())
                    .await?;
                Ok(())
            })
        })
        .await
}

/// How many events wait for their place; counted up to 100,000.
///
/// # Errors
/// When the database fails.
pub async fn backlog(store: &Store) -> Result<i64, StoreError> {
    store
        .system(|tx| {
            Box::pin(async move {
                Ok(sqlx::query_scalar("select event_backlog()")
                    .fetch_one(tx.conn())
                    .await?)
            })
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_has_one_slot() {
        let mut seen = [0_u8; 256];
        for slot in Slot::all() {
            for bucket in slot.buckets() {
                assert_eq!(Slot::of_bucket(bucket), slot);
                seen[usize::from(bucket)] += 1;
            }
        }
        assert!(seen.iter().all(|count| *count == 1));
        assert_eq!(Slot::of_bucket(255).lease(), "relay.s15");
        assert_eq!(Slot::of_bucket(31).lease(), "relay.s01");
    }
}
