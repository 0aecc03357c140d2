//! Excuses for breaches.

use roost_domain::ids::ChannelId;
use serde_json::json;

use crate::harness::{Answer, Gateway};
use crate::report_seed::{Outcome, Place, excuse, keep, report, second_channel};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_excuse_is_shown_beside_the_plain_figure_and_can_be_taken_back() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let place = Place::new(&gateway, &brand).await;
    let due = [
        "2026-06-10T11:59:59.999Z",
        "2026-06-10T12:00:00Z",
        "2026-06-10T13:00:00Z",
    ];
    let mut outcomes: Vec<Outcome> = due
        .iter()
        .map(|at| place.breached(&brand, "first_response", at))
        .collect();
    outcomes.push(place.met(&brand, "first_response", due[1]));
    keep(&gateway, &outcomes).await;
    let made = excuse(&gateway, &brand, Some(brand.channel.0), due[1], due[2]).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let query = "from=2026-06-01&to=2026-07-01&kind=first_response";
    let row = report(&gateway, &brand.owner, query).await.remove(0);
    assert_eq!((&row["breached"], &row["excused"]), (&json!(3), &json!(1)));
    assert_eq!(row["attainment"], 0.25);
    assert_eq!(row["attainment_excused"], 1.0 / 3.0);
    let listed = gateway.get(&brand.owner, "/v1/sla-excuses").await;
    assert_eq!(listed.body["data"], json!([made.body]));
    let id = made.body["id"].as_str().unwrap();
    let path = format!("/v1/sla-excuses/{id}");
    assert_eq!(gateway.delete(&brand.owner, &path).await.status, 204);
    assert_eq!(gateway.delete(&brand.owner, &path).await.status, 404);
    let row = report(&gateway, &brand.owner, query).await.remove(0);
    assert_eq!(row["excused"], 0);
    let of = |action: &str| (action.to_owned(), id.to_owned());
    let audit = gateway.audit(&brand).await;
    let lines: Vec<_> = audit.iter().filter(|line| line.1 == id).cloned().collect();
    assert_eq!(lines, [of("sla_excuse.deleted"), of("sla_excuse.created")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulty_excuse_is_refused_where_its_fault_is() {
    let gateway = Gateway::start().await;
    let (brand, theirs) = (gateway.brand("Harbor").await, gateway.brand("Theirs").await);
    let good = json!({ "starts_at": "2026-06-01T00:00:00Z", "ends_at": "2026-07-02T00:00:00Z", "reason": "x" });
    for (field, value, pointer) in [
        ("ends_at", json!("2026-06-01T00:00:00Z"), "/ends_at"),
        ("ends_at", json!("2026-07-02T00:00:01Z"), "/ends_at"),
        ("ends_at", json!("tomorrow"), "/ends_at"),
        ("starts_at", json!("0001-01-01T00:00:00Z"), "/starts_at"),
        ("reason", json!("  "), "/reason"),
        ("reason", json!("x".repeat(501)), "/reason"),
        ("channel_id", json!("team_x"), "/channel_id"),
        (
            "channel_id",
            json!(theirs.channel.to_string()),
            "/channel_id",
        ),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let answer = gateway.post(&brand.owner, "/v1/sla-excuses", body).await;
        assert!(answer.status.is_client_error(), "{}", answer.text);
        assert!(
            answer.pointers().contains(&pointer),
            "{field}: {}",
            answer.text
        );
    }
    // 31 days sharp.
    let longest = gateway.post(&brand.owner, "/v1/sla-excuses", good).await;
    assert_eq!(longest.status, 201, "{}", longest.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn excuses_come_in_pages_the_latest_period_first() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    for day in [3, 1, 2] {
        let (from, to) = (
            format!("2026-06-0{day}T00:00:00Z"),
            format!("2026-06-0{day}T01:00:00Z"),
        );
        let made = excuse(&gateway, &brand, None, &from, &to).await;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    let mut starts = Vec::new();
    let mut path = "/v1/sla-excuses?limit=2".to_owned();
    loop {
        let page = gateway.get(&brand.owner, &path).await;
        for row in page.body["data"].as_array().unwrap() {
            starts.push(row["starts_at"].as_str().unwrap()[..10].to_owned());
        }
        let Some(cursor) = page.body["next_cursor"].as_str() else {
            break;
        };
        path = format!("/v1/sla-excuses?limit=2&cursor={cursor}");
    }
    assert_eq!(starts, ["2026-06-03", "2026-06-02", "2026-06-01"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_bound_to_a_channel_excuses_that_channel_alone() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let other = ChannelId(second_channel(&gateway, &brand).await).to_string();
    let own = brand.channel.to_string();
    let key = json!({
        "name": "Status page", "mode": "live", "role": "admin", "scopes": ["sla_excuses:write"],
        "channel_ids": [own],
    });
    let key = gateway.key_from(&brand, key).await;
    let ask = async |channel: Option<&str>| {
        let body = json!({
            "channel_id": channel, "starts_at": "2026-06-01T00:00:00Z", "ends_at": "2026-06-01T01:00:00Z",
            "reason": "The platform was down",
        });
        gateway.post(&key.bearer, "/v1/sla-excuses", body).await
    };
    assert_eq!(ask(None).await.code(), "forbidden");
    assert_eq!(ask(Some(&other)).await.code(), "unknown_reference");
    let made = ask(Some(&own)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    // What the owner excused for all isn't the key's to take back.
    let all = excuse(
        &gateway,
        &brand,
        None,
        "2026-06-01T00:00:00Z",
        "2026-06-02T00:00:00Z",
    )
    .await;
    let path = |made: &Answer| format!("/v1/sla-excuses/{}", made.body["id"].as_str().unwrap());
    let refused = gateway.delete(&key.bearer, &path(&all)).await;
    assert_eq!(refused.code(), "forbidden");
    assert_eq!(gateway.delete(&key.bearer, &path(&made)).await.status, 204);
    let left = gateway.get(&brand.owner, "/v1/sla-excuses").await;
    assert_eq!(left.body["data"], json!([all.body]));
}
