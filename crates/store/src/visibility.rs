//! Which conversations somebody sees: as a condition of statements, and as a question about one.

use std::collections::{BTreeMap, BTreeSet};

use roost_domain::ids::{ChannelId, MemberId, TeamId};
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

use crate::error::StoreError;
use crate::tx::BrandTx;

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

    /// What [`Visibility::push`] says, of one conversation: a stream asks it of every event.
    #[must_use]
    pub fn sees(&self, place: &Place, walls: &Walls) -> bool {
        let is_behind_wall = |member| {
            place
                .team
                .is_some_and(|team| walls.keep_out(team, member) && place.assignee != Some(member))
        };
        let in_teams = |teams: &Vec<TeamId>| place.team.is_some_and(|team| teams.contains(&team));
        !self.closed_teams_of.is_some_and(is_behind_wall)
            && self.teams.as_ref().is_none_or(in_teams)
            && self.sees_channel(place.channel, walls)
    }

    /// Whether it reaches a channel at all.
    #[must_use]
    pub fn sees_channel(&self, channel: ChannelId, walls: &Walls) -> bool {
        self.channels
            .as_ref()
            .is_none_or(|channels| channels.contains(&channel))
            && (!self.sandbox_only || walls.sandbox.contains(&channel))
    }

    /// Whether it is bound to some teams or channels, so that it doesn't reach the brand as such.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.teams.is_some() || self.channels.is_some() || self.sandbox_only
    }
}

/// Where a conversation stands, as far as sight goes by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Whose queue.
    pub team: Option<TeamId>,
    /// Who has it.
    pub assignee: Option<MemberId>,
    /// Over which account.
    pub channel: ChannelId,
}

/// What of a brand limits sight: its closed teams and who is in them, and which channels are sandboxes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Walls {
    closed: BTreeMap<TeamId, BTreeSet<MemberId>>,
    sandbox: BTreeSet<ChannelId>,
}

impl Walls {
    /// Reads them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load(tx: &mut BrandTx) -> Result<Self, StoreError> {
        let brand = tx.brand();
        let teams: Vec<(Uuid, Vec<Uuid>)> = sqlx::query_as(
            "select t.id, array(select w.member_id from team_members w
                                where w.brand_id = t.brand_id and w.team_id = t.id)
             from teams t where t.brand_id = $1 and t.is_closed",
        )
        .bind(brand.0)
        .fetch_all(tx.conn())
        .await?;
        let sandbox: Vec<Uuid> = sqlx::query_scalar(
            "select id from channels where brand_id = $1 and platform = 'sandbox'",
        )
        .bind(brand.0)
        .fetch_all(tx.conn())
        .await?;
        let closed = teams.into_iter().map(|(team, members)| {
            (
                TeamId(team),
                members.into_iter().map(MemberId).collect::<BTreeSet<_>>(),
            )
        });
        Ok(Self {
            closed: closed.collect(),
            sandbox: sandbox.into_iter().map(ChannelId).collect(),
        })
    }

    fn keep_out(&self, team: TeamId, member: MemberId) -> bool {
        self.closed
            .get(&team)
            .is_some_and(|members| !members.contains(&member))
    }

    /// Whether a member stands before a wall now that wasn't there for them.
    #[must_use]
    pub fn shut_out_since(&self, before: &Self, member: MemberId) -> bool {
        self.closed
            .keys()
            .any(|team| self.keep_out(*team, member) && !before.keep_out(*team, member))
    }
}
