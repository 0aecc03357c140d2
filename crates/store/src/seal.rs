//! Secrets at rest.
//!
//! Each brand has a random data key, which seals its secrets; the operator's keys wrap the data keys and
//! seal what is no brand's. A sealed value begins with its format and the name of its key, and is bound
//! to its place (table, column, row, brand): moved elsewhere it doesn't open.
//!
//! Start reading at [`Sealer`]; [`rotate`] is the operator's side.

mod brands;
mod envelope;
mod ring;
pub mod rotate;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roost_domain::ids::BrandId;

use crate::error::StoreError;
use crate::tx::{BrandTx, Store};
use brands::{DataKeys, Recent};
pub use envelope::Place;
pub use ring::{BadRing, KeyRing, MAX_KEY_ID};

/// Seals and opens secrets. Cheap to clone; the clones share what they know of brands' keys.
#[derive(Clone)]
pub struct Sealer {
    ring: KeyRing,
    recent: Arc<Mutex<Recent>>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// A sealer with the operator's keys.
    #[must_use]
    pub fn new(ring: KeyRing) -> Self {
        Self {
            ring,
            recent: Arc::new(Mutex::new(Recent::default())),
        }
    }

    /// The sealer of what is no brand's: rows of system tables.
    #[must_use]
    pub fn install(&self) -> &KeyRing {
        &self.ring
    }

    /// The sealer of the transaction's brand. Asks the database only for a brand that this process
    /// hasn't met lately. A brand's first use makes its key, in this very transaction: what was sealed
    /// and its key are committed or lost together. So take it anew after a rollback to a savepoint.
    ///
    /// # Errors
    /// When the database fails, or the brand's key doesn't open.
    pub async fn brand(&self, tx: &mut BrandTx) -> Result<BrandSealer, StoreError> {
        let brand = tx.brand();
        if let Some(keys) = self.recent().get(brand) {
            return Ok(BrandSealer { brand, keys });
        }
        let mut rows = brands::load(tx).await?;
        if rows.is_empty() {
            // Two at once make one key: the second waits for the first and finds its key.
            brands::create(tx, &self.ring).await?;
            rows = brands::load(tx).await?;
        }
        let keys = Arc::new(DataKeys::unwrap(&self.ring, brand, &rows)?);
        if rows.iter().all(|row| row.is_committed) {
            self.recent().put(brand, Arc::clone(&keys));
        }
        Ok(BrandSealer { brand, keys })
    }

    /// The names of keys that stored values need and the ring doesn't have.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn missing_keys(&self, store: &Store) -> Result<Vec<String>, StoreError> {
        let needed: Vec<String> = store
            .system(|tx| {
                Box::pin(async move {
                    let ids = "select id from secrets_key_ids() as id where id <> '' order by id";
                    Ok::<_, StoreError>(sqlx::query_scalar(ids).fetch_all(tx.conn()).await?)
                })
            })
            .await?;
        Ok(needed.into_iter().filter(|id| !self.ring.has(id)).collect())
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seals and opens the secrets of one brand.
#[derive(Clone)]
pub struct BrandSealer {
    brand: BrandId,
    keys: Arc<DataKeys>,
}

impl fmt::Debug for BrandSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BrandSealer").field(&self.brand).finish()
    }
}

impl BrandSealer {
    /// Seals a value for one place.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn seal(&self, place: &Place<'_>, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.keys.seal(self.brand, place, value)
    }

    /// Opens what was sealed for the same place of the same brand.
    ///
    /// # Errors
    /// When the value was changed, cut, moved, or sealed with another key.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.keys.open(self.brand, place, sealed)
    }
}
