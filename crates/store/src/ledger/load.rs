//! Reading what a change starts from.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use jiff::Timestamp;
use roost_domain::conversation::{
    Fact, FactKind, Order, Reply, RunningClock, State, Stretch, Then, clamp_for_clocks,
};
use roost_domain::ids::{
    BrandId, CalendarId, ChannelId, ClockId, ContactId, ConversationId, IdentityId, MemberId,
    MessageId, PolicyId, TeamId,
};
use roost_domain::sla::ClockKind;
use serde_json::{Map, Value};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::rows::ActKind;
use super::{About, CalendarKey, Conversation, PolicyKey, Rulebook, Rules, StoredClock};
use crate::error::StoreError;
use crate::ts::Ts;

/// An identity on a channel, whose conversations are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdentityKey {
    /// The brand.
    pub brand: BrandId,
    /// The account.
    pub channel: ChannelId,
    /// The customer's account.
    pub identity: IdentityId,
}

pub(crate) fn parse<T: FromStr>(text: &str) -> Result<T, StoreError> {
    text.parse()
        .map_err(|_| StoreError::Corrupt(text.to_owned()))
}

/// The teams of these brands.
pub(super) async fn teams(
    connection: &mut PgConnection,
    brands: &[BrandId],
) -> Result<Vec<TeamId>, StoreError> {
    let brands: Vec<Uuid> = brands.iter().map(|brand| brand.0).collect();
    let ids: Vec<Uuid> = sqlx::query_scalar("select id from teams where brand_id = any ($1)")
        .bind(brands)
        .fetch_all(connection)
        .await?;
    Ok(ids.into_iter().map(TeamId).collect())
}

#[derive(sqlx::FromRow)]
struct ConversationRow {
    brand_id: Uuid,
    id: Uuid,
    channel_id: Uuid,
    identity_id: Uuid,
    contact_id: Uuid,
    bucket: i16,
    status: String,
    priority: String,
    team_id: Option<Uuid>,
    assignee_id: Option<Uuid>,
    assigned_at: Option<Ts>,
    queued_at: Option<Ts>,
    waiting_reason: Option<String>,
    version: i64,
    last_seq: i64,
    cycle: i32,
    cycle_started_at: Ts,
    waiting_since: Option<Ts>,
    resolved_at: Option<Ts>,
    snoozed_until: Option<Ts>,
    clock_kind: Option<String>,
    clock_ordinal: Option<i32>,
    clock_started_at: Option<Ts>,
    clock_cycle: Option<i32>,
    lapsed_cycle: Option<i32>,
    lapsed_started_at: Option<Ts>,
    waits: i32,
    first_response_done: bool,
    next_responses: i32,
    last_order_at: Option<Ts>,
    last_order_no: Option<i64>,
    last_order_id: Option<Uuid>,
    last_inbound_seq: i64,
    opened_at: Ts,
    preview: String,
    last_message_at: Option<Ts>,
    has_failed_send: bool,
    customer_read_no: i64,
    origin_kind: Option<String>,
    origin_ref: Option<String>,
    locked_at: Ts,
}

impl TryFrom<ConversationRow> for Conversation {
    type Error = StoreError;

