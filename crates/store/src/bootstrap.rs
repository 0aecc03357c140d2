//! Making the database and its roles. Idempotent; run by an operator who may create roles.

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::error::StoreError;

/// The URLs that the roles connect with.
#[derive(Debug, Clone)]
pub struct RoleUrls {
    /// Migrates and owns the schema.
    pub owner: SecretString,
    /// Serves one brand at a time.
    pub app: SecretString,
    /// Takes messages in for the brands of a batch.
    pub ingest: SecretString,
}

/// Why a database could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The database name may hold only lower-case letters, digits and underscores.
    #[error("the database name may hold only lower-case letters, digits and underscores")]
    Name,
    /// The admin URL is not a PostgreSQL URL.
    #[error("the admin URL is not a PostgreSQL URL with a host")]
    Url,
    /// The role exists with another password: another install on the server may use it.
    #[error(
        "the role {role} exists with another password: give that one, or ask for it to be reset"
    )]
    OtherPassword {
        /// Which role.
        role: &'static str,
    },
    /// The database refused.
    #[error("cannot make the database")]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for BootstrapError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Roles are the server's, not a database's: two bootstraps at once must not both create them.
const ROLES: &str = "
    do $$
    declare
        name text;
    begin
        perform pg_advisory_xact_lock(7237489);
        foreach name in array array['roost_owner', 'roost_app', 'roost_ingest', 'roost_cross'] loop
            if not exists (select from pg_roles where rolname = name) then
                execute format('create role %I nosuperuser nocreatedb nocreaterole nobypassrls', name);
            end if;
        end loop;
        if not pg_has_role('roost_owner', 'roost_cross', 'member') then
            grant roost_cross to roost_owner;
        end if;
    end
    $$";

fn check_name(name: &str) -> Result<(), BootstrapError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
        return Err(BootstrapError::Name);
    }
    Ok(())
}

/// What happens to roles that are there already. They are the server's: another install on it may
/// use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passwords {
    /// Theirs must be the given one.
    Keep,
    /// They get the given one.
    Reset,
}

const LOGIN_ROLES: [&str; 3] = ["roost_owner", "roost_app", "roost_ingest"];

async fn set_password(
    admin: &mut PgConnection,
    role: &str,
    password: &SecretString,
) -> Result<(), BootstrapError> {
    // Passwords can't be bound in a utility statement: quoted as a literal.
    let literal = password.expose_secret().replace('\'', "''");
    let statement = format!("alter role {role} login password '{literal}'");
    match admin.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await {
        Ok(_) => Ok(()),
        // Two bootstraps at once may both write the same row of the catalogue; one is enough.
        Err(error)
            if error
                .as_database_error()
                .is_some_and(|e| e.code().as_deref() == Some("XX000")) =>
        {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes the roles (with this password) and a database that `roost_owner` owns.
///
/// # Errors
/// When a name is unusable, the server can't be reached, or the admin may not create roles.
pub async fn bootstrap(
    admin_url: &SecretString,
    database: &str,
    password: &SecretString,
    passwords: Passwords,
) -> Result<RoleUrls, BootstrapError> {
    check_name(database)?;
    let urls = RoleUrls {
        owner: role_url(admin_url, "roost_owner", password, database)?,
        app: role_url(admin_url, "roost_app", password, database)?,
        ingest: role_url(admin_url, "roost_ingest", password, database)?,
    };
    let options: PgConnectOptions = admin_url
        .expose_secret()
        .parse()
        .map_err(|_| BootstrapError::Url)?;
    let mut admin = PgConnection::connect_with(&options).await?;
    let known: Vec<String> =
        sqlx::query_scalar("select rolname::text from pg_roles where rolname = any($1)")
            .bind(LOGIN_ROLES.as_slice())
            .fetch_all(&mut admin)
            .await?;
    admin.execute(sqlx::raw_sql(ROLES)).await?;
    let own_database = options.get_database().unwrap_or("postgres");
    for role in LOGIN_ROLES {
        let is_known = known.iter().any(|known| known == role);
        if is_known && passwords == Passwords::Keep {
            let url = role_url(admin_url, role, password, own_database)?;
            let opened = PgConnection::connect(url.expose_secret()).await;
            opened
                .map_err(|_| BootstrapError::OtherPassword { role })?
                .close()
                .await?;
        } else {
            set_password(&mut admin, role, password).await?;
        }
    }
    let exists: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(database)
            .fetch_one(&mut admin)
            .await?;
    if !exists {
        // An admin who is no superuser must belong to the role that it gives the database to.
        let grant = "do $$ begin
                if not pg_has_role(current_user, 'roost_owner', 'member') then
                    execute format('grant roost_owner to %I', current_user);
                end if;
            end $$";
        admin.execute(sqlx::raw_sql(grant)).await?;
        let create = format!("create database {database} owner roost_owner");
        admin.execute(sqlx::raw_sql(AssertSqlSafe(create))).await?;
    }
    admin.close().await?;
    Ok(urls)
}

/// Removes a database and everything in it. The roles stay: other databases may use them.
///
/// # Errors
/// When the name is unusable or the server refuses.
pub async fn drop_database(admin_url: &SecretString, database: &str) -> Result<(), BootstrapError> {
    check_name(database)?;
    let mut admin = PgConnection::connect(admin_url.expose_secret()).await?;
    let statement = format!("drop database if exists {database} with (force)");
    admin
        .execute(sqlx::raw_sql(AssertSqlSafe(statement)))
        .await?;
    admin.close().await?;
    Ok(())
}

/// Copies a database that nobody is connected to; tests make theirs from a migrated template.
///
/// # Errors
/// When a name is unusable or the server refuses.
pub async fn copy_database(
    admin_url: &SecretString,
    template: &str,
    copy: &str,
) -> Result<(), BootstrapError> {
    check_name(template)?;
    check_name(copy)?;
    let mut admin = PgConnection::connect(admin_url.expose_secret()).await?;
    let statement = format!("create database {copy} template {template} owner roost_owner");
    admin
        .execute(sqlx::raw_sql(AssertSqlSafe(statement)))
        .await?;
    admin.close().await?;
    Ok(())
}

/// The URL of a role on the admin's server.
///
/// # Errors
/// When the admin URL is not of the form `postgres://user:password@host:port/database`.
pub fn role_url(
    admin_url: &SecretString,
    role: &str,
    password: &SecretString,
    database: &str,
) -> Result<SecretString, BootstrapError> {
    let url = admin_url.expose_secret();
    let (scheme, rest) = url.split_once("://").ok_or(BootstrapError::Url)?;
    let after_user = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let host = after_user.split(['/', '?']).next().unwrap_or_default();
    if host.is_empty() || !scheme.starts_with("postgres") {
        return Err(BootstrapError::Url);
    }
    let encoded: String = password
        .expose_secret()
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect();
    Ok(SecretString::from(format!(
        "{scheme}://{role}:{encoded}@{host}/{database}"
    )))
}
