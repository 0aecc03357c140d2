//! Who may do what: each role and each scope on each operation.

use roost_domain::role::{Permission, Role};
use serde_json::json;

use crate::document::{Document, Operation};
use crate::harness::{Gateway, Person};

/// What the table says of some operations, said once more by hand: the least role that may.
const SPOT_CHECKS: &[(&str, &str)] = &[
    ("GET /v1/conversations", "analyst"),
    ("POST /v1/conversations/{id}/messages", "agent"),
    ("PATCH /v1/conversations/{id}", "agent"),
    ("POST /v1/teams", "supervisor"),
    ("GET /v1/sla-policies", "analyst"),
    ("PUT /v1/sla-policies/order", "supervisor"),
    ("PATCH /v1/members/{id}", "admin"),
    ("POST /v1/channels/x/connect", "admin"),
    ("DELETE /v1/channels/{id}", "admin"),
];

/// Whether the gate let somebody through to the handler.
async fn is_let_in(gateway: &Gateway, who: &Person, operation: &Operation) -> bool {
    let path = operation
        .path
        .replace("{id}", "conv_01h455vb4pex5vsknk084sn02q");
    // A body that no operation takes: nobody gets further than its check.
    let body = Some(json!({ "no such field": 1 }));
    let answer = gateway
        .call(Some(who), operation.method.clone(), &path, body, &[])
        .await;
    assert!(answer.status.as_u16() < 500, "{path}: {}", answer.text);
    assert_ne!(answer.status, 401, "{path}: {}", answer.text);
    answer.code() != "forbidden"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_gets_through_to_exactly_what_the_table_gives_it() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let document = Document::of(&gateway).await;
    let operations = document.operations();
    let mut refused = 0;
    for role in Role::ALL {
        let person = gateway.member(&brand, role.as_str()).await;
        for operation in &operations {
            // What signs the person out would end the walk.
            if operation.is_public() || ends_sessions(operation) {
                continue;
            }
            let expected = operation
                .scope()
                .is_none_or(|scope| role.allows(scope.parse::<Permission>().unwrap()));
            assert_eq!(
                is_let_in(&gateway, &person, operation).await,
                expected,
                "{role} at {}",
                operation.name()
            );
            refused += usize::from(!expected);
        }
    }
    assert!(refused > 20, "only {refused} refusals");
    for (name, least) in SPOT_CHECKS {
        let operation = operations.iter().find(|one| one.name() == *name).unwrap();
        let scope: Permission = operation.scope().unwrap().parse().unwrap();
        assert_eq!(scope.least_role().as_str(), *least, "{name}");
    }
}

fn ends_sessions(operation: &Operation) -> bool {
    operation.path.starts_with("/v1/sessions") || operation.name().starts_with("DELETE /v1/me")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_gets_through_with_the_scope_and_not_without_it() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let document = Document::of(&gateway).await;
    for operation in document.operations() {
        if operation.is_public() {
            continue;
        }
        let name = operation.name();
        let Some(scope) = operation.scope() else {
            // Persons only, whatever a key has.
            let key = gateway.api_key(&brand, "owner", None).await;
            assert!(!is_let_in(&gateway, &key, &operation).await, "{name}");
            continue;
        };
        let others: Vec<&str> = Permission::ALL
            .iter()
            .map(|permission| permission.as_str())
            .filter(|other| *other != scope)
            .collect();
        let with = gateway.api_key(&brand, "owner", Some(&[scope])).await;
        let without = gateway.api_key(&brand, "owner", Some(&others)).await;
        assert!(is_let_in(&gateway, &with, &operation).await, "{name}");
        assert!(!is_let_in(&gateway, &without, &operation).await, "{name}");
        // A scope gives nothing that the role hasn't.
        let weak = gateway.api_key(&brand, "analyst", Some(&[scope])).await;
        let may = Role::Analyst.allows(scope.parse().unwrap());
        assert_eq!(is_let_in(&gateway, &weak, &operation).await, may, "{name}");
    }
}
