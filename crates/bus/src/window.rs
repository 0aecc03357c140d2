//! One channel, one batch in flight, every confirm judged.
//!
//! The library ties a returned message to whichever confirm it completes next,
//! not to its own, so a pipelined neighbour may carry it while the lost message
//! itself looks acknowledged. Hence two rules:
//!
//! - a channel belongs to one task, which hands the messages over in order;
//! - the next batch starts when all confirms of this one are in, and a returned
//!   message is matched by its message id. By then every return of the batch
//!   has been seen: the broker sends a return before the confirm it belongs to.
//!
//! A batch that isn't complete in time costs the channel, so that nothing late
//! can leak into the next. Several channels work side by side.

use crate::error::PublishError;
use crate::link::{LinkState, Shared};
use crate::message::Outgoing;
use crate::publisher::{Job, Outcome};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Confirmation};
use std::collections::HashSet;
use std::task::Poll;
use tokio::time::Instant;

/// How a batch ended for its channel.
#[derive(Debug)]
pub(crate) enum End {
    /// Every confirm came: the channel can go on.
    Complete,
    /// Some confirms are missing; `silent` when all are.
    Incomplete { silent: bool },
    /// The channel is gone.
    Broken(lapin::Error),
}

struct Entry {
    id: String,
    confirmed: Option<Confirmed>,
}

enum Confirmed {
    Ack,
    /// Ack that carried some returned message, maybe another's.
    AckWithReturn,
    Nack,
}

/// Publishes all messages of `jobs` on `channel` and answers each job.
pub(crate) async fn publish(channel: &Channel, shared: &Shared, jobs: Vec<Job>) -> End {
    let started = Instant::now();
    let mut entries = Vec::new();
    let mut returned = HashSet::new();
    let mut waiting = FuturesUnordered::new();
    let mut replies = Vec::with_capacity(jobs.len());
    let mut broken = None;

    let mut record =
        |entries: &mut Vec<Entry>, index: usize, result: lapin::Result<Confirmation>| {
            let confirmed = match result {
                Ok(Confirmation::Ack(None)) => Confirmed::Ack,
                Ok(Confirmation::Nack(None) | Confirmation::NotRequested) => Confirmed::Nack,
                Ok(Confirmation::Ack(Some(message))) => {
                    returned.extend(id_of(&message.delivery.properties));
                    Confirmed::AckWithReturn
                }
                Ok(Confirmation::Nack(Some(message))) => {
                    returned.extend(id_of(&message.delivery.properties));
                    Confirmed::Nack
                }
                Err(error) => {
                    broken.get_or_insert(error);
                    return;
                }
            };
            entries[index].confirmed = Some(confirmed);
        };

    for job in jobs {
        replies.push((job.messages.len(), job.reply));
        for message in job.messages {
            let index = entries.len();
            let id = shared.next_message_id();
            let mut sending = Box::pin(send(channel, shared, message, id.clone()));
            entries.push(Entry {
                id,
                confirmed: None,
            });
            // The first poll hands the frames over: it must happen in order.
            match poll_once(&mut sending).await {
                Poll::Ready(result) => record(&mut entries, index, result),
                Poll::Pending => waiting.push(sending.map(move |result| (index, result))),
            }
        }
    }
    shared
        .metrics
        .window
        .observe(f64::from(u32::try_from(entries.len()).unwrap_or(u32::MAX)));

    let mut state = shared.publishing.subscribe();
    let deadline = started + shared.config.confirm_timeout;
    loop {
        tokio::select! {
            biased;
            next = waiting.next() => match next {
                Some((index, result)) => record(&mut entries, index, result),
                None => break,
            },
            () = tokio::time::sleep_until(deadline) => break,
            // Nothing will come before the alarm is over: fail at once.
            _ = state.wait_for(|state| *state == LinkState::Blocked) => break,
        }
    }
    // What is complete already must be seen before judging: a return may be in it.
    while let Some(Some((index, result))) = waiting.next().now_or_never() {
        record(&mut entries, index, result);
    }
    drop(waiting);

    let complete = entries.iter().all(|entry| entry.confirmed.is_some());
    let silent = entries.iter().all(|entry| entry.confirmed.is_none());
    if !silent {
        shared.note_confirm();
    }
    let missing = match (&broken, shared.state()) {
        (Some(_), _) => PublishError::Down,
        (None, LinkState::Blocked) => PublishError::Blocked,
        (None, LinkState::Up | LinkState::Down) => PublishError::TimedOut,
    };
    let mut outcomes = entries
        .iter()
        .map(|entry| judge(entry, &returned, complete, missing))
        .inspect(|outcome| count(shared, *outcome));
    for (len, reply) in replies {
        let answer: Vec<Outcome> = outcomes.by_ref().take(len).collect();
        // The caller may have given up waiting.
        reply.send(answer).ok();
    }
    shared
        .metrics
        .confirm
        .observe(started.elapsed().as_secs_f64());
    match broken {
        Some(error) => End::Broken(error),
        None if complete => End::Complete,
        None => End::Incomplete { silent },
    }
}

