//! One person: who they are and how they prove it.

use roost_domain::ids::UserId;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;
use crate::tx::SystemTx;

/// What signing in starts from.
#[derive(Clone, sqlx::FromRow)]
pub struct StoredUser {
    /// Who.
    pub user_id: Uuid,
    /// The person's name.
    pub full_name: String,
    /// In PHC form.
    pub password_hash: String,
    /// The sealed secret of the second factor, where it is on.
    pub totp_secret: Option<Vec<u8>>,
}

impl std::fmt::Debug for StoredUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredUser")
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

/// Finds a person by address (in lower case).
///
/// # Errors
/// When the database fails.
pub async fn find_user(tx: &mut SystemTx, email: &str) -> Result<Option<StoredUser>, StoreError> {
    Ok(sqlx::query_as(
        "select user_id, full_name, password_hash, totp_secret from auth_find_user($1)",
    )
    .bind(email)
    .fetch_optional(tx.conn())
    .await?)
}

/// A person who has proven who they are.
#[derive(Clone, sqlx::FromRow)]
pub struct Person {
    /// In lower case.
    pub email: String,
    /// The person's name.
    pub full_name: String,
    /// In PHC form.
    pub password_hash: String,
    /// Whether they have proven their address.
    pub email_verified: bool,
    /// The sealed secret of the second factor, or of one that was only begun.
    pub totp_secret: Option<Vec<u8>>,
    /// Whether the second factor is on.
    pub totp_enabled: bool,
    /// Recovery codes that weren't used.
    pub recovery_codes_left: i64,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person")
            .field("totp_enabled", &self.totp_enabled)
            .finish_non_exhaustive()
    }
}

/// Finds a person.
///
/// # Errors
/// When the database fails.
pub async fn find(conn: &mut PgConnection, user: UserId) -> Result<Option<Person>, StoreError> {
    Ok(sqlx::query_as(
        "select email, full_name, password_hash,
                email_verified, totp_secret, totp_enabled, recovery_codes_left
         from account_find($1)",
    )
    .bind(user.0)
    .fetch_optional(conn)
    .await?)
}

/// Sets a person's password hash; false if it isn't `old` any more.
///
/// # Errors
/// When the database fails.
pub async fn set_password(
    conn: &mut PgConnection,
    user: UserId,
    old: &str,
    new: &str,
) -> Result<bool, StoreError> {
    Ok(
        sqlx::query_scalar("select account_set_password($1, $2, $3)")
            .bind(user.0)
            .bind(old)
            .bind(new)
            .fetch_one(conn)
            .await?,
    )
}

/// Notes that the person's address is proven, by a link to it or by the operator.
///
/// # Errors
/// When the database fails.
pub async fn trust_email(conn: &mut PgConnection, user: UserId) -> Result<(), StoreError> {
    sqlx::query("select account_trust_email($1)")
        .bind(user.0)
        .execute(conn)
        .await?;
    Ok(())
}
