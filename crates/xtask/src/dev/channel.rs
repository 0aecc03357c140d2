//! Connects the demo brand's account as its owner would in a browser: ask for the address of the
//! approval page, approve there, and follow the redirect back.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::agents::{Member, sign_in};
use super::settings::{BRAND_ACCOUNT, Settings};
use crate::http::Request;

/// Connects the demo account unless that has been done in an earlier run.
///
/// # Errors
/// When there is no owner, or a step is refused.
pub(super) fn connect_demo_channel(settings: &Settings, members: &[Member]) -> Result<()> {
    let owner = members
        .iter()
        .find(|member| member.role == "owner")
        .context("no owner was seeded")?;
    let token = sign_in(&settings.gateway_url, owner)?.token;
    if is_connected(settings, &token)? {
        return Ok(());
    }
    let url = format!("{}/v1/channels/x/connect", settings.gateway_url);
    let answer = Request::new("POST", url)
        .bearer(&token)
        .json(&json!({}))
        .send()?;
    if !(200..300).contains(&answer.status) {
        bail!("the gateway refused to connect: {}", answer.text());
    }
    let cookies = answer.cookies();
    let body = answer.json()?;
    let approval = body
        .get("authorize_url")
        .and_then(Value::as_str)
        .context("the gateway answered no authorize_url")?;
    let callback = approve(settings, approval)?;
    // The connection is bound to this cookie, as it would be to the owner's browser.
    let finished = Request::new("GET", callback)
        .header("cookie", cookies)
        .send()?;
    if !(200..400).contains(&finished.status) {
        bail!(
            "the callback answered {}: {}",
            finished.status,
            finished.text()
        );
    }
    if !is_connected(settings, &token)? {
        bail!("the channel is not active after the callback");
    }
    Ok(())
}

fn is_connected(settings: &Settings, token: &str) -> Result<bool> {
    let url = format!("{}/v1/channels", settings.gateway_url);
    let channels = Request::new("GET", url).bearer(token).send_ok()?;
    let channels = channels
        .get("data")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    Ok(channels.iter().any(|channel| {
        channel.get("platform").and_then(Value::as_str) == Some("x")
            && channel.get("status").and_then(Value::as_str) == Some("active")
    }))
}

/// Presses "authorize" on the simulator's page; answers the address that it sends the owner to.
fn approve(settings: &Settings, approval: &str) -> Result<String> {
    let token = approval
        .split(['?', '&'])
        .find_map(|part| part.strip_prefix("oauth_token="))
        .context("the approval page has no oauth_token")?;
    let url = format!("{}/sim/oauth/approve", settings.simulator_url);
    let body = json!({"oauth_token": token, "account_id": BRAND_ACCOUNT});
    let answer = Request::new("POST", url).json(&body).send_ok()?;
    let back = answer.get("redirect_url").and_then(Value::as_str);
    back.map(str::to_owned)
        .context("the simulator answered no redirect_url")
}
