use crate::support::{Running, SECRET, dead_bus, dm, post_of};
use roost_platforms::x::signature;
use roost_service::Metrics;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn role() -> Running {
    let metrics = Metrics::new();
    Running::start(dead_bus(&metrics), None, metrics)
}

/// Sends bytes and reads the answer's head.
async fn raw(role: &Running, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(role.address).await.unwrap();
    // The server may answer and close before all is sent.
    stream.write_all(bytes).await.ok();
    let mut answer = vec![0; 4096];
    let mut length = 0;
    let reading = async {
        while !answer[..length].windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read(&mut answer[length..]).await {
                Ok(n @ 1..) => length += n,
                Ok(0) | Err(_) => break,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading)
        .await
        .expect("no answer");
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("closed")
}

#[tokio::test]
async fn a_wrong_or_missing_signature_is_401() {
    let role = role();
    let body = post_of("7001", &[dm(1, "7001", "42", "a")]);
    let other = signature::sign(&SECRET.into(), b"something else");
    let bare = signature::sign(&SECRET.into(), body.as_bytes()).replace("sha256=", "");
    for signed in ["", "sha256=", "nonsense", other.as_str(), bare.as_str()] {
        assert_eq!(
            role.post_signed(&body, signed).await.status(),
            401,
            "{signed}"
        );
    }
    let unsigned = reqwest::Client::new()
        .post(role.url("/webhooks/x/main"))
        .body(body)
        .send();
    assert_eq!(unsigned.await.unwrap().status(), 401);
    assert!(role.counts("roost_ingester_webhooks_total{result=\"unauthorized\"} 6"));
    role.finish().await;
}

#[tokio::test]
async fn signed_bytes_that_are_no_document_are_400() {
    let role = role();
    for body in ["", "{", "not json", "17", "null", &"[".repeat(5_000)] {
        assert_eq!(role.post(body).await.status(), 400, "{body:.20}");
    }
    let broken = "{\"a\":\"\u{fffd}".as_bytes();
    let signed = signature::sign(&SECRET.into(), broken);
    let response = reqwest::Client::new()
        .post(role.url("/webhooks/x/main"))
        .header(signature::HEADER, signed)
        .body(broken.to_vec());
    assert_eq!(response.send().await.unwrap().status(), 400);
    role.finish().await;
}

#[tokio::test]
async fn an_empty_secret_verifies_nobody() {
    let role = role();
    let body = post_of("7001", &[dm(1, "7001", "42", "a")]);
    let response = reqwest::Client::new()
        .post(role.url("/webhooks/x/empty"))
        .header(
            signature::HEADER,
            signature::sign(&"".into(), body.as_bytes()),
        )
        .body(body)
        .send();
    assert_eq!(response.await.unwrap().status(), 404);
    role.finish().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_announced_or_not() {
    let role = role();
    let announced = raw(
        &role,
        b"POST /webhooks/x/main HTTP/1.1\r\nhost: a\r\ncontent-length: 8388609\r\n\r\n{",
    );
    assert_eq!(status(&announced.await), "413");
    let mut chunked =
        b"POST /webhooks/x/main HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..9 {
        chunked.extend_from_slice(b"100000\r\n");
        chunked.extend(std::iter::repeat_n(b' ', 0x10_0000));
        chunked.extend_from_slice(b"\r\n");
    }
    assert_eq!(status(&raw(&role, &chunked).await), "413");
    let full = " ".repeat(8 * 1024 * 1024);
    assert_eq!(
        role.post(&full).await.status(),
        400,
        "the limit itself is allowed"
    );
    role.finish().await;
}

#[tokio::test]
async fn a_compressed_body_is_not_unpacked() {
    let role = role();
    // gzip of `{}`
    let body: [u8; 22] = [
        31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 171, 174, 5, 0, 67, 191, 166, 163, 2, 0, 0, 0,
    ];
    let response = reqwest::Client::new()
        .post(role.url("/webhooks/x/main"))
        .header(signature::HEADER, signature::sign(&SECRET.into(), &body))
        .header("content-encoding", "gzip")
        .body(body.to_vec())
        .send();
    assert_eq!(response.await.unwrap().status(), 400);
    role.finish().await;
}

#[tokio::test]
async fn slow_heads_and_slow_bodies_are_cut() {
    let role = role();
    let slow_head = raw(&role, b"POST /webhooks/x/main HTTP/1.1\r\nhost: a\r\n");
    let slow_body = raw(
        &role,
        b"POST /webhooks/x/main HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{",
    );
    let (head, body) = tokio::join!(slow_head, slow_body);
    assert_eq!((status(&head), status(&body)), ("408", "408"));
    role.finish().await;
}

#[tokio::test]
async fn ambiguous_and_oversized_heads_are_refused() {
    let role = role();
    let post = "POST /webhooks/x/main HTTP/1.1\r\nhost: a\r\n";
    for headers in [
        "content-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        "content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "content-length: +2\r\n\r\n{}",
        "content-length: -1\r\n\r\n",
        "transfer-encoding: gzip\r\n\r\n",
    ] {
        let answer = raw(&role, format!("{post}{headers}").as_bytes()).await;
        assert_eq!(status(&answer), "400", "{headers}");
    }
    let large = format!("{post}x-large: {}\r\n\r\n", "a".repeat(40 * 1024));
    assert_eq!(status(&raw(&role, large.as_bytes()).await), "431");
    role.finish().await;
}