    fn try_from(row: ConversationRow) -> Result<Self, StoreError> {
        let get = |ts: Option<Ts>| ts.map(Ts::get);
        let started = row.clock_cycle.zip(row.clock_started_at);
        let running = match (row.clock_kind, row.clock_ordinal, started) {
            (Some(kind), Some(ordinal), Some((cycle, at))) => Some(RunningClock {
                kind: parse(&kind)?,
                cycle,
                ordinal,
                started_at: at.get(),
            }),
            _ => None,
        };
        let lapsed = row.lapsed_cycle.zip(row.lapsed_started_at);
        let lapsed = lapsed.map(|(cycle, at)| RunningClock {
            kind: ClockKind::FirstResponse,
            cycle,
            ordinal: 1,
            started_at: at.get(),
        });
        let last = match (row.last_order_at, row.last_order_no, row.last_order_id) {
            (Some(at), Some(no), Some(id)) => Some(Order {
                at: at.get(),
                no,
                id,
            }),
            _ => None,
        };
        Ok(Self {
            brand: BrandId(row.brand_id),
            id: ConversationId(row.id),
            channel: ChannelId(row.channel_id),
            identity: IdentityId(row.identity_id),
            contact: ContactId(row.contact_id),
            bucket: u8::try_from(row.bucket)
                .map_err(|_| StoreError::Corrupt("bucket".to_owned()))?,
            priority: parse(&row.priority)?,
            team: row.team_id.map(TeamId),
            assignee: row.assignee_id.map(MemberId),
            assigned_at: get(row.assigned_at),
            queued_at: get(row.queued_at),
            waiting_reason: row.waiting_reason,
            version: row.version,
            last_seq: row.last_seq,
            state: State {
                status: parse(&row.status)?,
                cycle: row.cycle,
                cycle_started_at: row.cycle_started_at.get(),
                waiting_since: get(row.waiting_since),
                resolved_at: get(row.resolved_at),
                snoozed_until: get(row.snoozed_until),
                running,
                lapsed,
                first_response_done: row.first_response_done,
                next_responses: row.next_responses,
                last,
                last_inbound_seq: row.last_inbound_seq,
            },
            opened_at: row.opened_at.get(),
            preview: row.preview,
            last_message_at: get(row.last_message_at),
            has_failed_send: row.has_failed_send,
            customer_read_no: row.customer_read_no,
            origin: row.origin_kind.zip(row.origin_ref),
            waits: row.waits,
            about: About::default(),
            clocks: Vec::new(),
            touched: false,
            new_facts: Vec::new(),
            must_refold: false,
            is_unfolded: false,
        })
    }
}

/// Locks conversations that a condition names. The outer part runs when all locks are held, so that its
/// time is later than whatever was written under them before.
macro_rules! lock_conversations {
    ($which:literal) => {
        concat!(
            "with held as (
                 select brand_id, id, channel_id, identity_id, contact_id, bucket, status, priority, team_id,
                        assignee_id, assigned_at, queued_at, waiting_reason, version, last_seq, cycle,
                        cycle_started_at, waiting_since, resolved_at, snoozed_until, clock_kind, clock_ordinal,
                        clock_started_at, clock_cycle, lapsed_cycle, lapsed_started_at, waits, first_response_done, next_responses, last_order_at, last_order_no,
                        last_order_id, last_inbound_seq, opened_at, preview, last_message_at, has_failed_send,
                        customer_read_no, origin_kind, origin_ref
                 from conversations where ",
            $which,
            " order by id for update)
             select brand_id, id, channel_id, identity_id, contact_id, bucket, status, priority, team_id,
                    assignee_id, assigned_at, queued_at, waiting_reason, version, last_seq, cycle,
                    cycle_started_at, waiting_since, resolved_at, snoozed_until, clock_kind, clock_ordinal,
                    clock_started_at, clock_cycle, lapsed_cycle, lapsed_started_at, waits, first_response_done, next_responses, last_order_at, last_order_no,
                    last_order_id, last_inbound_seq, opened_at, preview, last_message_at, has_failed_send,
                    customer_read_no, origin_kind, origin_ref, clock_timestamp() as locked_at
             from held order by id"
        )
    };
}

/// Conversations that are locked now, and a time that is later than all locks.
pub(super) struct Locked {
    pub(super) conversations: Vec<Conversation>,
    pub(super) at: Option<Timestamp>,
}

pub(super) async fn lock_ids(
    connection: &mut PgConnection,
    brand: BrandId,
    ids: &[ConversationId],
) -> Result<Locked, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows: Vec<ConversationRow> =
        sqlx::query_as(lock_conversations!("brand_id = $1 and id = any ($2)"))
            .bind(brand.0)
            .bind(ids)
            .fetch_all(&mut *connection)
            .await?;
    with_clocks(connection, rows).await
}

/// The unresolved conversation of each identity and its three newest resolved ones: a late message
/// may belong to one that ended before the last.
pub(super) async fn lock_identities(
    connection: &mut PgConnection,
    keys: &[IdentityKey],
) -> Result<Locked, StoreError> {
    let brands: Vec<Uuid> = keys.iter().map(|key| key.brand.0).collect();
    let channels: Vec<Uuid> = keys.iter().map(|key| key.channel.0).collect();
    let identities: Vec<Uuid> = keys.iter().map(|key| key.identity.0).collect();
    let rows: Vec<ConversationRow> = sqlx::query_as(lock_conversations!(
        "(brand_id, id) in (
             select found.brand_id, found.id
             from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as wanted (brand_id, channel_id, identity_id)
             cross join lateral (
                 select c.brand_id, c.id from conversations c
                 where c.brand_id = wanted.brand_id and c.channel_id = wanted.channel_id
                   and c.identity_id = wanted.identity_id and c.surface = 'dm'
                 order by (c.status <> 'resolved') desc, c.opened_at desc, c.id desc limit 4
             ) found)"
    ))
    .bind(brands)
    .bind(channels)
    .bind(identities)
    .fetch_all(&mut *connection)
    .await?;
    with_clocks(connection, rows).await
}

