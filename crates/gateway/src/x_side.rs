//! One X app, seen from here: the installation's own, or one that a brand brought along.

use roost_domain::ids::{BrandId, XAppId};
use roost_platforms::x::client::{ApiError, XClient};
use roost_platforms::x::webhooks::Webhook;
use roost_store::x_apps::{self, XAppKeys};
use secrecy::{ExposeSecret as _, SecretString};

use crate::app::App;
use crate::problem::Problem;

/// The X app that belongs to the installation.
pub(crate) const MAIN: &str = "main";

/// An app and what it takes to speak for it.
#[derive(Debug)]
pub(crate) struct XSide {
    /// Its name in webhook paths, channels and routes.
    pub(crate) app: String,
    pub(crate) x: XClient,
    /// Where X posts the events of its accounts.
    pub(crate) webhook_url: String,
    bearer: Option<SecretString>,
}

impl XSide {
    /// The app of this name; none if the brand has no such app.
    pub(crate) async fn of(app: &App, brand: BrandId, name: &str) -> Result<Option<Self>, Problem> {
        if name == MAIN {
            return Ok(Some(Self::main(app)));
        }
        let Ok(id) = name.parse::<XAppId>() else {
            return Ok(None);
        };
        let sealer = app.sealer.clone();
        let keys = app
            .store
            .brand(brand, move |tx| {
                Box::pin(async move { x_apps::keys(tx, id, &sealer).await })
            })
            .await?;
        Ok(keys.map(|keys| Self::own(app, id, keys)))
    }

    /// The installation's.
    fn main(app: &App) -> Self {
        let bearer = &app.config.x.bearer_token;
        Self {
            app: MAIN.to_owned(),
            x: app.x.clone(),
            webhook_url: webhook_url(app, MAIN),
            bearer: (!bearer.expose_secret().is_empty()).then(|| bearer.clone()),
        }
    }

    /// A brand's.
    pub(crate) fn own(app: &App, id: XAppId, keys: XAppKeys) -> Self {
        let name = id.to_string();
        Self {
            x: app.x.as_app(&keys.consumer_key, keys.consumer_secret),
            webhook_url: webhook_url(app, &name),
            bearer: keys.bearer_token,
            app: name,
        }
    }

    /// The app's own token: given, or asked for.
    pub(crate) async fn bearer(&self) -> Result<SecretString, ApiError> {
        match &self.bearer {
            Some(token) => Ok(token.clone()),
            None => self.x.app_bearer().await,
        }
    }

    /// Its webhook that leads here, if there is one.
    pub(crate) async fn find_webhook(
        &self,
        bearer: &SecretString,
    ) -> Result<Option<Webhook>, ApiError> {
        let known = self.x.list_webhooks(bearer).await?;
        Ok(known
            .into_iter()
            .find(|webhook| webhook.url == self.webhook_url))
    }

    /// Its webhook that leads here, made if need be, and valid.
    pub(crate) async fn webhook(&self, bearer: &SecretString) -> Result<Webhook, ApiError> {
        let mut webhook = match self.find_webhook(bearer).await? {
            Some(webhook) => webhook,
            None => match self.x.create_webhook(bearer, &self.webhook_url).await {
                Ok(webhook) => webhook,
                // Somebody else's connection may have made it a moment ago.
                Err(error) => self.find_webhook(bearer).await?.ok_or(error)?,
            },
        };
        if !webhook.valid {
            webhook.valid = self.x.validate_webhook(bearer, &webhook.id).await?;
        }
        if webhook.valid {
            Ok(webhook)
        } else {
            Err(ApiError::Unexpected("webhook is not valid"))
        }
    }
}

/// Where X posts events of an app.
pub(crate) fn webhook_url(app: &App, name: &str) -> String {
    format!("{}/webhooks/x/{name}", app.config.public.webhook_url)
}
