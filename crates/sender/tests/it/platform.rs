//! A platform that answers as a test tells it to, and remembers what it was asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) body: String,
    /// In lower case.
    pub(crate) authorization: String,
}

impl Asked {
    pub(crate) fn is_send(&self) -> bool {
        self.line.starts_with("POST")
    }

    /// The recipient in the path of a v2 call.
    pub(crate) fn recipient(&self) -> &str {
        self.line
            .split("/with/")
            .nth(1)
            .and_then(|rest| rest.split('/').next())
            .unwrap_or_default()
    }
}

/// What it does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Answers.
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// Takes the request and breaks the connection.
    Reset,
    /// Takes the request and says nothing for a while.
    Hang(Duration),
}

impl Reply {
    pub(crate) fn json(status: u16, body: serde_json::Value) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: body.to_string(),
        }
    }

    pub(crate) fn with(self, name: &'static str, value: impl ToString) -> Self {
        match self {
            Self::Answer {
                status,
                mut headers,
                body,
            } => {
                headers.push((name, value.to_string()));
                Self::Answer {
                    status,
                    headers,
                    body,
                }
            }
            other @ (Self::Reset | Self::Hang(_)) => other,
        }
    }
}

type Script = Box<dyn FnMut(&Asked) -> Reply + Send>;

/// It listens until it is dropped.
pub(crate) struct Platform {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    script: Arc<Mutex<Script>>,
    task: tokio::task::JoinHandle<()>,
}

impl Platform {
    pub(crate) async fn new(script: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(script)));
        let (seen, told) = (asked.clone(), script.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, seen.clone(), told.clone()));
            }
        });
        Self {
            url,
            asked,
            script,
            task,
        }
    }

    /// From now on it does this.
    pub(crate) fn now(&self, script: impl FnMut(&Asked) -> Reply + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// Everything that it was asked.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The sends that it was asked for.
    pub(crate) fn sends(&self) -> Vec<Asked> {
        self.asked
            .lock()
            .unwrap()
            .iter()
            .filter(|asked| asked.is_send())
            .cloned()
            .collect()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: Arc<Mutex<Vec<Asked>>>,
    script: Arc<Mutex<Script>>,
) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut buffer).await.ok()? == 0 {
                return None;
            }
        };
        let text = String::from_utf8_lossy(&buffer[..head]).to_lowercase();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .map_or(0, |length| length.trim().parse().unwrap());
        while buffer.len() < head + length {
            if stream.read_buf(&mut buffer).await.ok()? == 0 {
                return None;
            }
        }
        let line = String::from_utf8_lossy(&buffer[..head])
            .lines()
            .next()?
            .to_owned();
        let asked = Asked {
            line,
            body: String::from_utf8_lossy(&buffer[head..head + length]).into_owned(),
            authorization: text
                .lines()
                .find_map(|line| line.strip_prefix("authorization: "))
                .unwrap_or_default()
                .to_owned(),
        };
        buffer.drain(..head + length);
        let reply = script.lock().unwrap()(&asked);
        seen.lock().unwrap().push(asked);
        match reply {
            Reply::Answer {
                status,
                headers,
                body,
            } => {
                let headers: String = headers
                    .iter()
                    .map(|(name, value)| format!("{name}: {value}\r\n"))
                    .collect();
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).await.ok()?;
            }
            Reply::Reset => return None,
            Reply::Hang(time) => {
                tokio::time::sleep(time).await;
                return None;
            }
        }
    }
}
