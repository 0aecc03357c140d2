//! Messages on their way to the dead letters: in nobody's way, and never dropped.

use std::time::{Duration, Instant};

use roost_bus::Delivery;
use roost_service::Backoff;
use roost_store::dead;
use tokio::task::JoinSet;

use crate::forward::GiveBack;
use crate::worker::Tools;

/// How long a message is kept that can't be put among the dead letters; then it goes back to its
/// queue. The broker's own limit (`consumer_timeout`, 30 min by default) would close the channel.
const KEPT_AT_MOST: Duration = Duration::from_secs(5 * 60);

/// What a worker has put aside, a task for each. There are never more than the broker lets out.
#[derive(Debug)]
pub(crate) struct Aside(JoinSet<()>);

impl Aside {
    pub(crate) fn new() -> Self {
        Self(JoinSet::new())
    }

    /// Puts a message among the dead letters, in the database for people and in the broker for keeps.
    /// Whatever of it fails is tried again until it is done; the worker needn't wait.
    pub(crate) fn put(
        &mut self,
        tools: &Tools,
        give_back: &GiveBack,
        delivery: Delivery,
        reason: String,
    ) {
        tracing::error!(
            reason,
            queue = delivery.queue(),
            "message put aside: see `roost dead list`"
        );
        self.0
            .spawn(bury(tools.clone(), give_back.clone(), delivery, reason));
    }

    /// Forgets those that are done.
    pub(crate) fn reap(&mut self, give_back: &GiveBack) {
        while let Some(ended) = self.0.try_join_next() {
            if let Err(error) = ended {
                // Its message is held by nobody now.
                tracing::error!(%error, "putting a message aside panicked");
                give_back.now();
            }
        }
    }

    /// At the shutdown: those that don't succeed at once come again.
    pub(crate) async fn finish(mut self) {
        let all = async { while self.0.join_next().await.is_some() {} };
        tokio::time::timeout(Duration::from_secs(1), all).await.ok();
    }
}

async fn bury(tools: Tools, give_back: GiveBack, delivery: Delivery, reason: String) {
    let since = Instant::now();
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
    let mut is_recorded = false;
    // On a channel that is gone it would be acknowledged in vain: it comes again by itself.
    while delivery.is_held() {
        if !is_recorded {
            is_recorded = record(&tools, &delivery, &reason).await;
        }
        if is_recorded {
            match delivery.dead_letter(&reason).await {
                Ok(()) => {
                    tools.metrics.dead.inc();
                    return;
                }
                Err(error) => tracing::warn!(%error, "cannot put a message aside; trying again"),
            }
        }
        if since.elapsed() > KEPT_AT_MOST {
            give_back.now();
            return;
        }
        backoff.wait().await;
    }
}

async fn record(tools: &Tools, delivery: &Delivery, reason: &str) -> bool {
    // Text in the database holds no NUL.
    let reason = reason.replace('\0', "");
    let (queue, body) = (delivery.queue(), &delivery.body);
    match dead::record(&tools.store, &tools.sealer, queue, None, &reason, body).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, "cannot record a dead letter; trying again");
            false
        }
    }
}
