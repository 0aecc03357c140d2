//! The operator's keys.

use std::fmt;
use std::sync::Arc;

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::KeyInit as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use super::envelope::{self, KeyName, Place};
use crate::error::StoreError;

/// The longest name of a key, in bytes.
pub const MAX_KEY_ID: usize = 32;

/// Why a list of keys is no ring.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadRing {
    /// There is no key.
    #[error("there is no key")]
    Empty,
    /// A name is empty, too long, or holds more than letters, digits, dots, dashes and underscores.
    #[error("`{0}` can't be the name of a key")]
    Name(String),
    /// Two keys have one name.
    #[error("two keys are named `{0}`")]
    Twice(String),
    /// A key isn't 32 bytes in base 64.
    #[error("the key `{0}` is not 32 bytes in base 64")]
    Key(String),
}

struct MasterKey {
    id: String,
    cipher: Aes256Gcm,
}

/// The operator's keys by name: the first seals, all open. Cheap to clone.
#[derive(Clone)]
pub struct KeyRing {
    keys: Arc<[MasterKey]>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

impl KeyRing {
    /// A ring of keys, each with its name; a key is 32 bytes in base 64.
    ///
    /// # Errors
    /// When there is none, or one of them is no key.
    pub fn new(keys: impl IntoIterator<Item = (String, SecretString)>) -> Result<Self, BadRing> {
        let mut ring: Vec<MasterKey> = Vec::new();
        for (id, key) in keys {
            let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_');
            if id.is_empty() || id.len() > MAX_KEY_ID || !id.bytes().all(plain) {
                return Err(BadRing::Name(id));
            }
            if ring.iter().any(|other| other.id == id) {
                return Err(BadRing::Twice(id));
            }
            let cipher = cipher(key.expose_secret()).ok_or_else(|| BadRing::Key(id.clone()))?;
            ring.push(MasterKey { id, cipher });
        }
        if ring.is_empty() {
            return Err(BadRing::Empty);
        }
        Ok(Self { keys: ring.into() })
    }

    /// The names, the active one first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    /// Whether there is a key of this name.
    #[must_use]
    pub fn has(&self, id: &str) -> bool {
        self.ids().any(|known| known == id)
    }

    /// Seals a value with the active key, for one place in a system table.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn seal(&self, place: &Place<'_>, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let active = self.keys.first().ok_or(StoreError::Sealed)?;
        let name = KeyName::Master(&active.id);
        envelope::seal(&active.cipher, name, None, place, value)
    }

    /// Opens what was sealed for the same place with any of the keys.
    ///
    /// # Errors
    /// When the value was changed, cut or moved, or its key isn't in the ring.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let KeyName::Master(id) = envelope::key_name(sealed)? else {
            return Err(StoreError::Sealed);
        };
        let key = self.keys.iter().find(|key| key.id == id);
        let key = key.ok_or_else(|| StoreError::MissingKey { id: id.to_owned() })?;
        envelope::open(&key.cipher, None, place, sealed)
    }
}

fn cipher(key: &str) -> Option<Aes256Gcm> {
    let bytes = Zeroizing::new(STANDARD.decode(key).ok()?);
    Aes256Gcm::new_from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SecretString {
        STANDARD.encode([byte; 32]).into()
    }

    fn ring(keys: &[(&str, u8)]) -> Result<KeyRing, BadRing> {
        KeyRing::new(keys.iter().map(|(id, byte)| ((*id).to_owned(), key(*byte))))
    }

    #[test]
    fn a_value_opens_only_in_its_place() {
        let ring = ring(&[("a", 7)]).unwrap();
        let place = Place::new("dead_messages", "payload", &[b"router", b"1"]);
        let sealed = ring.seal(&place, b"token").unwrap();
        assert_eq!(ring.open(&place, &sealed).unwrap(), b"token");
        for other in [
            Place::new("dead_messages", "reason", &[b"router", b"1"]),
            Place::new("dead_message", "payload", &[b"router", b"1"]),
            Place::new("dead_messages", "payload", &[b"router", b"2"]),
            Place::new("dead_messages", "payload", &[b"route", b"r1"]),
            Place::new("dead_messages", "payload", &[b"router1"]),
        ] {
            assert!(matches!(
                ring.open(&other, &sealed),
                Err(StoreError::Sealed)
            ));
        }
        assert!(!sealed.windows(5).any(|window| window == b"token"));
    }

    #[test]
    fn a_value_names_its_format_and_its_key() {
        let ring = ring(&[("2026-11", 7)]).unwrap();
        let sealed = ring.seal(&Place::new("t", "c", &[]), b"token").unwrap();
        assert_eq!(sealed[..10], *b"\x01\x00\x072026-11");
    }

    #[test]
    fn cut_or_changed_values_are_refused() {
        let ring = ring(&[("a", 7)]).unwrap();
        let place = Place::new("t", "c", &[]);
        let sealed = ring.seal(&place, b"token").unwrap();
        for length in 0..sealed.len() {
            assert!(ring.open(&place, &sealed[..length]).is_err(), "{length}");
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(ring.open(&place, &changed).is_err(), "{at}");
        }
        assert!(ring.open(&place, &[&sealed[..], b"0"].concat()).is_err());
    }

    #[test]
    fn the_first_key_seals_and_the_others_still_open() {
        let place = Place::new("t", "c", &[]);
        let old = ring(&[("old", 1)]).unwrap();
        let both = ring(&[("new", 2), ("old", 1)]).unwrap();
        let new = ring(&[("new", 2)]).unwrap();
        let sealed = old.seal(&place, b"token").unwrap();
        assert_eq!(both.open(&place, &sealed).unwrap(), b"token");
        let error = new.open(&place, &sealed).unwrap_err();
        assert!(error.to_string().contains("`old`"), "{error}");
        let sealed = both.seal(&place, b"token").unwrap();
        assert_eq!(new.open(&place, &sealed).unwrap(), b"token");
        let impostor = ring(&[("old", 3)]).unwrap();
        let sealed = old.seal(&place, b"token").unwrap();
        assert!(matches!(
            impostor.open(&place, &sealed),
            Err(StoreError::Sealed)
        ));
    }

    #[test]
    fn a_ring_says_which_key_is_none() {
        assert_eq!(ring(&[]).unwrap_err(), BadRing::Empty);
        let twice = ring(&[("a", 1), ("a", 2)]).unwrap_err();
        assert_eq!(twice, BadRing::Twice("a".to_owned()));
        let long = "x".repeat(MAX_KEY_ID + 1);
        for name in ["", "a b", "ä", long.as_str()] {
            assert_eq!(
                ring(&[(name, 1)]).unwrap_err(),
                BadRing::Name(name.to_owned())
            );
        }
        let short = KeyRing::new([("a".to_owned(), "c2hvcnQ=".to_owned().into())]);
        assert_eq!(short.unwrap_err(), BadRing::Key("a".to_owned()));
        let shown = format!("{:?}", ring(&[("a", 7)]).unwrap());
        assert_eq!(shown, r#"["a"]"#);
    }
}
