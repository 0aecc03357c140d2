//! What happens, told live to the phone pages and to the demo customers.

use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::dms::{Dm, event};
use crate::ids::{AccountId, DmId};

/// Items that a slow reader may be behind; beyond that it misses some and reloads.
const CAPACITY: usize = 1_024;

/// One happening.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    Dm(Box<Dm>),
    Typing {
        from: AccountId,
        to: AccountId,
    },
    Read {
        reader: AccountId,
        author: AccountId,
        up_to: DmId,
    },
    /// A delivery, a webhook or a fault changed; the overview reloads.
    Overview,
}

impl Item {
    /// Whether the account takes part.
    pub(crate) fn concerns(&self, account: AccountId) -> bool {
        match self {
            Self::Dm(dm) => dm.pair().contains(account),
            Self::Typing { from, to } => *from == account || *to == account,
            Self::Read { reader, author, .. } => *reader == account || *author == account,
            Self::Overview => false,
        }
    }

    /// As the pages read it.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Dm(dm) => json!({ "type": "dm", "dm": event::plain(dm) }),
            Self::Typing { from, to } => {
                json!({ "type": "typing", "from": from, "to": to })
            }
            Self::Read {
                reader,
                author,
                up_to,
            } => {
                json!({ "type": "read", "reader": reader, "author": author, "up_to": up_to })
            }
            Self::Overview => json!({ "type": "overview" }),
        }
    }
}

/// The channel; readers that come later hear only what comes later.
#[derive(Debug)]
pub(crate) struct Feed(broadcast::Sender<Item>);

impl Feed {
    pub(crate) fn new() -> Self {
        Self(broadcast::channel(CAPACITY).0)
    }

    /// Tells whoever listens; nobody may.
    pub(crate) fn publish(&self, item: Item) {
        self.0.send(item).ok(); // an error says only that nobody listens
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Item> {
        self.0.subscribe()
    }
}
