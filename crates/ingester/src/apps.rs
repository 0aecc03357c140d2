//! The secrets of the apps whose webhooks are received, in memory.
//!
//! Those of the configuration are there from the start, database or not. Those that brands bring along
//! are looked for every ten seconds; a path that leads nowhere, or a signature that doesn't hold, has
//! them looked for at once, though not more than once a second, so that an app that was made or changed
//! a moment ago works and a stranger's guesses cost next to nothing.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use roost_domain::ids::{BrandId, XAppId};
use roost_platforms::AppSecrets;
use roost_service::Shutdown;
use roost_store::seal::Sealer;
use roost_store::x_apps::{self, WebhookKeys};
use roost_store::{Store, StoreError};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;

const REFRESH_EVERY: Duration = Duration::from_secs(10);
/// Least time between two looks.
const LOOK_LIMIT: Duration = Duration::from_secs(1);
/// X waits ten seconds for an answer; a database that hangs must not use them up.
const WAIT_LIMIT: Duration = Duration::from_secs(2);

/// An app of a brand as it was last read.
#[derive(Debug, Clone)]
struct Own {
    version: i64,
    secrets: Arc<AppSecrets>,
    /// Until when the previous secret holds.
    previous_until: Option<Timestamp>,
}

impl Own {
    /// Without the previous secret once its time is over.
    fn at(self, now: Timestamp) -> Self {
        if self.previous_until.is_none_or(|end| end > now) {
            return self;
        }
        Self {
            previous_until: None,
            secrets: Arc::new(AppSecrets {
                previous_consumer_secret: None,
                ..AppSecrets::clone(&self.secrets)
            }),
            ..self
        }
    }
}

/// The secrets of all apps.
#[derive(Debug)]
pub(crate) struct Apps {
    configured: HashMap<String, Arc<AppSecrets>>,
    own: RwLock<HashMap<XAppId, Own>>,
    source: Option<(Store, Sealer)>,
    looked: Mutex<Option<Instant>>,
}

impl Apps {
    /// Without a store or a key, the configured apps are all there is.
    pub(crate) fn new(
        configured: HashMap<String, AppSecrets>,
        store: Option<&Store>,
        sealer: Option<&Sealer>,
    ) -> Self {
        let is_empty = |secret: &SecretString| secret.expose_secret().is_empty();
        let configured = configured.into_iter().filter_map(|(name, mut app)| {
            if is_empty(&app.consumer_secret) {
                tracing::warn!(
                    app = name,
                    "app has no consumer secret: its webhooks are refused"
                );
                return None;
            }
            // Rotation may leave the previous secret set to nothing.
            app.previous_consumer_secret = app.previous_consumer_secret.filter(|s| !is_empty(s));
            Some((name, Arc::new(app)))
        });
        Self {
            configured: configured.collect(),
            own: RwLock::default(),
            source: store.cloned().zip(sealer.cloned()),
            looked: Mutex::default(),
        }
    }

    /// The secrets of an app.
    pub(crate) async fn find(&self, name: &str) -> Option<Arc<AppSecrets>> {
        if let Some(known) = self.known(name) {
            return Some(known);
        }
        if name.parse::<XAppId>().is_ok() && self.look_again().await {
            return self.known(name);
        }
        None
    }

    /// Those of an app whose known secrets didn't prove a webhook, if they have changed since.
    pub(crate) async fn find_newer(
        &self,
        name: &str,
        than: &Arc<AppSecrets>,
    ) -> Option<Arc<AppSecrets>> {
        if self.configured.contains_key(name) || !self.look_again().await {
            return None;
        }
        self.known(name).filter(|known| !Arc::ptr_eq(known, than))
    }

    fn known(&self, name: &str) -> Option<Arc<AppSecrets>> {
        if let Some(app) = self.configured.get(name) {
            return Some(app.clone());
        }
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        own.get(&name.parse().ok()?).map(|app| app.secrets.clone())
    }

    /// Looks in the database, unless somebody did a moment ago; whether it was worth looking.
    async fn look_again(&self) -> bool {
        let looking = async {
            let mut looked = self.looked.lock().await;
            if looked.is_some_and(|at| at.elapsed() < LOOK_LIMIT) {
                return false;
            }
            *looked = Some(Instant::now());
            self.refresh().await
        };
        tokio::time::timeout(WAIT_LIMIT, looking)
            .await
            .unwrap_or(false)
    }

    async fn refresh(&self) -> bool {
        let Some((store, sealer)) = &self.source else {
            return false;
        };
        match self.load(store, sealer).await {
            Ok(()) => true,
            // Those that are known stay.
            Err(error) => {
                tracing::debug!(%error, "cannot look for the apps of brands");
                false
            }
        }
    }

    /// Reads what has changed.
    async fn load(&self, store: &Store, sealer: &Sealer) -> Result<(), StoreError> {
        let there = x_apps::survey(store).await?;
        let before = self
            .own
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut own = HashMap::with_capacity(there.len());
        for (brand, id, version) in there {
            let app = match before.get(&id).filter(|app| app.version == version) {
                Some(app) => Some(app.clone().at(Timestamp::now())),
                None => read(store, sealer, brand, id, version).await?,
            };
            own.extend(app.map(|app| (id, app)));
        }
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = own;
        Ok(())
    }

    /// Looks every ten seconds until shutdown.
    pub(crate) async fn keep(&self, shutdown: &Shutdown) {
        if self.source.is_none() {
            return;
        }
        while !shutdown.is_triggered() {
            self.refresh().await;
            shutdown.sleep(REFRESH_EVERY).await;
        }
    }
}

/// One that doesn't open is left out: the others must not suffer from it.
async fn read(
    store: &Store,
    sealer: &Sealer,
    brand: BrandId,
    id: XAppId,
    version: i64,
) -> Result<Option<Own>, StoreError> {
    let sealer = sealer.clone();
    let keys = store.brand(brand, move |tx| {
        Box::pin(async move { x_apps::webhook_keys(tx, id, &sealer).await })
    });
    let keys = match keys.await {
        Err(StoreError::Sealed) => {
            tracing::warn!(app = %id, "the secret of an app does not open: its webhooks are refused");
            None
        }
        other => other?,
    };
    Ok(keys.map(|keys| own(id, version, keys).at(Timestamp::now())))
}

fn own(id: XAppId, version: i64, keys: WebhookKeys) -> Own {
    let (previous, previous_until) = keys.previous.unzip();
    Own {
        version,
        previous_until,
        secrets: Arc::new(AppSecrets {
            name: id.to_string(),
            consumer_key: keys.consumer_key,
            consumer_secret: keys.consumer_secret,
            previous_consumer_secret: previous,
        }),
    }
}
