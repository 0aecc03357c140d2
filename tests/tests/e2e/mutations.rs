//! Bodies that chance has damaged: whatever they are, the answer is 200 or 400 and the queue goes on.

use roost_tests::webhook::Dm;
use serde_json::{Value, json};

use crate::bad_input::{dm, ingest_only};

/// Damaged bodies that are posted.
const CASES: u64 = 600;

/// Small and the same at each run, so that a failing case can be found again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap_or(0) % sides
    }

    fn value(&mut self) -> Value {
        let values = [
            json!(null),
            json!(true),
            json!(0),
            json!(-1),
            json!(1.5e300),
            json!(u64::MAX),
            json!(""),
            json!("0"),
            json!("99999999999999999999"),
            json!("\u{0}"),
            json!("é🦉"),
            json!([]),
            json!({}),
            json!([[[]]]),
            json!({ "": null }),
            json!("x".repeat(3_000)),
            json!({ "type": "media", "media": {} }),
        ];
        values[self.roll(values.len())].clone()
    }
}

/// Replaces, removes or doubles what chance points at.
fn damage(value: &mut Value, dice: &mut Dice) {
    match value {
        Value::Object(fields) if !fields.is_empty() && dice.roll(4) > 0 => {
            let key = fields.keys().nth(dice.roll(fields.len())).cloned().unwrap();
            match dice.roll(8) {
                0 => drop(fields.remove(&key)),
                1 => drop(fields.insert(key, dice.value())),
                2 => drop(fields.insert(format!("{key}_events"), dice.value())),
                _ => damage(&mut fields[&key], dice),
            }
        }
        Value::Array(items) if !items.is_empty() && dice.roll(4) > 0 => {
            let place = dice.roll(items.len());
            damage(&mut items[place], dice);
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => *value = dice.value(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_bodies_harm_nobody() {
    let (system, brand) = ingest_only().await;
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    for case in 0..CASES {
        let number = i64::try_from(case).unwrap();
        let original: Dm = dm(&brand, number, "some text \u{1f989} https://t.co/x");
        let mut body = if dice.roll(3) == 0 {
            json!({ "data": { "event_uuid": "-12", "filter": { "user_id": brand.account_id }, "event_type": "dm.received",
                "payload": { "direct_message_events": [original.element()], "users": original.body()["users"] } } })
        } else {
            original.body()
        };
        for _ in 0..=dice.roll(3) {
            damage(&mut body, &mut dice);
        }
        let mut bytes = body.to_string().into_bytes();
        // Some are damaged as bytes, and signed as they then are.
        if dice.roll(5) == 0 {
            let place = dice.roll(bytes.len());
            bytes[place] = u8::try_from(dice.roll(256)).unwrap();
        }
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let status = system.webhook.post_bytes(bytes).await;
        assert!(
            matches!(status, 200 | 400),
            "case {case}: {status} for {shown}"
        );
    }
    let last = dm(&brand, 900_000, "the next customer");
    assert_eq!(system.webhook.post(&last.body()).await, 200);
    system
        .wait_for_count(
            "select count(*) from messages where text = 'the next customer'",
            1,
        )
        .await;
    assert_eq!(system.count("select count(*) from dead_messages").await, 0);
    assert_eq!(
        system
            .metric("roost_service_task_failures_total", &[])
            .await,
        0.0
    );
    assert!(!system.log().contains("panicked"));
}
