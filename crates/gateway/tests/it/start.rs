//! The brand writes first.

use reqwest::Method;
use serde_json::{Value, json};

use crate::customer::writes;
use crate::harness::{Brand, Gateway};

/// A customer who wrote once and whose conversation is over.
async fn former_customer(gateway: &Gateway, brand: &Brand, customer: &str) -> Value {
    let conversation = writes(gateway, brand, customer, "thanks, all is well").await;
    let path = format!("/v1/conversations/{conversation}");
    let over = gateway
        .patch(&brand.owner, &path, json!({ "status": "resolved" }))
        .await;
    assert_eq!(over.status, 200, "{}", over.text);
    over.body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_that_we_start_is_pending_and_there_is_one_at_a_time() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let before = former_customer(&gateway, &brand, "77").await;
    let contact = &before["contact"]["id"];
    let body = json!({ "channel_id": brand.channel, "contact_id": contact, "text": "Your parcel is here." });
    let started = gateway
        .post(&brand.owner, "/v1/conversations", body.clone())
        .await;
    assert_eq!(started.status, 201, "{}", started.text);
    assert_ne!(started.body["id"], before["id"]);
    assert_eq!(started.body["status"], "pending");
    assert_eq!(started.body["waiting_since"], Value::Null);
    assert_eq!(started.body["sla"], Value::Null, "nobody waits for us");
    assert_eq!(started.body["preview"], "Your parcel is here.");
    let thread = format!(
        "/v1/conversations/{}/messages",
        started.body["id"].as_str().unwrap()
    );
    let messages = gateway.get(&brand.owner, &thread).await;
    assert_eq!(messages.body["data"][0]["delivery"]["status"], "queued");
    // A second one, by the handle: the same customer.
    let again = json!({ "channel_id": brand.channel, "handle": "@C77", "text": "Hello again." });
    let again = gateway.post(&brand.owner, "/v1/conversations", again).await;
    assert_eq!(
        (again.status.as_u16(), again.code()),
        (409, "conversation_exists")
    );
    assert_eq!(again.body["conversation_id"], started.body["id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_colleagues_who_start_at_once_start_one() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let before = former_customer(&gateway, &brand, "77").await;
    let body = json!({
        "channel_id": brand.channel, "contact_id": before["contact"]["id"], "text": "Hello!",
    });
    let (one, two) = tokio::join!(
        gateway.post(&brand.owner, "/v1/conversations", body.clone()),
        gateway.post(&brand.owner, "/v1/conversations", body.clone()),
    );
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_to_write_to_must_be_said_once_and_be_known() {
    let gateway = Gateway::start().await;
    let (brand, other) = (gateway.brand("Harbor").await, gateway.brand("Other").await);
    let ours = former_customer(&gateway, &brand, "77").await["contact"]["id"].clone();
    let theirs = former_customer(&gateway, &other, "78").await["contact"]["id"].clone();
    let channel = json!(brand.channel);
    for (body, status, code, pointer) in [
        (
            json!({ "channel_id": channel, "text": "x" }),
            400,
            "invalid_request",
            "",
        ),
        (
            json!({ "channel_id": channel, "contact_id": ours, "handle": "c77", "text": "x" }),
            400,
            "invalid_request",
            "",
        ),
        (
            json!({ "channel_id": "chan_x", "contact_id": ours, "text": "x" }),
            400,
            "invalid_request",
            "/channel_id",
        ),
        (
            json!({ "channel_id": channel, "contact_id": ours, "text": "  " }),
            400,
            "invalid_request",
            "/text",
        ),
        (
            json!({ "channel_id": other.channel, "contact_id": ours, "text": "x" }),
            422,
            "unknown_reference",
            "/channel_id",
        ),
        (
            json!({ "channel_id": channel, "contact_id": theirs, "text": "x" }),
            422,
            "unknown_reference",
            "/contact_id",
        ),
        (
            json!({ "channel_id": channel, "handle": "nobody", "text": "x" }),
            422,
            "contact_unreachable",
            "-",
        ),
    ] {
        let answer = gateway
            .call(
                Some(&brand.owner),
                Method::POST,
                "/v1/conversations",
                Some(body.clone()),
                &[],
            )
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (status, code),
            "{body}"
        );
        assert_eq!(
            answer.pointers().first().copied().unwrap_or("-"),
            pointer,
            "{body}"
        );
    }
    let list = gateway.get(&brand.owner, "/v1/conversations").await;
    assert_eq!(list.ids().len(), 1, "nothing was begun by a refusal");
}
