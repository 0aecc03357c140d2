//! What every table and function of the schema must obey.

use roost_store::StoreError;
use roost_tests::db::TestDb;
use sqlx::Row;

#[tokio::test]
async fn every_table_of_a_brand_forces_row_level_security_with_a_policy_for_each_role() {
    let db = TestDb::new().await;
    let mut owner = db.owner().await;
    let bare: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition
           and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'brand_id')
           and not (c.relrowsecurity and c.relforcerowsecurity
                    and (select count(*) from pg_policy p where p.polrelid = c.oid) = 4)
         order by 1",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    // System tables that name a brand; no grant to the app role, which the next test holds.
    let system = [
        "channel_routes",
        "connect_requests",
        "dead_messages",
        "relay_marks",
        "sessions",
    ];
    assert_eq!(bare, system);
}

#[tokio::test]
async fn the_app_role_reaches_system_tables_only_through_functions() {
    let db = TestDb::new().await;
    let mut owner = db.owner().await;
    let granted: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition
           and has_table_privilege('roost_app', c.oid, 'select, insert, update, delete')
           and not c.relrowsecurity
         order by 1",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert_eq!(granted, Vec::<String>::new());
}

#[tokio::test]
async fn every_security_definer_function_has_a_fixed_search_path_and_belongs_to_the_cross_brand_role()
 {
    let db = TestDb::new().await;
    let mut owner = db.owner().await;
    let rows = sqlx::query(
        "select p.proname::text as name, pg_get_userbyid(p.proowner)::text as owner,
                array_to_string(p.proconfig, ',') as config
         from pg_proc p join pg_namespace n on n.oid = p.pronamespace
         where n.nspname = 'public' and p.prosecdef",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert!(rows.len() > 20, "the functions are there");
    for row in rows {
        let (name, owner, config): (String, String, Option<String>) =
            (row.get("name"), row.get("owner"), row.get("config"));
        assert_eq!(owner, "roost_cross", "{name}");
        // Planner settings may stand behind it.
        let path = config
            .as_deref()
            .map(|all| all.split(',').take(2).collect::<Vec<_>>().join(","));
        assert_eq!(
            path.as_deref(),
            Some("search_path=pg_catalog, public"),
            "{name}: {config:?}"
        );
    }
}

#[tokio::test]
async fn the_ingest_role_may_call_none_of_them() {
    let db = TestDb::new().await;
    let mut owner = db.owner().await;
    let callable: Vec<String> = sqlx::query_scalar(
        "select p.proname::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
         where n.nspname = 'public' and p.prosecdef
           and has_function_privilege('roost_ingest', p.oid, 'execute') order by 1",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert_eq!(callable, Vec::<String>::new());
}

#[tokio::test]
async fn no_role_is_a_superuser_or_bypasses_row_level_security() {
    let db = TestDb::new().await;
    let mut owner = db.owner().await;
    let strong: Vec<String> = sqlx::query_scalar(
        "select rolname::text from pg_roles where rolname like 'roost\\_%' and rolname <> 'roost_admin'
           and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb)",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert_eq!(strong, Vec::<String>::new());
}

#[tokio::test]
async fn a_brand_sees_its_own_rows_and_without_a_brand_there_are_none() {
    let db = TestDb::new().await;
    let ours = db.brand("Ours", 1).await;
    let theirs = db.brand("Theirs", 2).await;
    let count = |tx: &'static str| tx;
    let seen: i64 = db
        .store
        .brand(ours.id, move |tx| {
            Box::pin(async move {
                let all = count("select count(*) from members");
                Ok::<_, StoreError>(sqlx::query_scalar(all).fetch_one(tx.conn()).await?)
            })
        })
        .await
        .unwrap();
    assert_eq!(seen, 2);
    let none: i64 = db
        .store
        .system(|tx| {
            Box::pin(async move {
                let all = "select count(*) from members";
                Ok::<_, StoreError>(sqlx::query_scalar(all).fetch_one(tx.conn()).await?)
            })
        })
        .await
        .unwrap();
    assert_eq!(none, 0);
    let written: Result<(), StoreError> = db
        .store
        .brand(ours.id, move |tx| {
            Box::pin(async move {
                sqlx::query("insert into skills (brand_id, id, name) values ($1, $1, 'German')")
                    .bind(theirs.id.0)
                    .execute(tx.conn())
                    .await?;
                Ok(())
            })
        })
        .await;
    assert!(written.is_err(), "a row of another brand can't be written");
}
