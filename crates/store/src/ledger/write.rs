//! Writing a ledger: a statement for each table, in the order of the foreign keys.

use serde::Serialize;
use sqlx::PgConnection;
use sqlx::types::Json;

use super::Ledger;
use super::clock_rows::{ClockRow, ResultRow};
use super::rows::{ConversationRow, MessageRow};
use crate::error::StoreError;
use crate::search::{self, Indexed};

/// As [`write`], an array for each column, in the order of the statement's parameters. PostgreSQL
/// takes a row in a tenth of the time that it takes to read it out of JSON.
macro_rules! write_columns {
    ($connection:expr, $statement:expr, $rows:expr, [$($column:ident),+ $(,)?]) => {
        if !$rows.is_empty() {
            sqlx::query($statement)
                $(.bind($rows.iter().map(|row| &row.$column).collect::<Vec<_>>()))+
                .execute(&mut *$connection)
                .await?;
        }
    };
}

async fn write<T: Serialize>(
    connection: &mut PgConnection,
    statement: &'static str,
    rows: &[T],
) -> Result<(), StoreError> {
    if !rows.is_empty() {
        sqlx::query(statement)
            .bind(Json(rows))
            .execute(connection)
            .await?;
    }
    Ok(())
}

impl Ledger {
    /// Writes all changes. The transaction still has to be committed.
    ///
    /// # Errors
    /// When the database fails or a constraint refuses.
    pub async fn flush(mut self, connection: &mut PgConnection) -> Result<usize, StoreError> {
        let touched: Vec<ConversationRow<'_>> = self
            .conversations
            .values()
            .filter(|conversation| conversation.touched)
            .map(Into::into)
            .collect();
        // Withdrawn clocks first, then settled ones: their places must be free for those that follow.
        self.clocks
            .sort_by_key(|(_, _, clock)| (!clock.is_withdrawn, clock.is_live(), clock.id));
        let results: Vec<ResultRow<'_>> = self
            .clocks
            .iter()
            .filter_map(|(_, id, clock)| ResultRow::new(self.conversations.get(id)?, clock))
            .collect();
        let clocks: Vec<ClockRow<'_>> = self
            .clocks
            .iter()
            .map(|(brand, id, clock)| ClockRow::new(brand.0, id.0, clock))
            .collect();
        write_columns!(
            connection,
            CONVERSATIONS,
            touched,
            [
                brand_id,
                id,
                channel_id,
                identity_id,
                contact_id,
                bucket,
                status,
                priority,
                team_id,
                assignee_id,
                assigned_at,
                queued_at,
                waiting_reason,
                version,
                last_seq,
                cycle,
                cycle_started_at,
                waiting_since,
                resolved_at,
                snoozed_until,
                clock_kind,
                clock_ordinal,
                clock_started_at,
                clock_cycle,
                lapsed_cycle,
                lapsed_started_at,
                waits,
                first_response_done,
                next_responses,
                last_order_at,
                last_order_no,
                last_order_id,
                last_inbound_seq,
                opened_at,
                preview,
                last_message_at,
                has_failed_send,
                customer_read_no,
                origin_kind,
                origin_ref,
            ]
        );
        write_columns!(
            connection,
            MESSAGES,
            self.messages,
            [
                brand_id,
                id,
                conversation_id,
                channel_id,
                kind,
                author_type,
                author_id,
                text,
                entities,
                quick_reply_answer,
                initiated_via,
                order_at,
                order_no,
                stored_seq,
                is_history,
                is_unreadable,
                sent_at,
                platform_event_id,
                client_ref,
                created_at,
            ]
        );
        let texts: Vec<Indexed<'_>> = self.messages.iter().map(MessageRow::indexed).collect();
        search::index_messages(connection, &texts).await?;
        write(connection, ATTACHMENTS, &self.attachments).await?;
        write(connection, OUTBOUND, &self.outbound).await?;
        write(connection, ACTS, &self.acts).await?;
        write_columns!(
            connection,
            CLOCKS,
            clocks,
            [
                brand_id,
                id,
                conversation_id,
                cycle,
                kind,
                ordinal,
                state,
                policy_id,
                policy_version,
                calendar_id,
                calendar_version,
                priority,
                target_seconds,
                started_at,
                started_by,
                stretches,
                due_floor,
                due_at,
                warn_at,
                next_fire_at,
                warnings,
                escalations_done,
                warned_at,
                breached_at,
                fired_at,
                settled_at,
                settled_by,
                cancelled_as,
                used_ms,
                verdict_no,
                is_withdrawn,
                marks,
                late_seconds,
                undo,
                story,
                has_result,
            ]
        );
        write_columns!(
            connection,
            RESULTS,
            results,
            [
                brand_id,
                clock_id,
                conversation_id,
                kind,
                cycle,
                verdict,
                verdict_at,
                due_at,
                ended_at,
                target_seconds,
                used_ms,
                calendar_ms,
                cancelled_as,
                channel_id,
                team_id,
                member_id,
                priority,
                policy_id,
                settled_by,
            ]
        );
        write(connection, FIRINGS, &self.firings).await?;
        write_columns!(
            connection,
            EVENTS,
            self.events,
            [
                brand_id,
                id,
                conversation_id,
                seq,
                r#type,
                subject_id,
                actor_type,
                actor_id,
                request_id,
                client_ref,
                bucket,
                occurred_at,
                data,
            ]
        );
        Ok(self.events.len())
    }
}

