//! Sends what waits, until it was taken or three days have gone by.

use std::sync::Arc;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use roost_service::{Config, Shutdown};
use roost_store::mails::{self, DueMail};
use secrecy::ExposeSecret as _;

use super::letters::Letter;
use crate::app::App;
use crate::problem::{Problem, chain};

type Smtp = AsyncSmtpTransport<Tokio1Executor>;

/// How often is looked for mails without a hint.
const POLL: Duration = Duration::from_secs(2);
/// One mail, from the connection to the server's word.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long a mail is ours: longer than a batch takes.
const LEASE_SECONDS: i32 = 300;
const BATCH: i32 = 10;
/// After this it is given up, in seconds.
const GIVE_UP_AFTER: f64 = 3.0 * 86_400.0;
/// Passes between two times that old rows are thrown out: about an hour.
const SWEEP_EVERY: u64 = 1_800;

/// Sends queued mails until shutdown.
///
/// # Errors
/// When the settings can't be used.
pub(crate) async fn send_queued(app: Arc<App>, shutdown: Shutdown) -> anyhow::Result<()> {
    let (smtp, from) = (transport(&app.config)?, app.config.mail.from.parse()?);
    let mut passes: u64 = 0;
    loop {
        if let Err(problem) = pass(&app, smtp.as_ref(), &from, passes).await {
            let cause = problem.cause().unwrap_or_default();
            tracing::warn!(cause, "cannot look after mails");
        }
        passes += 1;
        tokio::select! {
            () = shutdown.triggered() => return Ok(()),
            () = app.outbox.notified() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

fn transport(config: &Config) -> anyhow::Result<Option<Smtp>> {
    let url = config.mail.smtp_url.expose_secret();
    if url.is_empty() {
        return Ok(None);
    }
    // The error could repeat the URL, and that holds a password.
    let builder = Smtp::from_url(url).map_err(|_| anyhow::anyhow!("smtp_url can't be used"))?;
    Ok(Some(builder.timeout(Some(TIMEOUT)).build()))
}

async fn pass(app: &App, smtp: Option<&Smtp>, from: &Mailbox, passes: u64) -> Result<(), Problem> {
    if passes.is_multiple_of(SWEEP_EVERY) {
        app.store
            .system(|tx| Box::pin(async move { mails::sweep(tx).await }))
            .await?;
    }
    loop {
        let due = app
            .store
            .system(|tx| Box::pin(async move { mails::claim(tx, BATCH, LEASE_SECONDS).await }))
            .await?;
        let is_last = due.len() < usize::try_from(BATCH).unwrap_or_default();
        for mail in due {
            settle(app, smtp, from, mail).await?;
        }
        if is_last {
            break;
        }
    }
    let age: f64 = app
        .store
        .system(|tx| Box::pin(async move { mails::backlog_seconds(tx).await }))
        .await?;
    app.metrics.mail_age.set(whole(age));
    Ok(())
}

/// Tries one mail and notes what came of it. The log names its id and kind, never what is in it.
async fn settle(
    app: &App,
    smtp: Option<&Smtp>,
    from: &Mailbox,
    mail: DueMail,
) -> Result<(), Problem> {
    let (id, kind) = (mail.id, mail.kind.as_str());
    let result = match smtp {
        None => {
            tracing::warn!(mail_id = %id, kind, "undeliverable: smtp_url is not set; the mail is kept");
            "undeliverable"
        }
        Some(smtp) => match send(app, smtp, from, &mail).await {
            Ok(()) => "sent",
            Err(error) => {
                tracing::warn!(mail_id = %id, kind, error, attempts = mail.attempts, "a mail was not taken");
                "failed"
            }
        },
    };
    app.metrics.mails.with_label_values(&[result]).inc();
    let is_over = mail.age_seconds > GIVE_UP_AFTER;
    if is_over && result != "sent" {
        tracing::error!(mail_id = %id, kind, "a mail was given up");
        app.metrics.mails.with_label_values(&["given_up"]).inc();
    }
    let wait = pause_seconds(mail.attempts);
    app.store
        .system(move |tx| {
            Box::pin(async move {
                if result == "sent" || is_over {
                    mails::drop_mail(tx, id).await
                } else {
                    mails::delay(tx, id, wait).await
                }
            })
        })
        .await?;
    Ok(())
}

async fn send(app: &App, smtp: &Smtp, from: &Mailbox, mail: &DueMail) -> Result<(), String> {
    let letter = Letter::open(&app.sealer, mail.id, &mail.body)
        .map_err(|_| "its body can't be opened".to_owned())?;
    let message = compose(from, &letter, mail)?;
    match tokio::time::timeout(TIMEOUT, smtp.send(message)).await {
        Ok(Ok(_)) => Ok(()),
        // A server's words may repeat the address.
        Ok(Err(error)) => Err(match error.status() {
            Some(code) => format!("the server answered {code}"),
            None if error.is_response() => "the server's answer makes no sense".to_owned(),
            None => chain(&error),
        }),
        Err(_) => Err("the server took too long".to_owned()),
    }
}

fn compose(from: &Mailbox, letter: &Letter, mail: &DueMail) -> Result<Message, String> {
    let to: Mailbox = letter
        .to
        .parse()
        .map_err(|_| "mail servers don't take this address".to_owned())?;
    let domain = from.email.domain();
    Message::builder()
        .from(from.clone())
        .to(to)
        .subject(letter.subject.as_str())
        // The same at each try, so that a mail taken twice is shown once.
        .message_id(Some(format!("<{}@{domain}>", mail.id)))
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ))
        .header(ContentType::TEXT_PLAIN)
        .body(letter.text.clone())
        .map_err(|error| error.to_string())
}

/// 15 s, 30 s, 1 min … 4 h.
fn pause_seconds(attempts: i32) -> i32 {
    let doublings = u32::try_from(attempts.clamp(1, 11) - 1).unwrap_or_default();
    (15 * 2_i32.pow(doublings)).min(4 * 3_600)
}

fn whole(seconds: f64) -> i64 {
    Duration::try_from_secs_f64(seconds.max(0.0))
        .map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::pause_seconds;

    #[test]
    fn pauses_grow_from_seconds_to_hours() {
        assert_eq!(
            [0, 1, 2, 5, 11, 500].map(pause_seconds),
            [15, 15, 30, 240, 14_400, 14_400]
        );
    }
}
