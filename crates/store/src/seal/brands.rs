//! Brands' data keys: kept wrapped in `brand_keys`, and in memory for brands that were busy lately.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::KeyInit as _;
use roost_domain::ids::BrandId;
use secrecy::zeroize::Zeroizing;

use super::envelope::{self, KeyName, Place};
use super::ring::KeyRing;
use crate::error::StoreError;
use crate::tx::BrandTx;

/// Brands whose keys a process keeps, at most; each takes about a kibibyte.
const BRANDS: usize = 8_192;

/// A row of `brand_keys`.
#[derive(sqlx::FromRow)]
pub(super) struct Row {
    key_no: i32,
    wrapped: Vec<u8>,
    /// Whether it was there before the transaction that reads it. One that the transaction itself made
    /// may yet be rolled back, and must not be sealed with by others.
    pub(super) is_committed: bool,
}

/// The keys of one brand, ready for use.
pub(super) struct DataKeys {
    ciphers: BTreeMap<u32, Aes256Gcm>,
}

impl DataKeys {
    pub(super) fn unwrap(ring: &KeyRing, brand: BrandId, rows: &[Row]) -> Result<Self, StoreError> {
        let ciphers = rows
            .iter()
            .map(|row| {
                let place: [&[u8]; 2] = [brand.0.as_bytes(), &row.key_no.to_be_bytes()];
                let place = Place::new("brand_keys", "wrapped", &place);
                let key = Zeroizing::new(ring.open(&place, &row.wrapped)?);
                let number = u32::try_from(row.key_no).map_err(|_| StoreError::Sealed)?;
                let cipher = Aes256Gcm::new_from_slice(&key).map_err(|_| StoreError::Sealed)?;
                Ok((number, cipher))
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(Self { ciphers })
    }

    pub(super) fn seal(
        &self,
        brand: BrandId,
        place: &Place<'_>,
        value: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let (number, cipher) = self.ciphers.last_key_value().ok_or(StoreError::Sealed)?;
        envelope::seal(cipher, KeyName::Data(*number), Some(brand), place, value)
    }

    pub(super) fn open(
        &self,
        brand: BrandId,
        place: &Place<'_>,
        sealed: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let KeyName::Data(number) = envelope::key_name(sealed)? else {
            return Err(StoreError::Sealed);
        };
        let cipher = self.ciphers.get(&number).ok_or(StoreError::Sealed)?;
        envelope::open(cipher, Some(brand), place, sealed)
    }
}

/// Every key of the transaction's brand.
pub(super) async fn load(tx: &mut BrandTx) -> Result<Vec<Row>, StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_as(
        // `created_at` is the start of the transaction that made it: never before that of its own.
        "select key_no, wrapped, created_at < now() as is_committed
         from brand_keys where brand_id = $1 order by key_no",
    )
    .bind(brand.0)
    .fetch_all(tx.conn())
    .await?)
}

/// Makes the first key of the transaction's brand, unless somebody else just did.
pub(super) async fn create(tx: &mut BrandTx, ring: &KeyRing) -> Result<(), StoreError> {
    let brand = tx.brand();
    let mut key = Zeroizing::new([0_u8; 32]);
    getrandom::fill(&mut key[..]).map_err(|_| StoreError::Sealed)?;
    let wrapped = ring.seal(
        &Place::new(
            "brand_keys",
            "wrapped",
            &[brand.0.as_bytes(), &1_i32.to_be_bytes()],
        ),
        &key[..],
    )?;
    sqlx::query(
        "insert into brand_keys (brand_id, key_no, wrapped) values ($1, 1, $2) on conflict do nothing",
    )
    .bind(brand.0)
    .bind(wrapped)
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Keys of brands used lately, in two generations: when the young one is full, it becomes the old one
/// and whoever wasn't used since is forgotten.
#[derive(Default)]
pub(super) struct Recent {
    young: HashMap<BrandId, Arc<DataKeys>>,
    old: HashMap<BrandId, Arc<DataKeys>>,
}

impl Recent {
    pub(super) fn get(&mut self, brand: BrandId) -> Option<Arc<DataKeys>> {
        if let Some(keys) = self.young.get(&brand) {
            return Some(Arc::clone(keys));
        }
        let keys = self.old.remove(&brand)?;
        self.put(brand, Arc::clone(&keys));
        Some(keys)
    }

    pub(super) fn put(&mut self, brand: BrandId, keys: Arc<DataKeys>) {
        if self.young.len() >= BRANDS / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(brand, keys);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn brand(number: usize) -> BrandId {
        BrandId(Uuid::from_u128(number as u128))
    }

    fn keys(byte: u8) -> DataKeys {
        let cipher = Aes256Gcm::new_from_slice(&[byte; 32]).unwrap();
        DataKeys {
            ciphers: BTreeMap::from([(1, cipher)]),
        }
    }

    #[test]
    fn a_busy_brand_stays_known_and_the_number_of_brands_is_bounded() {
        let mut recent = Recent::default();
        recent.put(brand(0), Arc::new(keys(1)));
        for number in 1..3 * BRANDS {
            recent.put(brand(number), Arc::new(keys(1)));
            assert!(recent.get(brand(0)).is_some(), "{number}");
            assert!(recent.young.len() + recent.old.len() <= BRANDS);
        }
        assert!(recent.get(brand(1)).is_none());
    }

    #[test]
    fn a_value_of_one_brand_does_not_open_as_another_brands() {
        // Even where both had the same key.
        let keys = keys(7);
        let place = Place::new("channels", "credentials", &[b"1"]);
        let sealed = keys.seal(brand(1), &place, b"token").unwrap();
        assert_eq!(sealed[..6], [1, 1, 0, 0, 0, 1]);
        assert_eq!(keys.open(brand(1), &place, &sealed).unwrap(), b"token");
        assert!(keys.open(brand(2), &place, &sealed).is_err());
        let elsewhere = Place::new("channels", "credentials", &[b"2"]);
        assert!(keys.open(brand(1), &elsewhere, &sealed).is_err());
        for length in 0..sealed.len() {
            assert!(keys.open(brand(1), &place, &sealed[..length]).is_err());
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(keys.open(brand(1), &place, &changed).is_err(), "{at}");
        }
    }
}
