//! API keys: how far a program reaches, and until when.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::customer::writes;
use crate::harness::{Brand, Gateway, Person};

/// How long a change elsewhere may take to count here.
const SOON: Duration = Duration::from_secs(5);

fn a_key() -> Value {
    json!({ "name": "Order system", "mode": "live", "role": "agent", "scopes": ["conversations:read"] })
}

fn with(field: &str, value: Value) -> Value {
    let mut body = a_key();
    body[field] = value;
    body
}

/// Asks until the answer has this status.
async fn becomes(gateway: &Gateway, who: &Person, path: &str, status: u16) {
    let begun = Instant::now();
    loop {
        let answer = gateway.get(who, path).await;
        if answer.status == status {
            return;
        }
        assert!(
            begun.elapsed() < SOON,
            "{path} still answers {}",
            answer.status
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn change(gateway: &Gateway, statement: &'static str) {
    let mut db = gateway.db.owner().await;
    sqlx::query(statement).execute(&mut db).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_shown_once_and_acts_as_a_member_of_its_own() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let made = gateway.post(&brand.owner, "/v1/api-keys", a_key()).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let text = made.body["key"].as_str().unwrap();
    assert!(
        text.starts_with("rk_live_") && text.len() == 8 + 43,
        "{text}"
    );
    assert_eq!(made.body["hint"], text[text.len() - 4..]);
    let path = format!("/v1/api-keys/{}", made.body["id"].as_str().unwrap());
    let shown = gateway.get(&brand.owner, &path).await;
    assert_eq!(shown.headers["etag"], "\"1\"");
    assert_eq!(shown.body["status"], "active");
    let list = gateway.get(&brand.owner, "/v1/api-keys").await;
    for answer in [&shown, &list] {
        assert!(!answer.text.contains(text));
    }
    // Not in the database either.
    let mut db = gateway.db.owner().await;
    for rows in [
        "select string_agg(k::text, ' ') from api_keys k",
        "select string_agg(a::text, ' ') from audit_log a",
        "select string_agg(e::text, ' ') from events e",
    ] {
        let dump: String = sqlx::query_scalar(rows).fetch_one(&mut db).await.unwrap();
        assert!(!dump.contains(&text[8..]), "{rows}");
    }
    let robot = Person {
        token: text.to_owned(),
        ..brand.owner.clone()
    };
    assert_eq!(gateway.get(&robot, "/v1/conversations").await.status, 200);
    let member = format!("/v1/members/{}", made.body["member_id"].as_str().unwrap());
    let member = gateway.get(&brand.owner, &member).await;
    assert_eq!(
        (
            &member.body["kind"],
            &member.body["name"],
            &member.body["email"]
        ),
        (&json!("bot"), &json!("Order system"), &Value::Null)
    );
    assert_eq!(member.body["team_ids"], json!([]));
    let id = made.body["id"].as_str().unwrap().to_owned();
    assert_eq!(
        gateway.audit(&brand).await,
        [("api_key.created".to_owned(), id)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_a_key_is_named_with_its_place() {
    let gateway = Gateway::start().await;
    let (ours, theirs) = (gateway.brand("Ours").await, gateway.brand("Theirs").await);
    for (body, pointer) in [
        (with("name", json!("")), "/name"),
        (with("name", json!("x".repeat(201))), "/name"),
        (with("mode", json!("sandbox")), "/mode"),
        (with("role", json!("root")), "/role"),
        (with("role", json!("owner")), "/role"),
        (with("scopes", json!([])), "/scopes"),
        (
            with("scopes", json!(["conversations:read", "all"])),
            "/scopes/1",
        ),
        // An agent has no such permission.
        (with("scopes", json!(["members:write"])), "/scopes/0"),
        (with("team_ids", json!([])), "/team_ids"),
        (with("team_ids", json!(["team_x"])), "/team_ids/0"),
        (with("channel_ids", json!([ours.team])), "/channel_ids/0"),
        (with("expires_at", json!("tomorrow")), "/expires_at"),
        (
            with("expires_at", json!("2020-01-01T00:00:00Z")),
            "/expires_at",
        ),
        (with("member_id", json!(ours.owner.member)), "/member_id"),
        (with("hash", json!("00")), "/hash"),
    ] {
        let answer = gateway
            .post(&ours.owner, "/v1/api-keys", body.clone())
            .await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        assert_eq!(answer.pointers(), [pointer], "{body}");
    }
    for (field, value, pointer) in [
        ("team_ids", json!([theirs.team]), "/team_ids"),
        (
            "channel_ids",
            json!([ours.channel, theirs.channel]),
            "/channel_ids",
        ),
    ] {
        let answer = gateway
            .post(&ours.owner, "/v1/api-keys", with(field, value))
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.code(), answer.pointers()),
            (422, "unknown_reference", vec![pointer]),
            "{}",
            answer.text
        );
        assert!(!answer.text.contains(&ours.channel.to_string()));
    }
    assert_eq!(
        gateway.get(&ours.owner, "/v1/api-keys").await.ids(),
        Vec::<String>::new()
    );
    let key = gateway.key(&theirs, "agent", &["conversations:read"]).await;
    for (method, rest) in [
        (Method::GET, ""),
        (Method::PATCH, ""),
        (Method::DELETE, ""),
        (Method::POST, "/rotate"),
    ] {
        let path = format!("{}{rest}", key.path);
        let body = Some(json!({}));
        let answer = gateway
            .call(Some(&ours.owner), method, &path, body, &[])
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (404, "not_found"),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_does_what_its_scopes_and_its_role_allow_and_no_more() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let conversation = writes(&gateway, &brand, "77", "hello").await;
    let messages = format!("/v1/conversations/{conversation}/messages");
    let reader = gateway
        .key(&brand, "agent", &["conversations:read"])
        .await
        .bearer;
    assert_eq!(gateway.get(&reader, &messages).await.status, 200);
    let reply = json!({ "kind": "reply", "text": "hi" });
    let refused = gateway.post(&reader, &messages, reply.clone()).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (403, "forbidden")
    );
    assert!(
        refused.text.contains("scope messages:write"),
        "{}",
        refused.text
    );
    for path in ["/v1/teams", "/v1/audit-log", "/v1/api-keys", "/v1/me"] {
        assert_eq!(gateway.get(&reader, path).await.status, 403, "{path}");
    }
    let writer = gateway
        .key(&brand, "agent", &["messages:write"])
        .await
        .bearer;
    let sent = gateway.post(&writer, &messages, reply).await;
    assert_eq!(sent.status, 201, "{}", sent.text);
    assert_eq!(sent.body["author"]["id"], writer.member.to_string());
    // A program is given no conversation, not even one that it answers first.
    let path = format!("/v1/conversations/{conversation}/assignment");
    let assignment = gateway.get(&brand.owner, &path).await;
    assert_eq!(assignment.body["member_id"], Value::Null);
    let answer = gateway
        .put(&brand.owner, &path, json!({ "member_id": writer.member }))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (422, "member_cannot_take"),
        "{}",
        answer.text
    );
    // A role that sinks takes the scopes with it.
    change(
        &gateway,
        "update members set role = 'analyst' where kind = 'bot'",
    )
    .await;
    becomes(&gateway, &writer, "/v1/members", 403).await;
    let begun = Instant::now();
    while gateway
        .post(&writer, &messages, json!({ "kind": "note", "text": "x" }))
        .await
        .status
        != StatusCode::FORBIDDEN
    {
        assert!(begun.elapsed() < SOON);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_makes_a_key_above_themselves_and_a_key_makes_none() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    for role in ["supervisor", "agent", "analyst"] {
        let person = gateway.member(&brand, role).await;
        let answer = gateway.post(&person, "/v1/api-keys", a_key()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (403, "forbidden"),
            "{role}"
        );
        assert_eq!(
            gateway.get(&person, "/v1/api-keys").await.status,
            403,
            "{role}"
        );
    }
    let admin = gateway.member(&brand, "admin").await;
    let body = with("role", json!("admin"));
    assert_eq!(gateway.post(&admin, "/v1/api-keys", body).await.status, 201);
    let keeper = gateway
        .key(&brand, "admin", &["api_keys:write", "members:write"])
        .await;
    let other = gateway.key(&brand, "agent", &["conversations:read"]).await;
    let robot = &keeper.bearer;
    assert_eq!(gateway.get(robot, "/v1/api-keys").await.status, 200);
    let wider = json!({ "scopes": ["api_keys:write", "brand:write"] });
    for answer in [
        gateway.post(robot, "/v1/api-keys", a_key()).await,
        gateway.patch(robot, &keeper.path, wider).await,
        gateway
            .post(robot, &format!("{}/rotate", other.path), json!({}))
            .await,
    ] {
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (403, "forbidden"),
            "{}",
            answer.text
        );
    }
    assert_eq!(gateway.delete(robot, &other.path).await.status, 204);
    // Its member is changed with the key and in no other way.
    let member = format!("/v1/members/{}", robot.member);
    for answer in [
        gateway
            .patch(&brand.owner, &member, json!({ "role": "owner" }))
            .await,
        gateway
            .patch(robot, &member, json!({ "role": "admin" }))
            .await,
    ] {
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (422, "bot_member"),
            "{}",
            answer.text
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_a_key_counts_at_once_and_wants_the_version_that_was_seen() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let key = gateway.key(&brand, "agent", &["settings:read"]).await;
    assert_eq!(gateway.get(&key.bearer, "/v1/teams").await.status, 200);
    let body = json!({
        "name": "Renamed", "scopes": ["conversations:read"], "team_ids": [brand.team],
        "expires_at": "2099-01-01T00:00:00Z",
    });
    let stale = [("if-match", "\"7\"")];
    let call = |body: Value, headers| {
        gateway.call(
            Some(&brand.owner),
            Method::PATCH,
            &key.path,
            Some(body),
            headers,
        )
    };
    let answer = call(body.clone(), &stale).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (409, "version_conflict")
    );
    assert_eq!(answer.body["current_version"], 1);
    let answer = call(body, &[("if-match", "\"1\"")]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.headers["etag"], "\"2\"");
    assert_eq!(answer.body["name"], "Renamed");
    assert_eq!(answer.body["team_ids"], json!([brand.team]));
    assert_eq!(answer.body["expires_at"], "2099-01-01T00:00:00.000Z");
    assert_eq!(gateway.get(&key.bearer, "/v1/teams").await.status, 403);
    assert_eq!(
        gateway.get(&key.bearer, "/v1/conversations").await.status,
        200
    );
    let answer = call(json!({ "team_ids": null, "expires_at": null }), &[]).await;
    assert_eq!(
        (&answer.body["team_ids"], &answer.body["expires_at"]),
        (&Value::Null, &Value::Null)
    );
    for (body, pointer) in [
        (json!({ "role": "admin" }), "/role"),
        (json!({ "mode": "test" }), "/mode"),
        (json!({ "scopes": ["members:write"] }), "/scopes/0"),
    ] {
        let answer = call(body, &[]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.pointers()),
            (400, vec![pointer])
        );
    }
    let actions: Vec<String> = gateway
        .audit(&brand)
        .await
        .into_iter()
        .map(|(action, _)| action)
        .collect();
    assert_eq!(
        actions,
        ["api_key.changed", "api_key.changed", "api_key.created"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_or_expired_key_is_good_for_nothing_within_five_seconds_anywhere() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let scopes = ["conversations:read", "messages:write"];
    let conversation = writes(&gateway, &brand, "77", "hello").await;
    let messages = format!("/v1/conversations/{conversation}/messages");
    let here = gateway.key(&brand, "agent", &scopes).await;
    let note = gateway
        .post(
            &here.bearer,
            &messages,
            json!({ "kind": "note", "text": "kept" }),
        )
        .await;
    assert_eq!(gateway.delete(&brand.owner, &here.path).await.status, 204);
    let after = gateway.get(&here.bearer, "/v1/conversations").await;
    assert_eq!(
        (after.status.as_u16(), after.code()),
        (401, "unauthenticated")
    );
    assert_eq!(
        gateway.delete(&brand.owner, &here.path).await.status,
        204,
        "twice does no harm"
    );
    let shown = gateway.get(&brand.owner, &here.path).await;
    assert_eq!(shown.body["status"], "revoked");
    for (method, path) in [
        (Method::PATCH, here.path.clone()),
        (Method::POST, format!("{}/rotate", here.path)),
    ] {
        let answer = gateway
            .call(Some(&brand.owner), method, &path, Some(json!({})), &[])
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (409, "key_revoked"),
            "{path}"
        );
    }
    let member = gateway
        .get(&brand.owner, &format!("/v1/members/{}", here.bearer.member))
        .await;
    assert_eq!(member.body["active"], false);
    let note = gateway
        .get(
            &brand.owner,
            &format!("/v1/messages/{}", note.body["id"].as_str().unwrap()),
        )
        .await;
    assert_eq!(note.body["author"]["name"], "Robot");
    // Revoked, run out or deactivated through another gateway.
    for statement in [
        "update api_keys set revoked_at = now() where revoked_at is null",
        "update api_keys set expires_at = now() where revoked_at is null",
        "update members set active = false where kind = 'bot'",
    ] {
        let there = gateway.key(&brand, "agent", &scopes).await.bearer;
        assert_eq!(gateway.get(&there, "/v1/conversations").await.status, 200);
        change(&gateway, statement).await;
        becomes(&gateway, &there, "/v1/conversations", 401).await;
    }
    for bad in ["rk_live_", "rk_live_unknown", "rk_", "rk_live_\u{7f}"] {
        let person = Person {
            token: bad.trim_end_matches('\u{7f}').to_owned(),
            ..brand.owner.clone()
        };
        assert_eq!(
            gateway.get(&person, "/v1/conversations").await.status,
            401,
            "{bad}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_rotation_the_old_key_is_good_for_a_day() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let key = gateway.key(&brand, "agent", &["conversations:read"]).await;
    let rotate = format!("{}/rotate", key.path);
    let path = "/v1/conversations";
    let rotated = gateway
        .call(Some(&brand.owner), Method::POST, &rotate, None, &[])
        .await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    let bearer = |answer: &crate::harness::Answer| Person {
        token: answer.body["key"].as_str().unwrap().to_owned(),
        ..key.bearer.clone()
    };
    let second = bearer(&rotated);
    assert_ne!(second.token, key.bearer.token);
    assert!(rotated.body["previous_until"].is_string());
    for who in [&key.bearer, &second] {
        assert_eq!(gateway.get(who, path).await.status, 200);
    }
    // What both write has one author.
    assert_eq!(rotated.body["member_id"], key.bearer.member.to_string());
    change(&gateway, "update api_keys set previous_until = now()").await;
    becomes(&gateway, &key.bearer, path, 401).await;
    assert_eq!(gateway.get(&second, path).await.status, 200);
    // Two rotations leave two keys, not three.
    let third = bearer(&gateway.post(&brand.owner, &rotate, json!({})).await);
    let fourth = bearer(&gateway.post(&brand.owner, &rotate, json!({})).await);
    becomes(&gateway, &second, path, 401).await;
    for who in [&third, &fourth] {
        assert_eq!(gateway.get(who, path).await.status, 200);
    }
    let lines = gateway.audit(&brand).await;
    assert_eq!(
        lines
            .iter()
            .filter(|(action, _)| action == "api_key.rotated")
            .count(),
        3
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keys_last_use_is_written_down_beside_its_requests() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let key = gateway.key(&brand, "agent", &["conversations:read"]).await;
    assert_eq!(
        gateway.get(&brand.owner, &key.path).await.body["last_used_at"],
        Value::Null
    );
    gateway.get(&key.bearer, "/v1/conversations").await;
    let begun = Instant::now();
    while gateway.get(&brand.owner, &key.path).await.body["last_used_at"].is_null() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_listed_page_by_page_newest_first() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let mut made = Vec::new();
    for _ in 0..5 {
        let key = gateway.key(&brand, "analyst", &["settings:read"]).await;
        made.insert(0, key.path.rsplit('/').next().unwrap().to_owned());
    }
    let mut seen = Vec::new();
    let mut path = "/v1/api-keys?limit=2".to_owned();
    loop {
        let page = gateway.get(&brand.owner, &path).await;
        seen.extend(page.ids());
        let Some(next) = page.body["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/api-keys?limit=2&cursor={next}");
    }
    assert_eq!(seen, made);
    let other: Brand = gateway.brand("Other").await;
    let foreign = gateway.get(&other.owner, &path).await;
    assert_eq!(
        (foreign.status.as_u16(), foreign.code()),
        (400, "cursor_mismatch")
    );
}
