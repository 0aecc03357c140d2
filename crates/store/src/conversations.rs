//! Conversations as they are shown: one, or a page of a list.

mod filter;
mod narrow;
mod page;

use std::collections::BTreeMap;

use jiff::Timestamp;
use roost_domain::conversation::{Priority, Status};
use roost_domain::ids::{ChannelId, ContactId, ConversationId, LabelId, MemberId, TeamId};
use sqlx::types::Json;
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use crate::error::StoreError;
use crate::ledger::parse;
use crate::ts::Ts;
use crate::tx::BrandTx;
use crate::visibility::{Place, Visibility};
pub use filter::{
    AttributeFilter, ConversationFilter, FilterableAttribute, SlaState, find_attributes,
};
pub use page::{ListKey, Page, Sort, SortField};

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
    /// In the order of their making.
    pub labels: Vec<LabelId>,
    /// The names of the skills that it wants, first things first.
    pub skills: Vec<String>,
    /// Key to type and text form of the value.
    pub attributes: BTreeMap<String, (String, String)>,
    /// The brand's own name for it.
    pub external_id: Option<String>,
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

impl StoredConversation {
    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            team: self.team,
            assignee: self.assignee,
            channel: self.channel,
        }
    }
}

#[derive(sqlx::FromRow)]
struct ListedRow {
    page_at: Option<Ts>,
    #[sqlx(flatten)]
    row: Row,
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
    labels: Vec<Uuid>,
    skills: Vec<String>,
    attributes: Option<Json<BTreeMap<String, (String, String)>>>,
    external_id: Option<String>,
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
            labels: row.labels.into_iter().map(LabelId).collect(),
            skills: row.skills,
            attributes: row.attributes.map(|values| values.0).unwrap_or_default(),
            external_id: row.external_id,
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

/// What is shown of a conversation `c`.
const COLUMNS: &str = "
    c.id, c.status, c.priority, c.channel_id, c.contact_id, p.name as contact_name, p.handle as contact_handle,
    p.avatar_url as contact_avatar_url, c.assignee_id, c.team_id, c.external_id, c.preview, u.unread_count, c.version,
    c.cycle, c.opened_at, c.waiting_since, c.waiting_reason, c.last_message_at,
    case when c.status = 'resolved' then c.resolved_at end as resolved_at, c.snoozed_until, c.has_failed_send,
    c.origin_kind, c.origin_ref, c.updated_at, k.kind as clock_kind, k.due_at as clock_due_at,
    k.warned_at is not null as is_warned, k.breached_at is not null as is_breached,
    array(select l.label_id from conversation_labels l
          where l.brand_id = c.brand_id and l.conversation_id = c.id order by l.label_id) as labels,
    array(select s.name from conversation_skills w join skills s on s.brand_id = w.brand_id and s.id = w.skill_id
          where w.brand_id = c.brand_id and w.conversation_id = c.id order by w.ordinal, s.name) as skills,
    (select jsonb_object_agg(d.key, jsonb_build_array(d.type, a.value)) from conversation_attributes a
     join attribute_definitions d on d.brand_id = a.brand_id and d.id = a.definition_id
     where a.brand_id = c.brand_id and a.conversation_id = c.id) as attributes";

/// Adds what else a conversation `c` of the transaction's brand is shown with, as `reader` sees it; ends
/// within the `where` clause.
fn push_rest(query: &mut QueryBuilder<Postgres>, tx: &BrandTx, reader: Option<MemberId>) {
    let reader = reader.map(|member| member.0);
    query.push(
        " join contacts p on p.brand_id = c.brand_id and p.id = c.contact_id
         left join lateral (
             select kind, due_at, warned_at, breached_at from sla_clocks
             where brand_id = c.brand_id and conversation_id = c.id and state = 'running'
             order by due_at, id limit 1
         ) k on true
         left join conversation_reads r on r.brand_id = c.brand_id and r.conversation_id = c.id and r.member_id = ",
    );
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
}

/// Reads conversations by id, in no order; those that aren't this brand's, or not seen, are simply
/// not there.
///
/// # Errors
/// When the database fails.
pub async fn load(
    tx: &mut BrandTx,
    ids: &[ConversationId],
    visibility: &Visibility,
    reader: Option<MemberId>,
) -> Result<Vec<StoredConversation>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let mut query = QueryBuilder::new("select ");
    query.push(COLUMNS).push(" from conversations c");
    push_rest(&mut query, tx, reader);
    query.push(" and c.id = any (").push_bind(ids).push(")");
    visibility.push(&mut query);
    let rows: Vec<Row> = query.build_query_as().fetch_all(tx.conn()).await?;
    rows.into_iter().map(TryInto::try_into).collect()
}

