//! One open stream, from its first frame to its end.

mod frames;

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{AggregatedMessage, AggregatedMessageStream, CloseCode, CloseReason};
use roost_domain::ids::{BrandId, MemberId};
use roost_domain::role::Permission;
use roost_store::events::{self as log, EventFilter};
use roost_store::visibility::{Visibility, Walls};
use roost_store::{StoreError, presence};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::hub::{Frame, Joined, Verdict};
use super::seat::Seat;
use super::topics::Topics;
use crate::app::App;
use crate::auth::{Identity, origin};
use crate::events::render;
use crate::problem::{Code, Problem};
use crate::wire::event::{read_cursor, write_cursor};
use frames::{Auth, Incoming, error, ready, resync};

/// How long a client may take to say who it is.
const AUTH_LIMIT: Duration = Duration::from_secs(10);
const PING_EVERY: Duration = Duration::from_secs(20);
/// Without any frame for this long the client is gone.
const SILENCE_LIMIT: Duration = Duration::from_secs(50);
/// How long a single frame may take to be taken.
const SEND_LIMIT: Duration = Duration::from_secs(10);
/// Missed events that are sent again; beyond them the client has to read anew.
const MAX_MISSED: i64 = 1_000;
const PAGE: i64 = 200;
const MAX_FRAME_BYTES: usize = 64 * 1024;

/// Opens a stream. Who asks is said by its first frame: browsers can't send a header here.
///
/// # Errors
/// When the request is no WebSocket handshake, or comes from a foreign page.
pub(crate) async fn open(
    request: HttpRequest,
    payload: web::Payload,
    app: web::Data<App>,
) -> Result<HttpResponse, Problem> {
    origin::check_present(&request, &app)?;
    let (response, socket, incoming) = actix_ws::handle(&request, payload)
        .map_err(|error| Problem::with(Code::InvalidRequest, error.to_string()))?;
    let incoming = incoming
        .max_frame_size(MAX_FRAME_BYTES)
        .aggregate_continuations()
        .max_continuation_size(MAX_FRAME_BYTES);
    let stream = Stream {
        app: app.into_inner(),
        socket,
        incoming,
        id: Uuid::now_v7(),
    };
    actix_web::rt::spawn(stream.run());
    Ok(response)
}

/// Why a stream ended.
#[derive(Debug)]
enum End {
    /// The client went, or stopped answering.
    Gone,
    /// We end it, with a code of the WebSocket protocol or of ours, and a word.
    Close(CloseCode, &'static str),
    /// Its queue was full.
    TooSlow,
}

impl End {
    fn reason(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Close(_, reason) => reason,
            Self::TooSlow => "too_slow",
        }
    }

    fn unauthenticated() -> Self {
        Self::Close(CloseCode::Other(4401), "unauthenticated")
    }

    fn bad_request() -> Self {
        Self::Close(CloseCode::Other(4400), "bad_request")
    }

    /// What the hub says, if it ends the stream.
    fn of(verdict: Verdict) -> Option<Self> {
        Some(match verdict {
            Verdict::Open => return None,
            Verdict::TooSlow => Self::TooSlow,
            Verdict::SessionEnded => Self::Close(CloseCode::Other(4401), "session_ended"),
            Verdict::RightsLost => Self::Close(CloseCode::Other(4403), "rights_lost"),
            Verdict::GoingAway => Self::Close(CloseCode::Away, "going_away"),
        })
    }
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        tracing::warn!(error = crate::problem::chain(&error), "a stream failed");
        Self::Close(CloseCode::Again, "try_again")
    }
}

struct Stream {
    app: Arc<App>,
    socket: actix_ws::Session,
    incoming: AggregatedMessageStream,
    id: Uuid,
}

/// Who has the stream.
#[derive(Debug, Clone, Copy)]
struct Member {
    brand: BrandId,
    id: MemberId,
}

impl Stream {
    async fn run(mut self) {
        let end = match self.first_frame().await {
            Ok(auth) => self.serve(auth).await,
            Err(end) => end,
        };
        self.app
            .metrics
            .closed
            .with_label_values(&[end.reason()])
            .inc();
        self.close(end).await;
    }

    async fn first_frame(&mut self) -> Result<Auth, End> {
        let received = timeout(AUTH_LIMIT, self.incoming.recv()).await;
        match received {
            Ok(Some(Ok(AggregatedMessage::Text(text)))) => match Incoming::parse(&text) {
                Ok(Incoming::Auth(auth)) => Ok(auth),
                Ok(Incoming::Active) | Err(_) => Err(End::unauthenticated()),
            },
            Ok(Some(Ok(_))) | Err(_) => Err(End::unauthenticated()),
            Ok(Some(Err(_)) | None) => Err(End::Gone),
        }
    }

