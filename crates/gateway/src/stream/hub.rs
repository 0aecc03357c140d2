//! The open streams of this process, by brand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roost_domain::ids::{BrandId, ConversationId, MemberId};
use roost_store::events::{self, EventFilter};
use roost_store::{Store, StoreError, conversations};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::topics::Topics;
use crate::events::{Audience, Rendered, render};
use crate::metrics::GatewayMetrics;

/// Frames that may wait for a slow client; one more and it is cut.
pub(super) const QUEUE: usize = 256;
/// Lines of the log that are read at once.
const PAGE: i64 = 200;

/// Why a stream has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It doesn't.
    Open,
    /// Its queue was full.
    TooSlow,
    /// Its session has ended.
    SessionEnded,
    /// Its member may no longer see what it shows.
    RightsLost,
    /// The process stops.
    GoingAway,
}

/// Something to send.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// Its place in the log; none for what isn't part of it.
    pub(super) position: Option<i64>,
    /// JSON.
    pub(super) text: Arc<str>,
}

impl Frame {
    /// The frame of an event; none if it can't be written, which its types rule out.
    pub(super) fn of(event: &Rendered) -> Option<Self> {
        let text = serde_json::to_string(&event.view).ok()?;
        Some(Self {
            position: event.position,
            text: Arc::from(text),
        })
    }
}

/// The hub's end of a stream.
#[derive(Debug)]
struct Listener {
    member: MemberId,
    session: Uuid,
    topics: Topics,
    frames: mpsc::Sender<Frame>,
    verdict: watch::Sender<Verdict>,
}

/// The stream's end.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) frames: mpsc::Receiver<Frame>,
    pub(super) verdict: watch::Receiver<Verdict>,
    /// Everything after this position comes through `frames`.
    pub(super) from: i64,
}

