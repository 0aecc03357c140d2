//! `roost keys`: the operator's keys and what they seal.

use anyhow::bail;
use clap::Subcommand;
use roost_store::seal::KeyRing;
use roost_store::seal::rotate::{Keeper, KeyUse};

use super::{configure, print};
use crate::roles;

/// What to do with them.
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Each key with its state and how much it seals.
    List,
    /// Seal everything with the active key; services may run meanwhile.
    Rotate,
    /// Give up everything that a lost key seals; its channels have to be connected again.
    Forget {
        /// As `list` prints it.
        id: String,
    },
}

pub(crate) async fn run(command: Keys) -> anyhow::Result<()> {
    let config = configure(&["database_url", "secrets_keys"])?;
    let ring = roles::key_ring(&config)?;
    let mut keeper = Keeper::connect(&config.database.url, ring.clone()).await?;
    match command {
        Keys::List => print(&table(&ring, &keeper.uses().await?)),
        Keys::Rotate => rotate(&mut keeper, &ring).await,
        Keys::Forget { id } => forget(&mut keeper, &ring, &id).await,
    }
}

async fn rotate(keeper: &mut Keeper, ring: &KeyRing) -> anyhow::Result<()> {
    let rotated = keeper.rotate().await?;
    for (table, moved) in &rotated.moved {
        print(&format!("{table}: {moved} sealed anew"))?;
    }
    for value in &rotated.unreadable {
        print(&format!("does not open: {value}"))?;
    }
    let uses = keeper.uses().await?;
    print(&table(ring, &uses))?;
    if !rotated.unreadable.is_empty() {
        bail!("{} values don't open", rotated.unreadable.len());
    }
    let idle: Vec<&str> = ring
        .ids()
        .skip(1)
        .filter(|id| uses.iter().all(|used| used.id != *id))
        .collect();
    if !idle.is_empty() {
        print(&format!(
            "no stored value needs {} any more",
            idle.join(", ")
        ))?;
    }
    Ok(())
}

async fn forget(keeper: &mut Keeper, ring: &KeyRing, id: &str) -> anyhow::Result<()> {
    if ring.has(id) {
        bail!("{id} is in secrets_keys: it isn't lost");
    }
    if id.is_empty() || keeper.uses().await?.iter().all(|used| used.id != id) {
        bail!("no stored value needs a key `{id}`");
    }
    let gone = keeper.forget(id).await?;
    print(&format!(
        "{} data keys, {} dead letters, {} connections under way and {} unsent mails are gone; \
         {} channels have to be connected and {} second factors set up again",
        gone.brand_keys,
        gone.dead_letters,
        gone.connect_requests,
        gone.mails,
        gone.channels,
        gone.second_factors
    ))
}

/// The ring in its order, then what is missing from it.
fn table(ring: &KeyRing, uses: &[KeyUse]) -> String {
    let mut lines = vec![line(
        "key",
        "state",
        ["brand keys", "dead", "connecting", "mails", "2nd factors"],
    )];
    for (index, id) in ring.ids().enumerate() {
        let state = if index == 0 { "active" } else { "opens" };
        lines.push(use_line(id, state, uses.iter().find(|used| used.id == id)));
    }
    for used in uses.iter().filter(|used| !ring.has(&used.id)) {
        let (id, state) = if used.id.is_empty() {
            ("-", "unreadable")
        } else {
            (used.id.as_str(), "MISSING")
        };
        lines.push(use_line(id, state, Some(used)));
    }
    lines.join("\n")
}

fn use_line(id: &str, state: &str, used: Option<&KeyUse>) -> String {
    let counts = used.map_or([0; 5], |used| {
        [
            used.brand_keys,
            used.dead_letters,
            used.connect_requests,
            used.mails,
            used.second_factors,
        ]
    });
    line(id, state, counts.map(|count| count.to_string()))
}

fn line<T: std::fmt::Display>(id: &str, state: &str, counts: [T; 5]) -> String {
    let [brands, dead, connecting, mails, factors] = counts;
    format!(
        "{id:<32}  {state:<10}  {brands:>10}  {dead:>10}  {connecting:>10}  {mails:>10}  {factors:>11}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_shows_the_ring_in_its_order_and_what_it_lacks() {
        let key = |id: &str, text: &str| (id.to_owned(), text.to_owned().into());
        let ring = KeyRing::new([
            key("new", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            key("old", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="),
        ])
        .unwrap();
        let used = |id: &str, brand_keys| KeyUse {
            id: id.to_owned(),
            brand_keys,
            dead_letters: 0,
            connect_requests: 0,
            mails: 0,
            second_factors: 0,
        };
        let shown = table(&ring, &[used("", 3), used("lost", 2), used("old", 1)]);
        let words: Vec<Vec<&str>> = shown
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(words[0], ["new", "active", "0", "0", "0", "0", "0"]);
        assert_eq!(words[1], ["old", "opens", "1", "0", "0", "0", "0"]);
        assert_eq!(words[2], ["-", "unreadable", "3", "0", "0", "0", "0"]);
        assert_eq!(words[3], ["lost", "MISSING", "2", "0", "0", "0", "0"]);
    }
}
