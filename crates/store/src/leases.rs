//! Who works on what: leases that end by themselves and fence their old holders.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::error::StoreError;
use crate::tx::Store;

/// Takes or renews a lease. The answer is its epoch, or none if another process holds it.
///
/// # Errors
/// When the database fails.
pub async fn take(
    store: &Store,
    name: &str,
    holder: Uuid,
    seconds: i32,
) -> Result<Option<i64>, StoreError> {
    let name = name.to_owned();
    store
        .system(move |tx| {
            Box::pin(async move {
                Ok(sqlx::query_scalar("select lease_take($1, $2, $3)")
                    .bind(name)
                    .bind(holder)
                    .bind(seconds)
                    .fetch_one(tx.conn())
                    .await?)
            })
        })
        .await
}

/// Gives a lease back, so that another needn't wait for its end.
///
/// # Errors
/// When the database fails.
pub async fn give_back(store: &Store, name: &str, holder: Uuid) -> Result<(), StoreError> {
    let name = name.to_owned();
    store
        .system(move |tx| {
            Box::pin(async move {
                sqlx::query("select lease_drop($1, $2)")
                    .bind(name)
                    .bind(holder)
                    .execute(tx.conn())
                    .await?;
                Ok(())
            })
        })
        .await
}

/// Takes or renews several leases in one transaction; answers those that the holder has now.
///
/// # Errors
/// When the database fails; then none was taken or renewed.
pub async fn take_all(
    store: &Store,
    mut names: Vec<String>,
    holder: Uuid,
    seconds: i32,
) -> Result<Vec<(String, i64)>, StoreError> {
    // One order for all takers, so that they can't deadlock.
    names.sort();
    let taken: Vec<(String, Option<i64>)> = store
        .system(move |tx| {
            Box::pin(async move {
                Ok::<_, StoreError>(
                    sqlx::query_as("select name, lease_take(name, $2, $3) from unnest($1::text[]) as wanted (name)")
                        .bind(names)
                        .bind(holder)
                        .bind(seconds)
                        .fetch_all(tx.conn())
                        .await?,
                )
            })
        })
        .await?;
    Ok(taken
        .into_iter()
        .filter_map(|(name, epoch)| Some((name, epoch?)))
        .collect())
}

/// The living leases whose names begin with `prefix`, with their holders. Those named
/// `<prefix>node.…` that ran out a minute ago are forgotten: who comes and goes leaves nothing behind.
///
/// # Errors
/// When the database fails.
pub async fn survey(store: &Store, prefix: &str) -> Result<Vec<(String, Uuid)>, StoreError> {
    let prefix = prefix.to_owned();
    store
        .system(move |tx| {
            Box::pin(async move {
                Ok(sqlx::query_as("select name, holder from lease_survey($1)")
                    .bind(prefix)
                    .fetch_all(tx.conn())
                    .await?)
            })
        })
        .await
}

/// What one of the living should hold of `count` numbered things: they take turns, in the order of
/// their ids. Each of them is known by a lease named `<prefix>node.<id>`; the asker counts as living.
#[must_use]
pub fn fair_share(
    living: &[(String, Uuid)],
    prefix: &str,
    holder: Uuid,
    count: u16,
) -> BTreeSet<u16> {
    let node = format!("{prefix}node.");
    let mut nodes: BTreeSet<Uuid> = living
        .iter()
        .filter(|(name, _)| name.starts_with(&node))
        .map(|(_, holder)| *holder)
        .collect();
    nodes.insert(holder);
    let rank = nodes.iter().position(|one| *one == holder).unwrap_or(0);
    (0..count)
        .filter(|number| usize::from(*number) % nodes.len() == rank)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_living_share_everything_and_nothing_twice() {
        let ids: Vec<Uuid> = (1..=3).map(Uuid::from_u128).collect();
        let living: Vec<(String, Uuid)> = ids[..2]
            .iter()
            .map(|id| (format!("inbox.node.{id}"), *id))
            .collect();
        // The third has not written its lease yet.
        let shares: Vec<BTreeSet<u16>> = ids
            .iter()
            .map(|id| fair_share(&living, "inbox.", *id, 16))
            .collect();
        assert_eq!(shares[2].len(), 5);
        let both: BTreeSet<u16> = shares[0].union(&shares[1]).copied().collect();
        assert_eq!(both, (0..16).collect());
        assert!(shares[0].is_disjoint(&shares[1]));
    }
}
