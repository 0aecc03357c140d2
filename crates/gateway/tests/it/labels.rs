//! Labels and definitions of custom attributes: what a brand adds to its conversations and contacts.

use reqwest::Method;
use serde_json::{Value, json};

use crate::customer::writes;
use crate::harness::{Brand, Gateway};

const LABELS: &str = "/v1/labels";
const DEFINITIONS: &str = "/v1/attribute-definitions";

async fn audited(gateway: &Gateway, brand: &Brand) -> Vec<String> {
    sqlx::query_scalar("select action from audit_log where brand_id = $1 order by seq")
        .bind(brand.owner.brand.0)
        .fetch_all(&mut gateway.db.owner().await)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_label_lives_from_its_making_to_its_end_and_the_audit_log_tells_it() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let made = json!({ "name": " Refund ", "color": "#2563EB" });
    let made = gateway.post(&brand.owner, LABELS, made).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(
        (&made.body["name"], &made.body["color"]),
        (&json!("Refund"), &json!("#2563eb"))
    );
    let path = format!("{LABELS}/{}", made.body["id"].as_str().unwrap());
    let etag = made.headers["etag"].to_str().unwrap().to_owned();

    // Names that differ only in case are one name, in this brand.
    let again = json!({ "name": "REFUND", "color": "#000000" });
    let refused = gateway.post(&brand.owner, LABELS, again.clone()).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (409, "name_taken")
    );
    let other = gateway.brand("Other").await;
    assert_eq!(gateway.post(&other.owner, LABELS, again).await.status, 201);

    let renamed = gateway
        .patch(&brand.owner, &path, json!({ "name": "refund" }))
        .await;
    assert_eq!(
        (renamed.status.as_u16(), &renamed.body["version"]),
        (200, &json!(2))
    );
    let body = Some(json!({ "color": "#111111" }));
    let headers = [("if-match", etag.as_str())];
    let stale = gateway.call(Some(&brand.owner), Method::PATCH, &path, body, &headers);
    let stale = stale.await;
    assert_eq!(
        (stale.status.as_u16(), stale.code()),
        (409, "version_conflict")
    );
    assert_eq!(stale.body["current_version"], 2);

    assert_eq!(gateway.delete(&brand.owner, &path).await.status, 204);
    assert_eq!(gateway.get(&brand.owner, &path).await.status, 404);
    assert_eq!(gateway.delete(&brand.owner, &path).await.status, 404);
    let told = audited(&gateway, &brand).await;
    let told: Vec<&str> = told
        .iter()
        .map(String::as_str)
        .filter(|one| one.starts_with("label"))
        .collect();
    assert_eq!(told, ["label.created", "label.changed", "label.deleted"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_label_on_a_conversation_is_not_deleted() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let conversation = writes(&gateway, &brand, "77", "hello").await;
    let made = json!({ "name": "vip", "color": "#2563eb" });
    let made = gateway.post(&brand.owner, LABELS, made).await;
    let id: roost_domain::ids::LabelId = made.body["id"].as_str().unwrap().parse().unwrap();
    sqlx::query(
        "insert into conversation_labels (brand_id, conversation_id, label_id) values ($1, $2, $3)",
    )
    .bind(brand.owner.brand.0)
    .bind(conversation.0)
    .bind(id.0)
    .execute(&mut gateway.db.owner().await)
    .await
    .unwrap();
    let refused = gateway
        .delete(&brand.owner, &format!("{LABELS}/{id}"))
        .await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "in_use"));
    assert_eq!(refused.body["count"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_come_page_by_page_in_the_order_of_names() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    for name in ["delta", "Alpha", "charlie", "Bravo", "echo"] {
        let body = json!({ "name": name, "color": "#2563eb" });
        assert_eq!(gateway.post(&brand.owner, LABELS, body).await.status, 201);
    }
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = gateway
            .get(&brand.owner, &format!("{LABELS}?limit=2{cursor}"))
            .await;
        for label in page.body["data"].as_array().unwrap() {
            names.push(label["name"].as_str().unwrap().to_owned());
        }
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(names, ["Alpha", "Bravo", "charlie", "delta", "echo"]);
    let other = gateway.brand("Other").await;
    let foreign = gateway
        .get(&other.owner, &format!("{LABELS}?limit=2{cursor}"))
        .await;
    assert_eq!(
        (foreign.status.as_u16(), foreign.code()),
        (400, "cursor_mismatch")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_labels_and_definitions_are_refused_with_their_places() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let definition = |change: (&str, Value)| {
        let mut body =
            json!({ "subject": "contact", "key": "plan", "name": "Plan", "type": "text" });
        body[change.0] = change.1;
        body
    };
    for (path, body, pointers) in [
        (
            LABELS,
            json!({ "name": "", "color": "#2563eb" }),
            vec!["/name"],
        ),
        (
            LABELS,
            json!({ "name": "x".repeat(101), "color": "blue" }),
            vec!["/name", "/color"],
        ),
        (
            LABELS,
            json!({ "name": "a\nb", "color": "#12345" }),
            vec!["/name", "/color"],
        ),
        (
            LABELS,
            json!({ "name": "x", "color": "#12345g" }),
            vec!["/color"],
        ),
        (
            LABELS,
            json!({ "name": "x", "color": "#2563eb", "extra": 1 }),
            vec!["/extra"],
        ),
        (
            DEFINITIONS,
            definition(("subject", json!("member"))),
            vec!["/subject"],
        ),
        (
            DEFINITIONS,
            definition(("key", json!("Plan"))),
            vec!["/key"],
        ),
        (DEFINITIONS, definition(("key", json!("1st"))), vec!["/key"]),
        (
            DEFINITIONS,
            definition(("key", json!("x".repeat(64)))),
            vec!["/key"],
        ),
        (
            DEFINITIONS,
            definition(("type", json!("json"))),
            vec!["/type"],
        ),
        (
            DEFINITIONS,
            definition(("type", json!("choice"))),
            vec!["/choices"],
        ),
        (
            DEFINITIONS,
            definition(("choices", json!(["a"]))),
            vec!["/choices"],
        ),
    ] {
        let answer = gateway.post(&brand.owner, path, body.clone()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        assert_eq!(answer.pointers(), pointers, "{body}");
    }
    let twice = json!({ "subject": "contact", "key": "plan", "name": "Plan", "type": "choice", "choices": ["a", "a"] });
    let answer = gateway.post(&brand.owner, DEFINITIONS, twice).await;
    assert_eq!(answer.pointers(), ["/choices/1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_choice_that_a_contact_has_stays_and_one_that_nobody_has_goes() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    writes(&gateway, &brand, "77", "hello").await;
    let body = json!({
        "subject": "contact", "key": "plan", "name": "Plan", "type": "choice", "choices": ["free", "pro"],
    });
    let made = gateway.post(&brand.owner, DEFINITIONS, body.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let taken = gateway.post(&brand.owner, DEFINITIONS, body).await;
    assert_eq!((taken.status.as_u16(), taken.code()), (409, "name_taken"));
    let id: roost_domain::ids::AttributeId = made.body["id"].as_str().unwrap().parse().unwrap();
    sqlx::query(
        "insert into contact_attributes (brand_id, contact_id, definition_id, value)
         select brand_id, id, $2, 'pro' from contacts where brand_id = $1",
    )
    .bind(brand.owner.brand.0)
    .bind(id.0)
    .execute(&mut gateway.db.owner().await)
    .await
    .unwrap();
    let path = format!("{DEFINITIONS}/{id}");
    let refused = gateway
        .patch(&brand.owner, &path, json!({ "choices": ["free"] }))
        .await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "in_use"));
    assert_eq!(
        (refused.pointers(), &refused.body["count"]),
        (vec!["/choices"], &json!(1))
    );
    let fine = gateway
        .patch(&brand.owner, &path, json!({ "choices": ["pro", "team"] }))
        .await;
    assert_eq!(
        (fine.status.as_u16(), &fine.body["choices"]),
        (200, &json!(["pro", "team"]))
    );
    for fixed in [
        json!({ "key": "tier" }),
        json!({ "type": "text" }),
        json!({ "subject": "conversation" }),
    ] {
        assert_eq!(gateway.patch(&brand.owner, &path, fixed).await.status, 400);
    }
    let refused = gateway.delete(&brand.owner, &path).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (409, "in_use"));
    let text = json!({ "subject": "contact", "key": "note", "name": "Note", "type": "text" });
    let text = gateway.post(&brand.owner, DEFINITIONS, text).await;
    let path = format!("{DEFINITIONS}/{}", text.body["id"].as_str().unwrap());
    let refused = gateway
        .patch(&brand.owner, &path, json!({ "choices": ["a"] }))
        .await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "attribute_invalid")
    );
    assert_eq!(gateway.delete(&brand.owner, &path).await.status, 204);
    let all = gateway
        .get(&brand.owner, &format!("{DEFINITIONS}?subject=contact"))
        .await;
    assert_eq!(all.ids(), [id.to_string()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_reads_settings_and_changes_none_and_another_brand_finds_nothing() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let agent = gateway.member(&brand, "agent").await;
    let other = gateway.brand("Other").await;
    let bodies = [
        (LABELS, json!({ "name": "vip", "color": "#2563eb" })),
        (
            DEFINITIONS,
            json!({ "subject": "contact", "key": "plan", "name": "Plan", "type": "text" }),
        ),
        (
            "/v1/canned-replies",
            json!({ "title": "Hi", "shortcut": "hi", "text": "Hi" }),
        ),
    ];
    for (path, body) in bodies {
        let made = gateway.post(&brand.owner, path, body.clone()).await;
        let one = format!("{path}/{}", made.body["id"].as_str().unwrap());
        assert_eq!(gateway.get(&agent, &one).await.status, 200, "{one}");
        assert_eq!(gateway.get(&agent, path).await.ids().len(), 1);
        for (method, path, body) in [
            (Method::POST, path, Some(body)),
            (Method::PATCH, one.as_str(), Some(json!({}))),
            (Method::DELETE, one.as_str(), None),
        ] {
            let own = gateway
                .call(Some(&agent), method.clone(), path, body.clone(), &[])
                .await;
            assert_eq!(
                (own.status.as_u16(), own.code()),
                (403, "forbidden"),
                "{method} {path}"
            );
            if method != Method::POST {
                let foreign = gateway
                    .call(Some(&other.owner), method.clone(), path, body, &[])
                    .await;
                assert_eq!(
                    (foreign.status.as_u16(), foreign.code()),
                    (404, "not_found"),
                    "{method} {path}"
                );
            }
        }
        assert_eq!(gateway.get(&other.owner, &one).await.status, 404);
        assert!(gateway.get(&other.owner, path).await.ids().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_equal_requests_at_once_make_one_label() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let make = || {
        let body = Some(json!({ "name": "vip", "color": "#2563eb" }));
        gateway.call(
            Some(&brand.owner),
            Method::POST,
            LABELS,
            body,
            &[("idempotency-key", "once")],
        )
    };
    let (one, other) = tokio::join!(make(), make());
    assert_eq!(
        (one.status.as_u16(), other.status.as_u16()),
        (201, 201),
        "{} {}",
        one.text,
        other.text
    );
    assert_eq!(one.body["id"], other.body["id"]);
    assert_eq!(gateway.get(&brand.owner, LABELS).await.ids().len(), 1);
}
