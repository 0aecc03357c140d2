//! What is set aside: events of customers who were erased or are blocked.

use std::collections::HashMap;

use jiff::Timestamp;
use roost_store::contacts::{BlockedMessage, IdentityName, Known};
use roost_store::raw::{self, RawEvent};
use roost_store::{IngestTx, StoreError, contacts, erasure};

use super::{Placed, apply, keep_raw};
use crate::read::Meaning;

/// The newest event of each customer in a batch.
pub(super) fn newest(placed: &[Placed]) -> HashMap<IdentityName, Timestamp> {
    let mut newest: HashMap<IdentityName, Timestamp> = HashMap::new();
    for one in placed {
        let at = apply::order_of(one).0;
        let last = newest.entry(one.identity.clone()).or_insert(at);
        *last = at.max(*last);
    }
    newest
}

/// Drops what is older than the erasure of its customer, and blanks what was kept of it; answers how
/// much that was.
pub(super) async fn drop_erased(
    tx: &mut IngestTx,
    customers: &HashMap<IdentityName, Known>,
    placed: &mut Vec<Placed>,
) -> Result<usize, StoreError> {
    let mut dropped = Vec::new();
    placed.retain(|one| {
        if !is_message(one) {
            return true;
        }
        let is_gone = match customers.get(&one.identity) {
            None => true,
            Some(known) => known
                .erased_before
                .is_some_and(|at| apply::order_of(one).0 <= at),
        };
        if is_gone {
            let ingress = &one.event.ingress;
            let key = (
                one.route.channel,
                ingress.kind.clone(),
                ingress.event_id.clone(),
            );
            dropped.push((one.route.brand, key));
        }
        !is_gone
    });
    erasure::blank_events(tx.conn(), &dropped).await?;
    Ok(dropped.len())
}

fn is_message(one: &Placed) -> bool {
    matches!(
        one.event.meaning,
        Meaning::Message(_) | Meaning::Unreadable { .. }
    )
}

/// Keeps what blocked customers wrote: in the conversation that they had last, else raw.
pub(super) async fn keep_blocked(
    tx: &mut IngestTx,
    blocked: Vec<(BlockedMessage, Placed)>,
) -> Result<(), StoreError> {
    let (mut messages, mut strays, mut keys) = (Vec::new(), Vec::<RawEvent>::new(), Vec::new());
    for (message, one) in blocked {
        if message.conversation.is_none() {
            let ingress = &one.event.ingress;
            let key = (
                one.route.channel,
                ingress.kind.clone(),
                ingress.event_id.clone(),
            );
            keys.push((one.route.brand, key));
            strays.push(keep_raw(one.event, "contact is blocked".to_owned()));
        }
        messages.push(message);
    }
    raw::keep(tx.conn(), &strays).await?;
    // Kept once, where an erasure finds it.
    erasure::blank_events(tx.conn(), &keys).await?;
    contacts::keep_blocked(tx.conn(), messages).await
}
