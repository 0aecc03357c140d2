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

/// An action that a role may or may not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Read conversations, messages, teams and members.
    Read,
    /// Write to customers, change and take conversations.
    Reply,
    /// Assign conversations to others, set others' presence.
    Lead,
    /// Connect channels, change teams and members.
    Administer,
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

    /// The one table of who may do what.
    #[must_use]
    pub fn allows(self, permission: Permission) -> bool {
        match permission {
            Permission::Read => true,
            Permission::Reply => self != Self::Analyst,
            Permission::Lead => matches!(self, Self::Owner | Self::Admin | Self::Supervisor),
            Permission::Administer => matches!(self, Self::Owner | Self::Admin),
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
        assert!(Role::Analyst.allows(Permission::Read));
        assert!(!Role::Analyst.allows(Permission::Reply));
        assert!(Role::Agent.allows(Permission::Reply) && !Role::Agent.allows(Permission::Lead));
        assert!(
            Role::Supervisor.allows(Permission::Lead)
                && !Role::Supervisor.allows(Permission::Administer)
        );
    }

    #[test]
    fn names_round_trip() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
    }
}
