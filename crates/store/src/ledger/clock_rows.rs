//! Clocks and their verdicts as they are written.

use jiff::Timestamp;
use serde_json::{Map, Value};
use sqlx::types::Json;
use uuid::Uuid;

use super::{Conversation, StoredClock};
use crate::ts::Ts;

type Stretches = Vec<(&'static str, Timestamp, Option<Timestamp>)>;

/// A clock as it is written.
#[derive(Debug)]
pub(super) struct ClockRow<'a> {
    pub(super) brand_id: Uuid,
    pub(super) id: Uuid,
    pub(super) conversation_id: Uuid,
    pub(super) cycle: i32,
    pub(super) kind: &'static str,
    pub(super) ordinal: i32,
    pub(super) state: &'a str,
    pub(super) policy_id: Uuid,
    pub(super) policy_version: i32,
    pub(super) calendar_id: Option<Uuid>,
    pub(super) calendar_version: Option<i32>,
    pub(super) priority: &'static str,
    pub(super) target_seconds: i64,
    pub(super) started_at: Ts,
    pub(super) started_by: Option<Uuid>,
    pub(super) stretches: Json<Stretches>,
    pub(super) due_floor: Option<Ts>,
    pub(super) due_at: Option<Ts>,
    pub(super) warn_at: Option<Ts>,
    pub(super) next_fire_at: Option<Ts>,
    pub(super) warnings: String,
    pub(super) escalations_done: i16,
    pub(super) warned_at: Option<Ts>,
    pub(super) breached_at: Option<Ts>,
    pub(super) fired_at: Option<Ts>,
    pub(super) settled_at: Option<Ts>,
    pub(super) settled_by: Option<Uuid>,
    pub(super) cancelled_as: Option<&'a str>,
    pub(super) used_ms: Option<i64>,
    pub(super) verdict_no: i32,
    pub(super) is_withdrawn: bool,
    pub(super) marks: String,
    pub(super) late_seconds: Option<i32>,
    pub(super) undo: Option<Json<&'a Map<String, Value>>>,
    pub(super) story: Json<&'a [Value]>,
    pub(super) has_result: bool,
}

impl<'a> ClockRow<'a> {
    pub(super) fn new(brand_id: Uuid, conversation_id: Uuid, clock: &'a StoredClock) -> Self {
        let stretches = clock
            .stretches
            .iter()
            .map(|stretch| (stretch.status.as_str(), stretch.from, stretch.until));
        Self {
            brand_id,
            id: clock.id.0,
            conversation_id,
            cycle: clock.cycle,
            kind: clock.kind.as_str(),
            ordinal: clock.ordinal,
            state: &clock.state,
            policy_id: clock.policy.id.0,
            policy_version: clock.policy.version,
            calendar_id: clock.calendar.map(|calendar| calendar.id.0),
            calendar_version: clock.calendar.map(|calendar| calendar.version),
            priority: clock.priority.as_str(),
            target_seconds: clock.target_seconds,
            started_at: clock.started_at.into(),
            started_by: clock.started_by,
            stretches: Json(stretches.collect()),
            due_floor: clock.due_floor.map(Into::into),
            due_at: clock.due_at.map(Into::into),
            warn_at: clock.warn_at.map(Into::into),
            next_fire_at: clock.next_fire_at.map(Into::into),
            warnings: literal(&clock.warnings),
            escalations_done: clock.escalations_done,
            warned_at: clock.warned_at.map(Into::into),
            breached_at: clock.breached_at.map(Into::into),
            fired_at: clock.fired_at.map(Into::into),
            settled_at: clock.settled_at.map(Into::into),
            settled_by: clock.settled_by,
            cancelled_as: clock.cancelled_as.as_deref(),
            used_ms: clock.used_ms,
            verdict_no: clock.verdict_no,
            is_withdrawn: clock.is_withdrawn,
            marks: literal(&clock.marks),
            late_seconds: clock.late_seconds,
            undo: Some(Json(&clock.undo)).filter(|undo| !undo.0.is_empty()),
            story: Json(&clock.story),
            has_result: clock.has_result || verdict(clock).is_some(),
        }
    }
}

/// An array in PostgreSQL's own notation, for numbers and names without anything to quote.
fn literal<T: ToString>(values: &[T]) -> String {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    format!("{{{}}}", values.join(","))
}

/// What reports count.
#[derive(Debug)]
pub(super) struct ResultRow<'a> {
    pub(super) brand_id: Uuid,
    pub(super) clock_id: Uuid,
    pub(super) conversation_id: Uuid,
    pub(super) kind: &'static str,
    pub(super) cycle: i32,
    pub(super) verdict: Option<&'static str>,
    pub(super) verdict_at: Ts,
    pub(super) due_at: Option<Ts>,
    pub(super) ended_at: Option<Ts>,
    pub(super) target_seconds: i64,
    pub(super) used_ms: Option<i64>,
    pub(super) calendar_ms: Option<i64>,
    pub(super) cancelled_as: Option<&'a str>,
    pub(super) channel_id: Uuid,
    pub(super) team_id: Option<Uuid>,
    pub(super) member_id: Option<Uuid>,
    pub(super) priority: &'static str,
    pub(super) policy_id: Uuid,
    pub(super) settled_by: Option<Uuid>,
}

impl<'a> ResultRow<'a> {
    /// None where reports have nothing to learn.
    pub(super) fn new(conversation: &Conversation, clock: &'a StoredClock) -> Option<Self> {
        let verdict = verdict(clock);
        if verdict.is_none() && !clock.has_result {
            return None;
        }
        // Counts at once when it falls due; otherwise when it ends.
        let verdict_at = clock
            .breached_at
            .or(clock.settled_at)
            .unwrap_or(clock.started_at);
        let ended_at = clock.settled_at.filter(|_| verdict.is_some());
        Some(Self {
            brand_id: conversation.brand.0,
            clock_id: clock.id.0,
            conversation_id: conversation.id.0,
            kind: clock.kind.as_str(),
            cycle: clock.cycle,
            verdict,
            verdict_at: verdict_at.into(),
            due_at: clock.due_at.map(Into::into),
            ended_at: ended_at.map(Into::into),
            target_seconds: clock.target_seconds,
            used_ms: clock.used_ms.filter(|_| ended_at.is_some()),
            calendar_ms: ended_at.map(|at| at.as_millisecond() - clock.started_at.as_millisecond()),
            cancelled_as: clock.cancelled_as.as_deref(),
            channel_id: conversation.channel.0,
            team_id: conversation.team.map(|team| team.0),
            member_id: conversation.assignee.map(|member| member.0),
            priority: clock.priority.as_str(),
            policy_id: clock.policy.id.0,
            settled_by: clock.settled_by,
        })
    }
}

/// A breach stays one whatever comes after it.
fn verdict(clock: &StoredClock) -> Option<&'static str> {
    match clock.state.as_str() {
        _ if clock.is_withdrawn => None,
        _ if clock.breached_at.is_some() => Some("breached"),
        "met" => Some("met"),
        "cancelled" => Some("cancelled"),
        _ => None,
    }
}
