//! Agents who stay online and reply, and a reader of the feed.

use std::time::Duration;

use roost_tests::api::Member;
use roost_tests::system::System;
use roost_tests::wait::until;
use serde_json::{Value, json};
use sqlx::Row as _;
use tokio::task::JoinHandle;

use crate::weather::{Plan, Size};

/// A brand with agents who are online.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) owner: Member,
    pub(crate) account_id: String,
    agents: Vec<Member>,
    present: Vec<JoinHandle<()>>,
}

/// A reply that the API took.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    /// TypeID of the message.
    pub(crate) id: String,
    /// Unlike any other.
    pub(crate) text: String,
    /// Number of the desk's brand.
    pub(crate) brand_id: String,
}

impl Desk {
    pub(crate) async fn open(system: &System, number: usize, size: &Size) -> Self {
        let brand = system
            .brand(&format!("Storm {number}"), &format!("storm_{number}"))
            .await;
        let mut desk = Self {
            owner: brand.owner,
            account_id: brand.account_id,
            agents: Vec::new(),
            present: Vec::new(),
        };
        for agent in 0..size.agents {
            desk.agents.push(
                system
                    .add_agent(&desk.owner, &format!("Agent{agent}"), size.capacity())
                    .await,
            );
        }
        desk.present = desk
            .agents
            .iter()
            .map(|agent| tokio::spawn(stay_online(agent.clone())))
            .collect();
        until(
            "the agents to be online",
            Duration::from_secs(20),
            || async {
                let members = desk.owner.call("GET", "/v1/members", None).await.body;
                let online = members["data"]
                    .as_array()?
                    .iter()
                    .filter(|one| one["presence"]["status"] == "online")
                    .count();
                (online == size.agents).then_some(())
            },
        )
        .await;
        desk
    }

    /// Replies to what is assigned, so many times in all, spread over the storm.
    pub(crate) fn start_replying(&self, count: usize) -> JoinHandle<Vec<Taken>> {
        let (owner, agents) = (self.owner.clone(), self.agents.clone());
        tokio::spawn(async move {
            let mut taken = Vec::new();
            let mut round = 0;
            while taken.len() < count {
                round += 1;
                let agent = &agents[round % agents.len()];
                let list = agent
                    .call("GET", "/v1/conversations?status=open&limit=200", None)
                    .await
                    .body;
                let own: Vec<&Value> = list["data"].as_array().map_or_else(Vec::new, |all| {
                    all.iter()
                        .filter(|found| found["assignee_id"] == agent.id)
                        .collect()
                });
                if let Some(conversation) = own.get(round % own.len().max(1)) {
                    let text = format!("answer {round} of {}", owner.brand_id);
                    taken.extend(reply(agent, conversation["id"].as_str().unwrap(), &text).await);
                }
                tokio::time::sleep(Duration::from_millis(120)).await;
            }
            taken
        })
    }

    /// What the API shows of every conversation is what the customers wrote, in its order.
    pub(crate) async fn sees(&self, plan: &Plan) {
        for conversation in self.owner.conversations().await {
            let messages = self
                .owner
                .messages(conversation["id"].as_str().unwrap())
                .await;
            let shown: Vec<&str> = messages
                .iter()
                .filter(|message| message["kind"] == "inbound")
                .map(|message| message["text"].as_str().unwrap())
                .collect();
            let customer = conversation["contact"]["handle"]
                .as_str()
                .unwrap()
                .trim_start_matches('c')
                .to_owned();
            let written: Vec<&str> = plan.threads[&customer]
                .iter()
                .map(|dm| dm.text.as_str())
                .collect();
            assert_eq!(shown, written, "{conversation}");
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        for task in &self.present {
            task.abort();
        }
    }
}

/// Sends one reply, again under the same reference for as long as no answer comes.
async fn reply(agent: &Member, conversation: &str, text: &str) -> Option<Taken> {
    let body = json!({ "kind": "reply", "text": text, "client_ref": text });
    let path = format!("/v1/conversations/{conversation}/messages");
    for _ in 0..120 {
        let answer = agent.call("POST", &path, Some(&body)).await;
        match answer.status {
            200..300 => {
                let id = answer.body["id"].as_str().unwrap().to_owned();
                return Some(Taken {
                    id,
                    text: text.to_owned(),
                    brand_id: agent.brand_id.clone(),
                });
            }
            // The gateway, or something under it, is dead at the moment.
            0 | 500.. | 401 | 429 => tokio::time::sleep(Duration::from_millis(500)).await,
            status => panic!("a reply got {status} {}", answer.body),
        }
    }
    panic!("nobody took a reply for a minute");
}

async fn stay_online(agent: Member) {
    loop {
        if let Some(stream) = agent.try_stream(&["mine"]).await {
            while stream.is_open() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Follows a brand's log by its feed from the beginning, whatever dies.
#[derive(Debug)]
pub(crate) struct Replica {
    brand_id: String,
    task: JoinHandle<()>,
    lines: std::sync::Arc<std::sync::Mutex<Vec<Value>>>,
}

impl Replica {
    pub(crate) fn follow(desk: &Desk) -> Self {
        let lines: std::sync::Arc<std::sync::Mutex<Vec<Value>>> = std::sync::Arc::default();
        let (kept, reader) = (lines.clone(), desk.owner.clone());
        let task = tokio::spawn(async move {
            let mut after = "oldest".to_owned();
            loop {
                let page = reader
                    .call(
                        "GET",
                        &format!("/v1/events?after={after}&wait=5&limit=200"),
                        None,
                    )
                    .await;
                let (Some(data), Some(next)) = (
                    page.body["data"].as_array(),
                    page.body["next_cursor"].as_str(),
                ) else {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    continue;
                };
                kept.lock().unwrap().extend(data.iter().cloned());
                next.clone_into(&mut after);
            }
        });
        Self {
            brand_id: desk.owner.brand_id.clone(),
            task,
            lines,
        }
    }

    /// It has every line of the log, once and in its order, and each conversation's lines count up.
    pub(crate) async fn compare(self, system: &System) {
        let brand: roost_domain::ids::BrandId = self.brand_id.parse().unwrap();
        let mut owner = system.db.owner().await;
        let rows = sqlx::query("select id from events where brand_id = $1 order by position")
            .bind(brand.0)
            .fetch_all(&mut owner)
            .await
            .unwrap();
        let log: Vec<String> = rows
            .iter()
            .map(|row| roost_domain::ids::EventId(row.get("id")).to_string())
            .collect();
        until(
            "the replica to have caught up",
            Duration::from_secs(30),
            || async { (self.lines.lock().unwrap().len() >= log.len()).then_some(()) },
        )
        .await;
        self.task.abort();
        let lines = self.lines.lock().unwrap().clone();
        let read: Vec<&str> = lines
            .iter()
            .map(|line| line["id"].as_str().unwrap())
            .collect();
        assert_eq!(read.len(), log.len());
        assert!(
            read.iter().zip(&log).all(|(read, written)| read == written),
            "the feed reads as the log is"
        );
        let mut next: std::collections::HashMap<&str, i64> = std::collections::HashMap::new();
        for line in &lines {
            let Some(conversation) = line["conversation_id"].as_str() else {
                continue;
            };
            let expected = next.entry(conversation).or_insert(1);
            assert_eq!(line["seq"].as_i64(), Some(*expected), "{line}");
            *expected += 1;
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.task.abort();
    }
}
