//! Tries at signing in: after five that failed, each costs a longer pause, never a lock.

use std::time::Duration;

use roost_domain::ids::UserId;
use sqlx::PgConnection;

use crate::error::StoreError;

/// Counts a try at an account, unless it or the address has to wait: then for how long. Both are
/// named by hashes.
///
/// # Errors
/// When the database fails.
pub async fn begin(
    conn: &mut PgConnection,
    account: &[u8],
    address: &[u8],
) -> Result<Option<Duration>, StoreError> {
    let seconds: i32 = sqlx::query_scalar("select sign_in_begin($1, $2)")
        .bind(account)
        .bind(address)
        .fetch_one(conn)
        .await?;
    Ok(u64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs))
}

/// Counts a try that failed against the address it came from.
///
/// # Errors
/// When the database fails.
pub async fn failed(conn: &mut PgConnection, address: &[u8]) -> Result<(), StoreError> {
    sqlx::query("select sign_in_failed($1)")
        .bind(address)
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets the tries at an account, after one that didn't fail.
///
/// # Errors
/// When the database fails.
pub async fn forgive(conn: &mut PgConnection, account: &[u8]) -> Result<(), StoreError> {
    sqlx::query("select sign_in_forgive($1)")
        .bind(account)
        .execute(conn)
        .await?;
    Ok(())
}

/// Which of these places (the best first) the person with this address has signed in from before.
///
/// # Errors
/// When the database fails.
pub async fn known_place(
    conn: &mut PgConnection,
    email: &str,
    places: &[Vec<u8>],
) -> Result<Option<Vec<u8>>, StoreError> {
    let known: Option<Option<Vec<u8>>> = sqlx::query_scalar("select place_is_known($1, $2)")
        .bind(email)
        .bind(places)
        .fetch_optional(conn)
        .await?;
    Ok(known.flatten())
}

/// Remembers from where a person has signed in.
///
/// # Errors
/// When the database fails.
pub async fn remember(
    conn: &mut PgConnection,
    user: UserId,
    places: &[Vec<u8>],
) -> Result<(), StoreError> {
    sqlx::query("select place_remember($1, $2)")
        .bind(user.0)
        .bind(places)
        .execute(conn)
        .await?;
    Ok(())
}
