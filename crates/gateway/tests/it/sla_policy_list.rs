//! The list of SLA policies ends with the one that holds for all, whoever edits it at once; running clocks
//! move to new versions when somebody confirms it.

use reqwest::Method;
use roost_domain::ids::PolicyId;
use serde_json::{Value, json};

use crate::customer::writes;
use crate::harness::Gateway;
use crate::sla_policies::{POLICIES, make, names, refusal, standard, urgent};

const ORDER: &str = "/v1/sla-policies/order";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_always_ends_with_the_one_policy_that_holds_for_all() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let owner = &brand.owner;
    let last = standard(&gateway, &brand).await;
    // The only one there is.
    let refused = gateway.delete(owner, &last).await;
    assert_eq!(refusal(&refused), (422, "catch_all_required"));
    let conditions = json!({ "conditions": { "priorities": ["high"] } });
    let refused = gateway.patch(owner, &last, conditions).await;
    assert_eq!(refusal(&refused), (422, "catch_all_required"));
    let refused = gateway
        .post(owner, POLICIES, json!({ "name": "Second" }))
        .await;
    assert_eq!(refusal(&refused), (422, "policy_never_reached"));

    let one = make(&gateway, owner, urgent("One")).await;
    let two = make(&gateway, owner, urgent("Two")).await;
    assert_eq!(names(&gateway, &brand).await, ["One", "Two", "Standard"]);
    let taken = gateway.post(owner, POLICIES, urgent("ONE")).await;
    assert_eq!(
        (refusal(&taken), taken.pointers()),
        ((409, "name_taken"), vec!["/name"])
    );
    let first = format!("{POLICIES}/{one}");
    let bare = json!({ "conditions": { "priorities": [] } });
    let refused = gateway.patch(owner, &first, bare).await;
    assert_eq!(refusal(&refused), (422, "policy_never_reached"));
    let refused = gateway.delete(owner, &last).await;
    assert_eq!(refusal(&refused), (422, "catch_all_required"));

    let all = last.rsplit('/').next().unwrap().to_owned();
    let order = |ids: &[&str]| json!({ "policy_ids": ids });
    let missing = "pol_01h455vb4pex5vsknk084sn02q";
    for (ids, expected, pointers) in [
        (vec![&*all, &one, &two], (422, "catch_all_required"), vec![]),
        (vec![&*one, &all, &two], (422, "catch_all_required"), vec![]),
        (
            vec![&*one, &all],
            (400, "invalid_request"),
            vec!["/policy_ids"],
        ),
        (
            vec![&*one, &two, &one, &all],
            (400, "invalid_request"),
            vec!["/policy_ids/2"],
        ),
        (
            vec![&*one, missing, &two, &all],
            (422, "unknown_reference"),
            vec!["/policy_ids/1"],
        ),
        (
            vec!["nonsense"],
            (400, "invalid_request"),
            vec!["/policy_ids/0"],
        ),
    ] {
        let answer = gateway.put(owner, ORDER, order(&ids)).await;
        assert_eq!(refusal(&answer), expected, "{ids:?}: {}", answer.text);
        assert_eq!(answer.pointers(), pointers, "{ids:?}");
    }
    let turned = gateway.put(owner, ORDER, order(&[&two, &one, &all])).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    assert_eq!(turned.ids(), [two.clone(), one.clone(), all.clone()]);
    assert_eq!(names(&gateway, &brand).await, ["Two", "One", "Standard"]);
    // The order is no part of a policy, and an order that changes nothing is none.
    assert_eq!(gateway.get(owner, &first).await.body["version"], 1);
    let again = gateway.put(owner, ORDER, order(&[&two, &one, &all])).await;
    assert_eq!(again.status, 200);
    let told = gateway.audit(&brand).await;
    let told = told
        .iter()
        .filter(|(action, _)| action == "sla_policies.ordered");
    assert_eq!(told.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_people_who_order_and_edit_at_once_leave_a_list_that_ends_with_the_catch_all() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let owner = &brand.owner;
    let all = standard(&gateway, &brand).await;
    let all = all.rsplit('/').next().unwrap().to_owned();
    let mut ids = Vec::new();
    for name in ["One", "Two", "Three", "Four"] {
        ids.push(make(&gateway, owner, urgent(name)).await);
    }
    // Every third order puts the catch-all elsewhere; a policy is made, one loses its conditions, and the
    // last one gets some, between them.
    let acts = (0..20_usize).map(|turn| {
        let (gateway, all, mut order) = (&gateway, &all, ids.clone());
        async move {
            let last = order.len();
            order.rotate_left(turn % last);
            order.insert(if turn % 3 == 0 { turn % last } else { last }, all.clone());
            let of = format!("{POLICIES}/{}", order[0]);
            let (conditions, end) = (
                json!({ "priorities": ["low"] }),
                format!("{POLICIES}/{all}"),
            );
            match turn {
                7 => gateway.post(owner, POLICIES, urgent("Five")).await,
                8 => {
                    gateway
                        .patch(owner, &of, json!({ "conditions": { "priorities": [] } }))
                        .await
                }
                9 => {
                    gateway
                        .patch(owner, &end, json!({ "conditions": conditions }))
                        .await
                }
                _ => {
                    gateway
                        .put(owner, ORDER, json!({ "policy_ids": order }))
                        .await
                }
            }
        }
    });
    let answers = futures_util::future::join_all(acts).await;
    let mut done = 0;
    for answer in &answers {
        let is_known = answer.status.is_success() || [400, 422].contains(&answer.status.as_u16());
        assert!(is_known, "{}", answer.text);
        done += usize::from(answer.status.is_success());
    }
    assert!(done > 1, "nothing was done");
    let list = gateway.get(owner, POLICIES).await;
    let rows = list.body["data"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[5]["id"]), (6, &json!(all)));
    let has_conditions = |row: &Value| row["conditions"]["priorities"] != json!([]);
    let with: Vec<bool> = rows.iter().map(has_conditions).collect();
    assert_eq!(with, [true, true, true, true, true, false]);
    let mut places: Vec<i32> =
        sqlx::query_scalar("select ordinal from sla_policies where brand_id = $1 order by 1")
            .bind(owner.brand.0)
            .fetch_all(&mut gateway.db.owner().await)
            .await
            .unwrap();
    places.dedup();
    assert_eq!(places, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_editors_at_once_one_is_told_that_it_has_changed() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let path = standard(&gateway, &brand).await;
    let edit = |percent: i64| {
        let body = Some(json!({ "warnings": [percent] }));
        let headers = [("if-match", "\"1\"")];
        let (gateway, path, owner) = (&gateway, &path, &brand.owner);
        async move {
            gateway
                .call(Some(owner), Method::PATCH, path, body, &headers)
                .await
        }
    };
    let (one, other) = tokio::join!(edit(40), edit(60));
    let (done, refused) = if one.status.is_success() {
        (one, other)
    } else {
        (other, one)
    };
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(refusal(&refused), (409, "version_conflict"));
    assert_eq!(refused.body["current_version"], 2);
    let now = gateway.get(&brand.owner, &path).await;
    assert_eq!(now.body["warnings"], done.body["warnings"]);
    // A rename counts too, and is a version of its own.
    let renamed = gateway
        .patch(&brand.owner, &path, json!({ "name": "Everybody" }))
        .await;
    assert_eq!(renamed.headers["etag"], "\"3\"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_clocks_move_to_a_new_version_only_when_somebody_confirms_it() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let owner = &brand.owner;
    writes(&gateway, &brand, "77", "hello").await;
    let path = standard(&gateway, &brand).await;
    let reapply = format!("{path}/reapply");
    // Nothing to move: the clock runs by the present version. A new name alone changes no clock.
    let renamed = gateway
        .patch(owner, &path, json!({ "name": "Everybody" }))
        .await;
    assert_eq!(renamed.status, 200, "{}", renamed.text);
    let asked = gateway.post(owner, &reapply, json!({})).await;
    assert_eq!(refusal(&asked), (422, "confirmation_needed"));
    assert_eq!(
        (asked.pointers(), &asked.body["clocks"]),
        (vec!["/confirm"], &json!(0))
    );

    let target = json!({ "targets": { "first_response": { "seconds": 1800 } } });
    assert_eq!(gateway.patch(owner, &path, target).await.status, 200);
    let asked = gateway.post(owner, &reapply, json!({})).await;
    assert_eq!(asked.body["clocks"], 1);
    let stale = [("if-match", "\"2\"")];
    let body = Some(json!({ "confirm": true }));
    let stale = gateway.call(Some(owner), Method::POST, &reapply, body.clone(), &stale);
    assert_eq!(refusal(&stale.await), (409, "version_conflict"));
    let begun = gateway
        .post(owner, &reapply, json!({ "confirm": true }))
        .await;
    assert_eq!(begun.status, 202, "{}", begun.text);
    assert_eq!(
        (
            &begun.body["clocks"],
            &begun.body["policy_version"],
            &begun.body["finished_at"]
        ),
        (&json!(1), &json!(3), &Value::Null)
    );
    let twice = gateway
        .post(owner, &reapply, json!({ "confirm": true }))
        .await;
    assert_eq!(refusal(&twice), (409, "reapply_in_progress"));
    let list = gateway.get(owner, &format!("{path}/reapplies")).await;
    assert_eq!(list.ids(), [begun.body["id"].as_str().unwrap()]);
    assert_eq!(list.body["data"][0]["moved"], 0);
    let told = gateway.audit(&brand).await;
    let policy: PolicyId = path.rsplit('/').next().unwrap().parse().unwrap();
    assert_eq!(
        told[0],
        ("sla_policy.reapplied".to_owned(), policy.to_string())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_brand_has_fifty_policies_at_the_most() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    for number in 1..50 {
        make(&gateway, &brand.owner, urgent(&format!("Policy {number}"))).await;
    }
    let refused = gateway
        .post(&brand.owner, POLICIES, urgent("One more"))
        .await;
    assert_eq!(refusal(&refused), (422, "quota_exceeded"));
    assert_eq!(names(&gateway, &brand).await.len(), 50);
}
