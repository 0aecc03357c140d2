//! A few named customers who write over time and react to replies, so that a demo lives.

mod stories;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::accounts::{Account, AccountSpec};
use crate::admin::messages;
use crate::dms::{Dm, Draft, QuickReplyAnswer};
use crate::feed::Item;
use crate::ids::{AccountId, now_ms};
use crate::random::Dice;
use crate::state::Sim;
use stories::{Persona, Story};

/// How long a customer waits for a reply before asking again, and then before giving up.
const PATIENCE_S: u64 = 240;

/// Plays all personas until the simulator ends.
pub(crate) async fn run(sim: Arc<Sim>) {
    let personas = stories::PERSONAS.iter().enumerate();
    join_all(personas.map(|(number, persona)| live(&sim, number, persona))).await;
}

/// One customer's life: a story, a pause, the next story.
async fn live(sim: &Sim, number: usize, persona: &Persona) {
    let seed = u64::try_from(number).unwrap_or(0);
    let mut dice = Dice::new(now_ms() ^ seed << 40);
    let me = join(sim, persona);
    let mut replies = sim.feed.subscribe();
    // They don't all speak at once.
    pause(sim, 3 + seed * 11).await;
    for story in persona.stories.iter().cycle() {
        let Some(brand) = listening_brand(sim, number) else {
            pause(sim, 2).await;
            continue;
        };
        tell(sim, &mut dice, &mut replies, (me, brand), story).await;
        pause(sim, 90 + dice.up_to(240)).await;
    }
}

/// Makes the persona's account, once.
fn join(sim: &Sim, persona: &Persona) -> AccountId {
    sim.change(|world| {
        if let Some(account) = world.accounts.by_handle(persona.handle) {
            return account.id;
        }
        let spec = AccountSpec {
            id: AccountId(world.ids.next(now_ms())),
            handle: persona.handle.to_owned(),
            name: persona.name.to_owned(),
        };
        let id = spec.id;
        world.accounts.insert(Account::new(spec, false, now_ms()));
        id
    })
}

/// A brand whose messages somebody subscribed to; writing to others would be shouting into a well.
fn listening_brand(sim: &Sim, number: usize) -> Option<AccountId> {
    let world = sim.read();
    let mut brands: Vec<_> = world
        .account_activity
        .iter()
        .map(|(_, user)| *user)
        .collect();
    let received = world
        .activity
        .values()
        .filter(|s| s.event_type == "dm.received");
    brands.extend(received.filter_map(|s| s.filter.user_id));
    brands.sort();
    brands.dedup();
    brands.get(number % brands.len().max(1)).copied()
}

/// Says the opening, then one line after each reply.
async fn tell(
    sim: &Sim,
    dice: &mut Dice,
    replies: &mut Receiver<Item>,
    (me, brand): (AccountId, AccountId),
    story: &Story,
) {
    say(
        sim,
        dice,
        Draft::text(me, brand, story.opening),
        story.photo,
    )
    .await;
    for line in story.lines {
        let Some(reply) = next_reply(sim, replies, me, brand).await else {
            say(
                sim,
                dice,
                Draft::text(me, brand, "Hello? Is anybody there?"),
                false,
            )
            .await;
            if next_reply(sim, replies, me, brand).await.is_none() {
                return;
            }
            continue;
        };
        pause(sim, 2).await;
        messages::mark_read(sim, me, brand);
        pause(sim, 2 + dice.up_to(6)).await;
        // A brand that offers choices gets one of them.
        let draft = match dice.pick(reply.quick_reply.as_deref().unwrap_or_default()) {
            Some(option) => Draft {
                quick_reply_answer: Some(QuickReplyAnswer {
                    metadata: option.metadata.clone(),
                }),
                ..Draft::text(me, brand, option.label.clone())
            },
            None => Draft::text(me, brand, *line),
        };
        say(sim, dice, draft, false).await;
    }
}

/// Types for a while, then writes. Whoever may not write any more stays silent.
async fn say(sim: &Sim, dice: &mut Dice, draft: Draft, photo: bool) {
    messages::type_to(sim, draft.sender, draft.recipient, None);
    pause(sim, 2 + dice.up_to(3)).await;
    if let Err(error) = messages::write_as(sim, draft, photo, None) {
        tracing::debug!(%error, "a demo customer could not write");
    }
}

/// The brand's next message to the customer, within the patience.
async fn next_reply(
    sim: &Sim,
    feed: &mut Receiver<Item>,
    me: AccountId,
    brand: AccountId,
) -> Option<Box<Dm>> {
    let hear = async {
        loop {
            match feed.recv().await {
                Ok(Item::Dm(dm)) if dm.sender == brand && dm.recipient == me => return Some(dm),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    };
    tokio::time::timeout(scaled(sim, PATIENCE_S), hear)
        .await
        .ok()
        .flatten()
}

async fn pause(sim: &Sim, seconds: u64) {
    tokio::time::sleep(scaled(sim, seconds)).await;
}

fn scaled(sim: &Sim, seconds: u64) -> Duration {
    Duration::from_secs(seconds).mul_f64(sim.config.demo_pace.clamp(0.001, 1_000.0))
}
