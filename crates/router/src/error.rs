//! What to do about a failed step.

use roost_store::StoreError;

/// How a failure is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The transaction lost a race: the same again, soon.
    Again,
    /// The database is away: hold what is in hand and back off.
    Hold,
    /// The same would fail for ever: give it up, for neighbours to go on.
    Drop,
}

/// Sorts a failure.
pub(crate) fn classify(error: &StoreError) -> Failure {
    match error {
        StoreError::Conflict(_) => Failure::Again,
        // A commit of unknown outcome is tried again: routing starts from what is stored.
        StoreError::Unavailable(_) | StoreError::CommitUnknown(_) => Failure::Hold,
        StoreError::Constraint { .. }
        | StoreError::Statement(_)
        | StoreError::Corrupt(_)
        | StoreError::Sealed
        | StoreError::MissingKey { .. }
        | StoreError::Died => Failure::Drop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_defect_is_never_retried() {
        assert_eq!(
            classify(&StoreError::Corrupt("x".to_owned())),
            Failure::Drop
        );
        assert_eq!(classify(&StoreError::Died), Failure::Drop);
        assert_eq!(classify(&StoreError::Sealed), Failure::Drop);
    }
}