    async fn authenticate(&self, auth: &Auth) -> Result<Seat, End> {
        let identity = Identity::of_token(&self.app, &auth.token).await;
        let identity = identity.map_err(|problem| match problem.code().status() {
            401 => End::unauthenticated(),
            _ => End::Close(CloseCode::Again, "try_again"),
        })?;
        if identity
            .person()
            .is_ok_and(|person| person.lacks_two_factor)
        {
            return Err(End::Close(CloseCode::Other(4403), "two_factor_required"));
        }
        if !identity.allows(Permission::EventsRead) {
            return Err(End::Close(CloseCode::Other(4403), "rights_lost"));
        }
        Ok(Seat::of(&identity, &auth.token))
    }

    /// From a first frame that says who it is to the end.
    async fn serve(&mut self, auth: Auth) -> End {
        let seat = match self.authenticate(&auth).await {
            Ok(seat) => seat,
            Err(end) => return end,
        };
        let member = Member {
            brand: seat.brand,
            id: seat.member,
        };
        let is_person = seat.is_person();
        let (topics, after) = match self.read_wishes(&auth, member).await {
            Ok(wishes) => wishes,
            Err(end) => return end,
        };
        // A program is never there.
        if is_person && let Err(end) = self.appear(member).await {
            return end;
        }
        self.app.metrics.streams.inc();
        let end = self
            .live(member, seat, topics, after)
            .await
            .err()
            .unwrap_or(End::Gone);
        self.app.metrics.streams.dec();
        self.app.hub.leave(member.brand, self.id);
        if is_person {
            self.disappear(member).await;
        }
        end
    }

    async fn read_wishes(
        &mut self,
        auth: &Auth,
        member: Member,
    ) -> Result<(Topics, Option<i64>), End> {
        let wishes = Topics::parse(&auth.topics).and_then(|topics| {
            let after = auth
                .after
                .as_deref()
                .map(|cursor| read_cursor(member.brand, cursor));
            let after = after
                .transpose()
                .map_err(|problem| problem.code().as_str().to_owned())?;
            Ok((topics, after))
        });
        match wishes {
            Ok(wishes) => Ok(wishes),
            Err(detail) => {
                self.send(&error("bad_request", &detail)).await?;
                Err(End::bad_request())
            }
        }
    }

    /// The member is here now.
    async fn appear(&self, member: Member) -> Result<(), End> {
        let (id, gateway) = (self.id, self.app.gateway);
        let presence = self
            .app
            .store
            .brand(member.brand, move |tx| {
                Box::pin(presence::open_stream(tx, member.id, id, gateway))
            })
            .await?;
        match presence {
            Some(presence) if presence.changed => self.app.hint_router(),
            Some(_) => {}
            None => return Err(End::Close(CloseCode::Other(4403), "rights_lost")),
        }
        Ok(())
    }

    async fn disappear(&self, member: Member) {
        let id = self.id;
        let closed = self
            .app
            .store
            .brand(member.brand, move |tx| {
                Box::pin(presence::close_stream(tx, member.id, id))
            })
            .await;
        if let Err(error) = closed {
            // The row goes with this gateway's next burial; until then the member looks present.
            tracing::warn!(
                error = crate::problem::chain(&error),
                "cannot close a stream's row"
            );
        }
    }

    async fn live(
        &mut self,
        member: Member,
        seat: Seat,
        topics: Topics,
        after: Option<i64>,
    ) -> Result<(), End> {
        let hub = self.app.hub.clone();
        let visibility = seat.visibility.clone();
        let mut joined = hub.join(self.id, seat, topics.clone()).await?;
        let from = after.unwrap_or(joined.from);
        self.send(&ready(member.id, Some(write_cursor(member.brand, from))))
            .await?;
        if joined.from - from > MAX_MISSED {
            self.send(&resync(&write_cursor(member.brand, joined.from)))
                .await?;
        } else {
            self.send_missed(member, &visibility, &topics, from, joined.from)
                .await?;
        }
        self.pass_on(member, from, &mut joined).await
    }

