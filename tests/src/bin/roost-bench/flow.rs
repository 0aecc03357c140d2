//! The whole way: webhooks in, messages stored, conversations assigned, events relayed.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use sqlx::PgConnection;

use crate::acks::service_ports;
use crate::bodies::{Workload, requests};
use crate::broker::Broker;
use crate::cpu::{Parts, Spent};
use crate::house::{House, Roost, SECRET};
use crate::load::{self, per_second};

/// Something is stuck if nothing moves for so long.
const STUCK: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Which roles take part.
#[derive(Debug, Clone)]
pub(crate) struct Roles {
    /// As given to `roost`.
    pub(crate) names: String,
    /// Whether conversations get an assignee.
    pub(crate) assign: bool,
}

impl Roles {
    pub(crate) fn new(names: &str) -> Self {
        let assign = names
            .split(',')
            .any(|role| matches!(role, "all" | "router"));
        Self {
            names: names.to_owned(),
            assign,
        }
    }

    /// Without the door, which has closed.
    fn behind_the_door(&self) -> String {
        match self.names.as_str() {
            "all" => "inbox,relay,router,sla,sender,gateway".to_owned(),
            names => names
                .split(',')
                .filter(|role| *role != "ingester")
                .collect::<Vec<_>>()
                .join(","),
        }
    }
}

/// One measurement.
#[derive(Debug)]
pub(crate) struct Flow {
    /// Messages a second, from the first POST until all is done.
    pub(crate) rate: f64,
    /// When everything had its acknowledgement, was stored, assigned, relayed; since the first POST.
    pub(crate) milestones: Milestones,
    /// Events in the log for each message.
    pub(crate) events: f64,
    /// Whose processor time it was.
    pub(crate) spent: Spent,
    /// The roles' own times.
    pub(crate) timings: Vec<(&'static str, f64)>,
}

/// Instants at which a part of the way was complete.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Milestones {
    pub(crate) acknowledged: Duration,
    pub(crate) stored: Option<Duration>,
    pub(crate) assigned: Option<Duration>,
    pub(crate) relayed: Option<Duration>,
}

/// What every measurement of the whole way goes by.
pub(crate) struct Way<'a> {
    pub(crate) house: &'a House,
    pub(crate) workload: &'a Workload,
    pub(crate) connections: usize,
    pub(crate) broker: &'a Broker,
    pub(crate) roles: &'a Roles,
    pub(crate) folder: &'a Path,
}

impl Way<'_> {
    /// Webhooks and work at the same time.
    ///
    /// # Errors
    /// When something fails or gets stuck.
    pub(crate) async fn measure(&self) -> anyhow::Result<Flow> {
        self.broker.purge().await?;
        let roost = self.start(&self.roles.names).await?;
        self.warm_up(&roost).await?;
        let parts = parts(&roost)?;
        let all = Arc::new(requests(&self.workload.bodies(), roost.ingester, SECRET));
        let mut watch =
            Watch::new(self.house, &roost, self.roles, self.workload.messages()).await?;
        let before = parts.read()?;
        watch.started = Instant::now();
        let sending = tokio::spawn(load::send(roost.ingester, all, self.connections));
        watch.until_done().await?;
        let answers = sending.await??;
        answers.rate().with_context(|| roost.tail())?;
        let spent = parts.read()?.since(&before);
        Ok(Flow {
            rate: per_second(self.workload.messages(), watch.elapsed),
            milestones: Milestones {
                acknowledged: answers.elapsed,
                ..watch.milestones
            },
            events: (watch.seen.events - watch.before.events) / float(self.workload.messages()),
            spent,
            timings: timings(&roost).await?,
        })
    }

    /// The queues are full, then the rest of the roles start: messages a second from the first that is
    /// seen stored until all is done.
    ///
    /// # Errors
    /// When something fails or gets stuck.
    pub(crate) async fn drain(&self) -> anyhow::Result<(f64, Spent)> {
        self.broker.purge().await?;
        let roost = self.start(&self.roles.names).await?;
        self.warm_up(&roost).await?;
        // In good order, so that no lease of its holds up the next.
        roost.stop().await?;
        let door = self.start("ingester").await?;
        let all = Arc::new(requests(&self.workload.bodies(), door.ingester, SECRET));
        let sent = load::send(door.ingester, all, self.connections).await?;
        sent.rate().with_context(|| door.tail())?;
        drop(door);
        let roost = self.start(&self.roles.behind_the_door()).await?;
        let parts = parts(&roost)?;
        let before = parts.read()?;
        let mut watch = Watch::new(self.house, &roost, self.roles, 0).await?;
        // Some may have been stored while it started.
        watch.wanted = float(self.house.warm_up().messages() + self.workload.messages());
        watch.to_handle = float(self.workload.messages());
        let first = watch.before.messages;
        watch.until_done().await?;
        let spent = parts.read()?.since(&before);
        Ok(((watch.wanted - first) / watch.elapsed.as_secs_f64(), spent))
    }

    async fn start(&self, roles: &str) -> anyhow::Result<Roost> {
        Roost::start(roles, self.house, &self.broker.prefix, self.folder).await
    }

    /// A first few messages go all the way, on which the database then bases its plans.
    async fn warm_up(&self, roost: &Roost) -> anyhow::Result<()> {
        let workload = self.house.warm_up();
        let all = Arc::new(requests(&workload.bodies(), roost.ingester, SECRET));
        let mut watch = Watch::new(self.house, roost, self.roles, workload.messages()).await?;
        let sent = load::send(roost.ingester, all, self.connections).await?;
        sent.rate().with_context(|| roost.tail())?;
        watch.until_done().await?;
        self.house.analyse().await
    }
}

