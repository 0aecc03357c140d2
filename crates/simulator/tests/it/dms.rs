//! Sending and reading by both interfaces.

use roost_simulator::LimitMode;
use serde_json::{Value, json};

use crate::support::{BRAND, CUSTOMER, Stage, config};

#[tokio::test]
async fn v2_sends_answer_with_rising_ids_and_the_conversation() {
    let stage = Stage::new().await;
    let keys = stage.keys("acme").await;
    let mut last = 0;
    for number in 0..5 {
        let answer = stage.send(&keys, &format!("number {number}")).await;
        assert_eq!(answer.status(), 201);
        assert_eq!(answer.headers()["x-rate-limit-limit"], "200");
        assert_eq!(
            answer.headers()["x-rate-limit-remaining"],
            (199 - number).to_string()
        );
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(
            body["data"]["dm_conversation_id"],
            format!("{CUSTOMER}-{BRAND}")
        );
        let id: u64 = body["data"]["dm_event_id"]
            .as_str()
            .expect("text")
            .parse()
            .expect("a number");
        assert!(id > last);
        last = id;
    }
    let path = format!("/2/dm_conversations/{CUSTOMER}-{BRAND}/messages");
    let answer = stage
        .signed("POST", &path, &keys, Some(json!({ "text": "by id" })))
        .await;
    assert_eq!(answer.status(), 201);
    let request = stage.http.post(stage.url(&path)).bearer_auth(&keys.oauth2);
    let answer = request
        .json(&json!({ "text": "by OAuth 2" }))
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 201);
    assert_eq!(stage.dm_count().await, 7);
}

#[tokio::test]
async fn v2_refuses_what_the_schema_refuses() {
    let stage = Stage::new().await;
    let keys = stage.keys("acme").await;
    let path = format!("/2/dm_conversations/with/{CUSTOMER}/messages");
    for body in [
        json!({}),
        json!({ "text": "" }),
        json!({ "text": 7 }),
        json!({ "text": "x", "quick_reply": {} }),
        json!({ "attachments": [{ "media_id": "1" }, { "media_id": "2" }] }),
        json!({ "attachments": [{ "media_id": "999" }] }),
        json!({ "text": "x".repeat(10_001) }),
        json!([]),
    ] {
        let answer = stage.signed("POST", &path, &keys, Some(body.clone())).await;
        assert_eq!(answer.status(), 400, "{body}");
        let problem: Value = answer.json().await.expect("JSON");
        assert_eq!(
            problem["type"],
            "https://api.x.com/2/problems/invalid-request"
        );
    }
    let longest = json!({ "text": "🦉".repeat(10_000) });
    assert_eq!(
        stage
            .signed("POST", &path, &keys, Some(longest))
            .await
            .status(),
        201
    );
    for bad in [
        "/2/dm_conversations/with/abc/messages",
        "/2/dm_conversations/1-2/messages",
    ] {
        let answer = stage
            .signed("POST", bad, &keys, Some(json!({ "text": "x" })))
            .await;
        assert!(answer.status().is_client_error(), "{bad}");
    }
    assert_eq!(stage.dm_count().await, 1);
}

#[tokio::test]
async fn customers_who_may_not_be_written_to() {
    let stage = Stage::new().await;
    let keys = stage.keys("acme").await;
    let patch = async |account: &str, body: Value| {
        let request = stage
            .http
            .patch(stage.url(&format!("/sim/accounts/{account}")))
            .json(&body);
        assert_eq!(request.send().await.expect("an answer").status(), 200);
    };
    let code = async || {
        let answer = stage.send(&keys, "x").await;
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.expect("JSON");
        (status, body["errors"][0]["code"].as_u64())
    };
    for (account, setting, expected) in [
        ("carol", json!({ "inbox": "closed" }), 349),
        ("carol", json!({ "inbox": "followed" }), 150),
        ("carol", json!({ "inbox": "open", "blocks": [BRAND] }), 349),
        (
            "carol",
            json!({ "blocks": [], "standing": "deactivated" }),
            349,
        ),
        ("carol", json!({ "standing": "suspended" }), 63),
        ("acme", json!({ "blocks": [CUSTOMER] }), 389),
        ("acme", json!({ "standing": "locked" }), 326),
        ("acme", json!({ "standing": "suspended" }), 64),
    ] {
        patch(account, setting).await;
        assert_eq!(code().await, (403, Some(expected)));
    }
    patch("acme", json!({ "standing": "active", "blocks": [] })).await;
    patch(
        "carol",
        json!({ "standing": "active", "inbox": "followed", "follows": [BRAND] }),
    )
    .await;
    assert_eq!(code().await, (201, None));
    let path = "/2/dm_conversations/with/404/messages";
    let answer = stage
        .signed("POST", path, &keys, Some(json!({ "text": "x" })))
        .await;
    assert_eq!(answer.status(), 404);
}

