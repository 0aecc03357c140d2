//! Liveness of the publishing connection: a message through a confirm.
//!
//! `status().connected()` stays true on a frozen broker, so the only proof is
//! an answer. The probe goes to the default exchange under a name that no queue
//! has and isn't mandatory: the broker confirms and discards it, and it needs
//! no queue of its own.

use crate::link::{LinkError, LinkState, Shared, limited};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Connection};
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(10);

/// Probes until the connection counts as dead. A probe without an answer is
/// repeated at once, so that a frozen broker is noticed within 16 s.
pub(crate) async fn keep(connection: &Connection, shared: &Shared) -> LinkError {
    loop {
        tokio::time::sleep(EVERY).await;
        while let Err(error) = once(connection, shared).await {
            if shared.state() == LinkState::Blocked {
                break;
            }
            tracing::warn!(%error, "the broker did not answer a probe");
            if let Err(dead) = shared.note_timeout() {
                return dead;
            }
        }
    }
}

async fn once(connection: &Connection, shared: &Shared) -> Result<(), LinkError> {
    let limit = shared.config.confirm_timeout;
    let channel: Channel = limited("open channel", limit, connection.create_channel()).await?;
    let select = channel.confirm_select(ConfirmSelectOptions::default());
    limited("ask for confirms", limit, select).await?;
    let key = shared.topology.full_name("probe");
    limited("confirm probe", limit, async {
        channel
            .basic_publish(
                "".into(),
                key.into(),
                BasicPublishOptions::default(),
                b"",
                BasicProperties::default(),
            )
            .await?
            .await
    })
    .await?;
    shared.note_confirm();
    limited("close channel", limit, channel.close(200, "OK".into())).await
}
