//! Getting through a batch that fails.
//!
//! Three things can be the matter. The database is away: then the batch waits, and nobody is blamed.
//! A message can't be stored, or makes the database run out of time: then the batch is halved until
//! that one is alone; its neighbours go on, and after a few tries it goes to the dead letters. Or
//! somebody else holds a row: then the batch waits, and later only those that need the row do.

use std::collections::VecDeque;

use roost_bus::{Delivery, HoldBack, Verdict};
use roost_service::Shutdown;
use roost_store::StoreError;

use crate::worker::Worker;

/// How often a single message may be refused before it is put aside: a constraint may have lost a
/// race that its second try wins.
const REFUSALS: u32 = 3;
/// How often a single message may run into a time limit, with waits between, before it is put aside:
/// more than for a refusal, for a moment's load does it too. Each costs up to the limit of 5 s, and a
/// message is put aside within a minute.
const TIME_OUTS: u32 = 5;
/// How often a batch as a whole may lose the race for its rows.
const RACES: u32 = 5;

/// Deliveries that are handled together.
#[derive(Debug)]
pub(crate) struct Heap {
    deliveries: Vec<Delivery>,
    /// How it has failed last, and how often in a row.
    failed: Option<(Kind, u32)>,
}

impl Heap {
    pub(crate) fn new(deliveries: Vec<Delivery>) -> Self {
        Self {
            deliveries,
            failed: None,
        }
    }

    /// Counts a failure; an outage in between is none of the heap's.
    fn fails(&mut self, kind: Kind) -> u32 {
        let before = self.failed.filter(|(last, _)| *last == kind);
        let tries = before.map_or(1, |(_, tries)| tries.saturating_add(1));
        if kind != Kind::Outage {
            self.failed = Some((kind, tries));
        }
        tries
    }

    fn halves(self) -> [Self; 2] {
        let mut front = self.deliveries;
        let back = front.split_off(front.len() / 2);
        [Self::new(front), Self::new(back)]
    }
}

/// Why a heap could not be handled.
#[derive(Debug)]
pub(crate) enum Failure {
    /// One of its bodies is no event.
    Body(String),
    /// The database.
    Store(StoreError),
}

/// What a failure says of the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing: the database is away.
    Outage,
    /// Nothing: another transaction was faster.
    Race,
    /// It may take more time than there is.
    TimeOut,
    /// It may hold what can't be stored.
    Refused,
    /// It holds what can't be read.
    Unreadable,
}

/// What to do with a heap that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Treatment {
    /// Wait, then the same again.
    Hold,
    /// The same again.
    Again,
    /// Its neighbours first, then a wait, then the same again.
    Later,
    /// Each half by itself.
    Halve,
    /// To the dead letters.
    PutAside,
}

/// `tries` counts this one.
fn treatment(kind: Kind, size: usize, tries: u32) -> Treatment {
    match kind {
        Kind::Outage => Treatment::Hold,
        Kind::Race if size > 1 && tries >= RACES => Treatment::Halve,
        Kind::Race => Treatment::Hold,
        Kind::TimeOut | Kind::Refused | Kind::Unreadable if size > 1 => Treatment::Halve,
        Kind::TimeOut if tries < TIME_OUTS => Treatment::Later,
        Kind::Refused if tries < REFUSALS => Treatment::Again,
        Kind::TimeOut | Kind::Refused | Kind::Unreadable => Treatment::PutAside,
    }
}

