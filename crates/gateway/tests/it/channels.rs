//! Channels: lists, health, budgets, capabilities, changes and the way out.

use reqwest::Method;
use roost_domain::ids::ChannelId;
use roost_store::budgets::{self, Budget};
use roost_store::signs::{self, Sign};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::customer::writes;
use crate::harness::{Brand, Gateway, Person};

/// A program with an API key of the brand.
pub(crate) async fn key(gateway: &Gateway, brand: &Brand, mode: &str, scopes: &[&str]) -> Person {
    let (member, secret) = (
        Uuid::now_v7(),
        format!("rk_{mode}_{}", Uuid::new_v4().simple()),
    );
    let mut db = gateway.db.owner().await;
    sqlx::query(
        "insert into members (brand_id, id, kind, name, role) values ($1, $2, 'bot', 'Program', 'admin')",
    )
    .bind(brand.owner.brand.0)
    .bind(member)
    .execute(&mut db)
    .await
    .unwrap();
    sqlx::query(
        "insert into api_keys (brand_id, id, member_id, mode, scopes, hint, hash, created_by)
         values ($1, $2, $3, $4, $5, 'x', $6, $7)",
    )
    .bind(brand.owner.brand.0)
    .bind(Uuid::now_v7())
    .bind(member)
    .bind(mode)
    .bind(scopes.iter().map(ToString::to_string).collect::<Vec<_>>())
    .bind(Sha256::digest(&secret).to_vec())
    .bind(brand.owner.member.0)
    .execute(&mut db)
    .await
    .unwrap();
    Person {
        member: member.into(),
        token: secret,
        ..brand.owner.clone()
    }
}

/// Actions of the brand's audit log, oldest first; but for signing up and in.
pub(crate) async fn audited(gateway: &Gateway, brand: &Brand) -> Vec<String> {
    sqlx::query_scalar(
        "select action from audit_log
         where brand_id = $1 and action <> 'brand.signed_up' and action not like 'session.%' order by seq",
    )
        .bind(brand.owner.brand.0)
        .fetch_all(&mut gateway.db.owner().await)
        .await
        .unwrap()
}

