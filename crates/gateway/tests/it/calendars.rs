//! Calendars: hours, holidays, special days, in versions; what they mean day by day.

use reqwest::Method;
use roost_domain::ids::CalendarId;
use serde_json::{Value, json};

use crate::customer::writes;
use crate::harness::{Answer, Brand, Gateway, Person};

const CALENDARS: &str = "/v1/calendars";

fn office() -> Value {
    let day = json!([{ "from": "09:00", "to": "12:30" }, { "from": "13:30", "to": "17:30" }]);
    json!({
        "name": "Office",
        "time_zone": "Europe/Berlin",
        "week": { "monday": day, "tuesday": day, "wednesday": day, "thursday": day, "friday": day },
        "holidays": [
            { "name": "New Year's Day", "date": "2026-01-01", "yearly": true },
            { "name": "Good Friday", "date": "2026-04-03" },
        ],
        "special_days": [{ "name": "Stocktaking", "date": "2026-03-28", "hours": [{ "from": "10:00", "to": "24:00" }] }],
    })
}

async fn make(gateway: &Gateway, who: &Person, body: Value) -> String {
    let made = gateway.post(who, CALENDARS, body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    format!("{CALENDARS}/{}", made.body["id"].as_str().unwrap())
}

fn refusal(answer: &Answer) -> (u16, &str) {
    (answer.status.as_u16(), answer.code())
}

fn calendar_lines(lines: &[(String, String)]) -> Vec<&str> {
    let actions = lines.iter().map(|(action, _)| action.as_str());
    actions.filter(|one| one.starts_with("calendar")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_calendar_lives_from_its_making_to_its_end_in_versions() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let lead = gateway.member(&brand, "supervisor").await;
    let made = gateway.post(&lead, CALENDARS, office()).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.headers["etag"], "\"1\"");
    let path = format!("{CALENDARS}/{}", made.body["id"].as_str().unwrap());
    for (field, value) in office().as_object().unwrap() {
        let shown = &made.body[field];
        if field == "week" {
            assert_eq!(
                (&shown["monday"], &shown["sunday"]),
                (&value["monday"], &json!([]))
            );
        } else if field == "holidays" {
            assert_eq!(shown[1]["yearly"], false);
        } else {
            assert_eq!(shown, value, "{field}");
        }
    }
    assert_eq!(gateway.get(&lead, &path).await.body, made.body);
    let taken = gateway.post(
        &lead,
        CALENDARS,
        json!({ "name": "OFFICE", "time_zone": "UTC", "week": office()["week"] }),
    );
    let taken = taken.await;
    assert_eq!(
        (refusal(&taken), taken.pointers()),
        ((409, "name_taken"), vec!["/name"])
    );

    // A day of the week is changed by itself; lists are replaced as a whole.
    let saturday = json!([{ "from": "10:00", "to": "14:00" }]);
    let patch = json!({ "week": { "saturday": saturday, "friday": null }, "holidays": [] });
    let patched = gateway.patch(&lead, &path, patch).await;
    assert_eq!(patched.status, 200, "{}", patched.text);
    assert_eq!(patched.body["version"], 2);
    let week = &patched.body["week"];
    assert_eq!(
        (&week["saturday"], &week["friday"]),
        (&saturday, &json!([]))
    );
    assert_eq!(week["monday"], made.body["week"]["monday"]);
    assert_eq!(patched.body["holidays"], json!([]));
    let same = gateway
        .patch(&lead, &path, json!({ "time_zone": "Europe/Berlin" }))
        .await;
    assert_eq!(same.body["version"], 2);

    let versions = gateway
        .get(&lead, &format!("{path}/versions?limit=1"))
        .await;
    assert_eq!(versions.body["data"][0]["version"], 2);
    let cursor = versions.body["next_cursor"].as_str().unwrap();
    let older = gateway
        .get(&lead, &format!("{path}/versions?cursor={cursor}"))
        .await;
    let older = &older.body["data"][0];
    assert_eq!(
        (&older["version"], &older["created_by"]),
        (&json!(1), &json!(lead.member))
    );
    assert_eq!(older["holidays"], made.body["holidays"]);

    assert_eq!(gateway.delete(&lead, &path).await.status, 204);
    for gone in [&path, &format!("{path}/preview")] {
        assert_eq!(gateway.get(&lead, gone).await.status, 404);
    }
    assert_eq!(gateway.delete(&lead, &path).await.status, 404);
    assert!(gateway.get(&lead, CALENDARS).await.ids().is_empty());
    // Clocks that have ended are explained by its versions.
    let versions = gateway.get(&lead, &format!("{path}/versions")).await;
    assert_eq!(versions.body["data"].as_array().unwrap().len(), 2);
    // And its name is free again.
    make(&gateway, &lead, office()).await;
    let told = gateway.audit(&brand).await;
    assert_eq!(
        calendar_lines(&told),
        [
            "calendar.created",
            "calendar.deleted",
            "calendar.changed",
            "calendar.created"
        ]
    );
    let lines = gateway
        .get(&brand.owner, "/v1/audit-log?action=calendar.changed")
        .await;
    let line = &lines.body["data"][0];
    assert_eq!(line["after"]["holidays"], json!([]));
    assert_eq!(line["before"]["holidays"], made.body["holidays"]);
    assert!(line["after"].get("time_zone").is_none(), "{line}");
    assert_eq!(line["target"]["id"], made.body["id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_calendars_are_refused_with_their_places() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let with = |field: &str, value: Value| {
        let mut body = office();
        body[field] = value;
        body
    };
    let monday = |hours: Value| with("week", json!({ "monday": hours }));
    let hours = |from: &str, to: &str| json!({ "from": from, "to": to });
    for (body, pointers) in [
        (json!({ "name": "x" }), vec![""]),
        (with("name", json!("")), vec!["/name"]),
        (with("extra", json!(1)), vec!["/extra"]),
        (with("time_zone", json!("Mars/Olympus")), vec!["/time_zone"]),
        (
            with("week", json!({ "someday": [] })),
            vec!["/week/someday"],
        ),
        (
            monday(json!([hours("9:00", "25:00")])),
            vec!["/week/monday/0/from", "/week/monday/0/to"],
        ),
        (monday(json!([{ "from": "09:00" }])), vec!["/week/monday/0"]),
        (
            monday(json!([hours("09:00", "09:00")])),
            vec!["/week/monday/0"],
        ),
        (
            monday(json!([hours("17:00", "09:00")])),
            vec!["/week/monday/0"],
        ),
        (
            monday(json!([hours("09:00", "12:00"), hours("11:59", "13:00")])),
            vec!["/week/monday/1"],
        ),
        (
            json!({ "name": "Never", "time_zone": "UTC", "week": {} }),
            vec!["/week"],
        ),
        (
            with("holidays", json!([{ "name": "", "date": "2026-02-30" }])),
            vec!["/holidays/0/name", "/holidays/0/date"],
        ),
        (
            with(
                "holidays",
                json!([{ "name": "x", "date": "2026-01-01T00:00:00Z" }]),
            ),
            vec!["/holidays/0/date"],
        ),
        (
            with(
                "holidays",
                json!([
                    { "name": "x", "date": "2026-01-01" }, { "name": "y", "date": "2026-01-01" },
                ]),
            ),
            vec!["/holidays/1/date"],
        ),
        (
            with(
                "special_days",
                json!([{ "name": "x", "date": "2026-01-01", "hours": [hours("10:00", "10:00")] }]),
            ),
            vec!["/special_days/0/hours/0"],
        ),
    ] {
        let answer = gateway.post(&brand.owner, CALENDARS, body.clone()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        assert_eq!(answer.pointers(), pointers, "{body}: {}", answer.text);
    }
    // Hours that touch are two, and are fine; a special day alone opens too.
    let touching = monday(json!([hours("09:00", "12:00"), hours("12:00", "24:00")]));
    let path = make(&gateway, &brand.owner, touching).await;
    let closed = gateway
        .patch(
            &brand.owner,
            &path,
            json!({ "week": { "monday": [] }, "special_days": [] }),
        )
        .await;
    assert_eq!(
        (refusal(&closed), closed.pointers()),
        ((400, "invalid_request"), vec!["/week"])
    );
    for (query, pointer) in [
        ("days=0", "/query/days"),
        ("days=367", "/query/days"),
        ("from=tomorrow", "/query/from"),
        ("from=1969-12-31", "/query/from"),
        ("to=2026-01-01", "/query/to"),
    ] {
        let answer = gateway
            .get(&brand.owner, &format!("{path}/preview?{query}"))
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.pointers()),
            (400, vec![pointer])
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_shows_instants_holidays_special_days_and_the_change_of_clocks() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let path = make(&gateway, &brand.owner, office()).await;
    let preview = gateway
        .get(
            &brand.owner,
            &format!("{path}/preview?from=2026-03-27&days=8"),
        )
        .await;
    assert_eq!(preview.status, 200, "{}", preview.text);
    assert_eq!(
        (&preview.body["version"], &preview.body["time_zone"]),
        (&json!(1), &json!("Europe/Berlin"))
    );
    let days = preview.body["data"].as_array().unwrap();
    assert_eq!(days.len(), 8);
    assert_eq!(
        days[0],
        json!({
            "date": "2026-03-27",
            "open": [
                { "from": "2026-03-27T08:00:00.000Z", "to": "2026-03-27T11:30:00.000Z" },
                { "from": "2026-03-27T12:30:00.000Z", "to": "2026-03-27T16:30:00.000Z" },
            ],
            "open_seconds": 27_000, "reason": "week", "name": null, "offset_change": null,
        })
    );
    // A Saturday, open to midnight.
    assert_eq!(
        days[1],
        json!({
            "date": "2026-03-28",
            "open": [{ "from": "2026-03-28T09:00:00.000Z", "to": "2026-03-28T23:00:00.000Z" }],
            "open_seconds": 50_400, "reason": "special_day", "name": "Stocktaking", "offset_change": null,
        })
    );
    assert_eq!(
        days[2]["offset_change"],
        json!({ "at": "2026-03-29T01:00:00.000Z", "before": "+01", "after": "+02" })
    );
    assert_eq!(days[2]["open"], json!([]));
    // From then on it is an hour earlier in UTC.
    assert_eq!(days[3]["open"][0]["from"], "2026-03-30T07:00:00.000Z");
    assert_eq!(
        (
            &days[7]["reason"],
            &days[7]["name"],
            &days[7]["open_seconds"]
        ),
        (&json!("holiday"), &json!("Good Friday"), &json!(0))
    );
    let year = gateway
        .get(
            &brand.owner,
            &format!("{path}/preview?from=2028-12-31&days=366"),
        )
        .await;
    let days = year.body["data"].as_array().unwrap();
    assert_eq!(
        (days.len(), &days[1]["name"]),
        (366, &json!("New Year's Day"))
    );
    // Without parameters: a month from today.
    let month = gateway.get(&brand.owner, &format!("{path}/preview")).await;
    assert_eq!(month.body["data"].as_array().unwrap().len(), 30);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_calendar_that_a_policy_or_a_running_clock_needs_stays() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let owner = &brand.owner;
    let path = make(&gateway, owner, office()).await;
    let id: CalendarId = path.rsplit('/').next().unwrap().parse().unwrap();
    let policy = json!({
        "name": "Office hours",
        "conditions": { "priorities": ["high"] },
        "targets": { "resolution": { "calendar_id": id, "seconds": 36_000 } },
    });
    writes(&gateway, &brand, "77", "hello").await;
    let policy = gateway.post(owner, "/v1/sla-policies", policy).await;
    assert_eq!(policy.status, 201, "{}", policy.text);
    run_by(&gateway, &brand, Some(id)).await;
    let refused = gateway.delete(owner, &path).await;
    assert_eq!(refusal(&refused), (409, "in_use"));
    let counts = ["count", "policies", "clocks"].map(|name| refused.body[name].clone());
    assert_eq!(counts, [json!(2), json!(1), json!(1)]);

    let policy = format!("/v1/sla-policies/{}", policy.body["id"].as_str().unwrap());
    assert_eq!(gateway.delete(owner, &policy).await.status, 204);
    let refused = gateway.delete(owner, &path).await;
    assert_eq!(
        (&refused.body["policies"], &refused.body["clocks"]),
        (&json!(0), &json!(1))
    );
    run_by(&gateway, &brand, None).await;
    assert_eq!(gateway.delete(owner, &path).await.status, 204);
    // And no policy names one that is gone.
    let late = json!({
        "name": "Late",
        "conditions": { "priorities": ["high"] },
        "targets": { "resolution": { "calendar_id": id, "seconds": 36_000 } },
    });
    let late = gateway.post(owner, "/v1/sla-policies", late).await;
    assert_eq!(
        (refusal(&late), late.pointers()),
        (
            (422, "unknown_reference"),
            vec!["/targets/resolution/calendar_id"]
        )
    );
}

/// Makes the brand's clocks run by a calendar.
async fn run_by(gateway: &Gateway, brand: &Brand, calendar: Option<CalendarId>) {
    let done = sqlx::query(
        "update sla_clocks set calendar_id = $2, calendar_version = 1
         where brand_id = $1 and state = 'running' and kind = 'first_response'",
    )
    .bind(brand.owner.brand.0)
    .bind(calendar.map(|id| id.0))
    .execute(&mut gateway.db.owner().await)
    .await
    .unwrap();
    assert_eq!(done.rows_affected(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_policy_and_the_deletion_of_its_calendar_at_once_leave_no_policy_without_one() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let owner = &brand.owner;
    for round in 0..10 {
        let mut body = office();
        body["name"] = json!(format!("Office {round}"));
        let path = make(&gateway, owner, body).await;
        let policy = json!({
            "name": format!("Policy {round}"),
            "conditions": { "priorities": ["high"] },
            "targets": { "resolution": { "calendar_id": path.rsplit('/').next().unwrap(), "seconds": 60 } },
        });
        let (made, deleted) = tokio::join!(
            gateway.post(owner, "/v1/sla-policies", policy),
            gateway.delete(owner, &path),
        );
        let outcome = (made.status.as_u16(), deleted.status.as_u16());
        assert!(matches!(outcome, (201, 409) | (422, 204)), "{outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_editors_at_once_one_is_told_that_it_has_changed() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let path = make(&gateway, &brand.owner, office()).await;
    let edit = |zone: &str| {
        let body = Some(json!({ "time_zone": zone }));
        let headers = [("if-match", "\"1\"")];
        let (gateway, path, owner) = (&gateway, &path, &brand.owner);
        async move {
            gateway
                .call(Some(owner), Method::PATCH, path, body, &headers)
                .await
        }
    };
    let (one, other) = tokio::join!(edit("Europe/Paris"), edit("Asia/Tokyo"));
    let (done, refused) = if one.status.is_success() {
        (one, other)
    } else {
        (other, one)
    };
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(refusal(&refused), (409, "version_conflict"));
    assert_eq!(refused.body["current_version"], 2);
    let now = gateway.get(&brand.owner, &path).await;
    assert_eq!(now.body["time_zone"], done.body["time_zone"]);
    let versions = gateway.get(&brand.owner, &format!("{path}/versions")).await;
    assert_eq!(versions.body["data"].as_array().unwrap().len(), 2);
}

/// Sends an iCalendar file.
async fn import(gateway: &Gateway, who: &Person, path: &str, kind: &str, file: &str) -> Answer {
    let request = gateway.http.post(format!("{}{path}/holidays", gateway.url));
    let request = request.bearer_auth(&who.token).header("content-type", kind);
    Answer::of(request.body(file.to_owned()).send().await.unwrap()).await
}

fn ical(events: &[(&str, &str)]) -> String {
    let event = |(date, name): &(&str, &str)| {
        let rule = if name.starts_with("New Year") {
            "RRULE:FREQ=YEARLY\r\n"
        } else {
            ""
        };
        format!(
            "BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:{date}\r\n{rule}SUMMARY:{name}\r\nEND:VEVENT\r\n"
        )
    };
    let events: String = events.iter().map(event).collect();
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//x//EN\r\n{events}END:VCALENDAR\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_holidays_of_a_file_are_added_once_and_as_a_new_version() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let owner = &brand.owner;
    let path = make(&gateway, owner, office()).await;
    let next_year = jiff::Timestamp::now()
        .strftime("%Y")
        .to_string()
        .parse::<i32>()
        .unwrap()
        + 1;
    let day = format!("{next_year}1226");
    let file = ical(&[
        ("20200101", "New Year"),
        (&day, "Boxing Day"),
        ("19990101", "Long ago"),
    ]);
    let done = import(
        &gateway,
        owner,
        &path,
        "text/calendar; charset=utf-8",
        &file,
    )
    .await;
    assert_eq!(done.status, 200, "{}", done.text);
    let added =
        json!([{ "name": "Boxing Day", "date": format!("{next_year}-12-26"), "yearly": false }]);
    assert_eq!(done.body["added"], added);
    assert_eq!(
        done.body["skipped"],
        json!([{ "name": "New Year", "date": "2020-01-01", "yearly": true }])
    );
    assert_eq!(
        (&done.body["calendar"]["version"], &done.headers["etag"]),
        (&json!(2), &"\"2\"".parse().unwrap())
    );
    assert_eq!(
        done.body["calendar"]["holidays"].as_array().unwrap().len(),
        3
    );
    let preview = format!("{path}/preview?from={next_year}-12-26&days=1");
    let preview = gateway.get(owner, &preview).await;
    assert_eq!(preview.body["data"][0]["name"], "Boxing Day");
    // Once more: nothing new, no version.
    let again = import(&gateway, owner, &path, "text/calendar", &file).await;
    assert_eq!(
        (&again.body["added"], &again.body["calendar"]["version"]),
        (&json!([]), &json!(2))
    );
    let told = gateway.audit(&brand).await;
    assert_eq!(
        calendar_lines(&told),
        ["calendar.changed", "calendar.created"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_none_or_means_harm_is_refused_with_its_line() {
    let gateway = Gateway::start().await;
    let (brand, other) = (gateway.brand("Harbor").await, gateway.brand("Other").await);
    let owner = &brand.owner;
    let path = make(&gateway, owner, office()).await;
    let daily = ical(&[("20260101", "x")]).replace("SUMMARY", "RRULE:FREQ=DAILY\r\nSUMMARY");
    let bad_date = ical(&[("20260230", "x")]);
    for (file, line) in [
        ("", "line 1"),
        ("{}", "line 1"),
        ("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n", "line 2"),
        (bad_date.as_str(), "line 5"),
        (daily.as_str(), "line 6"),
    ] {
        let answer = import(&gateway, owner, &path, "text/calendar", file).await;
        assert_eq!(
            refusal(&answer),
            (400, "invalid_request"),
            "{file}: {}",
            answer.text
        );
        assert_eq!(answer.pointers(), [""]);
        let detail = answer.body["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.starts_with(line), "{file}: {detail}");
    }
    let large = "x".repeat(1024 * 1024 + 1);
    let large = import(&gateway, owner, &path, "text/calendar", &large).await;
    assert_eq!(refusal(&large), (413, "body_too_large"));
    let json = import(&gateway, owner, &path, "application/json", "{}").await;
    assert_eq!(refusal(&json), (415, "unsupported_media_type"));
    let foreign = import(
        &gateway,
        &other.owner,
        &path,
        "text/calendar",
        &ical(&[("20261226", "x")]),
    )
    .await;
    assert_eq!(refusal(&foreign), (404, "not_found"));
    assert_eq!(gateway.get(owner, &path).await.body["version"], 1);
}
