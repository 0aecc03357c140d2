//! Clocks while their worker dies.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use roost_tests::db::first_response_in;
use roost_tests::system::{Layout, Options, System};
use roost_tests::wait::until;

const CLOCKS: i64 = 400;
/// Firings between two deaths.
const A_LIFE: i64 = 60;
const LIMIT: Duration = Duration::from_secs(60);

/// Every clock warns after 10 s and breaches after 20 s. The worker is killed whenever it has told some
/// more, in the middle of whatever it does then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_killed_again_and_again_loses_and_doubles_no_warning_and_no_breach() {
    let mut system = System::start(Options {
        layout: Layout::Only("sla"),
        ..Options::default()
    })
    .await;
    let brand = system.db.brand("Acme", 1).await;
    system
        .db
        .put_policy(&brand, &first_response_in(20, 50))
        .await;
    let now = Timestamp::now().as_millisecond();
    let instants: Vec<Timestamp> = (0..CLOCKS)
        .map(|number| Timestamp::from_millisecond(now - 10_000 + number * 15).unwrap())
        .map(|at| at + SignedDuration::from_millis(500))
        .collect();
    system.db.open_many(&brand, &instants).await;
    let told = "select count(*) from sla_firings";
    let (mut seen, mut deaths) = (0, 0);
    while seen < 2 * CLOCKS {
        let wanted = (seen + A_LIFE).min(2 * CLOCKS);
        seen = until("more is told", LIMIT, || async {
            let count = system.count(told).await;
            (count >= wanted).then_some(count)
        })
        .await;
        system.kill_role("sla");
        deaths += 1;
        system.start_role("sla");
        system.wait_ready("sla").await;
    }
    assert!(deaths > 5, "{deaths} deaths");
    for (what, query) in [
        (
            "warnings",
            "select count(*) from (select conversation_id from events where type = 'sla.warning'
                                   group by conversation_id having count(*) = 1) once",
        ),
        (
            "breaches",
            "select count(*) from (select conversation_id from events where type = 'sla.breached'
                                   group by conversation_id having count(*) = 1) once",
        ),
    ] {
        assert_eq!(system.count(query).await, CLOCKS, "{what}");
    }
    let early = "select count(*) from sla_clocks where warned_at < warn_at or fired_at < due_at or breached_at <> due_at";
    assert_eq!(system.count(early).await, 0, "told before it was due");
    assert!(!system.run(&["sla", "verify"]).contains("DIFFERS"));
}
