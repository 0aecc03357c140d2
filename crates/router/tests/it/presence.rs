//! Presence of record.

use roost_domain::ids::MemberId;
use roost_domain::routing::Presence;
use roost_store::ledger::{Actor, Cause};
use roost_store::presence::{self, StoredPresence};
use roost_store::{StoreError, presence::expire_absent};
use roost_tests::db::{Brand, TestDb};
use uuid::Uuid;

struct Desk {
    db: TestDb,
    brand: Brand,
    member: MemberId,
    gateway: Uuid,
}

impl Desk {
    async fn new() -> Self {
        let db = TestDb::new().await;
        let brand = db.brand("Acme", 1).await;
        let desk = Self {
            member: brand.members[1],
            db,
            brand,
            gateway: Uuid::now_v7(),
        };
        desk.beat().await;
        desk
    }

    async fn beat(&self) {
        self.owner(&format!("insert into gateways (id) values ('{0}') on conflict (id) do update set seen_at = now()", self.gateway))
            .await;
    }

    async fn owner(&self, statement: &str) {
        let mut owner = self.db.owner().await;
        sqlx::query(sqlx::AssertSqlSafe(statement.to_owned()))
            .execute(&mut owner)
            .await
            .unwrap();
    }

    async fn open(&self, stream: Uuid) -> StoredPresence {
        let (member, gateway) = (self.member, self.gateway);
        self.db
            .store
            .brand(self.brand.id, move |tx| {
                Box::pin(async move { presence::open_stream(tx, member, stream, gateway).await })
            })
            .await
            .unwrap()
            .unwrap()
    }

    async fn close(&self, stream: Uuid) {
        let member = self.member;
        self.db
            .store
            .brand(self.brand.id, move |tx| {
                Box::pin(async move { presence::close_stream(tx, member, stream).await })
            })
            .await
            .unwrap();
    }

    async fn set(&self, wanted: Presence) -> StoredPresence {
        let member = self.member;
        self.db
            .store
            .brand(self.brand.id, move |tx| {
                Box::pin(async move {
                    let cause = Cause::new(Actor::Member(member), None);
                    presence::set_status(tx, member, wanted, &cause).await
                })
            })
            .await
            .unwrap()
            .unwrap()
    }

    async fn status(&self) -> Presence {
        let member = self.member;
        let all = self
            .db
            .store
            .brand(self.brand.id, |tx| Box::pin(presence::list(tx)))
            .await
            .unwrap();
        all.iter().find(|one| one.0 == member).unwrap().1
    }

    async fn told(&self) -> Vec<serde_json::Value> {
        let mut owner = self.db.owner().await;
        sqlx::query_scalar(
            "select data -> 'changed' -> 'presence' from events
             where type = 'member.presence_changed' and subject_id = $1 and conversation_id is null order by id",
        )
        .bind(self.member.0)
        .fetch_all(&mut owner)
        .await
        .unwrap()
    }

    /// Lets time pass.
    async fn pass(&self, seconds: u32) {
        self.owner(&format!(
            "update presence set last_stream_at = last_stream_at - make_interval(secs => {seconds}),
                                 since = since - make_interval(secs => {seconds})"
        ))
        .await;
    }

    async fn expire(&self) -> usize {
        expire_absent(&self.db.store, 45).await.unwrap()
    }
}

#[tokio::test]
async fn a_member_is_online_while_one_of_two_streams_is_open() {
    let desk = Desk::new().await;
    let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
    assert!(desk.open(one).await.changed);
    assert!(!desk.open(two).await.changed);
    desk.close(one).await;
    desk.pass(60).await;
    assert_eq!(desk.expire().await, 0);
    assert_eq!(desk.status().await, Presence::Online);
    desk.close(two).await;
    assert_eq!(desk.expire().await, 0, "a dropped stream has its grace");
    desk.pass(46).await;
    assert_eq!(desk.expire().await, 1);
    assert_eq!(desk.expire().await, 0);
    assert_eq!(desk.status().await, Presence::Offline);
    let told = desk.told().await;
    assert_eq!(
        told,
        [
            serde_json::json!(["offline", "online"]),
            serde_json::json!(["online", "offline"])
        ]
    );
}

#[tokio::test]
async fn a_short_break_of_the_connection_is_no_departure() {
    let desk = Desk::new().await;
    let stream = Uuid::now_v7();
    desk.open(stream).await;
    desk.close(stream).await;
    desk.pass(40).await;
    assert!(!desk.open(Uuid::now_v7()).await.changed);
    assert_eq!(desk.expire().await, 0);
    assert_eq!(desk.told().await.len(), 1);
}

#[tokio::test]
async fn what_a_member_sets_holds_until_they_set_another() {
    let desk = Desk::new().await;
    // Set while nobody is there: it shows with the next stream.
    assert_eq!(desk.set(Presence::Away).await.status, Presence::Offline);
    let stream = Uuid::now_v7();
    assert_eq!(desk.open(stream).await.status, Presence::Away);
    assert_eq!(desk.set(Presence::Offline).await.status, Presence::Offline);
    assert_eq!(desk.set(Presence::Online).await.status, Presence::Online);
    assert!(!desk.set(Presence::Online).await.changed);
    desk.set(Presence::Away).await;
    desk.close(stream).await;
    desk.pass(50).await;
    assert_eq!(desk.expire().await, 1, "away ends with the streams as well");
    assert_eq!(desk.open(Uuid::now_v7()).await.status, Presence::Away);
}

#[tokio::test]
async fn a_dead_gateways_members_go_offline() {
    let desk = Desk::new().await;
    desk.open(Uuid::now_v7()).await;
    desk.pass(600).await;
    assert_eq!(desk.expire().await, 0);
    desk.owner("update gateways set seen_at = now() - interval '46 seconds'")
        .await;
    assert_eq!(desk.expire().await, 1);
    assert_eq!(desk.status().await, Presence::Offline);
    let mut owner = desk.db.owner().await;
    let streams: i64 = sqlx::query_scalar("select count(*) from streams")
        .fetch_one(&mut owner)
        .await
        .unwrap();
    assert_eq!(streams, 0);
}

#[tokio::test]
async fn sweeps_at_the_same_time_tell_it_once() {
    let desk = Desk::new().await;
    let stream = Uuid::now_v7();
    desk.open(stream).await;
    desk.close(stream).await;
    desk.pass(50).await;
    let (one, two, three) = tokio::join!(desk.expire(), desk.expire(), desk.expire());
    assert_eq!(one + two + three, 1);
    assert_eq!(desk.told().await.len(), 2);
}

#[tokio::test]
async fn a_stranger_has_no_presence() {
    let desk = Desk::new().await;
    let other = desk.db.brand("Other", 1).await;
    let (stranger, gateway) = (other.members[1], desk.gateway);
    let opened = desk
        .db
        .store
        .brand(desk.brand.id, move |tx| {
            Box::pin(async move {
                let cause = Cause::system();
                let set = presence::set_status(tx, stranger, Presence::Away, &cause).await?;
                assert_eq!(set, None);
                presence::close_stream(tx, stranger, Uuid::now_v7()).await?;
                let opened = presence::open_stream(tx, stranger, Uuid::now_v7(), gateway).await?;
                Ok::<_, StoreError>(opened)
            })
        })
        .await
        .unwrap();
    assert_eq!(opened, None);
}
