//! A brand to route in, and ways to look at it.

use jiff::{SignedDuration, Timestamp};
use roost_domain::ids::{ConversationId, MemberId};
use roost_router::step::{Outcome, Routed, route_team};
use roost_store::assignments::{self, ByHand, DecisionView};
use roost_store::ledger::{Actor, Cause};
use roost_tests::db::{Brand, TestDb};
use sqlx::Connection as _;

pub(crate) struct World {
    pub(crate) db: TestDb,
    pub(crate) brand: Brand,
}

impl World {
    /// A brand with this many agents, all online; `capacity` each.
    pub(crate) async fn new(agents: usize, capacity: i32) -> Self {
        let db = TestDb::new().await;
        let brand = db.brand("Acme", agents).await;
        let world = Self { db, brand };
        // The owner stays offline.
        for agent in world.agents() {
            world.db.put_online(&world.brand, *agent).await;
        }
        world
            .owner_runs(&format!("update members set capacity = {capacity}"))
            .await;
        world
    }

    pub(crate) fn owner(&self) -> MemberId {
        self.brand.members[0]
    }

    pub(crate) fn agents(&self) -> &[MemberId] {
        &self.brand.members[1..]
    }

    pub(crate) async fn owner_runs(&self, statement: &str) {
        let mut owner = self.db.owner().await;
        sqlx::query(sqlx::AssertSqlSafe(statement.to_owned()))
            .execute(&mut owner)
            .await
            .unwrap();
        owner.close().await.unwrap();
    }

    /// Conversations that opened one second after another, the first the longest ago.
    pub(crate) async fn open(&self, count: i64) -> Vec<ConversationId> {
        let now = Timestamp::now();
        let instants: Vec<Timestamp> = (0..count)
            .map(|number| now - SignedDuration::from_secs(count - number))
            .collect();
        self.db.open_many(&self.brand, &instants).await
    }

    pub(crate) async fn route(&self) -> Routed {
        let outcome = route_team(&self.db.store, self.brand.id, self.brand.team).await;
        let Outcome::Routed(routed) = outcome.unwrap() else {
            panic!("nobody else routes here");
        };
        routed
    }

    pub(crate) async fn assign(&self, id: ConversationId, to: Option<MemberId>) -> ByHand {
        let actor = self.owner();
        self.db
            .store
            .brand(self.brand.id, move |tx| {
                Box::pin(async move {
                    let cause = Cause::new(Actor::Member(actor), None);
                    assignments::assign_by_hand(tx, id, to, actor, &cause).await
                })
            })
            .await
            .unwrap()
    }

    pub(crate) async fn assignee(&self, id: ConversationId) -> Option<MemberId> {
        let mut owner = self.db.owner().await;
        let assignee: Option<uuid::Uuid> =
            sqlx::query_scalar("select assignee_id from conversations where id = $1")
                .bind(id.0)
                .fetch_one(&mut owner)
                .await
                .unwrap();
        owner.close().await.unwrap();
        assignee.map(MemberId)
    }

    /// How many open conversations each of the members has that don't wait.
    pub(crate) async fn loads(&self, members: &[MemberId]) -> Vec<i64> {
        let mut owner = self.db.owner().await;
        let mut loads = Vec::new();
        for member in members {
            let load = sqlx::query_scalar(
                "select count(*) from conversations
                 where assignee_id = $1 and status = 'open' and queued_at is null",
            )
            .bind(member.0)
            .fetch_one(&mut owner)
            .await
            .unwrap();
            loads.push(load);
        }
        owner.close().await.unwrap();
        loads
    }

    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        let mut owner = self.db.owner().await;
        let count = sqlx::query_scalar(query)
            .fetch_one(&mut owner)
            .await
            .unwrap();
        owner.close().await.unwrap();
        count
    }

    pub(crate) async fn decisions(&self, id: ConversationId) -> Vec<DecisionView> {
        self.db
            .store
            .brand(self.brand.id, move |tx| {
                Box::pin(async move { assignments::list(tx, id, None, 100).await })
            })
            .await
            .unwrap()
    }
}