pub(crate) async fn sandbox(gateway: &Gateway, brand: &Brand) -> ChannelId {
    let made = gateway
        .post(&brand.owner, "/v1/channels/sandbox", json!({}))
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    made.body["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_are_listed_by_platform_and_status_page_by_page() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let (first, second) = (
        sandbox(&gateway, &brand).await,
        sandbox(&gateway, &brand).await,
    );
    let owner = &brand.owner;
    gateway
        .delete(owner, &format!("/v1/channels/{first}"))
        .await;
    let list = async |query: &str| gateway.get(owner, &format!("/v1/channels{query}")).await;
    assert_eq!(list("").await.ids().len(), 3);
    assert_eq!(list("?platform=x").await.ids(), [brand.channel.to_string()]);
    let both = [first.to_string(), second.to_string()];
    assert_eq!(list("?platform=sandbox").await.ids(), both);
    let query = "?platform=sandbox&status=active&status=degraded";
    assert_eq!(list(query).await.ids(), [second.to_string()]);
    let page = list("?limit=2").await;
    assert_eq!(page.ids().len(), 2);
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let rest = list(&format!("?limit=2&cursor={cursor}")).await;
    assert_eq!(
        (rest.ids().len(), &rest.body["next_cursor"]),
        (1, &Value::Null)
    );
    let other = list(&format!("?platform=x&cursor={cursor}")).await;
    assert_eq!(other.code(), "cursor_mismatch");
    let bad = list("?platform=fax&status=happy&limit=0&colour=red").await;
    assert_eq!(bad.status, 400);
    let mut pointers = bad.pointers();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/query/colour",
            "/query/limit",
            "/query/platform",
            "/query/status"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_on_a_stale_view_is_refused_and_each_change_is_audited() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let (owner, path) = (&brand.owner, format!("/v1/channels/{}", brand.channel));
    let etag = gateway.get(owner, &path).await.headers["etag"].clone();
    let etag = etag.to_str().unwrap().to_owned();
    let patch = async |body: Value, etag: &str| {
        gateway
            .call(
                Some(owner),
                Method::PATCH,
                &path,
                Some(body),
                &[("if-match", etag)],
            )
            .await
    };
    let renamed = patch(json!({ "name": "Front desk" }), &etag).await;
    assert_eq!(renamed.status, 200, "{}", renamed.text);
    assert_eq!(renamed.body["name"], "Front desk");
    assert_ne!(renamed.headers["etag"], etag);
    let stale = patch(json!({ "name": "Back office" }), &etag).await;
    assert_eq!(
        (stale.status.as_u16(), stale.code()),
        (409, "version_conflict")
    );
    // What changes nothing is no change.
    let newer = renamed.headers["etag"].to_str().unwrap();
    let same = patch(json!({ "name": "Front desk" }), newer).await;
    assert_eq!(same.headers["etag"], *newer);
    let bad = patch(json!({ "name": " ", "team_id": "team_x" }), "*").await;
    assert_eq!(
        (bad.status.as_u16(), bad.pointers()),
        (400, vec!["/name", "/team_id"])
    );
    assert_eq!(patch(json!({ "name": "x" }), "soon").await.status, 400);
    assert_eq!(audited(&gateway, &brand).await, ["channel.updated"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_whose_customers_wait_is_disconnected_only_on_confirmation() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let (owner, path) = (&brand.owner, format!("/v1/channels/{}", brand.channel));
    for customer in ["77", "78"] {
        writes(&gateway, &brand, customer, "hello").await;
    }
    let agent = gateway.member(&brand, "agent").await;
    assert_eq!(gateway.delete(&agent, &path).await.status, 403);
    let asked = gateway.delete(owner, &path).await;
    assert_eq!(
        (
            asked.status.as_u16(),
            asked.code(),
            &asked.body["running_clocks"]
        ),
        (422, "confirmation_needed", &json!(2))
    );
    assert_eq!(gateway.get(owner, &path).await.body["status"], "active");
    let odd = gateway
        .delete(owner, &format!("{path}?confirm=maybe"))
        .await;
    assert_eq!(odd.pointers(), ["/query/confirm"]);
    let confirmed = format!("{path}?confirm=true");
    assert_eq!(gateway.delete(owner, &confirmed).await.status, 204);
    assert_eq!(
        gateway.get(owner, &path).await.body["status"],
        "disconnected"
    );
    // Twice does no harm and tells nothing twice.
    assert_eq!(gateway.delete(owner, &path).await.status, 204);
    assert_eq!(audited(&gateway, &brand).await, ["channel.disconnected"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_tells_what_came_what_went_and_what_went_wrong() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let (owner, channel) = (&brand.owner, brand.channel);
    let path = format!("/v1/channels/{channel}/health");
    let silent = gateway.get(owner, &path).await;
    assert_eq!(silent.body["last_events"]["dm"], Value::Null);
    assert_eq!(
        (&silent.body["last_crc_at"], &silent.body["errors"]),
        (&Value::Null, &json!([]))
    );
    let sign = |kind| Sign {
        brand: owner.brand,
        channel,
        kind,
    };
    let store = &gateway.db.store;
    signs::note(store, &[sign("dm"), sign("read")])
        .await
        .unwrap();
    signs::note(store, &[sign("dm")]).await.unwrap();
    signs::note_crc(store, "x", "main").await.unwrap();
    let conversation = writes(&gateway, &brand, "77", "hello").await;
    let mut db = gateway.db.owner().await;
    for (number, text) in ["one", "two"].into_iter().enumerate() {
        let reply = gateway
            .post(
                owner,
                &format!("/v1/conversations/{conversation}/messages"),
                json!({ "kind": "reply", "text": text }),
            )
            .await;
        sqlx::query(
            "insert into send_attempts (brand_id, message_id, attempt_no, outcome, http_status, error, started_at)
             values ($1, $2, 1, 'failed', 403, $3, now() - make_interval(mins => $4))",
        )
        .bind(owner.brand.0)
        .bind(reply.body["id"].as_str().unwrap().parse::<roost_domain::ids::MessageId>().unwrap().0)
        .bind(format!("no ({number})"))
        .bind(10 - i32::try_from(number).unwrap())
        .execute(&mut db)
        .await
        .unwrap();
    }
    let health = gateway.get(owner, &path).await.body;
    assert!(health["last_events"]["dm"].is_string() && health["last_events"]["read"].is_string());
    assert_eq!(health["last_events"]["typing"], Value::Null);
    assert!(health["last_crc_at"].is_string() && health["status_since"].is_string());
    assert_eq!(health["errors"].as_array().unwrap().len(), 1);
    let error = &health["errors"][0];
    assert_eq!(
        (
            &error["outcome"],
            &error["http_status"],
            &error["count"],
            &error["detail"]
        ),
        (&json!("failed"), &json!(403), &json!(2), &json!("no (1)"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_is_what_the_platform_told_and_unknown_before() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let channel = brand.channel;
    let path = format!("/v1/channels/{channel}/budget");
    let unknown = gateway.get(&brand.owner, &path).await.body;
    assert_eq!(
        unknown,
        json!({
            "channel": { "remaining": null, "limit": null, "window_seconds": 900, "resets_at": null },
            "app": { "remaining": null, "limit": null, "window_seconds": null, "resets_at": null },
            "sends_at": null,
        })
    );
    let reset_at = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(10);
    let told = async |remaining| {
        let budget = Budget {
            remaining,
            allowed: Some(15),
            reset_at,
        };
        let note = gateway.db.store.brand(brand.owner.brand, move |tx| {
            Box::pin(async move { budgets::note(tx, channel, budget).await })
        });
        note.await.unwrap();
        gateway.get(&brand.owner, &path).await.body
    };
    let some = told(9).await;
    assert_eq!(
        (&some["channel"]["remaining"], &some["channel"]["limit"]),
        (&json!(9), &json!(15))
    );
    assert!(some["channel"]["resets_at"].is_string() && some["sends_at"].is_null());
    let none = told(0).await;
    assert_eq!(none["sends_at"], none["channel"]["resets_at"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_channel_can_do_depends_on_its_platform() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let of = async |channel: ChannelId| {
        let path = format!("/v1/channels/{channel}/capabilities");
        gateway.get(&brand.owner, &path).await.body
    };
    let x = of(brand.channel).await;
    assert_eq!(
        (&x["platform"], &x["text"]["max_length"]),
        (&json!("x"), &json!(10_000))
    );
    assert_eq!(x["quick_replies"]["max_options"], 20);
    assert_eq!(x["attachments"]["types"][0]["max_bytes"], 5 * 1024 * 1024);
    let sandbox = of(sandbox(&gateway, &brand).await).await;
    assert_eq!(
        (&sandbox["platform"], &sandbox["attachments"]["types"]),
        (&json!("sandbox"), &json!([]))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_key_sees_sandboxes_only_and_reaches_no_platform() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let made = sandbox(&gateway, &brand).await;
    let scopes = ["settings:read", "channels:write", "messages:write"];
    let test = key(&gateway, &brand, "test", &scopes).await;
    assert_eq!(
        gateway.get(&test, "/v1/channels").await.ids(),
        [made.to_string()]
    );
    let live = key(&gateway, &brand, "live", &scopes).await;
    assert_eq!(gateway.get(&live, "/v1/channels").await.ids().len(), 2);
    let x = format!("/v1/channels/{}", brand.channel);
    for rest in ["", "/health", "/budget", "/capabilities"] {
        assert_eq!(
            gateway.get(&test, &format!("{x}{rest}")).await.status,
            404,
            "{rest}"
        );
    }
    assert_eq!(
        gateway
            .patch(&test, &x, json!({ "name": "x" }))
            .await
            .status,
        404
    );
    assert_eq!(gateway.delete(&test, &x).await.status, 404);
    let app = json!({ "name": "a", "app_id": "1", "consumer_key": "k", "consumer_secret": "s" });
    for (path, body) in [("/v1/channels/x/connect", json!({})), ("/v1/x-apps", app)] {
        let answer = gateway.post(&test, path, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (422, "test_mode"),
            "{path}"
        );
    }
}