async fn with_clocks(
    connection: &mut PgConnection,
    rows: Vec<ConversationRow>,
) -> Result<Locked, StoreError> {
    let at = rows.iter().map(|row| row.locked_at.get()).max();
    // Those of a resolved conversation have ended.
    let unresolved: Vec<(Uuid, Uuid)> = rows
        .iter()
        .filter(|row| row.status != "resolved")
        .map(|row| (row.brand_id, row.id))
        .collect();
    let mut clocks: HashMap<ConversationId, Vec<StoredClock>> = HashMap::new();
    if !unresolved.is_empty() {
        for row in clock_rows(connection, &unresolved, Which::Live).await? {
            let id = ConversationId(row.conversation_id);
            clocks.entry(id).or_default().push(row.try_into()?);
        }
    }
    let conversations = rows.into_iter().map(|row| {
        let mut conversation = Conversation::try_from(row)?;
        conversation.clocks = clocks.remove(&conversation.id).unwrap_or_default();
        Ok(conversation)
    });
    let conversations = conversations.collect::<Result<_, StoreError>>()?;
    Ok(Locked { conversations, at })
}

#[derive(sqlx::FromRow)]
struct ClockRow {
    id: Uuid,
    conversation_id: Uuid,
    cycle: i32,
    kind: String,
    ordinal: i32,
    state: String,
    policy_id: Uuid,
    policy_version: i32,
    calendar_id: Option<Uuid>,
    calendar_version: Option<i32>,
    priority: String,
    target_seconds: i64,
    started_at: Ts,
    started_by: Option<Uuid>,
    stretches: Json<Vec<(String, Timestamp, Option<Timestamp>)>>,
    due_floor: Option<Ts>,
    due_at: Option<Ts>,
    warn_at: Option<Ts>,
    next_fire_at: Option<Ts>,
    warnings: Vec<i16>,
    escalations_done: i16,
    warned_at: Option<Ts>,
    breached_at: Option<Ts>,
    fired_at: Option<Ts>,
    settled_at: Option<Ts>,
    settled_by: Option<Uuid>,
    cancelled_as: Option<String>,
    used_ms: Option<i64>,
    verdict_no: i32,
    is_withdrawn: bool,
    marks: Vec<String>,
    late_seconds: Option<i32>,
    undo: Option<Json<Map<String, Value>>>,
    story: Json<Vec<Value>>,
    has_result: bool,
    told: Vec<String>,
}

impl TryFrom<ClockRow> for StoredClock {
    type Error = StoreError;

    fn try_from(row: ClockRow) -> Result<Self, StoreError> {
        let stretches = row.stretches.0.into_iter().map(|(status, from, until)| {
            let status = parse(&status)?;
            Ok(Stretch {
                status,
                from,
                until,
            })
        });
        Ok(Self {
            id: ClockId(row.id),
            cycle: row.cycle,
            kind: parse(&row.kind)?,
            ordinal: row.ordinal,
            state: row.state,
            policy: PolicyKey::new(PolicyId(row.policy_id), row.policy_version),
            calendar: row
                .calendar_id
                .zip(row.calendar_version)
                .map(|(id, version)| CalendarKey {
                    id: CalendarId(id),
                    version,
                }),
            priority: parse(&row.priority)?,
            target_seconds: row.target_seconds,
            started_at: row.started_at.get(),
            started_by: row.started_by,
            stretches: stretches.collect::<Result<_, StoreError>>()?,
            due_floor: row.due_floor.map(Ts::get),
            due_at: row.due_at.map(Ts::get),
            warn_at: row.warn_at.map(Ts::get),
            next_fire_at: row.next_fire_at.map(Ts::get),
            warnings: row.warnings,
            escalations_done: row.escalations_done,
            warned_at: row.warned_at.map(Ts::get),
            breached_at: row.breached_at.map(Ts::get),
            fired_at: row.fired_at.map(Ts::get),
            settled_at: row.settled_at.map(Ts::get),
            settled_by: row.settled_by,
            cancelled_as: row.cancelled_as,
            used_ms: row.used_ms,
            verdict_no: row.verdict_no,
            is_withdrawn: row.is_withdrawn,
            marks: row.marks,
            late_seconds: row.late_seconds,
            undo: row.undo.map(|json| json.0).unwrap_or_default(),
            story: row.story.0,
            has_result: row.has_result,
            told: row.told,
        })
    }
}

