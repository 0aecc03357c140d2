//! Results of clocks as reports read them, and the reports.

use jiff::{SignedDuration, Timestamp};
use roost_domain::ids::{ChannelId, TeamId};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::customer::writes;
use crate::harness::{Answer, Brand, Gateway, Person};

pub(crate) const KINDS: [&str; 4] = [
    "first_response",
    "next_response",
    "resolution",
    "assignment",
];

pub(crate) const PRIORITIES: [&str; 4] = ["low", "normal", "high", "urgent"];

/// A row of `sla_results`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    pub(crate) brand_id: Uuid,
    pub(crate) clock_id: Uuid,
    pub(crate) conversation_id: Uuid,
    pub(crate) kind: &'static str,
    pub(crate) cycle: i32,
    pub(crate) verdict: Option<&'static str>,
    pub(crate) verdict_at: Timestamp,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) target_seconds: i64,
    pub(crate) used_ms: Option<i64>,
    pub(crate) calendar_ms: Option<i64>,
    pub(crate) cancelled_as: Option<&'static str>,
    pub(crate) channel_id: Uuid,
    pub(crate) team_id: Option<Uuid>,
    pub(crate) member_id: Option<Uuid>,
    pub(crate) priority: &'static str,
    pub(crate) policy_id: Uuid,
}

/// Where outcomes belong.
pub(crate) struct Place {
    pub(crate) conversation: Uuid,
    pub(crate) policy: Uuid,
}

impl Place {
    pub(crate) async fn new(gateway: &Gateway, brand: &Brand) -> Self {
        let conversation = writes(gateway, brand, "1", "hello").await.0;
        let policy = policy(gateway, brand, "Gold").await;
        Self {
            conversation,
            policy,
        }
    }

    /// Met in 60 of 100 seconds.
    pub(crate) fn met(&self, brand: &Brand, kind: &'static str, at: &str) -> Outcome {
        let at: Timestamp = at.parse().unwrap();
        Outcome {
            brand_id: brand.owner.brand.0,
            clock_id: Uuid::now_v7(),
            conversation_id: self.conversation,
            kind,
            cycle: 1,
            verdict: Some("met"),
            verdict_at: at,
            ended_at: Some(at),
            target_seconds: 100,
            used_ms: Some(60_000),
            calendar_ms: Some(90_000),
            cancelled_as: None,
            channel_id: brand.channel.0,
            team_id: Some(brand.team.0),
            member_id: Some(brand.owner.member.0),
            priority: "normal",
            policy_id: self.policy,
        }
    }

    /// Due at an instant and never answered.
    pub(crate) fn breached(&self, brand: &Brand, kind: &'static str, due: &str) -> Outcome {
        Outcome {
            verdict: Some("breached"),
            ended_at: None,
            used_ms: None,
            calendar_ms: None,
            ..self.met(brand, kind, due)
        }
    }
}

pub(crate) async fn policy(gateway: &Gateway, brand: &Brand, name: &str) -> Uuid {
    let id = Uuid::now_v7();
    sqlx::query("insert into sla_policies (brand_id, id, name, spec) values ($1, $2, $3, '{}')")
        .bind(brand.owner.brand.0)
        .bind(id)
        .bind(name)
        .execute(&mut gateway.db.owner().await)
        .await
        .unwrap();
    id
}

pub(crate) async fn keep(gateway: &Gateway, outcomes: &[Outcome]) {
    let mut db = gateway.db.owner().await;
    let rows = serde_json::to_value(outcomes).unwrap();
    for statement in [
        "insert into sla_clocks (brand_id, id, conversation_id, cycle, kind, ordinal, state, policy_id, target_seconds,
            started_at)
         select brand_id, clock_id, conversation_id, cycle, kind,
                1000 + (select count(*) from sla_clocks) + row_number() over (), 'met', policy_id, target_seconds,
                verdict_at
         from jsonb_populate_recordset(null::sla_results, $1)",
        "insert into sla_results select * from jsonb_populate_recordset(null::sla_results, $1)",
    ] {
        sqlx::query(statement)
            .bind(&rows)
            .execute(&mut db)
            .await
            .unwrap();
    }
}

