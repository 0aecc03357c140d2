//! Pages and their cursors.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::problem::{Code, Problem};

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Paged<T> {
    /// The rows.
    pub(crate) data: Vec<T>,
    /// Gives the next page; none on the last.
    pub(crate) next_cursor: Option<String>,
}

impl<T> Paged<T> {
    /// All there is.
    pub(crate) fn whole(data: Vec<T>) -> Self {
        Self {
            data,
            next_cursor: None,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Sealed<K> {
    v: u8,
    /// What the cursor belongs to: list, filter and order.
    of: String,
    key: K,
}

/// Cursors of one list, filter and order. Opaque, but no secret: a forged one reaches only rows that
/// its forger may read anyway.
#[derive(Debug)]
pub(crate) struct Cursors {
    of: String,
}

impl Cursors {
    /// The cursors of what these parts describe.
    pub(crate) fn of(parts: &[&str]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update(part.as_bytes());
            digest.update([0]);
        }
        Self {
            of: URL_SAFE_NO_PAD.encode(&digest.finalize()[..9]),
        }
    }

    /// The cursor that begins after this key.
    pub(crate) fn write<K: Serialize>(&self, key: K) -> String {
        let sealed = Sealed {
            v: 1,
            of: self.of.clone(),
            key,
        };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&sealed).unwrap_or_default())
    }

    /// The key of a cursor.
    pub(crate) fn read<K: DeserializeOwned>(&self, cursor: &str) -> Result<K, Problem> {
        let bytes = URL_SAFE_NO_PAD
            .decode(cursor)
            .map_err(|_| Problem::new(Code::InvalidCursor))?;
        let value: Sealed<serde_json::Value> =
            serde_json::from_slice(&bytes).map_err(|_| Problem::new(Code::InvalidCursor))?;
        if value.of != self.of {
            return Err(Problem::new(Code::CursorMismatch));
        }
        serde_json::from_value(value.key).map_err(|_| Problem::new(Code::InvalidCursor))
    }

    /// Cuts what was read with one row too many into a page; `key` names the last row given.
    pub(crate) fn page<R, K: Serialize>(
        &self,
        mut rows: Vec<R>,
        limit: i64,
        key: impl Fn(&R) -> K,
    ) -> (Vec<R>, Option<String>) {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows
            .last()
            .filter(|_| has_more)
            .map(|row| self.write(key(row)));
        (rows, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_belongs_to_its_filter() {
        let open = Cursors::of(&["conversations", "status=open"]);
        let cursor = open.write((5_i64, "x"));
        assert_eq!(
            open.read::<(i64, String)>(&cursor).unwrap(),
            (5, "x".to_owned())
        );
        let other = Cursors::of(&["conversations", "status=pending"]);
        assert_eq!(
            other.read::<(i64, String)>(&cursor).unwrap_err().code(),
            Code::CursorMismatch
        );
        for bad in ["", "!", "AAAA", &cursor[1..]] {
            assert_eq!(
                open.read::<(i64, String)>(bad).unwrap_err().code(),
                Code::InvalidCursor
            );
        }
    }

    #[test]
    fn the_last_page_has_no_successor() {
        let cursors = Cursors::of(&["x"]);
        assert_eq!(cursors.page(vec![1, 2], 2, |row| *row), (vec![1, 2], None));
        let (rows, next) = cursors.page(vec![1, 2, 3], 2, |row| *row);
        assert_eq!(
            (rows, cursors.read::<i32>(&next.unwrap()).unwrap()),
            (vec![1, 2], 2)
        );
    }
}
