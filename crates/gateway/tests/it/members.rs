//! Members: capacity, teams, presence, leaving.

use roost_store::StoreError;
use roost_store::ledger::Cause;
use roost_store::members::{self, MemberChange, MemberOutcome};
use serde_json::{Value, json};

use crate::customer::writes;
use crate::harness::Gateway;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capacity_is_a_whole_number_and_nothing_else() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let agent = gateway.member(&brand, "agent").await;
    let path = format!("/v1/members/{}", agent.member);
    for (capacity, is_good) in [
        (json!("3"), false),
        (json!(-1), false),
        (json!(2.5), false),
        (json!(true), false),
        (json!([3]), false),
        (json!(10_001), false),
        (json!(1e300), false),
        (json!(0), true),
        (json!(3), true),
    ] {
        let answer = gateway
            .patch(&brand.owner, &path, json!({ "capacity": capacity }))
            .await;
        if is_good {
            assert_eq!(answer.status, 200, "{capacity}: {}", answer.text);
            assert_eq!(answer.body["capacity"], capacity);
        } else {
            assert_eq!(answer.status, 400, "{capacity}: {}", answer.text);
            assert_eq!(answer.pointers(), ["/capacity"], "{capacity}");
        }
    }
    assert_eq!(gateway.get(&brand.owner, &path).await.body["capacity"], 3);
    gateway.relay().await;
    let events = gateway
        .get(&brand.owner, "/v1/events?types=member.updated")
        .await;
    assert_eq!(
        events.body["data"][1]["data"]["changed"]["capacity"],
        json!([0, 3])
    );
    assert_eq!(
        events.body["data"][1]["data"]["id"],
        agent.member.to_string()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_gives_back_what_they_had() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let agent = gateway.member(&brand, "agent").await;
    let mut ids = Vec::new();
    for customer in 0..3 {
        let id = writes(&gateway, &brand, &format!("9{customer}"), "hello").await;
        let path = format!("/v1/conversations/{id}/assignment");
        let answer = gateway
            .put(&agent, &path, json!({ "member_id": agent.member }))
            .await;
        assert_eq!(
            answer.body["member_id"],
            agent.member.to_string(),
            "{}",
            answer.text
        );
        assert_eq!(answer.body["decision"]["decided_by"], "member");
        ids.push(id);
    }
    let pending = format!("/v1/conversations/{}", ids[0]);
    gateway
        .patch(&agent, &pending, json!({ "status": "pending" }))
        .await;
    let path = format!("/v1/members/{}", agent.member);
    assert_eq!(gateway.get(&brand.owner, &path).await.body["load"], 2);
    let answer = gateway
        .patch(&brand.owner, &path, json!({ "active": false }))
        .await;
    assert_eq!(answer.body["active"], false, "{}", answer.text);
    for id in &ids {
        let one = gateway
            .get(&brand.owner, &format!("/v1/conversations/{id}"))
            .await;
        assert_eq!(one.body["assignee_id"], Value::Null);
    }
    let queue = gateway
        .get(&brand.owner, &format!("/v1/teams/{}/queue", brand.team))
        .await;
    assert_eq!(queue.body["data"].as_array().unwrap().len(), 2);
    let decisions = gateway
        .get(
            &brand.owner,
            &format!("/v1/conversations/{}/assignments", ids[1]),
        )
        .await;
    assert_eq!(decisions.body["data"][0]["reason"], "member deactivated");
    let list = gateway.get(&brand.owner, "/v1/members").await;
    assert!(list.ids().contains(&agent.member.to_string()));
    let owner = format!("/v1/members/{}", brand.owner.member);
    for body in [json!({ "active": false }), json!({ "role": "agent" })] {
        let answer = gateway.patch(&brand.owner, &owner, body).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (409, "last_owner"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_a_team_gives_back_that_teams_open_conversations() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let agent = gateway.member(&brand, "agent").await;
    let body = json!({ "name": "Billing", "member_ids": [agent.member] });
    let billing = gateway.post(&brand.owner, "/v1/teams", body.clone()).await;
    assert_eq!(billing.status, 201, "{}", billing.text);
    assert_eq!(
        gateway.post(&brand.owner, "/v1/teams", body).await.code(),
        "name_taken"
    );
    let billing = billing.body["id"].as_str().unwrap();
    let conversation = writes(&gateway, &brand, "77", "hello").await;
    let assignment = format!("/v1/conversations/{conversation}/assignment");
    gateway
        .put(&agent, &assignment, json!({ "member_id": agent.member }))
        .await;
    let path = format!("/v1/members/{}", agent.member);
    let answer = gateway
        .patch(&brand.owner, &path, json!({ "team_ids": [billing] }))
        .await;
    assert_eq!(answer.body["team_ids"], json!([billing]), "{}", answer.text);
    let after = gateway.get(&brand.owner, &assignment).await;
    assert_eq!(after.body["member_id"], Value::Null, "{}", after.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_makes_no_owners() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let admin = gateway.member(&brand, "admin").await;
    let path = format!("/v1/members/{}", admin.member);
    let answer = gateway
        .patch(&admin, &path, json!({ "role": "owner" }))
        .await;
    assert_eq!((answer.status.as_u16(), answer.code()), (403, "forbidden"));
    let owner = format!("/v1/members/{}", brand.owner.member);
    assert_eq!(
        gateway
            .patch(&admin, &owner, json!({ "active": false }))
            .await
            .code(),
        "forbidden"
    );
    assert_eq!(
        gateway
            .patch(&admin, &path, json!({ "name": "Adam" }))
            .await
            .body["name"],
        "Adam"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn presence_is_ones_own_to_set_or_a_leads() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let (agent, other) = (
        gateway.member(&brand, "agent").await,
        gateway.member(&brand, "agent").await,
    );
    let of = |person: &crate::harness::Person| format!("/v1/members/{}/presence", person.member);
    let away = json!({ "status": "away" });
    let answer = gateway.put(&agent, &of(&agent), away.clone()).await;
    // Nobody is here without a stream.
    assert_eq!(
        answer.body["presence"]["status"], "offline",
        "{}",
        answer.text
    );
    assert_eq!(
        gateway.put(&agent, &of(&other), away.clone()).await.code(),
        "forbidden"
    );
    assert_eq!(
        gateway.put(&brand.owner, &of(&other), away).await.status,
        200
    );
    let answer = gateway
        .put(&agent, &of(&agent), json!({ "status": "busy" }))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.pointers()),
        (400, vec!["/status"])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_members_page_by_name() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    for _ in 0..4 {
        gateway.member(&brand, "agent").await;
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = gateway
            .get(&brand.owner, &format!("/v1/members?limit=2{cursor}"))
            .await;
        seen.extend(answer.ids());
        let Some(next) = answer.body["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_process_left_to_be_given_back_another_gives_back() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let agent = gateway.member(&brand, "agent").await;
    let conversation = writes(&gateway, &brand, "77", "hello").await;
    let assignment = format!("/v1/conversations/{conversation}/assignment");
    gateway
        .put(&agent, &assignment, json!({ "member_id": agent.member }))
        .await;
    // As a gateway leaves it that dies after the commit of the change.
    let (brand_id, member) = (agent.brand, agent.member);
    let change = MemberChange {
        active: Some(false),
        ..MemberChange::default()
    };
    let done: Result<MemberOutcome, StoreError> = gateway
        .db
        .store
        .brand(brand_id, move |tx| {
            Box::pin(async move { members::change(tx, member, &change, &Cause::system()).await })
        })
        .await;
    assert!(matches!(done.unwrap(), MemberOutcome::Done { .. }));
    let begun = std::time::Instant::now();
    while !gateway.get(&brand.owner, &assignment).await.body["member_id"].is_null() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(30));
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let mut db = gateway.db.owner().await;
    let owed: i64 = sqlx::query_scalar("select count(*) from handbacks")
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert_eq!(owed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_member_is_deactivated_and_told_in_the_audit_log() {
    let gateway = Gateway::start().await;
    let (brand, theirs) = (gateway.brand("Harbor").await, gateway.brand("Theirs").await);
    let agent = gateway.member(&brand, "agent").await;
    let path = format!("/v1/members/{}", agent.member);
    gateway
        .patch(
            &brand.owner,
            &path,
            json!({ "name": "Nora Quill", "external_id": "nora-1", "capacity": 3 }),
        )
        .await;
    assert_eq!(gateway.delete(&brand.owner, &path).await.status, 204);
    assert_eq!(gateway.get(&brand.owner, &path).await.body["active"], false);
    let own = format!("/v1/members/{}", brand.owner.member);
    assert_eq!(
        gateway.delete(&brand.owner, &own).await.code(),
        "last_owner"
    );
    let foreign = format!("/v1/members/{}", theirs.owner.member);
    assert_eq!(gateway.delete(&brand.owner, &foreign).await.status, 404);
    let log = gateway
        .get(&brand.owner, "/v1/audit-log?action=member.*")
        .await;
    let rows = log.body["data"].as_array().unwrap();
    assert_eq!(
        (&rows[0]["action"], &rows[1]["action"]),
        (&json!("member.deactivated"), &json!("member.changed"))
    );
    assert_eq!(rows[1]["before"]["capacity"], 5);
    assert_eq!(rows[1]["after"]["capacity"], 3);
    // Of people only what nobody can read.
    assert!(
        !log.text.contains("Quill") && !log.text.contains("nora"),
        "{}",
        log.text
    );
    assert!(
        rows[1]["after"]["name"]
            .as_str()
            .unwrap()
            .starts_with("digest:")
    );
}