/// A number between 0 and `below`: the same in every run.
pub(crate) fn draw(state: &mut u64, below: u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

pub(crate) fn pick<T: Copy>(state: &mut u64, values: &[T]) -> T {
    let at = draw(state, u64::try_from(values.len()).unwrap());
    values[usize::try_from(at).unwrap()]
}

/// Ten thousand outcomes over six weeks in which the clocks of New York and Berlin change.
pub(crate) fn many(
    brand: &Brand,
    place: &Place,
    teams: &[Uuid],
    members: &[Uuid],
    more: [Uuid; 2],
) -> Vec<Outcome> {
    let [channel, policy] = more;
    let mut state = 7;
    let first: Timestamp = "2026-02-25T00:00:00Z".parse().unwrap();
    let mut all = Vec::new();
    for _ in 0..10_000 {
        let state = &mut state;
        let minutes = i64::try_from(draw(state, 45 * 24 * 60)).unwrap();
        let verdict_at = first + SignedDuration::from_mins(minutes);
        let used = i64::try_from(draw(state, 150_000)).unwrap();
        let later = SignedDuration::from_mins(i64::try_from(draw(state, 3000)).unwrap());
        let verdict = pick(
            state,
            &[
                Some("met"),
                Some("met"),
                Some("breached"),
                Some("cancelled"),
                None,
            ],
        );
        let reason = pick(
            state,
            &["resolved", "no_reply_needed", "left_queue", "policy"],
        );
        // Breached, and then: answered late, cancelled, or neither.
        let (ended_at, cancelled_as) = match verdict {
            Some("breached") => match draw(state, 3) {
                0 => (None, None),
                1 => (Some(verdict_at + later), Some(reason)),
                _ => (Some(verdict_at + later), None),
            },
            Some("cancelled") => (Some(verdict_at), Some(reason)),
            Some(_) => (Some(verdict_at), None),
            None => (None, None),
        };
        let is_late = verdict == Some("breached");
        let used = if is_late { used + 100_001 } else { used };
        all.push(Outcome {
            clock_id: Uuid::now_v7(),
            cycle: pick(state, &[1, 1, 2]),
            verdict,
            verdict_at,
            ended_at,
            used_ms: ended_at.map(|_| used),
            calendar_ms: ended_at.map(|_| used * 3),
            cancelled_as,
            channel_id: pick(state, &[brand.channel.0, channel]),
            team_id: pick(state, &[None, Some(teams[0]), Some(teams[1])]),
            member_id: pick(state, &[None, Some(members[0]), Some(members[1])]),
            priority: pick(state, &PRIORITIES),
            policy_id: pick(state, &[place.policy, policy]),
            ..place.met(brand, pick(state, &KINDS), "2026-01-01T00:00:00Z")
        });
    }
    all
}

pub(crate) async fn second_channel(gateway: &Gateway, brand: &Brand) -> Uuid {
    let id = Uuid::now_v7();
    sqlx::query(
        "insert into channels (brand_id, id, platform, app, account_id, handle, name, connected_at)
         values ($1, $2, 'x', 'main', $2::text, 'second', 'Second', 'epoch')",
    )
    .bind(brand.owner.brand.0)
    .bind(id)
    .execute(&mut gateway.db.owner().await)
    .await
    .unwrap();
    id
}

pub(crate) async fn team(gateway: &Gateway, brand: &Brand, name: &str) -> Uuid {
    let answer = gateway
        .post(&brand.owner, "/v1/teams", json!({ "name": name }))
        .await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let id: TeamId = answer.body["id"].as_str().unwrap().parse().unwrap();
    id.0
}

pub(crate) async fn excuse(
    gateway: &Gateway,
    brand: &Brand,
    channel: Option<Uuid>,
    from: &str,
    to: &str,
) -> Answer {
    let body = json!({
        "channel_id": channel.map(|id| ChannelId(id).to_string()),
        "starts_at": from, "ends_at": to, "reason": "The platform was down",
    });
    gateway.post(&brand.owner, "/v1/sla-excuses", body).await
}

pub(crate) async fn report(gateway: &Gateway, who: &Person, query: &str) -> Vec<Value> {
    let answer = gateway.get(who, &format!("/v1/reports/sla?{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text);
    answer.body["data"].as_array().unwrap().clone()
}
