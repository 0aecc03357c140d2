//! Keeps demo agents online: each has a stream open, as a person with the inbox in a browser tab
//! would, so that conversations are assigned at once.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tungstenite::{Message, WebSocket};

use crate::address::Address;
use crate::http::Request;

/// The sign that a person is there; the server takes it once a minute.
const ACTIVE_EVERY: Duration = Duration::from_secs(60);
/// Back-off between two tries to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How often a thread that reads looks whether it should end.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Somebody who can sign in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) password: String,
    pub(crate) role: String,
}

/// A signed-in member.
#[derive(Debug)]
pub(super) struct SignedIn {
    pub(super) token: String,
    member_id: Option<String>,
}

/// Signs a member in.
///
/// # Errors
/// When the gateway refuses.
pub(super) fn sign_in(gateway: &str, member: &Member) -> Result<SignedIn> {
    let body = json!({"email": member.email, "password": member.password});
    let answer = Request::new("POST", format!("{gateway}/v1/sessions"))
        .json(&body)
        .send_ok()?;
    let token = answer
        .get("access_token")
        .and_then(|token| token.as_str())
        .context("the sign-in answered no access_token")?
        .to_owned();
    let member_id = answer
        .pointer("/member/id")
        .and_then(|id| id.as_str())
        .map(str::to_owned);
    Ok(SignedIn { token, member_id })
}

/// The threads that keep agents online.
#[derive(Debug, Default)]
pub(super) struct Agents {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    online: Vec<Arc<AtomicBool>>,
}

impl Agents {
    /// Brings a member online and keeps them there.
    pub(super) fn add(&mut self, gateway: &str, stream: &str, member: &Member) {
        let online = Arc::new(AtomicBool::new(false));
        let agent = Agent {
            gateway: gateway.to_owned(),
            stream: stream.to_owned(),
            member: member.clone(),
            stop: Arc::clone(&self.stop),
            online: Arc::clone(&online),
        };
        self.threads.push(std::thread::spawn(move || agent.run()));
        self.online.push(online);
    }

    /// Whether all are online.
    pub(super) fn are_online(&self) -> bool {
        self.online
            .iter()
            .all(|online| online.load(Ordering::Relaxed))
    }

    /// Takes all offline.
    pub(super) fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A panicked thread has said so itself, and there is nothing to stop.
            thread.join().ok();
        }
    }
}

struct Agent {
    gateway: String,
    stream: String,
    member: Member,
    stop: Arc<AtomicBool>,
    online: Arc<AtomicBool>,
}

impl Agent {
    fn run(&self) {
        let mut pause = FIRST_PAUSE;
        while !self.is_stopping() {
            let begun = Instant::now();
            // Whatever ended it (a restart, a session that ran out): sign in and come back.
            self.stay().ok();
            self.online.store(false, Ordering::Relaxed);
            pause = if begun.elapsed() > LONGEST_PAUSE {
                FIRST_PAUSE
            } else {
                pause * 2
            };
            let end = Instant::now() + pause.min(LONGEST_PAUSE);
            while Instant::now() < end && !self.is_stopping() {
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }

    /// One stay online, from sign-in to the end of the stream.
    fn stay(&self) -> Result<()> {
        let session = sign_in(&self.gateway, &self.member)?;
        let mut socket = self.connect()?;
        let auth =
            json!({"type": "auth", "token": session.token, "after": null, "topics": ["mine"]});
        socket.send(Message::text(auth.to_string()))?;
        self.set_online(&session)?;
        let mut active_at = Instant::now();
        loop {
            if self.is_stopping() {
                socket.close(None)?;
                socket.flush()?;
                return Ok(());
            }
            if active_at.elapsed() >= ACTIVE_EVERY {
                active_at = Instant::now();
                socket.send(Message::text(json!({"type": "active"}).to_string()))?;
            }
            match socket.read() {
                Ok(Message::Close(_)) => bail!("the stream was closed"),
                // Any frame shows that the sign-in was taken. Pings are answered by the library.
                Ok(_) => self.online.store(true, Ordering::Relaxed),
                Err(tungstenite::Error::Io(error)) if is_timeout(&error) => socket.flush()?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn connect(&self) -> Result<WebSocket<TcpStream>> {
        let place = Address::parse(&self.stream, 80)?.place();
        let stream = TcpStream::connect(&place)?;
        stream.set_read_timeout(Some(LOOK_EVERY))?;
        let (socket, _) = tungstenite::client(self.stream.as_str(), stream)
            .map_err(|error| anyhow::anyhow!("cannot open the stream: {error}"))?;
        Ok(socket)
    }

    /// A member who went away by hand in an earlier run would stay so.
    fn set_online(&self, session: &SignedIn) -> Result<()> {
        let Some(id) = &session.member_id else {
            return Ok(());
        };
        Request::new("PUT", format!("{}/v1/members/{id}/presence", self.gateway))
            .bearer(&session.token)
            .json(&json!({"status": "online"}))
            .send_ok()?;
        Ok(())
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
    )
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    fn answer_json(listener: &TcpListener, body: &str) -> String {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).unwrap();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    }

    #[test]
    fn an_agent_signs_in_again_when_its_stream_is_closed() {
        let http = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpListener::bind("127.0.0.1:0").unwrap();
        let gateway = format!("http://{}", http.local_addr().unwrap());
        let stream_url = format!("ws://{}/v1/stream", stream.local_addr().unwrap());
        let in_second_stay = Arc::new(AtomicBool::new(false));
        let second_stay = Arc::clone(&in_second_stay);
        let server = std::thread::spawn(move || {
            for round in 0..2 {
                let request =
                    answer_json(&http, r#"{"access_token": "t", "member": {"id": "mem_1"}}"#);
                assert!(request.starts_with("POST /v1/sessions "), "{request}");
                let (connection, _) = stream.accept().unwrap();
                let mut socket = tungstenite::accept(connection).unwrap();
                let first = socket.read().unwrap().into_text().unwrap();
                let first: serde_json::Value = serde_json::from_str(&first).unwrap();
                assert_eq!(
                    first,
                    json!({"type": "auth", "token": "t", "after": null, "topics": ["mine"]})
                );
                let request = answer_json(&http, "{}");
                assert!(
                    request.starts_with("PUT /v1/members/mem_1/presence "),
                    "{request}"
                );
                socket.send(Message::text("{}")).unwrap();
                if round == 1 {
                    second_stay.store(true, Ordering::Relaxed);
                    // Until the agent goes.
                    while socket.read().is_ok() {}
                }
            }
        });
        let mut agents = Agents::default();
        let member = Member {
            name: "A".to_owned(),
            email: "a@example.com".to_owned(),
            password: "p".to_owned(),
            role: "agent".to_owned(),
        };
        agents.add(&gateway, &stream_url, &member);
        let end = Instant::now() + Duration::from_secs(20);
        while !server.is_finished() && !in_second_stay.load(Ordering::Relaxed) {
            assert!(Instant::now() < end, "no second sign-in");
            std::thread::sleep(Duration::from_millis(10));
        }
        agents.stop();
        server.join().unwrap();
    }
}
