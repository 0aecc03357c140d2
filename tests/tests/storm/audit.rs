//! What must be true when it is over.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use roost_domain::ids::MemberId;
use roost_tests::system::System;
use roost_tests::wait::until;
use serde_json::Value;
use sqlx::Row as _;
use uuid::Uuid;

use crate::people::{Desk, Taken};
use crate::weather::Plan;

/// Waits until nothing is on its way any more.
pub(crate) async fn calm(system: &System, plan: &Plan, patience: Duration) {
    let wanted = i64::try_from(plan.messages()).unwrap();
    let open_ends: [(&str, &'static str); 5] = [
        ("spooled events", "select count(*) from spool"),
        (
            "events without a place in the log",
            "select count(*) from events where position is null",
        ),
        (
            "open conversations without an agent",
            "select count(*) from conversations where status = 'open' and assignee_id is null",
        ),
        (
            "replies on their way",
            "select count(*) from outbound_messages where state in ('queued', 'sending', 'unknown') and not needs_decision",
        ),
        (
            "messages",
            "select count(*) from messages where kind = 'inbound'",
        ),
    ];
    let begun = std::time::Instant::now();
    loop {
        let mut left = Vec::new();
        for (name, query) in open_ends {
            let count = system.count(query).await;
            let is_done = if name == "messages" {
                count >= wanted
            } else {
                count == 0
            };
            if !is_done {
                left.push(format!("{count} {name}"));
            }
        }
        if left.is_empty() {
            return;
        }
        assert!(
            begun.elapsed() < patience,
            "not calm after {patience:?}: {left:?}"
        );
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Exactly the distinct messages, each conversation in the platform's order, one conversation each.
pub(crate) async fn messages(system: &System, plan: &Plan) {
    let mut owner = system.db.owner().await;
    let rows = sqlx::query(
        "select i.external_id, m.platform_event_id, m.text from messages m
         join conversations c on c.brand_id = m.brand_id and c.id = m.conversation_id
         join identities i on i.brand_id = c.brand_id and i.id = c.identity_id
         where m.kind = 'inbound' order by c.id, m.order_at, m.order_no, m.id",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    let mut stored: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for row in rows {
        stored
            .entry(row.get(0))
            .or_default()
            .push((row.get(1), row.get(2)));
    }
    let written: BTreeMap<String, Vec<(String, String)>> = plan
        .threads
        .iter()
        .map(|(from, thread)| {
            (
                from.clone(),
                thread
                    .iter()
                    .map(|dm| (dm.id.to_string(), dm.text.clone()))
                    .collect(),
            )
        })
        .collect();
    for (customer, wanted) in &written {
        assert_eq!(stored.get(customer), Some(wanted), "messages of {customer}");
    }
    assert_eq!(stored.len(), written.len());
    let conversations = i64::try_from(plan.threads.len()).unwrap();
    assert_eq!(
        system.count("select count(*) from conversations").await,
        conversations
    );
    assert_eq!(
        system.count("select count(*) from contacts").await,
        conversations
    );
    assert_eq!(system.count("select count(*) from dead_messages").await, 0);
    assert_eq!(system.count("select count(*) from raw_unclaimed").await, 0);
    // One cause, one event.
    let told = "select count(*) from events where type = 'message.received'";
    assert_eq!(
        system.count(told).await,
        i64::try_from(plan.messages()).unwrap()
    );
    assert_eq!(
        system
            .count("select count(*) from events where type = 'conversation.opened'")
            .await,
        conversations
    );
    let news = "select count(*) from messages where kind = 'reply' and author_type <> 'member'";
    assert_eq!(
        system.count(news).await,
        0,
        "an echo was taken for somebody else's message"
    );
}

/// Each conversation counts 1, 2, 3 …; positions have no gap and rise with it.
pub(crate) async fn log(system: &System) {
    let gaps =
        "select count(*) from (select conversation_id from events where conversation_id is not null
                group by brand_id, conversation_id having count(*) <> max(seq) or min(seq) <> 1
                or count(distinct seq) <> count(*)) odd";
    assert_eq!(
        system.count(gaps).await,
        0,
        "conversations whose events don't count up"
    );
    let heads = "select count(*) from conversations c where c.last_seq <>
                 (select count(*) from events e where e.brand_id = c.brand_id and e.conversation_id = c.id)";
    assert_eq!(
        system.count(heads).await,
        0,
        "conversations that count otherwise than their events"
    );
    let places = "select count(*) from (select brand_id from events group by brand_id
                  having count(*) <> max(position) or min(position) <> 1 or count(distinct position) <> count(*)) odd";
    assert_eq!(
        system.count(places).await,
        0,
        "logs with a gap or a double place"
    );
    let falls = "select count(*) from (select seq, lag(seq) over (partition by brand_id, conversation_id order by position) as before
                 from events where conversation_id is not null) pairs where before >= seq";
    assert_eq!(
        system.count(falls).await,
        0,
        "lines that stand before their elders"
    );
}

