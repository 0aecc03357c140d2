//! SLA clocks.

use jiff::Timestamp;
use roost_domain::ids::MessageId;
use roost_store::conversation_clocks::ShownClock;
use serde::Serialize;
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
    /// `first_response` or `next_response`.
    kind: String,
    cycle: i32,
    /// `running`, `breached` (and running on), `met`, `met_late` or `cancelled`.
    state: String,
    /// Why it was cancelled, where that was no resolve: `blocked` or `erased`.
    cancelled_as: Option<String>,
    policy_id: String,
    target_seconds: i64,
    /// None: calendar time.
    calendar_id: Option<String>,
    started_at: At,
    due_at: At,
    /// While it runs; negative once it is late.
    remaining_seconds: Option<i64>,
    warned_at: Option<At>,
    breached_at: Option<At>,
    settled_at: Option<At>,
    /// While it runs late, and once it was met late.
    overdue_seconds: Option<i64>,
    /// From the start to the end, or to now.
    calendar_seconds: i64,
    story: Vec<StoryLine>,
}

/// A line of a clock's story.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StoryLine {
    at: At,
    /// `started`, `warned`, `due`, `answered` or `cancelled`.
    what: &'static str,
    /// The message that caused it.
    r#ref: Option<String>,
}

impl ClockView {
    /// The clock as it stands at `now`.
    pub(crate) fn new(clock: ShownClock, now: Timestamp) -> Self {
        let is_running = clock.state == "running";
        let end = clock.settled_at.unwrap_or(now);
        let late = end.duration_since(clock.due_at);
        let is_late = late.is_positive() && clock.state != "cancelled";
        let story = story(&clock);
        Self {
            id: clock.id.to_string(),
            kind: clock.kind,
            cycle: clock.cycle,
            cancelled_as: clock.cancelled_as,
            state: if is_running && clock.breached_at.is_some() {
                "breached".to_owned()
            } else {
                clock.state
            },
            policy_id: clock.policy.to_string(),
            target_seconds: clock.target_seconds,
            calendar_id: None,
            started_at: clock.started_at.into(),
            due_at: clock.due_at.into(),
            remaining_seconds: is_running.then(|| clock.due_at.duration_since(now).as_secs()),
            warned_at: clock.warned_at.map(At),
            breached_at: clock.breached_at.map(At),
            settled_at: clock.settled_at.map(At),
            overdue_seconds: is_late.then(|| late.as_secs()),
            calendar_seconds: end.duration_since(clock.started_at).as_secs().max(0),
            story,
        }
    }
}

fn story(clock: &ShownClock) -> Vec<StoryLine> {
    let message = |id| Some(MessageId(id).to_string());
    let line = |at: Option<Timestamp>, what, r#ref| {
        at.map(|at| StoryLine {
            at: At(at),
            what,
            r#ref,
        })
    };
    let (what, by) = match clock.settled_by {
        Some(by) => ("answered", message(by)),
        None => ("cancelled", None),
    };
    let lines = [
        line(Some(clock.started_at), "started", message(clock.started_by)),
        line(clock.warned_at, "warned", None),
        line(clock.breached_at, "due", None),
        line(clock.settled_at, what, by),
    ];
    let mut lines: Vec<StoryLine> = lines.into_iter().flatten().collect();
    lines.sort_by_key(|line| line.at.0);
    lines
}
