//! The platform tells us of our own message.

use roost_platforms::x::fingerprint::fingerprint;
use roost_platforms::x::normalise::PlatformMessage;
use roost_store::ledger::Actor;
use roost_store::outbound::{self, Echo};
use roost_store::settle::{self, Accepted};
use roost_store::{IngestTx, StoreError};

use super::apply::Thread;

/// Settles the reply that this message is the echo of; false if no reply of ours explains it.
pub(super) async fn settle(
    tx: &mut IngestTx,
    thread: &mut Thread<'_>,
    message: &PlatformMessage,
) -> Result<bool, StoreError> {
    // An app id must be ours where it is present; who doesn't know theirs goes by the rest.
    let own = thread.own_app_id();
    let ours = own.as_ref().unwrap_or(&thread.desk().rules.x_app_id);
    let is_foreign = |app: &String| app != ours && !ours.is_empty();
    if message.source_app_id.as_ref().is_some_and(is_foreign) {
        return Ok(false);
    }
    let brand = thread.one.route.brand;
    let cause = thread.cause(Actor::System);
    for candidate in thread.candidates() {
        let echo = Echo {
            sent_at: message.sent_at,
            fingerprint: fingerprint(&message.text),
        };
        let Some(reply) = outbound::match_echo(tx.conn(), brand, candidate.id, &echo).await? else {
            continue;
        };
        let accepted = Accepted {
            platform_event_id: message.event_id.clone(),
            event_no: message.event_no,
            sent_at: message.sent_at,
            settled_by: "echo",
        };
        return settle::sent(thread.ledger, tx.conn(), brand, reply, &accepted, &cause).await;
    }
    Ok(false)
}