const CONVERSATIONS: &str = "
insert into conversations as c (
    brand_id, id, channel_id, identity_id, contact_id, bucket, status, priority, team_id, assignee_id,
    assigned_at, queued_at, waiting_reason, version, last_seq, cycle, cycle_started_at, waiting_since,
    resolved_at, snoozed_until, clock_kind, clock_ordinal, clock_started_at, clock_cycle, lapsed_cycle,
    lapsed_started_at, waits, first_response_done, next_responses, last_order_at, last_order_no, last_order_id,
    last_inbound_seq, opened_at, preview, last_message_at, has_failed_send, customer_read_no, origin_kind,
    origin_ref)
select * from unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::smallint[], $7::text[], $8::text[],
    $9::uuid[], $10::uuid[], $11::timestamptz[], $12::timestamptz[], $13::text[], $14::bigint[], $15::bigint[],
    $16::int[], $17::timestamptz[], $18::timestamptz[], $19::timestamptz[], $20::timestamptz[], $21::text[],
    $22::int[], $23::timestamptz[], $24::int[], $25::int[], $26::timestamptz[], $27::int[], $28::boolean[],
    $29::int[], $30::timestamptz[], $31::bigint[], $32::uuid[], $33::bigint[], $34::timestamptz[], $35::text[],
    $36::timestamptz[], $37::boolean[], $38::bigint[], $39::text[], $40::text[])
on conflict (brand_id, id) do update set
    status = excluded.status, priority = excluded.priority, team_id = excluded.team_id,
    assignee_id = excluded.assignee_id, assigned_at = excluded.assigned_at, queued_at = excluded.queued_at,
    waiting_reason = excluded.waiting_reason, version = excluded.version, last_seq = excluded.last_seq,
    cycle = excluded.cycle, cycle_started_at = excluded.cycle_started_at, waiting_since = excluded.waiting_since,
    resolved_at = excluded.resolved_at, snoozed_until = excluded.snoozed_until, clock_kind = excluded.clock_kind,
    clock_ordinal = excluded.clock_ordinal, clock_started_at = excluded.clock_started_at,
    clock_cycle = excluded.clock_cycle, lapsed_cycle = excluded.lapsed_cycle,
    lapsed_started_at = excluded.lapsed_started_at, waits = excluded.waits,
    first_response_done = excluded.first_response_done, next_responses = excluded.next_responses,
    last_order_at = excluded.last_order_at, last_order_no = excluded.last_order_no,
    last_order_id = excluded.last_order_id, last_inbound_seq = excluded.last_inbound_seq,
    preview = excluded.preview, last_message_at = excluded.last_message_at,
    has_failed_send = excluded.has_failed_send, customer_read_no = excluded.customer_read_no,
    updated_at = now()";

