//! Conversations as they are shown: one, or a page of a list.

mod filter;

use jiff::Timestamp;
use roost_domain::conversation::{Priority, Status};
use roost_domain::ids::{ChannelId, ContactId, ConversationId, MemberId, TeamId};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use crate::error::StoreError;
use crate::ledger::parse;
use crate::ts::Ts;
use crate::tx::BrandTx;
pub use filter::{ConversationFilter, ListKey, Page, Sort, SortField};

/// A conversation with what a list shows of its contact and its clock.
#[derive(Debug, Clone)]
pub struct StoredConversation {
    /// Ours.
    pub id: ConversationId,
    /// Who owes the next step.
    pub status: Status,
    /// How urgent.
    pub priority: Priority,
    /// The account it runs over.
    pub channel: ChannelId,
    /// The customer.
    pub contact: StoredContact,
    /// Who has it.
    pub assignee: Option<MemberId>,
    /// Whose queue.
    pub team: Option<TeamId>,
    /// The first words of its newest message.
    pub preview: String,
    /// Customer messages that the reader hasn't seen, at most 100; none where nobody reads.
    pub unread_count: Option<i64>,
    /// Rises with every change that a stale view must not overwrite.
    pub version: i64,
    /// The stretch from opening or reopening to resolve.
    pub cycle: i32,
    /// Platform time of the message that began it.
    pub opened_at: Timestamp,
    /// Platform time of the oldest unanswered customer message.
    pub waiting_since: Option<Timestamp>,
    /// Why it waits for an assignee.
    pub waiting_reason: Option<String>,
    /// The place of its newest message, notes left out.
    pub last_message_at: Option<Timestamp>,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// When its snooze ends.
    pub snoozed_until: Option<Timestamp>,
    /// Whether a reply failed and waits for a decision.
    pub has_failed_send: bool,
    /// What it came from.
    pub origin: Option<(String, String)>,
    /// Its running clock.
    pub clock: Option<ClockSummary>,
    /// When anything of it last changed.
    pub updated_at: Timestamp,
}

/// A customer.
#[derive(Debug, Clone)]
pub struct StoredContact {
    /// Ours.
    pub id: ContactId,
    /// The display name.
    pub name: String,
    /// The handle without `@`.
    pub handle: Option<String>,
    /// The picture.
    pub avatar_url: Option<String>,
}

/// A running clock, as a list shows it.
#[derive(Debug, Clone)]
pub struct ClockSummary {
    /// What it measures.
    pub kind: String,
    /// The last instant in time.
    pub due_at: Timestamp,
    /// Whether its warning has fired.
    pub is_warned: bool,
    /// Whether its breach has fired.
    pub is_breached: bool,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    status: String,
    priority: String,
    channel_id: Uuid,
    contact_id: Uuid,
    contact_name: String,
    contact_handle: Option<String>,
    contact_avatar_url: Option<String>,
    assignee_id: Option<Uuid>,
    team_id: Option<Uuid>,
    preview: String,
    unread_count: Option<i64>,
    version: i64,
    cycle: i32,
    opened_at: Ts,
    waiting_since: Option<Ts>,
    waiting_reason: Option<String>,
    last_message_at: Option<Ts>,
    resolved_at: Option<Ts>,
    snoozed_until: Option<Ts>,
    has_failed_send: bool,
    origin_kind: Option<String>,
    origin_ref: Option<String>,
    updated_at: Ts,
    clock_kind: Option<String>,
    clock_due_at: Option<Ts>,
    is_warned: Option<bool>,
    is_breached: Option<bool>,
}

impl TryFrom<Row> for StoredConversation {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let get = |ts: Option<Ts>| ts.map(Ts::get);
        Ok(Self {
            id: ConversationId(row.id),
            status: parse(&row.status)?,
            priority: parse(&row.priority)?,
            channel: ChannelId(row.channel_id),
            contact: StoredContact {
                id: ContactId(row.contact_id),
                name: row.contact_name,
                handle: row.contact_handle,
                avatar_url: row.contact_avatar_url,
            },
            assignee: row.assignee_id.map(MemberId),
            team: row.team_id.map(TeamId),
            preview: row.preview,
            unread_count: row.unread_count,
            version: row.version,
            cycle: row.cycle,
            opened_at: row.opened_at.get(),
            waiting_since: get(row.waiting_since),
            waiting_reason: row.waiting_reason,
            last_message_at: get(row.last_message_at),
            resolved_at: get(row.resolved_at),
            snoozed_until: get(row.snoozed_until),
            has_failed_send: row.has_failed_send,
            origin: row.origin_kind.zip(row.origin_ref),
            clock: row
                .clock_kind
                .zip(row.clock_due_at)
                .map(|(kind, due_at)| ClockSummary {
                    kind,
                    due_at: due_at.get(),
                    is_warned: row.is_warned == Some(true),
                    is_breached: row.is_breached == Some(true),
                }),
            updated_at: row.updated_at.get(),
        })
    }
}

