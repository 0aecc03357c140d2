//! Which platform, and which app of it, a reply goes out by.

use jiff::Timestamp;
use roost_domain::ids::{BrandId, XAppId};
use roost_platforms::sandbox;
use roost_platforms::x::client::{
    ApiError, RecentDms, Refusal, RefusalCode, Retry, SendOptions, SendOutcome, SendReport, XClient,
};
use roost_store::outbound::{Claimed, Doubt};
use roost_store::{StoreError, x_apps};
use uuid::Uuid;

use crate::send::credentials;
use crate::step::Desk;

/// Where a channel's replies go.
pub(crate) enum Line {
    /// Nowhere: nothing of a sandbox leaves Roost.
    Sandbox,
    /// X, as the app that the account trusts.
    X(XClient),
    /// The app's keys can't be had.
    Cut(&'static str),
}

impl Line {
    /// The line of a channel. Keys of a brand's own app are read for each reply: they may have been
    /// changed, and a send costs far more.
    pub(crate) async fn of(desk: &Desk, brand: BrandId, platform: &str, app: &str) -> Self {
        if platform == sandbox::PLATFORM {
            return Self::Sandbox;
        }
        let Ok(id) = app.parse::<XAppId>() else {
            return Self::X(desk.x.clone());
        };
        let sealer = desk.sealer.clone();
        let keys = desk.store.brand(brand, move |tx| {
            Box::pin(async move { x_apps::keys(tx, id, &sealer).await })
        });
        match keys.await {
            Ok(Some(keys)) => Self::X(desk.x.as_app(&keys.consumer_key, keys.consumer_secret)),
            Ok(None) => Self::Cut("the x app of the channel is gone"),
            Err(StoreError::Sealed) => Self::Cut("the secret of the x app does not open"),
            Err(error) => {
                tracing::warn!(%error, app, "cannot read the keys of an x app");
                Self::Cut("the keys of the x app could not be read")
            }
        }
    }

    /// Sends a reply once.
    pub(crate) async fn send(&self, desk: &Desk, claimed: &Claimed) -> SendReport {
        match self {
            Self::Sandbox => sandbox::send(&claimed.text, Timestamp::now(), random()),
            Self::X(x) => {
                let options = SendOptions {
                    api: desk.api,
                    ..SendOptions::default()
                };
                let user = credentials(&claimed.credentials);
                x.send_dm(&user, &claimed.recipient_id, &claimed.text, &options)
                    .await
            }
            Self::Cut(why) => SendReport {
                outcome: SendOutcome::Refused(Refusal {
                    code: RefusalCode::NotSent,
                    status: None,
                    platform_code: None,
                    detail: (*why).to_owned(),
                    retry: Retry::Backoff,
                }),
                status: None,
                limits: None,
            },
        }
    }

    /// What the platform shows of the conversation of a reply in doubt.
    pub(crate) async fn recent(&self, doubt: &Doubt) -> Result<RecentDms, ApiError> {
        match self {
            Self::Sandbox => Err(sandbox::look_up()),
            Self::X(x) => {
                let user = credentials(&doubt.credentials);
                x.recent_dms(&user, &doubt.recipient_id).await
            }
            Self::Cut(why) => Err(ApiError::Unreachable((*why).to_owned())),
        }
    }
}

fn random() -> u32 {
    Uuid::new_v4().as_fields().0
}
