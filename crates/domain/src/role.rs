//! What a member may do.

use std::fmt;
use std::str::FromStr;

/// A member's role in a brand, from most to least powerful.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Everything, the brand itself included.
    Owner,
    /// Everything but removing the last owner.
    Admin,
    /// Leads teams: sees and changes every conversation.
    Supervisor,
    /// Answers customers.
    Agent,
    /// Reads; never writes to a customer.
    Analyst,
}

macro_rules! permissions {
    ($($(#[doc = $doc:literal])+ $name:ident = $scope:literal, $least:ident;)+) => {
        /// What a caller must be allowed. Its name is the scope that an API key needs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Permission {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Permission {
            /// All of them, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The scope's name on the wire and in the database.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $scope,)+ }
            }

            /// What it allows, in a sentence.
            #[must_use]
            pub fn describe(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii(),)+ }
            }

            /// The least powerful role that has it; all above have it too.
            #[must_use]
            pub fn least_role(self) -> Role {
                match self { $(Self::$name => Role::$least,)+ }
            }
        }
    };
}

// The one table of who may do what: each permission with the least role that has it. Documentation,
// routes and tests are made from it.
permissions! {
    /// Read conversations, messages, timelines, counts and files.
    ConversationsRead = "conversations:read", Analyst;
    /// Change, take, hand on, open and close conversations.
    ConversationsWrite = "conversations:write", Agent;
    /// Assign conversations to others and set others' presence.
    ConversationsLead = "conversations:lead", Supervisor;
    /// Write replies and notes.
    MessagesWrite = "messages:write", Agent;
    /// Write in the name of a member (API keys only).
    MessagesAsMember = "messages:as_member", Agent;
    /// Read contacts.
    ContactsRead = "contacts:read", Analyst;
    /// Change and merge contacts.
    ContactsWrite = "contacts:write", Agent;
    /// Block and unblock contacts.
    ContactsBlock = "contacts:block", Supervisor;
    /// Erase contacts for good.
    ContactsErase = "contacts:erase", Admin;
    /// Read the brand, its members, teams, channels, labels and other settings.
    SettingsRead = "settings:read", Analyst;
    /// Change labels, attribute definitions, canned replies and skills.
    SettingsWrite = "settings:write", Supervisor;
    /// Make, change and delete teams and their routing.
    TeamsWrite = "teams:write", Supervisor;
    /// Make, change, order and delete SLA policies and calendars.
    SlaWrite = "sla:write", Supervisor;
    /// Change members, invite and deactivate them.
    MembersWrite = "members:write", Admin;
    /// Connect, change and disconnect channels and apps.
    ChannelsWrite = "channels:write", Admin;
    /// Change the brand and its security rules.
    BrandWrite = "brand:write", Admin;
    /// Make, rotate and revoke API keys.
    ApiKeysWrite = "api_keys:write", Admin;
    /// Read the audit log.
    AuditRead = "audit:read", Admin;
    /// Read the event feed and open live streams.
    EventsRead = "events:read", Analyst;
    /// Read reports and what excuses their breaches; agents don't, as reports compare colleagues.
    ReportsRead = "reports:read", Analyst;
    /// Excuse breaches of a period, and take excuses back.
    SlaExcusesWrite = "sla_excuses:write", Admin;
}

impl Permission {
    /// The role that doesn't have it although its least one does: figures on colleagues are for those who
    /// lead and those who only read.
    #[must_use]
    pub fn withheld_from(self) -> Option<Role> {
        (self == Self::ReportsRead).then_some(Role::Agent)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Permission {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.iter().find(|scope| scope.as_str() == text);
        found.copied().ok_or_else(|| UnknownName(text.to_owned()))
    }
}

impl Role {
    /// All roles, most powerful first.
    pub const ALL: [Self; 5] = [
        Self::Owner,
        Self::Admin,
        Self::Supervisor,
        Self::Agent,
        Self::Analyst,
    ];

    /// Whether the role has a permission.
    #[must_use]
    pub fn allows(self, permission: Permission) -> bool {
        self.rank() <= permission.least_role().rank() && permission.withheld_from() != Some(self)
    }

    /// Whether the role has everything that another has.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        self.rank() <= other.rank()
    }

    fn rank(self) -> u8 {
        match self {
            Self::Owner => 0,
            Self::Admin => 1,
            Self::Supervisor => 2,
            Self::Agent => 3,
            Self::Analyst => 4,
        }
    }

    /// The role's name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Supervisor => "supervisor",
            Self::Agent => "agent",
            Self::Analyst => "analyst",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no value of a closed list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of the allowed values")]
pub struct UnknownName(pub String);

impl FromStr for Role {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownName(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_analyst_never_writes_to_a_customer() {
        use Permission::{ConversationsLead, ConversationsRead, MembersWrite, MessagesWrite};
        assert!(Role::Analyst.allows(ConversationsRead));
        assert!(!Role::Analyst.allows(MessagesWrite));
        assert!(Role::Agent.allows(MessagesWrite) && !Role::Agent.allows(ConversationsLead));
        assert!(
            Role::Supervisor.allows(ConversationsLead) && !Role::Supervisor.allows(MembersWrite)
        );
    }

    #[test]
    fn a_more_powerful_role_may_do_all_that_a_lesser_one_may_but_what_is_withheld() {
        for pair in Role::ALL.windows(2) {
            assert!(pair[0].covers(pair[1]) && !pair[1].covers(pair[0]));
            for permission in Permission::ALL {
                let is_withheld = permission.withheld_from() == Some(pair[0]);
                assert!(pair[0].allows(*permission) || is_withheld || !pair[1].allows(*permission));
            }
        }
    }

    #[test]
    fn names_round_trip() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse(), Ok(*permission));
            assert!(!permission.describe().is_empty());
        }
    }
}
