//! From a line of the log to what feed and stream carry.
//!
//! A line keeps facts that name nobody. Texts, names and handles are filled in here from the rows as
//! they are now, so that erasing a customer needs no change of the log; where row and line differ, the
//! line tells how it was then.

mod audience;
mod data;

use roost_store::events::StoredEvent;
use roost_store::{BrandTx, StoreError};

pub(crate) use audience::Audience;
use data::Resources;

use crate::wire::event::EventView;

/// A line ready to go out, and whom it concerns.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) view: EventView,
    pub(crate) audience: Audience,
    pub(crate) position: Option<i64>,
}

/// Fills lines in. A page costs one question for each kind of resource in it.
pub(crate) async fn render(
    tx: &mut BrandTx,
    events: &[StoredEvent],
) -> Result<Vec<Rendered>, StoreError> {
    let brand = tx.brand();
    let resources = Resources::load(tx, events).await?;
    Ok(events
        .iter()
        .map(|event| Rendered {
            position: event.position,
            audience: Audience::of(event, resources.conversation(event)),
            view: EventView::new(brand, event, resources.data(event)),
        })
        .collect())
}
