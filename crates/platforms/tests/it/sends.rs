//! Every way in which a send can end.

use roost_platforms::x::client::{
    Button, QuickReply, RefusalCode, Retry, SendApi, SendOptions, SendOutcome, SendReport,
};
use roost_platforms::x::snowflake;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::server::{Act, Server, answer, client, user};

const ID: &str = "1900000000000000001";

async fn send(act: Act) -> (SendReport, usize) {
    let server = Server::doing(vec![act]).await;
    let report = server
        .client()
        .send_dm(&user(), "42", "hello", &SendOptions::default())
        .await;
    (report, server.requests().len())
}

fn is_unknown(outcome: &SendOutcome) -> bool {
    matches!(outcome, SendOutcome::Unknown { .. })
}

fn refused(outcome: &SendOutcome) -> (RefusalCode, Retry) {
    match outcome {
        SendOutcome::Refused(refusal) => (refusal.code, refusal.retry),
        other @ (SendOutcome::Accepted { .. } | SendOutcome::Unknown { .. }) => panic!("{other:?}"),
    }
}

fn body_of(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn an_accepted_message_has_an_id_a_time_and_limits() {
    let reply = json!({"data": {"dm_conversation_id": "1-42", "dm_event_id": ID}}).to_string();
    let headers = "x-rate-limit-limit: 15\r\nx-rate-limit-remaining: 14\r\nx-rate-limit-reset: 1766000000\r\n";
    let server = Server::doing(vec![answer(201, headers, &reply)]).await;
    let report = server
        .client()
        .send_dm(&user(), "42", "h\u{e9}llo & <b>", &SendOptions::default())
        .await;
    let event_no: i64 = ID.parse().unwrap();
    assert_eq!(
        report.outcome,
        SendOutcome::Accepted {
            event_id: ID.to_owned(),
            event_no,
            sent_at: snowflake::time_of(event_no)
        }
    );
    assert_eq!(
        report.limits.map(|limits| (limits.limit, limits.remaining)),
        Some((15, 14))
    );
    let request = &server.requests()[0];
    assert!(
        request.starts_with("POST /2/dm_conversations/with/42/messages HTTP/1.1"),
        "{request}"
    );
    assert!(
        request.contains("authorization: OAuth oauth_consumer_key=\"app-key\""),
        "{request}"
    );
    assert!(request.contains("oauth_token=\"user-token\""), "{request}");
    assert!(
        !request.contains("app-secret") && !request.contains("user-secret"),
        "{request}"
    );
    assert_eq!(body_of(request), json!({"text": "h\u{e9}llo & <b>"}));
}

#[tokio::test]
async fn the_old_call_carries_quick_replies_and_buttons() {
    let reply = json!({"event": {"id": ID, "created_timestamp": "1760000000123"}}).to_string();
    let server = Server::doing(vec![answer(200, "", &reply)]).await;
    let options = SendOptions {
        api: SendApi::V1_1,
        quick_replies: vec![QuickReply {
            label: "Yes".into(),
            description: None,
            metadata: Some("y".into()),
        }],
        buttons: vec![Button {
            label: "Open".into(),
            url: "https://example.com".into(),
        }],
    };
    let report = server
        .client()
        .send_dm(&user(), "42", "ok?", &options)
        .await;
    let SendOutcome::Accepted { sent_at, .. } = report.outcome else {
        panic!("{report:?}")
    };
    assert_eq!(sent_at.as_millisecond(), 1_760_000_000_123);
    let request = &server.requests()[0];
    assert!(
        request.starts_with("POST /1.1/direct_messages/events/new.json HTTP/1.1"),
        "{request}"
    );
    assert_eq!(
        body_of(request)["event"]["message_create"],
        json!({"target": {"recipient_id": "42"}, "message_data": {
            "text": "ok?",
            "quick_reply": {"type": "options", "options": [{"label": "Yes", "metadata": "y"}]},
            "ctas": [{"type": "web_url", "label": "Open", "url": "https://example.com"}],
        }})
    );
}

#[tokio::test]
async fn a_success_that_names_no_event_is_unknown() {
    for body in [
        "",
        "{}",
        "garbage",
        "{\"data\":{}}",
        "{\"data\":{\"dm_event_id\":\"x\"}}",
        "[]",
        "null",
        "{\"errors\":[{\"code\":349}]}",
    ] {
        let (report, requests) = send(answer(200, "", body)).await;
        assert!(is_unknown(&report.outcome), "{body} {report:?}");
        assert_eq!((report.status, requests), (Some(200), 1));
    }
}

#[tokio::test]
async fn server_errors_and_redirects_are_unknown_and_not_repeated() {
    for status in [301, 307, 408, 500, 502, 503, 504] {
        let (report, requests) = send(answer(
            status,
            "location: /elsewhere\r\n",
            "{\"errors\":[{\"code\":131}]}",
        ))
        .await;
        assert!(is_unknown(&report.outcome), "{status} {report:?}");
        assert_eq!((report.status, requests), (Some(status), 1));
    }
}

#[tokio::test]
async fn a_request_that_gets_no_answer_is_unknown_and_not_repeated() {
    for act in [
        Act::Hang,
        Act::Reset,
        Act::Write(String::new()),
        Act::Write("HTTP/1.1 ".into()),
        Act::Write("nonsense\r\n\r\n".into()),
    ] {
        let (report, requests) = send(act.clone()).await;
        assert!(is_unknown(&report.outcome), "{act:?} {report:?}");
        assert_eq!((report.status, requests), (None, 1), "{act:?}");
    }
}

#[tokio::test]
async fn a_reused_connection_that_breaks_is_unknown_and_not_repeated() {
    let ok = json!({"data": {"dm_event_id": ID}}).to_string();
    let keep = Act::Keep(format!(
        "HTTP/1.1 201 X\r\ncontent-length: {}\r\n\r\n{ok}",
        ok.len()
    ));
    for broken in [Act::Reset, Act::Write(String::new()), Act::Hang] {
        let server = Server::doing(vec![keep.clone(), broken.clone()]).await;
        let client = server.client();
        let options = SendOptions::default();
        let first = client.send_dm(&user(), "42", "one", &options).await;
        assert!(
            matches!(first.outcome, SendOutcome::Accepted { .. }),
            "{first:?}"
        );
        let second = client.send_dm(&user(), "42", "two", &options).await;
        assert!(is_unknown(&second.outcome), "{broken:?} {second:?}");
        assert_eq!(server.requests().len(), 2, "{broken:?}");
    }
}

#[tokio::test]
async fn a_success_cut_off_in_its_body_is_unknown() {
    let head = "HTTP/1.1 201 X\r\ncontent-length: 500\r\n\r\n{\"data\":{\"dm_event_id\":\"19";
    let (report, _) = send(Act::Write(head.into())).await;
    assert!(is_unknown(&report.outcome), "{report:?}");
}

#[tokio::test]
async fn a_refusal_cut_off_in_its_body_is_still_certain() {
    let head = "HTTP/1.1 403 X\r\ncontent-length: 500\r\n\r\n{\"errors\":[{\"co";
    let (report, _) = send(Act::Write(head.into())).await;
    assert_eq!(
        refused(&report.outcome),
        (RefusalCode::Forbidden, Retry::Never)
    );
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let (report, _) = send(answer(201, "", &" ".repeat(3 << 20))).await;
    assert!(is_unknown(&report.outcome), "{report:?}");
}

#[tokio::test]
async fn no_connection_is_certain_and_may_be_tried_again() {
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for url in [
        format!("http://127.0.0.1:{port}"),
        "http://no-such-host.invalid".to_owned(),
    ] {
        let report = client(&url)
            .send_dm(&user(), "42", "hello", &SendOptions::default())
            .await;
        assert_eq!(
            refused(&report.outcome),
            (RefusalCode::NotSent, Retry::Backoff),
            "{url}"
        );
        assert!(!format!("{report:?}").contains("42/messages"), "{report:?}");
    }
}

#[tokio::test]
async fn a_failed_handshake_is_certain() {
    let server = Server::doing(vec![answer(400, "", "")]).await;
    let https = server.url.replace("http://", "https://");
    let report = client(&https)
        .send_dm(&user(), "42", "hello", &SendOptions::default())
        .await;
    assert_eq!(
        refused(&report.outcome),
        (RefusalCode::NotSent, Retry::Backoff)
    );
}

#[tokio::test]
async fn refusals_of_x_are_told_by_code() {
    for (status, code, want, retry) in [
        (403, 349, RefusalCode::ContactUnreachable, Retry::Never),
        (403, 150, RefusalCode::ContactUnreachable, Retry::Never),
        (401, 89, RefusalCode::ReauthRequired, Retry::AfterReauth),
        (403, 64, RefusalCode::ChannelSuspended, Retry::Never),
        (403, 151, RefusalCode::SendFailed, Retry::Never),
    ] {
        let body = json!({"errors": [{"code": code, "message": "no"}]}).to_string();
        let (report, requests) = send(answer(status, "", &body)).await;
        assert_eq!((refused(&report.outcome), requests), ((want, retry), 1));
    }
}

#[tokio::test]
async fn a_rate_limit_waits_for_the_reset() {
    let reset = jiff::Timestamp::now().as_second() + 300;
    let headers = format!(
        "x-rate-limit-limit: 15\r\nx-rate-limit-remaining: 0\r\nx-rate-limit-reset: {reset}\r\n"
    );
    let (report, _) = send(answer(429, &headers, "{\"title\":\"Too Many Requests\"}")).await;
    let at = jiff::Timestamp::from_second(reset).unwrap();
    assert_eq!(
        refused(&report.outcome),
        (RefusalCode::RateLimited, Retry::At(at))
    );
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_a_byte_is_written() {
    let server = Server::doing(vec![answer(201, "", "{}")]).await;
    for recipient in ["", "me", "1/../2", "-1"] {
        let report = server
            .client()
            .send_dm(&user(), recipient, "hello", &SendOptions::default())
            .await;
        assert_eq!(
            refused(&report.outcome).0,
            RefusalCode::InvalidRequest,
            "{recipient}"
        );
    }
    let buttons = vec![Button {
        label: "Open".into(),
        url: "https://example.com".into(),
    }];
    let options = SendOptions {
        buttons,
        ..SendOptions::default()
    };
    let report = server
        .client()
        .send_dm(&user(), "42", "hello", &options)
        .await;
    assert_eq!(refused(&report.outcome).0, RefusalCode::UnsupportedByApi);
    assert!(server.requests().is_empty());
}