/// Which clocks of a conversation.
#[derive(Debug, Clone, Copy)]
enum Which {
    /// That run or rest.
    Live,
    /// All but those that were withdrawn.
    Standing,
    /// Those too.
    All,
}

async fn clock_rows(
    connection: &mut PgConnection,
    of: &[(Uuid, Uuid)],
    which: Which,
) -> Result<Vec<ClockRow>, StoreError> {
    let (brands, ids): (Vec<Uuid>, Vec<Uuid>) = of.iter().copied().unzip();
    Ok(sqlx::query_as(
        "select k.id, k.conversation_id, k.cycle, k.kind, k.ordinal, k.state, k.policy_id, k.policy_version,
                k.calendar_id, k.calendar_version, k.priority, k.target_seconds, k.started_at, k.started_by,
                k.stretches, k.due_floor, k.due_at, k.warn_at, k.next_fire_at, k.warnings, k.escalations_done,
                k.warned_at, k.breached_at, k.fired_at, k.settled_at, k.settled_by, k.cancelled_as, k.used_ms,
                k.verdict_no, k.is_withdrawn, k.marks, k.late_seconds, k.undo, k.story, k.has_result,
                array(select f.what from sla_firings f
                      where f.brand_id = k.brand_id and f.clock_id = k.id
                        and (f.verdict_no = k.verdict_no or f.what like 'warning:%')) as told
         from unnest($1::uuid[], $2::uuid[]) as wanted (brand_id, conversation_id)
         join sla_clocks k using (brand_id, conversation_id)
         where (not k.is_withdrawn or $4) and (k.state in ('running', 'paused') or not $3)
         order by k.id",
    )
    .bind(brands)
    .bind(ids)
    .bind(matches!(which, Which::Live))
    .bind(matches!(which, Which::All))
    .fetch_all(connection)
    .await?)
}

/// Every clock of a conversation, with what it runs by.
pub(crate) async fn shown_clocks(
    connection: &mut PgConnection,
    brand: BrandId,
    conversation: ConversationId,
) -> Result<Vec<(StoredClock, Rules)>, StoreError> {
    let rows = clock_rows(connection, &[(brand.0, conversation.0)], Which::All).await?;
    let clocks: Vec<StoredClock> = rows
        .into_iter()
        .map(TryInto::try_into)
        .collect::<Result<_, StoreError>>()?;
    let mut rulebook = Rulebook::default();
    let versions: Vec<_> = clocks
        .iter()
        .map(|clock| (brand, clock.policy, clock.calendar))
        .collect();
    rulebook.learn(connection, versions).await?;
    let ruled = clocks.into_iter().filter_map(|clock| {
        let rules = rulebook.rules(clock.policy, clock.calendar)?;
        Some((clock, rules))
    });
    Ok(ruled.collect())
}

/// Clocks of these conversations that run or rest.
pub(super) async fn live_clocks(
    connection: &mut PgConnection,
    of: &[(BrandId, ConversationId)],
) -> Result<HashMap<ConversationId, Vec<StoredClock>>, StoreError> {
    clocks_by_conversation(connection, of, Which::Live).await
}

/// Every clock of these conversations but those that were withdrawn.
pub(super) async fn clocks(
    connection: &mut PgConnection,
    of: &[(BrandId, ConversationId)],
) -> Result<HashMap<ConversationId, Vec<StoredClock>>, StoreError> {
    clocks_by_conversation(connection, of, Which::Standing).await
}

async fn clocks_by_conversation(
    connection: &mut PgConnection,
    of: &[(BrandId, ConversationId)],
    which: Which,
) -> Result<HashMap<ConversationId, Vec<StoredClock>>, StoreError> {
    let of: Vec<(Uuid, Uuid)> = of.iter().map(|(brand, id)| (brand.0, id.0)).collect();
    let mut found: HashMap<ConversationId, Vec<StoredClock>> = HashMap::new();
    for row in clock_rows(connection, &of, which).await? {
        let id = ConversationId(row.conversation_id);
        found.entry(id).or_default().push(row.try_into()?);
    }
    Ok(found)
}