    async fn send_missed(
        &mut self,
        member: Member,
        visibility: &Visibility,
        topics: &Topics,
        mut after: i64,
        up_to: i64,
    ) -> Result<(), End> {
        while after < up_to {
            let (page, walls) = self
                .app
                .store
                .brand(member.brand, move |tx| {
                    Box::pin(async move {
                        let filter = EventFilter::default();
                        let page = log::read_between(tx, after, up_to, &filter, PAGE).await?;
                        Ok::<_, StoreError>((render(tx, &page).await?, Walls::load(tx).await?))
                    })
                })
                .await?;
            let Some(last) = page.last().and_then(|event| event.position) else {
                break;
            };
            for event in page
                .iter()
                .filter(|event| topics.want(member.id, &event.audience))
            {
                let shown = event.shown_to(visibility, &walls);
                if let Some(frame) = shown.and_then(|view| Frame::of(view, event.position)) {
                    self.send(&frame.text).await?;
                }
            }
            after = last;
        }
        Ok(())
    }

    /// Live events out, the client's frames in. Ends by an error only.
    async fn pass_on(&mut self, member: Member, seen: i64, joined: &mut Joined) -> Result<(), End> {
        let mut ping = tokio::time::interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        let mut heard_at = Instant::now();
        loop {
            tokio::select! {
                biased;
                _ = joined.verdict.changed() => {
                    let verdict = *joined.verdict.borrow();
                    if let Some(end) = End::of(verdict) {
                        return Err(end);
                    }
                }
                message = self.incoming.recv() => {
                    heard_at = Instant::now();
                    self.hear(member, message).await?;
                }
                _ = ping.tick() => {
                    if heard_at.elapsed() > SILENCE_LIMIT {
                        return Err(End::Gone);
                    }
                    self.socket.ping(b"").await.map_err(|_| End::Gone)?;
                }
                frame = joined.frames.recv() => {
                    let Some(frame) = frame else { return Err(End::Gone) };
                    // The client's own cursor may be ahead of what this process has read.
                    if frame.position.is_none_or(|position| position > seen) {
                        let sending = timeout(SEND_LIMIT, self.socket.text(&*frame.text));
                        tokio::select! {
                            sent = sending => match sent {
                                Ok(Ok(())) => {}
                                Ok(Err(_)) => return Err(End::Gone),
                                Err(_) => return Err(End::TooSlow),
                            },
                            _ = joined.verdict.changed() => {
                                let verdict = *joined.verdict.borrow();
                                return Err(End::of(verdict).unwrap_or(End::TooSlow));
                            }
                        }
                    }
                }
            }
        }
    }

    async fn hear(
        &mut self,
        member: Member,
        message: Option<Result<AggregatedMessage, actix_ws::ProtocolError>>,
    ) -> Result<(), End> {
        match message {
            Some(Ok(AggregatedMessage::Text(text))) => match Incoming::parse(&text) {
                Ok(Incoming::Active) => Ok(()),
                Ok(Incoming::Auth(auth)) => self.authenticate_again(member, &auth).await,
                Err(detail) => self.send(&error("bad_request", &detail)).await,
            },
            Some(Ok(AggregatedMessage::Ping(bytes))) => {
                self.socket.pong(&bytes).await.map_err(|_| End::Gone)
            }
            Some(Ok(AggregatedMessage::Pong(_))) => Ok(()),
            Some(Ok(AggregatedMessage::Binary(_))) => {
                Err(End::Close(CloseCode::Unsupported, "text_only"))
            }
            Some(Ok(AggregatedMessage::Close(_))) => Err(End::Close(CloseCode::Normal, "closed")),
            Some(Err(_)) | None => Err(End::Gone),
        }
    }

    /// A newer token, and maybe other topics. What was missed isn't sent again.
    async fn authenticate_again(&mut self, member: Member, auth: &Auth) -> Result<(), End> {
        let seat = self.authenticate(auth).await?;
        if seat.brand != member.brand || seat.member != member.id {
            return Err(End::Close(CloseCode::Other(4403), "another_member"));
        }
        let (topics, _) = self.read_wishes(auth, member).await?;
        self.app.hub.change(self.id, seat, topics);
        self.send(&ready(member.id, None)).await
    }

    async fn send(&mut self, text: &str) -> Result<(), End> {
        match timeout(SEND_LIMIT, self.socket.text(text)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::TooSlow),
        }
    }

    /// Says why, as far as the client still listens; dropping the socket ends it in any case.
    async fn close(mut self, end: End) {
        let (code, reason) = match end {
            End::Gone => return,
            End::Close(code, reason) => (code, reason),
            End::TooSlow => {
                let resync = frames::resync_all();
                timeout(Duration::from_secs(2), self.socket.text(resync))
                    .await
                    .ok();
                (CloseCode::Other(4408), "too_slow")
            }
        };
        let reason = CloseReason {
            code,
            description: Some(reason.to_owned()),
        };
        timeout(Duration::from_secs(2), self.socket.close(Some(reason)))
            .await
            .ok();
    }
}
