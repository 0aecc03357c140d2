//! Events in: which teams they make due.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use roost_bus::envelope::EventPointer;
use roost_bus::{Delivery, HoldBack, Subscription, Verdict};
use roost_domain::event::OF_ROUTING;
use roost_domain::ids::{BrandId, EventId};
use roost_service::Shutdown;
use roost_service::health::Check;
use roost_store::{StoreError, routing};

use crate::desk::{Desk, Team, describe};
use crate::error::{Failure, classify};

/// Events taken together; what they concern is looked up and routed once.
const BATCH: usize = 500;

/// Consumes one queue until shutdown.
///
/// At least once: a batch is acknowledged when all that it made due was routed. Routing starts from
/// what is stored, so a second time changes nothing.
pub(crate) async fn consume(
    desk: Arc<Desk>,
    mut events: Subscription,
    check: Check,
    shutdown: Shutdown,
) {
    let mut hold = HoldBack::new();
    loop {
        let batch = tokio::select! {
            biased;
            () = shutdown.triggered() => return,
            batch = events.next_batch(BATCH) => batch,
        };
        let Some(batch) = batch else { return };
        let wanted = sort(&desk, &batch);
        loop {
            match handle(&desk, &wanted).await {
                Ok(()) => {
                    check.up();
                    hold.reset();
                    events.ack_all(&batch).await;
                    break;
                }
                Err(error) => {
                    tracing::warn!(error = describe(&error), "routing waits for the database");
                    check.down("the database doesn't answer");
                }
            }
            match hold.wait(&shutdown).await {
                Verdict::Again => {}
                Verdict::GiveBack => {
                    hold.reset();
                    events.reopen();
                    break;
                }
                Verdict::Stop => return,
            }
        }
    }
}

/// The events of interest by brand. One that can't be read is counted and passed over: a pointer
/// holds nothing that the sweep wouldn't find.
fn sort(desk: &Desk, batch: &[Delivery]) -> BTreeMap<BrandId, Vec<EventId>> {
    let mut wanted: BTreeMap<BrandId, Vec<EventId>> = BTreeMap::new();
    for delivery in batch {
        match serde_json::from_slice::<EventPointer>(&delivery.body) {
            Ok(pointer) => {
                if OF_ROUTING.iter().any(|kind| kind.as_str() == pointer.kind) {
                    let events = wanted.entry(BrandId(pointer.brand_id)).or_default();
                    events.push(EventId(pointer.event_id));
                }
            }
            Err(error) => {
                tracing::warn!(%error, queue = delivery.queue(), "passed over an event pointer that is not readable");
                desk.metrics.failed("unreadable");
            }
        }
    }
    wanted
}

async fn handle(
    desk: &Arc<Desk>,
    wanted: &BTreeMap<BrandId, Vec<EventId>>,
) -> Result<(), StoreError> {
    let mut due: BTreeSet<Team> = BTreeSet::new();
    for (brand, events) in wanted {
        match routing::affected_teams(&desk.store, *brand, events.clone()).await {
            Ok(teams) => due.extend(teams.into_iter().map(|team| (*brand, team))),
            Err(error) => match classify(&error) {
                Failure::Again | Failure::Hold => return Err(error),
                Failure::Drop => {
                    desk.metrics.failed("drop");
                    tracing::error!(
                        brand.id = %brand, error = describe(&error),
                        "cannot tell which teams events concern; the next sweep finds them"
                    );
                }
            },
        }
    }
    desk.route_all(due).await
}
