use serde_json::json;

use super::*;
use RefusalCode as C;

const NOW: i64 = 1_760_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn reply(status: u16, body: &Value, reset: Option<i64>) -> Reply {
    let limits = reset.map(|reset| RateLimits {
        limit: 15,
        remaining: 0,
        reset_at: Timestamp::from_second(reset).unwrap(),
    });
    Reply {
        status,
        limits,
        body: body.to_string().into_bytes(),
    }
}

fn coded(status: u16, code: i64) -> Option<(C, Retry)> {
    let body = json!({"errors": [{"code": code, "message": "some words"}]});
    refusal(&reply(status, &body, None), now()).map(|refusal| {
        assert_eq!(
            (refusal.platform_code, refusal.detail.as_str()),
            (Some(code), "some words")
        );
        (refusal.code, refusal.retry)
    })
}

fn typed(status: u16, kind: &str) -> Option<C> {
    let body = json!({"title": "T", "detail": "D", "type": format!("https://api.x.com/2/problems/{kind}"), "status": status});
    refusal(&reply(status, &body, None), now()).map(|refusal| refusal.code)
}

#[test]
fn the_numeric_code_decides() {
    let hours = |n: u32| Retry::After(n * HOUR);
    for (status, code, want, retry) in [
        (403, 349, C::ContactUnreachable, Retry::Never),
        (403, 150, C::ContactUnreachable, Retry::Never),
        (404, 50, C::ContactUnreachable, Retry::Never),
        (403, 63, C::ContactUnreachable, Retry::Never),
        (403, 108, C::ContactUnreachable, Retry::Never),
        (403, 389, C::ContactBlocked, Retry::Never),
        (403, 64, C::ChannelSuspended, Retry::Never),
        (403, 326, C::ChannelLocked, Retry::Never),
        (403, 214, C::ChannelSettings, Retry::Never),
        (403, 226, C::LooksAutomated, hours(4)),
        (403, 185, C::DailyLimit, hours(24)),
        (401, 89, C::ReauthRequired, Retry::AfterReauth),
        (403, 89, C::ReauthRequired, Retry::AfterReauth),
        (401, 32, C::ReauthRequired, Retry::AfterReauth),
        (400, 215, C::AppMisconfigured, Retry::After(HOUR / 12)),
        (401, 135, C::AppMisconfigured, Retry::After(HOUR / 12)),
        (403, 99, C::AppMisconfigured, Retry::After(HOUR / 12)),
        (403, 93, C::PermissionMissing, Retry::AfterReauth),
        (403, 220, C::PermissionMissing, Retry::AfterReauth),
        (403, 87, C::AppRestricted, Retry::Never),
        (403, 261, C::AppRestricted, Retry::Never),
        (401, 416, C::AppRestricted, Retry::Never),
        (403, 151, C::SendFailed, Retry::Never),
        (403, 354, C::TextTooLong, Retry::Never),
        (400, 323, C::MediaRejected, Retry::Never),
        (400, 325, C::MediaRejected, Retry::Never),
        (404, 34, C::NotFound, Retry::Never),
        (403, 9999, C::Forbidden, Retry::Never),
    ] {
        assert_eq!(coded(status, code), Some((want, retry)), "{status} {code}");
    }
}

#[test]
fn what_may_have_been_obeyed_is_no_refusal() {
    for (status, code) in [
        (503, 130),
        (500, 131),
        (403, 130),
        (400, 131),
        (403, 187),
        (500, 349),
        (200, 349),
    ] {
        assert_eq!(coded(status, code), None, "{status} {code}");
    }
    for status in [200, 201, 204, 301, 302, 307, 408, 500, 502, 503, 504, 599] {
        assert_eq!(
            refusal(&reply(status, &json!({}), None), now()),
            None,
            "{status}"
        );
    }
}

#[test]
fn without_a_code_the_problem_type_decides_and_then_the_status() {
    for (status, kind, want) in [
        (429, "usage-capped", C::UsageCapped),
        (429, "rate-limit-exceeded", C::RateLimited),
        (403, "client-forbidden", C::AppRestricted),
        (403, "oauth1-permissions", C::PermissionMissing),
        (403, "not-authorized-for-resource", C::Forbidden),
        (404, "resource-not-found", C::ContactUnreachable),
        (400, "invalid-request", C::InvalidRequest),
        (401, "unheard-of", C::ReauthRequired),
        (403, "unheard-of", C::Forbidden),
        (404, "unheard-of", C::NotFound),
        (429, "unheard-of", C::RateLimited),
        (413, "unheard-of", C::InvalidRequest),
    ] {
        assert_eq!(typed(status, kind), Some(want), "{status} {kind}");
    }
}

#[test]
fn any_body_is_taken() {
    for body in [
        &b""[..],
        b"<html>",
        b"[]",
        b"null",
        b"{\"errors\":{}}",
        b"{\"errors\":[null,7]}",
        b"\xff",
    ] {
        let reply = Reply {
            status: 403,
            limits: None,
            body: body.to_vec(),
        };
        let refusal = refusal(&reply, now()).unwrap();
        assert_eq!(
            (refusal.code, refusal.detail.as_str()),
            (C::Forbidden, "status 403"),
            "{body:?}"
        );
    }
}

#[test]
fn a_limit_ends_when_the_header_says_within_reason() {
    let end = |reset| {
        refusal(&reply(429, &json!({}), reset), now())
            .unwrap()
            .retry
    };
    let at = |seconds| Retry::At(Timestamp::from_second(NOW + seconds).unwrap());
    assert_eq!(end(Some(NOW + 300)), at(300));
    assert_eq!(end(Some(NOW - 300)), at(1));
    assert_eq!(end(Some(NOW + 999_999_999)), at(86_400));
    assert_eq!(end(None), at(900));
    assert_eq!(coded(403, 88), Some((C::RateLimited, at(900))));
}

#[test]
fn a_code_may_be_a_string_and_words_are_cut() {
    let body = json!({"errors": [{"code": "349", "message": "w".repeat(900)}]});
    let refusal = refusal(&reply(403, &body, None), now()).unwrap();
    assert_eq!(
        (refusal.code, refusal.detail.len()),
        (C::ContactUnreachable, 200)
    );
}

#[test]
fn refusals_say_whom_they_concern() {
    use super::super::Scope;
    assert_eq!(C::RateLimited.scope(), Scope::Channel);
    assert_eq!(C::ContactUnreachable.scope(), Scope::Contact);
    assert_eq!(C::AppRestricted.scope(), Scope::App);
    assert_eq!(
        (C::SendFailed.scope(), C::SendFailed.as_str()),
        (Scope::Message, "send_failed")
    );
}
