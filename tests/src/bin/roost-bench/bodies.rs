//! The workload: signed requests of the Account Activity envelope, as X sends them.

use std::net::SocketAddr;

use jiff::Timestamp;
use roost_platforms::x::signature;
use roost_tests::db::snowflake;
use roost_tests::webhook::Dm;
use secrecy::SecretString;
use serde_json::{Value, json};

/// Messages of each conversation.
pub(crate) const MESSAGES: usize = 10;

const WORDS: [&str; 12] = [
    "parcel", "refund", "late", "please", "where", "order", "thanks", "account", "invoice",
    "again", "today", "help",
];

/// Who writes to whom: every brand has this many customers, each with ten messages.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    /// The brands' account ids.
    pub(crate) accounts: Vec<String>,
    /// Customers, and so conversations, of each brand.
    pub(crate) customers: usize,
    /// Where the numbers of messages and customers begin, so that two workloads share none.
    pub(crate) from: usize,
}

/// A message of the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Index of the brand.
    pub(crate) brand: usize,
    /// Index of the conversation in the whole workload.
    pub(crate) conversation: usize,
    /// Its number in the conversation, from 0.
    pub(crate) number: usize,
    /// Its number in the whole workload.
    pub(crate) index: usize,
}

impl Workload {
    /// How many conversations there are.
    pub(crate) fn conversations(&self) -> usize {
        self.accounts.len() * self.customers
    }

    /// How many messages there are.
    pub(crate) fn messages(&self) -> usize {
        self.conversations() * MESSAGES
    }

    /// All messages in the order of their arrival: each customer in turn, ten times over. Every batch
    /// meets as many conversations as it has messages, which is the hard case.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        let (brands, conversations) = (self.accounts.len(), self.conversations());
        (0..self.messages()).map(move |index| Place {
            brand: index % brands,
            conversation: index % conversations,
            number: index / conversations,
            index,
        })
    }

    /// The platform's id of the customer of a conversation.
    pub(crate) fn customer(&self, conversation: usize) -> String {
        customer(self.from + conversation)
    }

    /// A number for each message.
    pub(crate) fn event_no(&self, place: Place) -> i64 {
        offset(self.from + place.index)
    }

    /// A message's text.
    pub(crate) fn text(place: Place) -> String {
        let words = (0..12).map(|n| WORDS[(place.index * 7 + n * 5 + place.number) % WORDS.len()]);
        words.collect::<Vec<_>>().join(" ")
    }

    /// A millisecond for each message, the last one now.
    pub(crate) fn sent_at_ms(&self, place: Place, now: Timestamp) -> i64 {
        now.as_millisecond() - offset(self.messages() - place.index)
    }

    /// A body for each message.
    pub(crate) fn bodies(&self) -> Vec<Vec<u8>> {
        let now = Timestamp::now();
        self.places().map(|place| self.body(place, now)).collect()
    }

    fn body(&self, place: Place, now: Timestamp) -> Vec<u8> {
        let at_ms = self.sent_at_ms(place, now);
        let at = Timestamp::from_millisecond(at_ms).unwrap_or(now);
        let dm = Dm {
            id: snowflake(at, self.event_no(place)),
            at_ms,
            from: self.customer(place.conversation),
            to: self.accounts[place.brand].clone(),
            text: Self::text(place),
        };
        let mut body = dm.body();
        if let Some(users) = body.get_mut("users").and_then(Value::as_object_mut) {
            users.values_mut().for_each(complete);
        }
        body.to_string().into_bytes()
    }
}

/// An account id of X for each number.
pub(crate) fn customer(number: usize) -> String {
    (8_000_000_000 + number).to_string()
}

/// Adds the fields of a user that we don't read, so that bodies have X's size.
fn complete(user: &mut Value) {
    let more = json!({
        "created_timestamp": "1422556069340", "location": "Sampleville",
        "description": "Somebody who writes to a brand now and then", "url": "https://t.co/AAAAAAAAAA",
        "protected": false, "verified": false, "followers_count": 22, "friends_count": 45, "statuses_count": 494,
        "profile_image_url": "http://pbs.example.com/profile_images/800000000000000001/aaaaaaaa_normal.jpg",
    });
    if let (Some(user), Value::Object(more)) = (user.as_object_mut(), more) {
        user.extend(more);
    }
}

fn offset(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

/// Whole HTTP requests, signed, ready to be written.
pub(crate) fn requests(bodies: &[Vec<u8>], to: SocketAddr, secret: &str) -> Vec<Vec<u8>> {
    let secret = SecretString::from(secret.to_owned());
    bodies
        .iter()
        .map(|body| request(body, to, &secret))
        .collect()
}

fn request(body: &[u8], to: SocketAddr, secret: &SecretString) -> Vec<u8> {
    let mut request = format!(
        "POST /webhooks/x/main HTTP/1.1\r\nhost: {to}\r\ncontent-type: application/json\r\n{}: {}\r\n\
         content-length: {}\r\n\r\n",
        signature::HEADER,
        signature::sign(secret, body),
        body.len(),
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}
