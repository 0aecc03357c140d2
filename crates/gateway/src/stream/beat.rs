//! The pulse of a gateway: its own, its streams' sessions', and that of members who are gone.

use std::sync::Arc;
use std::time::Duration;

use roost_service::Shutdown;
use roost_store::{StoreError, gateways, presence};
use uuid::Uuid;

use super::hub::Verdict;
use super::seat::Proofs;
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
    app.hub.judge(|_| Verdict::GoingAway);
    Ok(())
}

/// Ends streams whose session or key has ended, or whose member lost a right that they were opened
/// with: the seat, the role, the sight of a team.
async fn look(app: &App) {
    let (sessions, keys) = app.hub.proofs();
    match ask(app, sessions, keys).await {
        Ok(known) => app.hub.judge(|seat| seat.judge(&known)),
        // Nobody can be signed out either while the database is away.
        Err(error) => tracing::warn!(error, "cannot look at sessions"),
    }
    if let Err(error) = app.hub.look_at_walls().await {
        tracing::warn!(
            error = crate::problem::chain(&error),
            "cannot look at closed teams"
        );
    }
}

async fn ask(app: &App, sessions: Vec<Uuid>, keys: Vec<Vec<u8>>) -> Result<Proofs, String> {
    let mut known = Proofs::default();
    if !sessions.is_empty() {
        let states = app.sessions.ask(sessions.clone()).await;
        known.sessions = states.map_err(|error| crate::problem::chain(&error))?;
        known.asked = sessions;
    }
    for hash in keys {
        let grant = app.keys.grant_of(hash.clone()).await;
        let grant = grant.map_err(|problem| problem.code().as_str().to_owned())?;
        known.keys.insert(hash, grant);
    }
    Ok(known)
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
