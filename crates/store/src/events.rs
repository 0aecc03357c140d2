//! The log of a brand: appending what concerns no conversation, and reading it by position.

use jiff::Timestamp;
use roost_domain::event::EventType;
use roost_domain::ids::{BrandId, ConversationId, EventId};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;
use crate::ledger::Cause;
use crate::ts::Ts;
use crate::tx::BrandTx;

/// Appends a line about a member, a team or a channel. Its bucket is its subject's, so that the
/// relay keeps one subject's lines in order.
///
/// # Errors
/// When the database fails.
pub async fn append_subject_event(
    tx: &mut BrandTx,
    kind: EventType,
    subject: Uuid,
    cause: &Cause,
    data: Value,
) -> Result<EventId, StoreError> {
    let brand = tx.brand();
    append(tx.conn(), brand, kind, subject, cause, data).await
}

/// The same in a transaction on several brands.
///
/// # Errors
/// When the database fails.
pub async fn append(
    connection: &mut PgConnection,
    brand: BrandId,
    kind: EventType,
    subject: Uuid,
    cause: &Cause,
    data: Value,
) -> Result<EventId, StoreError> {
    let id = EventId(Uuid::now_v7());
    let bucket = subject.as_bytes()[15];
    sqlx::query(
        "insert into events (brand_id, id, type, subject_id, actor_type, actor_id, request_id, client_ref, bucket,
                             occurred_at, data)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp(), $10)",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(kind.as_str())
    .bind(subject)
    .bind(cause.actor.kind())
    .bind(cause.actor.id())
    .bind(&cause.request_id)
    .bind(&cause.client_ref)
    .bind(i16::from(bucket))
    .bind(data)
    .execute(connection)
    .await?;
    Ok(id)
}

/// A line of the log.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Ours.
    pub id: EventId,
    /// What happened.
    pub kind: String,
    /// In which conversation.
    pub conversation: Option<ConversationId>,
    /// Its number there.
    pub seq: Option<i64>,
    /// Whom it concerns, where that is no conversation.
    pub subject: Option<Uuid>,
    /// Who did it.
    pub actor_type: String,
    /// Who did it.
    pub actor_id: Option<Uuid>,
    /// The request that it goes back to.
    pub request_id: Option<String>,
    /// The client's own name for the change.
    pub client_ref: Option<String>,
    /// Its place in the log, once the relay has given it one.
    pub position: Option<i64>,
    /// When.
    pub occurred_at: Timestamp,
    /// The facts; nothing personal.
    pub data: Value,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    r#type: String,
    conversation_id: Option<Uuid>,
    seq: Option<i64>,
    subject_id: Option<Uuid>,
    actor_type: String,
    actor_id: Option<Uuid>,
    request_id: Option<String>,
    client_ref: Option<String>,
    position: Option<i64>,
    occurred_at: Ts,
    data: Value,
}

impl From<Row> for StoredEvent {
    fn from(row: Row) -> Self {
        Self {
            id: EventId(row.id),
            kind: row.r#type,
            conversation: row.conversation_id.map(ConversationId),
            seq: row.seq,
            subject: row.subject_id,
            actor_type: row.actor_type,
            actor_id: row.actor_id,
            request_id: row.request_id,
            client_ref: row.client_ref,
            position: row.position,
            occurred_at: row.occurred_at.get(),
            data: row.data,
        }
    }
}

/// The last position that the brand's log has given.
///
/// # Errors
/// When the database fails.
pub async fn head(tx: &mut BrandTx) -> Result<i64, StoreError> {
    let brand = tx.brand();
    let head: Option<i64> =
        sqlx::query_scalar("select position from event_heads where brand_id = $1")
            .bind(brand.0)
            .fetch_optional(tx.conn())
            .await?;
    Ok(head.unwrap_or(0))
}

/// Which lines are wanted; empty lists want all.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Names, or prefixes where they end in `*`.
    pub types: Vec<String>,
    /// One conversation only.
    pub conversation: Option<ConversationId>,
}

