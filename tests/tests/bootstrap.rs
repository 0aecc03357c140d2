//! Making a database on a server that others may use.

use roost_store::bootstrap::{BootstrapError, Passwords, bootstrap, drop_database};
use roost_tests::db::{TestDb, setting};
use secrecy::SecretString;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn roles_of_another_install_keep_their_password() {
    // Makes sure that the roles are there, with the tests' password.
    let _db = TestDb::new().await;
    let admin = SecretString::from(setting("ROOST_TEST_ADMIN_URL"));
    let name = format!("roost_test_{}", Uuid::now_v7().simple());
    let other = SecretString::from("another password".to_owned());
    let refused = bootstrap(&admin, &name, &other, Passwords::Keep).await;
    assert!(matches!(
        refused,
        Err(BootstrapError::OtherPassword {
            role: "roost_owner"
        })
    ));
    let known = SecretString::from("test-only".to_owned());
    // Twice: it is idempotent.
    bootstrap(&admin, &name, &known, Passwords::Keep)
        .await
        .unwrap();
    bootstrap(&admin, &name, &known, Passwords::Keep)
        .await
        .unwrap();
    drop_database(&admin, &name).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_name_that_needs_quoting_is_refused() {
    let admin = SecretString::from(setting("ROOST_TEST_ADMIN_URL"));
    let password = SecretString::from("test-only".to_owned());
    for name in ["", "Roost", "a-b", "a;drop database postgres", "ä"] {
        let refused = bootstrap(&admin, name, &password, Passwords::Keep).await;
        assert!(matches!(refused, Err(BootstrapError::Name)), "{name:?}");
    }
}
