use crate::support::{TestBus, broker_url, config, eventually, ingress};
use roost_bus::{Hint, Lane, Outgoing, PublishError, Route, SubscriptionSpec};

#[tokio::test]
async fn a_confirmed_message_is_in_its_queue() {
    let bus = TestBus::plain().await;
    assert_eq!(bus.publish(ingress(1, "one")).await, Ok(()));
    let queue = bus.topology().ingress_queue(1, Lane::Main);
    eventually("one message waits", || async {
        bus.queue_depth(&queue).await == Some(1)
    })
    .await;
    bus.finish().await;
}

#[tokio::test]
async fn an_unroutable_message_is_returned_and_its_neighbours_are_not() {
    let bus = TestBus::plain().await;
    // Partition 9 does not exist; the others of each batch do.
    for _ in 0..20 {
        let batch: Vec<_> = (0..60)
            .map(|n| ingress(if n % 7 == 3 { 9 } else { n % 2 }, "x"))
            .collect();
        let (first, second) = tokio::join!(
            bus.publish_all(batch.clone()),
            bus.publish_all(batch.clone())
        );
        for outcomes in [first, second] {
            for (n, outcome) in outcomes.into_iter().enumerate() {
                let expected = if n % 7 == 3 {
                    Err(PublishError::Returned)
                } else {
                    Ok(())
                };
                assert_eq!(outcome, expected, "message {n}");
            }
        }
    }
    bus.finish().await;
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let mut small = config(broker_url());
    small.queue_limit = 3;
    let bus = TestBus::start(small).await;
    let mut refused = 0;
    for _ in 0..30 {
        match bus.publish(ingress(0, "x")).await {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error, PublishError::Nacked);
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "30 messages went into a queue of 3");
    bus.finish().await;
}

#[tokio::test]
async fn a_batch_keeps_its_order() {
    let bus = TestBus::plain().await;
    let mut subscription = bus.subscribe(SubscriptionSpec::Router {
        index: 0,
        prefetch: 500,
    });
    let messages: Vec<_> = (0..400)
        .map(|n: u32| Outgoing::new(Route::Event { bucket: 7 }, n.to_string().into_bytes()))
        .collect();
    let outcomes = bus.publish_all(messages).await;
    assert!(outcomes.iter().all(Result::is_ok));
    let mut seen = Vec::new();
    while seen.len() < 400 {
        let batch = subscription.next_batch(100).await.unwrap();
        seen.extend(
            batch
                .iter()
                .map(|d| String::from_utf8_lossy(&d.body).parse::<u32>().unwrap()),
        );
        subscription.ack_all(&batch).await;
    }
    assert_eq!(seen, (0..400).collect::<Vec<_>>());
    bus.finish().await;
}

#[tokio::test]
async fn hints_reach_the_role_they_name() {
    let bus = TestBus::plain().await;
    let mut relay = bus.subscribe(SubscriptionSpec::Hints(Hint::Relay));
    let mut sla = bus.subscribe(SubscriptionSpec::Hints(Hint::Sla));
    for subscription in [&relay, &sla] {
        subscription
            .epochs()
            .wait_for(|epoch| *epoch > 0)
            .await
            .unwrap();
    }
    bus.hint(Hint::Sla, b"clock");
    bus.hint(Hint::Relay, b"bucket 3");
    assert_eq!(relay.next_batch(10).await.unwrap()[0].body, b"bucket 3");
    assert_eq!(sla.next_batch(10).await.unwrap()[0].body, b"clock");
    bus.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_publishers_share_the_channels() {
    let bus = TestBus::plain().await;
    let started = std::time::Instant::now();
    let publishers: Vec<_> = (0..64)
        .map(|n: u16| {
            let bus = bus.bus.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    bus.publish(ingress(n % 2, "some body of a message"))
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for publisher in publishers {
        publisher.await.unwrap();
    }
    let rate = 3_200.0 / started.elapsed().as_secs_f64();
    eprintln!("confirmed publishes: {rate:.0}/s");
    let text = bus.metrics.render().unwrap();
    assert!(
        text.contains("roost_bus_published_total{result=\"confirmed\"} 3200"),
        "{text}"
    );
    bus.finish().await;
}
