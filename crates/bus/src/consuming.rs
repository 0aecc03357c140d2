//! The consuming connection: its own, because an alarm stops a whole
//! publishing connection and must not stop acknowledgements.

use crate::connection;
use crate::link::{LinkError, Shared, chain, limited};
use lapin::Connection;
use lapin::options::BasicQosOptions;
use roost_service::Backoff;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

const PROBE_EVERY: Duration = Duration::from_secs(10);
const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// A consuming connection and how to give it up.
#[derive(Clone)]
pub(crate) struct ConsumeLink {
    pub(crate) generation: u64,
    pub(crate) connection: Arc<Connection>,
    broken: mpsc::Sender<String>,
}

impl ConsumeLink {
    /// Reports that a consumer on this connection ended: the whole connection
    /// is replaced, because what killed one may have killed others silently.
    pub(crate) fn give_up(&self, why: String) {
        // A full queue means that somebody said so already.
        self.broken.try_send(why).ok();
    }
}

/// Keeps the connection until the bus closes; `link` shows the current one.
pub(crate) async fn keep(
    shared: Arc<Shared>,
    mut declared: watch::Receiver<bool>,
    link: watch::Sender<Option<ConsumeLink>>,
) {
    // There is nothing to consume from before the topology stands.
    tokio::select! {
        stands = declared.wait_for(|declared| *declared) => if stands.is_err() { return },
        () = shared.closing.triggered() => return,
    }
    let mut backoff = Backoff::reconnect();
    let mut generation = 0;
    while !shared.closing.is_triggered() {
        match connection::open(&shared, "consume", generation > 0).await {
            Ok(connection) => {
                shared
                    .metrics
                    .connects
                    .with_label_values(&["consume", "ok"])
                    .inc();
                tracing::info!("consuming connection to the broker is up");
                generation += 1;
                let started = tokio::time::Instant::now();
                serve(connection, generation, &shared, &link).await;
                if started.elapsed() > Duration::from_secs(5) {
                    backoff.reset();
                }
            }
            Err(error) => {
                shared
                    .metrics
                    .connects
                    .with_label_values(&["consume", "error"])
                    .inc();
                tracing::warn!(error = chain(&error), "cannot open consuming connection");
                generation = generation.max(1);
            }
        }
        shared.closing.sleep(backoff.next_delay()).await;
    }
}

async fn serve(
    connection: Connection,
    generation: u64,
    shared: &Shared,
    link: &watch::Sender<Option<ConsumeLink>>,
) {
    let connection = Arc::new(connection);
    let events = connection.events_listener();
    let (broken, mut reports) = mpsc::channel(1);
    link.send_replace(Some(ConsumeLink {
        generation,
        connection: connection.clone(),
        broken,
    }));
    let end = tokio::select! {
        error = connection::watch(&connection, events, shared, false) => Some(error),
        error = probe(&connection) => Some(error),
        why = reports.recv() => Some(LinkError::Consumer(why.unwrap_or_default())),
        () = shared.closing.triggered() => None,
    };
    link.send_replace(None);
    if let Some(error) = end {
        tracing::warn!(error = chain(&error), "consuming connection is lost");
    }
    connection::close(&connection).await;
}

/// A round trip every 10 s. Nothing is published here: that would make the
/// broker block this connection too.
async fn probe(connection: &Connection) -> LinkError {
    let channel = match limited("open channel", PROBE_LIMIT, connection.create_channel()).await {
        Ok(channel) => channel,
        Err(error) => return error,
    };
    loop {
        tokio::time::sleep(PROBE_EVERY).await;
        let round_trip = channel.basic_qos(1, BasicQosOptions::default());
        if let Err(error) = limited("probe", PROBE_LIMIT, round_trip).await {
            return error;
        }
    }
}