/// An acknowledgement that carried another's return hides its own until all
/// confirms are in; in an incomplete batch it proves nothing.
fn judge(
    entry: &Entry,
    returned: &HashSet<String>,
    complete: bool,
    missing: PublishError,
) -> Outcome {
    match entry.confirmed {
        Some(_) if returned.contains(&entry.id) => Err(PublishError::Returned),
        Some(Confirmed::Ack) => Ok(()),
        Some(Confirmed::AckWithReturn) if complete => Ok(()),
        Some(Confirmed::Nack) => Err(PublishError::Nacked),
        Some(Confirmed::AckWithReturn) | None => Err(missing),
    }
}

async fn send(
    channel: &Channel,
    shared: &Shared,
    message: Outgoing,
    id: String,
) -> lapin::Result<Confirmation> {
    let (exchange, key) = message.address(&shared.topology);
    let properties = BasicProperties::default()
        .with_delivery_mode(2)
        .with_message_id(id.into())
        .with_content_type("application/json".into())
        .with_headers(message.headers.to_table());
    let options = BasicPublishOptions {
        mandatory: message.is_mandatory(),
        immediate: false,
    };
    channel
        .basic_publish(
            exchange.into(),
            key.into(),
            options,
            &message.body,
            properties,
        )
        .await?
        .await
}

async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::future::poll_fn(|context| Poll::Ready(future.poll_unpin(context))).await
}

fn id_of(properties: &BasicProperties) -> Option<String> {
    properties
        .message_id()
        .as_ref()
        .map(|id| id.as_str().to_owned())
}

fn count(shared: &Shared, outcome: Outcome) {
    let label = match outcome {
        Ok(()) => "confirmed",
        Err(error) => error.as_str(),
    };
    shared.metrics.published.with_label_values(&[label]).inc();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, confirmed: Option<Confirmed>) -> Entry {
        Entry {
            id: id.to_owned(),
            confirmed,
        }
    }

    #[test]
    fn a_return_is_matched_by_id_whoever_carried_it() {
        let returned = HashSet::from(["1".to_owned()]);
        let lost = entry("1", Some(Confirmed::Ack));
        let carrier = entry("2", Some(Confirmed::AckWithReturn));
        let late = PublishError::TimedOut;
        assert_eq!(
            judge(&lost, &returned, true, late),
            Err(PublishError::Returned)
        );
        assert_eq!(judge(&carrier, &returned, true, late), Ok(()));
    }

    #[test]
    fn a_carrier_proves_nothing_while_confirms_are_missing() {
        let returned = HashSet::from(["1".to_owned()]);
        let carrier = entry("2", Some(Confirmed::AckWithReturn));
        let late = PublishError::TimedOut;
        assert_eq!(judge(&carrier, &returned, false, late), Err(late));
        assert_eq!(judge(&entry("3", None), &returned, false, late), Err(late));
        let plain = entry("4", Some(Confirmed::Ack));
        assert_eq!(judge(&plain, &returned, false, late), Ok(()));
    }
}
