//! Direct messages: the rules by which the platform takes one, and the store of those it took.

pub(crate) mod event;
pub(crate) mod lookup;
pub(crate) mod send;
pub(crate) mod v1;
pub(crate) mod v2;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize, Serializer};

use crate::accounts::{Account, Inbox, Standing};
use crate::error::ApiError;
use crate::ids::{AccountId, DmId, MediaId};
use crate::state::World;
use crate::text::{self, Shown, UrlEntity};

/// Longest text, in code points.
const TEXT_LIMIT: usize = 10_000;

/// A choice that a brand offers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuickReplyOption {
    pub(crate) label: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<String>,
}

/// A customer's choice; the metadata may be absent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct QuickReplyAnswer {
    pub(crate) metadata: Option<String>,
}

/// A button that opens a page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cta {
    pub(crate) label: String,
    pub(crate) url: String,
    pub(crate) tco_url: String,
}

/// Where a conversation began.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct InitiatedVia {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tweet_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) welcome_message_id: Option<String>,
}

/// A photo in a message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Photo {
    pub(crate) media_id: MediaId,
    pub(crate) link: UrlEntity,
}

/// A message before the platform took it.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) sender: AccountId,
    pub(crate) recipient: AccountId,
    pub(crate) text: String,
    pub(crate) media_id: Option<MediaId>,
    pub(crate) quick_reply: Option<Vec<QuickReplyOption>>,
    pub(crate) quick_reply_answer: Option<QuickReplyAnswer>,
    /// Label and URL of each button.
    pub(crate) ctas: Vec<(String, String)>,
    pub(crate) initiated_via: Option<InitiatedVia>,
    /// The app that sent it; `None` for the platform's own apps.
    pub(crate) source_app_id: Option<String>,
    /// For late and reordered messages: the instant to put into the id.
    pub(crate) created_ms: Option<u64>,
}

impl Draft {
    pub(crate) fn text(sender: AccountId, recipient: AccountId, text: impl Into<String>) -> Self {
        Self {
            sender,
            recipient,
            text: text.into(),
            media_id: None,
            quick_reply: None,
            quick_reply_answer: None,
            ctas: Vec::new(),
            initiated_via: None,
            source_app_id: None,
            created_ms: None,
        }
    }
}

/// A message that the platform took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Dm {
    pub(crate) id: DmId,
    pub(crate) sender: AccountId,
    pub(crate) recipient: AccountId,
    /// What was typed, before links were rewritten.
    pub(crate) raw_text: String,
    pub(crate) shown: Shown,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) photo: Option<Photo>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) quick_reply: Option<Vec<QuickReplyOption>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) quick_reply_answer: Option<QuickReplyAnswer>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) ctas: Vec<Cta>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) initiated_via: Option<InitiatedVia>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source_app_id: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) deleted_for: BTreeSet<AccountId>,
}

/// The two accounts of a conversation, the smaller id first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Pair(pub(crate) AccountId, pub(crate) AccountId);

impl Pair {
    pub(crate) fn of(a: AccountId, b: AccountId) -> Self {
        if a <= b { Self(a, b) } else { Self(b, a) }
    }

    /// From `{smaller id}-{larger id}`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (a, b) = text.split_once('-')?;
        let pair = Self(a.parse().ok()?, b.parse().ok()?);
        (pair.0 <= pair.1).then_some(pair)
    }

    pub(crate) fn contains(self, account: AccountId) -> bool {
        self.0 == account || self.1 == account
    }

    pub(crate) fn other(self, account: AccountId) -> AccountId {
        if self.0 == account { self.1 } else { self.0 }
    }
}

impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

impl Dm {
    pub(crate) fn pair(&self) -> Pair {
        Pair::of(self.sender, self.recipient)
    }

    fn visible_to(&self, account: AccountId) -> bool {
        self.pair().contains(account) && !self.deleted_for.contains(&account)
    }
}

/// Every message, by id and by conversation.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "Vec<Dm>")]
pub(crate) struct DmStore {
    by_id: BTreeMap<DmId, Dm>,
    by_pair: HashMap<Pair, BTreeSet<DmId>>,
    by_account: HashMap<AccountId, BTreeSet<DmId>>,
    read_up_to: HashMap<(AccountId, AccountId), DmId>,
}

impl Serialize for DmStore {
    /// The messages alone; the indices are rebuilt on the way back.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.by_id.values())
    }
}

impl From<Vec<Dm>> for DmStore {
    fn from(dms: Vec<Dm>) -> Self {
        let mut store = Self::default();
        for dm in dms {
            store.insert(dm);
        }
        store
    }
}

