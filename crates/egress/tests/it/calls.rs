//! How a call ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use reqwest::dns::{Name, Resolve, Resolving};
use roost_egress::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use roost_egress::{AddressClass, Client, Guard, Method, Phase, Request, SendError, Settings};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

use crate::receiver::{Names, Receiver, get, read_head};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

fn quick() -> Settings {
    Settings {
        connect_timeout: Duration::from_millis(300),
        total_timeout: Duration::from_millis(600),
        ..Settings::default()
    }
}

fn client(allow: &[&str], settings: &Settings, names: Names) -> Client {
    let allow = allow.iter().map(|network| network.parse().unwrap());
    let guard = Guard::new(["support.roost.example"], allow).unwrap();
    Client::with_resolver(guard, settings, names.into()).unwrap()
}

fn dev(settings: &Settings) -> Client {
    client(&["127.0.0.0/8"], settings, Names::default())
}

#[tokio::test]
async fn a_name_that_turns_from_an_allowed_address_to_loopback_reaches_only_the_first() {
    // 127.0.0.2 stands for a public address, since tests can't call one.
    let public = Receiver::answering("127.0.0.2:0", OK).await;
    let inside = format!("127.0.0.1:{}", public.address.port());
    let inside = Receiver::answering(&inside, OK).await;
    let names = Names::default().with("rebind.example", &[&["127.0.0.2"], &["127.0.0.1"]]);
    let asked = Arc::clone(&names.asked);
    let client = client(&["127.0.0.2/32"], &Settings::default(), names);
    let url = format!("http://rebind.example:{}/", public.address.port());
    client.guard().check_url(&url).unwrap();
    assert_eq!(client.send(get(&url)).await.unwrap().body, b"ok");
    assert_eq!(
        asked.load(Ordering::Relaxed),
        1,
        "asked once: what was checked was called"
    );
    let refused = client.send(get(&url)).await.unwrap_err();
    let SendError::RefusedAddress { address, class } = refused else {
        panic!("{refused}")
    };
    assert_eq!(
        (address.to_string().as_str(), class),
        ("127.0.0.1", AddressClass::Loopback)
    );
    assert_eq!((public.taken(), inside.taken()), (1, 0));
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_even_by_one_of_its_addresses() {
    for (answer, class) in [
        (&["127.0.0.1"][..], AddressClass::Loopback),
        (&["8.8.8.8", "10.0.0.1"], AddressClass::Private),
        (&["fd00::1", "2606:4700::1111"], AddressClass::UniqueLocal),
        (&["169.254.169.254"], AddressClass::Metadata),
        (&["::ffff:8.8.8.8"], AddressClass::Mapped),
    ] {
        let names = Names::default().with("mixed.example", &[answer]);
        let refused = client(&[], &quick(), names)
            .send(get("https://mixed.example/"))
            .await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), "address_refused");
        assert!(
            matches!(refused, SendError::RefusedAddress { class: c, .. } if c == class),
            "{answer:?}: {refused}"
        );
    }
}

#[tokio::test]
async fn a_name_outside_of_the_allowed_networks_gets_no_plain_http() {
    let names = Names::default().with("hooks.example", &[&["8.8.8.8"]]);
    let client = client(&["127.0.0.0/8"], &quick(), names);
    for url in ["http://hooks.example/", "https://hooks.example:3000/"] {
        let refused = client.send(get(url)).await.unwrap_err();
        assert!(
            matches!(refused, SendError::NotAllowed { .. }),
            "{url}: {refused}"
        );
    }
}

#[tokio::test]
async fn an_unknown_name_is_a_dns_failure() {
    let refused = client(&[], &quick(), Names::default())
        .send(get("https://nobody.example/"))
        .await
        .unwrap_err();
    assert!(matches!(refused, SendError::Dns(Some(_))), "{refused}");
    let names = Names::default().with("empty.example", &[&[]]);
    let refused = client(&[], &quick(), names)
        .send(get("https://empty.example/"))
        .await
        .unwrap_err();
    assert!(matches!(refused, SendError::Dns(None)), "{refused}");
}

