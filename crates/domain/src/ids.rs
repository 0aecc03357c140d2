//! Ids: `UUIDv7` inside, `TypeID` (`conv_01h455vb4pex5vsknk084sn02q`) outside.
//!
//! One type per thing, so that a conversation's id can't be passed where a message's is meant.
//! The text form is the public `TypeID` format: a prefix, `_`, and the UUID in 26 characters of
//! lower-case Crockford base 32.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The prefix is missing or belongs to another kind of thing.
    #[error("expected an id that starts with `{expected}_`")]
    WrongPrefix {
        /// The prefix that was wanted, without the underscore.
        expected: &'static str,
    },
    /// The part after the prefix is not 26 characters of Crockford base 32.
    #[error("the part after `{expected}_` is not a valid id")]
    Malformed {
        /// The prefix that was wanted, without the underscore.
        expected: &'static str,
    },
}

fn encode(id: Uuid) -> String {
    let value = id.as_u128();
    (0..26)
        .map(|position| {
            let shift = 125 - position * 5;
            let index = usize::try_from((value >> shift) & 31).unwrap_or(0);
            char::from(ALPHABET[index])
        })
        .collect()
}

fn decode(text: &str) -> Option<Uuid> {
    // 26 * 5 = 130 bits: the first character may only use its low three.
    if text.len() != 26 || !matches!(text.as_bytes().first(), Some(b'0'..=b'7')) {
        return None;
    }
    text.bytes()
        .try_fold(0_u128, |value, byte| {
            let digit = ALPHABET.iter().position(|symbol| *symbol == byte)?;
            Some((value << 5) | u128::try_from(digit).ok()?)
        })
        .map(Uuid::from_u128)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// What stands before the underscore in the text form.
            pub const PREFIX: &'static str = $prefix;
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, encode(self.0))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let rest = text
                    .strip_prefix($prefix)
                    .and_then(|rest| rest.strip_prefix('_'))
                    .ok_or(IdError::WrongPrefix { expected: $prefix })?;
                decode(rest).map(Self).ok_or(IdError::Malformed { expected: $prefix })
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A brand: one tenant.
    BrandId = "brand";
    /// A person, who may belong to several brands.
    UserId = "usr";
    /// A person's seat in a brand.
    MemberId = "mem";
    /// A team of members.
    TeamId = "team";
    /// One connected account.
    ChannelId = "chan";
    /// A customer.
    ContactId = "cont";
    /// A customer's account on one platform.
    IdentityId = "idn";
    /// A conversation.
    ConversationId = "conv";
    /// A message.
    MessageId = "msg";
    /// A file that belongs to a message.
    AttachmentId = "att";
    /// A line of a brand's log.
    EventId = "evt";
    /// An SLA clock.
    ClockId = "clk";
    /// An SLA policy.
    PolicyId = "pol";
    /// A routing decision.
    DecisionId = "dec";
    /// A skill that members have and conversations need.
    SkillId = "skl";
    /// An API key.
    ApiKeyId = "key";
    /// A line of the audit log.
    AuditId = "aud";
    /// An invitation.
    InvitationId = "inv";
    /// A label.
    LabelId = "lbl";
    /// A custom attribute's definition.
    AttributeId = "attr";
    /// A canned reply.
    CannedReplyId = "can";
    /// A merge of two contacts.
    MergeId = "mrg";
    /// A saved filter.
    SavedFilterId = "flt";
    /// A brand's own X app.
    XAppId = "xapp";
    /// A session.
    SessionId = "ses";
    /// A calendar of open hours.
    CalendarId = "cal";
    /// An excuse for breaches.
    ExcuseId = "exc";
    /// A move of running clocks to another version of their policy.
    ReapplyId = "rea";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_text_form_is_the_published_one() {
        // Vector of the public TypeID specification (valid.yml, "timestamp/uuidv7" entry).
        let id = Uuid::parse_str("01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
        assert_eq!(MessageId(id).to_string(), "msg_01h455vb4pex5vsknk084sn02q");
        assert_eq!("msg_01h455vb4pex5vsknk084sn02q".parse(), Ok(MessageId(id)));
    }

    #[test]
    fn a_foreign_prefix_is_refused() {
        assert_eq!(
            "conv_01h455vb4pex5vsknk084sn02q".parse::<MessageId>(),
            Err(IdError::WrongPrefix { expected: "msg" })
        );
        assert!(
            "msg_81h455vb4pex5vsknk084sn02q"
                .parse::<MessageId>()
                .is_err()
        );
        assert!(
            "msg_01H455VB4PEX5VSKNK084SN02Q"
                .parse::<MessageId>()
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn every_id_survives_its_text_form(value: u128) {
            let id = ConversationId(Uuid::from_u128(value));
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn no_text_panics(text in ".{0,64}") {
            let _parsed = text.parse::<EventId>();
        }
    }
}
