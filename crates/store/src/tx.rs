//! The transaction door.
//!
//! sqlx 0.9.0 lets a future that is dropped while its `BEGIN` is under way return a connection to
//! the pool inside an open transaction; the next borrower's committed writes then vanish. A web
//! server drops a handler's future whenever a client goes away. So no caller ever holds a
//! transaction: each runs from begin to commit in a task of its own, which the caller's drop doesn't
//! cancel, and a connection whose transaction did not end is closed rather than returned.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use roost_domain::ids::BrandId;
use secrecy::{ExposeSecret, SecretString};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor, PgConnection, PgPool, Postgres};
use tokio::runtime::Handle;

use crate::error::StoreError;

/// A future that borrows the transaction it works in.
pub type Work<'t, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 't>>;

/// Where the database is and how much of it a process may take.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Connects as `roost_app`.
    pub app_url: SecretString,
    /// Connects as `roost_ingest`.
    pub ingest_url: SecretString,
    /// Connections as `roost_app`, at most.
    pub app_connections: u32,
    /// Connections as `roost_ingest`, at most.
    pub ingest_connections: u32,
}

/// PostgreSQL. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    app: PgPool,
    ingest: PgPool,
    // The transactions' tasks run here, whatever runtime the caller is on: a web worker's
    // single-threaded runtime may be busy or going away.
    runtime: Handle,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("app", &self.app.size())
            .field("ingest", &self.ingest.size())
            .finish()
    }
}

impl Store {
    /// Prepares the pools; connects when first used, so that a process starts without a database.
    ///
    /// # Errors
    /// When a URL can't be parsed.
    pub fn new(config: &StoreConfig) -> Result<Self, StoreError> {
        Ok(Self {
            app: pool(&config.app_url, config.app_connections)?,
            ingest: pool(&config.ingest_url, config.ingest_connections)?,
            runtime: Handle::current(),
        })
    }

    /// Runs work on one brand's rows, as the app role.
    ///
    /// # Errors
    /// Whatever the work fails with, or the database.
    pub async fn brand<T, E, F>(&self, brand: BrandId, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut BrandTx) -> Work<'t, T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let begin = format!(
            "begin; select set_config('roost.brand_id', '{}', true)",
            brand.0
        );
        self.run(
            self.app.clone(),
            begin,
            move |tx| BrandTx { tx, brand },
            work,
        )
        .await
    }

    /// Runs work on the rows of several brands, as the ingest role.
    ///
    /// # Errors
    /// Whatever the work fails with, or the database.
    pub async fn ingest<T, E, F>(&self, brands: &[BrandId], work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut IngestTx) -> Work<'t, T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let list: Vec<String> = brands.iter().map(|brand| brand.0.to_string()).collect();
        let begin = format!(
            "begin; select set_config('roost.brand_ids', '{{{}}}', true)",
            list.join(",")
        );
        self.run(self.ingest.clone(), begin, |tx| IngestTx { tx }, work)
            .await
    }

    /// Runs work on no brand's rows: the named functions only, as the app role.
    ///
    /// # Errors
    /// Whatever the work fails with, or the database.
    pub async fn system<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut SystemTx) -> Work<'t, T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.run(
            self.app.clone(),
            "begin".to_owned(),
            |tx| SystemTx { tx },
            work,
        )
        .await
    }

    /// Whether the database answers now.
    pub async fn is_up(&self) -> bool {
        let answered: Result<(), StoreError> = self
            .system(|tx| {
                Box::pin(async move {
                    sqlx::query("select 1").execute(tx.conn()).await?;
                    Ok(())
                })
            })
            .await;
        answered.is_ok()
    }

    /// Closes the pools; running transactions end first.
    pub async fn close(&self) {
        self.app.close().await;
        self.ingest.close().await;
    }

    async fn run<Tx, T, E, F, M>(
        &self,
        pool: PgPool,
        begin: String,
        make: M,
        work: F,
    ) -> Result<T, E>
    where
        Tx: AsMut<OpenTx> + Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> Work<'t, T, E> + Send + 'static,
        M: FnOnce(OpenTx) -> Tx + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let task = self.runtime.spawn(async move {
            let mut tx = make(OpenTx::begin(&pool, begin).await.map_err(E::from)?);
            match work(&mut tx).await {
                Ok(value) => {
                    tx.as_mut()
                        .end("commit")
                        .await
                        .map_err(|error| E::from(commit_failure(error)))?;
                    Ok(value)
                }
                Err(error) => {
                    // A rollback that fails closes the connection, which rolls back as well.
                    tx.as_mut().end("rollback").await.ok();
                    Err(error)
                }
            }
        });
        task.await
            .unwrap_or_else(|_| Err(E::from(StoreError::Died)))
    }
}

