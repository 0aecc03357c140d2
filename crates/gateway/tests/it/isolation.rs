//! A brand sees nothing of another, and a role does no more than it may.

use reqwest::Method;
use serde_json::json;

use crate::customer::writes;
use crate::harness::Gateway;

const CANARY: &str = "canary-5f1e";

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
