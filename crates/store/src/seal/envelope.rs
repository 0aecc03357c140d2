//! The form of a sealed value: format, key's name, nonce, then AES-256-GCM's text and tag.
//!
//! ```text
//! 01 00 <length> <id>      by one of the operator's keys
//! 01 01 <number, 4 bytes>  by a data key of the brand
//! ```
//!
//! What is authenticated besides: these first bytes, the brand, and the place.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use roost_domain::ids::BrandId;

use crate::error::StoreError;

const FORMAT: u8 = 1;
const BY_MASTER_KEY: u8 = 0;
const BY_DATA_KEY: u8 = 1;
const NONCE_BYTES: usize = 12;

/// Where a sealed value stands. It opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    table: &'static str,
    column: &'static str,
    row: &'a [&'a [u8]],
}

impl<'a> Place<'a> {
    /// A column of the row with this key; of a brand's row, without the brand.
    #[must_use]
    pub fn new(table: &'static str, column: &'static str, row: &'a [&'a [u8]]) -> Self {
        Self { table, column, row }
    }

    /// Each part with its length before it, so that no two places read alike.
    fn write(&self, to: &mut Vec<u8>) {
        let parts = [self.table.as_bytes(), self.column.as_bytes()];
        for part in parts.iter().chain(self.row) {
            to.extend(part.len().to_be_bytes());
            to.extend(*part);
        }
    }
}

/// Which key sealed a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyName<'a> {
    Master(&'a str),
    Data(u32),
}

impl KeyName<'_> {
    fn header(self) -> Result<Vec<u8>, StoreError> {
        Ok(match self {
            Self::Master(id) => {
                let length = u8::try_from(id.len()).map_err(|_| StoreError::Sealed)?;
                [&[FORMAT, BY_MASTER_KEY, length], id.as_bytes()].concat()
            }
            Self::Data(number) => [&[FORMAT, BY_DATA_KEY], &number.to_be_bytes()[..]].concat(),
        })
    }
}

/// The key's name and how many bytes it takes.
fn read_header(sealed: &[u8]) -> Option<(KeyName<'_>, usize)> {
    match *sealed {
        [FORMAT, BY_MASTER_KEY, length, ref rest @ ..] => {
            let length = usize::from(length);
            let id = std::str::from_utf8(rest.get(..length)?).ok()?;
            Some((KeyName::Master(id), 3 + length))
        }
        [FORMAT, BY_DATA_KEY, a, b, c, d, ..] => {
            Some((KeyName::Data(u32::from_be_bytes([a, b, c, d])), 6))
        }
        _ => None,
    }
}

/// Which key sealed this value?
pub(super) fn key_name(sealed: &[u8]) -> Result<KeyName<'_>, StoreError> {
    read_header(sealed)
        .map(|(name, _)| name)
        .ok_or(StoreError::Sealed)
}

fn bound_to(header: &[u8], brand: Option<BrandId>, place: &Place<'_>) -> Vec<u8> {
    let mut bytes = header.to_vec();
    if let Some(brand) = brand {
        bytes.extend(brand.0.as_bytes());
    }
    place.write(&mut bytes);
    bytes
}

/// Seals a value with the named key.
pub(super) fn seal(
    cipher: &Aes256Gcm,
    name: KeyName<'_>,
    brand: Option<BrandId>,
    place: &Place<'_>,
    value: &[u8],
) -> Result<Vec<u8>, StoreError> {
    let header = name.header()?;
    let mut nonce = [0_u8; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|_| StoreError::Sealed)?;
    let payload = Payload {
        msg: value,
        aad: &bound_to(&header, brand, place),
    };
    let text = cipher
        .encrypt(&Nonce::from(nonce), payload)
        .map_err(|_| StoreError::Sealed)?;
    Ok([&header[..], &nonce, &text].concat())
}

/// Opens a value with the key that it names.
pub(super) fn open(
    cipher: &Aes256Gcm,
    brand: Option<BrandId>,
    place: &Place<'_>,
    sealed: &[u8],
) -> Result<Vec<u8>, StoreError> {
    let (_, length) = read_header(sealed).ok_or(StoreError::Sealed)?;
    let (header, rest) = sealed.split_at(length);
    let (nonce, text) = rest
        .split_first_chunk::<NONCE_BYTES>()
        .ok_or(StoreError::Sealed)?;
    let payload = Payload {
        msg: text,
        aad: &bound_to(header, brand, place),
    };
    cipher
        .decrypt(&Nonce::from(*nonce), payload)
        .map_err(|_| StoreError::Sealed)
}
