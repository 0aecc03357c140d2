//! Accounts, their tokens for the app, and how the platform shows them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ids::{AccountId, iso};
use crate::random;

/// Who may write to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Inbox {
    /// Anyone.
    #[default]
    Open,
    /// Only accounts it follows; others meet code 150.
    Followed,
    /// Nobody; others meet code 349.
    Closed,
}

/// How the platform regards an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    #[default]
    Active,
    /// Suspended by the platform: code 64 for its own calls, 63 for calls about it.
    Suspended,
    /// A person must log in: code 326.
    Locked,
    /// Left the platform: code 349 for those who write to it.
    Deactivated,
}

/// One account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) handle: String,
    pub(crate) name: String,
    /// Offered on the approval page and as a partner on the phone.
    pub(crate) brand: bool,
    pub(crate) created_ms: u64,
    #[serde(default)]
    pub(crate) inbox: Inbox,
    #[serde(default)]
    pub(crate) standing: Standing,
    #[serde(default)]
    pub(crate) follows: BTreeSet<AccountId>,
    #[serde(default)]
    pub(crate) blocks: BTreeSet<AccountId>,
}

/// `id:handle:name` of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSpec {
    /// The numeric id.
    pub id: AccountId,
    /// The handle without `@`.
    pub handle: String,
    /// The display name.
    pub name: String,
}

impl FromStr for AccountSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, ':');
        let id = parts
            .next()
            .unwrap_or_default()
            .parse()
            .map_err(|error| format!("{error}"))?;
        let handle = parts.next().unwrap_or_default();
        if !is_handle(handle) {
            return Err(format!(
                "`{handle}` is no handle: 1 to 15 letters, digits or `_`"
            ));
        }
        let name = parts.next().unwrap_or(handle).to_owned();
        Ok(Self {
            id,
            handle: handle.to_owned(),
            name,
        })
    }
}

/// 1 to 15 letters, digits or `_`.
pub(crate) fn is_handle(text: &str) -> bool {
    (1..=15).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Account {
    pub(crate) fn new(spec: AccountSpec, brand: bool, created_ms: u64) -> Self {
        Self {
            id: spec.id,
            handle: spec.handle,
            name: spec.name,
            brand,
            created_ms,
            inbox: Inbox::default(),
            standing: Standing::default(),
            follows: BTreeSet::new(),
            blocks: BTreeSet::new(),
        }
    }

    /// The flat v1.1 shape of the `users` map of Account Activity events.
    pub(crate) fn v1(&self) -> Value {
        json!({
            "id": self.id,
            "created_timestamp": self.created_ms.to_string(),
            "name": self.name,
            "screen_name": self.handle,
            "protected": false,
            "verified": self.brand,
            "followers_count": 12,
            "friends_count": self.follows.len(),
            "statuses_count": 34,
            "profile_image_url": self.picture(),
            "profile_image_url_https": self.picture(),
        })
    }

    /// The v2 shape with every field that X Activity events carry.
    pub(crate) fn v2(&self) -> Value {
        let metrics = json!({
            "followers_count": 12, "followers_count_str": "12",
            "following_count": self.follows.len(),
            "following_count_str": self.follows.len().to_string(),
            "tweet_count": 34, "tweet_count_str": "34",
            "listed_count": 0, "listed_count_str": "0",
            "like_count": 5, "like_count_str": "5",
            "media_count": 1, "media_count_str": "1",
        });
        json!({
            "id": self.id,
            "name": self.name,
            "username": self.handle,
            "description": "",
            "url": "",
            "protected": false,
            "verified": self.brand,
            "verified_type": if self.brand { "business" } else { "none" },
            "is_identity_verified": false,
            "created_at": iso(self.created_ms),
            "profile_image_url": self.picture(),
            "profile_banner_url": "",
            "public_metrics": metrics,
        })
    }

    /// The v2 shape with the default fields and those asked for.
    pub(crate) fn v2_fields(&self, fields: &str) -> Value {
        let asked: Vec<_> = fields.split(',').map(str::trim).collect();
        let mut user = self.v2();
        if let Some(map) = user.as_object_mut() {
            map.insert("receives_your_dm".into(), json!(self.inbox == Inbox::Open));
            map.insert("connection_status".into(), json!([]));
            map.retain(|key, _| {
                matches!(key.as_str(), "id" | "name" | "username") || asked.contains(&key.as_str())
            });
            if let Some(metrics) = map.get_mut("public_metrics").and_then(Value::as_object_mut) {
                metrics.retain(|key, _| !key.ends_with("_str"));
                // The newest published schema renames it; older clients read the old name.
                metrics.insert("post_count".into(), json!(34));
            }
        }
        user
    }

    fn picture(&self) -> String {
        format!(
            "https://pbs.twimg.com/profile_images/{}/sim_normal.png",
            self.id
        )
    }
}

/// All accounts, with the handles that lead to them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Accounts {
    by_id: BTreeMap<AccountId, Account>,
}

