use crate::support::{TestBus, eventually, ingress};
use roost_bus::{Lane, Outgoing, Route, SubscriptionSpec};
use std::time::Duration;

fn main_lane(partition: u16) -> SubscriptionSpec {
    SubscriptionSpec::Ingress {
        partition,
        lane: Lane::Main,
        prefetch: 100,
    }
}

#[tokio::test]
async fn an_acknowledged_batch_does_not_come_again() {
    let bus = TestBus::plain().await;
    let messages = (0..50).map(|n| ingress(0, &n.to_string())).collect();
    assert!(bus.publish_all(messages).await.iter().all(Result::is_ok));
    let mut subscription = bus.subscribe(main_lane(0));
    let mut seen = 0;
    while seen < 50 {
        let batch = subscription.next_batch(20).await.unwrap();
        assert!(batch.len() <= 20);
        assert_eq!(batch[0].headers.get("request_id"), Some("req-1"));
        assert_eq!(batch[0].queue(), "ingress.p00");
        seen += batch.len();
        subscription.ack_all(&batch).await;
    }
    drop(subscription);
    let mut again = bus.subscribe(main_lane(0));
    again.epochs().wait_for(|epoch| *epoch > 0).await.unwrap();
    let more = tokio::time::timeout(Duration::from_millis(300), again.next_batch(10)).await;
    assert!(more.is_err(), "an acknowledged message came again");
    bus.finish().await;
}

#[tokio::test]
async fn what_was_set_aside_is_not_acknowledged_with_later_ones() {
    let bus = TestBus::plain().await;
    for n in 0..5 {
        bus.publish(ingress(0, &n.to_string())).await.unwrap();
    }
    let mut subscription = bus.subscribe(main_lane(0));
    let mut held = Vec::new();
    while held.len() < 5 {
        held.extend(subscription.next_batch(10).await.unwrap());
    }
    let rest = held.split_off(1);
    let aside = held;
    subscription.ack_all(&rest).await;
    subscription.ack_all(&rest).await;
    subscription.reopen();
    let again = subscription.next_batch(10).await.unwrap();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].body, aside[0].body);
    assert!(again[0].redelivered);
    assert_eq!(again[0].delivery_count, 1);
    assert!(!aside[0].is_held());
    aside[0].ack().await;
    again[0].ack().await;
    let queue = bus.topology().ingress_queue(0, Lane::Main);
    drop(subscription);
    eventually("the queue is empty", || async {
        bus.queue_depth(&queue).await == Some(0)
    })
    .await;
    bus.finish().await;
}

#[tokio::test]
async fn a_dead_letter_keeps_its_body_and_tells_why() {
    let bus = TestBus::plain().await;
    bus.publish(ingress(1, "poison")).await.unwrap();
    let mut subscription = bus.subscribe(main_lane(1));
    let batch = subscription.next_batch(1).await.unwrap();
    batch[0].dead_letter("not JSON").await.unwrap();
    let mut dead = bus.subscribe(SubscriptionSpec::Dead {
        queue: "ingress.p01".to_owned(),
        prefetch: 10,
    });
    let letters = dead.next_batch(10).await.unwrap();
    assert_eq!(letters[0].body, b"poison");
    assert_eq!(letters[0].headers.get("reason"), Some("not JSON"));
    assert_eq!(letters[0].headers.get("queue"), Some("ingress.p01"));
    assert_eq!(letters[0].headers.get("request_id"), Some("req-1"));
    dead.ack_all(&letters).await;
    bus.finish().await;
}

#[tokio::test]
async fn every_event_reaches_each_listener_and_its_router_queue() {
    let bus = TestBus::plain().await;
    let mut one = bus.subscribe(SubscriptionSpec::Events { prefetch: 50 });
    let mut two = bus.subscribe(SubscriptionSpec::Events { prefetch: 50 });
    for subscription in [&one, &two] {
        subscription
            .epochs()
            .wait_for(|epoch| *epoch > 0)
            .await
            .unwrap();
    }
    let event = Outgoing::new(Route::Event { bucket: 200 }, b"{}".to_vec());
    bus.publish(event).await.unwrap();
    assert_eq!(one.next_batch(10).await.unwrap().len(), 1);
    assert_eq!(two.next_batch(10).await.unwrap().len(), 1);
    let mut router = bus.subscribe(SubscriptionSpec::Router {
        index: 3,
        prefetch: 10,
    });
    assert_eq!(router.next_batch(10).await.unwrap().len(), 1);
    bus.finish().await;
}

#[tokio::test]
async fn news_reaches_each_listener_and_no_work_queue() {
    let bus = TestBus::plain().await;
    let news = |text: &str| Outgoing::new(Route::News { bucket: 200 }, text.into());
    // Nobody listens: not a failure.
    bus.publish(news("before")).await.unwrap();
    let mut listener = bus.subscribe(SubscriptionSpec::Events { prefetch: 50 });
    listener
        .epochs()
        .wait_for(|epoch| *epoch > 0)
        .await
        .unwrap();
    bus.publish(news("after")).await.unwrap();
    let batch = listener.next_batch(10).await.unwrap();
    assert_eq!(batch.len(), 1);
    assert_eq!(batch[0].body, b"after");
    assert_eq!(bus.queue_depth("router.p3").await, Some(0));
    bus.finish().await;
}

#[tokio::test]
async fn waiting_for_a_batch_can_be_cancelled_without_loss() {
    let bus = TestBus::plain().await;
    let mut subscription = bus.subscribe(main_lane(0));
    let mut seen = 0;
    for n in 0..20 {
        bus.publish(ingress(0, &n.to_string())).await.unwrap();
        let wait = Duration::from_micros(200 * n);
        if let Ok(batch) = tokio::time::timeout(wait, subscription.next_batch(5)).await {
            let batch = batch.unwrap();
            seen += batch.len();
            subscription.ack_all(&batch).await;
        }
    }
    while seen < 20 {
        let batch = subscription.next_batch(5).await.unwrap();
        seen += batch.len();
        subscription.ack_all(&batch).await;
    }
    assert_eq!(seen, 20);
    bus.finish().await;
}

#[tokio::test]
async fn closing_ends_subscriptions() {
    let bus = TestBus::plain().await;
    let mut subscription = bus.subscribe(main_lane(0));
    let waiting = tokio::spawn(async move { subscription.next_batch(1).await.is_none() });
    assert!(bus.remove_topology().await);
    bus.close().await;
    assert!(waiting.await.unwrap());
    assert!(bus.publish(ingress(0, "late")).await.is_err());
}