fn commit_failure(error: sqlx::Error) -> StoreError {
    let failure = StoreError::from(error);
    if let StoreError::Unavailable(source) = failure {
        StoreError::CommitUnknown(source)
    } else {
        failure
    }
}

fn pool(url: &SecretString, connections: u32) -> Result<PgPool, StoreError> {
    let options: PgConnectOptions = url.expose_secret().parse()?;
    let options = options.application_name("roost").options([
        // Statements here are short: compiling one, or starting workers for it, takes longer than it saves.
        ("jit", "off"),
        ("max_parallel_workers_per_gather", "0"),
        ("statement_timeout", "5s"),
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "15s"),
    ]);
    Ok(PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(2))
        .max_lifetime(Duration::from_mins(10))
        .connect_lazy_with(options))
}

/// A connection inside a transaction. Dropped before its end, it closes the connection.
#[derive(Debug)]
pub struct OpenTx {
    connection: PoolConnection<Postgres>,
    ended: bool,
}

impl OpenTx {
    async fn begin(pool: &PgPool, begin: String) -> Result<Self, StoreError> {
        let mut tx = Self {
            connection: pool.acquire().await?,
            ended: false,
        };
        // One round trip for both; the text holds nothing but uuids that we formatted.
        tx.connection
            .execute(sqlx::raw_sql(AssertSqlSafe(begin)))
            .await?;
        Ok(tx)
    }

    async fn end(&mut self, how: &'static str) -> Result<(), sqlx::Error> {
        self.connection.execute(sqlx::raw_sql(how)).await?;
        self.ended = true;
        Ok(())
    }
}

impl Drop for OpenTx {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.close_on_drop();
        }
    }
}

macro_rules! transactions {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty),* })*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            tx: OpenTx,
            $($field: $kind,)*
        }

        impl $name {
            /// The connection, for statements.
            pub fn conn(&mut self) -> &mut PgConnection {
                &mut self.tx.connection
            }
        }

        impl AsMut<OpenTx> for $name {
            fn as_mut(&mut self) -> &mut OpenTx {
                &mut self.tx
            }
        }
    )*};
}

transactions! {
    /// A transaction on one brand's rows.
    BrandTx { brand: BrandId }
    /// A transaction on the rows of the brands of one batch.
    IngestTx {}
    /// A transaction on no brand's rows.
    SystemTx {}
}

impl IngestTx {
    /// Lets the transaction see these brands from here on; what a batch belongs to is known only
    /// after a first look at its routes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn enter(&mut self, brands: &[BrandId]) -> Result<(), StoreError> {
        let list: Vec<String> = brands.iter().map(|brand| brand.0.to_string()).collect();
        sqlx::query("select set_config('roost.brand_ids', $1, true)")
            .bind(format!("{{{}}}", list.join(",")))
            .execute(self.conn())
            .await?;
        Ok(())
    }
}

impl BrandTx {
    /// Marks where [`BrandTx::undo`] goes back to.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mark(&mut self) -> Result<(), StoreError> {
        self.conn().execute(sqlx::raw_sql("savepoint work")).await?;
        Ok(())
    }

    /// Takes back everything since [`BrandTx::mark`]; the transaction goes on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn undo(&mut self) -> Result<(), StoreError> {
        self.conn()
            .execute(sqlx::raw_sql("rollback to savepoint work"))
            .await?;
        Ok(())
    }

    /// The brand.
    #[must_use]
    pub fn brand(&self) -> BrandId {
        self.brand
    }
}
