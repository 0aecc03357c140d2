//! Labels, skills, attributes and names of conversations: one by one and in bulk; and who writes.

use roost_domain::ids::ConversationId;
use serde_json::{Value, json};

use crate::customer::writes;
use crate::harness::{Answer, Brand, Gateway};

fn path(conversation: ConversationId, rest: &str) -> String {
    format!("/v1/conversations/{conversation}{rest}")
}

async fn patch(gateway: &Gateway, brand: &Brand, id: ConversationId, body: Value) -> Answer {
    gateway.patch(&brand.owner, &path(id, ""), body).await
}

async fn label(gateway: &Gateway, brand: &Brand, name: &str) -> String {
    let body = json!({ "name": name, "color": "#ff8800" });
    let made = gateway.post(&brand.owner, "/v1/labels", body).await;
    made.body["id"].as_str().unwrap().to_owned()
}

async fn attribute(gateway: &Gateway, brand: &Brand, key: &str, kind: &str) {
    let body = json!({ "subject": "conversation", "key": key, "name": key, "type": kind });
    let made = gateway
        .post(&brand.owner, "/v1/attribute-definitions", body)
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_of_labels_do_not_undo_each_other() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let id = writes(&gateway, &brand, "77", "hello").await;
    let (vip, late, angry) = (
        label(&gateway, &brand, "vip").await,
        label(&gateway, &brand, "late parcel").await,
        label(&gateway, &brand, "angry").await,
    );
    let set = patch(&gateway, &brand, id, json!({ "labels": [vip] })).await;
    assert_eq!(set.body["labels"], json!([vip]), "{}", set.text);
    let (one, two) = tokio::join!(
        patch(&gateway, &brand, id, json!({ "labels": { "add": [late] } })),
        patch(
            &gateway,
            &brand,
            id,
            json!({ "labels": { "add": [angry], "remove": [vip] } })
        ),
    );
    assert_eq!((one.status.as_u16(), two.status.as_u16()), (200, 200));
    let after = gateway.get(&brand.owner, &path(id, "")).await;
    assert_eq!(after.body["labels"], json!([late, angry]));
    assert_eq!(
        after.body["version"],
        json!(set.body["version"].as_i64().unwrap() + 2)
    );
    // The list finds it by them, and none can be deleted while it is in use.
    let found = gateway
        .get(&brand.owner, &format!("/v1/conversations?label={late}"))
        .await;
    assert_eq!(found.ids(), [id.to_string()]);
    let used = gateway
        .delete(&brand.owner, &format!("/v1/labels/{late}"))
        .await;
    assert_eq!((used.status.as_u16(), used.code()), (409, "in_use"));
    // An empty change changes nothing and tells nothing.
    let again = patch(&gateway, &brand, id, json!({ "labels": { "add": [late] } })).await;
    assert_eq!(again.body["version"], after.body["version"]);
    gateway.relay().await;
    let feed = gateway
        .get(&brand.owner, "/v1/events?types=conversation.labels_changed")
        .await;
    assert_eq!(
        feed.body["data"].as_array().unwrap().len(),
        3,
        "{}",
        feed.text
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attributes_have_the_types_that_were_defined_and_null_takes_them_away() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let id = writes(&gateway, &brand, "77", "hello").await;
    attribute(&gateway, &brand, "order_no", "text").await;
    attribute(&gateway, &brand, "amount", "number").await;
    let body = json!({
        "attributes": { "order_no": "A-17", "amount": 12.5 }, "external_id": "ticket-9",
    });
    let set = patch(&gateway, &brand, id, body).await;
    assert_eq!(
        set.body["attributes"],
        json!({ "order_no": "A-17", "amount": 12.5 }),
        "{}",
        set.text
    );
    assert_eq!(set.body["external_id"], "ticket-9");
    let found = gateway
        .get(
            &brand.owner,
            "/v1/conversations?external_id=ticket-9&attributes[amount]=12.5",
        )
        .await;
    assert_eq!(found.ids(), [id.to_string()], "{}", found.text);
    let cut = json!({ "attributes": { "amount": null }, "external_id": null });
    let cut = patch(&gateway, &brand, id, cut).await;
    assert_eq!(cut.body["attributes"], json!({ "order_no": "A-17" }));
    assert_eq!(cut.body["external_id"], Value::Null);
    // The log names what changed and keeps no text.
    gateway.relay().await;
    let feed = gateway
        .get(
            &brand.owner,
            "/v1/events?types=conversation.attributes_changed",
        )
        .await;
    let told = feed.body["data"].to_string();
    assert!(
        told.contains("attributes.order_no") && told.contains("12.5"),
        "{told}"
    );
    let changed = &feed.body["data"][0]["data"]["changed"];
    assert_eq!(changed["attributes.order_no"], json!([null, null]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_brand_does_not_know_is_refused_with_its_place() {
    let gateway = Gateway::start().await;
    let (brand, other) = (gateway.brand("Harbor").await, gateway.brand("Other").await);
    let id = writes(&gateway, &brand, "77", "hello").await;
    attribute(&gateway, &brand, "amount", "number").await;
    let theirs = label(&gateway, &other, "vip").await;
    for (body, code, pointer) in [
        (
            json!({ "labels": [theirs] }),
            "unknown_reference",
            "/labels",
        ),
        (json!({ "labels": ["vip"] }), "invalid_request", "/labels/0"),
        (
            json!({ "labels": { "add": ["x"], "remove": [] } }),
            "invalid_request",
            "/labels/add/0",
        ),
        (
            json!({ "skills": ["German"] }),
            "unknown_reference",
            "/skills",
        ),
        (
            json!({ "skills": ["a", "a"] }),
            "invalid_request",
            "/skills",
        ),
        (
            json!({ "attributes": { "amount": "many" } }),
            "attribute_invalid",
            "/attributes/amount",
        ),
        (
            json!({ "attributes": { "size/x": 1 } }),
            "attribute_invalid",
            "/attributes/size~1x",
        ),
        (
            json!({ "external_id": "" }),
            "invalid_request",
            "/external_id",
        ),
    ] {
        let answer = patch(&gateway, &brand, id, body.clone()).await;
        assert_eq!(answer.code(), code, "{body}: {}", answer.text);
        assert_eq!(answer.pointers(), [pointer], "{body}");
    }
    let after = gateway.get(&brand.owner, &path(id, "")).await;
    assert_eq!(after.body["labels"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_change_skips_what_has_changed_since_and_says_so() {
    let gateway = Gateway::start().await;
    let (brand, other) = (gateway.brand("Harbor").await, gateway.brand("Other").await);
    let mut items = Vec::new();
    for customer in ["71", "72", "73"] {
        let id = writes(&gateway, &brand, customer, "hello").await;
        let shown = gateway.get(&brand.owner, &path(id, "")).await;
        items.push(json!({ "id": id, "version": shown.body["version"] }));
    }
    let foreign = writes(&gateway, &other, "74", "hello").await;
    items.push(json!({ "id": foreign, "version": 1 }));
    // The customer of the second writes once more before the click.
    writes(&gateway, &brand, "72", "and another thing").await;
    let body = json!({ "items": items, "set": { "status": "resolved", "priority": "low" } });
    let done = gateway
        .post(&brand.owner, "/v1/conversations/bulk", body)
        .await;
    assert_eq!(done.status, 200, "{}", done.text);
    let told: Vec<(&str, &Value)> = done.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["result"].as_str().unwrap(), &item["code"]))
        .collect();
    assert_eq!(
        told,
        [
            ("done", &Value::Null),
            ("skipped", &json!("version_conflict")),
            ("done", &Value::Null),
            ("skipped", &json!("not_found")),
        ]
    );
    let open = gateway
        .get(&brand.owner, "/v1/conversations?status=open")
        .await;
    assert_eq!(open.ids(), [items[1]["id"].as_str().unwrap()]);
    for (body, pointer) in [
        (json!({ "items": [], "set": {} }), "/items"),
        (
            json!({ "items": [items[0], items[0]], "set": {} }),
            "/items/1/id",
        ),
        (
            json!({ "items": [items[0]], "set": { "status": "gone" } }),
            "/set/status",
        ),
    ] {
        let refused = gateway
            .post(&brand.owner, "/v1/conversations/bulk", body)
            .await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        assert_eq!(refused.pointers(), [pointer]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_writes_as_a_bot_or_on_a_members_behalf() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let agent = gateway.member(&brand, "agent").await;
    let analyst = gateway.member(&brand, "analyst").await;
    let id = writes(&gateway, &brand, "77", "hello").await;
    let messages = path(id, "/messages");
    let key = gateway.api_key(&brand, "agent", None).await;
    let said = gateway
        .post(
            &key,
            &messages,
            json!({ "kind": "reply", "text": "We got it." }),
        )
        .await;
    assert_eq!(said.body["author"]["type"], "bot", "{}", said.text);
    assert_eq!(said.body["author"]["id"], json!(key.member));
    let shown = gateway.get(&brand.owner, &path(id, "")).await;
    assert_eq!(
        shown.body["assignee_id"],
        Value::Null,
        "a bot claims nothing"
    );
    let behalf = |who: &Value| json!({ "kind": "reply", "text": "Hi!", "on_behalf_of": who });
    let said = gateway
        .post(&key, &messages, behalf(&json!(agent.member)))
        .await;
    assert_eq!(said.body["author"]["type"], "member", "{}", said.text);
    assert_eq!(said.body["author"]["id"], json!(agent.member));
    let shown = gateway.get(&brand.owner, &path(id, "")).await;
    assert_eq!(shown.body["assignee_id"], json!(agent.member));
    for (who, status, code) in [
        (json!(analyst.member), 422, "member_cannot_take"),
        (
            json!("mem_01h455vb4pex5vsknk084sn02q"),
            422,
            "unknown_reference",
        ),
        (json!("somebody"), 400, "invalid_request"),
    ] {
        let refused = gateway.post(&key, &messages, behalf(&who)).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (status, code),
            "{who}"
        );
    }
    let narrow = gateway
        .api_key(&brand, "agent", Some(&["messages:write"]))
        .await;
    for who in [&narrow, &brand.owner] {
        let refused = gateway
            .post(who, &messages, behalf(&json!(agent.member)))
            .await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (403, "forbidden")
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_calls_colleagues_of_the_brand() {
    let gateway = Gateway::start().await;
    let (brand, other) = (gateway.brand("Harbor").await, gateway.brand("Other").await);
    let agent = gateway.member(&brand, "agent").await;
    let id = writes(&gateway, &brand, "77", "hello").await;
    let note = |ids: Value| json!({ "kind": "note", "text": "Please look.", "mention_ids": ids });
    let messages = path(id, "/messages");
    let said = gateway
        .post(&brand.owner, &messages, note(json!([agent.member])))
        .await;
    assert_eq!(said.status, 201, "{}", said.text);
    assert_eq!(said.body["mention_ids"], json!([agent.member]));
    let refused = gateway
        .post(&brand.owner, &messages, note(json!([other.owner.member])))
        .await;
    assert_eq!(refused.code(), "unknown_reference");
    assert_eq!(refused.pointers(), ["/mention_ids/0"]);
    let reply = json!({ "kind": "reply", "text": "x", "mention_ids": [agent.member] });
    let refused = gateway.post(&brand.owner, &messages, reply).await;
    assert_eq!(
        (refused.status.as_u16(), refused.pointers()),
        (400, vec!["/mention_ids"])
    );
}
