//! The open streams of this process, by brand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roost_domain::ids::{BrandId, ConversationId, MemberId};
use roost_store::events::{self, EventFilter};
use roost_store::visibility::Walls;
use roost_store::{Store, StoreError, conversations};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::seat::Seat;
use super::topics::Topics;
use crate::events::{Audience, Rendered, render};
use crate::metrics::GatewayMetrics;
use crate::wire::event::EventView;

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
    /// The frame of what is shown of an event; none if it can't be written, which its types rule out.
    pub(super) fn of(view: &EventView, position: Option<i64>) -> Option<Self> {
        let text = serde_json::to_string(view).ok()?;
        Some(Self {
            position,
            text: Arc::from(text),
        })
    }
}

/// The hub's end of a stream.
#[derive(Debug)]
struct Listener {
    seat: Seat,
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
    /// What limited sight when it was last looked at.
    walls: Walls,
    /// Everything up to here was offered.
    position: i64,
    /// Asked for while a reading was under way.
    again: bool,
    reading: bool,
}

impl Room {
    /// Notes what limits sight now. A stream whose member it shuts out of a team ends: what its client
    /// still shows may be out of their sight, and its topics may name what they no longer hear of.
    fn put_up(&mut self, walls: Walls) {
        if self.walls == walls {
            return;
        }
        for listener in self.listeners.values() {
            let member = listener.seat.visibility.closed_teams_of;
            if member.is_some_and(|member| walls.shut_out_since(&self.walls, member)) {
                listener.verdict.send_replace(Verdict::RightsLost);
            }
        }
        self.walls = walls;
    }
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
        stream: Uuid,
        seat: Seat,
        topics: Topics,
    ) -> Result<Joined, StoreError> {
        let brand = seat.brand;
        let (head, walls) = self
            .store
            .brand(brand, |tx| {
                Box::pin(async move {
                    let walls = Walls::load(tx).await?;
                    Ok::<_, StoreError>((events::head(tx).await?, walls))
                })
            })
            .await?;
        let (frames, receiver) = mpsc::channel(QUEUE);
        let (verdict, verdicts) = watch::channel(Verdict::Open);
        let listener = Listener {
            seat,
            topics,
            frames,
            verdict,
        };
        let mut rooms = self.rooms();
        let room = rooms.entry(brand).or_insert_with(|| Room {
            position: head,
            walls,
            ..Room::default()
        });
        room.listeners.insert(stream, listener);
        Ok(Joined {
            frames: receiver,
            verdict: verdicts,
            from: room.position,
        })
    }

    /// Changes a stream's topics and what it lives by.
    pub(super) fn change(&self, stream: Uuid, seat: Seat, topics: Topics) {
        if let Some(listener) = self
            .rooms()
            .get_mut(&seat.brand)
            .and_then(|room| room.listeners.get_mut(&stream))
        {
            listener.seat = seat;
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

    /// Every open stream of a person.
    pub(super) fn streams(&self) -> Vec<(BrandId, Uuid, MemberId)> {
        let rooms = self.rooms();
        let of_room = |(brand, room): (&BrandId, &Room)| {
            let persons = room
                .listeners
                .iter()
                .filter(|(_, one)| one.seat.is_person());
            persons
                .map(|(id, one)| (*brand, *id, one.seat.member))
                .collect::<Vec<_>>()
        };
        rooms.iter().flat_map(of_room).collect()
    }

    /// The sessions and keys that the open streams live by, in order.
    pub(super) fn proofs(&self) -> (Vec<Uuid>, Vec<Vec<u8>>) {
        let rooms = self.rooms();
        let seats = || {
            let listeners = rooms.values().flat_map(|room| room.listeners.values());
            listeners.map(|one| &one.seat)
        };
        let mut sessions: Vec<Uuid> = seats().filter_map(Seat::session).collect();
        sessions.sort_unstable();
        sessions.dedup();
        let mut keys: Vec<Vec<u8>> = seats().filter_map(Seat::key).cloned().collect();
        keys.sort_unstable();
        keys.dedup();
        (sessions, keys)
    }

    /// Ends the streams of which `judge` says so.
    pub(super) fn judge(&self, judge: impl Fn(&Seat) -> Verdict) {
        for room in self.rooms().values() {
            for listener in room.listeners.values() {
                let verdict = judge(&listener.seat);
                if verdict != Verdict::Open {
                    listener.verdict.send_replace(verdict);
                }
            }
        }
    }

    /// Looks at the closed teams of every brand with a stream whose sight they limit.
    pub(super) async fn look_at_walls(&self) -> Result<(), StoreError> {
        let is_limited = |one: &Listener| one.seat.visibility.closed_teams_of.is_some();
        let brands: Vec<BrandId> = {
            let rooms = self.rooms();
            let limited = rooms
                .iter()
                .filter(|(_, room)| room.listeners.values().any(is_limited));
            limited.map(|(brand, _)| *brand).collect()
        };
        for brand in brands {
            let walls = self
                .store
                .brand(brand, |tx| Box::pin(Walls::load(tx)))
                .await?;
            if let Some(room) = self.rooms().get_mut(&brand) {
                room.put_up(walls);
            }
        }
        Ok(())
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
                    let walls = Walls::load(tx).await?;
                    Ok::<_, StoreError>((render(tx, &page).await?, walls, last))
                })
            })
            .await?;
        let (page, walls, last) = rendered;
        let is_full = i64::try_from(page.len()).unwrap_or(i64::MAX) >= PAGE;
        if let Some(last) = last {
            self.offer(brand, &page, walls, last);
        }
        Ok(is_full)
    }

    fn offer(&self, brand: BrandId, page: &[Rendered], walls: Walls, last: i64) {
        let mut rooms = self.rooms();
        let Some(room) = rooms.get_mut(&brand) else {
            return;
        };
        // A room that was left and entered again meanwhile stands at a later head.
        if room.position >= last {
            return;
        }
        room.put_up(walls);
        for event in page {
            // Most listeners see all of it; the others get a frame of their own.
            let whole = Frame::of(&event.view, event.position);
            for listener in room.listeners.values() {
                let Some(shown) = event.shown_to(&listener.seat.visibility, &room.walls) else {
                    continue;
                };
                let frame = if std::ptr::eq(shown, &raw const event.view) {
                    whole.clone()
                } else {
                    Frame::of(shown, event.position)
                };
                if let Some(frame) = frame {
                    self.push(listener, &event.audience, frame);
                }
            }
        }
        room.position = last;
    }

    fn push(&self, listener: &Listener, audience: &Audience, frame: Frame) {
        if *listener.verdict.borrow() != Verdict::Open
            || !listener.topics.want(listener.seat.member, audience)
        {
            return;
        }
        let result = if listener.frames.try_send(frame).is_ok() {
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
                Box::pin(async move { conversations::find_place(tx, conversation).await })
            })
            .await;
        let Ok(Some(place)) = found else { return };
        let audience = Audience {
            conversation: Some(conversation),
            members: place.assignee.into_iter().collect(),
            teams: place.team.into_iter().collect(),
            ..Audience::default()
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
            let seat = &listener.seat;
            if seat.visibility.sees(&place, &room.walls)
                && listener.topics.want(seat.member, &audience)
            {
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
        let topics = Topics {
            all: true,
            ..Topics::default()
        };
        let listener = Listener {
            seat: Seat::of_owner(),
            topics,
            frames,
            verdict,
        };
        let frame = Frame {
            position: Some(1),
            text: Arc::from("{}"),
        };
        for _ in 0..QUEUE {
            hub.push(&listener, &Audience::default(), frame.clone());
        }
        assert_eq!(*verdicts.borrow(), Verdict::Open);
        hub.push(&listener, &Audience::default(), frame.clone());
        assert_eq!(*verdicts.borrow(), Verdict::TooSlow);
        // Room that comes too late fills no gap.
        queue.recv().await.unwrap();
        hub.push(&listener, &Audience::default(), frame.clone());
        assert_eq!(queue.len(), QUEUE - 1);
    }
}