const MESSAGES: &str = "
insert into messages (
    brand_id, id, conversation_id, channel_id, kind, author_type, author_id, text, entities, quick_reply_answer,
    initiated_via, order_at, order_no, stored_seq, is_history, is_unreadable, sent_at, platform_event_id,
    client_ref, created_at)
select * from unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::uuid[], $8::text[], $9::jsonb[],
    $10::jsonb[], $11::jsonb[], $12::timestamptz[], $13::bigint[], $14::bigint[], $15::boolean[],
    $16::boolean[], $17::timestamptz[], $18::text[], $19::text[], $20::timestamptz[])";

const ATTACHMENTS: &str = "
insert into attachments (brand_id, id, message_id, ordinal, type, content_type, source_url, width, height, data)
select brand_id, id, message_id, ordinal, type, content_type, source_url, width, height, data
from jsonb_populate_recordset(null::attachments, $1)";

const OUTBOUND: &str = "
insert into outbound_messages (
    brand_id, message_id, conversation_id, channel_id, recipient_id, state, needs_decision, then_status, then_until,
    fingerprint, attempt_no, queued_at)
select
    brand_id, message_id, conversation_id, channel_id, recipient_id, state, needs_decision, then_status, then_until,
    fingerprint, attempt_no, queued_at
from jsonb_populate_recordset(null::outbound_messages, $1)";

const ACTS: &str = "
insert into conversation_acts (brand_id, conversation_id, id, act, until, member_id, stored_seq, order_at, created_at)
select brand_id, conversation_id, id, act, until, member_id, stored_seq, order_at, created_at
from jsonb_populate_recordset(null::conversation_acts, $1)";

const CLOCKS: &str = "
insert into sla_clocks as k (
    brand_id, id, conversation_id, cycle, kind, ordinal, state, policy_id, policy_version, calendar_id,
    calendar_version, priority, target_seconds, started_at, started_by, stretches, due_floor, due_at,
    warn_at, next_fire_at, warnings, escalations_done, warned_at, breached_at, fired_at, settled_at,
    settled_by, cancelled_as, used_ms, verdict_no, is_withdrawn, marks, late_seconds, undo, story,
    has_result)
select
    brand_id, id, conversation_id, cycle, kind, ordinal, state, policy_id, policy_version, calendar_id,
    calendar_version, priority, target_seconds, started_at, started_by, stretches, due_floor, due_at,
    warn_at, next_fire_at, warnings::smallint[], escalations_done, warned_at, breached_at, fired_at,
    settled_at, settled_by, cancelled_as, used_ms, verdict_no, is_withdrawn, marks::text[],
    late_seconds, undo, story, has_result
from unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::text[], $6::int[], $7::text[], $8::uuid[],
    $9::int[], $10::uuid[], $11::int[], $12::text[], $13::bigint[], $14::timestamptz[], $15::uuid[],
    $16::jsonb[], $17::timestamptz[], $18::timestamptz[], $19::timestamptz[], $20::timestamptz[],
    $21::text[], $22::smallint[], $23::timestamptz[], $24::timestamptz[], $25::timestamptz[],
    $26::timestamptz[], $27::uuid[], $28::text[], $29::bigint[], $30::int[], $31::boolean[],
    $32::text[], $33::int[], $34::jsonb[], $35::jsonb[], $36::boolean[]) as n (
    brand_id, id, conversation_id, cycle, kind, ordinal, state, policy_id, policy_version, calendar_id,
    calendar_version, priority, target_seconds, started_at, started_by, stretches, due_floor, due_at,
    warn_at, next_fire_at, warnings, escalations_done, warned_at, breached_at, fired_at, settled_at,
    settled_by, cancelled_as, used_ms, verdict_no, is_withdrawn, marks, late_seconds, undo, story,
    has_result)
