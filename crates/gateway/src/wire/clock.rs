//! SLA clocks.

use jiff::Timestamp;
use roost_store::conversation_clocks::ShownClock;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::At;

/// All clocks of a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClocksView {
    pub(crate) data: Vec<ClockView>,
}

/// A clock.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClockView {
    id: String,
    /// `first_response`, `next_response`, `resolution` or `assignment`.
    kind: String,
    cycle: i32,
    /// `running`, `paused`, `breached` (and not ended), `met`, `met_late` or `cancelled`.
    state: String,
    /// Why it was cancelled: `resolved`, `no_reply_needed`, `blocked`, `erased`, `channel_disconnected`,
    /// `policy` (that which holds now has no such clock), `left_queue` or `withdrawn` (late news showed that
    /// it never had a cause).
    cancelled_as: Option<String>,
    policy_id: String,
    policy_version: i32,
    /// The priority that its target was taken for.
    priority: &'static str,
    target_seconds: i64,
    /// None: calendar time.
    calendar_id: Option<String>,
    calendar_version: Option<i32>,
    started_at: At,
    /// The last instant in time; none while it is paused before that.
    due_at: Option<At>,
    /// As the clock counts, until it ends; negative once it is late.
    remaining_seconds: Option<i64>,
    warned_at: Option<At>,
    breached_at: Option<At>,
    settled_at: Option<At>,
    /// As the clock counts: while it runs late, and once it was met late.
    overdue_seconds: Option<i64>,
    /// From the start to the end, or to now, by the wall clock.
    calendar_seconds: i64,
    /// By how much the message that began it came late, where that was more than a minute.
    late_seconds: Option<i32>,
    /// `by_change` (a change put its due instant in the past: it fell due at the change), `lengthened` (its
    /// target was lengthened while it ran), `excused`.
    marks: Vec<String>,
    parts: PartsView,
    /// What happened to it, in the order in which it became known.
    #[schema(value_type = Vec<StoryLine>)]
    story: Vec<Value>,
}

/// Where a clock's time went, in seconds as it counts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PartsView {
    /// Nobody had the conversation.
    queue: i64,
    /// Somebody had it, and the answer was not written yet.
    agent: i64,
    /// The answer was written and waited to be sent.
    sending: i64,
    /// The platform had not told us of the message yet.
    late: i64,
}

/// A line of a clock's story. More fields tell more, by what it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoryLine {
    at: At,
    /// `started`, `paused`, `resumed`, `retargeted`, `moved` (late news moved its start or its pauses), `warned`,
    /// `breached`, `breach_withdrawn`, `escalated`, `met`, `met_late`, `cancelled`, `taken_up`, `withdrawn`.
    what: String,
    /// The message that caused it.
    r#ref: Option<String>,
    /// When it was due after that.
    due_at: Option<At>,
    /// Of a warning.
    percent: Option<i64>,
    /// Of an escalation.
    step: Option<i64>,
    /// Of a pause or its end: the conversation's status.
    status: Option<String>,
    /// Of a cancellation.
    why: Option<String>,
    /// Of another target: before and after.
    target_seconds: Option<[i64; 2]>,
}

impl ClockView {
    /// The clock as it stands at `now`.
    pub(crate) fn new(shown: ShownClock, now: Timestamp) -> Self {
        let clock = shown.clock;
        let is_live = clock.is_live();
        let end = clock.settled_at.unwrap_or(now);
        let used = match (shown.remaining_seconds, clock.used_ms) {
            (Some(left), _) => Some(clock.target_seconds - left),
            (None, used) => used.map(|used| used / 1_000),
        };
        let is_late = clock.breached_at.is_some() || clock.state == "met_late";
        let overdue = used.map(|used| (used - clock.target_seconds).max(0));
        let mut marks = clock.marks;
        if shown.is_excused {
            marks.push("excused".to_owned());
        }
        Self {
            id: clock.id.to_string(),
            kind: clock.kind.as_str().to_owned(),
            cycle: clock.cycle,
            cancelled_as: clock.cancelled_as,
            state: if is_live && clock.breached_at.is_some() {
                "breached".to_owned()
            } else {
                clock.state
            },
            policy_id: clock.policy.id.to_string(),
            policy_version: clock.policy.version,
            priority: clock.priority.as_str(),
            target_seconds: clock.target_seconds,
            calendar_id: clock.calendar.map(|calendar| calendar.id.to_string()),
            calendar_version: clock.calendar.map(|calendar| calendar.version),
            started_at: clock.started_at.into(),
            due_at: clock.due_at.map(At),
            remaining_seconds: shown.remaining_seconds,
            warned_at: clock.warned_at.map(At),
            breached_at: clock.breached_at.map(At),
            settled_at: clock.settled_at.map(At),
            overdue_seconds: overdue.filter(|_| is_late),
            calendar_seconds: end.duration_since(clock.started_at).as_secs().max(0),
            late_seconds: clock.late_seconds,
            marks,
            parts: PartsView {
                queue: shown.parts.queue,
                agent: shown.parts.agent,
                sending: shown.parts.sending,
                late: shown.parts.late,
            },
            story: clock.story,
        }
    }
}