#[tokio::test]
async fn a_redirect_is_refused_and_not_followed() {
    let inside = Receiver::answering("127.0.0.1:0", OK).await;
    let metadata = Receiver::answering(
        "127.0.0.1:0",
        "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/meta-data/\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let (asked, mut location) = mpsc::channel(1);
    let to_inside = inside.url();
    let other = Receiver::start("127.0.0.1:0", move |mut stream| {
        let (asked, to) = (asked.clone(), to_inside.clone());
        async move {
            let head = read_head(&mut stream).await;
            let answer = format!("HTTP/1.1 307 Go\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.ok();
            asked.send(head).await.ok();
        }
    })
    .await;
    for (receiver, status) in [(&metadata, 302), (&other, 307)] {
        let refused = dev(&quick()).send(get(&receiver.url())).await.unwrap_err();
        assert!(
            matches!(refused, SendError::Redirect { status: s } if s == status),
            "{refused}"
        );
        assert_eq!(receiver.taken(), 1);
    }
    assert!(location.recv().await.unwrap().starts_with("GET / HTTP/1.1"));
    assert_eq!(inside.taken(), 0);
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_cut_at_the_limit() {
    let silent = Receiver::start("127.0.0.1:0", |mut stream| async move {
        read_head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let started = Instant::now();
    let error = dev(&quick()).send(get(&silent.url())).await.unwrap_err();
    assert!(
        matches!(error, SendError::Timeout(Phase::Answering)),
        "{error}"
    );
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_name_or_a_tls_greeting_that_never_comes_is_cut_sooner() {
    struct Silent;
    impl Resolve for Silent {
        fn resolve(&self, _: Name) -> Resolving {
            Box::pin(std::future::pending())
        }
    }
    let settings = Settings {
        connect_timeout: Duration::from_millis(300),
        ..Settings::default()
    };
    let guard = Guard::new(["support.roost.example"], []).unwrap();
    let nameless = Client::with_resolver(guard, &settings, Arc::new(Silent)).unwrap();
    let mute = Receiver::start("127.0.0.1:0", |mut stream| async move {
        // It reads, and the connection stays open.
        read_head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let greeting = format!("https://{}/", mute.address);
    for (client, url) in [
        (nameless, "https://hooks.example/"),
        (dev(&settings), greeting.as_str()),
    ] {
        let error = client.send(get(url)).await.unwrap_err();
        assert!(
            matches!(error, SendError::Timeout(Phase::Connecting)),
            "{url}: {error}"
        );
    }
}

#[tokio::test]
async fn a_body_that_drips_is_cut_at_the_limit() {
    let slow = Receiver::start("127.0.0.1:0", |mut stream| async move {
        read_head(&mut stream).await;
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.ok();
        while stream.write_all(b".").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let error = dev(&quick()).send(get(&slow.url())).await.unwrap_err();
    assert!(
        matches!(error, SendError::Timeout(Phase::Answering)),
        "{error}"
    );
}

#[tokio::test]
async fn a_body_without_end_is_cut_at_the_limit_and_a_long_one_not_even_begun() {
    let endless = Receiver::start("127.0.0.1:0", |mut stream| async move {
        read_head(&mut stream).await;
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.ok();
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
        while stream.write_all(chunk.as_bytes()).await.is_ok() {}
    })
    .await;
    let announced = Receiver::answering(
        "127.0.0.1:0",
        "HTTP/1.1 201 Created\r\ncontent-length: 65537\r\n\r\n",
    )
    .await;
    let settings = Settings::default();
    for (receiver, expected) in [(&endless, 200), (&announced, 201)] {
        let error = dev(&settings).send(get(&receiver.url())).await.unwrap_err();
        assert!(
            matches!(error, SendError::TooLarge { status, limit: 65_536 } if status == expected),
            "{error}"
        );
    }
    let small = Receiver::answering("127.0.0.1:0", OK).await;
    let exact = Settings {
        max_body: 2,
        ..Settings::default()
    };
    assert_eq!(
        dev(&exact).send(get(&small.url())).await.unwrap().body,
        b"ok"
    );
}

#[tokio::test]
async fn who_is_not_there_or_hangs_up_or_speaks_something_else_is_told_apart() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = free.local_addr().unwrap();
    drop(free);
    let error = dev(&quick()).send(get(&format!("http://{closed}/"))).await;
    assert!(matches!(error, Err(SendError::Connect(_))), "{error:?}");
    let hangs_up = Receiver::answering("127.0.0.1:0", "").await;
    let junk = Receiver::answering("127.0.0.1:0", "220 mail.example ESMTP\r\n").await;
    for receiver in [&hangs_up, &junk] {
        let error = dev(&quick()).send(get(&receiver.url())).await.unwrap_err();
        assert!(matches!(error, SendError::Broken(_)), "{error}");
        assert_eq!(receiver.taken(), 1, "never repeated");
    }
    let plain = Receiver::start("127.0.0.1:0", |mut stream| async move {
        stream.write_all(OK.as_bytes()).await.ok();
        read_head(&mut stream).await;
    })
    .await;
    let url = format!("https://{}/", plain.address);
    let error = dev(&Settings::default()).send(get(&url)).await.unwrap_err();
    assert_eq!(error.code(), "tls_failed", "{error}");
}

#[tokio::test]
async fn a_call_carries_its_body_and_headers_but_not_the_connections() {
    let (asked, mut heads) = mpsc::channel(1);
    let receiver = Receiver::start("127.0.0.1:0", move |mut stream| {
        let asked = asked.clone();
        async move {
            let head = read_head(&mut stream).await;
            stream.write_all(OK.as_bytes()).await.ok();
            asked.send(head).await.ok();
        }
    })
    .await;
    let headers = HeaderMap::from_iter([
        (HOST, HeaderValue::from_static("inside.example")),
        (
            HeaderName::from_static("webhook-id"),
            HeaderValue::from_static("evt_1"),
        ),
    ]);
    let answer = dev(&Settings::default())
        .send(Request {
            method: Method::POST,
            url: format!("{}?key=canary-secret", receiver.url()),
            headers,
            body: b"{}".to_vec(),
        })
        .await
        .unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"ok"[..]));
    let head = heads.recv().await.unwrap().to_lowercase();
    for line in [
        "webhook-id: evt_1",
        "content-length: 2",
        "user-agent: roost/",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert!(
        head.contains(&format!("host: {}", receiver.address)),
        "{head}"
    );
    assert!(!head.contains("inside.example"));
    // What goes wrong doesn't spell out the URL.
    let error = dev(&quick())
        .send(get("http://127.0.0.1:1/?key=canary-secret"))
        .await;
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
}
