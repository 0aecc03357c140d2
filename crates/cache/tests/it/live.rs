use roost_cache::{Cache, Ephemeral, RateLimit, Source};
use roost_service::Metrics;
use std::time::{Duration, Instant};
use uuid::Uuid;

const LIMIT: RateLimit = RateLimit {
    scope: "test",
    count: 5,
    period: Duration::from_secs(1),
    burst: 5,
};

async fn cache(prefix: &str) -> Cache {
    let url = std::env::var("ROOST_TEST_REDIS_URL")
        .expect("ROOST_TEST_REDIS_URL is not set: run the tests with `cargo xtask test`");
    let cache = Cache::start(&url.into(), prefix, &Metrics::new()).unwrap();
    assert!(cache.wait_up(Duration::from_secs(10)).await);
    cache
}

fn own_prefix() -> String {
    format!("t{}", Uuid::new_v4().simple())
}

#[tokio::test]
async fn an_allowance_is_shared_between_processes_and_refills() {
    let prefix = own_prefix();
    let (one, two) = (cache(&prefix).await, cache(&prefix).await);
    let brand = Some(Uuid::new_v4());
    let mut allowed = 0;
    for n in 0..10 {
        let cache = if n % 2 == 0 { &one } else { &two };
        let decision = cache.allow(&LIMIT, brand, "k", 1).await;
        assert_eq!(decision.source, Source::Redis);
        allowed += u32::from(decision.allowed);
        if !decision.allowed {
            assert!(decision.retry_after > Duration::ZERO);
            assert!(decision.retry_after <= Duration::from_millis(200));
        }
    }
    // One more may have come back while we asked.
    assert!((5..=7).contains(&allowed), "{allowed} of 10");
    let other = one.allow(&LIMIT, Some(Uuid::new_v4()), "k", 1).await;
    assert!(other.allowed, "another brand has its own allowance");
    assert_eq!(other.remaining, 4);
    let refused = one.allow(&LIMIT, brand, "k", 5).await;
    assert!(!refused.allowed);
    tokio::time::sleep(refused.retry_after + Duration::from_millis(20)).await;
    assert!(one.allow(&LIMIT, brand, "k", 5).await.allowed);
}

#[tokio::test]
async fn without_redis_the_process_limits_by_itself_and_at_once() {
    let url = "redis://127.0.0.1:9/".to_owned();
    let cache = Cache::start(&url.into(), "gone", &Metrics::new()).unwrap();
    let started = Instant::now();
    let mut allowed = 0;
    for _ in 0..20 {
        let decision = cache.allow(&LIMIT, None, "k", 1).await;
        assert_eq!(decision.source, Source::Local);
        allowed += u32::from(decision.allowed);
    }
    assert_eq!(allowed, 2, "half the burst");
    cache.publish_ephemeral(Uuid::nil(), "{}").await;
    assert!(started.elapsed() < Duration::from_millis(500));
    assert!(!cache.is_up());
}

#[tokio::test]
async fn what_one_process_says_another_hears() {
    let prefix = own_prefix();
    let (one, two) = (cache(&prefix).await, cache(&prefix).await);
    let mut heard = two.subscribe_ephemeral();
    let brand = Uuid::new_v4();
    let expected = Ephemeral::Message {
        brand,
        json: r#"{"typing":true}"#.to_owned(),
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    // What is said before the subscription stands is lost: say it again.
    loop {
        one.publish_ephemeral(brand, r#"{"typing":true}"#).await;
        match tokio::time::timeout(Duration::from_millis(50), heard.next()).await {
            Ok(message) => break assert_eq!(message, expected),
            Err(_) => assert!(Instant::now() < deadline, "nothing heard"),
        }
    }
}

/// Carries bytes to Redis until `cut` changes; then accepts anew.
async fn proxy(target: String, cut: tokio::sync::watch::Receiver<u32>) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (target, mut cut) = (target.clone(), cut.clone());
            cut.mark_unchanged();
            tokio::spawn(async move {
                let mut server = tokio::net::TcpStream::connect(target).await.unwrap();
                let carrying = tokio::io::copy_bidirectional(&mut client, &mut server);
                tokio::select! {
                    _ = carrying => {}
                    _ = cut.changed() => {}
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_cut_subscription_comes_back_and_says_that_it_missed_something() {
    let url = std::env::var("ROOST_TEST_REDIS_URL").unwrap();
    let (start, rest) = url.rsplit_once('@').expect("the URL has a password");
    let (target, database) = rest.split_once('/').unwrap_or((rest, "0"));
    let (cut, cuts) = tokio::sync::watch::channel(0);
    let address = proxy(target.to_owned(), cuts).await;
    let url = format!("{start}@{address}/{database}");
    let cache = Cache::start(&url.into(), own_prefix(), &Metrics::new()).unwrap();
    assert!(cache.wait_up(Duration::from_secs(10)).await);
    let mut heard = cache.subscribe_ephemeral();
    let brand = Uuid::new_v4();
    let mut reconnected = false;
    let mut cut_once = false;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        assert!(Instant::now() < deadline, "nothing heard");
        cache.publish_ephemeral(brand, "{}").await;
        match tokio::time::timeout(Duration::from_millis(50), heard.next()).await {
            Ok(Ephemeral::Message { .. }) if !cut_once => {
                cut.send_replace(1);
                cut_once = true;
            }
            Ok(Ephemeral::Message { .. }) if reconnected => break,
            Ok(Ephemeral::Reconnected) => reconnected = true,
            Ok(Ephemeral::Message { .. }) | Err(_) => {}
        }
    }
}