/// Every stored fact of these conversations: messages that count, and acts.
pub(super) async fn facts(
    connection: &mut PgConnection,
    of: &[(BrandId, ConversationId)],
) -> Result<HashMap<ConversationId, Vec<Fact>>, StoreError> {
    #[derive(sqlx::FromRow)]
    struct Row {
        conversation_id: Uuid,
        id: Uuid,
        kind: String,
        author_type: Option<String>,
        then_status: Option<String>,
        until: Option<Ts>,
        order_at: Ts,
        order_no: i64,
        stored_seq: i64,
        known_at: Ts,
    }
    let (brands, ids): (Vec<Uuid>, Vec<Uuid>) =
        of.iter().map(|(brand, id)| (brand.0, id.0)).unzip();
    let rows: Vec<Row> = sqlx::query_as(
        "with wanted as (
             select * from unnest($1::uuid[], $2::uuid[]) as w (brand_id, conversation_id)
         )
         select m.conversation_id, m.id, m.kind, m.author_type, o.then_status, o.then_until as until,
                m.order_at, m.order_no, m.stored_seq, coalesce(o.settled_at, m.created_at) as known_at
         from wanted join messages m using (brand_id, conversation_id)
         left join outbound_messages o on o.brand_id = m.brand_id and o.message_id = m.id
         where not m.is_history
           and (m.kind = 'inbound' or m.kind in ('reply', 'automatic') and m.sent_at is not null)
         union all
         select a.conversation_id, a.id, a.act, null, null, a.until, a.order_at, 0, a.stored_seq, a.created_at
         from wanted join conversation_acts a using (brand_id, conversation_id)
         where a.undone_at is null",
    )
    .bind(brands)
    .bind(ids)
    .fetch_all(connection)
    .await?;
    let mut found: HashMap<ConversationId, Vec<Fact>> = HashMap::new();
    for row in rows {
        let (at, known_at) = (row.order_at.get(), row.known_at.get());
        let (kind, clock_at) = match row.kind.as_str() {
            "inbound" => (
                FactKind::Inbound(MessageId(row.id)),
                clamp_for_clocks(at, known_at),
            ),
            "reply" | "automatic" => {
                let author = row.author_type.as_deref();
                let reply = Reply {
                    message: MessageId(row.id),
                    human: matches!(author, Some("member" | "external")),
                    in_roost: author == Some("member"),
                    then: then(row.then_status.as_deref(), row.until.map(Ts::get)),
                };
                (FactKind::Reply(reply), clamp_for_clocks(at, known_at))
            }
            act => {
                let kind = ActKind::parse(act, row.until.map(Ts::get))
                    .ok_or_else(|| StoreError::Corrupt(format!("act {act}")))?;
                (FactKind::Act(kind.act()), known_at)
            }
        };
        found
            .entry(ConversationId(row.conversation_id))
            .or_default()
            .push(Fact {
                order: Order {
                    at,
                    no: row.order_no,
                    id: row.id,
                },
                clock_at,
                stored_seq: row.stored_seq,
                kind,
            });
    }
    Ok(found)
}

/// Those of these conversations whose customer has another over the same channel that isn't resolved.
pub(super) async fn superseded(
    connection: &mut PgConnection,
    of: &[(BrandId, ConversationId)],
) -> Result<HashSet<ConversationId>, StoreError> {
    let (brands, ids): (Vec<Uuid>, Vec<Uuid>) =
        of.iter().map(|(brand, id)| (brand.0, id.0)).unzip();
    let found: Vec<Uuid> = sqlx::query_scalar(
        "select c.id from unnest($1::uuid[], $2::uuid[]) as w (brand_id, id)
         join conversations c using (brand_id, id)
         join conversations o on o.brand_id = c.brand_id and o.channel_id = c.channel_id
              and o.identity_id = c.identity_id and o.surface = c.surface
         where o.id <> c.id and o.status <> 'resolved'",
    )
    .bind(brands)
    .bind(ids)
    .fetch_all(connection)
    .await?;
    Ok(found.into_iter().map(ConversationId).collect())
}

/// What an author asked for together with a reply, as it is stored.
pub(crate) fn then(status: Option<&str>, until: Option<Timestamp>) -> Option<Then> {
    match (status, until) {
        (Some("open"), _) => Some(Then::Open),
        (Some("pending"), _) => Some(Then::Pending),
        (Some("resolved"), _) => Some(Then::Resolved),
        (Some("snoozed"), Some(until)) => Some(Then::Snoozed(until)),
        _ => None,
    }
}
