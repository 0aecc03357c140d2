//! Mails on their way: taken by a server, or kept until one takes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, timeout};

use crate::harness::Gateway;

/// A mail server that can be told to refuse.
struct Sink {
    url: String,
    refuses: Arc<AtomicBool>,
    mails: UnboundedReceiver<String>,
}

impl Sink {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let (sender, mails) = unbounded_channel();
        let refuses = Arc::new(AtomicBool::new(false));
        let refusing = refuses.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream, refusing.clone(), sender.clone()));
            }
        });
        Self {
            url,
            refuses,
            mails,
        }
    }
}

async fn talk(stream: TcpStream, refuses: Arc<AtomicBool>, mails: UnboundedSender<String>) {
    let mut stream = BufReader::new(stream);
    let mut answer = "220 sink";
    let mut mail = None;
    loop {
        if !answer.is_empty() {
            let line = format!("{answer}\r\n");
            stream.get_mut().write_all(line.as_bytes()).await.unwrap();
        }
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or_default() == 0 {
            return;
        }
        answer = match &mut mail {
            Some(text) if line == ".\r\n" => {
                mails.send(std::mem::take(text)).unwrap();
                mail = None;
                "250 taken"
            }
            Some(text) => {
                text.push_str(&line);
                ""
            }
            None if line.starts_with("MAIL") && refuses.load(Ordering::Relaxed) => "451 later",
            None if line.starts_with("DATA") => {
                mail = Some(String::new());
                "354 go on"
            }
            None => "250 ok",
        };
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_goes_out_as_plain_text_and_leaves_nothing_behind() {
    let mut sink = Sink::start().await;
    let gateway = Gateway::start_with_smtp(&sink.url).await;
    let owner = gateway.brand("Harbor").await.owner;
    let email = gateway.email_of(&owner).await;
    let mail = timeout(Duration::from_secs(10), sink.mails.recv()).await;
    let mail = mail.unwrap().unwrap();
    for part in [
        format!("To: {email}"),
        "From: Roost <roost@localhost>".to_owned(),
        "Content-Type: text/plain; charset=utf-8".to_owned(),
        "Auto-Submitted: auto-generated".to_owned(),
        "Message-ID: <".to_owned(),
        "https://roost.example/verify-email#token=".to_owned(),
    ] {
        let joined = mail.replace("=\r\n", "").replace("=3D", "=");
        assert!(joined.contains(&part), "{part} missing in {mail}");
    }
    let begun = Instant::now();
    while !gateway.mails().await.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it was kept");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_is_refused_is_kept_tried_again_and_at_last_given_up() {
    let mut sink = Sink::start().await;
    sink.refuses.store(true, Ordering::Relaxed);
    let gateway = Gateway::start_with_smtp(&sink.url).await;
    gateway.brand("Harbor").await;
    let results = |result: &str| {
        let text = gateway.metrics.render().unwrap();
        let name = format!("roost_gateway_mails_total{{result=\"{result}\"}} ");
        let count = text.lines().find_map(|line| line.strip_prefix(&name));
        count.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    let wait_for = async |result: &str, count: u64| {
        let begun = Instant::now();
        while results(result) < count {
            assert!(begun.elapsed() < Duration::from_secs(20), "never {result}");
            sleep(Duration::from_millis(20)).await;
        }
    };
    wait_for("failed", 1).await;
    assert_eq!(gateway.mails().await.len(), 1);
    sink.refuses.store(false, Ordering::Relaxed);
    gateway.sql("update mails set next_try_at = now()").await;
    timeout(Duration::from_secs(10), sink.mails.recv())
        .await
        .unwrap()
        .unwrap();
    wait_for("sent", 1).await;
    sink.refuses.store(true, Ordering::Relaxed);
    gateway.brand("Other").await;
    wait_for("failed", 2).await;
    gateway
        .sql("update mails set next_try_at = now(), created_at = now() - interval '4 days'")
        .await;
    wait_for("given_up", 1).await;
    let begun = Instant::now();
    while !gateway.mails().await.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it was kept");
        sleep(Duration::from_millis(20)).await;
    }
}
