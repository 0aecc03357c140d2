//! Who listens, and whether they still may.

use std::collections::HashMap;
use std::sync::Arc;

use roost_domain::ids::{BrandId, MemberId};
use roost_domain::role::{Permission, Role};
use roost_store::accounts::SessionState;
use roost_store::api_keys::KeyGrant;
use roost_store::visibility::Visibility;
use uuid::Uuid;

use super::hub::Verdict;
use crate::auth::{Identity, Keys, Who};

/// As whom a stream was opened, and what it lives by.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) brand: BrandId,
    pub(super) member: MemberId,
    pub(super) visibility: Visibility,
    role: Role,
    proof: Proof,
}

#[derive(Debug, Clone)]
enum Proof {
    Session(Uuid),
    /// The key's hash, and what it was good for.
    Key(Vec<u8>, Arc<KeyGrant>),
}

/// What is known at one moment of the proofs of all open streams.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    pub(super) sessions: HashMap<Uuid, SessionState>,
    /// In order.
    pub(super) asked: Vec<Uuid>,
    pub(super) keys: HashMap<Vec<u8>, Option<Arc<KeyGrant>>>,
}

impl Seat {
    pub(super) fn of(identity: &Identity, token: &str) -> Self {
        Self {
            brand: identity.brand,
            member: identity.member,
            visibility: identity.visibility(),
            role: identity.role,
            proof: match &identity.who {
                Who::Person(person) => Proof::Session(person.session),
                Who::Key(grant) => Proof::Key(Keys::hash(token), Arc::clone(grant)),
            },
        }
    }

    /// Whether presence goes by it.
    pub(super) fn is_person(&self) -> bool {
        self.session().is_some()
    }

    pub(super) fn session(&self) -> Option<Uuid> {
        match self.proof {
            Proof::Session(session) => Some(session),
            Proof::Key(..) => None,
        }
    }

    pub(super) fn key(&self) -> Option<&Vec<u8>> {
        match &self.proof {
            Proof::Session(_) => None,
            Proof::Key(hash, _) => Some(hash),
        }
    }

    /// Whether it goes on. Who may more now than at its opening sees more when it is opened again.
    pub(super) fn judge(&self, known: &Proofs) -> Verdict {
        match &self.proof {
            Proof::Session(session) => match known.sessions.get(session) {
                // One that joined since wasn't part of the question.
                None if known.asked.binary_search(session).is_err() => Verdict::Open,
                None => Verdict::SessionEnded,
                Some(state) if !state.active || state.lacks_two_factor => Verdict::RightsLost,
                Some(state) if state.brand != self.brand || state.member != self.member => {
                    Verdict::SessionEnded
                }
                Some(state) => self.go_on(state.role.covers(self.role), state.role),
            },
            Proof::Key(hash, before) => match known.keys.get(hash) {
                None => Verdict::Open,
                Some(None) => Verdict::SessionEnded,
                Some(Some(now)) => {
                    let reaches_as_far = now.role.covers(before.role)
                        && now.scopes.contains(&Permission::EventsRead)
                        && (&now.teams, &now.channels, now.is_test)
                            == (&before.teams, &before.channels, before.is_test);
                    self.go_on(reaches_as_far, now.role)
                }
            },
        }
    }

    fn go_on(&self, reaches_as_far: bool, role: Role) -> Verdict {
        if reaches_as_far && role.allows(Permission::EventsRead) {
            Verdict::Open
        } else {
            Verdict::RightsLost
        }
    }
}

#[cfg(test)]
impl Seat {
    pub(super) fn of_owner() -> Self {
        Self {
            brand: BrandId(Uuid::now_v7()),
            member: MemberId(Uuid::now_v7()),
            visibility: Visibility::ALL,
            role: Role::Owner,
            proof: Proof::Session(Uuid::now_v7()),
        }
    }
}
