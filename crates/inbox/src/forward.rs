//! From a partition's queue to its worker, and back.

use roost_bus::{Bus, Delivery, Subscription, SubscriptionSpec};
use tokio::sync::{mpsc, watch};

/// Unacknowledged messages that the broker lets out for a queue.
pub(crate) const PREFETCH: u16 = 250;

/// What a forwarder took off its queue in one go.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) deliveries: Vec<Delivery>,
    /// See [`GiveBack`].
    pub(crate) round: u64,
}

/// How a worker says that everything it was handed goes back to the queues.
///
/// A counter and no signal: a forwarder that waits for room in its worker's lane at that moment, or is
/// about to subscribe, still sees that it has risen.
#[derive(Debug, Clone)]
pub(crate) struct GiveBack(watch::Sender<u64>);

impl GiveBack {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    /// From here on, what was handed out before is nobody's: the broker delivers it again.
    pub(crate) fn now(&self) {
        self.0.send_modify(|round| *round += 1);
    }

    /// Whether what was handed out in a round is still the worker's.
    pub(crate) fn is_round(&self, round: u64) -> bool {
        round == *self.0.borrow()
    }
}

/// Hands deliveries of one queue to its worker; ended, it gives what is unacknowledged back.
pub(crate) async fn forward(
    bus: Bus,
    spec: SubscriptionSpec,
    feed: mpsc::Sender<Part>,
    give_back: GiveBack,
) {
    let mut rounds = give_back.0.subscribe();
    loop {
        let round = *rounds.borrow_and_update();
        // Dropping the old one gives back what it handed out, and what it hadn't yet.
        let subscription = bus.subscribe(spec.clone());
        tokio::select! {
            biased;
            risen = rounds.changed() => if risen.is_err() { return },
            () = pump(subscription, &feed, round) => return,
        }
    }
}

/// Ends when the bus is closed or the worker is gone.
async fn pump(mut subscription: Subscription, feed: &mpsc::Sender<Part>, round: u64) {
    while let Some(deliveries) = subscription.next_batch(usize::from(PREFETCH)).await {
        if feed.send(Part { deliveries, round }).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use roost_bus::{BusConfig, Lane, Outgoing, Route};
    use roost_service::Metrics;
    use roost_tests::db::setting;
    use roost_tests::wait::until;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    async fn publish(bus: &Bus, body: &str) {
        let route = Route::Ingress {
            partition: 0,
            lane: Lane::Main,
        };
        bus.publish(Outgoing::new(route, body.as_bytes().to_vec()))
            .await
            .unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_forwarder_that_waits_for_its_worker_gives_back_too() {
        let config = BusConfig {
            partitions: 1,
            ..BusConfig::new(
                setting("ROOST_TEST_AMQP_URL").into(),
                format!("t{}", uuid::Uuid::now_v7().simple()),
            )
        };
        let bus = Bus::start(config, &Metrics::new());
        assert!(bus.wait_up(SOON).await);
        let spec = SubscriptionSpec::Ingress {
            partition: 0,
            lane: Lane::Main,
            prefetch: PREFETCH,
        };
        let (feed, mut lane) = mpsc::channel(1);
        let give_back = GiveBack::new();
        let forwarder = tokio::spawn(forward(bus.clone(), spec, feed.clone(), give_back.clone()));
        publish(&bus, "first").await;
        until("the lane to be full", SOON, async || {
            (feed.capacity() == 0).then_some(())
        })
        .await;
        // This one has no room in the lane: its forwarder waits there while the worker gives back.
        publish(&bus, "second").await;
        until("the second to be taken off the queue", SOON, async || {
            (bus.queue_depth("ingress.p00").await == Some(0)).then_some(())
        })
        .await;
        give_back.now();

        let mut again = Vec::new();
        while again.len() < 2 {
            let part = tokio::time::timeout(SOON, lane.recv())
                .await
                .expect("everything to be delivered again")
                .unwrap();
            if give_back.is_round(part.round) {
                assert!(part.deliveries.iter().all(|delivery| delivery.redelivered));
                again.extend(part.deliveries);
            }
        }
        let bodies: Vec<&[u8]> = again.iter().map(|one| one.body.as_slice()).collect();
        assert_eq!(bodies, [b"first".as_slice(), b"second"]);
        forwarder.abort();
        bus.remove_topology().await;
        bus.close().await;
    }
}
