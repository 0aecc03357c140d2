//! Contacts: found in any spelling, changed, and what stays unseen.

use reqwest::Method;
use roost_domain::ids::ContactId;
use serde_json::{Value, json};

use crate::customer::writes;
use crate::harness::{Answer, Brand, Gateway};

pub(crate) const CONTACTS: &str = "/v1/contacts";

/// The contact behind an account on X.
pub(crate) async fn contact(gateway: &Gateway, brand: &Brand, customer: &str) -> ContactId {
    let path = format!("{CONTACTS}?platform=x&platform_user_id={customer}");
    let found = gateway.get(&brand.owner, &path).await;
    found.ids()[0].parse().unwrap()
}

pub(crate) fn at(id: ContactId, rest: &str) -> String {
    format!("{CONTACTS}/{id}{rest}")
}

fn names(answer: &Answer) -> Vec<&str> {
    let rows = answer.body["data"].as_array().unwrap();
    rows.iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect()
}

async fn called(gateway: &Gateway, brand: &Brand, customer: &str, name: &str) -> ContactId {
    writes(gateway, brand, customer, "hello").await;
    let id = contact(gateway, brand, customer).await;
    let patch = json!({ "name": name });
    let answer = gateway.patch(&brand.owner, &at(id, ""), patch).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_is_found_whatever_script_case_and_accents() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    for (customer, name) in [
        ("1", "Jérôme"),
        ("2", "ŁUKASZ Nowak"),
        ("3", "محمد علي"),
        ("4", "100%_Ana"),
        ("5", "田中さん"),
    ] {
        called(&gateway, &brand, customer, name).await;
    }
    for (q, found) in [
        ("jerome", vec!["Jérôme"]),
        ("LUKASZ", vec!["ŁUKASZ Nowak"]),
        ("محمد", vec!["محمد علي"]),
        ("田中", vec!["田中さん"]),
        ("%25_", vec!["100%_Ana"]),
        ("@c2", vec!["ŁUKASZ Nowak"]),
        ("nobody", vec![]),
    ] {
        let answer = gateway
            .get(&brand.owner, &format!("{CONTACTS}?q={q}"))
            .await;
        assert_eq!(names(&answer), found, "{q}: {}", answer.text);
    }
    let by_handle = format!("{CONTACTS}?handle=@C3");
    let by_handle = gateway.get(&brand.owner, &by_handle).await;
    assert_eq!(names(&by_handle), ["محمد علي"]);
    // The part of a handle is no handle.
    let part = format!("{CONTACTS}?handle=c");
    assert!(gateway.get(&brand.owner, &part).await.ids().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_follow_each_other_in_both_orders_and_a_cursor_keeps_to_its_filter() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    for (customer, name) in [
        ("1", "bo"),
        ("2", "Ann"),
        ("3", "Émile"),
        ("4", "dora"),
        ("5", "Cem"),
    ] {
        called(&gateway, &brand, customer, name).await;
    }
    for (sort, expected) in [
        ("name", ["Ann", "bo", "Cem", "dora", "Émile"]),
        ("-name", ["Émile", "dora", "Cem", "bo", "Ann"]),
        ("updated_at", ["bo", "Ann", "Émile", "dora", "Cem"]),
        ("-updated_at", ["Cem", "dora", "Émile", "Ann", "bo"]),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("{CONTACTS}?sort={sort}&limit=2{cursor}");
            let page = gateway.get(&brand.owner, &path).await;
            assert_eq!(page.status, 200, "{}", page.text);
            seen.extend(names(&page).into_iter().map(ToOwned::to_owned));
            let Some(next) = page.body["next_cursor"].as_str() else {
                break;
            };
            let other = format!("{CONTACTS}?sort={sort}&q=x&cursor={next}");
            let other = gateway.get(&brand.owner, &other).await;
            assert_eq!(
                (other.status.as_u16(), other.code()),
                (400, "cursor_mismatch")
            );
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, expected, "{sort}");
    }
    for bad in [
        "sort=handle",
        "platform=x",
        "platform_user_id=1",
        "updated_after=today",
        "limit=0",
        "x=1",
    ] {
        let answer = gateway
            .get(&brand.owner, &format!("{CONTACTS}?{bad}"))
            .await;
        assert_eq!(answer.status, 400, "{bad}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_names_a_contact_and_the_platform_does_not_undo_it() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let agent = gateway.member(&brand, "agent").await;
    let definition = json!({ "subject": "contact", "key": "plan", "name": "Plan", "type": "choice", "choices": ["free", "pro"] });
    gateway
        .post(&brand.owner, "/v1/attribute-definitions", definition)
        .await;
    writes(&gateway, &brand, "77", "hello").await;
    let id = contact(&gateway, &brand, "77").await;
    let before = gateway.get(&agent, &at(id, "")).await;
    assert_eq!(
        (&before.body["name"], &before.body["handle"]),
        (&json!("Customer 77"), &json!("c77"))
    );
    assert_eq!(before.body["identities"][0]["platform_user_id"], "77");
    let etag = before.headers["etag"].to_str().unwrap().to_owned();

    let patch =
        json!({ "name": "Ana Lima", "external_id": "crm-1", "attributes": { "plan": "pro" } });
    let changed = gateway.patch(&agent, &at(id, ""), patch).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    assert_eq!(changed.body["attributes"], json!({ "plan": "pro" }));
    // They write again, and the platform tells the old name.
    writes(&gateway, &brand, "77", "me again").await;
    let now = gateway.get(&agent, &at(id, "")).await;
    assert_eq!(
        (&now.body["name"], &now.body["external_id"]),
        (&json!("Ana Lima"), &json!("crm-1"))
    );
    let found = gateway
        .get(&agent, &format!("{CONTACTS}?external_id=crm-1"))
        .await;
    assert_eq!(found.ids(), [id.to_string()]);

    let (path, headers) = (at(id, ""), [("if-match", etag.as_str())]);
    let body = Some(json!({ "name": "X" }));
    let stale = gateway.call(Some(&agent), Method::PATCH, &path, body, &headers);
    let stale = stale.await;
    assert_eq!(
        (stale.status.as_u16(), stale.code()),
        (409, "version_conflict")
    );
    for (patch, status, code, pointer) in [
        (
            json!({ "attributes": { "plan": "gold" } }),
            422,
            "attribute_invalid",
            "/attributes/plan",
        ),
        (
            json!({ "attributes": { "tier": "gold" } }),
            422,
            "unknown_reference",
            "/attributes/tier",
        ),
        (json!({ "name": "" }), 400, "invalid_request", "/name"),
        (
            json!({ "external_id": "x".repeat(201) }),
            400,
            "invalid_request",
            "/external_id",
        ),
        (json!({ "handle": "x" }), 400, "invalid_request", "/handle"),
    ] {
        let answer = gateway.patch(&agent, &at(id, ""), patch.clone()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (status, code),
            "{patch}"
        );
        assert_eq!(answer.pointers(), [pointer]);
    }
    writes(&gateway, &brand, "78", "hello").await;
    let other = contact(&gateway, &brand, "78").await;
    let taken = gateway
        .patch(&agent, &at(other, ""), json!({ "external_id": "crm-1" }))
        .await;
    assert_eq!((taken.status.as_u16(), taken.code()), (409, "name_taken"));
    let cleared = json!({ "external_id": null, "attributes": { "plan": null } });
    let cleared = gateway.patch(&agent, &at(id, ""), cleared).await;
    assert_eq!(
        (&cleared.body["external_id"], &cleared.body["attributes"]),
        (&Value::Null, &json!({}))
    );

    gateway.relay().await;
    let feed = gateway
        .get(&brand.owner, "/v1/events?after=oldest&types=contact.*")
        .await;
    let lines = feed.body["data"].as_array().unwrap();
    assert_eq!(lines.len(), 2, "{}", feed.text);
    assert_eq!(
        lines[0]["data"]["changed_fields"],
        json!(["name", "external_id", "attributes.plan"])
    );
    assert_eq!(lines[0]["data"]["name"], "Ana Lima");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_analyst_reads_contacts_and_another_brand_finds_none() {
    let gateway = Gateway::start().await;
    let (brand, other) = (gateway.brand("Harbor").await, gateway.brand("Other").await);
    let analyst = gateway.member(&brand, "analyst").await;
    let agent = gateway.member(&brand, "agent").await;
    writes(&gateway, &brand, "77", "hello").await;
    let id = contact(&gateway, &brand, "77").await;
    assert_eq!(gateway.get(&analyst, &at(id, "")).await.status, 200);
    assert_eq!(gateway.get(&analyst, CONTACTS).await.ids().len(), 1);
    assert!(gateway.get(&other.owner, CONTACTS).await.ids().is_empty());
    assert!(
        gateway
            .get(&other.owner, &format!("{CONTACTS}?q=customer"))
            .await
            .ids()
            .is_empty()
    );
    let calls = [
        (Method::PATCH, "", json!({ "name": "X" }), "agent"),
        (Method::PUT, "/block", json!({}), "supervisor"),
        (Method::DELETE, "/block", json!({}), "supervisor"),
        (Method::PUT, "/erasure", json!({}), "admin"),
    ];
    for (method, rest, body, least) in calls {
        let mut refused = vec![&analyst];
        if least != "agent" {
            refused.push(&agent);
        }
        for who in refused {
            let answer = gateway
                .call(
                    Some(who),
                    method.clone(),
                    &at(id, rest),
                    Some(body.clone()),
                    &[],
                )
                .await;
            assert_eq!(
                (answer.status.as_u16(), answer.code()),
                (403, "forbidden"),
                "{method} {rest}"
            );
        }
        for path in [
            at(id, rest),
            format!("{CONTACTS}/cont_01h455vb4pex5vsknk084sn02q{rest}"),
            format!("{CONTACTS}/x{rest}"),
        ] {
            let answer = gateway
                .call(
                    Some(&other.owner),
                    method.clone(),
                    &path,
                    Some(body.clone()),
                    &[],
                )
                .await;
            assert_eq!(
                (answer.status.as_u16(), answer.code()),
                (404, "not_found"),
                "{method} {path}"
            );
        }
    }
    for rest in ["", "/conversations"] {
        assert_eq!(gateway.get(&other.owner, &at(id, rest)).await.status, 404);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_outside_a_closed_team_sees_the_contact_and_not_the_conversation() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let agent = gateway.member(&brand, "agent").await;
    let conversation = writes(&gateway, &brand, "77", "hello").await;
    let id = contact(&gateway, &brand, "77").await;
    let path = at(id, "/conversations");
    assert_eq!(
        gateway.get(&agent, &path).await.ids(),
        [conversation.to_string()]
    );
    let mut db = gateway.db.owner().await;
    sqlx::query("update teams set is_closed = true where brand_id = $1")
        .bind(brand.owner.brand.0)
        .execute(&mut db)
        .await
        .unwrap();
    sqlx::query("delete from team_members where brand_id = $1 and member_id = $2")
        .bind(brand.owner.brand.0)
        .bind(agent.member.0)
        .execute(&mut db)
        .await
        .unwrap();
    assert_eq!(gateway.get(&agent, &at(id, "")).await.status, 200);
    assert!(gateway.get(&agent, &path).await.ids().is_empty());
    assert_eq!(gateway.get(&brand.owner, &path).await.ids().len(), 1);
}
