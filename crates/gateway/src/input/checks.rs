//! Checks beyond types: they collect all faults before they refuse.

use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use crate::problem::{Fault, Problem};

/// Faults found so far.
#[derive(Debug, Default)]
pub(crate) struct Checks(Vec<Fault>);

impl Checks {
    /// Notes a fault.
    pub(crate) fn fault(&mut self, pointer: &str, detail: impl Into<String>) {
        self.0.push(Fault {
            pointer: pointer.to_owned(),
            detail: detail.into(),
        });
    }

    /// Notes all faults of others.
    pub(crate) fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// A value of a closed list, or an id.
    pub(crate) fn parse<T>(&mut self, pointer: &str, text: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        text.parse()
            .map_err(|error: T::Err| self.fault(pointer, error.to_string()))
            .ok()
    }

    /// An RFC 3339 instant.
    pub(crate) fn instant(&mut self, pointer: &str, text: &str) -> Option<Timestamp> {
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.fault(
                pointer,
                "must be an RFC 3339 instant, such as 2026-01-31T12:00:00.000Z",
            );
        }
        parsed
    }

    /// A text of one line, trimmed, of so many characters.
    pub(crate) fn line(&mut self, pointer: &str, text: &str, min: usize, max: usize) -> String {
        let text = text.trim();
        let length = text.chars().count();
        if length < min || length > max {
            self.fault(pointer, format!("must have {min} to {max} characters"));
        }
        if text.chars().any(char::is_control) {
            self.fault(pointer, "must not contain control characters");
        }
        text.to_owned()
    }

    /// Refuses if anything was found.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.0))
        }
    }
}

/// For a field where being left out and `null` differ: the outer none is "left out".
pub(crate) fn maybe<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}
