//! The first ceiling: a handler that checks the signature, publishes with a confirm, and nothing else.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use anyhow::Context as _;
use clap::Args;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use roost_platforms::AppSecrets;
use roost_platforms::x::signature;
use roost_tests::db::setting;
use secrecy::SecretString;

/// As many as the product's own publisher has.
const CHANNELS: usize = 4;

/// Where it listens and publishes.
#[derive(Debug, Args)]
pub(crate) struct BareHandler {
    /// Address to listen on
    #[arg(long)]
    listen: SocketAddr,
    /// Exchange to publish to; its keys are p00 to p15
    #[arg(long)]
    exchange: String,
    /// The secret that bodies are signed with
    #[arg(long)]
    secret: String,
}

struct Bare {
    secrets: AppSecrets,
    exchange: String,
    channels: Vec<Channel>,
    turn: AtomicUsize,
}

/// Serves until it is killed.
///
/// # Errors
/// When the broker can't be reached or the address not be bound.
pub(crate) async fn serve(handler: &BareHandler) -> anyhow::Result<()> {
    let url = setting("ROOST_TEST_AMQP_URL");
    let connection = Connection::connect(&url, ConnectionProperties::default())
        .await
        .context("connect to the broker")?;
    let mut channels = Vec::new();
    for _ in 0..CHANNELS {
        let channel = connection.create_channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        channels.push(channel);
    }
    let bare = Data::new(Bare {
        secrets: AppSecrets {
            name: "main".to_owned(),
            consumer_key: String::new(),
            consumer_secret: SecretString::from(handler.secret.clone()),
            previous_consumer_secret: None,
        },
        exchange: handler.exchange.clone(),
        channels,
        turn: AtomicUsize::new(0),
    });
    HttpServer::new(move || {
        App::new()
            .app_data(bare.clone())
            .route("/webhooks/x/main", web::post().to(post))
    })
    .bind(handler.listen)?
    .run()
    .await
    .context("serve")
}

async fn post(bare: Data<Bare>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let signed = request
        .headers()
        .get(signature::HEADER)
        .and_then(|value| value.to_str().ok());
    if signature::verify(&bare.secrets, &body, signed).is_err() {
        return HttpResponse::Unauthorized().finish();
    }
    match publish(&bare, &body).await {
        Ok(Confirmation::Ack(None)) => HttpResponse::Ok().finish(),
        _ => HttpResponse::ServiceUnavailable().finish(),
    }
}

async fn publish(bare: &Bare, body: &[u8]) -> lapin::Result<Confirmation> {
    let turn = bare.turn.fetch_add(1, Ordering::Relaxed);
    let key = format!("p{:02}", turn % 16);
    let channel = &bare.channels[turn % CHANNELS];
    let options = BasicPublishOptions {
        mandatory: true,
        immediate: false,
    };
    let properties = BasicProperties::default().with_delivery_mode(2);
    channel
        .basic_publish(
            bare.exchange.clone().into(),
            key.into(),
            options,
            body,
            properties,
        )
        .await?
        .await
}
