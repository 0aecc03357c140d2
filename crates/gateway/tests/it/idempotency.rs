//! A request that is sent again has its effect once and gets the same answer.

use reqwest::Method;
use reqwest::header::HeaderValue;
use roost_store::idempotency::forget_old;
use roost_tests::db::setting;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::harness::{Answer, Gateway, Person};

const TEAMS: &str = "/v1/teams";

async fn post(gateway: &Gateway, who: &Person, path: &str, key: &str, body: Value) -> Answer {
    let headers = [("idempotency-key", key)];
    gateway
        .call(Some(who), Method::POST, path, Some(body), &headers)
        .await
}

fn team(name: &str) -> Value {
    json!({ "name": name })
}

async fn teams_called(gateway: &Gateway, name: &str) -> i64 {
    let mut db = gateway.db.owner().await;
    sqlx::query_scalar("select count(*) from teams where name = $1")
        .bind(name)
        .fetch_one(&mut db)
        .await
        .unwrap()
}

fn is_replayed(answer: &Answer) -> bool {
    answer.headers.contains_key("idempotency-replayed")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_equal_requests_at_one_instant_have_one_effect_and_one_answer() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    let ask = async || {
        loop {
            let answer = post(&gateway, &owner, TEAMS, "one", team("Billing")).await;
            // As a client does that is told to come again.
            if !matches!(answer.status.as_u16(), 409 | 503) {
                return answer;
            }
        }
    };
    let answers = futures_util::future::join_all((0..20).map(|_| ask())).await;
    for answer in &answers {
        assert_eq!(answer.status, 201, "{}", answer.text);
        assert_eq!(answer.body, answers[0].body);
    }
    assert_eq!(
        answers.iter().filter(|answer| !is_replayed(answer)).count(),
        1
    );
    assert_eq!(teams_called(&gateway, "Billing").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_belongs_to_one_request() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    assert_eq!(
        post(&gateway, &owner, TEAMS, "one", team("Billing"))
            .await
            .status,
        201
    );
    let other = post(&gateway, &owner, TEAMS, "one", team("Returns")).await;
    assert_eq!(
        (other.status.as_u16(), other.code()),
        (422, "idempotency_key_reused")
    );
    assert_eq!(teams_called(&gateway, "Returns").await, 0);
    // The same key on another route is another key.
    let body = json!({ "name": "R", "mode": "live", "role": "agent", "scopes": ["settings:read"] });
    assert_eq!(
        post(&gateway, &owner, "/v1/api-keys", "one", body)
            .await
            .status,
        201
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_kept_even_when_it_would_work_by_now() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    gateway.post(&owner, TEAMS, team("Billing")).await;
    let refused = post(&gateway, &owner, TEAMS, "one", team("Billing")).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (409, "name_taken")
    );
    let mut db = gateway.db.owner().await;
    sqlx::query("update teams set name = 'Accounts' where name = 'Billing'")
        .execute(&mut db)
        .await
        .unwrap();
    let again = post(&gateway, &owner, TEAMS, "one", team("Billing")).await;
    assert!(is_replayed(&again));
    assert_eq!(again.body, refused.body);
    assert_eq!(again.headers["content-type"], "application/problem+json");
    assert_eq!(teams_called(&gateway, "Billing").await, 0);
    assert_eq!(
        post(&gateway, &owner, TEAMS, "two", team("Billing"))
            .await
            .status,
        201
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_of_ours_frees_the_key() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    let mut db = gateway.db.owner().await;
    let mut rename = async |statement: &'static str| {
        sqlx::query(statement).execute(&mut db).await.unwrap();
    };
    rename("alter table team_members rename to elsewhere").await;
    let broken = post(&gateway, &owner, TEAMS, "one", team("Billing")).await;
    assert_eq!((broken.status.as_u16(), broken.code()), (500, "internal"));
    assert!(!broken.text.contains("team_members"), "{}", broken.text);
    rename("alter table elsewhere rename to team_members").await;
    let again = post(&gateway, &owner, TEAMS, "one", team("Billing")).await;
    assert_eq!(again.status, 201, "{}", again.text);
    assert!(!is_replayed(&again));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_effect_and_commit_frees_the_key() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    let mut admin = PgConnection::connect(&setting("ROOST_TEST_ADMIN_URL"))
        .await
        .unwrap();
    let mut holder = gateway.db.owner().await;
    let mut held = holder.begin().await.unwrap();
    sqlx::query("lock table team_members in access exclusive mode")
        .execute(&mut *held)
        .await
        .unwrap();
    let request = post(&gateway, &owner, TEAMS, "one", team("Billing"));
    let kill = async {
        // The team's row is written by then, and its answer isn't.
        loop {
            let killed: Vec<bool> = sqlx::query_scalar(
                "select pg_terminate_backend(pid) from pg_stat_activity
                 where datname = $1 and wait_event_type = 'Lock' and query like '%team_members%'",
            )
            .bind(&gateway.db.name)
            .fetch_all(&mut admin)
            .await
            .unwrap();
            if !killed.is_empty() {
                return;
            }
        }
    };
    let (answer, ()) = futures_util::future::join(request, kill).await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    held.rollback().await.unwrap();
    assert_eq!(teams_called(&gateway, "Billing").await, 0);
    let again = post(&gateway, &owner, TEAMS, "one", team("Billing")).await;
    assert_eq!(again.status, 201, "{}", again.text);
    assert_eq!(teams_called(&gateway, "Billing").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rival_that_takes_too_long_is_said() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    let mut holder = gateway.db.owner().await;
    let mut held = holder.begin().await.unwrap();
    sqlx::query(
        "insert into idempotency (brand_id, actor_id, route, key, request_hash)
         values ($1, $2, 'POST /v1/teams', 'one', '')",
    )
    .bind(owner.brand.0)
    .bind(owner.member.0)
    .execute(&mut *held)
    .await
    .unwrap();
    let answer = post(&gateway, &owner, TEAMS, "one", team("Billing")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (409, "idempotency_in_progress")
    );
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.body["retryable"], true);
    held.rollback().await.unwrap();
    assert_eq!(
        post(&gateway, &owner, TEAMS, "one", team("Billing"))
            .await
            .status,
        201
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_answered_once() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    let body =
        json!({ "name": "Robot", "mode": "test", "role": "agent", "scopes": ["settings:read"] });
    let first = post(&gateway, &owner, "/v1/api-keys", "one", body.clone()).await;
    assert!(first.body["key"].as_str().unwrap().starts_with("rk_test_"));
    let again = post(&gateway, &owner, "/v1/api-keys", "one", body).await;
    assert_eq!(
        (again.status.as_u16(), &again.body["secret_shown_once"]),
        (201, &json!(true))
    );
    assert_eq!(again.body.get("key"), None);
    assert_eq!(again.body["id"], first.body["id"]);
    assert_eq!(again.headers["etag"], first.headers["etag"]);
    assert_eq!(gateway.get(&owner, "/v1/api-keys").await.ids().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_its_callers_own() {
    let gateway = Gateway::start().await;
    let (ours, theirs) = (gateway.brand("Ours").await, gateway.brand("Theirs").await);
    let admin = gateway.member(&ours, "admin").await;
    let robots = [
        gateway
            .key(&ours, "supervisor", &["teams:write"])
            .await
            .bearer,
        gateway
            .key(&ours, "supervisor", &["teams:write"])
            .await
            .bearer,
    ];
    for (index, who) in [&ours.owner, &theirs.owner, &admin, &robots[0], &robots[1]]
        .into_iter()
        .enumerate()
    {
        let answer = post(&gateway, who, TEAMS, "same", team(&format!("Team {index}"))).await;
        assert_eq!(answer.status, 201, "{index}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_short_and_plain() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    let http = reqwest::Client::new();
    let long = "k".repeat(256);
    for key in [
        long.as_bytes(),
        b"",
        b"a b",
        "schl\u{fc}ssel".as_bytes(),
        b"a\tb",
    ] {
        let answer = http
            .post(format!("{}{TEAMS}", gateway.url))
            .bearer_auth(&owner.token)
            .header("idempotency-key", HeaderValue::from_bytes(key).unwrap())
            .json(&team("Billing"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 400, "{key:?}");
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert!(body["detail"].as_str().unwrap().contains("255"), "{body}");
    }
    assert_eq!(
        post(&gateway, &owner, TEAMS, &long[1..], team("Billing"))
            .await
            .status,
        201
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_forgotten_after_a_day() {
    let gateway = Gateway::start().await;
    let (ours, theirs) = (gateway.brand("Ours").await, gateway.brand("Theirs").await);
    post(&gateway, &ours.owner, TEAMS, "one", team("Billing")).await;
    post(&gateway, &theirs.owner, TEAMS, "one", team("Billing")).await;
    let mut db = gateway.db.owner().await;
    let mut backdate = async || {
        sqlx::query("update idempotency set created_at = now() - interval '24 hours 1 second'")
            .execute(&mut db)
            .await
            .unwrap();
    };
    backdate().await;
    let later = post(&gateway, &ours.owner, TEAMS, "one", team("Returns")).await;
    assert_eq!(later.status, 201, "{}", later.text);
    assert!(!is_replayed(&later));
    // The sweep takes what is too old, of every brand, and nothing else.
    assert_eq!(forget_old(&gateway.db.store, 100).await.unwrap(), 1);
    assert_eq!(forget_old(&gateway.db.store, 100).await.unwrap(), 0);
    let again = post(&gateway, &ours.owner, TEAMS, "one", team("Returns")).await;
    assert!(is_replayed(&again));
    backdate().await;
    assert_eq!(forget_old(&gateway.db.store, 100).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_answers_are_sealed() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    let made = post(&gateway, &owner, TEAMS, "one", team("canary-5f1e")).await;
    assert!(made.text.contains("canary-5f1e"));
    let mut db = gateway.db.owner().await;
    let rows: String = sqlx::query_scalar(
        "select string_agg(i::text || encode(body, 'escape'), ' ') from idempotency i",
    )
    .fetch_one(&mut db)
    .await
    .unwrap();
    assert!(
        rows.contains("POST /v1/teams") && !rows.contains("canary"),
        "{rows}"
    );
    let again = post(&gateway, &owner, TEAMS, "one", team("canary-5f1e")).await;
    assert_eq!(again.body, made.body);
}
