//! A database full of armed clocks, and the worker beside it.

use std::time::{Duration, Instant};

use roost_tests::system::System;
use roost_tests::wait::until;
use sqlx::{Connection as _, PgConnection};

/// From now until the first of them falls due: longer than the worker sleeps.
const AHEAD: &str = "8 s";
/// So long the last are waited for.
const LIMIT: Duration = Duration::from_secs(180);
/// Jobs of the raw claim, and of one statement of it.
const JOBS: i32 = 50_000;
const CLAIM: i32 = 100;

/// How a burst went.
pub(super) struct Burst {
    /// From the due instant to the last that was told.
    pub(super) all_after: Duration,
}

/// Fills the database with clocks that run for a year, four to a conversation.
pub(super) async fn fill(system: &System, clocks: i64, brands: i64) -> anyhow::Result<()> {
    println!("arming {clocks} clocks …");
    let started = Instant::now();
    let mut owner = system.db.owner().await;
    for number in 0..brands {
        let brand = system.db.brand(&format!("Brand {number}"), 1).await;
        let count = clocks / brands / 4;
        sqlx::query(CUSTOMERS)
            .bind(brand.id.0)
            .bind(count)
            .execute(&mut owner)
            .await?;
        sqlx::query(CONVERSATIONS)
            .bind(brand.id.0)
            .bind(count)
            .bind(brand.channel.0)
            .bind(brand.members.first().map(|member| member.0))
            .bind(brand.team.0)
            .execute(&mut owner)
            .await?;
        sqlx::query(CLOCKS)
            .bind(brand.id.0)
            .bind(count)
            .bind(brand.policy.0)
            .execute(&mut owner)
            .await?;
    }
    for statement in ["vacuum analyze sla_clocks", "vacuum analyze conversations"] {
        sqlx::raw_sql(statement).execute(&mut owner).await?;
    }
    println!("armed after {:.0?}", started.elapsed());
    Ok(())
}

/// How often a second the worker asks the database for what is due while nothing is.
pub(super) async fn queries_while_idle(system: &System) -> anyhow::Result<f64> {
    let mut owner = system.db.owner().await;
    let looks = "select coalesce(sum(idx_scan), 0)::bigint from pg_stat_user_indexes
                 where indexrelname = 'sla_clocks_due_idx'";
    // Statistics of a worker that is asleep are told within some seconds.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let before: i64 = sqlx::query_scalar(looks).fetch_one(&mut owner).await?;
    let started = Instant::now();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let after: i64 = sqlx::query_scalar(looks).fetch_one(&mut owner).await?;
    owner.close().await?;
    Ok(f64::from(u32::try_from(after - before)?) / started.elapsed().as_secs_f64())
}

/// Jobs a second that one connection claims, a hundred a statement, and does nothing with.
pub(super) async fn claim_ceiling(system: &System) -> anyhow::Result<f64> {
    let mut owner = system.db.owner().await;
    sqlx::raw_sql(
        "create table bench_jobs (id int primary key, due_at timestamptz not null, is_done boolean not null default false);
         create index bench_jobs_due_idx on bench_jobs (due_at, id) where not is_done",
    )
    .execute(&mut owner)
    .await?;
    sqlx::query(
        "insert into bench_jobs (id, due_at) select n, now() from generate_series(1, $1::int) n",
    )
    .bind(JOBS)
    .execute(&mut owner)
    .await?;
    sqlx::raw_sql("analyze bench_jobs")
        .execute(&mut owner)
        .await?;
    let started = Instant::now();
    for _ in 0..JOBS / CLAIM {
        claim(&mut owner).await?;
    }
    let rate = per_second(i64::from(JOBS), started.elapsed());
    sqlx::raw_sql("drop table bench_jobs")
        .execute(&mut owner)
        .await?;
    Ok(rate)
}

async fn claim(owner: &mut PgConnection) -> anyhow::Result<()> {
    sqlx::query(
        "with due as (
             select id from bench_jobs where not is_done and due_at <= now() order by due_at, id
             limit $1 for update skip locked
         )
         update bench_jobs j set is_done = true from due where j.id = due.id",
    )
    .bind(CLAIM)
    .execute(owner)
    .await?;
    Ok(())
}