/// Lines after a position up to another, in order.
///
/// # Errors
/// When the database fails.
pub async fn read_between(
    tx: &mut BrandTx,
    after: i64,
    up_to: i64,
    filter: &EventFilter,
    limit: i64,
) -> Result<Vec<StoredEvent>, StoreError> {
    let brand = tx.brand();
    // Underscores are no wildcards in names of types.
    let patterns: Vec<String> = filter
        .types
        .iter()
        .map(|name| name.replace('_', "\\_").replace('*', "%"))
        .collect();
    let rows: Vec<Row> = sqlx::query_as(
        "select id, type, conversation_id, seq, subject_id, actor_type, actor_id, request_id, client_ref, position,
                occurred_at, data
         from events
         where brand_id = $1 and position > $2 and position <= $3
           and (cardinality($4::text[]) = 0 or type like any ($4))
           and ($5::uuid is null or conversation_id = $5)
         order by position limit $6",
    )
    .bind(brand.0)
    .bind(after)
    .bind(up_to)
    .bind(patterns)
    .bind(filter.conversation.map(|conversation| conversation.0))
    .bind(limit)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// How far back the feed reaches, in days.
pub const FEED_DAYS: i64 = 30;

/// When the first line after a position was written; none if there is no such line yet.
///
/// # Errors
/// When the database fails.
pub async fn next_written_at(
    tx: &mut BrandTx,
    after: i64,
) -> Result<Option<Timestamp>, StoreError> {
    let brand = tx.brand();
    let at: Option<Ts> = sqlx::query_scalar(
        "select occurred_at from events where brand_id = $1 and position > $2 order by position limit 1",
    )
    .bind(brand.0)
    .bind(after)
    .fetch_optional(tx.conn())
    .await?;
    Ok(at.map(Ts::get))
}

/// The position before the oldest line that the feed still gives.
///
/// # Errors
/// When the database fails.
pub async fn before_oldest(tx: &mut BrandTx, now: Timestamp) -> Result<i64, StoreError> {
    let brand = tx.brand();
    // Ids begin with their time in milliseconds, and the primary key is ordered by them.
    let since = now.as_millisecond() - FEED_DAYS * 86_400_000;
    let floor = Uuid::from_u128(u128::from(u64::try_from(since).unwrap_or(0)) << 80);
    let oldest: Option<i64> = sqlx::query_scalar(
        "select min(position) from (
             select position from events where brand_id = $1 and id >= $2 and position is not null
             order by id limit 1000
         ) first_lines",
    )
    .bind(brand.0)
    .bind(floor)
    .fetch_one(tx.conn())
    .await?;
    match oldest {
        Some(position) => Ok(position - 1),
        None => head(tx).await,
    }
}

/// A page of a conversation's lines by `seq`.
///
/// # Errors
/// When the database fails.
pub async fn of_conversation(
    tx: &mut BrandTx,
    conversation: ConversationId,
    after_seq: Option<i64>,
    descending: bool,
    limit: i64,
) -> Result<Vec<StoredEvent>, StoreError> {
    let brand = tx.brand();
    let rows: Vec<Row> = sqlx::query_as(if descending {
        "select id, type, conversation_id, seq, subject_id, actor_type, actor_id, request_id, client_ref, position,
                occurred_at, data
         from events
         where brand_id = $1 and conversation_id = $2 and ($3::bigint is null or seq < $3)
         order by seq desc limit $4"
    } else {
        "select id, type, conversation_id, seq, subject_id, actor_type, actor_id, request_id, client_ref, position,
                occurred_at, data
         from events
         where brand_id = $1 and conversation_id = $2 and ($3::bigint is null or seq > $3)
         order by seq limit $4"
    })
    .bind(brand.0)
    .bind(conversation.0)
    .bind(after_seq)
    .bind(limit)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}
