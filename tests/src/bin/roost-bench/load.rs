//! A client that costs next to nothing, so that the machine's time goes to what is measured.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// An answer that takes longer fails the bench: X allows 10 s.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// What came of a load.
#[derive(Debug)]
pub(crate) struct Answers {
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// How many answers had each status.
    pub(crate) statuses: BTreeMap<u16, usize>,
    /// Time of each request, sorted.
    pub(crate) times: Vec<Duration>,
}

impl Answers {
    /// Answers of status 200 a second.
    ///
    /// # Errors
    /// When there were others.
    pub(crate) fn rate(&self) -> anyhow::Result<f64> {
        if self.statuses.keys().any(|status| *status != 200) {
            bail!("not everything was acknowledged: {:?}", self.statuses);
        }
        Ok(per_second(self.times.len(), self.elapsed))
    }
}

/// So many in this time.
pub(crate) fn per_second(count: usize, elapsed: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
        / elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
}

/// Sends all requests over this many connections, each of which waits for its answer.
///
/// # Errors
/// When a connection fails or an answer doesn't come.
pub(crate) async fn send(
    to: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    connections: usize,
) -> anyhow::Result<Answers> {
    let mut sockets = Vec::with_capacity(connections);
    for _ in 0..connections {
        let socket = TcpStream::connect(to)
            .await
            .context("connect to the server under test")?;
        socket.set_nodelay(true)?;
        sockets.push(socket);
    }
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let mut clients = JoinSet::new();
    for socket in sockets {
        clients.spawn(client(socket, requests.clone(), next.clone()));
    }
    let mut statuses = BTreeMap::new();
    let mut times = Vec::with_capacity(requests.len());
    while let Some(answers) = clients.join_next().await {
        for (status, time) in answers?? {
            *statuses.entry(status).or_default() += 1;
            times.push(time);
        }
    }
    let elapsed = started.elapsed();
    times.sort_unstable();
    Ok(Answers {
        elapsed,
        statuses,
        times,
    })
}

async fn client(
    mut socket: TcpStream,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
) -> anyhow::Result<Vec<(u16, Duration)>> {
    let mut answers = Vec::new();
    let mut buffer = Vec::with_capacity(4096);
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let started = Instant::now();
        socket.write_all(request).await?;
        let reading = tokio::time::timeout(ANSWER_LIMIT, answer(&mut socket, &mut buffer));
        let status = reading.await.context("no answer in 10 s")??;
        answers.push((status, started.elapsed()));
    }
    Ok(answers)
}

/// Reads one answer, which says how long it is.
async fn answer(socket: &mut TcpStream, buffer: &mut Vec<u8>) -> anyhow::Result<u16> {
    buffer.clear();
    loop {
        if let Some(head) = find(buffer, b"\r\n\r\n") {
            let text = std::str::from_utf8(&buffer[..head])?.to_ascii_lowercase();
            let status = text
                .get(9..12)
                .context("answer without a status")?
                .parse()?;
            let length: usize = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .map_or(Ok(0), |length| length.trim().parse())?;
            if buffer.len() >= head + 4 + length {
                return Ok(status);
            }
        }
        if socket.read_buf(buffer).await? == 0 {
            bail!("the connection was closed");
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
