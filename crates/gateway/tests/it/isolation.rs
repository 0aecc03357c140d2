//! A brand sees nothing of another, and a role does no more than it may.

use reqwest::Method;
use serde_json::{Value, json};

use crate::customer::writes;
use crate::harness::Gateway;

/// Method, rest of the path, body.
type Call = (Method, &'static str, Value);

const CANARY: &str = "canary-5f1e";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_brands_ids_answer_as_missing_ones_on_every_route() {
    let gateway = Gateway::start().await;
    let (ours, theirs) = (gateway.brand("Ours").await, gateway.brand("Theirs").await);
    let conversation = writes(&gateway, &theirs, "77", CANARY).await;
    let reply = gateway
        .post(
            &theirs.owner,
            &format!("/v1/conversations/{conversation}/messages"),
            json!({ "kind": "reply", "text": CANARY }),
        )
        .await;
    let message = reply.body["id"].as_str().unwrap().to_owned();
    let missing = |prefix: &str| format!("{prefix}_01h455vb4pex5vsknk084sn02q");
    let cases: [(&str, String, &[Call]); 4] = [
        (
            "conversations",
            conversation.to_string(),
            &[
                (Method::GET, "", Value::Null),
                (Method::PATCH, "", json!({ "status": "resolved" })),
                (Method::GET, "/messages", Value::Null),
                (
                    Method::POST,
                    "/messages",
                    json!({ "kind": "reply", "text": "x" }),
                ),
                (Method::GET, "/assignment", Value::Null),
                (
                    Method::PUT,
                    "/assignment",
                    json!({ "member_id": ours.owner.member }),
                ),
                (Method::DELETE, "/assignment", Value::Null),
                (Method::GET, "/assignments", Value::Null),
                (Method::GET, "/timeline", Value::Null),
                (Method::GET, "/sla", Value::Null),
                (Method::PUT, "/read", json!({ "message_id": message })),
                (Method::PUT, "/typing", json!({})),
            ],
        ),
        (
            "messages",
            message.clone(),
            &[
                (Method::GET, "", Value::Null),
                (Method::POST, "/retry", json!({})),
                (Method::POST, "/cancel", json!({})),
                (Method::POST, "/mark-sent", json!({})),
            ],
        ),
        (
            "members",
            theirs.owner.member.to_string(),
            &[
                (Method::GET, "", Value::Null),
                (Method::PATCH, "", json!({ "capacity": 1 })),
                (Method::PUT, "/presence", json!({ "status": "away" })),
            ],
        ),
        (
            "channels",
            theirs.channel.to_string(),
            &[
                (Method::GET, "", Value::Null),
                (Method::GET, "/health", Value::Null),
                (Method::GET, "/budget", Value::Null),
                (Method::GET, "/capabilities", Value::Null),
                (
                    Method::POST,
                    "/sandbox-messages",
                    json!({ "from": { "handle": "casey" }, "text": "x" }),
                ),
                (Method::PATCH, "", json!({ "name": "x" })),
                (Method::DELETE, "", Value::Null),
            ],
        ),
    ];
    let without_id = |mut body: Value| {
        body.as_object_mut().unwrap().remove("request_id");
        body
    };
    for (kind, id, calls) in &cases {
        for (method, rest, body) in *calls {
            let body = (!body.is_null()).then(|| body.clone());
            let prefix = id.split('_').next().unwrap();
            let mut answers = Vec::new();
            for id in [id.clone(), missing(prefix), format!("{prefix}_not-an-id")] {
                let path = format!("/v1/{kind}/{id}{rest}");
                let answer = gateway
                    .call(Some(&ours.owner), method.clone(), &path, body.clone(), &[])
                    .await;
                assert_eq!(answer.status, 404, "{method} {path}: {}", answer.text);
                answers.push(without_id(answer.body));
            }
            assert!(
                answers.windows(2).all(|pair| pair[0] == pair[1]),
                "{method} {kind}{rest}"
            );
        }
    }
    // Theirs is untouched.
    let still = gateway
        .get(&theirs.owner, &format!("/v1/conversations/{conversation}"))
        .await;
    assert_eq!(still.body["status"], "open");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_filters_bodies_and_feeds_hold_nothing_of_another_brand() {
    let gateway = Gateway::start().await;
    let (ours, theirs) = (gateway.brand("Ours").await, gateway.brand("Theirs").await);
    writes(&gateway, &theirs, "77", CANARY).await;
    let mine = writes(&gateway, &ours, "77", "hello").await;
    gateway.relay().await;
    for path in [
        "/v1/conversations".to_owned(),
        format!("/v1/conversations?channel_id={}", theirs.channel),
        format!(
            "/v1/conversations?assignee_id={}&assignee_id=none",
            theirs.owner.member
        ),
        "/v1/members".to_owned(),
        "/v1/teams".to_owned(),
        "/v1/channels".to_owned(),
        "/v1/x-apps".to_owned(),
        "/v1/events?after=oldest&limit=200".to_owned(),
        "/v1/brand".to_owned(),
        "/v1/me".to_owned(),
    ] {
        let answer = gateway.get(&ours.owner, &path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        for foreign in [CANARY, "Theirs", &theirs.owner.brand.to_string()] {
            assert!(
                !answer.text.contains(foreign),
                "{path} shows {foreign}: {}",
                answer.text
            );
        }
    }
    let assignment = format!("/v1/conversations/{mine}/assignment");
    for body in [
        json!({ "member_id": theirs.owner.member }),
        json!({ "team_id": theirs.team }),
    ] {
        let answer = gateway.put(&ours.owner, &assignment, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (422, "unknown_reference")
        );
    }
    let patch = json!({ "team_id": theirs.team });
    let answer = gateway
        .patch(
            &ours.owner,
            &format!("/v1/channels/{}", ours.channel),
            patch,
        )
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (422, "unknown_reference")
    );
    let patch = json!({ "team_ids": [theirs.team] });
    let path = format!("/v1/members/{}", ours.owner.member);
    assert_eq!(
        gateway.patch(&ours.owner, &path, patch).await.code(),
        "unknown_reference"
    );
    let team = json!({ "name": "New", "member_ids": [theirs.owner.member] });
    assert_eq!(
        gateway.post(&ours.owner, "/v1/teams", team).await.code(),
        "unknown_reference"
    );
    let theirs_cursor = gateway.get(&theirs.owner, "/v1/events?after=now").await;
    let cursor = theirs_cursor.body["next_cursor"].as_str().unwrap();
    let answer = gateway
        .get(&ours.owner, &format!("/v1/events?after={cursor}"))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (400, "cursor_mismatch")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_analyst_reads_and_never_writes() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let analyst = gateway.member(&brand, "analyst").await;
    let agent = gateway.member(&brand, "agent").await;
    let conversation = writes(&gateway, &brand, "77", "hello").await;
    let of = |rest: &str| format!("/v1/conversations/{conversation}{rest}");
    for path in [
        of(""),
        of("/messages"),
        of("/timeline"),
        of("/sla"),
        "/v1/events".to_owned(),
    ] {
        assert_eq!(gateway.get(&analyst, &path).await.status, 200, "{path}");
    }
    for (method, path, body) in [
        (Method::PATCH, of(""), json!({ "status": "resolved" })),
        (
            Method::POST,
            of("/messages"),
            json!({ "kind": "reply", "text": "x" }),
        ),
        (
            Method::POST,
            of("/messages"),
            json!({ "kind": "note", "text": "x" }),
        ),
        (
            Method::PUT,
            of("/assignment"),
            json!({ "member_id": analyst.member }),
        ),
        (Method::DELETE, of("/assignment"), json!({})),
        (Method::PUT, of("/typing"), json!({})),
        (
            Method::PATCH,
            format!("/v1/members/{}", analyst.member),
            json!({ "role": "owner" }),
        ),
        (Method::POST, "/v1/teams".to_owned(), json!({ "name": "x" })),
        (Method::POST, "/v1/channels/x/connect".to_owned(), json!({})),
        (
            Method::PUT,
            format!("/v1/members/{}/presence", agent.member),
            json!({ "status": "away" }),
        ),
    ] {
        let answer = gateway
            .call(Some(&analyst), method.clone(), &path, Some(body), &[])
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (403, "forbidden"),
            "{method} {path}"
        );
    }
    // A role that may not reply can't be given work, by whomever.
    let body = json!({ "member_id": analyst.member });
    let answer = gateway.put(&brand.owner, &of("/assignment"), body).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (422, "member_cannot_take")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_the_public_routes_answers_without_a_token() {
    let gateway = Gateway::start().await;
    let document = gateway
        .call(None, Method::GET, "/openapi.json", None, &[])
        .await
        .body;
    let mut walked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (verb, operation) in item.as_object().unwrap() {
            let is_public = operation["security"] == json!([]);
            let address = path.replace("{id}", "conv_01h455vb4pex5vsknk084sn02q");
            let method = Method::from_bytes(verb.to_uppercase().as_bytes()).unwrap();
            for token in [None, Some("Bearer nonsense"), Some("Basic abc")] {
                let headers: Vec<(&str, &str)> = token
                    .map(|token| ("authorization", token))
                    .into_iter()
                    .collect();
                let answer = gateway
                    .call(None, method.clone(), &address, Some(json!({})), &headers)
                    .await;
                let is_refused = answer.code() == "unauthenticated";
                assert!(is_refused || is_public, "{verb} {path}: {}", answer.text);
                assert!(
                    answer.status.as_u16() < 500,
                    "{verb} {path}: {}",
                    answer.text
                );
                walked += usize::from(is_refused);
            }
        }
    }
    assert!(walked > 60, "only {walked} calls were refused");
}
