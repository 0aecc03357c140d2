//! Deliveries: which webhooks hear of what, signed bodies, tries and retries.

pub(crate) mod body;
pub(crate) mod log;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use crate::crc::{brief, sign};
use crate::dms::{Dm, event};
use crate::feed::Item;
use crate::ids::{AccountId, DmId, WebhookId, now_ms};
use crate::state::{Sim, World};
use log::{Attempt, DeliveryId, State};

/// Waits before the second, third and fourth try: 3 to 5 s, 30 s more, then at 5 min.
const RETRY_WAITS_MS: [u64; 3] = [4_000, 30_000, 266_000];

/// The two shapes in which events come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Envelope {
    /// Account Activity: `for_user_id` and arrays of events.
    Aaa,
    /// X Activity API: `data.event_type` and `data.payload`.
    Xaa,
}

/// What happens to the sender's own copy of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum EchoPlan {
    After(Duration),
    Withheld,
}

/// One body for one webhook.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) webhook: WebhookId,
    pub(crate) kind: String,
    /// Whose subscription it is for.
    pub(crate) user: Option<AccountId>,
    pub(crate) dm: Option<DmId>,
    pub(crate) body: Bytes,
    pub(crate) wait: Duration,
    id: DeliveryId,
    done: Option<oneshot::Sender<()>>,
}

impl Job {
    /// A job that is about no account in particular.
    pub(crate) fn plain(webhook: WebhookId, kind: impl Into<String>, body: Vec<u8>) -> Self {
        Self {
            webhook,
            kind: kind.into(),
            user: None,
            dm: None,
            body: body.into(),
            wait: Duration::ZERO,
            id: DeliveryId::default(),
            done: None,
        }
    }
}

/// An event of one account, before it is wrapped for its webhooks.
pub(crate) struct Happening<'a> {
    /// The account that hears of it.
    pub(crate) user: AccountId,
    /// Name of the Account Activity array.
    pub(crate) aaa_key: &'static str,
    /// Event type of the X Activity API.
    pub(crate) xaa_type: &'static str,
    /// The array's element.
    pub(crate) element: Value,
    pub(crate) participants: [AccountId; 2],
    pub(crate) app_id: Option<&'a str>,
    pub(crate) dm: Option<DmId>,
}

/// Tells both sides of a new message, and the phone. Gives one receiver per delivery of the
/// sender's copy (the echo), which fires when the webhook answered.
pub(crate) fn announce(
    sim: &Sim,
    dm: &Dm,
    envelope: Option<Envelope>,
    echo: EchoPlan,
) -> Vec<oneshot::Receiver<()>> {
    let mut jobs = Vec::new();
    let mut echoes = Vec::new();
    {
        let world = sim.read();
        let element = serde_json::to_value(event::v1(&world, &sim.public_url(), dm, true));
        let element = element.unwrap_or_default();
        let told = |user, xaa_type| {
            let happening = Happening {
                user,
                aaa_key: "direct_message_events",
                xaa_type,
                element: element.clone(),
                participants: [dm.sender, dm.recipient],
                app_id: dm.source_app_id.as_deref(),
                dm: Some(dm.id),
            };
            jobs_of(sim, &world, &happening, envelope)
        };
        jobs.extend(told(dm.recipient, "dm.received"));
        if let EchoPlan::After(wait) = echo {
            echoes.extend(
                told(dm.sender, "dm.sent")
                    .into_iter()
                    .map(|job| Job { wait, ..job }),
            );
        }
    }
    sim.feed.publish(Item::Dm(Box::new(dm.clone())));
    for job in jobs {
        enqueue(sim, job);
    }
    echoes.into_iter().map(|job| enqueue(sim, job)).collect()
}

/// Tells the account of something that is no message.
pub(crate) fn tell(sim: &Sim, happening: &Happening<'_>, envelope: Option<Envelope>) -> usize {
    let jobs = jobs_of(sim, &sim.read(), happening, envelope);
    let count = jobs.len();
    for job in jobs {
        enqueue(sim, job);
    }
    count
}

