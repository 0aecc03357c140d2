//! The whole role, fed by the broker: what becomes of messages that can't be handled.

use std::time::Duration;

use roost_bus::{Bus, BusConfig, Lane, Outgoing, Route};
use roost_cache::Cache;
use roost_inbox::Deps;
use roost_service::{Health, Metrics, Shutdown};
use roost_store::seal::Sealer;
use roost_tests::broker::let_die;
use roost_tests::db::{Brand, TestDb, key_ring, setting};
use roost_tests::wait::until;
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::support::{Dm, rules, thread};

const SOON: Duration = Duration::from_secs(30);
const QUEUE: &str = "ingress.p00";

/// One partition, a brand, and the role on it.
struct World {
    db: TestDb,
    brand: Brand,
    bus: Bus,
    metrics: Metrics,
    shutdown: Shutdown,
    role: tokio::task::JoinHandle<anyhow::Result<()>>,
}

impl World {
    async fn new() -> Self {
        let db = TestDb::new().await;
        let brand = db.brand("Acme", 1).await;
        let (metrics, shutdown) = (Metrics::new(), Shutdown::new());
        let prefix = format!("t{}", uuid::Uuid::now_v7().simple());
        let config = BusConfig {
            partitions: 1,
            ..BusConfig::new(setting("ROOST_TEST_AMQP_URL").into(), prefix.clone())
        };
        let bus = Bus::start(config, &metrics);
        assert!(bus.wait_up(SOON).await);
        let redis = SecretString::from(setting("ROOST_TEST_REDIS_URL"));
        let deps = Deps {
            store: db.store.clone(),
            bus: bus.clone(),
            cache: Cache::start(&redis, prefix, &metrics).unwrap(),
            sealer: Sealer::new(key_ring(&["only"])),
            rules: rules(),
            partitions: 1,
            health: Health::new(),
            metrics: metrics.clone(),
        };
        let role = tokio::spawn(roost_inbox::run(deps, shutdown.clone()));
        Self {
            db,
            brand,
            bus,
            metrics,
            shutdown,
            role,
        }
    }

    async fn put(&self, bodies: Vec<Vec<u8>>) {
        let route = |body| {
            let route = Route::Ingress {
                partition: 0,
                lane: Lane::Main,
            };
            Outgoing::new(route, body)
        };
        let all = bodies.into_iter().map(route).collect();
        for outcome in self.bus.publish_all(all).await {
            outcome.unwrap();
        }
    }

    async fn owner_runs(&self, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
            .execute(&mut self.db.owner().await)
            .await
            .unwrap();
    }

    async fn stores(&self, count: usize) {
        until("the messages to be stored", SOON, async || {
            (thread(&self.db, &self.brand).await.len() == count).then_some(())
        })
        .await;
    }

    /// Waits for this many dead letters, and tells why they died.
    async fn buries(&self, count: u32) -> Vec<String> {
        until("the dead letters in the broker", SOON, async || {
            (self.dead().await == count).then_some(())
        })
        .await;
        sqlx::query_scalar("select reason from dead_messages order by reason")
            .fetch_all(&mut self.db.owner().await)
            .await
            .unwrap()
    }

    async fn dead(&self) -> u32 {
        let dead = self.bus.queue_depth(&format!("dead.{QUEUE}")).await;
        dead.unwrap()
    }

    fn held(&self) -> u64 {
        let text = self.metrics.render().unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("roost_inbox_held_back_total "));
        line.map_or(0, |count| count.parse().unwrap())
    }

    /// Stops the role; whatever it had not acknowledged would be in the queue again.
    async fn stop(self) {
        self.shutdown.trigger();
        self.role.await.unwrap().unwrap();
        self.bus.remove_topology().await;
        self.bus.close().await;
    }
}

fn neighbours(brand: &Brand, count: i64) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| {
            let customer = (900 + number).to_string();
            Dm::new(&customer, 60, number, "a neighbour").body(brand)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_always_runs_out_of_time_is_put_aside_and_its_neighbours_go_on() {
    let world = World::new().await;
    // As the server's time limit would end it, without the wait.
    world
        .owner_runs(
            "create function time_out() returns trigger language plpgsql as
                 $$ begin raise exception 'canceling statement due to statement timeout' using errcode = '57014'; end $$;
             create trigger poison before insert on messages for each row
                 when (new.text = 'too much') execute function time_out()",
        )
        .await;
    let mut bodies = neighbours(&world.brand, 20);
    bodies.insert(7, Dm::new("99", 60, 99, "too much").body(&world.brand));
    world.put(bodies).await;
    world.stores(20).await;
    let reasons = world.buries(1).await;
    assert!(reasons[0].contains("statement timeout"), "{reasons:?}");
    assert!(world.held() >= 4, "it was tried again, with waits between");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_nothing_is_put_aside() {
    let world = World::new().await;
    let mut bodies = neighbours(&world.brand, 6);
    let rest = bodies.split_off(1);
    world.put(bodies).await;
    world.stores(1).await;
    let mut admin = PgConnection::connect(&setting("ROOST_TEST_ADMIN_URL"))
        .await
        .unwrap();
    let mut allow = async |may: bool| {
        let name = &world.db.name;
        let alter = format!("alter database {name} with allow_connections {may}");
        let end = format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
        );
        for statement in [alter, end] {
            sqlx::raw_sql(AssertSqlSafe(statement))
                .execute(&mut admin)
                .await
                .unwrap();
        }
    };
    allow(false).await;
    world.put(rest).await;
    until("the batch to be tried again and again", SOON, async || {
        (world.held() >= 4).then_some(())
    })
    .await;
    assert_eq!(world.dead().await, 0);
    allow(true).await;
    world.stores(6).await;
    assert_eq!(world.buries(0).await, Vec::<String>::new());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_can_not_even_die_is_kept_in_nobodys_way() {
    let world = World::new().await;
    let_die(&world.bus, QUEUE, false).await;
    let mut bodies = neighbours(&world.brand, 10);
    bodies.insert(3, b"no event".to_vec());
    world.put(bodies).await;
    world.stores(10).await;
    until("it to be known", SOON, async || {
        let known: i64 = sqlx::query_scalar("select count(*) from dead_messages")
            .fetch_one(&mut world.db.owner().await)
            .await
            .unwrap();
        (known == 1).then_some(())
    })
    .await;
    // Those that come after it aren't kept waiting, and it isn't forgotten.
    world
        .put(vec![Dm::new("77", 30, 77, "later").body(&world.brand)])
        .await;
    world.stores(11).await;
    assert_eq!(world.dead().await, 0);
    let_die(&world.bus, QUEUE, true).await;
    let reasons = world.buries(1).await;
    assert!(reasons[0].contains("not an ingress event"), "{reasons:?}");
    let attempts: i32 = sqlx::query_scalar("select attempts from dead_messages")
        .fetch_one(&mut world.db.owner().await)
        .await
        .unwrap();
    assert_eq!(attempts, 1, "it died once");
    world.stop().await;
}
