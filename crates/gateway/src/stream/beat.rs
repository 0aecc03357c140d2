//! The pulse of a gateway: its own, its streams' sessions', and that of members who are gone.

use std::sync::Arc;
use std::time::Duration;

use roost_service::Shutdown;
use roost_store::{StoreError, gateways, presence};

use super::hub::Verdict;
use crate::app::App;

/// How often streams' sessions are looked at. With the age of what is known, an end counts in 5 s.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A gateway's heartbeat, in looks: every 4 s, so that it is never older than 5 s.
const BEAT_EVERY: u64 = 2;

/// Beats until shutdown, then tells every stream to go.
pub(crate) async fn keep_beating(app: Arc<App>, shutdown: Shutdown) -> anyhow::Result<()> {
    let mut looks: u64 = 0;
    loop {
        if looks.is_multiple_of(BEAT_EVERY)
            && let Err(error) = beat(&app).await
        {
            tracing::warn!(error = crate::problem::chain(&error), "cannot beat");
        }
        looks += 1;
        if !shutdown.sleep(LOOK_EVERY).await {
            break;
        }
        look(&app).await;
    }
    app.hub.judge(|_, _, _| Verdict::GoingAway);
    Ok(())
}

/// Ends streams whose session has ended or whose member was deactivated or moved to another brand.
async fn look(app: &App) {
    let sessions = app.hub.sessions();
    if sessions.is_empty() {
        return;
    }
    match app.sessions.ask(sessions.clone()).await {
        Ok(states) => app
            .hub
            .judge(|brand, member, session| match states.get(&session) {
                // One that joined since wasn't part of the question.
                None if sessions.binary_search(&session).is_err() => Verdict::Open,
                None => Verdict::SessionEnded,
                Some(state) if !state.active || state.lacks_two_factor => Verdict::RightsLost,
                Some(state) if state.brand != brand || state.member != member => {
                    Verdict::SessionEnded
                }
                Some(_) => Verdict::Open,
            }),
        // Nobody can be signed out either while the database is away.
        Err(error) => {
            tracing::warn!(
                error = crate::problem::chain(&error),
                "cannot look at sessions"
            );
        }
    }
}

/// Says that this gateway lives, and sets offline who has had no stream of a living one for the
/// grace. One that was silent too long opens its streams again.
async fn beat(app: &App) -> Result<(), StoreError> {
    let gateway = app.gateway;
    if gateways::beat(&app.store, gateway).await? {
        for (brand, stream, member) in app.hub.streams() {
            app.store
                .brand(brand, move |tx| {
                    Box::pin(async move {
                        presence::open_stream(tx, member, stream, gateway).await?;
                        Ok::<_, StoreError>(())
                    })
                })
                .await?;
        }
    }
    let grace = i32::try_from(app.config.presence_grace.as_secs()).unwrap_or(i32::MAX);
    if presence::expire_absent(&app.store, grace).await? > 0 {
        app.hint_relay();
    }
    Ok(())
}