/// One job per subscription; a chosen envelope replaces what the subscriptions would get.
fn jobs_of(
    sim: &Sim,
    world: &World,
    happening: &Happening<'_>,
    envelope: Option<Envelope>,
) -> Vec<Job> {
    let user = happening.user;
    let by_account: Vec<_> = world
        .account_activity
        .iter()
        .filter(|(_, subscribed)| *subscribed == user)
        .map(|(webhook, _)| *webhook)
        .collect();
    let by_type: Vec<_> = world
        .activity
        .values()
        .filter(|s| s.event_type == happening.xaa_type && s.filter.user_id == Some(user))
        .filter_map(|s| Some((s.webhook_id?, s.tag.as_deref())))
        .collect();

    let aaa = |webhook| {
        let body = body::account_activity(sim, world, happening);
        job(webhook, happening, happening.aaa_key, body)
    };
    let xaa = |(webhook, tag): (WebhookId, Option<&str>)| {
        let body = body::activity(world, happening, tag);
        job(webhook, happening, happening.xaa_type, body)
    };
    match envelope {
        None => by_account
            .into_iter()
            .map(aaa)
            .chain(by_type.into_iter().map(xaa))
            .collect(),
        Some(envelope) => {
            let mut hooks = by_account;
            hooks.extend(by_type.iter().map(|(webhook, _)| *webhook));
            hooks.sort();
            hooks.dedup();
            let hooks = hooks.into_iter();
            match envelope {
                Envelope::Aaa => hooks.map(aaa).collect(),
                Envelope::Xaa => hooks.map(|webhook| xaa((webhook, None))).collect(),
            }
        }
    }
}

fn job(webhook: WebhookId, happening: &Happening<'_>, kind: &str, body: Vec<u8>) -> Job {
    Job {
        user: Some(happening.user),
        dm: happening.dm,
        ..Job::plain(webhook, kind, body)
    }
}

/// Puts a job on its way, as often and as late as the faults say. The receiver fires when the
/// first copy came to its end.
pub(crate) fn enqueue(sim: &Sim, job: Job) -> oneshot::Receiver<()> {
    let (done, arrived) = oneshot::channel();
    let mut done = Some(done);
    let copies: Vec<_> = sim.change(|world| {
        let plan = world.faults.delivery(job.user.unwrap_or(AccountId(0)));
        if plan.delays_ms.is_empty() {
            world.log.open(&job, State::Dropped);
        }
        let copies = plan.delays_ms.into_iter().map(|delay_ms| Job {
            id: world.log.open(&job, State::Pending),
            wait: job.wait + Duration::from_millis(delay_ms),
            done: done.take(),
            kind: job.kind.clone(),
            body: job.body.clone(),
            ..job
        });
        copies.collect()
    });
    for copy in copies {
        if sim.jobs.send(copy).is_err() {
            tracing::debug!("the simulator is ending, a delivery is left out");
        }
    }
    arrived
}

/// Takes jobs and sends them, so many at once, until the simulator ends.
pub(crate) async fn run(sim: Arc<Sim>, mut jobs: mpsc::UnboundedReceiver<Job>) {
    let permits = Arc::new(Semaphore::new(sim.config.delivery_concurrency.max(1)));
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            job = jobs.recv() => match job {
                Some(job) => {
                    tasks.spawn(deliver(sim.clone(), permits.clone(), job));
                }
                None => return,
            },
            Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a delivery broke off");
                }
            }
        }
    }
}

async fn deliver(sim: Arc<Sim>, permits: Arc<Semaphore>, job: Job) {
    tokio::time::sleep(job.wait).await;
    let mut retries = RETRY_WAITS_MS.into_iter();
    let state = loop {
        let Some(url) = usable_url(&sim, job.webhook) else {
            break State::WebhookInvalid;
        };
        let attempt = {
            let Ok(_permit) = permits.acquire().await else {
                break State::Failed;
            };
            attempt(&sim, &url, &job.body).await
        };
        let delivered = attempt.status == Some(200);
        sim.change(|world| world.log.note(job.id, attempt));
        if delivered {
            break State::Delivered;
        }
        sim.feed.publish(Item::Overview);
        let Some(wait_ms) = retries.next() else {
            break State::Failed;
        };
        let wait = Duration::from_millis(wait_ms).mul_f64(sim.config.retry_scale.max(0.0));
        tokio::time::sleep(wait).await;
    };
    sim.change(|world| world.log.close(job.id, state));
    sim.feed.publish(Item::Overview);
    if let Some(done) = job.done {
        done.send(()).ok(); // nobody has to wait for it
    }
}

fn usable_url(sim: &Sim, webhook: WebhookId) -> Option<String> {
    let world = sim.read();
    world
        .webhooks
        .get(&webhook)
        .filter(|webhook| webhook.valid)
        .map(|webhook| webhook.url.clone())
}

/// One signed POST.
pub(crate) async fn attempt(sim: &Sim, url: &str, body: &Bytes) -> Attempt {
    let signature = sign(&sim.config.consumer_secret, body);
    let (at_ms, clock) = (now_ms(), Instant::now());
    let sent = sim
        .http
        .post(url)
        .header("content-type", "application/json")
        .header("x-twitter-webhooks-signature", signature)
        .timeout(sim.config.delivery_timeout())
        .body(body.clone())
        .send();
    let outcome = sent.await;
    Attempt {
        at_ms,
        latency_ms: u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX),
        status: outcome.as_ref().ok().map(|answer| answer.status().as_u16()),
        error: outcome.err().map(|error| brief(&error)),
    }
}
