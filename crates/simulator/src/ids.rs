//! Numeric ids as the platform makes them: decimal strings on the wire, time inside.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// 2010-11-04T01:42:54.657Z, the zero of the platform's ids, in milliseconds since 1970.
pub(crate) const ID_EPOCH_MS: u64 = 1_288_834_974_657;
const SEQUENCE_BITS: u32 = 22;
const SEQUENCE_MASK: u64 = (1 << SEQUENCE_BITS) - 1;

macro_rules! numeric_id {
    ($(#[$doc:meta])* $vis:vis $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis struct $name(pub(crate) u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                parse(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

numeric_id!(
    /// An account: a brand's or a customer's.
    pub AccountId
);
numeric_id!(
    /// One direct message event, the same in v1.1 and v2.
    pub(crate) DmId
);
numeric_id!(
    /// A registered webhook.
    pub(crate) WebhookId
);
numeric_id!(
    /// A subscription to one event type of one account.
    pub(crate) SubscriptionId
);
numeric_id!(
    /// Uploaded or sample media.
    pub(crate) MediaId
);

/// Text that is no id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadId;

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id is a string of 1 to 19 digits")
    }
}

impl std::error::Error for BadId {}

fn parse(text: &str) -> Result<u64, BadId> {
    let digits = (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits {
        text.parse().map_err(|_| BadId)
    } else {
        Err(BadId)
    }
}

/// Makes ids that rise strictly and carry their time: `(ms - epoch) << 22 | sequence`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Snowflakes {
    last: u64,
    backdated: u64,
}

impl Snowflakes {
    /// The next id for the instant `now_ms`; a clock that stands or steps back doesn't stop the rise.
    pub(crate) fn next(&mut self, now_ms: u64) -> u64 {
        let fresh = now_ms.saturating_sub(ID_EPOCH_MS) << SEQUENCE_BITS;
        self.last = fresh.max(self.last + 1);
        self.last
    }

    /// An id for an instant of the caller's choice, unique but outside the rising order.
    pub(crate) fn at(&mut self, ms: u64) -> u64 {
        // Counts down from the top of the sequence, where `next` hardly ever comes.
        self.backdated += 1;
        let sequence = SEQUENCE_MASK - self.backdated % (SEQUENCE_MASK / 2);
        ms.saturating_sub(ID_EPOCH_MS) << SEQUENCE_BITS | sequence
    }
}

impl DmId {
    /// When the message was made, in milliseconds since 1970.
    pub(crate) fn created_ms(self) -> u64 {
        (self.0 >> SEQUENCE_BITS) + ID_EPOCH_MS
    }
}

/// Now, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0)
}

/// ISO 8601 with milliseconds and `Z`, as v2 and XAA write instants.
pub(crate) fn iso(ms: u64) -> String {
    let instant = i64::try_from(ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    format!("{:.3}", instant.unwrap_or(jiff::Timestamp::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_even_when_the_clock_does_not() {
        let mut ids = Snowflakes::default();
        let first = ids.next(1_700_000_000_000);
        let second = ids.next(1_700_000_000_000);
        let third = ids.next(1_600_000_000_000);
        assert!(first < second && second < third);
        assert_eq!(DmId(first).created_ms(), 1_700_000_000_000);
    }

    #[test]
    fn an_id_of_a_chosen_instant_carries_it() {
        let mut ids = Snowflakes::default();
        let (a, b) = (ids.at(1_700_000_000_000), ids.at(1_700_000_000_000));
        assert_ne!(a, b);
        assert_eq!(DmId(a).created_ms(), 1_700_000_000_000);
    }

    #[test]
    fn instants_have_three_decimals() {
        assert_eq!(iso(1_784_928_224_372), "2026-07-24T21:23:44.372Z");
        assert_eq!(iso(1_784_928_224_000), "2026-07-24T21:23:44.000Z");
    }

    #[test]
    fn text_that_is_no_id_is_refused() {
        for text in ["", "-1", "1e3", "12345678901234567890", "٣"] {
            assert_eq!(text.parse::<DmId>(), Err(BadId));
        }
    }
}
