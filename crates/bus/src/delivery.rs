//! A received message and its acknowledgement.

use crate::Bus;
use crate::error::PublishError;
use crate::message::{Headers, Outgoing, Route};
use lapin::Acker;
use lapin::options::BasicAckOptions;
use lapin::types::AMQPValue;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const ACK_LIMIT: Duration = Duration::from_secs(5);

/// A message held by this consumer until it is acknowledged, dead-lettered or
/// its channel is gone; then the broker delivers it again, here or elsewhere.
#[derive(Debug)]
pub struct Delivery {
    /// The body.
    pub body: Vec<u8>,
    /// Texts beside the body.
    pub headers: Headers,
    /// Someone has had it before.
    pub redelivered: bool,
    /// How often it went back to the queue (`x-delivery-count`); above 5, take
    /// it alone so that it can't harm its neighbours.
    pub delivery_count: u64,
    queue: Arc<str>,
    held: Held,
    bus: Bus,
}

#[derive(Debug)]
struct Held {
    tag: u64,
    acker: Acker,
    channel: Arc<Outstanding>,
    automatic: bool,
}

/// Tags that one channel has delivered and not acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Outstanding(Mutex<BTreeSet<u64>>);

impl Outstanding {
    fn add(&self, tag: u64) {
        self.lock().insert(tag);
    }

    fn remove(&self, tag: u64) -> bool {
        self.lock().remove(&tag)
    }

    /// Takes `tags` out and tells whether one acknowledgement up to the
    /// highest covers nothing else.
    fn remove_all(&self, tags: &BTreeSet<u64>) -> Option<Multiple> {
        let highest = *tags.last()?;
        let mut outstanding = self.lock();
        let contiguous = outstanding.range(..=highest).all(|tag| tags.contains(tag));
        outstanding.retain(|tag| !tags.contains(tag));
        Some(if contiguous {
            Multiple::UpTo(highest)
        } else {
            Multiple::No
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Multiple {
    UpTo(u64),
    No,
}

impl Delivery {
    pub(crate) fn new(
        message: lapin::message::Delivery,
        queue: Arc<str>,
        channel: Arc<Outstanding>,
        automatic: bool,
        bus: Bus,
    ) -> Self {
        let table = message.properties.headers().clone().unwrap_or_default();
        if !automatic {
            channel.add(message.delivery_tag);
        }
        Self {
            body: message.data,
            headers: Headers::from_table(&table),
            redelivered: message.redelivered,
            delivery_count: table
                .inner()
                .get("x-delivery-count")
                .and_then(whole_number)
                .unwrap_or(0),
            queue,
            held: Held {
                tag: message.delivery_tag,
                acker: message.acker,
                channel,
                automatic,
            },
            bus,
        }
    }

    /// Short name of the queue that it came from.
    #[must_use]
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// Whether its channel still lives, so that acknowledging has an effect.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.held.acker.poisoned()
    }

    /// Tells the broker that it is done. Without effect on a channel that is
    /// gone: the message comes again and its consumer absorbs it.
    pub async fn ack(&self) {
        if !self.held.automatic && self.held.channel.remove(self.held.tag) {
            self.send_ack(false).await;
        }
    }

    /// Publishes it to `dead.<queue>` with its headers and the reason,
    /// confirmed, then acknowledges it. A crash in between leaves two copies
    /// with the same body, never none.
    ///
    /// # Errors
    /// When the copy isn't known to be stored; the delivery is still held.
    pub async fn dead_letter(&self, reason: &str) -> Result<(), PublishError> {
        let queue = self.queue.to_string();
        let copy = Outgoing {
            headers: self
                .headers
                .clone()
                .with("reason", reason)
                .with("queue", queue.as_str()),
            route: Route::Dead { queue },
            body: self.body.clone(),
        };
        self.bus.publish(copy).await?;
        self.bus.note_dead_letter();
        self.ack().await;
        Ok(())
    }

    async fn send_ack(&self, multiple: bool) {
        let options = BasicAckOptions { multiple };
        match tokio::time::timeout(ACK_LIMIT, self.held.acker.ack(options)).await {
            Ok(Ok(_)) => {}
            // Either way the broker delivers it again.
            Ok(Err(error)) => tracing::debug!(%error, queue = %self.queue, "cannot acknowledge"),
            Err(_) => tracing::warn!(queue = %self.queue, "acknowledgement was not sent in time"),
        }
    }
}

/// Acknowledges a batch: one frame per channel where the batch holds all that
/// the channel has outstanding up to its highest tag, else one per message. So
/// a message that was set aside is never acknowledged by accident.
pub async fn ack_all(deliveries: &[Delivery]) {
    let mut rest: Vec<&Delivery> = deliveries.iter().filter(|d| !d.held.automatic).collect();
    while let Some(first) = rest.first() {
        let channel = first.held.channel.clone();
        let (mine, others): (Vec<_>, Vec<_>) = rest
            .into_iter()
            .partition(|d| Arc::ptr_eq(&d.held.channel, &channel));
        rest = others;
        let tags: BTreeSet<u64> = {
            let outstanding = channel.lock();
            let tags = mine.iter().map(|delivery| delivery.held.tag);
            tags.filter(|tag| outstanding.contains(tag)).collect()
        };
        match channel.remove_all(&tags) {
            Some(Multiple::UpTo(highest)) => {
                for delivery in mine.iter().filter(|d| d.held.tag == highest) {
                    delivery.send_ack(true).await;
                }
            }
            Some(Multiple::No) => {
                for delivery in mine.iter().filter(|d| tags.contains(&d.held.tag)) {
                    delivery.send_ack(false).await;
                }
            }
            None => {}
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a value of any other type is no number"
)]
fn whole_number(value: &AMQPValue) -> Option<u64> {
    match *value {
        AMQPValue::LongLongInt(n) => u64::try_from(n).ok(),
        AMQPValue::LongInt(n) => u64::try_from(n).ok(),
        AMQPValue::ShortInt(n) => u64::try_from(n).ok(),
        AMQPValue::ShortShortInt(n) => u64::try_from(n).ok(),
        AMQPValue::LongUInt(n) => Some(n.into()),
        AMQPValue::ShortUInt(n) => Some(n.into()),
        AMQPValue::ShortShortUInt(n) => Some(n.into()),
        AMQPValue::Timestamp(n) => Some(n),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_acknowledgement_covers_a_batch_only_when_nothing_lies_between() {
        let channel = Outstanding::default();
        (1..=6).for_each(|tag| channel.add(tag));
        assert_eq!(
            channel.remove_all(&BTreeSet::from([1, 2, 3])),
            Some(Multiple::UpTo(3))
        );
        // 4 was set aside.
        assert_eq!(
            channel.remove_all(&BTreeSet::from([5, 6])),
            Some(Multiple::No)
        );
        assert!(channel.remove(4) && !channel.remove(5));
        assert_eq!(channel.remove_all(&BTreeSet::new()), None);
    }
}
