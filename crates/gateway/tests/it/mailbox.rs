//! The mails that a gateway has queued, as their recipients would read them.

use roost_service::Config;
use roost_store::seal::Place;
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::harness::{Gateway, Person};

/// A mail that waits.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) kind: String,
    pub(crate) to: String,
    pub(crate) text: String,
}

impl Mail {
    /// The token of its link.
    pub(crate) fn token(&self) -> String {
        let (_, rest) = self.text.split_once("#token=").unwrap();
        rest.split_whitespace().next().unwrap().to_owned()
    }
}

impl Gateway {
    /// All mails, oldest first.
    pub(crate) async fn mails(&self) -> Vec<Mail> {
        let mut db = self.db.owner().await;
        let rows: Vec<(Uuid, String, Vec<u8>)> =
            sqlx::query_as("select id, kind, body from mails order by id")
                .fetch_all(&mut db)
                .await
                .unwrap();
        rows.into_iter()
            .map(|(id, kind, body)| {
                let row = [id.as_bytes().as_slice()];
                let place = Place::new("mails", "body", &row);
                let opened = self.sealer.install().open(&place, &body);
                let letter: Value = serde_json::from_slice(&opened.unwrap()).unwrap();
                let part = |name: &str| letter[name].as_str().unwrap().to_owned();
                Mail {
                    kind,
                    to: part("to"),
                    text: part("text"),
                }
            })
            .collect()
    }

    /// The newest mail of a kind to an address, once there are as many as `count`.
    pub(crate) async fn mail(&self, kind: &str, to: &str, count: usize) -> Mail {
        let begun = Instant::now();
        loop {
            let mut found = self.mails().await;
            found.retain(|mail| mail.kind == kind && mail.to == to);
            if found.len() >= count {
                return found.pop().unwrap();
            }
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "no {kind} mail to {to}"
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The person's address, as their account has it.
    pub(crate) async fn email_of(&self, who: &Person) -> String {
        let me = self.get(who, "/v1/me").await;
        me.body["email"].as_str().unwrap().to_owned()
    }

    /// The actions of a brand's audit log, oldest first.
    pub(crate) async fn audit_actions(&self, who: &Person) -> Vec<String> {
        let mut db = self.db.owner().await;
        sqlx::query_scalar("select action from audit_log where brand_id = $1 order by seq")
            .bind(who.brand.0)
            .fetch_all(&mut db)
            .await
            .unwrap()
    }

    /// Makes pauses after failed tries long enough for a slow machine to run into them.
    pub(crate) async fn stretch_pauses(&self) {
        self.sql(
            "update sign_in_tries set blocked_until = now() + interval '5 minutes' where blocked_until > last_at",
        )
        .await;
    }

    /// Runs a statement as the schema's owner.
    pub(crate) async fn sql(&self, statement: &'static str) {
        let mut db = self.db.owner().await;
        sqlx::query(statement).execute(&mut db).await.unwrap();
    }
}

#[test]
fn settings_name_what_is_wrong_with_mail() {
    let faults = Config::from_parts(
        "",
        &[
            ("ROOST_SMTP_URL", "https://mail.example"),
            ("ROOST_MAIL_FROM", "nobody"),
        ],
        &[],
    );
    let faults = faults.unwrap_err().to_string();
    for key in ["smtp_url", "mail_from"] {
        assert!(faults.contains(key), "{faults}");
    }
}
