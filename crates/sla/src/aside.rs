//! Conversations whose timers can't be handled, kept from their neighbours for a while.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use roost_domain::ids::ConversationId;

/// How long one rests before it is tried again.
const REST: Duration = Duration::from_secs(600);

/// What was put aside, and until when. It lives in the process: a defect is tried again after a
/// restart, which may have mended it.
#[derive(Debug, Default)]
pub struct Aside {
    until: HashMap<ConversationId, Instant>,
}

impl Aside {
    /// How many there are now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.until.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.until.is_empty()
    }

    /// Whether this one rests.
    #[must_use]
    pub fn holds(&self, id: ConversationId) -> bool {
        self.until.contains_key(&id)
    }

    pub(crate) fn put(&mut self, id: ConversationId) {
        self.until.insert(id, Instant::now() + REST);
    }

    /// Lets those go whose rest is over.
    pub(crate) fn tidy(&mut self) {
        let now = Instant::now();
        self.until.retain(|_, until| *until > now);
    }
}
