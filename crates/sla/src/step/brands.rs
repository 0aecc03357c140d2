//! Work of many brands, a transaction for each chunk of one brand's.

use std::collections::HashMap;
use std::fmt::Display;

use roost_domain::ids::{BrandId, ConversationId};
use roost_store::{Store, StoreError};
use tokio::task::JoinSet;

use super::Tools;
use crate::error::{Failure, classify};

/// An item and its brand.
pub(super) type Chunk<T> = (BrandId, T);

/// Items of one transaction: locks are held for some tens of milliseconds.
const CHUNK: usize = 250;
/// Transactions at the same time.
const CONCURRENCY: usize = 4;

/// Groups items by brand, keeps their order, works on them and hands each result over. A chunk that
/// fails for good is taken apart; the items that do it are put aside.
pub(super) async fn each_chunk<T, R, F>(
    tools: &mut Tools,
    items: Vec<Chunk<T>>,
    conversation: impl Fn(&T) -> ConversationId,
    work: impl Fn(Store, BrandId, Vec<T>) -> F,
    mut took: impl FnMut(&mut Tools, R),
) -> Result<(), StoreError>
where
    T: Copy + Send + 'static,
    R: Send + 'static,
    F: Future<Output = Result<R, StoreError>> + Send + 'static,
{
    let mut waiting = chunks(items);
    let mut running = JoinSet::new();
    let mut failure = None;
    loop {
        while failure.is_none() && running.len() < CONCURRENCY {
            let Some((brand, chunk)) = waiting.pop() else {
                break;
            };
            let done = work(tools.store.clone(), brand, chunk.clone());
            running.spawn(async move { (brand, chunk, done.await) });
        }
        let Some(ended) = running.join_next().await else {
            break;
        };
        match ended {
            Ok((_, _, Ok(result))) => took(tools, result),
            Ok((brand, chunk, Err(error))) => match classify(&error) {
                Failure::Again => tools.metrics.failed("again"),
                Failure::Hold => {
                    tools.metrics.failed("hold");
                    failure = Some(error);
                }
                Failure::Drop if chunk.len() > 1 => {
                    waiting.extend(chunk.into_iter().map(|item| (brand, vec![item])));
                }
                Failure::Drop => {
                    for item in chunk {
                        put_aside(tools, conversation(&item), &error);
                    }
                }
            },
            Err(error) => {
                // The transaction's own task turns its panics into errors, so this is ours.
                tracing::error!(%error, "a step on timers panicked");
                tools.metrics.failed("drop");
            }
        }
    }
    failure.map_or(Ok(()), Err)
}

fn put_aside(tools: &mut Tools, id: ConversationId, error: &impl Display) {
    tracing::error!(
        conversation.id = %id, %error,
        "cannot handle a conversation's timers; they rest for 10 minutes"
    );
    tools.metrics.failed("drop");
    tools.aside.put(id);
    tools
        .metrics
        .aside
        .set(i64::try_from(tools.aside.len()).unwrap_or(i64::MAX));
}

/// Chunks by brand, the last of the list to be taken first: it holds the oldest item.
fn chunks<T: Copy>(items: Vec<Chunk<T>>) -> Vec<(BrandId, Vec<T>)> {
    let mut open: HashMap<BrandId, usize> = HashMap::new();
    let mut chunks: Vec<(BrandId, Vec<T>)> = Vec::new();
    for (brand, item) in items {
        let place = open.get(&brand).copied();
        match place.and_then(|place| chunks.get_mut(place)) {
            Some((_, chunk)) if chunk.len() < CHUNK => chunk.push(item),
            Some(_) | None => {
                open.insert(brand, chunks.len());
                chunks.push((brand, vec![item]));
            }
        }
    }
    chunks.reverse();
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn chunks_are_of_one_brand_in_order_with_the_oldest_taken_first() {
        let (one, two) = (BrandId(Uuid::from_u128(1)), BrandId(Uuid::from_u128(2)));
        let mut items: Vec<(BrandId, usize)> = (0..CHUNK).map(|number| (one, number)).collect();
        items.insert(1, (two, 7));
        items.push((one, CHUNK));
        let mut chunks = chunks(items);
        assert_eq!(chunks.len(), 3);
        assert_eq!(chunks[0], (one, vec![CHUNK]));
        let first = chunks.pop().unwrap();
        assert_eq!(first.0, one);
        assert!(first.1.is_sorted() && first.1.len() == CHUNK);
        assert_eq!(chunks.pop().unwrap(), (two, vec![7]));
    }
}