/// Finds one conversation, if it is seen.
///
/// # Errors
/// When the database fails.
pub async fn find(
    tx: &mut BrandTx,
    id: ConversationId,
    visibility: &Visibility,
    reader: Option<MemberId>,
) -> Result<Option<StoredConversation>, StoreError> {
    Ok(load(tx, &[id], visibility, reader).await?.pop())
}

/// Whether there is such a conversation and it is seen. Every way to one by its id begins here or
/// with [`find`].
///
/// # Errors
/// When the database fails.
pub async fn exists(
    tx: &mut BrandTx,
    id: ConversationId,
    visibility: &Visibility,
) -> Result<bool, StoreError> {
    let mut query =
        QueryBuilder::new("select exists (select from conversations c where c.brand_id = ");
    query.push_bind(tx.brand().0);
    query.push(" and c.id = ").push_bind(id.0);
    visibility.push(&mut query);
    query.push(")");
    Ok(query.build_query_scalar().fetch_one(tx.conn()).await?)
}

/// Where a conversation stands.
///
/// # Errors
/// When the database fails.
pub async fn find_place(tx: &mut BrandTx, id: ConversationId) -> Result<Option<Place>, StoreError> {
    let brand = tx.brand();
    let row: Option<(Option<Uuid>, Option<Uuid>, Uuid)> = sqlx::query_as(
        "select team_id, assignee_id, channel_id from conversations where brand_id = $1 and id = $2",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|(team, assignee, channel)| Place {
        team: team.map(TeamId),
        assignee: assignee.map(MemberId),
        channel: ChannelId(channel),
    }))
}

/// Where the conversations of these customers stand.
///
/// # Errors
/// When the database fails.
pub async fn places_of_contacts(
    tx: &mut BrandTx,
    contacts: &[ContactId],
) -> Result<Vec<(ContactId, Place)>, StoreError> {
    if contacts.is_empty() {
        return Ok(Vec::new());
    }
    let brand = tx.brand();
    let ids: Vec<Uuid> = contacts.iter().map(|id| id.0).collect();
    let rows: Vec<(Uuid, Option<Uuid>, Option<Uuid>, Uuid)> = sqlx::query_as(
        "select distinct contact_id, team_id, assignee_id, channel_id from conversations
         where brand_id = $1 and contact_id = any ($2)",
    )
    .bind(brand.0)
    .bind(ids)
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|(contact, team, assignee, channel)| {
            let place = Place {
                team: team.map(TeamId),
                assignee: assignee.map(MemberId),
                channel: ChannelId(channel),
            };
            (ContactId(contact), place)
        })
        .collect())
}

/// A page of a list, as `reader` sees it, each row with its place in the list.
///
/// The page's ids are found first, by the index of the sort or of a filter; what else is shown is read
/// for the page alone. All of it is one statement, so that a row's place is the one it was found at.
///
/// # Errors
/// When the database fails.
pub async fn list(
    tx: &mut BrandTx,
    filter: &ConversationFilter,
    visibility: &Visibility,
    page: &Page,
    reader: MemberId,
) -> Result<Vec<(ListKey, StoredConversation)>, StoreError> {
    let filter = filter.narrowed(tx).await?;
    let mut query = QueryBuilder::new("with ");
    page.push(&mut query, tx.brand(), &filter, visibility);
    query.push(" select page.at as page_at, ").push(COLUMNS);
    query.push(" from page join conversations c on c.id = page.id");
    push_rest(&mut query, tx, Some(reader));
    page.push_order(&mut query);
    // Planned for the values at hand: whether a filter's own index is the better way depends on them.
    let rows: Vec<ListedRow> = query
        .build_query_as()
        .persistent(false)
        .fetch_all(tx.conn())
        .await?;
    rows.into_iter()
        .map(|listed| {
            let row = StoredConversation::try_from(listed.row)?;
            let key = ListKey {
                at: listed.page_at.map(Ts::get),
                id: row.id,
            };
            Ok((key, row))
        })
        .collect()
}

/// How many conversations each filter gives, counted as far as `most`.
///
/// # Errors
/// When the database fails.
pub async fn count(
    tx: &mut BrandTx,
    filters: &[ConversationFilter],
    visibility: &Visibility,
    most: i64,
) -> Result<Vec<i64>, StoreError> {
    let mut query = QueryBuilder::new("select array[");
    for (index, filter) in filters.iter().enumerate() {
        query.push(if index > 0 { ", " } else { "" });
        query.push("(select count(*) from (select from conversations c where c.brand_id = ");
        query.push_bind(tx.brand().0);
        filter.push(&mut query);
        visibility.push(&mut query);
        query.push(" limit ").push_bind(most).push(") counted)");
    }
    query.push("]::bigint[]");
    let counts = query.build_query_scalar().persistent(false);
    Ok(counts.fetch_one(tx.conn()).await?)
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
