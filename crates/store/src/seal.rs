//! Secrets at rest: AES-256-GCM with the place of the value as associated data, so that a sealed
//! value can't be moved to another row.

use std::fmt;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use crate::error::StoreError;

/// The first byte of every sealed value: which key sealed it.
const KEY_ID: u8 = 1;
const NONCE_BYTES: usize = 12;

/// Seals and opens secrets with the operator's key.
#[derive(Clone)]
pub struct Sealer {
    cipher: Aes256Gcm,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

/// A key that is not 32 bytes in base 64.
#[derive(Debug, thiserror::Error)]
#[error("the key must be 32 bytes in base 64")]
pub struct BadKey;

impl Sealer {
    /// Takes the operator's key: 32 bytes in base 64.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn new(key: &SecretString) -> Result<Self, BadKey> {
        let bytes = STANDARD.decode(key.expose_secret()).map_err(|_| BadKey)?;
        let cipher = Aes256Gcm::new_from_slice(&bytes).map_err(|_| BadKey)?;
        Ok(Self { cipher })
    }

    /// Seals a value for one place, such as `channels.credentials/<brand>/<id>`.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn seal(&self, place: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0_u8; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| StoreError::Sealed)?;
        let payload = Payload {
            msg: value,
            aad: place.as_bytes(),
        };
        let sealed = self
            .cipher
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| StoreError::Sealed)?;
        Ok([&[KEY_ID], nonce.as_slice(), &sealed].concat())
    }

    /// Opens what was sealed for the same place.
    ///
    /// # Errors
    /// When the value was changed, moved, or sealed with another key.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (&key_id, rest) = sealed.split_first().ok_or(StoreError::Sealed)?;
        let (nonce, text) = rest
            .split_at_checked(NONCE_BYTES)
            .ok_or(StoreError::Sealed)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| StoreError::Sealed)?;
        if key_id != KEY_ID {
            return Err(StoreError::Sealed);
        }
        let payload = Payload {
            msg: text,
            aad: place.as_bytes(),
        };
        self.cipher
            .decrypt(&Nonce::from(nonce), payload)
            .map_err(|_| StoreError::Sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_in_its_place() {
        let sealer = Sealer::new(&SecretString::from(STANDARD.encode([7; 32]))).unwrap();
        let sealed = sealer.seal("channels/a", b"token").unwrap();
        assert_eq!(sealer.open("channels/a", &sealed).unwrap(), b"token");
        assert!(sealer.open("channels/b", &sealed).is_err());
        assert!(!sealed.windows(5).any(|window| window == b"token"));
    }

    #[test]
    fn cut_or_changed_values_are_refused() {
        let sealer = Sealer::new(&SecretString::from(STANDARD.encode([7; 32]))).unwrap();
        let mut sealed = sealer.seal("p", b"token").unwrap();
        for length in 0..sealed.len() {
            assert!(sealer.open("p", &sealed[..length]).is_err());
        }
        sealed[20] ^= 1;
        assert!(sealer.open("p", &sealed).is_err());
        assert!(Sealer::new(&SecretString::from("short".to_owned())).is_err());
    }
}
