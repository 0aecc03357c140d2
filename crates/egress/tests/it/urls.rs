//! The table of URLs.

use std::sync::atomic::Ordering;

use roost_egress::{BadOwnHost, Client, Guard, RefusedUrl, SendError, Settings};

use crate::receiver::{Names, get};

const OWN: [&str; 3] = [
    "https://support.roost.example",
    "hooks.roost.example:8443",
    "8.8.4.4",
];

fn cases() -> Vec<(&'static str, String)> {
    include_str!("urls.txt")
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (expected, url) = line.split_once(' ').unwrap();
            let url = url
                .trim()
                .replace("<sp>", " ")
                .replace("<tab>", "\t")
                .replace("<nl>", "\n")
                .replace("<nul>", "\0");
            (expected, url)
        })
        .collect()
}

fn outcome(refused: &RefusedUrl) -> &'static str {
    if let RefusedUrl::Address { class, .. } = refused {
        class.as_str()
    } else {
        refused.code()
    }
}

#[test]
fn every_url_of_the_table_is_taken_or_refused_for_its_reason() {
    let guard = Guard::new(OWN, []).unwrap();
    let cases = cases();
    assert!(cases.len() > 80, "{} cases", cases.len());
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(expected, url)| {
            let checked = guard.check_url(url);
            let got = checked.as_ref().map_or_else(outcome, |_| "ok");
            (got != *expected).then(|| format!("{url}: {got} instead of {expected}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_was_taken_is_taken_again_in_its_normal_form() {
    let guard = Guard::new(OWN, []).unwrap();
    for (_, url) in cases().iter().filter(|(expected, _)| *expected == "ok") {
        let normal = guard.check_url(url).unwrap();
        assert_eq!(guard.check_url(normal.as_str()).unwrap(), normal, "{url}");
        assert!(!normal.host_str().unwrap().ends_with('.'), "{url}");
    }
}

#[tokio::test]
async fn what_is_refused_when_saved_is_refused_when_called_and_nobody_is_asked() {
    let names = Names::default();
    let asked = names.asked.clone();
    let guard = Guard::new(OWN, []).unwrap();
    let client = Client::with_resolver(guard, &Settings::default(), names.into()).unwrap();
    for (expected, url) in cases().iter().filter(|(expected, _)| *expected != "ok") {
        let refused = client.send(get(url)).await.unwrap_err();
        let SendError::Refused(why) = refused else {
            panic!("{url}: {refused}")
        };
        assert_eq!(outcome(&why), *expected, "{url}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[test]
fn an_allowed_network_opens_http_and_any_port_for_itself_alone() {
    let guard = Guard::new(OWN, ["127.0.0.0/8".parse().unwrap()]).unwrap();
    for url in [
        "http://127.0.0.1/",
        "http://127.1:3000/hook",
        "https://127.0.0.1:9000/",
        "http://localhost:3000/",
        "https://localhost/",
        "https://hooks.example/",
    ] {
        assert!(guard.check_url(url).is_ok(), "{url}");
    }
    for (url, expected) in [
        ("http://8.8.8.8/", "url_scheme"),
        ("https://8.8.8.8:3000/", "url_port"),
        ("http://10.0.0.1/", "private"),
        ("https://[::1]/", "loopback"),
        ("http://[::ffff:127.0.0.1]/", "mapped"),
        ("ftp://127.0.0.1/", "url_scheme"),
        ("http://user@127.0.0.1/", "url_user_info"),
        ("http://support.roost.example/", "url_own_host"),
        ("http://8.8.4.4/", "url_own_host"),
    ] {
        let refused = guard.check_url(url).unwrap_err();
        assert_eq!(outcome(&refused), expected, "{url}");
    }
}

#[test]
fn a_long_url_and_an_own_host_that_is_none_are_refused() {
    let guard = Guard::new(OWN, []).unwrap();
    let long = format!("https://hooks.example/{}", "x".repeat(2_048));
    assert_eq!(guard.check_url(&long), Err(RefusedUrl::TooLong));
    let label = format!("https://{}.example/", "x".repeat(64));
    assert_eq!(guard.check_url(&label), Err(RefusedUrl::Malformed));
    let bad = Guard::new(["ok.example", "not a host"], []).unwrap_err();
    assert_eq!(bad, BadOwnHost("not a host".to_owned()));
}
