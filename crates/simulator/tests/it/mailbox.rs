//! The mailbox: what a client of SMTP hands in is shown, as text.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::support::{Stage, config};

async fn hand_in(address: SocketAddr, lines: &[&str]) -> Vec<String> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let mut stream = BufReader::new(stream);
    let mut answers = Vec::new();
    let mut is_data = false;
    for (nth, line) in ["greeting"].iter().chain(lines).enumerate() {
        if nth > 0 {
            let line = format!("{line}\r\n");
            let sent = stream.get_mut().write_all(line.as_bytes()).await;
            sent.expect("the line is taken");
        }
        // Between DATA and the dot the server is silent.
        if is_data && *line != "." {
            continue;
        }
        let mut answer = String::new();
        stream.read_line(&mut answer).await.expect("an answer");
        is_data = answer.starts_with("354");
        answers.push(answer.chars().take(3).collect());
    }
    answers
}

#[tokio::test]
async fn a_mail_is_taken_and_shown_without_its_markup() {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let stage = Stage::with(roost_simulator::SimConfig {
        smtp_listen: Some(listen),
        ..config()
    })
    .await;
    let address = stage.simulator.smtp().expect("it takes mail");
    let answers = hand_in(
        address,
        &[
            "EHLO me",
            "DATA",
            "MAIL FROM:<roost@x.example>",
            "RCPT TO:<ana@x.example>",
            "NONSENSE",
            "DATA",
            "Subject: Hello <b>",
            "From: Roost <roost@x.example>",
            "",
            "<script>alert(1)</script>",
            "..a dot and https://roost.example/#token=abc",
            ".",
            "QUIT",
        ],
    )
    .await;
    assert_eq!(
        answers,
        [
            "220", "250", "503", "250", "250", "502", "354", "250", "221"
        ]
    );
    let page = async |path: &str| {
        let url = format!("{}{path}", stage.simulator.url());
        let answer = stage.http.get(url).send().await.expect("an answer");
        answer.text().await.expect("a text")
    };
    let list = page("/mailbox").await;
    assert!(
        list.contains("Hello &lt;b&gt;") && list.contains("ana@x.example"),
        "{list}"
    );
    let mail = page("/mailbox/1").await;
    assert!(!mail.contains("<script>alert"), "{mail}");
    assert!(
        mail.contains("\n.a dot and <a href=\"https://roost.example/#token=abc\""),
        "{mail}"
    );
    let all: serde_json::Value =
        serde_json::from_str(&page("/sim/mails").await).expect("a document");
    assert_eq!(all[0]["to"], serde_json::json!(["ana@x.example"]));
    stage.simulator.stop().await;
}
