//! Bringing the schema up to date.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection};

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database can't be reached or refused a statement.
    #[error("cannot reach the database to migrate it")]
    Database(#[from] sqlx::Error),
    /// A migration failed.
    #[error("a migration failed")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// Another process has been migrating for too long.
    #[error("another process holds the migration lock")]
    Locked,
}

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// Any number will do, as long as nobody else takes it.
const LOCK: i64 = 0x726f_6f73_7400;

/// Applies every migration that is missing, as the owner.
///
/// sqlx's own lock waits inside a transaction, and a waiter deadlocks with `create index
/// concurrently`; so the lock is polled.
///
/// # Errors
/// When the database can't be reached, a migration fails, or another process migrates for a minute.
pub async fn migrate(owner_url: &SecretString) -> Result<(), MigrateError> {
    let mut connection = PgConnection::connect(owner_url.expose_secret()).await?;
    let mut tries = 0;
    while !sqlx::query_scalar::<_, bool>("select pg_try_advisory_lock($1)")
        .bind(LOCK)
        .fetch_one(&mut connection)
        .await?
    {
        tries += 1;
        if tries > 240 {
            return Err(MigrateError::Locked);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let mut migrator = Migrator {
        migrations: MIGRATOR.migrations.clone(),
        ..Migrator::DEFAULT
    };
    migrator.set_locking(false);
    migrator.run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}
