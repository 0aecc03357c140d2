//! Opening and watching one AMQP connection. No automatic recovery of the
//! library's: it has known holes, so a broken connection is replaced whole.

use crate::link::{LinkError, LinkState, Shared, limited};
use futures_util::{Stream, StreamExt as _};
use lapin::types::LongString;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, Event};
use secrecy::ExposeSecret as _;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Seconds. Below 5 the broker's documentation warns of false alarms; with the
/// server's default of 60 a frozen broker goes unnoticed for a minute.
const HEARTBEAT: u16 = 10;
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const REACH_LIMIT: Duration = Duration::from_secs(5);
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// How often the library's own view of the connection is looked at, in case
/// its event was lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Opens a connection. `careful` first checks that a broker answers: each
/// attempt of the library's holds a thread until the broker speaks, so a
/// frozen one would collect threads.
pub(crate) async fn open(
    shared: &Shared,
    name: &str,
    careful: bool,
) -> Result<Connection, LinkError> {
    let mut uri: AMQPUri = shared
        .config
        .url
        .expose_secret()
        .parse()
        .map_err(|error: String| LinkError::Url(error))?;
    uri.query.heartbeat = Some(HEARTBEAT);
    if careful {
        match tokio::time::timeout(REACH_LIMIT, reach(&uri)).await {
            Ok(reached) => reached.map_err(LinkError::Unreachable)?,
            Err(_) => return Err(LinkError::Slow("reach the broker", REACH_LIMIT)),
        }
    }
    let title = format!("{} {name}", shared.config.prefix);
    let properties = ConnectionProperties::default().with_connection_name(LongString::from(title));
    limited(
        "connect",
        CONNECT_LIMIT,
        Connection::connect_uri(uri, properties),
    )
    .await
}

async fn reach(uri: &AMQPUri) -> std::io::Result<()> {
    let address = (uri.authority.host.as_str(), uri.authority.port);
    let mut stream = TcpStream::connect(address).await?;
    if uri.scheme == AMQPScheme::AMQP {
        stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
        stream.read_u8().await?;
    }
    Ok(())
}

/// Resolves when the connection is over. Keeps the state of the publishing
/// connection (`tracks`) at what the broker says about blocking.
/// `events` must be the connection's only listener: the library deals each
/// event to one of them.
pub(crate) async fn watch(
    connection: &Connection,
    events: impl Stream<Item = Event>,
    shared: &Shared,
    tracks: bool,
) -> LinkError {
    let mut events = std::pin::pin!(events);
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            _ = look.tick() => {
                if connection.status().connected() {
                    continue;
                }
                return LinkError::Ended;
            }
        };
        match event {
            Some(Event::ConnectionBlocked(reason)) if tracks => {
                tracing::warn!(reason, "the broker blocks publishers");
                shared.set_state(LinkState::Blocked);
            }
            Some(Event::ConnectionUnblocked) if tracks => {
                tracing::info!("the broker takes messages again");
                shared.note_confirm();
                shared.set_state(LinkState::Up);
            }
            // Soft errors end one channel; its owner sees them and decides.
            Some(Event::Error(error)) if !error.is_amqp_soft_error() => {
                return LinkError::Amqp("keep the connection", error);
            }
            Some(_) => {}
            None => return LinkError::Ended,
        }
    }
}

/// Says goodbye where the broker listens, and lets go either way.
pub(crate) async fn close(connection: &Connection) {
    let goodbye = connection.close(200, "OK".into());
    match tokio::time::timeout(CLOSE_LIMIT, goodbye).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "connection was closed already"),
        Err(_) => tracing::debug!("the broker does not answer the close"),
    }
}
