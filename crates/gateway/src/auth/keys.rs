//! API keys: opaque texts, known to us by their hashes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use roost_domain::ids::ApiKeyId;
use roost_store::api_keys::{self, KeyGrant, Secret};
use roost_store::{Store, StoreError};

use super::fresh::Fresh;
use super::refresh::{hash, random};
use crate::problem::Problem;

/// Characters of a key that may be shown later, so that people can tell keys apart.
const HINT: usize = 4;

/// A new key: its text, which is shown once, and what is kept of it.
pub(crate) fn new_secret(is_test: bool) -> Result<(String, Secret), Problem> {
    let prefix = if is_test { "rk_test_" } else { "rk_live_" };
    let text = format!("{prefix}{}", random()?);
    let hint = text[text.len() - HINT..].to_owned();
    let secret = Secret {
        hash: hash(&text),
        hint,
    };
    Ok((text, secret))
}

/// What keys are good for.
#[derive(Debug)]
pub(crate) struct Keys {
    store: Store,
    // Unknown keys are remembered too, so that a broken client costs no statement a call.
    known: Fresh<Vec<u8>, Option<Arc<KeyGrant>>>,
    used: Mutex<HashMap<ApiKeyId, Used>>,
}

/// A key that was used, and when the database was told of it.
#[derive(Debug, Clone, Copy)]
struct Used {
    told: Option<Instant>,
}

/// How often a key's use is written down at most.
const NOTE_EVERY: Duration = Duration::from_secs(60);

impl Keys {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            known: Fresh::default(),
            used: Mutex::default(),
        }
    }

    /// By what a key is known.
    pub(crate) fn hash(key: &str) -> Vec<u8> {
        hash(key)
    }

    /// What a presented key is good for; none for one that is unknown, revoked or has run out.
    pub(crate) async fn grant(&self, key: &str) -> Result<Option<Arc<KeyGrant>>, Problem> {
        let grant = self.grant_of(Self::hash(key)).await?;
        if let Some(grant) = &grant {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            used.entry(grant.key).or_insert(Used { told: None });
        }
        Ok(grant)
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

    /// Writes down which keys were used, beside the requests that used them.
    pub(crate) async fn note_used(&self) -> Result<(), StoreError> {
        let now = Instant::now();
        let news: Vec<ApiKeyId> = {
            let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            // Who uses it again after that is new again.
            used.retain(|_, one| one.told.is_none_or(|told| told.elapsed() < NOTE_EVERY));
            let news = used.iter_mut().filter(|(_, one)| one.told.is_none());
            news.map(|(key, one)| {
                one.told = Some(now);
                *key
            })
            .collect()
        };
        if news.is_empty() {
            return Ok(());
        }
        api_keys::note_used(&self.store, news).await
    }
}
