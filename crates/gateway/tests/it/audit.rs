//! The audit log: what it tells, and that nobody can change it unnoticed.

use std::fmt::Write as _;

use roost_domain::ids::{AuditId, BrandId};
use roost_store::StoreError;
use roost_store::audit::verify::{Fault, Report, verify};
use roost_store::audit::{Auditor, Head, untold_heads};
use serde_json::json;
use uuid::Uuid;

use crate::harness::{Brand, Gateway};

/// The key of the harness.
fn auditor() -> Auditor {
    Auditor::new([1; 32])
}

async fn check(gateway: &Gateway, brand: BrandId, heads: &[Head]) -> Report {
    let reports = verify(&gateway.db.owner_url, &auditor(), Some(brand), heads)
        .await
        .unwrap();
    assert_eq!(reports.len(), 1);
    reports.into_iter().next().unwrap()
}

/// A brand with a log of five lines.
async fn five_lines(gateway: &Gateway, name: &str) -> Brand {
    let brand = gateway.brand(name).await;
    // The first one tells of the sign-up.
    for _ in 0..4 {
        gateway.key(&brand, "agent", &["settings:read"]).await;
    }
    brand
}

async fn tamper(gateway: &Gateway, brand: &Brand, statements: &[&'static str]) {
    let mut db = gateway.db.owner().await;
    for statement in statements {
        sqlx::query(*statement)
            .bind(brand.owner.brand.0)
            .execute(&mut db)
            .await
            .unwrap();
    }
}

async fn id_of(gateway: &Gateway, brand: &Brand, seq: i64) -> AuditId {
    let mut db = gateway.db.owner().await;
    let id: Uuid = sqlx::query_scalar("select id from audit_log where brand_id = $1 and seq = $2")
        .bind(brand.owner.brand.0)
        .bind(seq)
        .fetch_one(&mut db)
        .await
        .unwrap();
    AuditId(id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_deleted_or_moved_is_named() {
    let gateway = Gateway::start().await;
    let whole = five_lines(&gateway, "Whole").await;
    let report = check(&gateway, whole.owner.brand, &[]).await;
    assert_eq!(
        (report.lines, report.head.seq, report.faults),
        (5, 5, vec![])
    );

    for flip in [
        "update audit_log set after = after || ' ' where brand_id = $1 and seq = 3",
        "update audit_log set actor_id = null where brand_id = $1 and seq = 3",
        "update audit_log set at = at + interval '1 microsecond' where brand_id = $1 and seq = 3",
        "update audit_log set address = '198.51.100.1' where brand_id = $1 and seq = 3",
        "update audit_log set action = 'api_key.revoked' where brand_id = $1 and seq = 3",
        "update audit_log set hash = set_byte(hash, 0, get_byte(hash, 0) # 1) where brand_id = $1 and seq = 3",
    ] {
        let brand = five_lines(&gateway, "Flip").await;
        tamper(&gateway, &brand, &[flip]).await;
        let id = id_of(&gateway, &brand, 3).await;
        let report = check(&gateway, brand.owner.brand, &[]).await;
        assert_eq!(report.faults, [Fault::Changed { seq: 3, id }], "{flip}");
    }

    let brand = five_lines(&gateway, "Delete").await;
    tamper(
        &gateway,
        &brand,
        &["delete from audit_log where brand_id = $1 and seq in (2, 3)"],
    )
    .await;
    let report = check(&gateway, brand.owner.brand, &[]).await;
    assert_eq!(report.faults, [Fault::Deleted { first: 2, last: 3 }]);

    let brand = five_lines(&gateway, "Cut").await;
    tamper(
        &gateway,
        &brand,
        &["delete from audit_log where brand_id = $1 and seq >= 4"],
    )
    .await;
    let report = check(&gateway, brand.owner.brand, &[]).await;
    assert_eq!(report.faults, [Fault::Deleted { first: 4, last: 5 }]);

    let brand = five_lines(&gateway, "Renumber").await;
    let gone = [
        "delete from audit_log where brand_id = $1 and seq = 2",
        "update audit_log set seq = -seq where brand_id = $1 and seq > 2",
        "update audit_log set seq = -seq - 1 where brand_id = $1 and seq < 0",
        "update audit_heads set seq = 4 where brand_id = $1",
    ];
    tamper(&gateway, &brand, &gone).await;
    let report = check(&gateway, brand.owner.brand, &[]).await;
    assert!(!report.faults.is_empty());

    let brand = five_lines(&gateway, "Swap").await;
    let (second, third) = (
        id_of(&gateway, &brand, 2).await,
        id_of(&gateway, &brand, 3).await,
    );
    let swap = [
        "update audit_log set seq = -2 where brand_id = $1 and seq = 2",
        "update audit_log set seq = 2 where brand_id = $1 and seq = 3",
        "update audit_log set seq = 3 where brand_id = $1 and seq = -2",
    ];
    tamper(&gateway, &brand, &swap).await;
    let report = check(&gateway, brand.owner.brand, &[]).await;
    let moved = [
        Fault::Moved {
            seq: 2,
            from: 3,
            id: third,
        },
        Fault::Moved {
            seq: 3,
            from: 2,
            id: second,
        },
    ];
    assert_eq!(report.faults, moved);

    // A stranger's key makes nothing of any of it.
    let stranger = Auditor::new([2; 32]);
    let only = Some(whole.owner.brand);
    let reports = verify(&gateway.db.owner_url, &stranger, only, &[])
        .await
        .unwrap();
    assert_eq!(reports[0].faults.len(), 5);
    assert_eq!(check(&gateway, whole.owner.brand, &[]).await.faults, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_cut_off_with_its_head_is_found_out_by_the_head_that_was_told() {
    let gateway = Gateway::start().await;
    let brand = five_lines(&gateway, "Harbor").await;
    let id = brand.owner.brand;
    let before = check(&gateway, id, &[]).await.head;
    assert_eq!(
        check(&gateway, id, std::slice::from_ref(&before))
            .await
            .faults,
        []
    );
    let cut = [
        "delete from audit_log where brand_id = $1 and seq >= 4",
        "update audit_heads h set seq = l.seq, hash = l.hash from audit_log l
         where h.brand_id = $1 and l.brand_id = $1 and l.seq = 3",
    ];
    tamper(&gateway, &brand, &cut).await;
    assert_eq!(
        check(&gateway, id, &[]).await.faults,
        [],
        "the chain alone is whole"
    );
    let told = check(&gateway, id, std::slice::from_ref(&before)).await;
    assert_eq!(told.faults, [Fault::Foretold { seq: 5 }]);
    let gone = [
        "delete from audit_log where brand_id = $1",
        "delete from audit_heads where brand_id = $1",
    ];
    tamper(&gateway, &brand, &gone).await;
    let told = check(&gateway, id, std::slice::from_ref(&before)).await;
    assert_eq!(
        (told.lines, told.faults),
        (0, vec![Fault::Foretold { seq: 5 }])
    );
    let other = Head {
        hash: vec![0; 32],
        ..before
    };
    let brand = five_lines(&gateway, "Other").await;
    let wrong = Head {
        brand: brand.owner.brand,
        ..other
    };
    let told = check(&gateway, brand.owner.brand, &[wrong]).await;
    assert_eq!(told.faults, [Fault::Foretold { seq: 5 }]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_brands_head_is_told_once_a_day() {
    let gateway = Gateway::start().await;
    let brand = five_lines(&gateway, "Harbor").await;
    let ask = async || {
        let told = gateway
            .db
            .store
            .system(|tx| Box::pin(untold_heads(tx, 100)));
        let told: Result<Vec<Head>, StoreError> = told.await;
        told.unwrap()
    };
    // The gateway may have told it already.
    tamper(
        &gateway,
        &brand,
        &["update audit_heads set told_on = current_date - 1 where brand_id = $1"],
    )
    .await;
    let told = ask().await;
    assert_eq!(told, [check(&gateway, brand.owner.brand, &[]).await.head]);
    assert_eq!(ask().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_services_can_write_lines_and_change_none() {
    let gateway = Gateway::start().await;
    let brand = five_lines(&gateway, "Harbor").await;
    for statement in [
        "update audit_log set action = 'x'",
        "delete from audit_log",
        "truncate audit_log",
        "alter table audit_log disable row level security",
    ] {
        let refused: Result<(), StoreError> = gateway
            .db
            .store
            .brand(brand.owner.brand, move |tx| {
                Box::pin(async move {
                    sqlx::query(statement).execute(tx.conn()).await?;
                    Ok(())
                })
            })
            .await;
        assert!(refused.is_err(), "{statement}");
    }
    assert_eq!(check(&gateway, brand.owner.brand, &[]).await.faults, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_read_newest_first_and_filtered() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let admin = gateway.member(&brand, "admin").await;
    let key = gateway.key(&brand, "agent", &["settings:read"]).await;
    gateway
        .patch(&admin, &key.path, json!({ "name": "Renamed" }))
        .await;
    gateway.delete(&admin, &key.path).await;
    let target = key.path.rsplit('/').next().unwrap();
    let all = gateway.get(&brand.owner, "/v1/audit-log").await;
    let actions = |answer: &crate::harness::Answer| {
        let rows = answer.body["data"].as_array().unwrap().clone();
        rows.iter().fold(String::new(), |mut all, row| {
            write!(
                all,
                "{} ",
                row["action"]
                    .as_str()
                    .unwrap()
                    .trim_start_matches("api_key.")
            )
            .unwrap();
            all
        })
    };
    assert_eq!(
        actions(&all),
        "revoked changed created session.opened brand.signed_up "
    );
    let changed = &all.body["data"][1];
    assert_eq!(changed["before"]["name"], "Robot");
    assert_eq!(changed["after"]["name"], "Renamed");
    assert_eq!(
        changed["actor"],
        json!({ "type": "member", "id": admin.member })
    );
    assert_eq!(
        changed["target"],
        json!({ "type": "api_key", "id": target })
    );
    assert_eq!(changed["address"], "127.0.0.1");
    assert!(changed["request_id"].is_string() && changed["hash"].as_str().unwrap().len() == 64);
    let at = changed["at"].as_str().unwrap();
    for (query, wanted) in [
        ("action=api_key.revoked".to_owned(), "revoked "),
        ("action=api_key.*".to_owned(), "revoked changed created "),
        (
            "action=api_key.created&action=api_key.changed".to_owned(),
            "changed created ",
        ),
        ("action=api.*".to_owned(), ""),
        (
            format!("actor_id={}", brand.owner.member),
            "created brand.signed_up ",
        ),
        (
            format!("actor_id={}&action=api_key.revoked", admin.member),
            "revoked ",
        ),
        (
            format!("target_id={target}&target_type=api_key"),
            "revoked changed created ",
        ),
        ("target_type=team".to_owned(), ""),
        ("after=2099-01-01T00:00:00Z".to_owned(), ""),
        (
            format!("before={at}"),
            "created session.opened brand.signed_up ",
        ),
    ] {
        let answer = gateway
            .get(&brand.owner, &format!("/v1/audit-log?{query}"))
            .await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        assert_eq!(actions(&answer), wanted, "{query}");
    }
    for (query, pointer) in [
        ("action=A*", "/query/action"),
        ("action=", "/query/action"),
        ("actor_id=1", "/query/actor_id"),
        ("target_id=conv", "/query/target_id"),
        ("after=yesterday", "/query/after"),
        ("limit=0", "/query/limit"),
        ("who=me", "/query/who"),
    ] {
        let answer = gateway
            .get(&brand.owner, &format!("/v1/audit-log?{query}"))
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.pointers()),
            (400, vec![pointer]),
            "{query}"
        );
    }
    let first = gateway.get(&brand.owner, "/v1/audit-log?limit=2").await;
    let next = first.body["next_cursor"].as_str().unwrap();
    let second = gateway
        .get(
            &brand.owner,
            &format!("/v1/audit-log?limit=2&cursor={next}"),
        )
        .await;
    assert_eq!(
        (
            actions(&second).as_str(),
            second.body["next_cursor"].is_null()
        ),
        ("created session.opened ", false)
    );
    let other = gateway
        .get(
            &brand.owner,
            &format!("/v1/audit-log?action=api_key.*&cursor={next}"),
        )
        .await;
    assert_eq!(other.code(), "cursor_mismatch");
    // One line; not for other brands, nor for lower roles.
    let path = format!("/v1/audit-log/{}", changed["id"].as_str().unwrap());
    assert_eq!(gateway.get(&brand.owner, &path).await.body, *changed);
    let theirs = gateway.brand("Theirs").await;
    assert_eq!(gateway.get(&theirs.owner, &path).await.status, 404);
    assert_eq!(
        gateway
            .get(&theirs.owner, "/v1/audit-log")
            .await
            .ids()
            .len(),
        1,
        "their own sign-up"
    );
    let supervisor = gateway.member(&brand, "supervisor").await;
    assert_eq!(gateway.get(&supervisor, "/v1/audit-log").await.status, 403);
}
