//! How often one may ask.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Gateway};

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer
        .headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

/// What is left of an allowance, by the head of an answer.
fn left(answer: &Answer, name: &str) -> u32 {
    let start = format!("\"{name}\";r=");
    let item = header(answer, "ratelimit")
        .split(", ")
        .find_map(|item| item.strip_prefix(start.as_str()));
    item.and_then(|rest| rest.split(';').next()?.parse().ok())
        .unwrap_or_else(|| panic!("{name} of {:?} {}", answer.headers, answer.text))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_says_what_is_left_of_each_allowance() {
    let gateway = Gateway::start_with(&[
        ("ROOST_MEMBER_REQUESTS_PER_MINUTE", "100"),
        ("ROOST_BRAND_REQUESTS_PER_MINUTE", "500"),
        ("ROOST_ADDRESS_REQUESTS_PER_MINUTE", "50"),
    ])
    .await;
    let brand = gateway.brand("Harbor").await;
    let first = gateway.get(&brand.owner, "/v1/teams").await;
    assert_eq!(
        header(&first, "ratelimit-policy"),
        "\"member\";q=100;w=60, \"brand\";q=500;w=60"
    );
    let second = gateway.get(&brand.owner, "/v1/nothing-here").await;
    let third = gateway.get(&brand.owner, "/v1/teams").await;
    assert_eq!(second.status, 404);
    assert!(left(&third, "member") < left(&first, "member"));
    assert!(left(&third, "brand") < left(&first, "brand"));
    assert!(
        header(&first, "ratelimit").contains(";t="),
        "{:?}",
        first.headers
    );
    // Refusals are counted and say so too.
    let refused = gateway.post(&brand.owner, "/v1/teams", json!({})).await;
    assert_eq!(refused.status, 400);
    assert!(left(&refused, "member") < left(&third, "member"));
    let stranger = gateway
        .call(None, Method::GET, "/docs/problems", None, &[])
        .await;
    assert_eq!(
        header(&stranger, "ratelimit-policy"),
        "\"address\";q=50;w=60"
    );
    let wrong = [("authorization", "Bearer rk_live_wrong")];
    let wrong = gateway
        .call(None, Method::GET, "/v1/teams", None, &wrong)
        .await;
    assert_eq!(wrong.status, 401);
    assert!(left(&wrong, "address") < left(&stranger, "address"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_too_often_is_told_when_to_come_again_and_nobody_else_is() {
    let gateway = Gateway::start_with(&[("ROOST_MEMBER_REQUESTS_PER_MINUTE", "5")]).await;
    let brand = gateway.brand("Harbor").await;
    let agent = gateway.member(&brand, "agent").await;
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(gateway.get(&brand.owner, "/v1/teams").await);
    }
    let refused = answers.pop().unwrap();
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (429, "rate_limited")
    );
    assert_eq!(refused.body["retryable"], true);
    let wait: u64 = header(&refused, "retry-after").parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    assert_eq!(left(&refused, "member"), 0);
    assert_eq!(gateway.get(&agent, "/v1/teams").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_brand_that_floods_takes_nothing_from_another() {
    let gateway = Gateway::start_with(&[("ROOST_BRAND_REQUESTS_PER_MINUTE", "10")]).await;
    let (ours, theirs) = (gateway.brand("Ours").await, gateway.brand("Theirs").await);
    let agent = gateway.member(&theirs, "agent").await;
    for _ in 0..10 {
        gateway.get(&agent, "/v1/teams").await;
    }
    let refused = gateway.get(&theirs.owner, "/v1/teams").await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (429, "rate_limited")
    );
    assert_eq!(gateway.get(&ours.owner, "/v1/teams").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_office_behind_one_address_works() {
    let gateway = Gateway::start_with(&[("ROOST_ADDRESS_REQUESTS_PER_MINUTE", "20")]).await;
    let brand = gateway.brand("Harbor").await;
    // Sixty who ask at once from one address; a key is a member like any other here.
    for _ in 0..60 {
        let who = gateway
            .key(&brand, "analyst", &["settings:read"])
            .await
            .bearer;
        let answer = gateway.get(&who, "/v1/teams").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(!header(&answer, "ratelimit").contains("address"));
    }
}

async fn ask_as(gateway: &Gateway, address: &str) -> u16 {
    let headers = [("x-forwarded-for", address)];
    let answer = gateway
        .call(None, Method::GET, "/docs/problems", None, &headers)
        .await;
    answer.status.as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_other_addresses_into_the_head_is_still_one() {
    let gateway = Gateway::start_with(&[("ROOST_ADDRESS_REQUESTS_PER_MINUTE", "3")]).await;
    let mut seen = Vec::new();
    for number in 0..4 {
        seen.push(ask_as(&gateway, &format!("198.51.100.{number}")).await);
    }
    assert_eq!(seen, [200, 200, 200, 429]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_proxys_word_tells_callers_apart() {
    let gateway = Gateway::start_with(&[
        ("ROOST_ADDRESS_REQUESTS_PER_MINUTE", "3"),
        ("ROOST_TRUSTED_PROXIES", "127.0.0.0/8"),
    ])
    .await;
    for number in 0..6 {
        assert_eq!(ask_as(&gateway, &format!("198.51.100.{number}")).await, 200);
    }
    let mut seen = Vec::new();
    for number in 0..4 {
        // What stands before the proxy's own word is the customer's invention.
        seen.push(ask_as(&gateway, &format!("203.0.113.{number}, 198.51.100.99")).await);
    }
    assert_eq!(seen, [200, 200, 200, 429]);
}
