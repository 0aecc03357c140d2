//! Everything that is sealed, in one brand.

use roost_domain::ids::ChannelId;
use roost_store::channels::{self, ConnectRequest, Credentials, NewChannel};
use roost_store::ledger::Cause;
use roost_store::routes::Account;
use roost_store::seal::Sealer;
use roost_store::seal::rotate::Keeper;
use roost_store::{StoreError, dead};
use roost_tests::db::{Brand, TestDb, key_ring};
use secrecy::ExposeSecret as _;
use sqlx::AssertSqlSafe;

pub(crate) const CANARY: &str = "canary-7f3a91-never-in-the-clear";

pub(crate) fn sealer(keys: &[&str]) -> Sealer {
    Sealer::new(key_ring(keys))
}

pub(crate) async fn keeper(db: &TestDb, keys: &[&str]) -> Keeper {
    Keeper::connect(&db.owner_url, key_ring(keys))
        .await
        .unwrap()
}

/// Connects an account whose token and secret are these.
pub(crate) async fn connect(db: &TestDb, brand: &Brand, sealer: &Sealer, token: &str) {
    let new = NewChannel {
        account: Account {
            platform: "x".to_owned(),
            app: "main".to_owned(),
            account_id: brand.account_id.clone(),
        },
        handle: "harbor".to_owned(),
        credentials: Credentials {
            token: token.to_owned().into(),
            secret: CANARY.to_owned().into(),
        },
        x_app: None,
        name: None,
        team: None,
    };
    let sealer = sealer.clone();
    let connected = db
        .store
        .brand(brand.id, move |tx| {
            Box::pin(async move { channels::connect(tx, &new, &sealer, &Cause::system()).await })
        })
        .await
        .unwrap();
    assert_eq!(connected.channel, brand.channel);
}

pub(crate) async fn token(
    db: &TestDb,
    brand: &Brand,
    channel: ChannelId,
    sealer: &Sealer,
) -> Result<String, StoreError> {
    let sealer = sealer.clone();
    let found = db
        .store
        .brand(brand.id, move |tx| {
            Box::pin(async move { channels::credentials(tx, channel, &sealer).await })
        })
        .await?;
    Ok(found.unwrap().token.expose_secret().to_owned())
}

/// One of everything that is sealed.
pub(crate) async fn fill(db: &TestDb, brand: &Brand, sealer: &Sealer) {
    connect(db, brand, sealer, CANARY).await;
    dead::record(
        &db.store,
        sealer,
        "router.p0",
        None,
        "junk",
        CANARY.as_bytes(),
    )
    .await
    .unwrap();
    let request = ConnectRequest {
        token_hash: vec![1; 32],
        app: "main".to_owned(),
        brand: brand.id,
        member: brand.members[0],
        browser_hash: vec![2; 32],
        token_secret: CANARY.to_owned().into(),
    };
    let sealer = sealer.clone();
    db.store
        .system(move |tx| {
            Box::pin(async move { channels::begin_connect(tx, &request, &sealer).await })
        })
        .await
        .unwrap();
}

pub(crate) async fn all_opens(db: &TestDb, brand: &Brand, sealer: &Sealer) {
    let channel = brand.channel;
    assert_eq!(token(db, brand, channel, sealer).await.unwrap(), CANARY);
    let letter = dead::list(&db.store, 1).await.unwrap().remove(0);
    let opened = dead::open(&db.store, sealer, letter.id).await.unwrap();
    assert_eq!(opened.unwrap().body, CANARY.as_bytes());
    let sealer = sealer.clone();
    let begun = db
        .store
        .system(move |tx| {
            Box::pin(async move { channels::finish_connect(tx, &[1; 32], &[2; 32], &sealer).await })
        })
        .await
        .unwrap();
    assert_eq!(begun.unwrap().token_secret.expose_secret(), CANARY);
}

/// Every row of every table, as text.
pub(crate) async fn dump(db: &TestDb) -> String {
    let mut owner = db.owner().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I', c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'public' and c.relkind in ('r', 'p')",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    let mut text = String::new();
    for table in tables {
        let rows: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(format!("select t::text from {table} t")))
                .fetch_all(&mut owner)
                .await
                .unwrap();
        text.extend(rows);
    }
    text
}
