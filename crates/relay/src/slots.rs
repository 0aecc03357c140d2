//! Who relays what: slots leased in PostgreSQL, shared evenly among the living relays.
//!
//! Every relay holds a lease under its own name, `relay.node.<id>`. Those that live, sorted, take
//! turns: the slot numbered `n` belongs to the one at `n mod count`. What isn't a relay's own it gives
//! back, what is it takes as soon as it is free; so any number of relays settle within a renewal.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use roost_store::sequencer::{LEASES, SLOTS, Slot, Tenure};
use roost_store::{Store, StoreError, leases};
use uuid::Uuid;

/// While one of its own slots is still in other hands, a relay looks for it this often.
const CLAIM_EVERY: Duration = Duration::from_millis(250);

/// The slots of one relay.
#[derive(Debug)]
pub struct Slots {
    store: Store,
    holder: Uuid,
    lease: Duration,
    held: BTreeMap<Slot, Held>,
    next_keep: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    epoch: i64,
    /// By this process's clock, read before the lease was written: never later than the database's.
    until: Instant,
    /// Everything that was numbered is known to be published.
    caught_up: bool,
}

impl Slots {
    /// None yet.
    #[must_use]
    pub fn new(store: Store, lease: Duration) -> Self {
        Self {
            store,
            holder: Uuid::now_v7(),
            lease,
            held: BTreeMap::new(),
            next_keep: Instant::now(),
        }
    }

    /// Who it is, for the leases.
    #[must_use]
    pub fn holder(&self) -> Uuid {
        self.holder
    }

    /// How long until leases must be looked at again.
    #[must_use]
    pub fn next_keep(&self) -> Duration {
        self.next_keep.saturating_duration_since(Instant::now())
    }

    /// Renews what it has, takes what is its own and free, gives back what is another's. Does nothing
    /// before that is due.
    ///
    /// # Errors
    /// When the database fails; leases that could not be renewed run out by themselves.
    pub async fn keep(&mut self) -> Result<(), StoreError> {
        let started = Instant::now();
        if started < self.next_keep {
            return Ok(());
        }
        self.next_keep = started + CLAIM_EVERY;
        self.renew(started).await?;
        let living = leases::survey(&self.store, LEASES).await?;
        let own = self.own(&living);
        let foreign: Vec<Slot> = self
            .held
            .keys()
            .filter(|slot| !own.contains(slot))
            .copied()
            .collect();
        for slot in foreign {
            self.held.remove(&slot);
            leases::give_back(&self.store, &slot.lease(), self.holder).await?;
        }
        let others = living.iter().filter(|(_, holder)| *holder != self.holder);
        let taken: BTreeSet<&str> = others.map(|(name, _)| name.as_str()).collect();
        let free: Vec<String> = own
            .iter()
            .filter(|slot| !self.held.contains_key(slot))
            .map(|slot| slot.lease())
            .filter(|name| !taken.contains(name.as_str()))
            .collect();
        if !free.is_empty() {
            self.take(free, started).await?;
        }
        if self.held.len() == own.len() {
            self.next_keep = started + self.lease / 3;
        }
        Ok(())
    }

    /// Apart from taking: a free slot may be locked by a relay that was paused in the middle of a
    /// transaction, which must not cost the slots that are held.
    async fn renew(&mut self, started: Instant) -> Result<(), StoreError> {
        let mut names: Vec<String> = self.held.keys().map(|slot| slot.lease()).collect();
        names.push(self.node());
        let renewed: BTreeMap<String, i64> =
            leases::take_all(&self.store, names, self.holder, self.seconds())
                .await?
                .into_iter()
                .collect();
        let until = started + self.lease;
        self.held
            .retain(|slot, held| match renewed.get(&slot.lease()) {
                // Another had it in between if the epoch rose: start anew.
                Some(epoch) if *epoch == held.epoch => {
                    held.until = until;
                    true
                }
                Some(epoch) => {
                    *held = Held {
                        epoch: *epoch,
                        until,
                        caught_up: false,
                    };
                    true
                }
                None => {
                    tracing::warn!(
                        slot = slot.number(),
                        "another relay has taken this slot over"
                    );
                    false
                }
            });
        Ok(())
    }

    async fn take(&mut self, free: Vec<String>, started: Instant) -> Result<(), StoreError> {
        let taken = leases::take_all(&self.store, free, self.holder, self.seconds()).await?;
        let until = started + self.lease;
        for (name, epoch) in taken {
            if let Some(slot) = Slot::all().find(|slot| slot.lease() == name) {
                self.held.insert(
                    slot,
                    Held {
                        epoch,
                        until,
                        caught_up: false,
                    },
                );
            }
        }
        Ok(())
    }

    fn own(&self, living: &[(String, Uuid)]) -> BTreeSet<Slot> {
        let node = format!("{LEASES}node.");
        let mut relays: BTreeSet<Uuid> = living
            .iter()
            .filter(|(name, _)| name.starts_with(&node))
            .map(|(_, holder)| *holder)
            .collect();
        relays.insert(self.holder);
        let rank = relays
            .iter()
            .position(|relay| *relay == self.holder)
            .unwrap_or(0);
        Slot::all()
            .filter(|slot| usize::from(slot.number()) % relays.len() == rank)
            .collect()
    }

    fn node(&self) -> String {
        format!("{LEASES}node.{}", self.holder)
    }

    fn seconds(&self) -> i32 {
        i32::try_from(self.lease.as_secs()).unwrap_or(i32::MAX)
    }

    /// Gives everything back, so that others needn't wait for the leases' end.
    pub async fn give_back(&mut self) {
        let slots = std::mem::take(&mut self.held);
        for name in slots.keys().map(|slot| slot.lease()).chain([self.node()]) {
            if let Err(error) = leases::give_back(&self.store, &name, self.holder).await {
                tracing::warn!(%error, "cannot give a slot back; its lease runs out by itself");
                return;
            }
        }
    }

    /// Those held and caught up, with the epochs that fence them.
    #[must_use]
    pub fn working(&self) -> Vec<Tenure> {
        let caught_up = self.held.iter().filter(|(_, held)| held.caught_up);
        caught_up
            .map(|(slot, held)| Tenure {
                slot: *slot,
                epoch: held.epoch,
            })
            .collect()
    }

    /// Those of which something may be numbered and not published.
    #[must_use]
    pub fn behind(&self) -> Vec<Slot> {
        self.held
            .iter()
            .filter(|(_, held)| !held.caught_up)
            .map(|(slot, _)| *slot)
            .collect()
    }

    /// Whether a slot is still its own, as far as it can know without asking.
    #[must_use]
    pub fn holds(&self, slot: Slot) -> bool {
        self.held
            .get(&slot)
            .is_some_and(|held| Instant::now() < held.until)
    }

    /// Everything of it is published.
    pub fn caught_up(&mut self, slot: Slot) {
        if let Some(held) = self.held.get_mut(&slot) {
            held.caught_up = true;
        }
    }

    /// Something of these may not be published: they are searched before they go on.
    pub fn fell_behind(&mut self, slots: impl IntoIterator<Item = Slot>) {
        for slot in slots {
            if let Some(held) = self.held.get_mut(&slot) {
                held.caught_up = false;
            }
        }
    }

    /// How many it holds, of [`SLOTS`].
    #[must_use]
    pub fn count(&self) -> u8 {
        u8::try_from(self.held.len()).unwrap_or(SLOTS)
    }
}
