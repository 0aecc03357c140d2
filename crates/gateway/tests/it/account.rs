//! Sign-up, sign-in, sessions, and the demo brand.

use reqwest::Method;
use roost_gateway::seed::seed;
use serde_json::json;

use crate::harness::{Gateway, PASSWORD};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signs_up_owns_a_brand_that_works() {
    let gateway = Gateway::start().await;
    let body = json!({
        "brand_name": "Harbor", "full_name": "Olivia", "email": "Olivia@Harbor.example", "password": PASSWORD,
        "time_zone": "Europe/Berlin",
    });
    let answer = gateway
        .call(None, Method::POST, "/v1/signup", Some(body.clone()), &[])
        .await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(answer.body["member"]["role"], "owner");
    assert_eq!(answer.body["member"]["email"], "olivia@harbor.example");
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    for part in [
        "__Host-roost_refresh=",
        "Secure",
        "HttpOnly",
        "SameSite=Strict",
        "Path=/",
    ] {
        assert!(cookie.contains(part), "{part} missing in {cookie}");
    }
    let owner = answer.person();
    let me = gateway.get(&owner, "/v1/me").await;
    assert_eq!(me.body["brand"]["name"], "Harbor");
    assert_eq!(me.body["member"]["presence"]["status"], "offline");
    let teams = gateway.get(&owner, "/v1/teams").await;
    assert_eq!(teams.body["data"][0]["is_default"], true);
    assert_eq!(
        teams.body["data"][0]["member_ids"],
        json!([owner.member.to_string()])
    );
    let brand = gateway.get(&owner, "/v1/brand").await;
    assert_eq!(brand.body["time_zone"], "Europe/Berlin");
    let again = gateway
        .call(None, Method::POST, "/v1/signup", Some(body), &[])
        .await;
    assert_eq!((again.status.as_u16(), again.code()), (409, "email_taken"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_and_an_unknown_address_answer_alike_and_cost_alike() {
    let gateway = Gateway::start().await;
    gateway.brand("Harbor").await;
    let hashes = || {
        let text = gateway.metrics.render().unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("roost_gateway_password_hashes_total"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .unwrap()
    };
    let email: String = {
        let mut db = gateway.db.owner().await;
        sqlx::query_scalar("select email from users")
            .fetch_one(&mut db)
            .await
            .unwrap()
    };
    let mut costs = Vec::new();
    for email in [email.as_str(), "nobody@nowhere.example"] {
        let before = hashes();
        let body = json!({ "email": email, "password": "wrong horse battery" });
        let answer = gateway
            .call(None, Method::POST, "/v1/sessions", Some(body), &[])
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (401, "invalid_credentials")
        );
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        costs.push(hashes() - before);
    }
    assert_eq!(costs, [1, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_is_replaced_and_two_tabs_get_the_same_one() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    let refresh = async |cookie: &str, origin: Option<&str>| {
        let mut headers = vec![("cookie", cookie)];
        headers.extend(origin.map(|origin| ("origin", origin)));
        gateway
            .call(None, Method::POST, "/v1/sessions/refresh", None, &headers)
            .await
    };
    let one = refresh(&owner.cookie, Some("https://roost.example")).await;
    let other = refresh(&owner.cookie, None).await;
    assert_eq!(one.status, 200, "{}", one.text);
    assert_eq!(one.cookie(), other.cookie());
    assert_ne!(one.cookie(), owner.cookie);
    assert_eq!(gateway.get(&one.person(), "/v1/me").await.status, 200);
    let foreign = refresh(&one.cookie(), Some("https://evil.example")).await;
    assert_eq!(
        (foreign.status.as_u16(), foreign.code()),
        (403, "origin_refused")
    );
    // Long after, the old one is a stolen one: the session ends for everybody.
    let mut db = gateway.db.owner().await;
    sqlx::query("update sessions set rotated_at = now() - interval '1 minute'")
        .execute(&mut db)
        .await
        .unwrap();
    assert_eq!(refresh(&owner.cookie, None).await.code(), "session_ended");
    assert_eq!(refresh(&one.cookie(), None).await.code(), "session_ended");
    for bad in [
        "__Host-roost_refresh=",
        "__Host-roost_refresh=%20",
        "other=1",
    ] {
        assert_eq!(refresh(bad, None).await.status, 401, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_ends_the_session_at_once() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    assert_eq!(
        gateway.delete(&owner, "/v1/sessions/current").await.status,
        204
    );
    let after = gateway.get(&owner, "/v1/me").await;
    assert_eq!(
        (after.status.as_u16(), after.code()),
        (401, "session_ended")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_brand_is_made_once_and_its_people_can_sign_in() {
    let gateway = Gateway::start().await;
    let seeded = seed(&gateway.db.store).await.unwrap();
    let again = seed(&gateway.db.store).await.unwrap();
    assert_eq!(
        serde_json::to_value(&seeded).unwrap(),
        serde_json::to_value(&again).unwrap()
    );
    assert_eq!(seeded.members.len(), 5);
    let body = json!({ "email": seeded.members[3].email, "password": seeded.members[3].password });
    let answer = gateway
        .call(None, Method::POST, "/v1/sessions", Some(body), &[])
        .await;
    let agent = answer.person();
    assert_eq!(agent.brand.to_string(), seeded.brand_id);
    let teams = gateway.get(&agent, "/v1/teams").await;
    let sizes: Vec<usize> = teams.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|team| team["member_ids"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [2, 3]);
    assert!(answer.body["member"]["skills"].as_array().unwrap().len() > 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_carry_ids_and_no_page_may_use_them() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    let headers = [
        ("x-request-id", "my-request-1"),
        ("origin", "https://app.example"),
    ];
    let answer = gateway
        .call(Some(&owner), Method::GET, "/v1/nowhere", None, &headers)
        .await;
    assert_eq!((answer.status.as_u16(), answer.code()), (404, "not_found"));
    assert_eq!(answer.headers["x-request-id"], "my-request-1");
    assert_eq!(answer.body["request_id"], "my-request-1");
    assert_eq!(
        answer.headers["access-control-allow-origin"],
        "https://app.example"
    );
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    let foreign = [("origin", "https://evil.example")];
    let answer = gateway
        .call(Some(&owner), Method::GET, "/v1/me", None, &foreign)
        .await;
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
    let answer = gateway
        .call(Some(&owner), Method::PATCH, "/v1/me", None, &[])
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (405, "method_not_allowed")
    );
    let text = gateway
        .call(None, Method::GET, "/metrics", None, &[])
        .await
        .text;
    assert!(
        text.contains("roost_gateway_requests_total{class=\"2xx\",route=\"/v1/me\"}"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_database_is_said_and_the_same_request_may_come_again() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    gateway.db.store.close().await;
    let answer = gateway.get(&owner, "/v1/conversations").await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (503, "unavailable")
    );
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(answer.body["retryable"], true);
}
