//! Sandbox channels: a simulated customer writes, and the answer goes nowhere.

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::{SignedDuration, Timestamp};
use roost_bus::envelope::{Ingress, VERSION};
use roost_bus::{Headers, Lane, Outgoing, Route};
use roost_domain::bucket::bucket_of;
use roost_domain::ids::{ChannelId, TeamId};
use roost_platforms::sandbox::{self, CustomerMessage};
use roost_store::audit::Entry;
use roost_store::channels::{self, Credentials, NewChannel, StoredChannel};
use roost_store::routes::Account;
use roost_store::spool::{self, SpoolRow};
use roost_store::visibility::Visibility;
use secrecy::SecretString;
use serde_json::json;
use serde_json::value::to_raw_value;
use uuid::Uuid;

use super::channels::{find, refused_team, seen};
use crate::app::App;
use crate::auth::refresh::{hash, random};
use crate::auth::{Actor, Answer};
use crate::input::{Body, Checks, Id, OptionalBody};
use crate::problem::{Code, Problem, ProblemBody};
use crate::wire::channel::{ChannelView, CreateSandbox, SandboxAccepted, SandboxMessage};

/// Longest text of a simulated customer, in characters, as on X.
const MAX_TEXT: usize = 10_000;
const MAX_HANDLE: usize = 50;

/// Makes a sandbox channel. Nothing that is sent over it leaves Roost.
#[utoipa::path(
    post, path = "/v1/channels/sandbox", tag = "channels", request_body = Option<CreateSandbox>,
    responses(
        (status = 201, body = ChannelView),
        (status = 422, body = ProblemBody, description = "unknown_reference")
    )
)]
pub(crate) async fn create(
    app: web::Data<App>,
    actor: Actor,
    body: OptionalBody<CreateSandbox>,
) -> Result<HttpResponse, Problem> {
    let mut checks = Checks::default();
    let name = body.0.name.as_deref().unwrap_or("Sandbox");
    let name = checks.line("/name", name, 1, 200);
    let team = body
        .0
        .team_id
        .and_then(|id| checks.parse::<TeamId>("/team_id", &id));
    checks.finish()?;
    // An account like any other, so that nothing on the way treats it apart but the last step.
    let account_id = Uuid::now_v7().simple().to_string();
    let new = NewChannel {
        account: Account {
            platform: sandbox::PLATFORM.to_owned(),
            app: sandbox::APP.to_owned(),
            account_id,
        },
        handle: "sandbox".to_owned(),
        credentials: Credentials {
            token: SecretString::from(random()?),
            secret: SecretString::from(random()?),
        },
        x_app: None,
        name: Some(name),
        team,
    };
    let (sealer, audit, cause) = (app.sealer.clone(), app.audit.clone(), actor.cause());
    let work = actor.write(&app, move |tx| {
        Box::pin(async move {
            let connected = channels::connect(tx, &new, &sealer, &cause)
                .await
                .map_err(refused_team)?;
            let id = connected.channel;
            let channel = find(tx, id, &Visibility::ALL).await?;
            let entry = Entry {
                action: "channel.connected",
                target_type: "channel",
                target: Some(id.0),
                before: None,
                after: Some(json!({ "platform": sandbox::PLATFORM, "name": channel.name })),
            };
            audit.record(tx, &cause, entry).await?;
            let version = channel.version;
            Ok(Answer::created(&ChannelView::from(channel))?.version(version))
        })
    });
    let answer = work.await?;
    app.hint_relay();
    Ok(answer)
}

