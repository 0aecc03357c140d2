//! Which conversations somebody sees.

use roost_domain::ids::{ChannelId, MemberId, TeamId};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

/// The conversations that a caller sees, for every statement that reads any. The API makes it from who
/// the caller is; workers, which act for nobody, see [`Visibility::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Visibility {
    /// Of the closed teams only those of this member, and what they are assigned.
    pub closed_teams_of: Option<MemberId>,
    /// Of these teams only; none for all.
    pub teams: Option<Vec<TeamId>>,
    /// Over these channels only; none for all.
    pub channels: Option<Vec<ChannelId>>,
    /// Over sandbox channels only.
    pub sandbox_only: bool,
}

impl Visibility {
    /// Everything of the brand.
    pub const ALL: Self = Self {
        closed_teams_of: None,
        teams: None,
        channels: None,
        sandbox_only: false,
    };

    /// Adds ` and (…)` for conversations that the statement calls `c`.
    pub fn push(&self, query: &mut QueryBuilder<Postgres>) {
        if let Some(member) = self.closed_teams_of {
            query
                .push(
                    " and (c.team_id is null or c.team_id <> all (array(
                        select t.id from teams t where t.is_closed and not exists (
                            select from team_members w where w.brand_id = t.brand_id and w.team_id = t.id
                              and w.member_id = ",
                )
                .push_bind(member.0)
                .push("))) or c.assignee_id = ")
                .push_bind(member.0)
                .push(")");
        }
        if let Some(teams) = &self.teams {
            let ids: Vec<Uuid> = teams.iter().map(|id| id.0).collect();
            query
                .push(" and c.team_id = any (")
                .push_bind(ids)
                .push(")");
        }
        if let Some(channels) = &self.channels {
            let ids: Vec<Uuid> = channels.iter().map(|id| id.0).collect();
            query
                .push(" and c.channel_id = any (")
                .push_bind(ids)
                .push(")");
        }
        if self.sandbox_only {
            query.push(
                " and c.channel_id = any (array(select s.id from channels s where s.platform = 'sandbox'))",
            );
        }
    }
}