#[derive(Debug, Default)]
struct Room {
    listeners: HashMap<Uuid, Listener>,
    /// Everything up to here was offered.
    position: i64,
    /// Asked for while a reading was under way.
    again: bool,
    reading: bool,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Hub {
    store: Store,
    rooms: Arc<Mutex<HashMap<BrandId, Room>>>,
    heads: Arc<Mutex<HashMap<BrandId, watch::Sender<i64>>>>,
    metrics: GatewayMetrics,
}

impl Hub {
    pub(crate) fn new(store: Store, metrics: GatewayMetrics) -> Self {
        Self {
            store,
            rooms: Arc::default(),
            heads: Arc::default(),
            metrics,
        }
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<BrandId, Room>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a stream, at the log's head.
    pub(super) async fn join(
        &self,
        brand: BrandId,
        stream: Uuid,
        member: MemberId,
        session: Uuid,
        topics: Topics,
    ) -> Result<Joined, StoreError> {
        let head = self
            .store
            .brand(brand, |tx| Box::pin(events::head(tx)))
            .await?;
        let (frames, receiver) = mpsc::channel(QUEUE);
        let (verdict, verdicts) = watch::channel(Verdict::Open);
        let listener = Listener {
            member,
            session,
            topics,
            frames,
            verdict,
        };
        let mut rooms = self.rooms();
        let room = rooms.entry(brand).or_insert_with(|| Room {
            position: head,
            ..Room::default()
        });
        room.listeners.insert(stream, listener);
        Ok(Joined {
            frames: receiver,
            verdict: verdicts,
            from: room.position,
        })
    }

    /// Changes a stream's topics and the session that it lives by.
    pub(super) fn change(&self, brand: BrandId, stream: Uuid, session: Uuid, topics: Topics) {
        if let Some(listener) = self
            .rooms()
            .get_mut(&brand)
            .and_then(|room| room.listeners.get_mut(&stream))
        {
            listener.session = session;
            listener.topics = topics;
        }
    }

    /// Takes a stream away.
    pub(super) fn leave(&self, brand: BrandId, stream: Uuid) {
        let mut rooms = self.rooms();
        if let Some(room) = rooms.get_mut(&brand) {
            room.listeners.remove(&stream);
            if room.listeners.is_empty() {
                rooms.remove(&brand);
            }
        }
    }

    /// Every open stream.
    pub(super) fn streams(&self) -> Vec<(BrandId, Uuid, MemberId)> {
        let rooms = self.rooms();
        let of_room = |(brand, room): (&BrandId, &Room)| {
            let of_brand = |(id, one): (&Uuid, &Listener)| (*brand, *id, one.member);
            room.listeners.iter().map(of_brand).collect::<Vec<_>>()
        };
        rooms.iter().flat_map(of_room).collect()
    }

    /// The sessions that the open streams live by.
    pub(super) fn sessions(&self) -> Vec<Uuid> {
        let rooms = self.rooms();
        let mut sessions: Vec<Uuid> = rooms
            .values()
            .flat_map(|room| room.listeners.values())
            .map(|one| one.session)
            .collect();
        sessions.sort_unstable();
        sessions.dedup();
        sessions
    }

    /// Ends the streams of which `judge` says so, by brand, member and session.
    pub(super) fn judge(&self, judge: impl Fn(BrandId, MemberId, Uuid) -> Verdict) {
        for (brand, room) in self.rooms().iter() {
            for listener in room.listeners.values() {
                let verdict = judge(*brand, listener.member, listener.session);
                if verdict != Verdict::Open {
                    listener.verdict.send_replace(verdict);
                }
            }
        }
    }

    /// Follows the head of a brand's log, as far as this process has heard.
    pub(crate) fn follow(&self, brand: BrandId) -> watch::Receiver<i64> {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        heads.retain(|_, head| head.receiver_count() > 0);
        heads
            .entry(brand)
            .or_insert_with(|| watch::channel(0).0)
            .subscribe()
    }

    /// The broker told of a line at this position.
    pub(super) fn heard(&self, brand: BrandId, position: i64) {
        {
            let heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(head) = heads.get(&brand) {
                head.send_if_modified(|head| {
                    let is_news = position > *head;
                    *head = position.max(*head);
                    is_news
                });
            }
        }
        self.read(brand, Some(position));
    }

    /// Reads every brand with a stream: messages of the broker may have been missed.
    pub(super) fn read_all(&self) {
        let brands: Vec<BrandId> = self.rooms().keys().copied().collect();
        for brand in brands {
            self.read(brand, None);
        }
        let heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        for head in heads.values() {
            head.send_modify(|_| {});
        }
    }

    /// Has one task read the brand's log on; a second call while it runs makes it look again.
    fn read(&self, brand: BrandId, position: Option<i64>) {
        {
            let mut rooms = self.rooms();
            let Some(room) = rooms.get_mut(&brand) else {
                return;
            };
            if position.is_some_and(|position| position <= room.position) {
                return;
            }
            if std::mem::replace(&mut room.reading, true) {
                room.again = true;
                return;
            }
        }
        let hub = self.clone();
        tokio::spawn(async move { hub.read_on(brand).await });
    }

    async fn read_on(&self, brand: BrandId) {
        loop {
            let more = self.read_page(brand).await;
            let mut rooms = self.rooms();
            let Some(room) = rooms.get_mut(&brand) else {
                return;
            };
            match more {
                Ok(true) => {}
                Ok(false) if std::mem::take(&mut room.again) => {}
                Ok(false) => {
                    room.reading = false;
                    return;
                }
                Err(error) => {
                    // The next pointer or the poll wakes it again.
                    tracing::warn!(brand.id = %brand, error = crate::problem::chain(&error), "cannot read the log");
                    room.reading = false;
                    room.again = false;
                    return;
                }
            }
        }
    }

    /// Reads and offers one page; whether there may be more.
    async fn read_page(&self, brand: BrandId) -> Result<bool, StoreError> {
        let Some(after) = self.rooms().get(&brand).map(|room| room.position) else {
            return Ok(false);
        };
        let rendered = self
            .store
            .brand(brand, move |tx| {
                Box::pin(async move {
                    let head = events::head(tx).await?;
                    let page = events::read_between(tx, after, head, &EventFilter::default(), PAGE)
                        .await?;
                    let last = page.last().and_then(|event| event.position);
                    Ok::<_, StoreError>((render(tx, &page).await?, last))
                })
            })
            .await?;
        let (page, last) = rendered;
        let is_full = i64::try_from(page.len()).unwrap_or(i64::MAX) >= PAGE;
        if let Some(last) = last {
            self.offer(brand, &page, last);
        }
        Ok(is_full)
    }

    fn offer(&self, brand: BrandId, page: &[Rendered], last: i64) {
        let frames: Vec<(Frame, &Audience)> = page
            .iter()
            .filter_map(|event| Some((Frame::of(event)?, &event.audience)))
            .collect();
        let mut rooms = self.rooms();
        let Some(room) = rooms.get_mut(&brand) else {
            return;
        };
        // A room that was left and entered again meanwhile stands at a later head.
        if room.position >= last {
            return;
        }
        for listener in room.listeners.values() {
            for (frame, audience) in &frames {
                self.push(listener, audience, frame);
            }
        }
        room.position = last;
    }

    fn push(&self, listener: &Listener, audience: &Audience, frame: &Frame) {
        if *listener.verdict.borrow() != Verdict::Open
            || !listener.topics.want(listener.member, audience)
        {
            return;
        }
        let result = if listener.frames.try_send(frame.clone()).is_ok() {
            "sent"
        } else {
            listener.verdict.send_replace(Verdict::TooSlow);
            "too_slow"
        };
        self.metrics.frames.with_label_values(&[result]).inc();
    }

    /// Passes on what may be lost, such as typing.
    pub(super) async fn whisper(
        &self,
        brand: BrandId,
        conversation: ConversationId,
        text: Arc<str>,
    ) {
        if !self.rooms().contains_key(&brand) {
            return;
        }
        let found = self
            .store
            .brand(brand, move |tx| {
                Box::pin(conversations::find(tx, conversation, None))
            })
            .await;
        let Ok(Some(found)) = found else { return };
        let audience = Audience {
            conversation: Some(conversation),
            members: found.assignee.into_iter().collect(),
            teams: found.team.into_iter().collect(),
        };
        let frame = Frame {
            position: None,
            text,
        };
        let rooms = self.rooms();
        let Some(room) = rooms.get(&brand) else {
            return;
        };
        for listener in room.listeners.values() {
            if listener.topics.want(listener.member, &audience) {
                // A client that is behind can do without.
                listener.frames.try_send(frame.clone()).ok();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roost_store::StoreConfig;
    use secrecy::SecretString;

    fn hub() -> Hub {
        let nowhere = SecretString::from("postgres://nobody@127.0.0.1:1/none");
        let config = StoreConfig {
            app_url: nowhere.clone(),
            ingest_url: nowhere,
            app_connections: 1,
            ingest_connections: 1,
        };
        let metrics = GatewayMetrics::new(&roost_service::Metrics::new());
        Hub::new(Store::new(&config).unwrap(), metrics)
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_cut_at_the_queues_end() {
        let hub = hub();
        let (frames, mut queue) = mpsc::channel(QUEUE);
        let (verdict, verdicts) = watch::channel(Verdict::Open);
        let (member, session) = (MemberId(Uuid::now_v7()), Uuid::now_v7());
        let topics = Topics {
            all: true,
            ..Topics::default()
        };
        let listener = Listener {
            member,
            session,
            topics,
            frames,
            verdict,
        };
        let frame = Frame {
            position: Some(1),
            text: Arc::from("{}"),
        };
        for _ in 0..QUEUE {
            hub.push(&listener, &Audience::default(), &frame);
        }
        assert_eq!(*verdicts.borrow(), Verdict::Open);
        hub.push(&listener, &Audience::default(), &frame);
        assert_eq!(*verdicts.borrow(), Verdict::TooSlow);
        // Room that comes too late fills no gap.
        queue.recv().await.unwrap();
        hub.push(&listener, &Audience::default(), &frame);
        assert_eq!(queue.len(), QUEUE - 1);
    }
}
