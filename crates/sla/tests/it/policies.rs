//! What policies do to clocks.

use jiff::SignedDuration;
use roost_domain::conversation::Priority;
use roost_domain::ids::{ConversationId, PolicyId, ReapplyId, TeamId};
use roost_domain::sla::{
    Action, Audience, Conditions, Escalation, OnReopen, PolicySpec, Seconds, Target,
};
use roost_sla::step::reapply_open;
use roost_store::ledger::{ActKind, Actor, Cause, Ledger};
use roost_store::sla_verify::verify;
use roost_store::{StoreError, Ts};
use roost_tests::db::first_response_in;
use sqlx::types::{Json, Uuid};

use crate::support::{World, ago};

fn all(seconds: i64) -> Option<Target> {
    Some(Target {
        calendar_id: None,
        seconds: Seconds::all(seconds),
    })
}

/// First response in an hour, in ten minutes where it is urgent.
fn by_priority() -> PolicySpec {
    let mut spec = first_response_in(3_600, 75);
    if let Some(target) = &mut spec.first_response {
        target.seconds.urgent = Some(600);
    }
    spec
}

impl World {
    async fn under(spec: &PolicySpec) -> Self {
        let world = Self::new().await;
        world.db.put_policy(&world.brand, spec).await;
        world
    }