fn parts(roost: &Roost) -> anyhow::Result<Parts> {
    let mut ports = vec![("roost", roost.ops.port())];
    ports.extend(service_ports());
    Parts::new(&ports)
}

/// What the database holds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Seen {
    /// By the inbox of the process that is watched.
    handled: f64,
    messages: f64,
    unassigned: f64,
    events: f64,
    unnumbered: f64,
    relayed: f64,
}

struct Watch<'a> {
    owner: PgConnection,
    roost: &'a Roost,
    roles: &'a Roles,
    /// Messages in the database at the end.
    wanted: f64,
    /// What the inbox has handled by then.
    to_handle: f64,
    started: Instant,
    elapsed: Duration,
    milestones: Milestones,
    /// At its beginning.
    before: Seen,
    seen: Seen,
}

impl<'a> Watch<'a> {
    /// Watches so many more messages, from now on.
    async fn new(
        house: &House,
        roost: &'a Roost,
        roles: &'a Roles,
        more: usize,
    ) -> anyhow::Result<Self> {
        let mut watch = Self {
            owner: house.owner().await,
            roost,
            roles,
            wanted: 0.0,
            to_handle: 0.0,
            started: Instant::now(),
            elapsed: Duration::ZERO,
            milestones: Milestones::default(),
            before: Seen::default(),
            seen: Seen::default(),
        };
        watch.before = watch.look().await?;
        watch.wanted = watch.before.messages + float(more);
        watch.to_handle = watch.before.handled + float(more);
        Ok(watch)
    }

    /// Counting rows costs what it watches: the inbox's own figure says when it is worth it.
    async fn look(&mut self) -> anyhow::Result<Seen> {
        // Before the rows, so that nothing counts as relayed that isn't seen as numbered.
        let relayed = self.roost.figure("roost_relay_events_total").await?;
        let handled = self.roost.figure("roost_inbox_events_total").await?;
        if handled < self.to_handle {
            return Ok(Seen {
                handled,
                relayed,
                ..self.seen
            });
        }
        let (messages, unassigned, events, unnumbered): (i64, i64, i64, i64) = sqlx::query_as(
            "select (select count(*) from messages), (select count(*) from conversations where assignee_id is null),
                    (select count(*) from events), (select count(*) from events where position is null)",
        )
        .fetch_one(&mut self.owner)
        .await?;
        Ok(Seen {
            handled,
            messages: float(usize::try_from(messages)?),
            unassigned: float(usize::try_from(unassigned)?),
            events: float(usize::try_from(events)?),
            unnumbered: float(usize::try_from(unnumbered)?),
            relayed,
        })
    }

    /// Looks until all is done, noting when each part was.
    async fn until_done(&mut self) -> anyhow::Result<()> {
        let mut moved = Instant::now();
        // What an earlier process has relayed.
        let elsewhere = self.before.events - self.before.unnumbered - self.before.relayed;
        loop {
            let seen = self.look().await?;
            self.elapsed = self.started.elapsed();
            if seen != self.seen {
                moved = Instant::now();
            }
            self.seen = seen;
            let stored = seen.messages >= self.wanted;
            let assigned = stored && (!self.roles.assign || seen.unassigned == 0.0);
            let relayed =
                assigned && seen.unnumbered == 0.0 && seen.relayed >= seen.events - elsewhere;
            let marks = &mut self.milestones;
            for (is_reached, mark) in [
                (stored, &mut marks.stored),
                (assigned, &mut marks.assigned),
                (relayed, &mut marks.relayed),
            ] {
                if is_reached {
                    mark.get_or_insert(self.elapsed);
                }
            }
            if relayed {
                return Ok(());
            }
            if moved.elapsed() > STUCK {
                bail!(
                    "nothing moved for {STUCK:?}: {seen:?}\n{}",
                    self.roost.tail()
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Seconds that the roles spent in steps of a kind, and how often.
async fn timings(roost: &Roost) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let mut timings = Vec::new();
    for name in [
        "roost_inbox_batch_seconds_sum",
        "roost_inbox_batch_seconds_count",
        "roost_relay_sequence_seconds_sum",
        "roost_relay_sequence_seconds_count",
        "roost_relay_publish_seconds_sum",
        "roost_relay_publish_seconds_count",
        "roost_inbox_refolds_total",
    ] {
        timings.push((name, roost.figure(name).await?));
    }
    Ok(timings)
}
