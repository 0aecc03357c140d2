//! The storm: many customers at once, everything delivered twice here and there and out of order,
//! while every part of the house and everything under it is killed once.
//!
//! `ROOST_TEST_STORM=full` runs it at full size (20,000 messages in 500 conversations); without, a
//! smaller one runs with the same deaths.

#[cfg(test)]
mod audit;
#[cfg(test)]
mod people;
#[cfg(test)]
mod weather;

#[cfg(test)]
mod storm {
    use std::time::{Duration, Instant};

    use roost_tests::services::PrivateServices;
    use roost_tests::system::{Layout, Options, ROLES, System};

    use serde_json::json;

    use crate::audit;
    use crate::people::{Desk, Replica};
    use crate::weather::{Plan, Size, blow};

    /// From one death to the next, beside what the restart takes.
    const BREATH: Duration = Duration::from_millis(1_500);
    /// How long a service stays dead.
    const DEAD: Duration = Duration::from_secs(3);

    fn say(begun: Instant, what: &str) {
        println!("{:>7.1} s  {what}", begun.elapsed().as_secs_f64());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nothing_is_lost_doubled_or_misplaced_while_everything_dies_once() {
        let begun = Instant::now();
        let size = if std::env::var("ROOST_TEST_STORM").is_ok_and(|wish| wish == "full") {
            Size::FULL
        } else {
            Size::SMALL
        };
        let services = PrivateServices::start();
        say(begun, "services of its own are up");
        let mut system = System::start(Options {
            layout: Layout::Apart,
            services: services.places.clone(),
            partitions: 4,
            settings: vec![
                // Doubt is settled while somebody watches.
                ("ROOST_SEND_TOTAL_TIMEOUT_MS", "6000".to_owned()),
                ("ROOST_SEND_LEASE_MS", "8000".to_owned()),
                ("ROOST_SEND_QUIET_MS", "12000".to_owned()),
                ("ROOST_LOG_LEVEL", "info".to_owned()),
            ],
            ..Options::default()
        })
        .await;
        let mut desks = Vec::new();
        for number in 0..size.brands {
            desks.push(Desk::open(&system, number, &size).await);
        }
        let plan = Plan::of(&desks, &size);
        plan.introduce(&system.platform).await;
        // One reply in twenty is taken by the platform and never answered.
        system
            .platform
            .fault(json!({ "kind": "send_reset_after", "probability": 0.05 }))
            .await;
        say(begun, &format!("{} desks are staffed", desks.len()));

        let replicas: Vec<Replica> = desks.iter().map(Replica::follow).collect();
        let load = tokio::spawn(blow(system.webhook.clone(), plan.posts.clone(), size.pace));
        let replying: Vec<_> = desks
            .iter()
            .map(|desk| desk.start_replying(size.replies / desks.len()))
            .collect();
        for (number, role) in ROLES.iter().enumerate() {
            tokio::time::sleep(BREATH).await;
            system.kill_role(role);
            // What it held stands still for a moment.
            tokio::time::sleep(Duration::from_millis(700)).await;
            system.start_role(role);
            system.wait_ready(role).await;
            say(begun, &format!("{role} was killed and is back"));
            let service = match number {
                1 => "rabbitmq",
                3 => "redis",
                5 => "postgres",
                _ => continue,
            };
            tokio::time::sleep(BREATH).await;
            services.kill(service);
            tokio::time::sleep(DEAD).await;
            services.restart(service);
            say(begun, &format!("{service} was killed and is back"));
        }
        for role in ROLES {
            system.wait_ready(role).await;
        }
        say(begun, "all have died once");
        let posted = load.await.unwrap();
        say(
            begun,
            &format!(
                "{} posts were acknowledged, {} tries were not",
                posted.acknowledged, posted.refused
            ),
        );
        let mut replies = Vec::new();
        for task in replying {
            replies.extend(task.await.unwrap());
        }
        say(begun, &format!("{} replies were taken", replies.len()));

        assert_eq!(posted.acknowledged, plan.posts.len());
        audit::calm(&system, &plan, size.patience).await;
        say(begun, "all is calm");
        audit::messages(&system, &plan).await;
        audit::log(&system).await;
        audit::assignments(&system, &plan).await;
        let shown = audit::replies(&system, &desks, &replies).await;
        say(begun, &format!("replies: {shown}"));
        for replica in replicas {
            replica.compare(&system).await;
        }
        for desk in &desks {
            desk.sees(&plan).await;
        }
        assert_eq!(
            system.ended(),
            Vec::<String>::new(),
            "roles that ended by themselves"
        );
        assert!(!system.log().contains("panicked"));
        say(begun, "the audit found nothing");
    }
}
