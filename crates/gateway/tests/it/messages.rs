//! Writing, and what people do about a reply.

use reqwest::Method;
use serde_json::{Value, json};

use crate::customer::writes;
use crate::harness::Gateway;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_is_queued_claims_the_conversation_and_is_told() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let agent = gateway.member(&brand, "agent").await;
    let id = writes(&gateway, &brand, "77", "hello").await;
    let path = format!("/v1/conversations/{id}/messages");
    let body = Some(json!({ "kind": "reply", "text": "Hi & welcome 👋", "client_ref": "r-1" }));
    let headers = [("x-request-id", "reply-request-1")];
    let answer = gateway
        .call(Some(&agent), Method::POST, &path, body.clone(), &headers)
        .await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let message = &answer.body;
    assert_eq!(message["text"], "Hi & welcome 👋");
    assert_eq!(
        message["author"],
        json!({ "type": "member", "id": agent.member, "name": "agent member" })
    );
    assert_eq!(message["delivery"]["status"], "queued");
    assert_eq!(message["delivery"]["attempt"], 0);
    let again = gateway
        .call(Some(&agent), Method::POST, &path, body, &[])
        .await;
    assert_eq!(
        (again.status.as_u16(), &again.body["id"]),
        (200, &message["id"])
    );
    let other = json!({ "kind": "reply", "text": "something else", "client_ref": "r-1" });
    assert_eq!(
        gateway.post(&agent, &path, other).await.code(),
        "client_ref_reused"
    );
    // Open until the platform has it.
    let one = gateway
        .get(&agent, &format!("/v1/conversations/{id}"))
        .await;
    assert_eq!(one.body["status"], "open");
    assert_eq!(one.body["assignee_id"], agent.member.to_string());
    assert_eq!(one.body["preview"], "Hi & welcome 👋");
    let decision = gateway
        .get(&agent, &format!("/v1/conversations/{id}/assignment"))
        .await;
    assert_eq!(decision.body["decision"]["decided_by"], "reply");
    gateway.relay().await;
    let events = gateway.get(&agent, "/v1/events?types=message.queued").await;
    assert_eq!(
        events.body["data"].as_array().unwrap().len(),
        1,
        "{}",
        events.text
    );
    let event = &events.body["data"][0];
    assert_eq!(
        (&event["request_id"], &event["client_ref"]),
        (&json!("reply-request-1"), &json!("r-1"))
    );
    assert_eq!(event["data"]["text"], "Hi & welcome 👋");
    assert_eq!(
        event["actor"],
        json!({ "type": "member", "id": agent.member })
    );
    let thread = gateway.get(&agent, &path).await;
    let kinds: Vec<&Value> = thread.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| &message["kind"])
        .collect();
    assert_eq!(kinds, ["inbound", "reply"]);
    assert_eq!(
        gateway
            .get(
                &agent,
                &format!("/v1/messages/{}", message["id"].as_str().unwrap())
            )
            .await
            .body,
        thread.body["data"][1]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_stays_inside_and_changes_nothing() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let id = writes(&gateway, &brand, "77", "hello").await;
    let path = format!("/v1/conversations/{id}");
    let before = gateway.get(&brand.owner, &path).await.body;
    let body = json!({ "kind": "note", "text": "careful" });
    let note = gateway
        .post(&brand.owner, &format!("{path}/messages"), body)
        .await;
    assert_eq!(
        (note.status.as_u16(), &note.body["delivery"]),
        (201, &Value::Null)
    );
    let after = gateway.get(&brand.owner, &path).await.body;
    for field in [
        "status",
        "assignee_id",
        "preview",
        "last_message_at",
        "version",
    ] {
        assert_eq!(before[field], after[field], "{field}");
    }
    let then = json!({ "kind": "note", "text": "x", "then": "resolved" });
    let answer = gateway
        .post(&brand.owner, &format!("{path}/messages"), then)
        .await;
    assert_eq!(answer.pointers(), ["/then"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_beyond_the_platforms_limit_is_refused_and_one_at_it_is_not() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let id = writes(&gateway, &brand, "77", "hello").await;
    let path = format!("/v1/conversations/{id}/messages");
    let of = |length: usize| json!({ "kind": "reply", "text": "é".repeat(length) });
    assert_eq!(
        gateway.post(&brand.owner, &path, of(10_000)).await.status,
        201
    );
    let answer = gateway.post(&brand.owner, &path, of(10_001)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (422, "text_too_long")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_reply_can_be_called_off_and_sent_again() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let id = writes(&gateway, &brand, "77", "hello").await;
    let messages = format!("/v1/conversations/{id}/messages");
    let inbound = gateway.get(&brand.owner, &messages).await.ids().remove(0);
    let body = json!({ "kind": "reply", "text": "hi" });
    let reply = gateway.post(&brand.owner, &messages, body).await.body["id"].clone();
    let act = async |message: &str, what: &str, body: Value| {
        gateway
            .post(
                &brand.owner,
                &format!("/v1/messages/{message}/{what}"),
                body,
            )
            .await
    };
    let reply = reply.as_str().unwrap();
    assert_eq!(
        act(reply, "mark-sent", json!({})).await.code(),
        "not_unconfirmed"
    );
    assert_eq!(act(reply, "retry", json!({})).await.code(), "not_retryable");
    let cancelled = act(reply, "cancel", json!({})).await;
    assert_eq!(
        cancelled.body["delivery"]["status"], "failed",
        "{}",
        cancelled.text
    );
    assert_eq!(
        act(reply, "cancel", json!({})).await.code(),
        "already_sending"
    );
    let retried = act(reply, "retry", json!({})).await;
    assert_eq!(
        retried.body["delivery"]["status"], "queued",
        "{}",
        retried.text
    );
    // As the sender leaves it when nobody saw an answer.
    let mut db = gateway.db.owner().await;
    sqlx::query("update outbound_messages set state = 'unknown', needs_decision = true")
        .execute(&mut db)
        .await
        .unwrap();
    assert_eq!(
        act(reply, "retry", json!({})).await.code(),
        "confirmation_needed"
    );
    assert_eq!(
        act(reply, "retry", json!({ "confirm": "yes" }))
            .await
            .pointers(),
        ["/confirm"]
    );
    let sent = act(reply, "mark-sent", json!({})).await;
    assert_eq!(sent.body["delivery"]["status"], "sent", "{}", sent.text);
    let one = gateway
        .get(&brand.owner, &format!("/v1/conversations/{id}"))
        .await;
    assert_eq!(one.body["status"], "pending");
    for what in ["retry", "cancel", "mark-sent"] {
        let answer = act(&inbound, what, json!({})).await;
        assert_eq!(answer.status, 409, "{what}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_page_both_ways() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let mut id = None;
    for number in 0..7 {
        id = Some(writes(&gateway, &brand, "77", &format!("message {number}")).await);
    }
    let path = format!("/v1/conversations/{}/messages", id.unwrap());
    for order in ["asc", "desc"] {
        let mut texts = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = gateway
                .get(
                    &brand.owner,
                    &format!("{path}?order={order}&limit=3{cursor}"),
                )
                .await;
            let rows = page.body["data"].as_array().unwrap();
            texts.extend(
                rows.iter()
                    .map(|row| row["text"].as_str().unwrap().to_owned()),
            );
            let Some(next) = page.body["next_cursor"].as_str() else {
                break;
            };
            cursor = format!("&cursor={next}");
        }
        if order == "desc" {
            texts.reverse();
        }
        let wanted: Vec<String> = (0..7).map(|number| format!("message {number}")).collect();
        assert_eq!(texts, wanted);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_by_a_disconnected_channel() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let id = writes(&gateway, &brand, "77", "hello").await;
    let channel = format!("/v1/channels/{}", brand.channel);
    let confirmed = format!("{channel}?confirm=true");
    assert_eq!(gateway.delete(&brand.owner, &confirmed).await.status, 204);
    assert_eq!(gateway.delete(&brand.owner, &channel).await.status, 204);
    let shown = gateway.get(&brand.owner, &channel).await;
    assert_eq!(shown.body["status"], "disconnected");
    assert_eq!(shown.body["status_reason"], "disconnected_by_member");
    let body = json!({ "kind": "reply", "text": "hi" });
    let answer = gateway
        .post(
            &brand.owner,
            &format!("/v1/conversations/{id}/messages"),
            body,
        )
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (422, "channel_disconnected")
    );
    gateway.relay().await;
    let events = gateway
        .get(&brand.owner, "/v1/events?types=channel.*")
        .await;
    assert_eq!(
        events.body["data"].as_array().unwrap().len(),
        1,
        "{}",
        events.text
    );
    // X can't be reached from here.
    let answer = gateway
        .post(&brand.owner, "/v1/channels/x/connect", json!({}))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (502, "platform_failed")
    );
    let answer = gateway
        .call(
            None,
            Method::GET,
            "/oauth/x/callback?oauth_token=t&oauth_verifier=v",
            None,
            &[("cookie", "__Host-connect=x")],
        )
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (422, "connect_expired")
    );
}
