//! Bad input is a 4xx with its place, never a 500.

use reqwest::Method;
use serde_json::{Value, json};

use crate::customer::writes;
use crate::harness::Gateway;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_body_is_a_400_that_says_where() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let conversation = writes(&gateway, &brand, "77", "hello").await;
    let messages = format!("/v1/conversations/{conversation}/messages");
    let one = format!("/v1/conversations/{conversation}");
    let reply = |extra: Value| {
        let mut body = json!({ "kind": "reply", "text": "x" });
        body.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        body
    };
    for (method, path, body, pointers) in [
        (Method::POST, &messages, json!({}), vec![""]),
        (
            Method::POST,
            &messages,
            json!({ "kind": "reply" }),
            vec![""],
        ),
        (
            Method::POST,
            &messages,
            json!({ "kind": "shout", "text": "x" }),
            vec!["/kind"],
        ),
        (
            Method::POST,
            &messages,
            reply(json!({ "text": 5 })),
            vec!["/text"],
        ),
        (
            Method::POST,
            &messages,
            reply(json!({ "text": null })),
            vec!["/text"],
        ),
        (
            Method::POST,
            &messages,
            reply(json!({ "text": " \n" })),
            vec!["/text"],
        ),
        (
            Method::POST,
            &messages,
            reply(json!({ "text": "a\u{0}b" })),
            vec!["/text"],
        ),
        (
            Method::POST,
            &messages,
            reply(json!({ "txet": "x" })),
            vec!["/txet"],
        ),
        (
            Method::POST,
            &messages,
            reply(json!({ "then": "later" })),
            vec!["/then"],
        ),
        (
            Method::POST,
            &messages,
            reply(json!({ "then": "snoozed" })),
            vec!["/until"],
        ),
        (
            Method::POST,
            &messages,
            reply(json!({ "then": "snoozed", "until": "soon" })),
            vec!["/until"],
        ),
        (
            Method::POST,
            &messages,
            reply(json!({ "client_ref": "" })),
            vec!["/client_ref"],
        ),
        (
            Method::POST,
            &messages,
            reply(json!({ "client_ref": "a\nb" })),
            vec!["/client_ref"],
        ),
        (Method::POST, &messages, json!([]), vec![""]),
        (
            Method::PATCH,
            &one,
            json!({ "status": "closed" }),
            vec!["/status"],
        ),
        (
            Method::PATCH,
            &one,
            json!({ "status": "snoozed" }),
            vec!["/snooze_until"],
        ),
        (
            Method::PATCH,
            &one,
            json!({ "priority": "max", "snooze_until": "2001-01-01T00:00:00Z" }),
            vec!["/priority", "/snooze_until"],
        ),
        (
            Method::PATCH,
            &one,
            json!({ "version": 9 }),
            vec!["/version"],
        ),
        (
            Method::PUT,
            &format!("{one}/assignment"),
            json!({}),
            vec![""],
        ),
        (
            Method::PUT,
            &format!("{one}/assignment"),
            json!({ "member_id": "x" }),
            vec!["/member_id"],
        ),
        (
            Method::PUT,
            &format!("{one}/read"),
            json!({ "message_id": 7 }),
            vec!["/message_id"],
        ),
        (
            Method::POST,
            &"/v1/teams".to_owned(),
            json!({ "name": "", "member_ids": ["x"] }),
            vec!["/name", "/member_ids/0"],
        ),
    ] {
        let answer = gateway
            .call(Some(&brand.owner), method, path, Some(body.clone()), &[])
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (400, "invalid_request"),
            "{body}: {}",
            answer.text
        );
        assert_eq!(answer.pointers(), pointers, "{body}: {}", answer.text);
    }
    let http = reqwest::Client::new();
    for (raw, kind, code) in [
        ("{", "application/json", "invalid_json"),
        ("", "application/json", "invalid_json"),
        (
            r#"{"kind":"reply","text":"\ud83d"}"#,
            "application/json",
            "invalid_json",
        ),
        (
            "kind=reply",
            "application/x-www-form-urlencoded",
            "unsupported_media_type",
        ),
        (
            &format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
            "application/json",
            "invalid_json",
        ),
        (
            &format!(r#"{{"kind":"note","text":"{}"}}"#, "x".repeat(300_000)),
            "application/json",
            "body_too_large",
        ),
    ] {
        let answer = http
            .post(format!("{}{messages}", gateway.url))
            .bearer_auth(&brand.owner.token)
            .header("content-type", kind)
            .body(raw.to_owned())
            .send()
            .await
            .unwrap();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["code"], code, "{}", &raw[..raw.len().min(60)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_parameter_is_a_400_that_says_which() {
    let gateway = Gateway::start().await;
    let owner = gateway.brand("Harbor").await.owner;
    for (query, pointer) in [
        ("status=closed", "/query/status"),
        ("status=open&status=closed", "/query/status"),
        ("status=", "/query/status"),
        ("assignee_id=nobody", "/query/assignee_id"),
        ("channel_id=none", "/query/channel_id"),
        ("team_id=mem_01h455vb4pex5vsknk084sn02q", "/query/team_id"),
        ("has_failed_send=yes", "/query/has_failed_send"),
        ("opened_after=yesterday", "/query/opened_after"),
        ("sort=name", "/query/sort"),
        ("sort=opened_at&sort=updated_at", "/query/sort"),
        ("limit=0", "/query/limit"),
        ("limit=201", "/query/limit"),
        ("limit=ten", "/query/limit"),
        ("limit=99999999999999999999", "/query/limit"),
        ("q[$ne]=1", "/query/q[$ne]"),
        ("status=%00", "/query/status"),
        ("colour=red", "/query/colour"),
    ] {
        let answer = gateway
            .get(&owner, &format!("/v1/conversations?{query}"))
            .await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text);
        assert!(
            answer.pointers().contains(&pointer),
            "{query}: {}",
            answer.text
        );
    }
    for cursor in ["x", "e30", "AAAA", "%00"] {
        let answer = gateway
            .get(&owner, &format!("/v1/conversations?cursor={cursor}"))
            .await;
        assert_eq!(answer.status, 400, "{cursor}: {}", answer.text);
        let answer = gateway
            .get(&owner, &format!("/v1/events?after={cursor}"))
            .await;
        assert_eq!(answer.status, 400, "{cursor}: {}", answer.text);
    }
    let answer = gateway.get(&owner, "/v1/conversations?limit=1%").await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    for query in [
        "types=drop%20table",
        "types=",
        "wait=31",
        "conversation_id=x",
    ] {
        let answer = gateway.get(&owner, &format!("/v1/events?{query}")).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_up_names_all_its_faults_at_once() {
    let gateway = Gateway::start().await;
    let body = json!({
        "brand_name": " ", "full_name": "x".repeat(201), "email": "nobody", "password": "short", "time_zone": "Mars/Base",
    });
    let answer = gateway
        .call(None, Method::POST, "/v1/signup", Some(body), &[])
        .await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.pointers(),
        [
            "/brand_name",
            "/full_name",
            "/email",
            "/password",
            "/time_zone"
        ]
    );
}
