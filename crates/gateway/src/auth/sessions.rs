//! Whether a session is still good.

use std::collections::HashMap;
use std::sync::Arc;

use roost_domain::ids::UserId;
use roost_store::accounts::{self, SessionState};
use roost_store::{Store, StoreError};
use uuid::Uuid;

use super::fresh::Fresh;
use crate::problem::Problem;

/// A cache of session states. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Sessions {
    store: Store,
    known: Arc<Fresh<Uuid, Option<SessionState>>>,
}

impl Sessions {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            known: Arc::default(),
        }
    }

    /// As whom a session acts; none once it has ended.
    pub(crate) async fn state(&self, session: Uuid) -> Result<Option<SessionState>, Problem> {
        if let Some(state) = self.known.get(&session) {
            return Ok(state);
        }
        Ok(self.ask(vec![session]).await?.remove(&session))
    }

    /// The present states of those of these sessions that haven't ended, in one question.
    pub(crate) async fn ask(
        &self,
        sessions: Vec<Uuid>,
    ) -> Result<HashMap<Uuid, SessionState>, StoreError> {
        let asked = sessions.clone();
        let states = self.store.system(move |tx| {
            Box::pin(async move { accounts::session_states(tx, &sessions).await })
        });
        let states: HashMap<Uuid, SessionState> = states
            .await?
            .into_iter()
            .map(|state| (state.session, state))
            .collect();
        self.known.put(
            asked
                .into_iter()
                .map(|session| (session, states.get(&session).copied())),
        );
        Ok(states)
    }

    /// Forgets what is known, after this process has changed it.
    pub(crate) fn forget(&self, session: Uuid) {
        self.known.forget(&session);
    }

    /// Forgets all sessions of a person.
    pub(crate) fn forget_user(&self, user: UserId) {
        self.known
            .forget_where(|state| state.as_ref().is_some_and(|state| state.user == user));
    }
}