/// Begins a query on the transaction's brand, as `reader` sees it; the caller adds conditions.
fn select(tx: &BrandTx, reader: Option<MemberId>) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        "select c.id, c.status, c.priority, c.channel_id, c.contact_id, p.name as contact_name,
                p.handle as contact_handle, p.avatar_url as contact_avatar_url, c.assignee_id, c.team_id, c.preview,
                u.unread_count, c.version, c.cycle, c.opened_at, c.waiting_since, c.waiting_reason, c.last_message_at,
                case when c.status = 'resolved' then c.resolved_at end as resolved_at, c.snoozed_until,
                c.has_failed_send, c.origin_kind, c.origin_ref, c.updated_at, k.kind as clock_kind,
                k.due_at as clock_due_at, k.warned_at is not null as is_warned, k.breached_at is not null as is_breached
         from conversations c
         join contacts p on p.brand_id = c.brand_id and p.id = c.contact_id
         left join lateral (
             select kind, due_at, warned_at, breached_at from sla_clocks
             where brand_id = c.brand_id and conversation_id = c.id and state = 'running'
             order by due_at, id limit 1
         ) k on true
         left join conversation_reads r on r.brand_id = c.brand_id and r.conversation_id = c.id and r.member_id = ",
    );
    let reader = reader.map(|member| member.0);
    query.push_bind(reader);
    query
        .push(" cross join lateral (select case when ")
        .push_bind(reader);
    query.push(
        "::uuid is not null then (
             select count(*) from (
                 select from messages m
                 where m.brand_id = c.brand_id and m.conversation_id = c.id and m.kind = 'inbound' and not m.is_history
                   and (r.member_id is null
                        or (m.order_at, m.order_no, m.id) > (r.read_at, r.read_no, r.read_id))
                 limit 100
             ) unread) end as unread_count) u
         where c.brand_id = ",
    );
    query.push_bind(tx.brand().0);
    query
}

/// Reads conversations by id, in no order; those that aren't this brand's are simply not there.
///
/// # Errors
/// When the database fails.
pub async fn load(
    tx: &mut BrandTx,
    ids: &[ConversationId],
    reader: Option<MemberId>,
) -> Result<Vec<StoredConversation>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let mut query = select(tx, reader);
    query.push(" and c.id = any (").push_bind(ids).push(")");
    let rows: Vec<Row> = query.build_query_as().fetch_all(tx.conn()).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Finds one conversation.
///
/// # Errors
/// When the database fails.
pub async fn find(
    tx: &mut BrandTx,
    id: ConversationId,
    reader: Option<MemberId>,
) -> Result<Option<StoredConversation>, StoreError> {
    Ok(load(tx, &[id], reader).await?.pop())
}

/// Whether the brand has such a conversation.
///
/// # Errors
/// When the database fails.
pub async fn exists(tx: &mut BrandTx, id: ConversationId) -> Result<bool, StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_scalar(
        "select exists (select from conversations where brand_id = $1 and id = $2)",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_one(tx.conn())
    .await?)
}

/// A page of a list, as `reader` sees it.
///
/// # Errors
/// When the database fails.
pub async fn list(
    tx: &mut BrandTx,
    filter: &ConversationFilter,
    page: &Page,
    reader: MemberId,
) -> Result<Vec<StoredConversation>, StoreError> {
    let mut query = select(tx, Some(reader));
    filter.push(&mut query);
    page.push(&mut query);
    let rows: Vec<Row> = query.build_query_as().fetch_all(tx.conn()).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Moves a member's read mark of a conversation forward to a message; false if the conversation has
/// no such message. Never moves it back.
///
/// # Errors
/// When the database fails.
pub async fn mark_read(
    tx: &mut BrandTx,
    id: ConversationId,
    message: Uuid,
    reader: MemberId,
) -> Result<bool, StoreError> {
    let brand = tx.brand();
    let found: bool = sqlx::query_scalar(
        "with seen as (
             select brand_id, conversation_id, order_at, order_no, id from messages
             where brand_id = $1 and conversation_id = $2 and id = $3
         ), marked as (
             insert into conversation_reads as r (brand_id, conversation_id, member_id, read_at, read_no, read_id)
             select brand_id, conversation_id, $4, order_at, order_no, id from seen
             on conflict (brand_id, conversation_id, member_id) do update
                 set read_at = excluded.read_at, read_no = excluded.read_no, read_id = excluded.read_id
                 where (r.read_at, r.read_no, r.read_id) < (excluded.read_at, excluded.read_no, excluded.read_id)
         )
         select exists (select from seen)",
    )
    .bind(brand.0)
    .bind(id.0)
    .bind(message)
    .bind(reader.0)
    .fetch_one(tx.conn())
    .await?;
    Ok(found)
}
