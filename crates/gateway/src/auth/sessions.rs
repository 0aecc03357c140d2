//! Whether a session is still good: the database's word, at most 2 s old.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use roost_store::accounts::{self, SessionState};
use roost_store::{Store, StoreError};
use uuid::Uuid;

use crate::problem::Problem;

/// An end counts within 5 s everywhere: this age, the stream's own beat and a slow query together.
const MAX_AGE: Duration = Duration::from_secs(2);
/// Entries after which old ones are thrown out.
const MAX_ENTRIES: usize = 20_000;

type Entry = (Instant, Option<SessionState>);

/// A cache of session states. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Sessions {
    store: Store,
    known: Arc<Mutex<HashMap<Uuid, Entry>>>,
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
        if let Some(state) = self.fresh(session) {
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
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() > MAX_ENTRIES {
            known.retain(|_, (at, _)| at.elapsed() < MAX_AGE);
        }
        for session in asked {
            known.insert(session, (now, states.get(&session).copied()));
        }
        Ok(states)
    }

    /// Forgets what is known, after this process has changed it.
    pub(crate) fn forget(&self, session: Uuid) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&session);
    }

    fn fresh(&self, session: Uuid) -> Option<Option<SessionState>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&session)
            .filter(|(at, _)| at.elapsed() < MAX_AGE)
            .map(|(_, state)| *state)
    }
}
