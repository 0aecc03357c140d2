//! What a brand may use, and what happens beyond it.

use std::time::{Duration, Instant};

use roost_store::StoreError;
use roost_store::usage::{Limited, count_some, set_limits};
use serde_json::{Value, json};

use crate::customer::{writes, writes_at};
use crate::harness::{Brand, Gateway};

async fn limit(gateway: &Gateway, brand: &Brand, what: Limited, limit: Option<i32>) {
    let own = set_limits(&gateway.db.owner_url, brand.owner.brand, &[(what, limit)]).await;
    assert!(own.unwrap().is_some());
}

async fn used(gateway: &Gateway, brand: &Brand) -> Value {
    gateway.relay().await;
    gateway.get(&brand.owner, "/v1/usage").await.body
}

async fn count(gateway: &Gateway, brand: &Brand) {
    let brand = brand.owner.brand;
    let step = || gateway.db.store.brand(brand, |tx| Box::pin(count_some(tx)));
    while Result::<bool, StoreError>::unwrap(step().await) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_count_once_however_often_the_log_is_counted() {
    let gateway = Gateway::start().await;
    let (brand, theirs) = (gateway.brand("Harbor").await, gateway.brand("Theirs").await);
    let at_first = used(&gateway, &brand).await;
    assert_eq!(
        at_first["members"],
        json!({ "limit": null, "used": 1, "resets_at": null })
    );
    assert_eq!(at_first["channels"]["used"], 1);
    assert_eq!(at_first["messages"]["used"], 0);
    assert!(
        at_first["messages"]["resets_at"]
            .as_str()
            .unwrap()
            .ends_with("-01T00:00:00.000Z")
    );
    for customer in ["1", "2", "3"] {
        writes(&gateway, &brand, customer, "hello").await;
    }
    writes(&gateway, &theirs, "1", "hello").await;
    assert_eq!(used(&gateway, &brand).await["messages"]["used"], 3);
    count(&gateway, &brand).await;
    assert_eq!(used(&gateway, &brand).await["messages"]["used"], 3);
    writes(&gateway, &brand, "4", "hello").await;
    assert_eq!(used(&gateway, &brand).await["messages"]["used"], 4);
    let counts = (0..8).map(|_| count(&gateway, &brand));
    futures_util::future::join_all(counts).await;
    assert_eq!(used(&gateway, &brand).await["messages"]["used"], 4);
    // Another month's are another month's.
    let mut db = gateway.db.owner().await;
    sqlx::query("update usage_months set month = month - interval '1 month'")
        .execute(&mut db)
        .await
        .unwrap();
    assert_eq!(used(&gateway, &brand).await["messages"]["used"], 0);
    assert_eq!(used(&gateway, &theirs).await["messages"]["used"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_the_months_messages_replies_are_refused_and_customers_never() {
    let gateway = Gateway::start_with(&[("ROOST_BRAND_MESSAGES_PER_MONTH", "2")]).await;
    let (brand, free) = (gateway.brand("Harbor").await, gateway.brand("Free").await);
    limit(&gateway, &free, Limited::MessagesPerMonth, Some(0)).await;
    let reply = json!({ "kind": "reply", "text": "hi" });
    for brand in [&brand, &free] {
        let conversation = writes(&gateway, brand, "1", "hello").await;
        let path = format!("/v1/conversations/{conversation}/messages");
        let answer = gateway.post(&brand.owner, &path, reply.clone()).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        writes_at(&gateway, brand, "1", "again", jiff::Timestamp::now()).await;
        gateway.relay().await;
    }
    let path = async |brand: &Brand| {
        let list = gateway.get(&brand.owner, "/v1/conversations").await;
        format!("/v1/conversations/{}/messages", list.ids()[0])
    };
    let refused = gateway
        .post(&brand.owner, &path(&brand).await, reply.clone())
        .await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "quota_exceeded")
    );
    assert_eq!(
        refused.body["quota"],
        json!({ "name": "messages_per_month", "limit": 2, "used": 2 })
    );
    let note = json!({ "kind": "note", "text": "noted" });
    assert_eq!(
        gateway
            .post(&brand.owner, &path(&brand).await, note)
            .await
            .status,
        201
    );
    writes(&gateway, &brand, "2", "and me").await;
    assert_eq!(
        used(&gateway, &brand).await["messages"],
        json!({
            "limit": 2, "used": 3, "resets_at": used(&gateway, &brand).await["messages"]["resets_at"],
        })
    );
    assert_eq!(
        gateway
            .post(&free.owner, &path(&free).await, reply.clone())
            .await
            .status,
        201
    );
    limit(&gateway, &brand, Limited::MessagesPerMonth, Some(10)).await;
    assert_eq!(
        gateway
            .post(&brand.owner, &path(&brand).await, reply)
            .await
            .status,
        201
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_comes_back_only_where_there_is_a_seat_and_programs_take_none() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let mut paths = Vec::new();
    for _ in 0..3 {
        let agent = gateway.member(&brand, "agent").await;
        paths.push(format!("/v1/members/{}", agent.member));
    }
    gateway.key(&brand, "agent", &["settings:read"]).await;
    assert_eq!(used(&gateway, &brand).await["members"]["used"], 4);
    for path in &paths {
        assert_eq!(gateway.delete(&brand.owner, path).await.status, 204);
    }
    limit(&gateway, &brand, Limited::Members, Some(2)).await;
    // Both at once, and there is one seat.
    let back = json!({ "active": true });
    let asks = paths
        .iter()
        .map(|path| gateway.patch(&brand.owner, path, back.clone()));
    let answers = futures_util::future::join_all(asks).await;
    let mut statuses: Vec<u16> = answers
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 422, 422]);
    let refused = answers.iter().find(|answer| answer.status == 422).unwrap();
    assert_eq!(
        (refused.code(), &refused.body["quota"]["used"]),
        ("quota_exceeded", &json!(2))
    );
    limit(&gateway, &brand, Limited::Members, None).await;
    for path in &paths {
        assert_eq!(
            gateway.patch(&brand.owner, path, back.clone()).await.status,
            200
        );
    }
    assert_eq!(
        used(&gateway, &brand).await["members"],
        json!({ "limit": null, "used": 4, "resets_at": null })
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sets_how_often_a_brand_may_ask() {
    let gateway = Gateway::start_with(&[("ROOST_BRAND_REQUESTS_PER_MINUTE", "5")]).await;
    let (free, slow) = (gateway.brand("Free").await, gateway.brand("Slow").await);
    limit(&gateway, &free, Limited::RequestsPerMinute, Some(0)).await;
    let plan = gateway.get(&free.owner, "/v1/usage").await;
    assert_eq!(plan.body["requests"]["limit_per_minute"], Value::Null);
    for _ in 0..8 {
        assert_eq!(gateway.get(&free.owner, "/v1/teams").await.status, 200);
    }
    let first = gateway.get(&slow.owner, "/v1/teams").await;
    let policy = first.headers["ratelimit-policy"].to_str().unwrap();
    assert!(policy.contains("\"brand\";q=5;w=60"), "{policy}");
    limit(&gateway, &slow, Limited::RequestsPerMinute, Some(700)).await;
    let begun = Instant::now();
    loop {
        let answer = gateway.get(&slow.owner, "/v1/teams").await;
        if answer.headers["ratelimit-policy"]
            .to_str()
            .unwrap()
            .contains("\"brand\";q=700;w=60")
        {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(15));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
