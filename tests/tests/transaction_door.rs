//! Why nobody holds a transaction: the fault of sqlx 0.9.0, and that the door keeps it out.
//!
//! A future of `Pool::begin` that is dropped while its `BEGIN` is under way gives the connection back
//! inside an open transaction (launchbadge/sqlx#4385, #4393; fixed after 0.9.0 by #4394). Web servers
//! drop futures whenever a client goes away.

#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on fails where it stands"
)]

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use roost_store::{Store, StoreConfig, StoreError};
use roost_tests::db::TestDb;
use secrecy::ExposeSecret as _;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, PgConnection};

const DROPS: u32 = 400;

/// Drives a future until it has had to wait this often, then drops it: always at a moment at which
/// something is under way, however busy the machine.
async fn drop_at_wait<F: Future>(waits: u32, future: F) {
    let mut future = pin!(future);
    let mut left = waits;
    poll_fn(|context| {
        if future.as_mut().poll(context).is_ready() || left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        Poll::Pending
    })
    .await;
}

/// Drives a future for about this long, then drops it.
async fn drop_after<F: Future>(limit: Duration, future: F) {
    let mut future = pin!(future);
    let started = Instant::now();
    loop {
        let done = poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await;
        if done || started.elapsed() >= limit {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Sees how the sessions of the role stand, as only the role itself may.
struct Watcher(PgConnection);

impl Watcher {
    async fn new(db: &TestDb) -> Self {
        Self(
            PgConnection::connect(db.app_url.expose_secret())
                .await
                .unwrap(),
        )
    }

    /// Sessions that wait inside a transaction for somebody to go on.
    async fn open_transactions(&mut self) -> i64 {
        sqlx::query_scalar(
            "select count(*) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid() and state like 'idle in transaction%'",
        )
        .fetch_one(&mut self.0)
        .await
        .unwrap()
    }

    /// Whether what a caller that has gone left under way ends by itself, before the server ends it.
    async fn sees_the_end(&mut self) -> bool {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            if self.open_transactions().await == 0 {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        false
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the proof that it has to be disallowed"
)]
async fn a_cancelled_begin_still_poisons_a_pooled_connection() {
    let db = TestDb::new().await;
    let mut watcher = Watcher::new(&db).await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect(db.app_url.expose_secret())
        .await
        .unwrap();
    let mut poisoned = 0;
    for number in 0..DROPS {
        drop_at_wait(number % 4, pool.begin()).await;
        // Whoever borrows the connection next would work in the transaction of one who has gone.
        let mut next = pool.acquire().await.unwrap();
        sqlx::raw_sql("select 1").execute(&mut *next).await.unwrap();
        if watcher.open_transactions().await > 0 {
            poisoned += 1;
            sqlx::raw_sql("rollback").execute(&mut *next).await.unwrap();
        }
    }
    println!("{poisoned} of {DROPS} cancelled begins left an open transaction");
    assert!(
        poisoned > 0,
        "sqlx no longer leaves a cancelled begin open: the door of roost-store may be made simpler"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_caller_of_the_door_poisons_nothing() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 0).await;
    let mut watcher = Watcher::new(&db).await;
    let store = Store::new(&StoreConfig {
        app_url: db.app_url.clone(),
        ingest_url: db.ingest_url.clone(),
        app_connections: 1,
        ingest_connections: 1,
    })
    .unwrap();
    for number in 0..DROPS {
        let write = store.brand(brand.id, move |tx| {
            Box::pin(async move {
                sqlx::query("update brands set time_zone = 'UTC'")
                    .execute(tx.conn())
                    .await?;
                Ok::<_, StoreError>(())
            })
        });
        // From at once to after its end.
        let moment = Duration::from_micros(u64::from(number % 80) * 20);
        drop_after(moment, write).await;
        assert!(store.is_up().await);
        assert!(
            watcher.sees_the_end().await,
            "drop {number} left an open transaction"
        );
    }
}
