//! Which partitions this process works on.
//!
//! The leases only spread the load: a partition that two processes read for a moment is served by one
//! at a time (single active consumer), and what both handle falls to the unique key.

use std::collections::BTreeSet;

use roost_store::{Store, StoreError, leases};
use uuid::Uuid;

const LEASES: &str = "inbox.";
/// How long a process that died keeps its partitions.
pub(crate) const LEASE_SECONDS: i32 = 15;

/// The partitions of one process.
#[derive(Debug)]
pub(crate) struct Partitions {
    store: Store,
    holder: Uuid,
    count: u16,
}

impl Partitions {
    pub(crate) fn new(store: Store, count: u16) -> Self {
        Self {
            store,
            holder: Uuid::now_v7(),
            count,
        }
    }

    fn name(partition: u16) -> String {
        format!("{LEASES}p{partition:02}")
    }

    /// Renews this process's place among the living and answers the partitions that it has: its
    /// share, as far as others have let go of it.
    pub(crate) async fn keep(&self) -> Result<BTreeSet<u16>, StoreError> {
        let node = format!("{LEASES}node.{}", self.holder);
        leases::take(&self.store, &node, self.holder, LEASE_SECONDS).await?;
        let living = leases::survey(&self.store, LEASES).await?;
        let own = leases::fair_share(&living, LEASES, self.holder, self.count);
        let held = living
            .iter()
            .filter(|(_, holder)| *holder == self.holder)
            .map(|(name, _)| name.as_str());
        let foreign: Vec<String> = held
            .filter(|name| {
                *name != node && !own.iter().any(|partition| Self::name(*partition) == **name)
            })
            .map(ToOwned::to_owned)
            .collect();
        for name in foreign {
            leases::give_back(&self.store, &name, self.holder).await?;
        }
        let names = own.iter().map(|partition| Self::name(*partition)).collect();
        let taken = leases::take_all(&self.store, names, self.holder, LEASE_SECONDS).await?;
        Ok(own
            .into_iter()
            .filter(|partition| {
                taken
                    .iter()
                    .any(|(name, _)| *name == Self::name(*partition))
            })
            .collect())
    }

    /// Lets others have everything at once.
    pub(crate) async fn give_back(&self) -> Result<(), StoreError> {
        let living = leases::survey(&self.store, LEASES).await?;
        for (name, _) in living.iter().filter(|(_, holder)| *holder == self.holder) {
            leases::give_back(&self.store, name, self.holder).await?;
        }
        Ok(())
    }
}
