//! Merging contacts and undoing it.

use roost_domain::ids::ContactId;
use serde_json::{Value, json};

use crate::contacts::{CONTACTS, at, contact};
use crate::customer::writes;
use crate::harness::{Answer, Brand, Gateway};

const MERGES: &str = "/v1/contact-merges";

async fn merge(gateway: &Gateway, brand: &Brand, survivor: ContactId, merged: ContactId) -> Answer {
    let body = json!({ "survivor_id": survivor, "merged_id": merged });
    gateway.post(&brand.owner, MERGES, body).await
}

async fn conversations(gateway: &Gateway, brand: &Brand, id: ContactId) -> Vec<String> {
    let mut ids = gateway
        .get(&brand.owner, &at(id, "/conversations"))
        .await
        .ids();
    ids.sort();
    ids
}

async fn clocks(gateway: &Gateway, conversation: &str) -> Value {
    let mut db = gateway.db.owner().await;
    let id: roost_domain::ids::ConversationId = conversation.parse().unwrap();
    sqlx::query_scalar("select coalesce(jsonb_agg(to_jsonb(k) order by k.id), '[]') from sla_clocks k where conversation_id = $1")
        .bind(id.0)
        .fetch_one(&mut db)
        .await
        .unwrap()
}

fn sorted<const N: usize>(ids: [&str; N]) -> Vec<String> {
    let mut ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    ids.sort();
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_accounts_become_one_contact_and_an_undo_gives_each_its_own_back() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let ones = writes(&gateway, &brand, "1", "hello").await.to_string();
    let others = writes(&gateway, &brand, "2", "hi").await.to_string();
    let (one, other) = (
        contact(&gateway, &brand, "1").await,
        contact(&gateway, &brand, "2").await,
    );
    let ran = clocks(&gateway, &others).await;

    let merged = merge(&gateway, &brand, one, other).await;
    assert_eq!(merged.status, 201, "{}", merged.text);
    assert_eq!(merged.body["conversations"], 1);
    let path = format!("{MERGES}/{}", merged.body["id"].as_str().unwrap());
    assert_eq!(
        conversations(&gateway, &brand, one).await,
        sorted([&ones, &others])
    );
    assert!(conversations(&gateway, &brand, other).await.is_empty());
    let survivor = gateway.get(&brand.owner, &at(one, "")).await;
    assert_eq!(survivor.body["identities"].as_array().unwrap().len(), 2);
    assert_eq!(survivor.body["name"], "Customer 1");
    let gone = gateway.get(&brand.owner, &at(other, "")).await;
    assert_eq!(gone.body["merged_into_id"], one.to_string());
    // One contact in lists, found by either name; two conversations, as they were.
    assert_eq!(
        gateway.get(&brand.owner, CONTACTS).await.ids(),
        [one.to_string()]
    );
    let found = gateway
        .get(&brand.owner, &format!("{CONTACTS}?q=customer+2"))
        .await;
    assert_eq!(found.ids(), [one.to_string()]);
    assert_eq!(contact(&gateway, &brand, "2").await, one);
    assert_eq!(
        clocks(&gateway, &others).await,
        ran,
        "a merge touches no clock"
    );

    // The second account writes on, and later anew: both are its own.
    assert_eq!(
        writes(&gateway, &brand, "2", "more").await.to_string(),
        others
    );
    let path_of = |id: &str| format!("/v1/conversations/{id}");
    gateway
        .patch(
            &brand.owner,
            &path_of(&others),
            json!({ "status": "resolved" }),
        )
        .await;
    let since = writes(&gateway, &brand, "2", "something new")
        .await
        .to_string();
    assert_eq!(conversations(&gateway, &brand, one).await.len(), 3);

    let undone = gateway.delete(&brand.owner, &path).await;
    assert_eq!(undone.status, 200, "{}", undone.text);
    assert_eq!(conversations(&gateway, &brand, one).await, sorted([&ones]));
    assert_eq!(
        conversations(&gateway, &brand, other).await,
        sorted([&others, &since])
    );
    assert_eq!(
        gateway.get(&brand.owner, &at(other, "")).await.body["merged_into_id"],
        Value::Null
    );
    let again = gateway.delete(&brand.owner, &path).await;
    assert_eq!(
        (again.status.as_u16(), again.code()),
        (409, "nothing_to_undo")
    );
    assert!(gateway.get(&brand.owner, &path).await.body["undone_at"].is_string());

    gateway.relay().await;
    let feed = gateway
        .get(&brand.owner, "/v1/events?after=oldest&types=contact.*")
        .await;
    let lines = feed.body["data"].as_array().unwrap().iter();
    let mut told: Vec<(String, bool)> = lines
        .map(|line| {
            (
                line["type"].as_str().unwrap().to_owned(),
                line["conversation_id"].is_string(),
            )
        })
        .collect();
    told.sort();
    // To the brand, and to who has the moved conversation open.
    let expected = [
        ("contact.merged", false),
        ("contact.merged", true),
        ("contact.unmerged", false),
        ("contact.unmerged", true),
    ];
    assert_eq!(told, expected.map(|(kind, here)| (kind.to_owned(), here)));
    let audited: Vec<String> = sqlx::query_scalar(
        "select action from audit_log where brand_id = $1 and action like 'contact.%' order by seq",
    )
    .bind(brand.owner.brand.0)
    .fetch_all(&mut gateway.db.owner().await)
    .await
    .unwrap();
    assert_eq!(audited, ["contact.merged", "contact.unmerged"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_merges_comes_apart_in_any_order() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let mut contacts = Vec::new();
    for customer in ["1", "2", "3"] {
        writes(&gateway, &brand, customer, "hello").await;
        contacts.push(contact(&gateway, &brand, customer).await);
    }
    let [a, b, c] = contacts[..] else {
        unreachable!()
    };
    let undo = |merge: &Answer| format!("{MERGES}/{}", merge.body["id"].as_str().unwrap());
    for first_first in [true, false] {
        let first = merge(&gateway, &brand, b, a).await;
        let second = merge(&gateway, &brand, c, b).await;
        assert_eq!((first.status.as_u16(), second.status.as_u16()), (201, 201));
        assert_eq!(conversations(&gateway, &brand, c).await.len(), 3);
        let order = if first_first {
            [&first, &second]
        } else {
            [&second, &first]
        };
        for one in order {
            assert_eq!(gateway.delete(&brand.owner, &undo(one)).await.status, 200);
        }
        for (customer, id) in [("1", a), ("2", b), ("3", c)] {
            assert_eq!(
                contact(&gateway, &brand, customer).await,
                id,
                "{first_first}"
            );
            assert_eq!(conversations(&gateway, &brand, id).await.len(), 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_must_not_be_merged_is_not() {
    let gateway = Gateway::start().await;
    let (brand, other) = (gateway.brand("Harbor").await, gateway.brand("Other").await);
    let analyst = gateway.member(&brand, "analyst").await;
    for customer in ["1", "2", "3"] {
        writes(&gateway, &brand, customer, "hello").await;
    }
    let a = contact(&gateway, &brand, "1").await;
    let b = contact(&gateway, &brand, "2").await;
    let c = contact(&gateway, &brand, "3").await;
    writes(&gateway, &other, "1", "hello").await;
    let theirs = contact(&gateway, &other, "1").await;

    let itself = merge(&gateway, &brand, a, a).await;
    assert_eq!(
        (itself.status.as_u16(), itself.code()),
        (400, "cannot_merge_with_itself")
    );
    assert_eq!(conversations(&gateway, &brand, a).await.len(), 1);
    for (survivor, merged, pointer) in [(a, theirs, "/merged_id"), (theirs, a, "/survivor_id")] {
        let foreign = merge(&gateway, &brand, survivor, merged).await;
        assert_eq!(
            (foreign.status.as_u16(), foreign.code()),
            (422, "unknown_reference")
        );
        assert_eq!(foreign.pointers(), [pointer]);
    }
    let body = json!({ "survivor_id": "x", "merged_id": "conv_01h455vb4pex5vsknk084sn02q" });
    let malformed = gateway.post(&brand.owner, MERGES, body).await;
    assert_eq!(
        (malformed.status.as_u16(), malformed.pointers()),
        (400, vec!["/survivor_id", "/merged_id"])
    );
    let body = json!({ "survivor_id": a, "merged_id": b });
    assert_eq!(
        gateway.post(&analyst, MERGES, body.clone()).await.code(),
        "forbidden"
    );

    let done = gateway.post(&brand.owner, MERGES, body).await;
    let path = format!("{MERGES}/{}", done.body["id"].as_str().unwrap());
    for (survivor, merged) in [(c, b), (b, c), (a, b)] {
        let again = merge(&gateway, &brand, survivor, merged).await;
        assert_eq!(
            (again.status.as_u16(), again.code()),
            (409, "already_merged")
        );
    }
    for (rest, body) in [
        ("", json!({ "name": "X" })),
        ("/block", json!({})),
        ("/erasure", json!({})),
    ] {
        let method = if rest.is_empty() { "PATCH" } else { "PUT" };
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let answer = gateway
            .call(Some(&brand.owner), method, &at(b, rest), Some(body), &[])
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (409, "already_merged"),
            "{rest}"
        );
    }
    assert_eq!(gateway.get(&other.owner, &path).await.status, 404);
    assert_eq!(gateway.delete(&other.owner, &path).await.status, 404);
    assert_eq!(gateway.delete(&analyst, &path).await.status, 403);

    // A merge never blocks or unblocks by the way.
    assert_eq!(
        gateway
            .put(&brand.owner, &at(c, "/block"), json!({}))
            .await
            .status,
        200
    );
    let mixed = merge(&gateway, &brand, a, c).await;
    assert_eq!(
        (mixed.status.as_u16(), mixed.code(), mixed.pointers()),
        (422, "contact_blocked", vec!["/merged_id"])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn merges_at_once_and_a_customer_who_writes_meanwhile_lose_nothing() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    for customer in ["1", "2"] {
        writes(&gateway, &brand, customer, "hello").await;
    }
    let a = contact(&gateway, &brand, "1").await;
    let b = contact(&gateway, &brand, "2").await;
    let (one, other, ..) = tokio::join!(
        merge(&gateway, &brand, a, b),
        merge(&gateway, &brand, b, a),
        writes(&gateway, &brand, "2", "meanwhile"),
        writes(&gateway, &brand, "1", "meanwhile"),
    );
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "{} {}", one.text, other.text);
    let survivor = contact(&gateway, &brand, "1").await;
    assert_eq!(contact(&gateway, &brand, "2").await, survivor);
    let all = conversations(&gateway, &brand, survivor).await;
    assert_eq!(all.len(), 2);
    let mut messages = 0;
    for id in all {
        let page = gateway
            .get(&brand.owner, &format!("/v1/conversations/{id}/messages"))
            .await;
        messages += page.ids().len();
    }
    assert_eq!(messages, 4);
}
