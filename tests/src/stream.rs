//! A live stream, as a dashboard has it open.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

use crate::wait::until;

/// An open stream; closes when dropped.
#[derive(Debug)]
pub struct Stream {
    frames: Arc<Mutex<Vec<Value>>>,
    reader: JoinHandle<()>,
}

impl Stream {
    /// Opens one; none when the gateway isn't there.
    pub async fn open(gateway: &str, token: &str, topics: &[&str]) -> Option<Self> {
        let url = format!("{}/v1/stream", gateway.replacen("http", "ws", 1));
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.ok()?;
        let auth = json!({ "type": "auth", "token": token, "after": null, "topics": topics });
        socket.send(Message::text(auth.to_string())).await.ok()?;
        let frames: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kept = frames.clone();
        // Pings are answered by the library as long as somebody reads.
        let reader = tokio::spawn(async move {
            while let Some(Ok(frame)) = socket.next().await {
                if let Message::Text(text) = frame
                    && let Ok(frame) = serde_json::from_str(&text)
                {
                    kept.lock().unwrap().push(frame);
                }
            }
        });
        Some(Self { frames, reader })
    }

    /// Whether it is still open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.reader.is_finished()
    }

    /// Everything that came so far, in order.
    ///
    /// # Panics
    /// Never: nobody panics while holding the lock.
    #[must_use]
    pub fn frames(&self) -> Vec<Value> {
        self.frames.lock().unwrap().clone()
    }

    /// Types of the events that came for a conversation, in order.
    #[must_use]
    pub fn types_of(&self, conversation: &str) -> Vec<String> {
        let frames = self.frames();
        let own = frames
            .iter()
            .filter(|frame| frame["conversation_id"] == conversation);
        own.map(|frame| frame["type"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// Waits for a frame of a type; the first that came.
    pub async fn wait_for(&self, kind: &str) -> Value {
        self.wait_for_nth(kind, 1).await
    }

    /// Waits until `count` frames of a type have come; the last of them.
    pub async fn wait_for_nth(&self, kind: &str, count: usize) -> Value {
        until(
            &format!("{count} × {kind} on the stream"),
            Duration::from_secs(20),
            || async {
                self.frames()
                    .into_iter()
                    .filter(|frame| frame["type"] == kind)
                    .nth(count - 1)
            },
        )
        .await
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
