//! What is published.

use crate::topology::{Lane, Topology};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use std::collections::BTreeMap;

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// An ingress queue; see [`Topology::partition_of`].
    Ingress {
        /// Which partition.
        partition: u16,
        /// Which lane.
        lane: Lane,
    },
    /// The event log's exchange.
    Event {
        /// The event's bucket.
        bucket: u8,
    },
    /// As [`Route::Event`], but only to those who follow all events: no work queue takes it. Nobody
    /// may be listening, and then it goes nowhere; the log still has it.
    News {
        /// The event's bucket.
        bucket: u8,
    },
    /// The dead letters of a queue, named without prefix (`ingress.p03`).
    Dead {
        /// The queue that it came from.
        queue: String,
    },
}

/// Short texts that travel beside the body, such as `request_id`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(BTreeMap<String, String>);

impl Headers {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one. Names over 255 bytes are left out when sent.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.insert(name, value);
        self
    }

    /// Adds one in place.
    pub fn insert(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(crate) fn to_table(&self) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in &self.0 {
            if let Ok(name) = ShortString::try_new(name.as_str()) {
                table.insert(name, AMQPValue::LongString(value.as_str().into()));
            }
        }
        table
    }

    /// Texts only; the broker's own tables (`x-death`) are left out.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a value of any other type is no text"
    )]
    pub(crate) fn from_table(table: &FieldTable) -> Self {
        let texts = table.inner().iter().filter_map(|(name, value)| {
            let text = match value {
                AMQPValue::LongString(text) => {
                    String::from_utf8_lossy(text.as_bytes()).into_owned()
                }
                AMQPValue::ShortString(text) => text.as_str().to_owned(),
                _ => return None,
            };
            Some((name.as_str().to_owned(), text))
        });
        Self(texts.collect())
    }
}

/// One message to publish.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Where it goes.
    pub route: Route,
    /// Its body.
    pub body: Vec<u8>,
    /// Texts beside the body.
    pub headers: Headers,
}

impl Outgoing {
    /// A message without headers.
    #[must_use]
    pub fn new(route: Route, body: Vec<u8>) -> Self {
        let headers = Headers::new();
        Self {
            route,
            body,
            headers,
        }
    }

    /// Exchange and routing key.
    pub(crate) fn address(&self, topology: &Topology) -> (String, String) {
        match &self.route {
            Route::Ingress { partition, lane } => (
                topology.ingress_exchange(),
                topology.ingress_key(*partition, *lane),
            ),
            Route::Event { bucket } => (topology.events_exchange(), Topology::event_key(*bucket)),
            Route::News { bucket } => (topology.events_exchange(), Topology::news_key(*bucket)),
            Route::Dead { queue } => (topology.dead_exchange(), queue.clone()),
        }
    }

    /// Whether it counts as lost when no queue takes it.
    pub(crate) fn is_mandatory(&self) -> bool {
        match self.route {
            Route::Ingress { .. } | Route::Event { .. } | Route::Dead { .. } => true,
            Route::News { .. } => false,
        }
    }
}
