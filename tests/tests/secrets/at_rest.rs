//! What the database holds, and where it opens.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use roost_domain::ids::ChannelId;
use roost_store::StoreError;
use roost_store::seal::Sealer;
use roost_tests::db::{TestDb, key_ring, secrets_key};

use crate::support::{CANARY, connect, dump, fill, sealer, token};

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_of_the_database_holds_no_secret_in_any_form() {
    let db = TestDb::new().await;
    let brand = db.brand("visible-brand", 0).await;
    fill(&db, &brand, &sealer(&["only"])).await;
    let dump = dump(&db).await;
    let hex = |text: &str| text.bytes().map(|b| format!("{b:02x}")).collect::<String>();
    assert!(
        dump.contains("visible-brand"),
        "the search finds what is there"
    );
    assert!(
        dump.contains(&hex("\u{1}\0\u{4}only")),
        "sealed values are there"
    );
    let key = STANDARD.decode(secrets_key("only")).unwrap();
    let key: String = key.iter().map(|b| format!("{b:02x}")).collect();
    for secret in [CANARY, &hex(CANARY), &STANDARD.encode(CANARY), &key] {
        assert!(!dump.contains(secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_moved_to_another_row_or_brand_does_not_open() {
    let db = TestDb::new().await;
    let (first, second) = (db.brand("First", 0).await, db.brand("Second", 0).await);
    let sealer = sealer(&["only"]);
    connect(&db, &first, &sealer, "first").await;
    connect(&db, &second, &sealer, "second").await;
    let other = ChannelId(uuid::Uuid::now_v7());
    let mut owner = db.owner().await;
    for statement in [
        // Another channel of the same brand, then the other brand's.
        "insert into channels (brand_id, id, platform, app, account_id, handle, name, credentials)
         select brand_id, $3, 'x', 'main', '1', 'copy', 'copy', credentials from channels where id = $1 and $2 <> $1",
        "update channels set credentials = (select credentials from channels where id = $1)
         where id = $2 and $3 is not null",
    ] {
        sqlx::query(statement)
            .bind(first.channel.0)
            .bind(second.channel.0)
            .bind(other.0)
            .execute(&mut owner)
            .await
            .unwrap();
    }
    assert_eq!(
        token(&db, &first, first.channel, &sealer).await.unwrap(),
        "first"
    );
    for (brand, channel) in [(&first, other), (&second, second.channel)] {
        let moved = token(&db, brand, channel, &sealer).await;
        assert!(matches!(moved, Err(StoreError::Sealed)), "{moved:?}");
    }
    // With the first brand's key in its row the second still can't read it.
    sqlx::query(
        "update brand_keys set wrapped = (select wrapped from brand_keys where brand_id = $1) where brand_id = $2",
    )
    .bind(first.id.0)
    .bind(second.id.0)
    .execute(&mut owner)
    .await
    .unwrap();
    let fresh = Sealer::new(key_ring(&["only"]));
    let moved = token(&db, &second, second.channel, &fresh).await;
    assert!(matches!(moved, Err(StoreError::Sealed)), "{moved:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn first_uses_at_the_same_time_make_one_key() {
    let db = Arc::new(TestDb::new().await);
    let brand = db.brand("Acme", 0).await;
    let processes: Vec<Sealer> = (0..4).map(|_| sealer(&["only"])).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        let (db, brand, sealer) = (
            Arc::clone(&db),
            brand.clone(),
            processes[number % 4].clone(),
        );
        tasks.spawn(async move { connect(&db, &brand, &sealer, &number.to_string()).await });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let keys: i64 = sqlx::query_scalar("select count(*) from brand_keys")
        .fetch_one(&mut db.owner().await)
        .await
        .unwrap();
    assert_eq!(keys, 1);
    for sealer in processes.iter().chain([&sealer(&["only"])]) {
        token(&db, &brand, brand.channel, sealer).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_made_in_a_transaction_that_is_rolled_back_is_forgotten() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 0).await;
    let sealer = sealer(&["only"]);
    let first = sealer.clone();
    let rolled_back: Result<(), StoreError> = db
        .store
        .brand(brand.id, move |tx| {
            Box::pin(async move {
                first.brand(tx).await?;
                first.brand(tx).await?;
                Err(StoreError::Died)
            })
        })
        .await;
    assert!(rolled_back.is_err());
    connect(&db, &brand, &sealer, "token").await;
    // Another process knows only what the database has.
    let other = Sealer::new(key_ring(&["only"]));
    assert_eq!(
        token(&db, &brand, brand.channel, &other).await.unwrap(),
        "token"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_brand_that_was_met_before_costs_no_round_trip() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 0).await;
    let sealer = sealer(&["only"]);
    connect(&db, &brand, &sealer, "token").await;
    token(&db, &brand, brand.channel, &sealer).await.unwrap();
    sqlx::query("delete from brand_keys")
        .execute(&mut db.owner().await)
        .await
        .unwrap();
    let known = token(&db, &brand, brand.channel, &sealer).await;
    assert_eq!(known.unwrap(), "token", "nobody asked the database");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_can_neither_change_nor_remove_a_data_key() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 0).await;
    connect(&db, &brand, &sealer(&["only"]), "token").await;
    for statement in ["delete from brand_keys", "update brand_keys set key_no = 2"] {
        let refused: Result<(), StoreError> = db
            .store
            .brand(brand.id, move |tx| {
                Box::pin(async move {
                    sqlx::query(statement).execute(tx.conn()).await?;
                    Ok(())
                })
            })
            .await;
        assert!(
            matches!(refused, Err(StoreError::Statement(_))),
            "{refused:?}"
        );
    }
}
