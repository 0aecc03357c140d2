//! Moving from one of the operator's keys to another.

use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use roost_store::seal::rotate::RotateError;
use roost_store::{StoreError, dead};
use roost_tests::db::{TestDb, secrets_key, setting};
use roost_tests::process::clean;
use secrecy::{ExposeSecret as _, SecretString};

use crate::support::{CANARY, all_opens, connect, dump, fill, keeper, sealer, token};

#[tokio::test(flavor = "multi_thread")]
async fn after_a_rotation_everything_opens_without_the_old_key() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 0).await;
    fill(&db, &brand, &sealer(&["old"])).await;
    let mut keeper = keeper(&db, &["new", "old"]).await;
    let rotated = keeper.rotate().await.unwrap();
    assert_eq!(
        rotated.moved,
        [
            ("brand_keys", 1),
            ("dead_messages", 1),
            ("connect_requests", 1),
            ("mails", 0),
            ("users", 0)
        ]
    );
    assert_eq!(rotated.unreadable, Vec::<String>::new());
    let uses = keeper.uses().await.unwrap();
    assert_eq!(uses.len(), 1);
    assert_eq!(
        (
            uses[0].id.as_str(),
            uses[0].brand_keys,
            uses[0].dead_letters,
            uses[0].connect_requests
        ),
        ("new", 1, 1, 1)
    );
    let again = keeper.rotate().await.unwrap();
    assert!(
        again.moved.iter().all(|(_, moved)| *moved == 0),
        "{again:?}"
    );
    all_opens(&db, &brand, &sealer(&["new"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_that_is_needed_nothing_opens_and_nothing_is_rotated() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 0).await;
    fill(&db, &brand, &sealer(&["lost"])).await;
    let hasty = sealer(&["new"]);
    let refused = token(&db, &brand, brand.channel, &hasty).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::MissingKey { id } if id == "lost"),
        "{refused}"
    );
    assert_eq!(hasty.missing_keys(&db.store).await.unwrap(), ["lost"]);
    let before = dump(&db).await;
    let refused = keeper(&db, &["new"]).await.rotate().await.unwrap_err();
    assert!(
        matches!(&refused, RotateError::MissingKeys { ids } if ids == &["lost"]),
        "{refused}"
    );
    assert_eq!(dump(&db).await, before);
    all_opens(&db, &brand, &sealer(&["lost"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_go_on_sealing_and_opening_while_keys_are_rotated() {
    let db = Arc::new(TestDb::new().await);
    let mut brands = Vec::new();
    for number in 0..3 {
        brands.push(db.brand(&format!("Brand {number}"), 0).await);
    }
    let done = Arc::new(AtomicBool::new(false));
    // Each has both keys; the one that started earlier has the old one first.
    let services = [["old", "new"], ["new", "old"]].map(|keys| {
        let (db, brands, done) = (Arc::clone(&db), brands.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let mut rounds = 0;
            while !done.load(Ordering::Relaxed) || rounds < 3 {
                for brand in &brands {
                    // As a process that has just started.
                    let sealer = sealer(&keys);
                    connect(&db, brand, &sealer, "token").await;
                    assert_eq!(
                        token(&db, brand, brand.channel, &sealer).await.unwrap(),
                        "token"
                    );
                    let body = uuid::Uuid::new_v4();
                    dead::record(&db.store, &sealer, "q", None, "junk", body.as_bytes())
                        .await
                        .unwrap();
                }
                rounds += 1;
            }
        })
    });
    let mut keeper = keeper(&db, &["new", "old"]).await;
    for _ in 0..10 {
        assert!(keeper.rotate().await.unwrap().unreadable.is_empty());
    }
    done.store(true, Ordering::Relaxed);
    for service in services {
        service.await.unwrap();
    }
    keeper.rotate().await.unwrap();
    let new = sealer(&["new"]);
    for brand in &brands {
        token(&db, brand, brand.channel, &new).await.unwrap();
    }
    for letter in dead::list(&db.store, 1_000).await.unwrap() {
        dead::open(&db.store, &new, letter.id)
            .await
            .unwrap()
            .unwrap();
    }
}

fn roost(db: &TestDb, keys: &[&str], args: &[&str]) -> Output {
    let ring: Vec<String> = keys
        .iter()
        .map(|id| format!("{id}:{}", secrets_key(id)))
        .collect();
    let url = |url: &SecretString| url.expose_secret().to_owned();
    clean(&setting("ROOST_TEST_ROOST_BIN"))
        .args(args)
        .env("ROOST_DATABASE_URL", url(&db.owner_url))
        .env("ROOST_DATABASE_APP_URL", url(&db.app_url))
        .env("ROOST_DATABASE_INGEST_URL", url(&db.ingest_url))
        .env("ROOST_REDIS_URL", setting("ROOST_TEST_REDIS_URL"))
        .env("ROOST_AMQP_URL", setting("ROOST_TEST_AMQP_URL"))
        .env(
            "ROOST_PREFIX",
            format!("t{}", uuid::Uuid::now_v7().simple()),
        )
        .env("ROOST_OPS_LISTEN", "127.0.0.1:0")
        .env("ROOST_SECRETS_KEYS", ring.join(","))
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_the_keys_rotates_them_and_is_told_what_is_missing() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 0).await;
    fill(&db, &brand, &sealer(&["old"])).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // A service that lacks a key ends and says which; so does the command.
    for args in [&["sender"][..], &["keys", "rotate"][..]] {
        let refused = roost(&db, &["new"], args);
        assert!(!refused.status.success(), "{args:?}");
        let said = text(&refused.stderr);
        assert!(said.contains("secrets_keys lacks old"), "{args:?}: {said}");
    }
    let listed = text(&roost(&db, &["new", "old"], &["keys", "list"]).stdout);
    let words = |line: usize| -> Vec<&str> {
        listed
            .lines()
            .nth(line)
            .unwrap()
            .split_whitespace()
            .collect()
    };
    assert_eq!(words(1), ["new", "active", "0", "0", "0", "0", "0"]);
    assert_eq!(words(2), ["old", "opens", "1", "1", "1", "0", "0"]);
    let rotated = roost(&db, &["new", "old"], &["keys", "rotate"]);
    assert!(rotated.status.success(), "{}", text(&rotated.stderr));
    assert!(text(&rotated.stdout).contains("no stored value needs old any more"));
    let listed = roost(&db, &["new"], &["keys", "list"]);
    assert!(
        text(&listed.stdout)
            .lines()
            .nth(1)
            .unwrap()
            .contains("active")
    );
    all_opens(&db, &brand, &sealer(&["new"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_does_not_open_is_named_and_the_others_are_moved() {
    let db = TestDb::new().await;
    let (good, bad) = (db.brand("Good", 0).await, db.brand("Bad", 0).await);
    for brand in [&good, &bad] {
        connect(&db, brand, &sealer(&["old"]), CANARY).await;
    }
    sqlx::query("update brand_keys set wrapped = wrapped || '\\x00' where brand_id = $1")
        .bind(bad.id.0)
        .execute(&mut db.owner().await)
        .await
        .unwrap();
    let mut keeper = keeper(&db, &["new", "old"]).await;
    let rotated = keeper.rotate().await.unwrap();
    assert_eq!(rotated.moved[0], ("brand_keys", 1));
    assert_eq!(rotated.unreadable, [format!("brand_keys {}/1", bad.id.0)]);
    token(&db, &good, good.channel, &sealer(&["new"]))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_key_is_lost_for_good_the_others_go_on_and_its_channels_are_connected_again() {
    let db = TestDb::new().await;
    let (kept, hit) = (db.brand("Kept", 0).await, db.brand("Hit", 0).await);
    connect(&db, &kept, &sealer(&["new"]), "kept").await;
    fill(&db, &hit, &sealer(&["lost"])).await;
    let needed = roost(&db, &["new"], &["keys", "forget", "new"]);
    assert!(!needed.status.success(), "a key that is there isn't lost");
    let unknown = roost(&db, &["new"], &["keys", "forget", "typo"]);
    assert!(!unknown.status.success());
    let forgotten = roost(&db, &["new"], &["keys", "forget", "lost"]);
    let said = String::from_utf8_lossy(&forgotten.stdout).into_owned();
    assert!(
        said.starts_with("1 data keys, 1 dead letters, 1 connections"),
        "{said}"
    );
    assert!(said.contains("1 channels have"), "{said}");
    let new = sealer(&["new"]);
    assert_eq!(
        new.missing_keys(&db.store).await.unwrap(),
        Vec::<String>::new()
    );
    let status: String = sqlx::query_scalar("select status from channels where id = $1")
        .bind(hit.channel.0)
        .fetch_one(&mut db.owner().await)
        .await
        .unwrap();
    assert_eq!(status, "reauth_required");
    connect(&db, &hit, &new, "again").await;
    for (brand, expected) in [(&kept, "kept"), (&hit, "again")] {
        let opened = token(&db, brand, brand.channel, &new).await;
        assert_eq!(opened.unwrap(), expected);
    }
}
