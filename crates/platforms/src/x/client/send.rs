//! One direct message out.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::outcome::{Refusal, RefusalCode, Retry, SendOutcome, SendReport};
use super::{Auth, Body, Broken, Call, Reply, XClient, classify};
use crate::x::secrets::UserCredentials;
use crate::x::{snowflake, wire};

/// Which of X's two calls sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SendApi {
    /// `POST /2/dm_conversations/with/:id/messages`.
    #[default]
    V2,
    /// `POST /1.1/direct_messages/events/new.json`; the only one with quick replies and buttons.
    V1_1,
}

/// An answer that the customer can tap. At most 20 a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuickReply {
    /// What the customer sees and sends; at most 36 characters.
    pub label: String,
    /// A second line; at most 72 characters.
    pub description: Option<String>,
    /// Comes back with the answer.
    pub metadata: Option<String>,
}

/// A link shown as a button. One to three a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    /// At most 36 characters.
    pub label: String,
    /// An `http` or `https` URL.
    pub url: String,
}

/// How to send, and what to send beside the text.
#[derive(Debug, Clone, Default)]
pub struct SendOptions {
    /// The call.
    pub api: SendApi,
    /// Answers to tap; v1.1 only.
    pub quick_replies: Vec<QuickReply>,
    /// Buttons; v1.1 only.
    pub buttons: Vec<Button>,
}

impl XClient {
    /// Sends one direct message, once. The text goes out as it is.
    pub async fn send_dm(
        &self,
        user: &UserCredentials,
        recipient_id: &str,
        text: &str,
        options: &SendOptions,
    ) -> SendReport {
        let never_sent = |code, detail: &str| SendReport {
            outcome: SendOutcome::Refused(Refusal {
                code,
                status: None,
                platform_code: None,
                detail: detail.to_owned(),
                retry: Retry::Never,
            }),
            status: None,
            limits: None,
        };
        let Some(recipient) = wire::parse_id(recipient_id).map(|id| id.to_string()) else {
            return never_sent(RefusalCode::InvalidRequest, "recipient id is not numeric");
        };
        let plain = options.quick_replies.is_empty() && options.buttons.is_empty();
        let result = match options.api {
            SendApi::V2 if !plain => {
                return never_sent(
                    RefusalCode::UnsupportedByApi,
                    "quick replies and buttons need v1.1",
                );
            }
            SendApi::V2 => {
                let path = ["2", "dm_conversations", "with", &recipient, "messages"];
                self.perform(Call::post(
                    &path,
                    Auth::User(user),
                    Body::Json(json!({"text": text})),
                ))
                .await
            }
            SendApi::V1_1 => {
                let path = ["1.1", "direct_messages", "events", "new.json"];
                let body = Body::Json(v1_body(&recipient, text, options));
                self.perform(Call::post(&path, Auth::User(user), body))
                    .await
            }
        };
        report(result, Timestamp::now())
    }
}

fn v1_body(recipient: &str, text: &str, options: &SendOptions) -> Value {
    let mut data = json!({"text": text});
    if !options.quick_replies.is_empty() {
        let replies: Vec<Value> = options.quick_replies.iter().map(quick_reply).collect();
        data["quick_reply"] = json!({"type": "options", "options": replies});
    }
    if !options.buttons.is_empty() {
        let button = |b: &Button| json!({"type": "web_url", "label": b.label, "url": b.url});
        data["ctas"] = options.buttons.iter().map(button).collect();
    }
    json!({"event": {
        "type": "message_create",
        "message_create": {"target": {"recipient_id": recipient}, "message_data": data},
    }})
}

fn quick_reply(reply: &QuickReply) -> Value {
    let mut option = json!({"label": reply.label});
    if let Some(description) = &reply.description {
        option["description"] = description.as_str().into();
    }
    if let Some(metadata) = &reply.metadata {
        option["metadata"] = metadata.as_str().into();
    }
    option
}

fn report(result: Result<Reply, Broken>, now: Timestamp) -> SendReport {
    let reply = match result {
        Ok(reply) => reply,
        Err(broken) => {
            let outcome = match broken {
                Broken::NotSent(detail) => SendOutcome::Refused(Refusal {
                    code: RefusalCode::NotSent,
                    status: None,
                    platform_code: None,
                    detail,
                    retry: Retry::Backoff,
                }),
                Broken::Lost(detail) => SendOutcome::Unknown { detail },
            };
            return SendReport {
                outcome,
                status: None,
                limits: None,
            };
        }
    };
    let outcome = if let Some(refusal) = classify::refusal(&reply, now) {
        SendOutcome::Refused(refusal)
    } else if (200..300).contains(&reply.status) {
        accepted(&reply.body).unwrap_or_else(|| SendOutcome::Unknown {
            detail: "success without an event id".to_owned(),
        })
    } else {
        SendOutcome::Unknown {
            detail: format!("status {}", reply.status),
        }
    };
    SendReport {
        outcome,
        status: Some(reply.status),
        limits: reply.limits,
    }
}

/// The id in `data.dm_event_id` (v2) or `event.id` (v1.1).
fn accepted(body: &[u8]) -> Option<SendOutcome> {
    let document: Value = serde_json::from_slice(body).ok()?;
    let number = |value: &Value| match value {
        Value::String(text) => wire::parse_id(text),
        Value::Number(number) => number.as_i64().filter(|&id| id > 0),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let event = &document["event"];
    let event_no = number(&document["data"]["dm_event_id"]).or_else(|| number(&event["id"]))?;
    let told =
        number(&event["created_timestamp"]).and_then(|ms| Timestamp::from_millisecond(ms).ok());
    Some(SendOutcome::Accepted {
        event_id: event_no.to_string(),
        event_no,
        sent_at: told.unwrap_or_else(|| snowflake::time_of(event_no)),
    })
}
