//! The bench's own hand on the broker: queues that stand before, and are empty between, measurements.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use lapin::options::QueuePurgeOptions;
use lapin::{Connection, ConnectionProperties};
use roost_bus::{Bus, BusConfig};
use roost_service::Metrics;
use roost_tests::db::setting;
use secrecy::SecretString;

/// A topology of the bench's own.
pub(crate) struct Broker {
    bus: Bus,
    connection: Connection,
    /// First part of its names.
    pub(crate) prefix: String,
}

impl Broker {
    /// Declares it.
    ///
    /// # Errors
    /// When the broker doesn't answer.
    pub(crate) async fn declare(prefix: String) -> anyhow::Result<Self> {
        let url = setting("ROOST_TEST_AMQP_URL");
        let bus = Bus::start(
            BusConfig::new(SecretString::from(url.clone()), prefix.clone()),
            &Metrics::new(),
        );
        ensure!(
            bus.wait_up(Duration::from_secs(120)).await,
            "the broker does not answer"
        );
        let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
        Ok(Self {
            bus,
            connection,
            prefix,
        })
    }

    /// Empties all queues that hold work.
    ///
    /// # Errors
    /// When the broker refuses.
    pub(crate) async fn purge(&self) -> anyhow::Result<()> {
        let channel = self.connection.create_channel().await?;
        for queue in self.bus.topology().work_queues() {
            let name = self.bus.topology().full_name(&queue);
            channel
                .queue_purge(name.into(), QueuePurgeOptions::default())
                .await
                .context("purge a queue")?;
        }
        channel.close(200, "done".into()).await?;
        Ok(())
    }

    /// Deletes it.
    pub(crate) async fn remove(self) {
        self.bus.remove_topology().await;
        self.bus.close().await;
        // It is going away with the process anyway.
        self.connection.close(200, "done".into()).await.ok();
    }
}
