//! Work that the server's time limits end is told from a server that is away.

use std::time::Duration;

use roost_store::StoreError;
use roost_tests::db::TestDb;
use roost_tests::wait::until;

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_is_a_time_out() {
    let db = TestDb::new().await;
    let slow: Result<(), StoreError> = db
        .store
        .ingest(&[], |tx| {
            Box::pin(async move {
                for statement in ["set local statement_timeout = '20ms'", "select pg_sleep(5)"] {
                    sqlx::query(statement).execute(tx.conn()).await?;
                }
                Ok(())
            })
        })
        .await;
    let error = slow.unwrap_err();
    assert!(error.is_time_out() && error.is_transient(), "{error:?}");
    assert!(db.store.is_up().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_idles_too_long_is_a_time_out_though_its_connection_is_gone() {
    let db = TestDb::new().await;
    let (tell, told) = tokio::sync::oneshot::channel::<i32>();
    let (wake, woken) = tokio::sync::oneshot::channel::<()>();
    let store = db.store.clone();
    let idle = tokio::spawn(async move {
        let idle: Result<(), StoreError> = store
            .ingest(&[], |tx| {
                Box::pin(async move {
                    sqlx::query("set local idle_in_transaction_session_timeout = '20ms'")
                        .execute(tx.conn())
                        .await?;
                    let pid = sqlx::query_scalar("select pg_backend_pid()")
                        .fetch_one(tx.conn())
                        .await?;
                    tell.send(pid).unwrap();
                    woken.await.unwrap();
                    sqlx::query("select 1").execute(tx.conn()).await?;
                    Ok(())
                })
            })
            .await;
        idle
    });
    let pid = told.await.unwrap();
    until(
        "the server to end it",
        Duration::from_secs(10),
        async || {
            let mut owner = db.owner().await;
            let lives: bool =
                sqlx::query_scalar("select exists (select from pg_stat_activity where pid = $1)")
                    .bind(pid)
                    .fetch_one(&mut owner)
                    .await
                    .unwrap();
            (!lives).then_some(())
        },
    )
    .await;
    wake.send(()).unwrap();
    let error = idle.await.unwrap().unwrap_err();
    assert!(error.is_time_out() && error.is_transient(), "{error:?}");
    assert!(db.store.is_up().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_nobody_is_no_time_out() {
    let db = TestDb::new().await;
    db.store.close().await;
    let closed: Result<(), StoreError> = db
        .store
        .ingest(&[], |_| Box::pin(async move { Ok(()) }))
        .await;
    let error = closed.unwrap_err();
    assert!(!error.is_time_out() && error.is_transient(), "{error:?}");
}
