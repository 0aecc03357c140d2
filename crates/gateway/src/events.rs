//! From a line of the log to what feed and stream carry.
//!
//! A line keeps facts that name nobody. Texts, names and handles are filled in here from the rows as
//! they are now, so that erasing a customer needs no change of the log; where row and line differ, the
//! line tells how it was then.

mod audience;
mod data;

use roost_store::events::StoredEvent;
use roost_store::visibility::{Visibility, Walls};
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
    /// What those get out of whose sight it took its conversation.
    farewell: Option<EventView>,
}

impl Rendered {
    /// What is shown of it to somebody; nothing where they don't see what it is about. Whose sight it
    /// took the conversation from hears of that, and no more.
    pub(crate) fn shown_to(&self, visibility: &Visibility, walls: &Walls) -> Option<&EventView> {
        if self.audience.is_seen(visibility, walls) {
            return Some(&self.view);
        }
        let farewell = self.farewell.as_ref()?;
        self.audience
            .was_seen(visibility, walls)
            .then_some(farewell)
    }
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
        .map(|event| {
            let audience = Audience::of(event, &resources);
            let farewell = audience
                .has_moved()
                .then(|| EventView::new(brand, event, resources.farewell(event)));
            Rendered {
                position: event.position,
                audience,
                view: EventView::new(brand, event, resources.data(event)),
                farewell,
            }
        })
        .collect())
}
