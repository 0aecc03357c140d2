//! Ingress bodies as the ingester makes them, and looks into the database.

use jiff::{SignedDuration, Timestamp};
use roost_inbox::step::{Batch, Done, Rules, handle_batch};
use roost_store::audit::Auditor;
use roost_tests::db::{Brand, TestDb, snowflake};
use serde_json::{Value, json};

pub(crate) const OUR_APP: &str = "4242";

pub(crate) fn audit() -> Auditor {
    Auditor::new([7; 32])
}

pub(crate) fn rules() -> Rules {
    Rules {
        reopen_window_hours: 72,
        x_app_id: OUR_APP.to_owned(),
        audit: audit(),
    }
}

/// A DM between a customer and the brand's account.
#[derive(Debug, Clone)]
pub(crate) struct Dm {
    pub(crate) customer: String,
    pub(crate) at: Timestamp,
    pub(crate) number: i64,
    pub(crate) text: String,
    pub(crate) from_brand: bool,
    pub(crate) app: Option<String>,
}

impl Dm {
    pub(crate) fn new(customer: &str, seconds_ago: i64, number: i64, text: &str) -> Self {
        let at = Timestamp::now() - SignedDuration::from_secs(seconds_ago);
        Self {
            customer: customer.to_owned(),
            at: Timestamp::from_millisecond(at.as_millisecond()).unwrap(),
            number,
            text: text.to_owned(),
            from_brand: false,
            app: None,
        }
    }

    pub(crate) fn ours(self, app: Option<&str>) -> Self {
        Self {
            from_brand: true,
            app: app.map(ToOwned::to_owned),
            ..self
        }
    }

    pub(crate) fn event_id(&self) -> String {
        snowflake(self.at, self.number).to_string()
    }

    pub(crate) fn body(&self, brand: &Brand) -> Vec<u8> {
        let (sender, recipient) = if self.from_brand {
            (brand.account_id.as_str(), self.customer.as_str())
        } else {
            (self.customer.as_str(), brand.account_id.as_str())
        };
        let mut event = json!({
            "type": "message_create",
            "id": self.event_id(),
            "created_timestamp": self.at.as_millisecond().to_string(),
            "message_create": {
                "target": { "recipient_id": recipient },
                "sender_id": sender,
                "message_data": { "text": self.text, "entities": { "urls": [] } },
            },
        });
        if let Some(app) = &self.app {
            event["message_create"]["source_app_id"] = json!(app);
        }
        let handle = format!("c{}", self.customer);
        let users = json!({ &self.customer: { "id": self.customer, "name": "Casey", "screen_name": handle } });
        ingress(
            brand,
            "dm",
            &self.event_id(),
            &self.customer,
            &event,
            &users,
        )
    }
}

pub(crate) fn ingress(
    brand: &Brand,
    kind: &str,
    event_id: &str,
    customer: &str,
    event: &Value,
    users: &Value,
) -> Vec<u8> {
    json!({
        "v": 1, "platform": "x", "app": "main", "account_id": brand.account_id, "counterpart_id": customer,
        "bucket": roost_domain::bucket::bucket_of("x", "main", &brand.account_id, customer),
        "kind": kind, "event_id": event_id, "request_id": "req-1", "received_at": Timestamp::now(),
        "body": event, "users": users,
    })
    .to_string()
    .into_bytes()
}

pub(crate) async fn take(db: &TestDb, bodies: &[Vec<u8>]) -> Done {
    let batch = Batch::read(bodies.iter().map(Vec::as_slice)).unwrap();
    handle_batch(&db.store, &rules(), batch).await.unwrap()
}

pub(crate) async fn take_dms(db: &TestDb, brand: &Brand, dms: &[Dm]) -> Done {
    let bodies: Vec<Vec<u8>> = dms.iter().map(|dm| dm.body(brand)).collect();
    take(db, &bodies).await
}

/// A conversation as a test looks at it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Look {
    pub(crate) status: String,
    pub(crate) cycle: i32,
    pub(crate) last_seq: i64,
    pub(crate) preview: String,
}

pub(crate) async fn conversations(db: &TestDb, brand: &Brand) -> Vec<Look> {
    sqlx::query_as(
        "select status, cycle, last_seq, preview from conversations where brand_id = $1 order by opened_at, id",
    )
    .bind(brand.id.0)
    .fetch_all(&mut db.owner().await)
    .await
    .unwrap()
}

/// The texts in the order in which a thread shows them.
pub(crate) async fn thread(db: &TestDb, brand: &Brand) -> Vec<String> {
    sqlx::query_scalar(
        "select text from messages where brand_id = $1 order by order_at, order_no, id",
    )
    .bind(brand.id.0)
    .fetch_all(&mut db.owner().await)
    .await
    .unwrap()
}

/// The types of a brand's conversation events, in the order of `seq`; fails on a gap.
pub(crate) async fn log(db: &TestDb, brand: &Brand) -> Vec<String> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "select type, seq, row_number() over (partition by conversation_id order by seq) from events
         where brand_id = $1 and conversation_id is not null order by conversation_id, seq",
    )
    .bind(brand.id.0)
    .fetch_all(&mut db.owner().await)
    .await
    .unwrap();
    assert!(
        rows.iter().all(|(_, seq, place)| seq == place),
        "gap in seq: {rows:?}"
    );
    rows.into_iter().map(|(kind, _, _)| kind).collect()
}

pub(crate) async fn raw_reasons(db: &TestDb) -> Vec<String> {
    sqlx::query_scalar("select reason from raw_unclaimed order by reason")
        .fetch_all(&mut db.owner().await)
        .await
        .unwrap()
}
