//! What was delivered, how often it was tried, and the bodies for replays.

use std::collections::{BTreeMap, HashSet};

use actix_web::web::Bytes;
use serde::Serialize;

use super::Job;
use crate::ids::{AccountId, DmId, WebhookId, now_ms};

/// Number of a delivery in this process, rising.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct DeliveryId(u64);

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Waiting, on its way, or to be tried again.
    Pending,
    /// Answered with 200.
    Delivered,
    /// Tried in vain as often as the platform tries.
    Failed,
    /// Lost on purpose.
    Dropped,
    /// The webhook is gone or invalid.
    WebhookInvalid,
}

/// One POST.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Attempt {
    pub(crate) at_ms: u64,
    pub(crate) latency_ms: u64,
    /// Absent when no answer came.
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
}

/// One body on its way to one webhook.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Delivery {
    pub(crate) id: DeliveryId,
    pub(crate) webhook_id: WebhookId,
    pub(crate) kind: String,
    pub(crate) user_id: Option<AccountId>,
    pub(crate) dm_event_id: Option<DmId>,
    pub(crate) queued_ms: u64,
    pub(crate) state: State,
    pub(crate) attempts: Vec<Attempt>,
    #[serde(skip)]
    body: Bytes,
}

/// The latest deliveries.
#[derive(Debug, Default)]
pub(crate) struct DeliveryLog {
    keep: usize,
    last: u64,
    deliveries: BTreeMap<DeliveryId, Delivery>,
    /// Webhooks with a running replay job.
    pub(crate) replaying: HashSet<WebhookId>,
}

impl DeliveryLog {
    pub(crate) fn new(keep: usize) -> Self {
        Self {
            keep,
            ..Self::default()
        }
    }

    /// Notes a new delivery.
    pub(crate) fn open(&mut self, job: &Job, state: State) -> DeliveryId {
        self.last += 1;
        let id = DeliveryId(self.last);
        self.deliveries.insert(
            id,
            Delivery {
                id,
                webhook_id: job.webhook,
                kind: job.kind.clone(),
                user_id: job.user,
                dm_event_id: job.dm,
                queued_ms: now_ms(),
                state,
                attempts: Vec::new(),
                body: job.body.clone(),
            },
        );
        while self.deliveries.len() > self.keep {
            self.deliveries.pop_first();
        }
        id
    }

    pub(crate) fn note(&mut self, id: DeliveryId, attempt: Attempt) {
        if let Some(delivery) = self.deliveries.get_mut(&id) {
            delivery.attempts.push(attempt);
        }
    }

    pub(crate) fn close(&mut self, id: DeliveryId, state: State) {
        if let Some(delivery) = self.deliveries.get_mut(&id) {
            delivery.state = state;
        }
    }

    pub(crate) fn newest_first(&self) -> impl Iterator<Item = &Delivery> {
        self.deliveries.values().rev()
    }

    /// Deliveries of a webhook that were tried and queued in `from..to` (ms), as fresh jobs: one
    /// per message and receiver, however many copies there were.
    pub(crate) fn between(&self, webhook: WebhookId, from: u64, to: u64) -> Vec<Job> {
        let mut seen = HashSet::new();
        let past = self.deliveries.values().filter(|delivery| {
            delivery.webhook_id == webhook
                && (from..to).contains(&delivery.queued_ms)
                && delivery.user_id.is_some()
        });
        past.filter(|delivery| seen.insert(delivery.body.clone()))
            .map(|delivery| Job {
                user: delivery.user_id,
                dm: delivery.dm_event_id,
                ..Job::plain(webhook, delivery.kind.clone(), delivery.body.to_vec())
            })
            .collect()
    }
}
