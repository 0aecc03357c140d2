//! A mailbox for everybody: takes every mail by SMTP and shows it as plain text at `/mailbox`, so that
//! a developer can follow the links of Roost's mails. It keeps the newest, in memory only.

mod message;
mod smtp;

use std::collections::VecDeque;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::ServiceConfig;
use serde::Serialize;

use crate::call::{Answer, Call, now, resource};
use crate::error::ApiError;
use crate::pages::{escape, frame, html};

pub(crate) use smtp::run;

/// Mails that are kept.
const KEEP: usize = 200;

/// A mail that was taken.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Mail {
    pub(crate) id: u64,
    pub(crate) at: String,
    pub(crate) to: Vec<String>,
    pub(crate) from: String,
    pub(crate) subject: String,
    pub(crate) text: String,
}

/// The newest mails, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    mails: VecDeque<Mail>,
    taken: u64,
}

impl Mailbox {
    /// Takes a mail as it came over the wire.
    pub(crate) fn take(&mut self, to: Vec<String>, raw: &str) {
        self.taken += 1;
        let message = message::read(raw);
        self.mails.push_back(Mail {
            id: self.taken,
            at: jiff::Timestamp::now().to_string(),
            to,
            from: message.from,
            subject: message.subject,
            text: message.text,
        });
        while self.mails.len() > KEEP {
            self.mails.pop_front();
        }
    }
}

pub(crate) fn routes(routes: &mut ServiceConfig) {
    routes
        .service(resource("/mailbox").route(now(Method::GET, list)))
        .service(resource("/mailbox/{id}").route(now(Method::GET, open)))
        .service(resource("/sim/mails").route(now(Method::GET, all)));
}

/// For programs: everything, oldest first.
fn all(call: &Call) -> Answer {
    let mails: Vec<Mail> = call.sim.read().mailbox.mails.iter().cloned().collect();
    Ok(HttpResponse::Ok().json(mails))
}

fn list(call: &Call) -> Answer {
    let world = call.sim.read();
    let rows: String = world
        .mailbox
        .mails
        .iter()
        .rev()
        .map(|mail| {
            format!(
                r#"<p><a href="/mailbox/{}"><b>{}</b></a><br><small>to {} at {}</small></p>"#,
                mail.id,
                escape(&mail.subject),
                escape(&mail.to.join(", ")),
                escape(&mail.at),
            )
        })
        .collect();
    let rows = if rows.is_empty() {
        "<p>No mail yet.</p>".to_owned()
    } else {
        rows
    };
    Ok(html(frame("Mailbox", &format!("<h1>Mailbox</h1>{rows}"))))
}

fn open(call: &Call) -> Answer {
    let id: u64 = call.path("id")?;
    let world = call.sim.read();
    let mail = world.mailbox.mails.iter().find(|mail| mail.id == id);
    let mail = mail.ok_or_else(ApiError::no_such_route)?;
    let body = format!(
        r#"<p><a href="/mailbox">All mails</a></p><h1>{}</h1><p><small>from {} to {} at {}</small></p><pre>{}</pre>"#,
        escape(&mail.subject),
        escape(&mail.from),
        escape(&mail.to.join(", ")),
        escape(&mail.at),
        linked(&mail.text),
    );
    Ok(html(frame(&mail.subject, &body)))
}

/// Text with its web addresses as links, everything escaped.
fn linked(text: &str) -> String {
    text.split_inclusive(char::is_whitespace)
        .map(|word| {
            let address = word.trim_end();
            let rest = escape(&word[address.len()..]);
            let shown = escape(address);
            if address.starts_with("http://") || address.starts_with("https://") {
                format!(r#"<a href="{shown}" rel="noopener noreferrer">{shown}</a>{rest}"#)
            } else {
                format!("{shown}{rest}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_cannot_break_out_of_its_page() {
        let page = linked("<script>1</script> https://x.example/\"onclick=\"y 'z'");
        assert!(
            !page.contains("<script>") && !page.contains("\"onclick"),
            "{page}"
        );
        assert!(
            page.contains("<a href=\"https://x.example/&quot;onclick=&quot;y\""),
            "{page}"
        );
    }

    #[test]
    fn the_oldest_go_first() {
        let mut mailbox = Mailbox::default();
        for n in 0..KEEP + 5 {
            mailbox.take(
                vec!["a@b.example".to_owned()],
                &format!("Subject: {n}\r\n\r\nhi"),
            );
        }
        assert_eq!(mailbox.mails.len(), KEEP);
        assert_eq!(mailbox.mails[0].subject, "5");
    }
}
