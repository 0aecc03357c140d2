//! A hand on the broker that no role has: for faults that come from an operator's mistake.

use lapin::options::QueueBindOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use roost_bus::{Bus, Topology};

use crate::db::setting;

/// Takes the way to its dead letters from a queue, by its short name, or gives it back.
///
/// # Panics
/// When the broker is away.
pub async fn let_die(bus: &Bus, queue: &str, may: bool) {
    let url = setting("ROOST_TEST_AMQP_URL");
    let connection = Connection::connect(&url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let topology = bus.topology();
    let dead = topology.full_name(&Topology::dead_queue(queue));
    let (dead, exchange) = (dead.into(), topology.full_name("dead").into());
    let done = if may {
        let options = QueueBindOptions::default();
        channel
            .queue_bind(dead, exchange, queue.into(), options, FieldTable::default())
            .await
    } else {
        channel
            .queue_unbind(dead, exchange, queue.into(), FieldTable::default())
            .await
    };
    done.unwrap();
    connection.close(200, "done".into()).await.unwrap();
}
