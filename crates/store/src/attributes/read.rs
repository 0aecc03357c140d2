//! Values as somebody wants them, read by their definitions.

use std::collections::BTreeMap;

use roost_domain::ids::AttributeId;
use serde_json::Value;

use super::{Definition, Subject, hold, validate};
use crate::error::StoreError;
use crate::tx::BrandTx;

/// Why a value is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The brand has not defined this key for the subject.
    Undefined,
    /// It isn't what the definition asks for; what that would be.
    Invalid(String),
}

/// What was wanted.
#[derive(Debug)]
pub struct Wanted {
    /// Of the keys that are defined; held until the end of the transaction.
    pub definitions: Vec<Definition>,
    /// As they are stored; none takes the value away.
    pub values: Vec<(AttributeId, Option<String>)>,
    /// What can't be, in the order of the keys.
    pub faults: Vec<(String, Fault)>,
}

impl Wanted {
    /// The undefined keys, and the invalid ones with what they should be.
    #[must_use]
    pub fn faults(&self) -> (Vec<String>, Vec<(String, String)>) {
        let (mut undefined, mut invalid) = (Vec::new(), Vec::new());
        for (key, fault) in &self.faults {
            match fault {
                Fault::Undefined => undefined.push(key.clone()),
                Fault::Invalid(reason) => invalid.push((key.clone(), reason.clone())),
            }
        }
        (undefined, invalid)
    }
}

/// Reads values by key; null takes one away. Holds their definitions until the end of the transaction.
///
/// # Errors
/// When the database fails.
pub async fn read(
    tx: &mut BrandTx,
    subject: Subject,
    wanted: &BTreeMap<String, Value>,
) -> Result<Wanted, StoreError> {
    let keys: Vec<String> = wanted.keys().cloned().collect();
    let definitions = hold(tx, subject, &keys).await?;
    let (mut values, mut faults) = (Vec::new(), Vec::new());
    for (key, value) in wanted {
        let Some(definition) = definitions.iter().find(|known| known.key == *key) else {
            faults.push((key.clone(), Fault::Undefined));
            continue;
        };
        if value.is_null() {
            values.push((definition.id, None));
            continue;
        }
        match validate(definition, value) {
            Ok(text) => values.push((definition.id, Some(text))),
            Err(reason) => faults.push((key.clone(), Fault::Invalid(reason))),
        }
    }
    Ok(Wanted {
        definitions,
        values,
        faults,
    })
}