#[tokio::test]
async fn the_published_limit_is_fifteen() {
    let mut config = config();
    config.limits = LimitMode::Published;
    let stage = Stage::with(config).await;
    let keys = stage.keys("acme").await;
    for _ in 0..15 {
        assert_eq!(stage.send(&keys, "x").await.status(), 201);
    }
    let answer = stage.send(&keys, "x").await;
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.headers()["x-rate-limit-remaining"], "0");
    let reset: i64 = answer.headers()["x-rate-limit-reset"]
        .to_str()
        .expect("text")
        .parse()
        .expect("a number");
    assert!((1..=900).contains(&(reset - jiff::Timestamp::now().as_second())));
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(
        (&body["title"], &body["errors"][0]["code"]),
        (&json!("Too Many Requests"), &json!(88))
    );
    assert_eq!(stage.dm_count().await, 15);
}

#[tokio::test]
async fn v1_sends_quick_replies_and_buttons() {
    let stage = Stage::new().await;
    let keys = stage.keys("acme").await;
    let path = "/1.1/direct_messages/events/new.json";
    let event = |data: Value| {
        json!({ "event": { "type": "message_create", "message_create": {
            "target": { "recipient_id": CUSTOMER }, "message_data": data } } })
    };
    let data = json!({
        "text": "Which one?",
        "quick_reply": { "type": "options", "options": [{ "label": "Red", "metadata": "r" }, { "label": "Blue" }] },
        "ctas": [{ "type": "web_url", "label": "Shop", "url": "https://example.com/shop" }],
    });
    let answer = stage.signed("POST", path, &keys, Some(event(data))).await;
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.expect("JSON");
    let create = &body["event"]["message_create"];
    assert_eq!(
        create["message_data"]["quick_reply"]["options"][0]["metadata"],
        "r"
    );
    assert!(
        create["message_data"]["ctas"][0]["tco_url"]
            .as_str()
            .is_some_and(|url| url.starts_with("https://t.co/"))
    );
    assert!(
        create["source_app_id"].is_null(),
        "the app is told on the read path only"
    );

    let id = body["event"]["id"].as_str().expect("an id");
    let shown = stage
        .signed(
            "GET",
            &format!("/1.1/direct_messages/events/show.json?id={id}"),
            &keys,
            None,
        )
        .await;
    let shown: Value = shown.json().await.expect("JSON");
    assert_eq!(
        shown["event"]["message_create"]["source_app_id"],
        "29820954"
    );
    assert!(shown["apps"]["29820954"].is_object());

    for bad in [
        json!({ "text": "x", "quick_reply": { "type": "options", "options": [] } }),
        json!({ "text": "x", "ctas": [{ "type": "web_url", "label": "l", "url": "ftp://x" }] }),
        json!({ "text": "y".repeat(10_001) }),
    ] {
        assert_eq!(
            stage
                .signed("POST", path, &keys, Some(event(bad)))
                .await
                .status(),
            400
        );
    }
    let answer = stage
        .signed("POST", path, &keys, Some(json!({ "event": {} })))
        .await;
    assert!(answer.json::<Value>().await.expect("JSON")["errors"][0]["code"].is_number());
}

#[tokio::test]
async fn look_ups_page_newest_first() {
    let stage = Stage::new().await;
    let keys = stage.keys("acme").await;
    for number in 0..5 {
        stage
            .customer_writes(&format!("see https://example.com/{number}"))
            .await;
    }
    let mut texts = Vec::new();
    let mut next = String::new();
    loop {
        let path = format!(
            "/2/dm_conversations/with/{CUSTOMER}/dm_events?max_results=2&dm_event.fields=sender_id%2Ccreated_at%2Cdm_conversation_id%2Centities&expansions=sender_id{next}"
        );
        let page: Value = stage
            .signed("GET", &path, &keys, None)
            .await
            .json()
            .await
            .expect("JSON");
        for event in page["data"].as_array().expect("an array") {
            assert_eq!(event["sender_id"], CUSTOMER);
            texts.push(
                event["entities"]["urls"][0]["expanded_url"]
                    .as_str()
                    .expect("text")
                    .to_owned(),
            );
        }
        assert_eq!(page["includes"]["users"][0]["username"], "carol");
        match page["meta"]["next_token"].as_str() {
            Some(token) => next = format!("&pagination_token={token}"),
            None => break,
        }
    }
    let expected: Vec<_> = (0..5)
        .rev()
        .map(|n| format!("https://example.com/{n}"))
        .collect();
    assert_eq!(texts, expected);

    let plain: Value = stage
        .signed("GET", "/2/dm_events?max_results=1", &keys, None)
        .await
        .json()
        .await
        .expect("JSON");
    let event = plain["data"][0].as_object().expect("an object");
    assert_eq!(
        event.keys().collect::<Vec<_>>(),
        ["event_type", "id", "text"]
    );
    assert_eq!(
        stage
            .signed("GET", "/2/dm_events?max_results=101", &keys, None)
            .await
            .status(),
        400
    );
    let id = event["id"].as_str().expect("an id");
    let path = format!("/2/dm_events/{id}");
    assert_eq!(stage.signed("GET", &path, &keys, None).await.status(), 200);
    assert_eq!(
        stage.signed("DELETE", &path, &keys, None).await.status(),
        200
    );
    assert_eq!(stage.signed("GET", &path, &keys, None).await.status(), 404);
    let carol = stage.keys("carol").await;
    assert_eq!(stage.signed("GET", &path, &carol, None).await.status(), 200);
    let old: Value = stage
        .signed(
            "GET",
            "/1.1/direct_messages/events/list.json?count=2",
            &keys,
            None,
        )
        .await
        .json()
        .await
        .expect("JSON");
    assert_eq!(old["events"].as_array().map(Vec::len), Some(2));
    assert!(old["next_cursor"].is_string());
}