impl Accounts {
    pub(crate) fn get(&self, id: AccountId) -> Option<&Account> {
        self.by_id.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: AccountId) -> Option<&mut Account> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn insert(&mut self, account: Account) {
        self.by_id.insert(account.id, account);
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Account> {
        self.by_id.values()
    }

    /// By handle, whatever its case.
    pub(crate) fn by_handle(&self, handle: &str) -> Option<&Account> {
        let handle = handle.strip_prefix('@').unwrap_or(handle);
        self.by_id
            .values()
            .find(|account| account.handle.eq_ignore_ascii_case(handle))
    }

    /// By id, or by handle.
    pub(crate) fn find(&self, who: &str) -> Option<&Account> {
        let by_id = who.parse().ok().and_then(|id| self.by_id.get(&id));
        by_id.or_else(|| self.by_handle(who))
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct OAuth1Token {
    secret: String,
    account: AccountId,
}

/// Tokens that accounts gave to the app. They live until they are revoked.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tokens {
    oauth1: HashMap<String, OAuth1Token>,
    oauth2: HashMap<String, AccountId>,
}

impl Tokens {
    /// The account's OAuth 1.0a token and secret; the same as long as they live.
    pub(crate) fn issue_oauth1(&mut self, account: AccountId) -> (String, String) {
        let living = self
            .oauth1
            .iter()
            .find(|(_, token)| token.account == account);
        if let Some((key, token)) = living {
            return (key.clone(), token.secret.clone());
        }
        let (key, secret) = (format!("{account}-{}", random::token()), random::token());
        self.oauth1.insert(
            key.clone(),
            OAuth1Token {
                secret: secret.clone(),
                account,
            },
        );
        (key, secret)
    }

    /// An OAuth 2.0 user token of the account.
    pub(crate) fn issue_oauth2(&mut self, account: AccountId) -> String {
        let token = random::token();
        self.oauth2.insert(token.clone(), account);
        token
    }

    pub(crate) fn oauth1_secret(&self, token: &str) -> Option<&str> {
        self.oauth1.get(token).map(|token| token.secret.as_str())
    }

    pub(crate) fn oauth1_account(&self, token: &str) -> Option<AccountId> {
        self.oauth1.get(token).map(|token| token.account)
    }

    pub(crate) fn oauth2_account(&self, token: &str) -> Option<AccountId> {
        self.oauth2.get(token).copied()
    }

    /// Kills every token of the account; says how many.
    pub(crate) fn revoke(&mut self, account: AccountId) -> usize {
        let before = self.oauth1.len() + self.oauth2.len();
        self.oauth1.retain(|_, token| token.account != account);
        self.oauth2.retain(|_, owner| *owner != account);
        before - self.oauth1.len() - self.oauth2.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_of_the_command_line_parses() {
        let spec: AccountSpec = "42:acme_help:Acme: the help desk".parse().expect("a spec");
        assert_eq!(
            (spec.id, spec.handle.as_str()),
            (AccountId(42), "acme_help")
        );
        assert_eq!(spec.name, "Acme: the help desk");
        assert!("x:acme:A".parse::<AccountSpec>().is_err());
        assert!("1:with space:A".parse::<AccountSpec>().is_err());
    }

    #[test]
    fn revoked_tokens_are_dead() {
        let mut tokens = Tokens::default();
        let (key, _) = tokens.issue_oauth1(AccountId(1));
        assert_eq!(tokens.issue_oauth1(AccountId(1)).0, key);
        let other = tokens.issue_oauth2(AccountId(2));
        assert_eq!(tokens.revoke(AccountId(1)), 1);
        assert_eq!(tokens.oauth1_account(&key), None);
        assert_eq!(tokens.oauth2_account(&other), Some(AccountId(2)));
    }
}
