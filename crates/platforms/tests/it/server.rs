//! A tiny HTTP server that does what a test tells it, including what no server should do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use roost_platforms::UserCredentials;
use roost_platforms::x::client::{Timeouts, XClient};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the server does once it has read a request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Writes these bytes and closes.
    Write(String),
    /// Writes these bytes and waits for the next request on the same connection.
    Keep(String),
    /// Says nothing.
    Hang,
    /// Closes with a reset.
    Reset,
}

/// An answer with a status, extra header lines and a body.
pub(crate) fn answer(status: u16, headers: &str, body: &str) -> Act {
    let length = body.len();
    Act::Write(format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    ))
}

pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers each request with the next act; the last one repeats.
    pub(crate) async fn doing(acts: Vec<Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(socket, acts.clone(), Arc::clone(&seen)));
            }
        });
        Self { url, requests }
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn client(&self) -> XClient {
        client(&self.url)
    }
}

pub(crate) fn client(url: &str) -> XClient {
    let timeouts = Timeouts {
        connect: Duration::from_millis(300),
        total: Duration::from_millis(600),
    };
    XClient::new(url, "app-key", "app-secret".into(), timeouts).unwrap()
}

pub(crate) fn user() -> UserCredentials {
    UserCredentials {
        token: "user-token".into(),
        secret: "user-secret".into(),
    }
}

async fn serve(mut socket: TcpStream, acts: Vec<Act>, seen: Arc<Mutex<Vec<String>>>) {
    loop {
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !complete(&request) {
            match socket.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(n) => request.extend_from_slice(&buffer[..n]),
            }
        }
        let index = {
            let mut seen = seen.lock().unwrap();
            seen.push(String::from_utf8_lossy(&request).into_owned());
            seen.len() - 1
        };
        match acts.get(index).or(acts.last()).unwrap() {
            Act::Keep(bytes) => {
                socket.write_all(bytes.as_bytes()).await.unwrap();
                continue;
            }
            Act::Write(bytes) => socket.write_all(bytes.as_bytes()).await.unwrap(),
            Act::Hang => tokio::time::sleep(Duration::from_secs(5)).await,
            Act::Reset => socket.set_zero_linger().unwrap(),
        }
        return;
    }
}

fn complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("content-length: ")
            .map(str::to_owned)
    });
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}
