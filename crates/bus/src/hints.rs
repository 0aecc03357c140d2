//! Hints: wake-ups that may be lost, because every role also polls.

use crate::link::{LinkError, LinkState, Shared, limited};
use crate::topology::Hint;
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Hints that may wait; more are dropped.
const QUEUE: usize = 1_024;
const SEND_LIMIT: Duration = Duration::from_secs(2);

pub(crate) type HintSender = Sender<(Hint, Vec<u8>)>;
pub(crate) type HintReceiver = Receiver<(Hint, Vec<u8>)>;

pub(crate) fn queue() -> (HintSender, HintReceiver) {
    channel(QUEUE)
}

/// Sends hints as they come, without confirms; resolves when the connection
/// can't be used any more.
pub(crate) async fn send_all(
    channel: &Channel,
    shared: &Shared,
    hints: &Arc<Mutex<HintReceiver>>,
) -> LinkError {
    let mut hints = hints.lock().await;
    loop {
        let Some((hint, payload)) = hints.recv().await else {
            // The bus is closing; others decide when the connection ends.
            return std::future::pending().await;
        };
        if shared.state() == LinkState::Blocked {
            shared.metrics.hints.with_label_values(&["dropped"]).inc();
            continue;
        }
        let sent = channel.basic_publish(
            shared.topology.hints_exchange().into(),
            hint.as_str().into(),
            BasicPublishOptions::default(),
            &payload,
            BasicProperties::default(),
        );
        match limited("send hint", SEND_LIMIT, sent).await {
            Ok(_unconfirmed) => shared.metrics.hints.with_label_values(&["sent"]).inc(),
            Err(error) => {
                shared.metrics.hints.with_label_values(&["dropped"]).inc();
                if shared.state() != LinkState::Blocked {
                    return error;
                }
            }
        }
    }
}