/// Lets clocks of all brands fall due in the same second.
pub(super) async fn burst(system: &System, clocks: i64) -> anyhow::Result<Burst> {
    due(system, "first_response", clocks, "0 s").await?;
    let told = told(system, "first_response", clocks).await?;
    let all_after = told.last().copied().unwrap_or(LIMIT);
    Ok(Burst { all_after })
}

/// Lets 200 clocks fall due each second; answers the lags, sorted.
pub(super) async fn steady(system: &System, seconds: i64) -> anyhow::Result<Vec<Duration>> {
    let clocks = 200 * seconds;
    due(system, "next_response", clocks, "5 ms").await?;
    told(system, "next_response", clocks).await
}

async fn due(system: &System, kind: &str, clocks: i64, apart: &str) -> anyhow::Result<()> {
    let mut owner = system.db.owner().await;
    let moved = sqlx::query(
        "with chosen as (
             select id, brand_id, row_number() over (order by turn, brand_id) - 1 as place from (
                 select id, brand_id, row_number() over (partition by brand_id order by id) as turn
                 from sla_clocks where kind = $1 and state = 'running'
             ) ranked order by turn, brand_id limit $2
         )
         update sla_clocks k
         set due_at = at, next_fire_at = at, started_at = at - make_interval(secs => k.target_seconds)
         from (select id, brand_id, date_trunc('second', now()) + $3::text::interval
                      + place * $4::text::interval as at from chosen) c
         where k.brand_id = c.brand_id and k.id = c.id",
    )
    .bind(kind)
    .bind(clocks)
    .bind(AHEAD)
    .bind(apart)
    .execute(&mut owner)
    .await?;
    anyhow::ensure!(
        moved.rows_affected() == u64::try_from(clocks)?,
        "only {} clocks to let fall due",
        moved.rows_affected()
    );
    Ok(())
}

/// The time from each due instant to its telling, sorted.
async fn told(system: &System, kind: &str, clocks: i64) -> anyhow::Result<Vec<Duration>> {
    until("every clock is told", LIMIT, || async {
        let mut owner = system.db.owner().await;
        let told: i64 = sqlx::query_scalar(
            "select count(*) from sla_clocks where kind = $1 and fired_at is not null",
        )
        .bind(kind)
        .fetch_one(&mut owner)
        .await
        .ok()?;
        owner.close().await.ok()?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        (told >= clocks).then_some(())
    })
    .await;
    let mut owner = system.db.owner().await;
    let mut lags: Vec<f64> = sqlx::query_scalar(
        "select extract(epoch from fired_at - due_at)::double precision from sla_clocks
         where kind = $1 and fired_at is not null",
    )
    .bind(kind)
    .fetch_all(&mut owner)
    .await?;
    lags.sort_by(f64::total_cmp);
    let early = lags.iter().filter(|lag| **lag < 0.0).count();
    anyhow::ensure!(early == 0, "{early} clocks were told before they were due");
    Ok(lags.into_iter().map(Duration::from_secs_f64).collect())
}

pub(super) fn per_second(count: i64, time: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / time.as_secs_f64()
}

const CUSTOMERS: &str = "
with made as (
    insert into contacts (brand_id, id, name)
    select $1, md5('contact' || n)::uuid, 'Customer ' || n from generate_series(1, $2::bigint) n returning id
)
insert into identities (brand_id, id, contact_id, platform, external_id)
select $1, md5('identity' || n)::uuid, md5('contact' || n)::uuid, 'x', n::text
from generate_series(1, $2) n";

const CONVERSATIONS: &str = "
insert into conversations (
    brand_id, id, channel_id, identity_id, contact_id, bucket, status, team_id, assignee_id, last_seq, cycle,
    cycle_started_at, waiting_since, opened_at, preview)
select $1, md5('conversation' || n)::uuid, $3, md5('identity' || n)::uuid, md5('contact' || n)::uuid, n % 256,
       'open', $5, $4, 1, 1, now(), now(), now(), 'hello'
from generate_series(1, $2::bigint) n";

const CLOCKS: &str = "
insert into sla_clocks (
    brand_id, id, conversation_id, cycle, kind, ordinal, state, policy_id, target_seconds, started_at, due_at,
    next_fire_at)
select $1, md5(kind || n)::uuid, md5('conversation' || n)::uuid, 1, kind, 1, 'running', $3, 31536000, now(),
       now() + interval '365 days', now() + interval '365 days'
from generate_series(1, $2::bigint) n
cross join unnest(array['first_response', 'next_response', 'resolution', 'assignment']) kind";
