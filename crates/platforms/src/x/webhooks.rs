//! Keeping webhooks and subscriptions at X (v2), with the app's bearer token where X wants it.

use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::client::{ApiError, Auth, Body, Call, XClient};
use super::secrets::UserCredentials;

/// A webhook as X keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// X's id.
    pub id: String,
    /// Where X posts to.
    pub url: String,
    /// False after a failed challenge: X sends nothing until one passes.
    pub valid: bool,
}

/// The replay of a window of lost events.
#[derive(Debug, Clone, Copy)]
pub struct ReplayWindow<'a> {
    /// The first minute, `yyyymmddhhmm` in UTC; at least 31 minutes and at most 24 hours ago.
    pub from: &'a str,
    /// The minute after the last, `yyyymmddhhmm` in UTC; at least 10 minutes ago.
    pub to: &'a str,
}

impl XClient {
    /// All webhooks of the app.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn list_webhooks(&self, bearer: &SecretString) -> Result<Vec<Webhook>, ApiError> {
        let document = self
            .fetch_json(Call::get(&["2", "webhooks"], Auth::Bearer(bearer)))
            .await?;
        match &document["data"] {
            Value::Array(entries) => entries.iter().map(webhook).collect(),
            Value::Null => Ok(Vec::new()),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                Err(ApiError::Unexpected("data"))
            }
        }
    }

    /// Registers a webhook; X challenges it before it answers.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn create_webhook(
        &self,
        bearer: &SecretString,
        url: &str,
    ) -> Result<Webhook, ApiError> {
        let body = Body::Json(json!({"url": url}));
        let document = self
            .fetch_json(Call::post(&["2", "webhooks"], Auth::Bearer(bearer), body))
            .await?;
        webhook(&document["data"])
    }

    /// Asks X to challenge a webhook now, which makes it valid again; whether it passed.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn validate_webhook(
        &self,
        bearer: &SecretString,
        webhook_id: &str,
    ) -> Result<bool, ApiError> {
        let path = ["2", "webhooks", webhook_id];
        let call = Call {
            method: Method::PUT,
            ..Call::get(&path, Auth::Bearer(bearer))
        };
        let document = self.fetch_json(call).await?;
        claim(&document, "valid")
    }

    /// Takes a webhook away.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn delete_webhook(
        &self,
        bearer: &SecretString,
        webhook_id: &str,
    ) -> Result<bool, ApiError> {
        let path = ["2", "webhooks", webhook_id];
        let call = Call {
            method: Method::DELETE,
            ..Call::get(&path, Auth::Bearer(bearer))
        };
        let document = self.fetch_json(call).await?;
        claim(&document, "deleted")
    }

    /// Asks X to send a window of events again; the id of its job. One job a webhook at a time.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn replay_webhook(
        &self,
        bearer: &SecretString,
        webhook_id: &str,
        window: ReplayWindow<'_>,
    ) -> Result<String, ApiError> {
        let body =
            json!({"webhook_id": webhook_id, "from_date": window.from, "to_date": window.to});
        let path = ["2", "webhooks", "replay"];
        let document = self
            .fetch_json(Call::post(&path, Auth::Bearer(bearer), Body::Json(body)))
            .await?;
        text(&document["data"]["job_id"]).ok_or(ApiError::Unexpected("data.job_id"))
    }

    /// Lets the account's events flow to the webhook. A subscription that exists is a success.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn subscribe(
        &self,
        user: &UserCredentials,
        webhook_id: &str,
    ) -> Result<(), ApiError> {
        let path = subscriptions(webhook_id);
        let call = Call::post(&path, Auth::User(user), Body::Json(json!({})));
        match self.fetch_json(call).await {
            Ok(document) if claim(&document, "subscribed")? => Ok(()),
            Ok(_) => Err(ApiError::Unexpected("data.subscribed")),
            Err(ApiError::Refused(refusal))
                if refusal.platform_code == Some(355)
                    || refusal.detail.contains("DuplicateSubscriptionFailed") =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the account's events flow to the webhook.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn is_subscribed(
        &self,
        user: &UserCredentials,
        webhook_id: &str,
    ) -> Result<bool, ApiError> {
        let path = subscriptions(webhook_id);
        let document = self.fetch_json(Call::get(&path, Auth::User(user))).await?;
        claim(&document, "subscribed")
    }

    /// Stops the flow of an account's events. Works without a token of the account.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn unsubscribe(
        &self,
        bearer: &SecretString,
        webhook_id: &str,
        user_id: &str,
    ) -> Result<(), ApiError> {
        let path = [
            "2",
            "account_activity",
            "webhooks",
            webhook_id,
            "subscriptions",
            user_id,
            "all",
        ];
        let call = Call {
            method: Method::DELETE,
            ..Call::get(&path, Auth::Bearer(bearer))
        };
        self.fetch(call).await?;
        Ok(())
    }

    /// X's ids of all accounts whose events flow to the webhook.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn list_subscriptions(
        &self,
        bearer: &SecretString,
        webhook_id: &str,
    ) -> Result<Vec<String>, ApiError> {
        let document = self.subscription_list(bearer, webhook_id).await?;
        let entries = match &document["data"]["subscriptions"] {
            Value::Array(entries) => entries,
            Value::Null if document["data"].is_object() => return Ok(Vec::new()),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => {
                return Err(ApiError::Unexpected("data.subscriptions"));
            }
        };
        entries
            .iter()
            .map(|entry| text(&entry["user_id"]).ok_or(ApiError::Unexpected("user_id")))
            .collect()
    }

    /// X's id of the app that a webhook belongs to, where X tells it.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn application_id(
        &self,
        bearer: &SecretString,
        webhook_id: &str,
    ) -> Result<Option<String>, ApiError> {
        let document = self.subscription_list(bearer, webhook_id).await?;
        Ok(text(&document["data"]["application_id"]))
    }

    async fn subscription_list(
        &self,
        bearer: &SecretString,
        webhook_id: &str,
    ) -> Result<Value, ApiError> {
        let path = [
            "2",
            "account_activity",
            "webhooks",
            webhook_id,
            "subscriptions",
            "all",
            "list",
        ];
        self.fetch_json(Call::get(&path, Auth::Bearer(bearer)))
            .await
    }
}

fn subscriptions(webhook_id: &str) -> [&str; 6] {
    [
        "2",
        "account_activity",
        "webhooks",
        webhook_id,
        "subscriptions",
        "all",
    ]
}

fn webhook(entry: &Value) -> Result<Webhook, ApiError> {
    Ok(Webhook {
        id: text(&entry["id"]).ok_or(ApiError::Unexpected("webhook id"))?,
        url: text(&entry["url"]).ok_or(ApiError::Unexpected("webhook url"))?,
        valid: entry["valid"].as_bool().unwrap_or(false),
    })
}

fn claim(document: &Value, name: &'static str) -> Result<bool, ApiError> {
    document["data"][name]
        .as_bool()
        .ok_or(ApiError::Unexpected(name))
}

/// A string, or an integer written as one.
fn text(value: &Value) -> Option<String> {
    value
        .as_str()
        .map(str::to_owned)
        .or_else(|| value.as_u64().map(|number| number.to_string()))
}