    /// A policy before the brand's own.
    async fn put_before(&self, spec: &PolicySpec) {
        let mut owner = self.db.owner().await;
        sqlx::query(
            "with made as (
                 insert into sla_policies (brand_id, id, name, ordinal, spec) values ($1, $2, 'Before', -1, $3)
                 returning brand_id, id, version, spec
             )
             insert into sla_policy_versions (brand_id, policy_id, version, spec) select * from made",
        )
        .bind(self.brand.id.0)
        .bind(Uuid::now_v7())
        .bind(Json(spec))
        .execute(&mut owner)
        .await
        .unwrap();
    }

    async fn other_team(&self) -> TeamId {
        let team = TeamId(Uuid::now_v7());
        let mut owner = self.db.owner().await;
        sqlx::query("insert into teams (brand_id, id, name) values ($1, $2, 'Second line')")
            .bind(self.brand.id.0)
            .bind(team.0)
            .execute(&mut owner)
            .await
            .unwrap();
        team
    }

    /// A member changes a conversation.
    async fn member(
        &self,
        id: ConversationId,
        change: impl FnOnce(&mut Ledger, &Cause) + Send + 'static,
    ) {
        let (brand, member) = (self.brand.id, self.brand.members[1]);
        self.db
            .store
            .brand(brand, move |tx| {
                Box::pin(async move {
                    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
                    ledger.lock(tx.conn(), brand, &[id]).await?;
                    let cause = Cause::new(Actor::Member(member), None);
                    change(&mut ledger, &cause);
                    ledger.refold(tx.conn(), &cause).await?;
                    ledger.flush(tx.conn()).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .unwrap();
    }

    async fn answered(&self, id: ConversationId, seconds_ago: i64) {
        let message = self.db.reply(&self.brand, id, self.brand.members[1]).await;
        let at = ago(seconds_ago);
        self.db.accept(&self.brand, id, message, at).await;
    }

    /// Time passes for what was fired.
    async fn later(&self, seconds: i32) {
        self.owner_runs(&format!(
            "update sla_clocks set fired_at = fired_at - make_interval(secs => {seconds}),
                 next_fire_at = next_fire_at - make_interval(secs => {seconds})"
        ))
        .await;
    }

    async fn clocks(&self) -> Vec<Row> {
        let mut owner = self.db.owner().await;
        sqlx::query_as(
            "select kind, cycle, ordinal, state, target_seconds, cancelled_as, marks, warnings,
                    extract(epoch from due_at - started_at)::bigint as due_after, used_ms, started_at, due_at,
                    breached_at, priority
             from sla_clocks where not is_withdrawn order by started_at, kind, id",
        )
        .fetch_all(&mut owner)
        .await
        .unwrap()
    }

    async fn clock(&self, kind: &str) -> Row {
        let mut clocks = self.clocks().await;
        clocks.retain(|clock| clock.kind == kind);
        assert_eq!(clocks.len(), 1, "{clocks:?}");
        clocks.remove(0)
    }

    /// Every clock is what the log gives.
    async fn verifies(&self) {
        let reports = verify(&self.db.owner_url, Some(self.brand.id))
            .await
            .unwrap();
        assert_eq!(reports[0].differences, []);
    }

    async fn conversation(&self, id: ConversationId) -> (String, Uuid) {
        let mut owner = self.db.owner().await;
        sqlx::query_as("select priority, team_id from conversations where id = $1")
            .bind(id.0)
            .fetch_one(&mut owner)
            .await
            .unwrap()
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    kind: String,
    cycle: i32,
    ordinal: i32,
    state: String,
    target_seconds: i64,
    cancelled_as: Option<String>,
    marks: Vec<String>,
    warnings: Vec<i16>,
    due_after: Option<i64>,
    used_ms: Option<i64>,
    started_at: Ts,
    due_at: Option<Ts>,
    breached_at: Option<Ts>,
    priority: String,
}

#[tokio::test]
async fn a_breach_is_told_and_acted_on_once_late_news_had_its_time_and_a_step_follows() {
    let mut spec = by_priority();
    let world = World::new().await;
    let second = world.other_team().await;
    spec.on_breach = vec![
        Action::Notify {
            who: Audience::Lead,
        },
        Action::RaisePriority {
            to: Priority::Urgent,
        },
    ];
    spec.escalations = vec![Escalation {
        after_seconds: 60,
        actions: vec![Action::MoveToTeam { team_id: second }],
    }];
    world.db.put_policy(&world.brand, &spec).await;
    let id = world.waiting_for(3_700).await;
    assert_eq!(world.fire().await.done, 1);
    assert_eq!(world.conversation(id).await.0, "normal");
    assert_eq!(world.fire().await.found, 0, "what is done about it waits");
    world.later(10).await;
    // The step's own minute has passed too.
    assert_eq!(world.fire().await.done, 2);
    assert_eq!(
        world.conversation(id).await,
        ("urgent".to_owned(), second.0)
    );
    let clock = world.clock("first_response").await;
    assert_eq!(
        (clock.target_seconds, clock.priority.as_str()),
        (3_600, "normal"),
        "raised by a clock, it changes the queue and no target"
    );
    world.later(1_000).await;
    assert_eq!(world.fire().await.found, 0);
    let told: Vec<String> = world.told(id).await;
    assert_eq!(
        told,
        [
            "sla.started",
            "sla.breached",
            "sla.escalated",
            "sla.escalated"
        ]
    );
    world.verifies().await;
}

#[tokio::test]
async fn late_news_takes_back_what_a_breach_did_where_nobody_has_touched_it_since() {
    let mut spec = by_priority();
    spec.on_breach = vec![Action::RaisePriority {
        to: Priority::Urgent,
    }];
    for is_touched in [false, true] {
        let world = World::under(&spec).await;
        let id = world.waiting_for(3_700).await;
        let message = world
            .db
            .reply(&world.brand, id, world.brand.members[1])
            .await;
        world.fire().await;
        world.later(10).await;
        world.fire().await;
        assert_eq!(world.conversation(id).await.0, "urgent");
        if is_touched {
            let change = move |ledger: &mut Ledger, cause: &Cause| {
                ledger.set_priority(id, Priority::High, cause);
                ledger.set_priority(id, Priority::Urgent, cause);
            };
            world.member(id, change).await;
        }
        world.db.accept(&world.brand, id, message, ago(200)).await;
        let wanted = if is_touched { "urgent" } else { "normal" };
        assert_eq!(world.conversation(id).await.0, wanted);
        assert_eq!(world.clock("first_response").await.state, "met");
    }
}

#[tokio::test]
async fn a_person_who_raises_the_priority_shortens_the_target_and_what_that_puts_in_the_past_falls_due_now()
 {
    let world = World::under(&by_priority()).await;
    let id = world.waiting_for(1_200).await;
    let raise =
        move |ledger: &mut Ledger, cause: &Cause| ledger.set_priority(id, Priority::Urgent, cause);
    world.member(id, raise).await;
    let clock = world.clock("first_response").await;
    assert_eq!(
        (clock.target_seconds, clock.marks),
        (600, vec!["by_change".to_owned()])
    );
    assert_eq!(
        clock.warnings,
        Vec::<i16>::new(),
        "its warning lies in the past"
    );
    assert!(
        (1_199..1_260).contains(&clock.due_after.unwrap()),
        "{:?}",
        clock.due_after
    );
    assert_eq!(world.fire().await.done, 1);
    // A recorded breach stays whatever changes later.
    let lower =
        move |ledger: &mut Ledger, cause: &Cause| ledger.set_priority(id, Priority::Low, cause);
    world.member(id, lower).await;
    let after = world.clock("first_response").await;
    assert_eq!(after.breached_at, clock.due_at);
    assert_eq!(after.target_seconds, 600);
    assert_eq!(
        world.told(id).await,
        ["sla.started", "sla.retargeted", "sla.breached"]
    );
    world.verifies().await;
}

#[tokio::test]
async fn a_target_that_is_lengthened_while_it_runs_is_marked() {
    let world = World::under(&by_priority()).await;
    let id = world.waiting_for(100).await;
    for (to, seconds) in [(Priority::Urgent, 600), (Priority::High, 3_600)] {
        let set = move |ledger: &mut Ledger, cause: &Cause| ledger.set_priority(id, to, cause);
        world.member(id, set).await;
        let clock = world.clock("first_response").await;
        assert_eq!(
            (clock.target_seconds, clock.due_after),
            (seconds, Some(seconds))
        );
        assert_eq!(
            clock.marks.contains(&"lengthened".to_owned()),
            to == Priority::High
        );
    }
    world.verifies().await;
}

#[tokio::test]
async fn the_first_policy_that_matches_holds_from_the_start_and_again_when_a_field_of_its_conditions_changes()
 {
    let world = World::new().await;
    let mut urgent = first_response_in(900, 50);
    urgent.conditions = Conditions {
        priorities: vec![Priority::Urgent],
        ..Conditions::default()
    };
    world.put_before(&urgent).await;
    let id = world.waiting_for(100).await;
    assert_eq!(
        world.clock("first_response").await.target_seconds,
        3_600,
        "the last is for all"
    );
    let raise =
        move |ledger: &mut Ledger, cause: &Cause| ledger.set_priority(id, Priority::Urgent, cause);
    world.member(id, raise).await;
    let clock = world.clock("first_response").await;
    assert_eq!((clock.target_seconds, clock.warnings), (900, vec![50]));
    world.verifies().await;
}

#[tokio::test]
async fn a_clock_that_the_policy_has_no_target_for_any_more_ends() {
    let mut spec = by_priority();
    if let Some(target) = &mut spec.first_response {
        target.seconds.low = None;
    }
    let world = World::under(&spec).await;
    let id = world.waiting_for(100).await;
    let lower =
        move |ledger: &mut Ledger, cause: &Cause| ledger.set_priority(id, Priority::Low, cause);
    world.member(id, lower).await;
    let clock = world.clock("first_response").await;
    assert_eq!(
        (clock.state.as_str(), clock.cancelled_as.as_deref()),
        ("cancelled", Some("policy"))
    );
    // Its answer begins nothing anew.
    world.answered(id, 10).await;
    assert_eq!(world.clocks().await.len(), 1);
    world.verifies().await;
}

#[tokio::test]
async fn the_resolution_clock_rests_while_the_customer_owes_the_next_step() {
    let spec = PolicySpec {
        resolution: all(1_000),
        ..PolicySpec::default()
    };
    let world = World::under(&spec).await;
    let id = world.waiting_for(900).await;
    world.answered(id, 700).await;
    let clock = world.clock("resolution").await;
    assert_eq!((clock.state.as_str(), clock.due_at), ("paused", None));
    world.db.write_at(&world.brand, id, ago(300)).await;
    // 200 s used by 700 s ago, 400 s of rest.
    assert_eq!(world.clock("resolution").await.due_after, Some(1_400));
    // A pause is not lost when the target changes.
    let raise =
        move |ledger: &mut Ledger, cause: &Cause| ledger.set_priority(id, Priority::High, cause);
    world.member(id, raise).await;
    assert_eq!(world.clock("resolution").await.due_after, Some(1_400));
    world
        .db
        .act(&world.brand, id, ActKind::Resolve, world.brand.members[1])
        .await;
    let clock = world.clock("resolution").await;
    let used = clock.used_ms.unwrap();
    assert_eq!(clock.state, "met");
    assert!((499_000..560_000).contains(&used), "{used}");
    assert_eq!(
        world.told(id).await,
        ["sla.started", "sla.paused", "sla.resumed", "sla.met"]
    );
    world.verifies().await;
}

#[tokio::test]
async fn resolving_does_not_dodge_a_first_response_that_the_customer_still_waits_for() {
    let world = World::new().await;
    let id = world.waiting_for(4_000).await;
    world.fire().await;
    world
        .db
        .act(&world.brand, id, ActKind::Resolve, world.brand.members[1])
        .await;
    assert_eq!(world.clock("first_response").await.state, "cancelled");
    let now = ago(0) + SignedDuration::from_millis(1);
    world.db.write_at(&world.brand, id, now).await;
    let clock = world.clock("first_response").await;
    assert_eq!(
        (clock.cycle, clock.state.as_str(), clock.cancelled_as),
        (1, "running", None)
    );
    assert!(
        clock.breached_at.is_some(),
        "the breach that was told stays"
    );
    assert_eq!(world.fire().await.found, 0, "and is not told again");
    world.verifies().await;
}

#[tokio::test]
async fn a_reopening_begins_the_resolution_anew_or_goes_on_as_the_policy_says() {
    for (on_reopen, clocks) in [(OnReopen::Restart, 2), (OnReopen::Continue, 1)] {
        let spec = PolicySpec {
            resolution: all(100_000),
            on_reopen,
            ..PolicySpec::default()
        };
        let world = World::under(&spec).await;
        let id = world.waiting_for(500).await;
        let member = world.brand.members[1];
        world
            .db
            .act(&world.brand, id, ActKind::Resolve, member)
            .await;
        let before = world.clock("resolution").await;
        let now = ago(0) + SignedDuration::from_millis(1);
        world.db.write_at(&world.brand, id, now).await;
        let found = world.clocks().await;
        assert_eq!(found.len(), clocks, "{on_reopen:?}");
        let last = found.last().unwrap();
        assert_eq!(last.state, "running");
        let is_same = last.started_at == before.started_at;
        assert_eq!(is_same, on_reopen == OnReopen::Continue);
        world
            .db
            .act(&world.brand, id, ActKind::Resolve, member)
            .await;
        assert_eq!(world.clocks().await.last().unwrap().state, "met");
        world.verifies().await;
    }
}

#[tokio::test]
async fn each_wait_for_an_assignee_has_a_clock_of_its_own() {
    let spec = PolicySpec {
        assignment: all(600),
        ..PolicySpec::default()
    };
    let world = World::under(&spec).await;
    let id = world.waiting_for(100).await;
    let agent = world.brand.members[1];
    let assign = move |to| move |ledger: &mut Ledger, cause: &Cause| ledger.assign(id, to, cause);
    world.member(id, assign(Some(agent))).await;
    world.member(id, assign(None)).await;
    world.db.act(&world.brand, id, ActKind::Pend, agent).await;
    let clocks = world.clocks().await;
    let seen: Vec<(i32, &str, Option<&str>)> = clocks
        .iter()
        .map(|clock| {
            (
                clock.ordinal,
                clock.state.as_str(),
                clock.cancelled_as.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [(1, "met", None), (2, "cancelled", Some("left_queue"))]
    );
    world.verifies().await;
}

#[tokio::test]
async fn an_edit_leaves_running_clocks_their_version_until_it_is_reapplied() {
    let world = World::new().await;
    let ids = world
        .db
        .open_many(&world.brand, &[ago(100), ago(200), ago(5_000)])
        .await;
    world.fire().await;
    world
        .db
        .put_policy(&world.brand, &first_response_in(7_200, 90))
        .await;
    let kept: Vec<i64> = world
        .clocks()
        .await
        .iter()
        .map(|c| c.target_seconds)
        .collect();
    assert_eq!(kept, [3_600, 3_600, 3_600]);
    let policy: PolicyId = world.brand.policy;
    let mut owner = world.db.owner().await;
    sqlx::query(
        "insert into sla_reapplies (brand_id, id, policy_id, version, actor_type) values ($1, $2, $3, 2, 'system')",
    )
    .bind(world.brand.id.0)
    .bind(ReapplyId(Uuid::now_v7()).0)
    .bind(policy.0)
    .execute(&mut owner)
    .await
    .unwrap();
    let mut tools = world.tools();
    assert_eq!(reapply_open(&mut tools).await.unwrap(), 2);
    assert_eq!(reapply_open(&mut tools).await.unwrap(), 0);
    let moved: Vec<i64> = world
        .clocks()
        .await
        .iter()
        .map(|c| c.target_seconds)
        .collect();
    assert_eq!(moved, [3_600, 7_200, 7_200], "a recorded breach stays");
    let finished = "select count(*) from sla_reapplies where finished_at is not null and moved = 2";
    assert_eq!(world.count(finished).await, 1);
    assert!(
        world
            .told(ids[0])
            .await
            .contains(&"sla.retargeted".to_owned())
    );
    world.verifies().await;
}

#[tokio::test]
async fn a_disconnect_ends_clocks_as_such_and_a_block_counts_apart() {
    for (act, why) in [
        (ActKind::Disconnect, "channel_disconnected"),
        (ActKind::Block, "blocked"),
    ] {
        let spec = PolicySpec {
            resolution: all(1_000),
            ..first_response_in(600, 75)
        };
        let world = World::under(&spec).await;
        let id = world.waiting_for(100).await;
        world
            .db
            .act(&world.brand, id, act, world.brand.members[1])
            .await;
        for clock in world.clocks().await {
            assert_eq!(
                (clock.state.as_str(), clock.cancelled_as.as_deref()),
                ("cancelled", Some(why))
            );
        }
        let counted = world
            .count("select count(*) from sla_results where verdict = 'cancelled'")
            .await;
        assert_eq!(counted, 2);
        world.verifies().await;
    }
}

#[tokio::test]
async fn reports_learn_each_verdict_and_its_withdrawal() {
    let world = World::new().await;
    let id = world.waiting_for(3_700).await;
    let message = world
        .db
        .reply(&world.brand, id, world.brand.members[1])
        .await;
    world.fire().await;
    let verdict = "select count(*) from sla_results where verdict = 'breached' and ended_at is null and verdict_at = due_at";
    assert_eq!(
        world.count(verdict).await,
        1,
        "what is never answered counts at once"
    );
    world.db.accept(&world.brand, id, message, ago(200)).await;
    let met = "select count(*) from sla_results r join members m on m.id = r.member_id
               where r.verdict = 'met' and r.ended_at = r.verdict_at and r.used_ms between 3500000 and 3510000
                 and m.role = 'agent'";
    assert_eq!(world.count(met).await, 1);
}

#[tokio::test]
async fn a_clock_that_somebody_has_tampered_with_is_named() {
    let world = World::new().await;
    let ids = world
        .db
        .open_many(&world.brand, &[ago(100), ago(200)])
        .await;
    world.verifies().await;
    world
        .owner_runs(&format!(
            "update sla_clocks set due_at = due_at + interval '1 ms' where conversation_id = '{}'",
            ids[1].0
        ))
        .await;
    let reports = verify(&world.db.owner_url, None).await.unwrap();
    let [difference] = reports[0].differences.as_slice() else {
        panic!("{reports:?}")
    };
    assert_eq!(difference.conversation, ids[1]);
    assert!(difference.what.starts_with("due_at is"), "{difference:?}");
}
