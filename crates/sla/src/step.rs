//! One look at what is due.

mod brands;

use roost_domain::ids::ConversationId;
use roost_store::timers::{self, DueClock, Fired};
use roost_store::{Store, StoreError};

use crate::aside::Aside;
use crate::error::{Failure, classify};
use brands::{Chunk, each_chunk};

/// Moves that one look takes a step in.
const REAPPLIES: i32 = 20;
/// Conversations of one step of a move.
const REAPPLY_CHUNK: i64 = 250;

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// What was due when it looked.
    pub found: usize,
    /// What it did of that: the rest is in other hands, was done by others, or failed.
    pub done: usize,
}

/// What a step works with.
#[derive(Debug)]
pub struct Tools {
    /// The database.
    pub store: Store,
    /// Where it counts.
    pub metrics: crate::metrics::SlaMetrics,
    /// What is left alone for now.
    pub aside: Aside,
}

/// Fires clocks that are due by the database's time, oldest first, one transaction for each chunk of
/// a brand's.
///
/// Once, because a conversation is locked before its clock is read and `sla_firings` holds a row for
/// each thing told. A failure of one conversation puts that one aside.
///
/// # Errors
/// When the database is away; what was done until then stays done.
pub async fn fire_due(tools: &mut Tools, limit: usize) -> Result<Outcome, StoreError> {
    let due = timers::due_clocks(&tools.store, tools.most(limit)).await?;
    let due: Vec<DueClock> = due
        .into_iter()
        .filter(|clock| !tools.aside.holds(clock.conversation))
        .take(limit)
        .collect();
    let items = due.iter().map(|clock| (clock.brand, *clock)).collect();
    let mut done = 0;
    each_chunk(
        tools,
        items,
        |clock: &DueClock| clock.conversation,
        |store, brand, chunk: Vec<DueClock>| async move {
            store
                .brand(brand, move |tx| {
                    Box::pin(async move { timers::fire(tx, &chunk).await })
                })
                .await
        },
        |tools, fired: Fired| {
            done += fired.told.len();
            tools.metrics.told(&fired);
            for clock in &fired.orphans {
                tracing::error!(clock.id = %clock, "a due clock is not its conversation's; put to rest");
            }
        },
    )
    .await?;
    Ok(Outcome {
        found: due.len(),
        done,
    })
}

/// Ends snoozes that have run out by the database's time.
///
/// Once, because a conversation is locked before its state is read.
///
/// # Errors
/// When the database is away; what was done until then stays done.
pub async fn wake_due(tools: &mut Tools, limit: usize) -> Result<Outcome, StoreError> {
    let due = timers::due_snoozes(&tools.store, tools.most(limit)).await?;
    let items: Vec<Chunk<ConversationId>> = due
        .into_iter()
        .filter(|(_, id)| !tools.aside.holds(*id))
        .take(limit)
        .collect();
    let found = items.len();
    let mut done = 0;
    each_chunk(
        tools,
        items,
        |id: &ConversationId| *id,
        |store, brand, chunk: Vec<ConversationId>| async move {
            store
                .brand(brand, move |tx| {
                    Box::pin(async move { timers::wake(tx, &chunk).await })
                })
                .await
        },
        |tools, woken: usize| {
            done += woken;
            let woken = u64::try_from(woken).unwrap_or(u64::MAX);
            tools.metrics.woken.inc_by(woken);
        },
    )
    .await?;
    Ok(Outcome { found, done })
}

/// Moves running clocks to the present version of their policy, a chunk for each move that was asked for;
/// answers how many clocks that were.
///
/// # Errors
/// When the database is away; what was done until then stays done.
pub async fn reapply_open(tools: &mut Tools) -> Result<usize, StoreError> {
    let mut moved = 0;
    for (brand, id) in timers::open_reapplies(&tools.store, REAPPLIES).await? {
        let step = tools.store.brand(brand, move |tx| {
            Box::pin(async move { timers::reapply(tx, id, REAPPLY_CHUNK).await })
        });
        match step.await {
            Ok(some) => moved += some.unwrap_or(0),
            Err(error) => match classify(&error) {
                Failure::Hold => return Err(error),
                Failure::Again => tools.metrics.failed("again"),
                Failure::Drop => {
                    tracing::error!(reapply.id = %id, %error, "cannot move a policy's clocks");
                    tools.metrics.failed("drop");
                }
            },
        }
    }
    Ok(moved)
}

impl Tools {
    /// Lets those put aside be tried again whose rest is over.
    pub(crate) fn tidy(&mut self) {
        self.aside.tidy();
        let aside = i64::try_from(self.aside.len()).unwrap_or(i64::MAX);
        self.metrics.aside.set(aside);
    }

    /// How many to ask for, so that those put aside take nobody's place.
    fn most(&self, limit: usize) -> i32 {
        i32::try_from(limit + self.aside.len()).unwrap_or(i32::MAX)
    }
}
