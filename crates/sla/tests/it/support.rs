//! A brand whose clocks run, and ways to look at them.

use jiff::{SignedDuration, Timestamp};
use roost_domain::ids::ConversationId;
use roost_service::Metrics;
use roost_sla::step::{Outcome, Tools, fire_due, wake_due};
use roost_sla::{Aside, SlaMetrics};
use roost_tests::db::{Brand, TestDb};

/// First response in 3600 s with a warning at 2700 s, next response in 1800 s.
pub(crate) struct World {
    pub(crate) db: TestDb,
    pub(crate) brand: Brand,
}

impl World {
    pub(crate) async fn new() -> Self {
        let db = TestDb::new().await;
        let brand = db.brand("Acme", 1).await;
        Self { db, brand }
    }

    pub(crate) fn tools(&self) -> Tools {
        Tools {
            store: self.db.store.clone(),
            metrics: SlaMetrics::new(&Metrics::new()),
            aside: Aside::default(),
        }
    }

    pub(crate) async fn fire(&self) -> Outcome {
        fire_due(&mut self.tools(), 1_000).await.unwrap()
    }

    pub(crate) async fn wake(&self) -> Outcome {
        wake_due(&mut self.tools(), 1_000).await.unwrap()
    }

    /// A customer wrote so long ago.
    pub(crate) async fn waiting_for(&self, seconds: i64) -> ConversationId {
        self.db.open_at(&self.brand, ago(seconds)).await
    }

    /// The conversation's clock events, in their order.
    pub(crate) async fn told(&self, id: ConversationId) -> Vec<String> {
        let mut events = self.db.events_of(id).await;
        events.retain(|kind| kind.starts_with("sla."));
        events
    }

    pub(crate) async fn status(&self, id: ConversationId) -> String {
        let mut owner = self.db.owner().await;
        sqlx::query_scalar("select status from conversations where id = $1")
            .bind(id.0)
            .fetch_one(&mut owner)
            .await
            .unwrap()
    }

    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        let mut owner = self.db.owner().await;
        sqlx::query_scalar(query)
            .fetch_one(&mut owner)
            .await
            .unwrap()
    }

    pub(crate) async fn owner_runs(&self, statement: &str) {
        let mut owner = self.db.owner().await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()))
            .execute(&mut owner)
            .await
            .unwrap();
    }

    /// A defect: nothing can be told about this conversation's clock any more.
    pub(crate) async fn poison(&self, id: ConversationId) {
        self.owner_runs(&format!(
            "create function refuse() returns trigger language plpgsql as
                 $$ begin raise exception 'refused'; end $$;
             create trigger poison before update on conversations for each row
                 when (new.id = '{}') execute function refuse()",
            id.0
        ))
        .await;
    }
}

/// So many seconds ago, in milliseconds as platforms have it.
pub(crate) fn ago(seconds: i64) -> Timestamp {
    let now = Timestamp::now().as_millisecond();
    Timestamp::from_millisecond(now).unwrap() - SignedDuration::from_secs(seconds)
}
