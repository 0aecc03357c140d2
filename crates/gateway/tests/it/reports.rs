//! The report on SLA clocks: its periods, groups, who sees what, and its forms.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::customer::writes;
use crate::harness::{Gateway, Person};
use crate::report_seed::{KINDS, Outcome, Place, keep, many, report, team};

/// The rows of a kind.
fn of<'a>(rows: &'a [Value], kind: &str) -> Vec<&'a Value> {
    rows.iter().filter(|row| row["kind"] == kind).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_period_ends_before_its_end_and_days_without_anything_show_zeros() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let place = Place::new(&gateway, &brand).await;
    // Midnight between the 14th and the 15th in Berlin.
    keep(
        &gateway,
        &[
            place.met(&brand, "first_response", "2026-06-14T22:00:00Z"),
            place.met(&brand, "first_response", "2026-06-15T21:59:59.999Z"),
        ],
    )
    .await;
    let of_14th = report(&gateway, &brand.owner, "from=2026-06-14&to=2026-06-15").await;
    assert_eq!(of_14th.len(), KINDS.len());
    for row in &of_14th {
        assert_eq!(
            (&row["met"], &row["ended"]),
            (&json!(0), &json!(0)),
            "{row}"
        );
        assert_eq!(row["attainment"], Value::Null);
        assert_eq!(
            row["used_seconds"],
            json!({ "p50": null, "p90": null, "p95": null })
        );
    }
    let days = report(
        &gateway,
        &brand.owner,
        "from=2026-06-14&to=2026-06-17&interval=day&kind=first_response",
    )
    .await;
    let met: Vec<i64> = days
        .iter()
        .map(|row| row["met"].as_i64().unwrap())
        .collect();
    assert_eq!(met, [0, 2, 0]);
    assert_eq!(days[1]["starts_at"], "2026-06-14T22:00:00.000Z");
    assert_eq!(days[1]["ends_at"], "2026-06-15T22:00:00.000Z");
    // Half past midnight in Tokyo is a new day there, and still the day before here.
    let tokyo = report(
        &gateway,
        &brand.owner,
        "from=2026-06-15&to=2026-06-17&interval=day&kind=first_response&time_zone=Asia/Tokyo",
    )
    .await;
    assert_eq!((&tokyo[0]["met"], &tokyo[1]["met"]), (&json!(1), &json!(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breach_counts_when_it_was_due_and_its_duration_when_it_was_answered() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let place = Place::new(&gateway, &brand).await;
    let late = Outcome {
        ended_at: Some("2026-06-28T08:00:00Z".parse().unwrap()),
        used_ms: Some(250_000),
        calendar_ms: Some(400_000),
        ..place.breached(&brand, "first_response", "2026-06-27T12:00:00Z")
    };
    let never = place.breached(&brand, "first_response", "2026-06-27T13:00:00Z");
    let withdrawn = Outcome {
        verdict: None,
        ..place.met(&brand, "first_response", "2026-06-27T13:00:00Z")
    };
    keep(&gateway, &[late, never, withdrawn]).await;
    let query = "from=2026-06-27&to=2026-06-29&interval=day&kind=first_response";
    let rows = report(&gateway, &brand.owner, query).await;
    let [due, answered] = rows.as_slice() else {
        panic!("{rows:?}");
    };
    assert_eq!((&due["breached"], &due["ended"]), (&json!(2), &json!(0)));
    assert_eq!(due["attainment"], 0.0);
    assert_eq!(due["overdue_seconds"]["p50"], Value::Null);
    assert_eq!(
        (&answered["breached"], &answered["ended"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(answered["used_seconds"]["p50"], 250.0);
    assert_eq!(answered["calendar_seconds"]["p95"], 400.0);
    assert_eq!(answered["overdue_seconds"]["p90"], 150.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_left_and_what_was_deleted_keep_their_rows_and_names() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let place = Place::new(&gateway, &brand).await;
    let gone = gateway.member(&brand, "agent").await;
    let mut outcomes = vec![place.met(&brand, "next_response", "2026-06-10T12:00:00Z")];
    for _ in 0..200 {
        outcomes.push(Outcome {
            member_id: Some(gone.member.0),
            ..place.met(&brand, "next_response", "2026-06-10T12:00:00Z")
        });
    }
    keep(&gateway, &outcomes).await;
    let left = gateway
        .delete(&brand.owner, &format!("/v1/members/{}", gone.member))
        .await;
    assert!(left.status.is_success(), "{}", left.text);
    sqlx::query("update sla_policies set deleted_at = now() where id = $1")
        .bind(place.policy)
        .execute(&mut gateway.db.owner().await)
        .await
        .unwrap();
    let query = "from=2026-06-01&to=2026-07-01&group_by=member&group_by=policy";
    let rows = report(&gateway, &brand.owner, query).await;
    let met: BTreeMap<&str, i64> = rows
        .iter()
        .map(|row| {
            assert_eq!(row["policy"]["name"], "Gold");
            (
                row["member"]["name"].as_str().unwrap(),
                row["met"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        met,
        BTreeMap::from([("Harbor owner", 1), ("agent member", 200)])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_teams_results_count_for_those_alone_who_see_its_conversations() {
    let gateway = Gateway::start().await;
    let (brand, theirs) = (gateway.brand("Harbor").await, gateway.brand("Theirs").await);
    let place = Place::new(&gateway, &brand).await;
    let analyst = gateway.member(&brand, "analyst").await;
    let supervisor = gateway.member(&brand, "supervisor").await;
    let legal = team(&gateway, &brand, "Legal").await;
    let hidden = writes(&gateway, &brand, "2", "psst").await.0;
    let outcome = place.met(&brand, "first_response", "2026-06-10T12:00:00Z");
    keep(
        &gateway,
        &[
            outcome.clone(),
            Outcome {
                clock_id: Uuid::now_v7(),
                conversation_id: hidden,
                team_id: Some(legal),
                ..outcome
            },
        ],
    )
    .await;
    let mut db = gateway.db.owner().await;
    for (statement, id) in [
        (
            "update conversations set team_id = $1, assignee_id = null where id = $2",
            hidden,
        ),
        (
            "update teams set is_closed = true where id = $1 and $2 is not null",
            legal,
        ),
    ] {
        sqlx::query(statement)
            .bind(legal)
            .bind(id)
            .execute(&mut db)
            .await
            .unwrap();
    }
    let query = "from=2026-06-01&to=2026-07-01&kind=first_response";
    let met = async |who: &Person, query: &str| {
        let rows = report(&gateway, who, query).await;
        rows.iter()
            .map(|row| row["met"].as_i64().unwrap())
            .sum::<i64>()
    };
    assert_eq!(met(&brand.owner, query).await, 2);
    assert_eq!(met(&supervisor, query).await, 2);
    assert_eq!(met(&analyst, query).await, 1);
    let by_team = format!("{query}&group_by=team");
    assert_eq!(report(&gateway, &analyst, &by_team).await.len(), 1);
    assert_eq!(report(&gateway, &brand.owner, &by_team).await.len(), 2);
    // Another brand's ids name nothing.
    for filter in [
        format!("channel_id={}", brand.channel),
        format!("team_id={}", brand.team),
    ] {
        assert_eq!(met(&theirs.owner, &format!("{query}&{filter}")).await, 0);
    }
    let agent = gateway.member(&brand, "agent").await;
    let refused = gateway
        .get(&agent, &format!("/v1/reports/sla?{query}"))
        .await;
    assert_eq!(refused.status, 403, "{}", refused.text);
}

/// The fields of a line of CSV without line breaks in fields.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut quoted) = (vec![String::new()], false);
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => fields.last_mut().unwrap().push(other),
        }
    }
    fields
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_says_what_the_json_says_and_no_name_in_it_is_a_formula() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let place = Place::new(&gateway, &brand).await;
    let teams = [
        brand.team.0,
        team(&gateway, &brand, "=HYPERLINK(1, 2)").await,
    ];
    let members = [brand.owner.member.0, brand.owner.member.0];
    let outcomes = many(
        &brand,
        &place,
        &teams,
        &members,
        [brand.channel.0, place.policy],
    );
    keep(&gateway, &outcomes[..500]).await;
    let path = "/v1/reports/sla?from=2026-03-01&to=2026-04-01&interval=week&group_by=team&group_by=priority";
    let rows = gateway.get(&brand.owner, path).await;
    let accept = [("accept", "text/csv;q=0.9, */*;q=0.1")];
    let table = gateway
        .call(Some(&brand.owner), Method::GET, path, None, &accept)
        .await;
    let kind = table.headers["content-type"].to_str().unwrap();
    assert_eq!(kind, "text/csv; charset=utf-8");
    assert!(table.headers.contains_key("content-disposition"));
    let mut lines = table.text.lines();
    let header = fields(lines.next().unwrap());
    let rows = rows.body["data"].as_array().unwrap();
    assert!(rows.len() > 50, "{}", rows.len());
    assert_eq!(lines.clone().count(), rows.len());
    let mut guarded = 0;
    for (line, row) in lines.zip(rows) {
        let cells = fields(line);
        assert_eq!(cells.len(), header.len(), "{line}");
        for (name, cell) in header.iter().zip(&cells) {
            let value = match name.split_once('_') {
                Some(("team", inner)) => &row["team"][inner],
                Some(("cancelled", "late")) => &row["cancelled_late"],
                Some(("cancelled", reason)) => &row["cancelled_by_reason"][reason],
                _ => match name.split_once("_p") {
                    Some((figure, percent)) if percent.len() == 2 => {
                        &row[figure][format!("p{percent}")]
                    }
                    _ => &row[name.as_str()],
                },
            };
            match value {
                Value::Null => assert_eq!(cell, "", "{name} in {line}"),
                Value::Number(number) => {
                    let read: serde_json::Number = cell.parse().unwrap();
                    assert_eq!(read.as_f64(), number.as_f64(), "{name} in {line}");
                }
                Value::String(text) if text.starts_with('=') => {
                    assert_eq!(*cell, format!("'{text}"));
                    guarded += 1;
                }
                Value::String(text) => assert_eq!(cell, text, "{name} in {line}"),
                Value::Bool(_) | Value::Array(_) | Value::Object(_) => panic!("{name}: {value}"),
            }
        }
    }
    assert!(guarded > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulty_question_is_refused_where_its_fault_is() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    for (query, pointers) in [
        ("", &["/query/from", "/query/to"][..]),
        ("from=2026-01-01&to=2026-01-01", &["/query/to"]),
        ("from=2026-01-02&to=2026-01-01", &["/query/to"]),
        ("from=2026-01-01&to=2027-02-06", &["/query/to"]),
        ("from=2026-02-30&to=soon", &["/query/from", "/query/to"]),
        (
            "from=-009999-01-02T00:00:00Z&to=-009999-01-03T00:00:00Z",
            &["/query/from", "/query/to"],
        ),
        (
            "from=2026-01-01&to=2026-01-02&time_zone=Mars/Base",
            &["/query/time_zone"],
        ),
        (
            "from=2026-01-01&to=2026-01-02&interval=hour",
            &["/query/interval"],
        ),
        (
            "from=2026-01-01&to=2026-01-02&group_by=team&group_by=weather",
            &["/query/group_by"],
        ),
        (
            "from=2026-01-01&to=2026-01-02&kind=reply&priority=huge",
            &["/query/kind", "/query/priority"],
        ),
        (
            "from=2026-01-01&to=2026-01-02&team_id=mem_x&policy_id=x",
            &["/query/team_id", "/query/policy_id"],
        ),
        ("from=2026-01-01&to=2026-01-02&label=x", &["/query/label"]),
    ] {
        let answer = gateway
            .get(&brand.owner, &format!("/v1/reports/sla?{query}"))
            .await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text);
        assert_eq!(answer.pointers(), pointers, "{query}");
    }
    // 400 days are fine, across a clock change too.
    let rows = report(
        &gateway,
        &brand.owner,
        "from=2026-01-01&to=2027-02-05&interval=day",
    )
    .await;
    assert_eq!(of(&rows, "resolution").len(), 400);
}