impl DmStore {
    fn insert(&mut self, dm: Dm) {
        self.by_pair.entry(dm.pair()).or_default().insert(dm.id);
        self.by_account.entry(dm.sender).or_default().insert(dm.id);
        self.by_account
            .entry(dm.recipient)
            .or_default()
            .insert(dm.id);
        self.by_id.insert(dm.id, dm);
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// A message that the account may see.
    pub(crate) fn get(&self, id: DmId, viewer: AccountId) -> Option<&Dm> {
        self.by_id.get(&id).filter(|dm| dm.visible_to(viewer))
    }

    pub(crate) fn get_mut(&mut self, id: DmId, viewer: AccountId) -> Option<&mut Dm> {
        self.by_id.get_mut(&id).filter(|dm| dm.visible_to(viewer))
    }

    /// Newest first, what the account sees of one conversation or of all of them.
    pub(crate) fn newest_first<'a>(
        &'a self,
        viewer: AccountId,
        pair: Option<Pair>,
    ) -> impl Iterator<Item = &'a Dm> + use<'a> {
        let ids = match pair {
            Some(pair) => self.by_pair.get(&pair),
            None => self.by_account.get(&viewer),
        };
        let ids = ids.into_iter().flat_map(|ids| ids.iter().rev());
        ids.filter_map(|id| self.by_id.get(id))
            .filter(move |dm| dm.visible_to(viewer))
    }

    /// Whom the account has a conversation with, the latest first.
    pub(crate) fn partners(&self, account: AccountId) -> Vec<AccountId> {
        let mut partners = Vec::new();
        for dm in self.newest_first(account, None) {
            let other = dm.pair().other(account);
            if !partners.contains(&other) {
                partners.push(other);
            }
        }
        partners
    }

    /// Notes that `reader` read everything from `author` up to a message.
    pub(crate) fn mark_read(&mut self, reader: AccountId, author: AccountId, up_to: DmId) {
        let mark = self.read_up_to.entry((reader, author)).or_insert(up_to);
        *mark = up_to.max(*mark);
    }

    /// How far `reader` has read what `author` wrote.
    pub(crate) fn read_up_to(&self, reader: AccountId, author: AccountId) -> Option<DmId> {
        self.read_up_to.get(&(reader, author)).copied()
    }
}

/// Whether the platform lets `sender` write to `recipient`.
pub(crate) fn may_send(sender: &Account, recipient: &Account) -> Result<(), ApiError> {
    match sender.standing {
        Standing::Suspended => {
            return Err(ApiError::forbidden(
                64,
                "Your account is suspended and is not permitted to access this feature.",
            ));
        }
        Standing::Locked => {
            return Err(ApiError::forbidden(
                326,
                "To protect our users from spam and other malicious activity, this account is temporarily locked.",
            ));
        }
        Standing::Active | Standing::Deactivated => {}
    }
    if sender.blocks.contains(&recipient.id) {
        return Err(ApiError::forbidden(
            389,
            "You cannot send messages to users you have blocked.",
        ));
    }
    let closed = ApiError::forbidden(349, "You cannot send messages to this user.");
    if recipient.blocks.contains(&sender.id) || recipient.standing == Standing::Deactivated {
        return Err(closed);
    }
    if recipient.standing == Standing::Suspended {
        return Err(ApiError::forbidden(63, "User has been suspended."));
    }
    match recipient.inbox {
        Inbox::Closed => Err(closed),
        Inbox::Followed if !recipient.follows.contains(&sender.id) => Err(ApiError::forbidden(
            150,
            "You cannot send messages to users who are not following you.",
        )),
        Inbox::Open | Inbox::Followed => Ok(()),
    }
}

/// Takes a message: checks it, gives it an id and rewrites its text.
pub(crate) fn accept(world: &mut World, draft: Draft, now_ms: u64) -> Result<Dm, ApiError> {
    if draft.text.chars().count() > TEXT_LIMIT {
        return Err(ApiError::invalid(
            354,
            "The text of your direct message is over the max character limit.",
        ));
    }
    if draft.text.trim().is_empty() && draft.media_id.is_none() {
        return Err(ApiError::invalid_request(
            "At least one of text and attachments is required.",
        ));
    }
    if draft
        .media_id
        .is_some_and(|id| !world.media.is_usable_by(id, draft.sender))
    {
        return Err(ApiError::invalid(325, "A media id was not found."));
    }
    let missing = || ApiError::not_found(108, "Cannot find specified user.");
    let sender = world.accounts.get(draft.sender).ok_or_else(missing)?;
    let recipient = world.accounts.get(draft.recipient).ok_or_else(missing)?;
    may_send(sender, recipient)?;

    let id = DmId(match draft.created_ms {
        Some(ms) => world.ids.at(ms),
        None => world.ids.next(now_ms),
    });
    let mut shown = text::show(&draft.text, id.0);
    let photo = draft.media_id.map(|media_id| {
        let page = format!("https://twitter.com/messages/media/{id}");
        Photo {
            media_id,
            link: text::media_link(&mut shown, &page, id.0),
        }
    });
    let ctas = draft.ctas.into_iter();
    let dm = Dm {
        id,
        sender: draft.sender,
        recipient: draft.recipient,
        raw_text: draft.text,
        shown,
        photo,
        quick_reply: draft.quick_reply,
        quick_reply_answer: draft.quick_reply_answer,
        ctas: ctas
            .map(|(label, url)| Cta {
                tco_url: text::short_link(&url, id.0),
                label,
                url,
            })
            .collect(),
        initiated_via: draft.initiated_via,
        source_app_id: draft.source_app_id,
        deleted_for: BTreeSet::new(),
    };
    world.dms.insert(dm.clone());
    Ok(dm)
}
