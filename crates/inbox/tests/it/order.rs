//! Late and shuffled events end where the sorted input ends.

use roost_domain::conversation::{Act, Fact, FactKind, Order, Reply, fold};
use roost_domain::ids::{ConversationId, MessageId};
use roost_domain::sla::{PolicySpec, Seconds, Target};
use roost_store::ledger::ActKind;
use roost_tests::db::TestDb;

use crate::support::{Dm, conversations, log, take_dms, thread};

#[tokio::test]
async fn a_late_message_slots_in_and_moves_the_clock_to_its_own_start() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    take_dms(&db, &brand, &[Dm::new("900", 10, 2, "second")]).await;
    let late = Dm::new("900", 60, 1, "first");
    let done = take_dms(&db, &brand, std::slice::from_ref(&late)).await;
    assert_eq!(done.refolds, 1);
    assert_eq!(thread(&db, &brand).await, ["first", "second"]);
    let starts: Vec<(String, bool)> = sqlx::query_as(
        "select state, started_at = (select order_at from messages where text = 'first') from sla_clocks",
    )
    .fetch_all(&mut db.owner().await)
    .await
    .unwrap();
    assert_eq!(
        starts,
        [("running".to_owned(), true)],
        "one clock, from the first message"
    );
    assert!(
        log(&db, &brand)
            .await
            .contains(&"sla.retargeted".to_owned())
    );
    assert_eq!(
        conversations(&db, &brand).await[0].preview,
        "second",
        "the list shows the newest"
    );
}

#[tokio::test]
async fn two_messages_of_one_millisecond_go_by_their_ids_as_numbers() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    let nine = Dm {
        number: 9,
        ..Dm::new("900", 5, 9, "nine")
    };
    let ten = Dm {
        number: 10,
        text: "ten".to_owned(),
        ..nine.clone()
    };
    take_dms(&db, &brand, &[ten]).await;
    take_dms(&db, &brand, &[nine]).await;
    assert_eq!(thread(&db, &brand).await, ["nine", "ten"]);
}

/// A message every ten seconds: most by the customer, some by an agent in X's own app or another app.
fn talk(customer: &str, length: i64, mix: u64) -> Vec<Dm> {
    let mut random = Random(mix);
    let base = Dm::new(customer, length * 10 + 100, 0, "");
    (0..length)
        .map(|number| {
            let dm = Dm {
                at: base.at + jiff::SignedDuration::from_secs(number * 10),
                number,
                text: format!("message {number}"),
                ..base.clone()
            };
            match random.below(6) {
                0 => dm.ours(None),
                1 => dm.ours(Some("77")),
                _ => dm,
            }
        })
        .collect()
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.below(index + 1));
        }
    }
}

type State = (
    String,
    i32,
    Option<roost_store::Ts>,
    Option<String>,
    Option<i32>,
    Option<roost_store::Ts>,
    i32,
);

type Clock = (
    i32,
    String,
    i32,
    String,
    roost_store::Ts,
    Option<roost_store::Ts>,
    Option<roost_store::Ts>,
);

/// Where a customer's conversation stands, and its clocks but those that late news withdrew.
async fn standing(db: &TestDb, customer: &str) -> (State, Vec<Clock>) {
    let mut owner = db.owner().await;
    let state = sqlx::query_as(
        "select c.status, c.cycle, c.waiting_since, c.clock_kind, c.clock_ordinal, c.clock_started_at,
                c.next_responses
         from conversations c join identities i on i.id = c.identity_id where i.external_id = $1",
    )
    .bind(customer)
    .fetch_one(&mut owner)
    .await
    .unwrap();
    let clocks = sqlx::query_as(
        "select k.cycle, k.kind, k.ordinal, k.state, k.started_at, k.due_at, k.settled_at
         from sla_clocks k join conversations c on c.id = k.conversation_id
         join identities i on i.id = c.identity_id
         where i.external_id = $1 and not k.is_withdrawn and k.kind <> 'assignment' order by k.cycle, k.kind, k.ordinal",
    )
    .bind(customer)
    .fetch_all(&mut owner)
    .await
    .unwrap();
    (state, clocks)
}

/// All four kinds.
fn every_clock() -> PolicySpec {
    let target = |seconds| {
        Some(Target {
            calendar_id: None,
            seconds: Seconds::all(seconds),
        })
    };
    PolicySpec {
        first_response: target(3_600),
        next_response: target(1_800),
        resolution: target(40_000),
        assignment: target(600),
        warnings: vec![50, 75],
        ..PolicySpec::default()
    }
}

#[tokio::test]
async fn shuffled_arrival_ends_like_the_sorted_one() {
    let (sorted, shuffled) = (TestDb::new().await, TestDb::new().await);
    let (a, b) = (
        sorted.brand("Acme", 1).await,
        shuffled.brand("Acme", 1).await,
    );
    sorted.put_policy(&a, &every_clock()).await;
    shuffled.put_policy(&b, &every_clock()).await;
    for mix in 0..10 {
        let customer = format!("90{mix}");
        let dms = talk(&customer, 24, mix);
        take_dms(&sorted, &a, &dms).await;
        let mut arriving = dms;
        let mut random = Random(mix + 100);
        random.shuffle(&mut arriving);
        while !arriving.is_empty() {
            let size = 1 + random.below(4.min(arriving.len()));
            let rest = arriving.split_off(size);
            take_dms(&shuffled, &b, &arriving).await;
            arriving = rest;
        }
        assert_eq!(
            standing(&sorted, &customer).await,
            standing(&shuffled, &customer).await,
            "mix {mix}"
        );
    }
    log(&shuffled, &b).await;
}

