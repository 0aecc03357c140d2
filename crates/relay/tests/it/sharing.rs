//! Any number of relays share the slots.

use std::time::{Duration, Instant};

use crate::support::{SOON, World, hold};

#[tokio::test(flavor = "multi_thread")]
async fn relays_share_evenly_and_take_over_what_is_given_back() {
    let world = World::new().await;
    let lease = Duration::from_secs(3);
    let mut relays = vec![world.relay(lease)];
    hold(&mut relays[0], 16).await;
    relays.push(world.relay(lease));
    relays.push(world.relay(lease));
    let started = Instant::now();
    loop {
        for relay in &mut relays {
            relay.keep().await.unwrap();
        }
        let mut counts: Vec<u8> = relays.iter().map(roost_relay::Relay::slots).collect();
        counts.sort_unstable();
        if counts == [5, 5, 6] {
            break;
        }
        assert!(started.elapsed() < SOON, "{counts:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    relays.remove(0).give_back().await;
    drop(relays.remove(0));
    // One gave back, one died: the last has all when the dead one's leases have run out.
    hold(&mut relays[0], 16).await;
    world.end().await;
}