/// One assignee each, by one decision, and none of the router's took its agent over capacity.
pub(crate) async fn assignments(system: &System, plan: &Plan) {
    let nobody = "select count(*) from conversations where assignee_id is null";
    assert_eq!(
        system.count(nobody).await,
        0,
        "conversations that nobody has"
    );
    let twice = "select count(*) from (select conversation_id from events
                 where type in ('conversation.assigned', 'conversation.unassigned') group by brand_id, conversation_id
                 having count(*) filter (where type = 'conversation.assigned')
                      - count(*) filter (where type = 'conversation.unassigned') <> 1) odd";
    assert_eq!(
        system.count(twice).await,
        0,
        "conversations that were given to two"
    );
    let decided = "select count(*) from (select distinct conversation_id from assignment_decisions
                   where outcome = 'assigned' and decided_by = 'router') one";
    assert_eq!(
        system.count(decided).await,
        i64::try_from(plan.threads.len()).unwrap()
    );
    let over =
        "select count(*) from assignment_decisions where decided_by = 'router' and over_capacity";
    assert_eq!(
        system.count(over).await,
        0,
        "decisions marked as over capacity"
    );
    let mut owner = system.db.owner().await;
    let decisions = sqlx::query(
        "select member_id, candidates from assignment_decisions where decided_by = 'router' and outcome = 'assigned'",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    for decision in decisions {
        let (member, candidates): (Uuid, Value) = (decision.get(0), decision.get(1));
        let member = MemberId(member).to_string();
        let chosen = candidates
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["member_id"] == member.as_str());
        let has_room = |one: &Value| {
            one["load"].as_i64() < one["capacity"].as_i64() && one["eligible"] == true
        };
        assert!(
            chosen.is_some_and(has_room),
            "a decision whose own figures show no room: {candidates}"
        );
    }
    let full = "select count(*) from (select m.capacity, count(*) as held from conversations c
                join members m on m.brand_id = c.brand_id and m.id = c.assignee_id
                where c.status = 'open' group by m.brand_id, m.id, m.capacity) loads where held > 2 * capacity";
    assert_eq!(
        system.count(full).await,
        0,
        "agents with twice what they can hold"
    );
}

/// Every reply that was taken is on the phone once, or is shown as undecided and at most once there.
pub(crate) async fn replies(system: &System, desks: &[Desk], taken: &[Taken]) -> String {
    let mut phones: HashMap<String, usize> = HashMap::new();
    let sends = system.platform.sends().await;
    for desk in desks {
        let partners = system
            .platform
            .get(&format!("/sim/partners?account={}", desk.account_id))
            .await;
        for partner in partners["partners"].as_array().unwrap() {
            let dms = system
                .platform
                .between(&desk.account_id, partner["id"].as_str().unwrap())
                .await;
            for dm in dms
                .iter()
                .filter(|dm| dm["from"] == desk.account_id.as_str())
            {
                *phones
                    .entry(dm["text"].as_str().unwrap().to_owned())
                    .or_default() += 1;
            }
        }
    }
    let (mut sent, mut undecided) = (0, 0);
    for reply in taken {
        let desk = desks
            .iter()
            .find(|desk| desk.owner.brand_id == reply.brand_id)
            .unwrap();
        let message = until("the reply's state", Duration::from_secs(10), || async {
            let answer = desk
                .owner
                .call("GET", &format!("/v1/messages/{}", reply.id), None)
                .await;
            (answer.status == 200).then_some(answer.body)
        })
        .await;
        let on_phone = phones.remove(&reply.text).unwrap_or(0);
        let delivery = &message["delivery"];
        if delivery["status"] == "sent" {
            assert_eq!(on_phone, 1, "{message}");
            sent += 1;
        } else {
            assert_eq!(delivery["needs_decision"], true, "{message}");
            assert!(on_phone <= 1, "{message}");
            undecided += 1;
        }
    }
    assert!(phones.is_empty(), "nobody wrote these: {phones:?}");
    format!(
        "{sent} sent, {undecided} left to a person, by {} calls",
        sends.len()
    )
}