impl Worker {
    /// Handles heaps until all are stored or put aside, or have to go back; false at the shutdown.
    pub(crate) async fn clear(&mut self, heaps: Vec<Heap>, shutdown: &Shutdown) -> bool {
        let mut heaps = VecDeque::from(heaps);
        let mut hold = HoldBack::new();
        while let Some(mut heap) = heaps.pop_front() {
            if heap.deliveries.is_empty() {
                continue;
            }
            let Err(failure) = self.tools.handle(&heap.deliveries).await else {
                hold.reset();
                continue;
            };
            let kind = self.kind(&failure).await;
            let (size, tries) = (heap.deliveries.len(), heap.fails(kind));
            let waits = match treatment(kind, size, tries) {
                Treatment::Hold => {
                    tracing::warn!(error = %failure.reason(), events = size, "batch held back");
                    heaps.push_front(heap);
                    true
                }
                Treatment::Later => {
                    tracing::warn!(error = %failure.reason(), tries, "event held back");
                    heaps.push_back(heap);
                    true
                }
                Treatment::Again => {
                    heaps.push_front(heap);
                    false
                }
                Treatment::Halve => {
                    for half in heap.halves().into_iter().rev() {
                        heaps.push_front(half);
                    }
                    false
                }
                Treatment::PutAside => {
                    for delivery in heap.deliveries {
                        let reason = failure.reason();
                        self.aside
                            .put(&self.tools, &self.give_back, delivery, reason);
                    }
                    false
                }
            };
            if !waits {
                continue;
            }
            self.tools.metrics.held.inc();
            match hold.wait(shutdown).await {
                Verdict::Again => {}
                Verdict::Stop => return false,
                Verdict::GiveBack => {
                    self.give_back.now();
                    return true;
                }
            }
        }
        true
    }

    /// A heap is blamed only while the database takes others.
    async fn kind(&self, failure: &Failure) -> Kind {
        let kind = match failure {
            Failure::Body(_) => return Kind::Unreadable,
            Failure::Store(error) if error.is_time_out() => Kind::TimeOut,
            Failure::Store(StoreError::Conflict(_)) => return Kind::Race,
            Failure::Store(error) if error.is_transient() => return Kind::Outage,
            Failure::Store(_) => Kind::Refused,
        };
        if self.tools.can_work().await {
            kind
        } else {
            Kind::Outage
        }
    }
}

impl Failure {
    /// With its causes, for the operator; none of them holds a message's text.
    fn reason(&self) -> String {
        match self {
            Self::Body(reason) => reason.clone(),
            Self::Store(error) => {
                let mut reason = error.to_string();
                let mut source = std::error::Error::source(error);
                while let Some(cause) = source {
                    reason = format!("{reason}: {cause}");
                    source = cause.source();
                }
                reason
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_fails_alone_and_again_is_put_aside() {
        for kind in [Kind::TimeOut, Kind::Refused, Kind::Unreadable] {
            assert_eq!(treatment(kind, 2, 1), Treatment::Halve, "{kind:?}");
        }
        assert_eq!(treatment(Kind::Unreadable, 1, 1), Treatment::PutAside);
        assert_eq!(treatment(Kind::Refused, 1, REFUSALS - 1), Treatment::Again);
        assert_eq!(treatment(Kind::Refused, 1, REFUSALS), Treatment::PutAside);
        assert_eq!(treatment(Kind::TimeOut, 1, TIME_OUTS - 1), Treatment::Later);
        assert_eq!(treatment(Kind::TimeOut, 1, TIME_OUTS), Treatment::PutAside);
    }

    #[test]
    fn an_outage_between_two_failures_does_not_count() {
        let mut heap = Heap::new(Vec::new());
        assert_eq!(heap.fails(Kind::Refused), 1);
        for _ in 0..10 {
            heap.fails(Kind::Outage);
        }
        assert_eq!(heap.fails(Kind::Refused), 2);
        assert_eq!(heap.fails(Kind::TimeOut), 1);
    }

    #[test]
    fn an_outage_or_a_lost_race_blames_nobody_however_long_it_lasts() {
        for tries in [1, 1_000] {
            assert_eq!(treatment(Kind::Outage, 500, tries), Treatment::Hold);
            assert_eq!(treatment(Kind::Outage, 1, tries), Treatment::Hold);
            assert_eq!(treatment(Kind::Race, 1, tries), Treatment::Hold);
        }
        assert_eq!(treatment(Kind::Race, 500, RACES - 1), Treatment::Hold);
        assert_eq!(treatment(Kind::Race, 500, RACES), Treatment::Halve);
    }
}