#[tokio::test]
async fn typing_and_read_receipts_answer_204() {
    let stage = Stage::new().await;
    let keys = stage.keys("acme").await;
    let dm = stage.customer_writes("hi").await;
    let typing = format!("/1.1/direct_messages/indicate_typing.json?recipient_id={CUSTOMER}");
    assert_eq!(
        stage.signed("POST", &typing, &keys, None).await.status(),
        204
    );
    let id = dm["id"].as_str().expect("an id");
    let read = format!(
        "/1.1/direct_messages/mark_read.json?last_read_event_id={id}&recipient_id={CUSTOMER}"
    );
    assert_eq!(stage.signed("POST", &read, &keys, None).await.status(), 204);
    let dms = stage.get("/sim/dms?a=acme&b=carol").await;
    assert_eq!(dms["read_up_to"]["a"], id);
    let none = "/1.1/direct_messages/mark_read.json?last_read_event_id=1&recipient_id=5";
    assert_eq!(stage.signed("POST", none, &keys, None).await.status(), 400);
}

#[tokio::test]
async fn an_uploaded_photo_can_be_sent() {
    let stage = Stage::new().await;
    let keys = stage.keys("acme").await;
    let wish = json!({ "media_type": "image/png", "total_bytes": 3, "media_category": "dm_image" });
    let made: Value = stage
        .signed("POST", "/2/media/upload/initialize", &keys, Some(wish))
        .await
        .json()
        .await
        .expect("JSON");
    let id = made["data"]["id"].as_str().expect("an id");
    let path = format!("/2/dm_conversations/with/{CUSTOMER}/messages");
    let body = json!({ "attachments": [{ "media_id": id }] });
    assert_eq!(
        stage
            .signed("POST", &path, &keys, Some(body.clone()))
            .await
            .status(),
        400
    );
    let part = json!({ "media": "AQID", "segment_index": 0 });
    assert_eq!(
        stage
            .signed(
                "POST",
                &format!("/2/media/upload/{id}/append"),
                &keys,
                Some(part)
            )
            .await
            .status(),
        200
    );
    assert_eq!(
        stage
            .signed(
                "POST",
                &format!("/2/media/upload/{id}/finalize"),
                &keys,
                None
            )
            .await
            .status(),
        200
    );
    assert_eq!(
        stage
            .signed("POST", &path, &keys, Some(body))
            .await
            .status(),
        201
    );
}

#[tokio::test]
async fn odd_requests_get_odd_answers_but_answers() {
    let stage = Stage::new().await;
    let keys = stage.keys("acme").await;
    for (method, path) in [
        ("GET", "/2/nothing"),
        ("GET", "/1.1/nothing.json"),
        ("PATCH", "/2/dm_events"),
        ("POST", "/2/activity/subscriptions"),
        ("POST", "/2/webhooks"),
        ("PUT", "/2/webhooks/abc"),
        ("POST", "/2/webhooks/replay"),
        ("GET", "/2/dm_events?pagination_token=zzz"),
        ("GET", "/2/users/99999999999999999999"),
        ("GET", "/sim/dms?a=nobody&b=acme"),
        ("POST", "/sim/dms"),
        ("POST", "/sim/faults"),
        ("POST", "/sim/inject"),
        ("POST", "/oauth/access_token"),
        ("POST", "/2/media/upload/7/append"),
    ] {
        for body in [
            "",
            "null",
            "[]",
            "{\"event\":null}",
            "\u{0}",
            "{\"text\":\"\\ud800\"}",
        ] {
            let url = stage.url(path);
            let header = crate::support::authorization(method, &url, &keys, &[]);
            let request = stage.http.request(method.parse().expect("a method"), url);
            let request = request
                .header("authorization", header)
                .header("content-type", "application/json");
            let answer = request.body(body).send().await.expect("an answer");
            assert!(
                answer.status().is_client_error(),
                "{method} {path} {body}: {}",
                answer.status()
            );
        }
    }
}
