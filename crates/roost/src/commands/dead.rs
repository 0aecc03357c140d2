//! `roost dead`: messages that no worker could handle.

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use roost_bus::envelope::EventPointer;
use roost_bus::{Bus, Lane, Outgoing, Route, SubscriptionSpec};
use roost_service::Config;
use roost_store::dead::Opened;
use roost_store::seal::Sealer;
use roost_store::{Store, dead};
use uuid::Uuid;

use super::{configure, print};
use crate::roles;

/// What to do with them.
#[derive(Debug, Subcommand)]
pub(crate) enum Dead {
    /// The newest hundred, one a line.
    List,
    /// One message, its body included: it may hold what a customer wrote.
    Show {
        /// As `list` prints it.
        id: Uuid,
    },
    /// Put one back into the queue that it came from.
    Retry {
        /// As `list` prints it.
        id: Uuid,
    },
    /// Forget one.
    Drop {
        /// As `list` prints it.
        id: Uuid,
    },
}

/// How long the broker may take to answer.
const CONNECT: Duration = Duration::from_secs(10);
/// How long to look for the broker's copy; it may be gone already.
const LOOK: Duration = Duration::from_secs(3);

pub(crate) async fn run(command: Dead) -> anyhow::Result<()> {
    let config = configure(&[
        "database_app_url",
        "database_ingest_url",
        "amqp_url",
        "secrets_keys",
    ])?;
    let store = roles::store(&config, 2, 2)?;
    let sealer = roles::sealer(&config)?;
    match command {
        Dead::List => list(&store).await,
        Dead::Show { id } => {
            let letter = open(&store, &sealer, id).await?;
            print(&format!(
                "{}\n{}",
                letter.queue,
                String::from_utf8_lossy(&letter.body)
            ))
        }
        Dead::Retry { id } => {
            let letter = open(&store, &sealer, id).await?;
            let bus = connect(&config).await?;
            bus.publish(Outgoing::new(
                route(&letter.queue, &letter.body)?,
                letter.body.clone(),
            ))
            .await
            .context("the broker did not take the message; nothing was changed")?;
            forget(&store, &bus, id, &letter).await
        }
        Dead::Drop { id } => {
            let letter = open(&store, &sealer, id).await?;
            let bus = connect(&config).await?;
            forget(&store, &bus, id, &letter).await
        }
    }
}

async fn connect(config: &Config) -> anyhow::Result<Bus> {
    let bus = roles::bus(config, &roost_service::Metrics::new());
    if !bus.wait_up(CONNECT).await {
        bail!("the broker can't be reached; nothing was changed");
    }
    Ok(bus)
}

async fn list(store: &Store) -> anyhow::Result<()> {
    for letter in dead::list(store, 100).await? {
        print(&format!(
            "{}  {}  {}  {}x  {}",
            letter.id,
            letter.last_seen_at.get(),
            letter.queue,
            letter.attempts,
            letter.reason
        ))?;
    }
    Ok(())
}

async fn open(store: &Store, sealer: &Sealer, id: Uuid) -> anyhow::Result<Opened> {
    dead::open(store, sealer, id)
        .await?
        .with_context(|| format!("there is no dead message {id}"))
}

/// The way back: an ingress queue by its name; an event by its bucket, to all consumers, who absorb it.
fn route(queue: &str, body: &[u8]) -> anyhow::Result<Route> {
    let partition = |name: &str| name.strip_prefix('p')?.parse().ok();
    if let Some(partition) = queue.strip_prefix("ingress.bulk.").and_then(partition) {
        return Ok(Route::Ingress {
            partition,
            lane: Lane::Bulk,
        });
    }
    if let Some(partition) = queue.strip_prefix("ingress.").and_then(partition) {
        return Ok(Route::Ingress {
            partition,
            lane: Lane::Main,
        });
    }
    if queue.starts_with("router.") {
        let pointer: EventPointer = serde_json::from_slice(body).context("the body is no event")?;
        return Ok(Route::Event {
            bucket: pointer.bucket,
        });
    }
    bail!("a message of {queue} can't be put back")
}

/// Removes the row, unless the message has died again meanwhile, and one copy from the broker's
/// dead-letter queue.
async fn forget(store: &Store, bus: &Bus, id: Uuid, letter: &Opened) -> anyhow::Result<()> {
    dead::forget(store, id, letter.attempts).await?;
    let mut letters = bus.subscribe(SubscriptionSpec::Dead {
        queue: letter.queue.clone(),
        prefetch: 500,
    });
    let look = async {
        while let Some(batch) = letters.next_batch(500).await {
            for copy in &batch {
                if copy.body == letter.body {
                    copy.ack().await;
                    return;
                }
            }
        }
    };
    // Not found in time: it expires with the queue's length limit.
    tokio::time::timeout(LOOK, look).await.ok();
    drop(letters);
    bus.close().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_goes_back_to_the_queue_that_it_came_from() {
        assert!(matches!(
            route("ingress.p03", b"").unwrap(),
            Route::Ingress {
                partition: 3,
                lane: Lane::Main
            }
        ));
        assert!(matches!(
            route("ingress.bulk.p15", b"").unwrap(),
            Route::Ingress {
                partition: 15,
                lane: Lane::Bulk
            }
        ));
        assert!(route("router.p0", b"junk").is_err());
        assert!(route("elsewhere", b"").is_err());
    }
}
