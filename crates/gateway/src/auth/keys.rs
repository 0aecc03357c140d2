//! API keys: opaque texts, known to us by their hashes.

use std::sync::Arc;

use roost_domain::ids::ApiKeyId;
use roost_store::Store;
use roost_store::api_keys::{self, KeyGrant};

use super::fresh::Fresh;
use super::refresh::hash;
use crate::problem::Problem;

/// What keys are good for.
#[derive(Debug)]
pub(crate) struct Keys {
    store: Store,
    // Unknown keys are remembered too, so that a broken client costs no statement a call.
    known: Fresh<Vec<u8>, Option<Arc<KeyGrant>>>,
}

impl Keys {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            known: Fresh::default(),
        }
    }

    /// By what a key is known.
    pub(crate) fn hash(key: &str) -> Vec<u8> {
        hash(key)
    }

    /// What a presented key is good for; none for one that is unknown, revoked or has run out.
    pub(crate) async fn grant(&self, key: &str) -> Result<Option<Arc<KeyGrant>>, Problem> {
        self.grant_of(Self::hash(key)).await
    }

    /// The same for a key that was presented before.
    pub(crate) async fn grant_of(&self, hash: Vec<u8>) -> Result<Option<Arc<KeyGrant>>, Problem> {
        if let Some(known) = self.known.get(&hash) {
            return Ok(known);
        }
        let asked = hash.clone();
        let grant = self
            .store
            .system(move |tx| Box::pin(async move { api_keys::resolve(tx, &asked).await }));
        let grant = grant.await?.map(Arc::new);
        self.known.put([(hash, grant.clone())]);
        Ok(grant)
    }

    /// Forgets a key, after this process has changed it.
    pub(crate) fn forget(&self, key: ApiKeyId) {
        self.known
            .forget_where(|grant| grant.as_ref().is_some_and(|grant| grant.key == key));
    }
}
