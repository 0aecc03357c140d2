//! All that the simulator knows, behind one lock that is never held across a wait.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use crate::accounts::{Account, Accounts, Tokens};
use crate::config::SimConfig;
use crate::delivery::Job;
use crate::delivery::log::DeliveryLog;
use crate::dms::DmStore;
use crate::faults::{AnswerFault, Faults};
use crate::feed::Feed;
use crate::ids::{AccountId, DmId, Snowflakes, SubscriptionId, WebhookId, now_ms};
use crate::limits::Limits;
use crate::mailbox::Mailbox;
use crate::media::MediaStore;
use crate::oauth::legs::RequestToken;
use crate::oauth::verify::Nonces;
use crate::random;
use crate::subscriptions::ActivitySubscription;
use crate::webhooks::Webhook;

/// One call to a send endpoint, for tests that count.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SendRecord {
    pub(crate) at_ms: u64,
    pub(crate) sender: AccountId,
    /// Absent when nothing was taken.
    pub(crate) dm_event_id: Option<DmId>,
    pub(crate) refusal: Option<String>,
    pub(crate) fault: Option<AnswerFault>,
}

/// Everything that changes. What is skipped here starts anew with each process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct World {
    pub(crate) ids: Snowflakes,
    /// The app's own bearer token: one as long as the state lives.
    pub(crate) bearer: String,
    pub(crate) accounts: Accounts,
    pub(crate) tokens: Tokens,
    pub(crate) dms: DmStore,
    pub(crate) media: MediaStore,
    pub(crate) webhooks: BTreeMap<WebhookId, Webhook>,
    /// Account Activity: which account's events go to which webhook.
    pub(crate) account_activity: BTreeSet<(WebhookId, AccountId)>,
    /// X Activity API.
    pub(crate) activity: BTreeMap<SubscriptionId, ActivitySubscription>,
    #[serde(skip)]
    pub(crate) request_tokens: HashMap<String, RequestToken>,
    #[serde(skip)]
    pub(crate) nonces: Nonces,
    #[serde(skip)]
    pub(crate) limits: Limits,
    #[serde(skip)]
    pub(crate) faults: Faults,
    #[serde(skip)]
    pub(crate) log: DeliveryLog,
    #[serde(skip)]
    pub(crate) sends: Vec<SendRecord>,
    #[serde(skip)]
    pub(crate) mailbox: Mailbox,
}

impl Default for Faults {
    fn default() -> Self {
        Self::new(1)
    }
}

impl World {
    fn empty() -> Self {
        Self {
            ids: Snowflakes::default(),
            bearer: random::token(),
            accounts: Accounts::default(),
            tokens: Tokens::default(),
            dms: DmStore::default(),
            media: MediaStore::default(),
            webhooks: BTreeMap::new(),
            account_activity: BTreeSet::new(),
            activity: BTreeMap::new(),
            request_tokens: HashMap::new(),
            nonces: Nonces::default(),
            limits: Limits::default(),
            faults: Faults::default(),
            log: DeliveryLog::default(),
            sends: Vec::new(),
            mailbox: Mailbox::default(),
        }
    }

    /// Fits the configuration onto a new or a loaded world.
    fn configured(mut self, config: &SimConfig) -> Self {
        for spec in &config.accounts {
            if self.accounts.get(spec.id).is_none() {
                self.accounts
                    .insert(Account::new(spec.clone(), true, now_ms()));
            }
        }
        self.limits = Limits::new(config.limits);
        self.faults = Faults::new(config.seed);
        self.log = DeliveryLog::new(config.keep_deliveries);
        self
    }
}

/// The simulator as handlers and loops share it.
#[derive(Debug)]
pub(crate) struct Sim {
    pub(crate) config: SimConfig,
    pub(crate) feed: Feed,
    pub(crate) http: reqwest::Client,
    pub(crate) jobs: mpsc::UnboundedSender<Job>,
    /// Turns true when the simulator ends.
    pub(crate) closing: watch::Receiver<bool>,
    world: Mutex<World>,
    changes: AtomicU64,
    public_url: OnceLock<String>,
}

impl Sim {
    /// A simulator with the saved state, if there is one.
    pub(crate) fn new(
        config: SimConfig,
        jobs: mpsc::UnboundedSender<Job>,
        closing: watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        let saved = config
            .state_file
            .as_deref()
            .map(load)
            .transpose()?
            .flatten();
        let world = saved.unwrap_or_else(World::empty).configured(&config);
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent("roost-simulator")
            .build()
            .context("build the HTTP client")?;
        Ok(Self {
            config,
            feed: Feed::new(),
            http,
            jobs,
            closing,
            world: Mutex::new(world),
            changes: AtomicU64::new(0),
            public_url: OnceLock::new(),
        })
    }

    /// The world to look at.
    pub(crate) fn read(&self) -> MutexGuard<'_, World> {
        // A panic under the lock leaves a world that is still whole enough for a stand-in.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the world.
    pub(crate) fn change<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        self.changes.fetch_add(1, Ordering::Relaxed);
        act(&mut self.read())
    }

    /// Back to the start: accounts of the configuration, no messages, no webhooks.
    pub(crate) fn reset(&self) {
        let fresh = World::empty().configured(&self.config);
        self.change(|world| *world = fresh);
    }

    /// Where others reach the simulator, without a slash at the end.
    pub(crate) fn public_url(&self) -> String {
        self.public_url.get().cloned().unwrap_or_default()
    }

    pub(crate) fn set_public_url(&self, bound: &str) {
        let url = self.config.public_url.as_deref().unwrap_or(bound);
        self.public_url
            .set(url.trim_end_matches('/').to_owned())
            .ok(); // set once, at the start
    }

    /// A number that moves with every change.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Writes the state beside the file, then takes its place, so that a crash leaves a whole one.
    pub(crate) fn save(&self, file: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec(&*self.read()).context("serialise the state")?;
        let beside = file.with_extension("new");
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).context("create the folder of the state file")?;
        }
        std::fs::write(&beside, text).context("write the state file")?;
        std::fs::rename(&beside, file).context("replace the state file")
    }
}

fn load(file: &Path) -> anyhow::Result<Option<World>> {
    match std::fs::read(file) {
        Ok(text) => serde_json::from_slice(&text).map(Some).with_context(|| {
            format!(
                "read the state in {}; remove it to start anew",
                file.display()
            )
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", file.display())),
    }
}
