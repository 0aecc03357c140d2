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

/// Webhooks and work at the same time.
///
/// # Errors
/// When something fails or gets stuck.
pub(crate) async fn measure(
    house: &House,
    workload: &Workload,
    connections: usize,
    broker: &Broker,
    roles: &Roles,
    folder: &Path,
) -> anyhow::Result<Flow> {
    broker.purge().await?;
    let roost = Roost::start(&roles.names, house, &broker.prefix, folder).await?;
    let all = Arc::new(requests(&workload.bodies(), roost.ingester, SECRET));
    let mut ports = vec![("roost", roost.ops.port())];
    ports.extend(service_ports());
    let parts = Parts::new(&ports)?;
    let before = parts.read()?;
    let started = Instant::now();
    let sending = tokio::spawn(load::send(roost.ingester, all, connections));
    let mut watch = Watch::new(house, &roost, roles, workload.messages(), started).await;
    watch.until_done().await?;
    let answers = sending.await??;
    answers.rate().with_context(|| roost.tail())?;
    let elapsed = watch.elapsed;
    let spent = parts.read()?.since(&before);
    Ok(Flow {
        rate: per_second(workload.messages(), elapsed),
        milestones: Milestones {
            acknowledged: answers.elapsed,
            ..watch.milestones
        },
        events: watch.seen.events / watch.wanted,
        spent,
        timings: timings(&roost).await?,
    })
}

/// The queues are full, then the rest of the roles start: messages a second from the first stored on.
///
/// # Errors
/// When something fails or gets stuck.
pub(crate) async fn drain(
    house: &House,
    workload: &Workload,
    connections: usize,
    broker: &Broker,
    roles: &Roles,
    folder: &Path,
) -> anyhow::Result<(f64, Spent)> {
    broker.purge().await?;
    let door = Roost::start("ingester", house, &broker.prefix, folder).await?;
    let all = Arc::new(requests(&workload.bodies(), door.ingester, SECRET));
    load::send(door.ingester, all, connections)
        .await?
        .rate()
        .with_context(|| door.tail())?;
    drop(door);
    let roost = Roost::start(&roles.behind_the_door(), house, &broker.prefix, folder).await?;
    let mut ports = vec![("roost", roost.ops.port())];
    ports.extend(service_ports());
    let parts = Parts::new(&ports)?;
    let before = parts.read()?;
    let mut watch = Watch::new(house, &roost, roles, workload.messages(), Instant::now()).await;
    let first = watch.look().await?.messages;
    watch.until_done().await?;
    let spent = parts.read()?.since(&before);
    Ok(((watch.wanted - first) / watch.elapsed.as_secs_f64(), spent))
}

/// What the database holds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Seen {
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
    wanted: f64,
    started: Instant,
    elapsed: Duration,
    milestones: Milestones,
    seen: Seen,
}

impl<'a> Watch<'a> {
    async fn new(
        house: &House,
        roost: &'a Roost,
        roles: &'a Roles,
        wanted: usize,
        started: Instant,
    ) -> Self {
        Self {
            owner: house.owner().await,
            roost,
            roles,
            wanted: f64::from(u32::try_from(wanted).unwrap_or(u32::MAX)),
            started,
            elapsed: Duration::ZERO,
            milestones: Milestones::default(),
            seen: Seen::default(),
        }
    }

    async fn look(&mut self) -> anyhow::Result<Seen> {
        let (messages, unassigned, events, unnumbered): (i64, i64, i64, i64) = sqlx::query_as(
            "select (select count(*) from messages), (select count(*) from conversations where assignee_id is null),
                    (select count(*) from events), (select count(*) from events where position is null)",
        )
        .fetch_one(&mut self.owner)
        .await?;
        let relayed = self.roost.figure("roost_relay_events_total").await?;
        let float = |count: i64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        Ok(Seen {
            messages: float(messages),
            unassigned: float(unassigned),
            events: float(events),
            unnumbered: float(unnumbered),
            relayed,
        })
    }

    /// Looks until all is done, noting when each part was.
    async fn until_done(&mut self) -> anyhow::Result<()> {
        let mut moved = Instant::now();
        loop {
            let seen = self.look().await?;
            self.elapsed = self.started.elapsed();
            if seen != self.seen {
                moved = Instant::now();
            }
            self.seen = seen;
            let stored = seen.messages >= self.wanted;
            let assigned = stored && (!self.roles.assign || seen.unassigned == 0.0);
            let relayed = assigned && seen.unnumbered == 0.0 && seen.relayed >= seen.events;
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
