//! What the customers write, and how it arrives.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use roost_tests::db::snowflake;
use roost_tests::platform::Platform;
use roost_tests::webhook::{Dm, Webhook};
use serde_json::json;

use crate::people::Desk;

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) messages: usize,
    pub(crate) conversations: usize,
    pub(crate) brands: usize,
    pub(crate) agents: usize,
    pub(crate) replies: usize,
    /// Over which the customers write.
    pub(crate) pace: Duration,
    /// For all to become calm afterwards.
    pub(crate) patience: Duration,
}

impl Size {
    pub(crate) const SMALL: Self = Self {
        messages: 1_500,
        conversations: 60,
        brands: 2,
        agents: 4,
        replies: 120,
        pace: Duration::from_secs(45),
        patience: Duration::from_secs(120),
    };
    pub(crate) const FULL: Self = Self {
        messages: 20_000,
        conversations: 500,
        brands: 4,
        agents: 6,
        replies: 1_000,
        pace: Duration::from_secs(90),
        patience: Duration::from_secs(400),
    };

    /// Room of one agent: for all conversations, and a fifth to spare.
    pub(crate) fn capacity(&self) -> i32 {
        i32::try_from((self.conversations * 6).div_ceil(self.brands * self.agents * 5)).unwrap()
    }
}

/// Small, and the same at each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % sides
    }
}

/// One POST.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    /// After the storm's begin.
    at: Duration,
    body: Arc<[u8]>,
}

/// Everything that is going to be written.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What a customer wrote, in the platform's order.
    pub(crate) threads: BTreeMap<String, Vec<Dm>>,
    /// In the order of arrival, copies included.
    pub(crate) posts: Vec<Post>,
}

impl Plan {
    /// Every message once, a tenth of them twice, each up to two seconds late.
    pub(crate) fn of(desks: &[Desk], size: &Size) -> Self {
        let mut dice = Dice(0xD1CE_0BAD_CAFE_F00D);
        let mut threads: BTreeMap<String, Vec<Dm>> = BTreeMap::new();
        let mut posts = Vec::new();
        let begin = Timestamp::now().as_millisecond() + 1_000;
        let span = u64::try_from(size.pace.as_millis()).unwrap();
        for number in 0..size.messages {
            let conversation = if number < size.conversations {
                number
            } else {
                usize::try_from(dice.roll(u64::try_from(size.conversations).unwrap())).unwrap()
            };
            let desk = &desks[conversation % desks.len()];
            // Steps of 8 ms, so that some share their millisecond and only the id tells the order.
            let offset = dice.roll(span) / 8 * 8;
            let at_ms = begin + i64::try_from(offset).unwrap();
            let place =
                i64::try_from(dice.roll(64)).unwrap() << 16 | i64::try_from(number).unwrap();
            let dm = Dm {
                id: snowflake(Timestamp::from_millisecond(at_ms).unwrap(), place),
                at_ms,
                from: (3_000_000_000 + conversation).to_string(),
                to: desk.account_id.clone(),
                text: format!("storm {number}"),
            };
            let body: Arc<[u8]> = dm.body().to_string().into_bytes().into();
            let copies = if dice.roll(10) == 0 { 2 } else { 1 };
            for _ in 0..copies {
                posts.push(Post {
                    at: Duration::from_millis(1_000 + offset + dice.roll(2_000)),
                    body: body.clone(),
                });
            }
            threads.entry(dm.from.clone()).or_default().push(dm);
        }
        posts.sort_by_key(|post| post.at);
        for thread in threads.values_mut() {
            thread.sort_by_key(|dm| (dm.at_ms, dm.id));
        }
        Self { threads, posts }
    }

    /// Makes the customers known to the platform, so that they can be answered.
    pub(crate) async fn introduce(&self, platform: &Platform) {
        for id in self.threads.keys() {
            platform
                .tell(
                    "POST",
                    "/sim/accounts",
                    &json!({ "id": id, "handle": format!("c{id}"), "name": "Customer" }),
                )
                .await;
        }
    }

    /// How many messages there are.
    pub(crate) fn messages(&self) -> usize {
        self.threads.values().map(Vec::len).sum()
    }
}

/// How the posts went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Posted {
    /// Posts that got their 200.
    pub(crate) acknowledged: usize,
    /// Tries that didn't.
    pub(crate) refused: usize,
}

/// Posts until each is acknowledged, as the platform does (which gives up later than this).
pub(crate) async fn blow(webhook: Webhook, posts: Vec<Post>, pace: Duration) -> Posted {
    const HANDS: usize = 24;
    let deadline = pace + Duration::from_secs(180);
    let (posts, next, refused) = (
        Arc::new(posts),
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicUsize::new(0)),
    );
    let begun = Instant::now();
    let hands = (0..HANDS).map(|_| {
        let (webhook, posts, next, refused) = (
            webhook.clone(),
            posts.clone(),
            next.clone(),
            refused.clone(),
        );
        tokio::spawn(async move {
            let mut acknowledged = 0;
            while let Some(post) = posts.get(next.fetch_add(1, Ordering::Relaxed)) {
                tokio::time::sleep(post.at.saturating_sub(begun.elapsed())).await;
                let signature = webhook.signature(&post.body);
                let mut wait = Duration::from_millis(200);
                while begun.elapsed() < deadline {
                    let status = webhook
                        .post_with(post.body.to_vec(), Some(&signature), None)
                        .await;
                    if status == Some(200) {
                        acknowledged += 1;
                        break;
                    }
                    refused.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(4));
                }
            }
            acknowledged
        })
    });
    let mut acknowledged = 0;
    for hand in hands.collect::<Vec<_>>() {
        acknowledged += hand.await.unwrap();
    }
    Posted {
        acknowledged,
        refused: refused.load(Ordering::Relaxed),
    }
}