on conflict (brand_id, id) do update set
    policy_id = excluded.policy_id, policy_version = excluded.policy_version, calendar_id =
    excluded.calendar_id, calendar_version = excluded.calendar_version, priority = excluded.priority,
    target_seconds = excluded.target_seconds, started_at = excluded.started_at, started_by =
    excluded.started_by, state = excluded.state, stretches = excluded.stretches, due_floor =
    excluded.due_floor, due_at = excluded.due_at, warn_at = excluded.warn_at, next_fire_at =
    excluded.next_fire_at, warnings = excluded.warnings, escalations_done = excluded.escalations_done,
    warned_at = excluded.warned_at, breached_at = excluded.breached_at, fired_at = excluded.fired_at,
    settled_at = excluded.settled_at, settled_by = excluded.settled_by, cancelled_as =
    excluded.cancelled_as, used_ms = excluded.used_ms, verdict_no = excluded.verdict_no, is_withdrawn =
    excluded.is_withdrawn, marks = excluded.marks, undo = excluded.undo, story = excluded.story, has_result
    = excluded.has_result";

const RESULTS: &str = "
insert into sla_results as r (
    brand_id, clock_id, conversation_id, kind, cycle, verdict, verdict_at, due_at, ended_at, target_seconds, used_ms,
    calendar_ms, cancelled_as, channel_id, team_id, member_id, priority, policy_id)
select
    n.brand_id, n.clock_id, n.conversation_id, n.kind, n.cycle, n.verdict, n.verdict_at, n.due_at, n.ended_at,
    n.target_seconds, n.used_ms, n.calendar_ms, n.cancelled_as, n.channel_id, n.team_id,
    coalesce(m.author_id, n.member_id), n.priority, n.policy_id
from unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::int[], $6::text[], $7::timestamptz[],
    $8::timestamptz[], $9::timestamptz[], $10::bigint[], $11::bigint[], $12::bigint[], $13::text[],
    $14::uuid[], $15::uuid[], $16::uuid[], $17::text[], $18::uuid[], $19::uuid[]) as n (
    brand_id, clock_id, conversation_id, kind, cycle, verdict, verdict_at, due_at, ended_at,
    target_seconds, used_ms, calendar_ms, cancelled_as, channel_id, team_id, member_id, priority,
    policy_id, settled_by)
left join messages m on m.brand_id = n.brand_id and m.id = n.settled_by and m.author_type = 'member'
on conflict (brand_id, clock_id) do update set
    verdict = excluded.verdict, verdict_at = excluded.verdict_at, due_at = excluded.due_at,
    ended_at = excluded.ended_at, target_seconds = excluded.target_seconds, used_ms = excluded.used_ms,
    calendar_ms = excluded.calendar_ms, cancelled_as = excluded.cancelled_as, team_id = excluded.team_id,
    member_id = excluded.member_id, priority = excluded.priority, policy_id = excluded.policy_id";

const FIRINGS: &str = "
insert into sla_firings (brand_id, clock_id, what, verdict_no, fired_at)
select brand_id, clock_id, what, verdict_no, fired_at
from jsonb_populate_recordset(null::sla_firings, $1)
on conflict do nothing";

const EVENTS: &str = "
insert into events (
    brand_id, id, conversation_id, seq, type, subject_id, actor_type, actor_id, request_id, client_ref, bucket,
    occurred_at, data)
select * from unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::uuid[], $7::text[], $8::uuid[],
    $9::text[], $10::text[], $11::smallint[], $12::timestamptz[], $13::jsonb[])";