/// A simulated customer writes to a sandbox channel. The message takes the way of every other: through
/// the broker and the inbox to routing, clocks, events and webhooks.
///
/// Roost answers once the message is safe, before it stands in the inbox. Repeated with the same
/// `Idempotency-Key` it is still one message.
#[utoipa::path(
    post, path = "/v1/channels/{id}/sandbox-messages", tag = "channels", params(("id" = String, Path)),
    request_body = SandboxMessage,
    responses(
        (status = 202, body = SandboxAccepted), (status = 404, body = ProblemBody, description = "Not a sandbox, too"),
        (status = 422, body = ProblemBody, description = "channel_disconnected, text_too_long")
    )
)]
pub(crate) async fn write(
    app: web::Data<App>,
    actor: Actor,
    request: HttpRequest,
    id: Id<ChannelId>,
    body: Body<SandboxMessage>,
) -> Result<HttpResponse, Problem> {
    let SandboxMessage { from, text } = body.0;
    let mut checks = Checks::default();
    let is_handle = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if from.handle.is_empty()
        || from.handle.len() > MAX_HANDLE
        || !from.handle.chars().all(is_handle)
    {
        let rule = format!("must have 1 to {MAX_HANDLE} letters, digits and underscores");
        checks.fault("/from/handle", rule);
    }
    let name = from
        .name
        .map(|name| checks.line("/from/name", &name, 1, 200));
    if text.trim().is_empty() {
        checks.fault("/text", "must not be empty");
    }
    checks.finish()?;
    let length = text.chars().count();
    if length > MAX_TEXT {
        let detail = format!("has {length} characters; {MAX_TEXT} are the most");
        return Err(Problem::at(Code::TextTooLong, "/text", detail));
    }
    let channel = seen(&app, &actor, id.0).await?;
    if channel.platform != sandbox::PLATFORM {
        return Err(Problem::not_found());
    }
    if channel.status == "disconnected" {
        return Err(Problem::new(Code::ChannelDisconnected));
    }
    let message = CustomerMessage {
        id: event_id(&actor, &request, channel.id),
        at: written_at(&channel),
        handle: from.handle,
        name,
        text,
    };
    let accepted = SandboxAccepted {
        platform_event_id: message.id.to_string(),
        channel_id: channel.id.to_string(),
        platform_user_id: CustomerMessage::account_of(&message.handle),
    };
    // Refuses a key that was used for another body, and only then the message goes out; a repeat sends
    // the same event again, which the inbox absorbs.
    let answer = actor.write(&app, move |_| {
        Box::pin(async move { Answer::with(actix_web::http::StatusCode::ACCEPTED, &accepted) })
    });
    let answer = answer.await?;
    publish(&app, &actor.request_id, &channel, &message).await?;
    Ok(answer)
}

/// The same for a request that is repeated with its key; else one that follows its predecessors.
fn event_id(actor: &Actor, request: &HttpRequest, channel: ChannelId) -> i64 {
    let key = request
        .headers()
        .get("idempotency-key")
        .and_then(|key| key.to_str().ok());
    let Some(key) = key else {
        let low = Uuid::new_v4().as_fields().0;
        return sandbox::event_id(Timestamp::now(), low);
    };
    let digest = hash(&format!("{} {channel} {key}", actor.member));
    let bytes = digest.iter().take(8);
    let number = bytes.fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    // Positive, as ids of platforms are.
    i64::try_from(number >> 1).unwrap_or(1).max(1)
}

/// Now, in whole milliseconds as a platform tells it, and never before the connection: that would be
/// history.
fn written_at(channel: &StoredChannel) -> Timestamp {
    let earliest = channel.connected_at + SignedDuration::from_millis(1);
    let at = Timestamp::now().max(earliest);
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// Makes it durable as the ingester does: by the broker's confirm, else in the spool.
async fn publish(
    app: &App,
    request_id: &str,
    channel: &StoredChannel,
    message: &CustomerMessage,
) -> Result<(), Problem> {
    let internal = |error: serde_json::Error| Problem::caused(Code::Internal, error);
    let counterpart_id = CustomerMessage::account_of(&message.handle);
    let bucket = bucket_of(
        sandbox::PLATFORM,
        &channel.app,
        &channel.account_id,
        &counterpart_id,
    );
    let envelope = Ingress {
        v: VERSION,
        platform: sandbox::PLATFORM.to_owned(),
        app: channel.app.clone(),
        account_id: channel.account_id.clone(),
        counterpart_id,
        bucket,
        kind: sandbox::KIND.to_owned(),
        event_id: message.id.to_string(),
        request_id: request_id.to_owned(),
        received_at: Timestamp::now().to_string(),
        body: to_raw_value(message).map_err(internal)?,
        users: None,
        apps: None,
    };
    let body = serde_json::to_vec(&envelope).map_err(internal)?;
    let partition = app.bus.topology().partition_of(bucket);
    let lane = Lane::Main;
    let outgoing = Outgoing {
        route: Route::Ingress { partition, lane },
        body: body.clone(),
        headers: Headers::new().with("request_id", request_id).with(
            "account",
            format!(
                "{}/{}/{}",
                sandbox::PLATFORM,
                channel.app,
                channel.account_id
            ),
        ),
    };
    let outcomes = app.bus.publish_all(vec![outgoing]).await;
    if outcomes.iter().all(Result::is_ok) {
        return Ok(());
    }
    let row = SpoolRow {
        id: Uuid::now_v7(),
        partition: i16::try_from(partition).unwrap_or(0),
        lane: lane.as_str().to_owned(),
        body,
        request_id: request_id.to_owned(),
    };
    spool::append(&app.store, &[row]).await?;
    Ok(())
}