#[derive(sqlx::FromRow)]
struct StoredFact {
    id: uuid::Uuid,
    kind: String,
    author_type: Option<String>,
    order_at: roost_store::Ts,
    order_no: i64,
    stored_seq: i64,
    until: Option<roost_store::Ts>,
    clock_at: roost_store::Ts,
}

impl StoredFact {
    fn fact(&self) -> Fact {
        let kind = match self.kind.as_str() {
            "inbound" => FactKind::Inbound(MessageId(self.id)),
            "reply" => FactKind::Reply(Reply {
                message: MessageId(self.id),
                human: self.author_type.as_deref() == Some("external"),
                in_roost: false,
                then: None,
            }),
            "open" => FactKind::Act(Act::Open),
            "pend" => FactKind::Act(Act::Pend),
            "snooze" => FactKind::Act(Act::Snooze(self.until.unwrap().get())),
            "resolve" => FactKind::Act(Act::Resolve),
            other => unreachable!("{other}"),
        };
        Fact {
            order: Order {
                at: self.order_at.get(),
                no: self.order_no,
                id: self.id,
            },
            clock_at: self.clock_at.get(),
            stored_seq: self.stored_seq,
            kind,
        }
    }
}

/// What is stored of a customer's conversation, as facts.
async fn facts(db: &TestDb, customer: &str) -> Vec<Fact> {
    let rows: Vec<StoredFact> = sqlx::query_as(
        "with mine as (select c.id from conversations c join identities i on i.id = c.identity_id
                       where i.external_id = $1)
         select m.id, m.kind, m.author_type, m.order_at, m.order_no, m.stored_seq, null::timestamptz as until,
                m.order_at as clock_at
         from messages m where m.conversation_id in (select id from mine)
         union all
         select a.id, a.act, null, a.order_at, 0, a.stored_seq, a.until, a.created_at
         from conversation_acts a where a.conversation_id in (select id from mine)",
    )
    .bind(customer)
    .fetch_all(&mut db.owner().await)
    .await
    .unwrap();
    rows.iter().map(StoredFact::fact).collect()
}

#[tokio::test]
async fn with_acts_between_the_end_is_the_fold_of_what_is_stored() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    db.put_policy(&brand, &every_clock()).await;
    for mix in 0..12 {
        let customer = format!("91{mix}");
        let mut arriving = talk(&customer, 24, mix + 50);
        let mut random = Random(mix + 200);
        random.shuffle(&mut arriving);
        for dm in arriving {
            take_dms(&db, &brand, &[dm]).await;
            let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
            let act = match random.below(12) {
                0 | 1 => ActKind::Resolve,
                2 => ActKind::Pend,
                3 => ActKind::Snooze(soon),
                4 => ActKind::Open,
                _ => continue,
            };
            let id: uuid::Uuid = sqlx::query_scalar(
                "select c.id from conversations c join identities i on i.id = c.identity_id where i.external_id = $1",
            )
            .bind(&customer)
            .fetch_one(&mut db.owner().await)
            .await
            .unwrap();
            db.act(&brand, ConversationId(id), act, brand.members[1])
                .await;
        }
        let folded = fold(&facts(&db, &customer).await);
        let (state, clocks) = standing(&db, &customer).await;
        let running = folded.state.running;
        assert_eq!(
            state,
            (
                folded.state.status.as_str().to_owned(),
                folded.state.cycle,
                folded.state.waiting_since.map(Into::into),
                running.map(|clock| clock.kind.as_str().to_owned()),
                running.map(|clock| clock.ordinal),
                running.map(|clock| clock.started_at.into()),
                folded.state.next_responses,
            ),
            "mix {mix}"
        );
        let stored: Vec<_> = clocks
            .iter()
            .map(|(cycle, kind, ordinal, state, started_at, ..)| {
                (
                    *cycle,
                    kind.clone(),
                    *ordinal,
                    *started_at,
                    matches!(state.as_str(), "running" | "paused"),
                )
            })
            .collect();
        let mut wanted: Vec<_> = folded
            .clocks
            .iter()
            .map(|one| {
                let clock = one.clock;
                let started_at = roost_store::Ts::from(clock.started_at);
                let kind = clock.kind.as_str().to_owned();
                (
                    clock.cycle,
                    kind,
                    clock.ordinal,
                    started_at,
                    one.end.is_none(),
                )
            })
            .collect();
        wanted.sort_by(|one, other| (one.0, &one.1, one.2).cmp(&(other.0, &other.1, other.2)));
        assert_eq!(stored, wanted, "mix {mix}");
    }
    log(&db, &brand).await;
}

#[tokio::test]
async fn a_message_after_the_window_begins_a_new_conversation_and_within_it_reopens() {
    let db = TestDb::new().await;
    let brand = db.brand("Acme", 1).await;
    take_dms(&db, &brand, &[Dm::new("900", 1000, 1, "hello")]).await;
    let resolve = |hours: i32| {
        let db = &db;
        async move {
            sqlx::query(
                "update conversations set status = 'resolved', resolved_at = now() - make_interval(hours => $1),
                        clock_kind = null, clock_ordinal = null, clock_started_at = null, waiting_since = null
                 where status <> 'resolved'",
            )
            .bind(hours)
            .execute(&mut db.owner().await)
            .await
            .unwrap();
            sqlx::query("update sla_clocks set state = 'cancelled'")
                .execute(&mut db.owner().await)
                .await
                .unwrap();
        }
    };
    resolve(1).await;
    take_dms(&db, &brand, &[Dm::new("900", 30, 2, "again")]).await;
    assert_eq!(conversations(&db, &brand).await.len(), 1);
    assert_eq!(conversations(&db, &brand).await[0].cycle, 2);
    resolve(73).await;
    take_dms(&db, &brand, &[Dm::new("900", 3, 3, "much later")]).await;
    assert_eq!(conversations(&db, &brand).await.len(), 2);
}
