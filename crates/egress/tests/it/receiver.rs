//! Receivers on loopback, and a resolver that answers what it is told.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use roost_egress::{Method, Request, header::HeaderMap};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A resolver: each name's answers one after the other, the last one for ever.
#[derive(Default)]
pub(crate) struct Names {
    answers: HashMap<&'static str, Vec<Vec<&'static str>>>,
    pub(crate) asked: Arc<AtomicUsize>,
}

impl Names {
    pub(crate) fn with(mut self, name: &'static str, answers: &[&[&'static str]]) -> Self {
        let answers = answers.iter().map(|answer| answer.to_vec()).collect();
        self.answers.insert(name, answers);
        self
    }
}

impl From<Names> for Arc<dyn Resolve> {
    fn from(names: Names) -> Self {
        Arc::new(names)
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self.answers.get(name.as_str()).map(|answers| {
            answers[number.min(answers.len() - 1)]
                .iter()
                .map(|address| SocketAddr::new(address.parse().unwrap(), 0))
                .collect::<Vec<_>>()
        });
        Box::pin(async move {
            let answer = answer.ok_or("no such name")?;
            Ok(Box::new(answer.into_iter()) as Addrs)
        })
    }
}

/// A GET of this URL.
pub(crate) fn get(url: &str) -> Request {
    Request {
        method: Method::GET,
        url: url.to_owned(),
        headers: HeaderMap::new(),
        body: Vec::new(),
    }
}

/// Something that takes connections; counts them and passes each to `serve`.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    pub(crate) taken: Arc<AtomicUsize>,
}

impl Receiver {
    pub(crate) async fn start<S, F>(address: &str, serve: S) -> Self
    where
        S: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream));
            }
        });
        Self { address, taken }
    }

    /// One that gives this answer to every request and closes.
    pub(crate) async fn answering(address: &str, answer: &'static str) -> Self {
        Self::start(address, move |mut stream| async move {
            read_head(&mut stream).await;
            // A client that has heard enough may be gone.
            stream.write_all(answer.as_bytes()).await.ok();
        })
        .await
    }

    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

/// Reads to the end of a request's head.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}
