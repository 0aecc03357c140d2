//! Finding conversations: by filters, by text, by counting, by filters that were kept.

use roost_domain::ids::ConversationId;
use roost_store::search;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::customer::writes;
use crate::harness::{Answer, Brand, Gateway};

async fn run(gateway: &Gateway, statement: &'static str, ids: &[Uuid]) {
    let mut db = gateway.db.owner().await;
    let mut query = sqlx::query(statement);
    for id in ids {
        query = query.bind(id);
    }
    query.execute(&mut db).await.unwrap();
}

/// Gives the customer of a conversation a name and a handle, as their platform would.
async fn named(
    gateway: &Gateway,
    brand: &Brand,
    conversation: ConversationId,
    name: &str,
    handle: &str,
) {
    let of = brand.owner.brand;
    let mut db = gateway.db.owner().await;
    let contact: Uuid = sqlx::query_scalar(
        "update contacts p set name = $3, handle = $4 from conversations c
         where c.brand_id = $1 and c.id = $2 and p.brand_id = $1 and p.id = c.contact_id returning p.id",
    )
    .bind(of.0)
    .bind(conversation.0)
    .bind(name)
    .bind(handle)
    .fetch_one(&mut db)
    .await
    .unwrap();
    let contact = search::NamedContact {
        brand: of,
        id: roost_domain::ids::ContactId(contact),
        name,
        handle: Some(handle),
    };
    search::index_contacts(&mut db, &[contact]).await.unwrap();
}

async fn look(gateway: &Gateway, brand: &Brand, parameters: &[(&str, &str)]) -> Answer {
    let url = reqwest::Url::parse_with_params("http://x/v1/conversations", parameters).unwrap();
    let path = format!("{}?{}", url.path(), url.query().unwrap());
    gateway.get(&brand.owner, &path).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_handles_and_texts_are_found_in_any_script() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let other = gateway.brand("Theirs").await;
    let people = [
        ("71", "Jérôme Dupont", "jd_paris", "Où est mon colis ?"),
        ("72", "ŁUKASZ Żak", "lukz99", "Zażółć gęślą jaźń"),
        ("73", "فاطمة الزهراء", "fatima", "أين طلبي؟"),
        (
            "74",
            "田中太郎",
            "tanaka_t",
            "注文をキャンセルして返金してください",
        ),
        ("75", "Sam", "the_sam", "Thanks 👍🏽 the Straße is fixed"),
    ];
    let mut ids = Vec::new();
    for (customer, name, handle, text) in people {
        let id = writes(&gateway, &brand, customer, text).await;
        named(&gateway, &brand, id, name, handle).await;
        let foreign = writes(&gateway, &other, customer, text).await;
        named(&gateway, &other, foreign, name, handle).await;
        ids.push(id.to_string());
    }
    for (q, found) in [
        ("jerome", 0),
        ("JÉRÔME dup", 0),
        ("paris", 0),
        ("@jd_par", 0),
        ("colis", 0),
        ("lukasz", 1),
        ("zak", 1),
        ("kz99", 1),
        ("zazolc jazn", 1),
        ("فاطمه", 2),
        ("اين طلبي", 2),
        ("田中", 3),
        ("中太", 3),
        ("返金", 3),
        ("キャンセル", 3),
        ("👍", 4),
        ("strasse", 4),
        ("thanks fix", 4),
    ] {
        let answer = look(&gateway, &brand, &[("q", q)]).await;
        assert_eq!(answer.status, 200, "{q}: {}", answer.text);
        assert_eq!(answer.ids(), [ids[found].as_str()], "{q}");
    }
    for q in ["nobody", "fix thanks bye", "金返", "thanks refund"] {
        let answer = look(&gateway, &brand, &[("q", q)]).await;
        assert!(answer.ids().is_empty(), "{q}");
    }
    let narrowed = look(&gateway, &brand, &[("q", "jerome"), ("status", "resolved")]).await;
    assert!(narrowed.ids().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_found_pages_in_the_lists_order() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let mut ids = Vec::new();
    for number in 0..7 {
        let id = writes(&gateway, &brand, &format!("7{number}"), "my refund, please").await;
        writes(&gateway, &brand, &format!("8{number}"), "another matter").await;
        ids.push(id.to_string());
    }
    for (sort, reversed) in [
        ("opened_at", false),
        ("-opened_at", true),
        ("waiting_since", false),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut parameters = vec![("q", "refund"), ("sort", sort), ("limit", "3")];
            if let Some(cursor) = &cursor {
                parameters.push(("cursor", cursor));
            }
            let page = look(&gateway, &brand, &parameters).await;
            seen.extend(page.ids());
            cursor = page.body["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        if reversed {
            seen.reverse();
        }
        assert_eq!(seen, ids, "{sort}");
    }
    let page = look(&gateway, &brand, &[("q", "refund"), ("limit", "1")]).await;
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let other = look(&gateway, &brand, &[("q", "matter"), ("cursor", cursor)]).await;
    assert_eq!(
        (other.status.as_u16(), other.code()),
        (400, "cursor_mismatch")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_erased_is_found_no_more() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let (erased, kept) = (
        writes(&gateway, &brand, "71", "the secret word").await,
        writes(&gateway, &brand, "72", "the secret word").await,
    );
    let path = format!("/v1/conversations/{erased}");
    let one = gateway.get(&brand.owner, &path).await;
    let contact = one.body["contact"]["id"].as_str().unwrap().parse().unwrap();
    let forgotten = gateway.db.store.brand(brand.owner.brand, move |tx| {
        Box::pin(search::forget_contact(tx, contact))
    });
    forgotten.await.unwrap();
    let found = look(&gateway, &brand, &[("q", "secret")]).await;
    assert_eq!(found.ids(), [kept.to_string()]);
    let by_name = look(&gateway, &brand, &[("q", "c71")]).await;
    assert!(by_name.ids().is_empty(), "{}", by_name.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_goes_by_its_index_whatever_else_there_is() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    writes(&gateway, &brand, "71", "the needle").await;
    let scans = async || {
        let mut db = gateway.db.owner().await;
        sqlx::query("select pg_stat_force_next_flush()")
            .execute(&mut db)
            .await
            .unwrap();
        let read: (i64, i64) = sqlx::query_as(
            "select (select idx_scan from pg_stat_user_indexes where indexrelname = 'message_terms_terms_idx'),
                    (select seq_scan from pg_stat_user_tables where relname = 'message_terms')",
        )
        .fetch_one(&mut db)
        .await
        .unwrap();
        read
    };
    let (_, whole) = scans().await;
    assert_eq!(
        look(&gateway, &brand, &[("q", "needle")]).await.ids().len(),
        1
    );
    // A backend tells its figures when it has been idle for a moment.
    let told = async || scans().await.0.gt(&0).then_some(());
    roost_tests::wait::until(
        "the index to be counted",
        std::time::Duration::from_secs(30),
        told,
    )
    .await;
    assert_eq!(
        scans().await.1,
        whole,
        "the table was never read as a whole"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_attributes_skills_and_names_of_the_brands_own_are_shown_and_filtered() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let of = brand.owner.brand.0;
    let (first, second) = (
        writes(&gateway, &brand, "71", "one").await,
        writes(&gateway, &brand, "72", "two").await,
    );
    let [vip, bug] = [Uuid::now_v7(), Uuid::now_v7()];
    for (label, name) in [(vip, "VIP"), (bug, "Bug")] {
        let mut db = gateway.db.owner().await;
        sqlx::query(
            "insert into labels (brand_id, id, name, color) values ($1, $2, $3, '#112233')",
        )
        .bind(of)
        .bind(label)
        .bind(name)
        .execute(&mut db)
        .await
        .unwrap();
    }
    run(
        &gateway,
        "insert into conversation_labels (brand_id, conversation_id, label_id) values ($1, $2, $3), ($1, $2, $4), ($1, $5, $4)",
        &[of, first.0, vip, bug, second.0],
    )
    .await;
    run(
        &gateway,
        "with made as (insert into skills (brand_id, id, name)
                       values ($1, gen_random_uuid(), 'billing'), ($1, gen_random_uuid(), 'french') returning id, name)
         insert into conversation_skills (brand_id, conversation_id, skill_id, ordinal)
         select $1, $2, id, case name when 'french' then 1 else 2 end from made",
        &[of, first.0],
    )
    .await;
    run(
        &gateway,
        "with made as (
             insert into attribute_definitions (brand_id, id, subject, key, name, type, choices)
             values ($1, gen_random_uuid(), 'conversation', 'tier', 'Tier', 'choice', '{gold,silver}'),
                    ($1, gen_random_uuid(), 'conversation', 'seats', 'Seats', 'number', '{}'),
                    ($1, gen_random_uuid(), 'conversation', 'trial', 'Trial', 'boolean', '{}'),
                    ($1, gen_random_uuid(), 'conversation', 'since', 'Since', 'date', '{}'),
                    ($1, gen_random_uuid(), 'contact', 'city', 'City', 'text', '{}') returning id, key)
         insert into conversation_attributes (brand_id, conversation_id, definition_id, value)
         select $1, $2, id, case key when 'tier' then 'gold' when 'seats' then '5.5' when 'trial' then 'true'
                            else '2026-01-31' end from made where key <> 'city'",
        &[of, first.0],
    )
    .await;
    run(
        &gateway,
        "update conversations set external_id = 'CASE-7', status = 'resolved', resolved_at = '2026-03-01T10:00:00Z'
         where brand_id = $1 and id = $2",
        &[of, first.0],
    )
    .await;
    let path = format!("/v1/conversations/{first}");
    let one = gateway.get(&brand.owner, &path).await.body;
    let label = |id: Uuid| roost_domain::ids::LabelId(id).to_string();
    assert_eq!(one["labels"], json!([label(vip), label(bug)]));
    assert_eq!(one["skills"], json!(["french", "billing"]));
    assert_eq!(
        one["attributes"],
        json!({ "tier": "gold", "seats": 5.5, "trial": true, "since": "2026-01-31" })
    );
    assert_eq!(one["external_id"], "CASE-7");
    let (vip, bug) = (label(vip), label(bug));
    let unknown = "lbl_01h455vb4pex5vsknk084sn02q";
    for (parameters, expected) in [
        (vec![("label", vip.as_str())], vec![first]),
        (vec![("label", &bug)], vec![first, second]),
        (vec![("label", &vip), ("label", &bug)], vec![first, second]),
        (vec![("label", unknown)], vec![]),
        (
            vec![("external_id", "CASE-7"), ("external_id", "x")],
            vec![first],
        ),
        (vec![("external_id", "case-7")], vec![]),
        (vec![("attributes[tier]", "gold")], vec![first]),
        (vec![("attributes[tier]", "silver")], vec![]),
        (
            vec![("attributes[tier]", "gold"), ("attributes[tier]", "silver")],
            vec![first],
        ),
        (
            vec![("attributes[seats]", "05.50"), ("attributes[tier]", "gold")],
            vec![first],
        ),
        (vec![("attributes[seats]", "5")], vec![]),
        (vec![("attributes[trial]", "true")], vec![first]),
        (vec![("attributes[since]", "2026-01-31")], vec![first]),
        (
            vec![("resolved_after", "2026-03-01T10:00:00Z")],
            vec![first],
        ),
        (vec![("resolved_after", "2026-03-01T10:00:00.001Z")], vec![]),
        (
            vec![("resolved_before", "2026-03-01T10:00:00.001Z")],
            vec![first],
        ),
        (vec![("label", &bug), ("status", "open")], vec![second]),
    ] {
        let parameters = [parameters, vec![("sort", "opened_at")]].concat();
        let answer = look(&gateway, &brand, &parameters).await;
        let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        assert_eq!(answer.status, 200, "{parameters:?}: {}", answer.text);
        assert_eq!(answer.ids(), expected, "{parameters:?}");
    }
    for (parameter, value) in [
        ("attributes[tier]", "bronze"),
        ("attributes[seats]", "many"),
        ("attributes[trial]", "yes"),
        ("attributes[since]", "31.1.2026"),
        ("attributes[city]", "Rome"),
        ("attributes[unknown]", "x"),
    ] {
        let answer = look(&gateway, &brand, &[(parameter, value)]).await;
        assert_eq!(answer.status, 400, "{parameter}={value}: {}", answer.text);
        assert_eq!(answer.pointers(), [format!("/query/{parameter}")]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_at_risk_and_breached_are_filters_and_their_due_instants_an_order() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let of = brand.owner.brand.0;
    let mut ids = Vec::new();
    for customer in ["71", "72", "73", "74"] {
        ids.push(writes(&gateway, &brand, customer, "hello").await);
    }
    let [calm, risk, breached, unclocked] = ids[..] else {
        unreachable!("four")
    };
    for (statement, id) in [
        (
            "update sla_clocks set due_at = now() + interval '3 hours' where brand_id = $1 and conversation_id = $2",
            calm,
        ),
        (
            "update sla_clocks set due_at = now() + interval '2 hours', warned_at = now() where brand_id = $1 and conversation_id = $2",
            risk,
        ),
        (
            "update sla_clocks set due_at = now() - interval '1 hour', warned_at = now(), breached_at = now() where brand_id = $1 and conversation_id = $2",
            breached,
        ),
        (
            "update sla_clocks set state = 'cancelled' where brand_id = $1 and conversation_id = $2",
            unclocked,
        ),
    ] {
        run(&gateway, statement, &[of, id.0]).await;
    }
    for (parameters, expected) in [
        (vec![("sla", "at_risk")], vec![risk]),
        (vec![("sla", "breached")], vec![breached]),
        (
            vec![("sla", "breached"), ("sla", "at_risk")],
            vec![breached, risk],
        ),
        (vec![], vec![breached, risk, calm, unclocked]),
    ] {
        for descending in [false, true] {
            let sort = if descending {
                "-next_due_at"
            } else {
                "next_due_at"
            };
            let mut expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
            if descending {
                // Those without a clock come last either way.
                let clocked = expected.len().min(3);
                expected[..clocked].reverse();
            }
            let (mut seen, mut cursor) = (Vec::new(), None::<String>);
            loop {
                let mut parameters =
                    [parameters.clone(), vec![("sort", sort), ("limit", "1")]].concat();
                if let Some(cursor) = &cursor {
                    parameters.push(("cursor", cursor));
                }
                let page = look(&gateway, &brand, &parameters).await;
                seen.extend(page.ids());
                cursor = page.body["next_cursor"].as_str().map(str::to_owned);
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(seen, expected, "{parameters:?} {sort}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_filter_is_refused_where_it_is_bad() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let long = "x".repeat(201);
    let many = vec!["status=open"; 201].join("&");
    let attributes: Vec<String> = (0..11).map(|n| format!("attributes[a{n}]=x")).collect();
    for (query, pointer) in [
        ("status=closed", "/query/status"),
        ("status=", "/query/status"),
        ("status[]=open", "/query/status[]"),
        ("status[$ne]=open", "/query/status[$ne]"),
        ("priority=5", "/query/priority"),
        ("assignee_id=me", "/query/assignee_id"),
        (
            "assignee_id=team_01h455vb4pex5vsknk084sn02q",
            "/query/assignee_id",
        ),
        ("team_id=", "/query/team_id"),
        ("channel_id=none", "/query/channel_id"),
        ("label=VIP", "/query/label"),
        ("sla=fine", "/query/sla"),
        ("sla=", "/query/sla"),
        ("external_id=", "/query/external_id"),
        (&format!("external_id={long}"), "/query/external_id"),
        ("has_failed_send=1", "/query/has_failed_send"),
        ("opened_after=yesterday", "/query/opened_after"),
        (
            "resolved_before=2026-13-01T00:00:00Z",
            "/query/resolved_before",
        ),
        ("attributes=gold", "/query/attributes"),
        ("attributes[]=gold", "/query/attributes[]"),
        (
            "attributes[tier][a][b][c]=gold",
            "/query/attributes[tier][a][b][c]",
        ),
        ("attributes[tier=gold", "/query/attributes[tier"),
        ("attributes[TIER]=gold", "/query/attributes[TIER]"),
        (&attributes.join("&"), "/query/attributes"),
        ("q=", "/query/q"),
        ("q=%3F!", "/query/q"),
        ("q=a&q=b", "/query/q"),
        (&format!("q={long}"), "/query/q"),
        ("q=a%00b", "/query/q"),
        ("sort=name", "/query/sort"),
        ("sort=", "/query/sort"),
        ("sort=--opened_at", "/query/sort"),
        ("limit=0", "/query/limit"),
        ("limit=many", "/query/limit"),
        ("color=red", "/query/color"),
        (&many, "/query"),
    ] {
        let answer = gateway
            .get(&brand.owner, &format!("/v1/conversations?{query}"))
            .await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text);
        assert_eq!(answer.pointers(), [pointer], "{query}");
    }
    let both = gateway
        .get(&brand.owner, "/v1/conversations?sla=x&sort=y")
        .await;
    assert_eq!(both.pointers(), ["/query/sla", "/query/sort"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_come_by_group_and_stop_at_a_thousand() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let agent = gateway.member(&brand, "agent").await;
    let mine = writes(&gateway, &brand, "71", "hello").await;
    writes(&gateway, &brand, "72", "hello").await;
    let taken = json!({ "member_id": agent.member });
    gateway
        .put(
            &agent,
            &format!("/v1/conversations/{mine}/assignment"),
            taken,
        )
        .await;
    let path = format!(
        "/v1/conversations/counts?groups[mine][assignee_id]={}&groups[mine][status]=open\
         &groups[new][assignee_id]=none&groups[urgent][priority]=urgent&groups[all][status]=open",
        agent.member
    );
    let counts = gateway.get(&agent, &path).await;
    let of = |count: i64| json!({ "count": count, "more": false });
    assert_eq!(
        counts.body,
        json!({ "data": { "mine": of(1), "new": of(1), "urgent": of(0), "all": of(2) } }),
    );
    // 1,001 of a status that nobody has counted yet.
    run(
        &gateway,
        "with people as (
             insert into identities (brand_id, id, contact_id, platform, external_id)
             select $1, gen_random_uuid(), p.id, 'x', 'p' || n from generate_series(1, 1001) n,
                    (select id from contacts where brand_id = $1 limit 1) p returning id, contact_id)
         insert into conversations (brand_id, id, channel_id, identity_id, contact_id, bucket, status, cycle,
                                    cycle_started_at, opened_at)
         select $1, gen_random_uuid(), $2, id, contact_id, 0, 'pending', 1, now(), now() from people",
        &[brand.owner.brand.0, brand.channel.0],
    )
    .await;
    let path = "/v1/conversations/counts?groups[p][status]=pending";
    let counts = gateway.get(&agent, path).await;
    assert_eq!(
        counts.body["data"]["p"],
        json!({ "count": 1000, "more": true })
    );
    let many: Vec<String> = (0..21)
        .map(|n| format!("groups[g{n}][status]=open"))
        .collect();
    for (query, pointer) in [
        ("groups[a][q]=hello", "/query/groups[a][q]"),
        ("groups[a][status]=closed", "/query/groups[a][status]"),
        (
            "groups[a][attributes][tier]=x",
            "/query/groups[a][attributes][tier]",
        ),
        (
            "groups[a][attributes][t][u]=x",
            "/query/groups[a][attributes][t][u]",
        ),
        ("groups[a]=open", "/query/groups[a]"),
        ("groups=x", "/query/groups"),
        ("groups[][status]=open", "/query/groups[][status]"),
        ("groups[a][status]=open&status=open", "/query/status"),
        ("", "/query/groups"),
        (&many.join("&"), "/query/groups"),
    ] {
        let answer = gateway
            .get(&agent, &format!("/v1/conversations/counts?{query}"))
            .await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text);
        assert!(
            answer.pointers().contains(&pointer),
            "{query}: {}",
            answer.text
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_is_kept_for_oneself_or_shared_by_who_may() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let theirs = gateway.brand("Theirs").await;
    let agent = gateway.member(&brand, "agent").await;
    let other = gateway.member(&brand, "analyst").await;
    let body = |name: &str, shared: bool| {
        json!({ "name": name, "shared": shared, "sort": "waiting_since",
                "filter": { "status": ["open", "pending"], "assignee_id": "none", "q": "refund" } })
    };
    let path = "/v1/saved-filters";
    let own = gateway.post(&agent, path, body("Refunds", false)).await;
    assert_eq!(own.status, 201, "{}", own.text);
    assert_eq!(own.body["filter"], body("", false)["filter"]);
    assert_eq!(own.headers["etag"], "\"1\"");
    let refused = gateway.post(&agent, path, body("Team", true)).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (403, "forbidden")
    );
    let shared = gateway
        .post(&brand.owner, path, body("Refunds", true))
        .await;
    assert_eq!(
        shared.status, 201,
        "the same name, but everybody's: {}",
        shared.text
    );
    let taken = gateway.post(&agent, path, body("refunds", false)).await;
    assert_eq!((taken.status.as_u16(), taken.code()), (409, "name_taken"));
    let id = |answer: &Answer| answer.body["id"].as_str().unwrap().to_owned();
    let (own, shared) = (id(&own), id(&shared));
    assert_eq!(
        gateway.get(&agent, path).await.ids(),
        [own.clone(), shared.clone()]
    );
    assert_eq!(
        gateway.get(&other, path).await.ids(),
        std::slice::from_ref(&shared)
    );
    assert!(gateway.get(&theirs.owner, path).await.ids().is_empty());
    let first = gateway.get(&agent, &format!("{path}?limit=1")).await;
    let next = first.body["next_cursor"].as_str().unwrap();
    let rest = gateway
        .get(&agent, &format!("{path}?limit=1&cursor={next}"))
        .await;
    assert_eq!(rest.ids(), std::slice::from_ref(&shared));
    let at = |id: &str| format!("{path}/{id}");
    for who in [&other, &brand.owner, &theirs.owner] {
        assert_eq!(gateway.get(who, &at(&own)).await.status, 404);
        assert_eq!(gateway.patch(who, &at(&own), json!({})).await.status, 404);
        assert_eq!(gateway.delete(who, &at(&own)).await.status, 404);
    }
    for who in [&agent, &other] {
        assert_eq!(gateway.get(who, &at(&shared)).await.status, 200);
        let change = gateway
            .patch(who, &at(&shared), json!({ "name": "x" }))
            .await;
        assert_eq!(change.status, 403, "{}", change.text);
        assert_eq!(gateway.delete(who, &at(&shared)).await.status, 403);
    }
    let renamed = gateway
        .patch(
            &agent,
            &at(&own),
            json!({ "name": "Mine", "filter": { "label": [] , "has_failed_send": true } }),
        )
        .await;
    assert_eq!(renamed.pointers(), ["/filter/label"]);
    let renamed = gateway
        .patch(
            &agent,
            &at(&own),
            json!({ "name": "Mine", "filter": { "has_failed_send": true } }),
        )
        .await;
    assert_eq!(renamed.body["version"], 2, "{}", renamed.text);
    assert_eq!(renamed.body["sort"], "waiting_since");
    let stale = gateway
        .call(
            Some(&agent),
            reqwest::Method::PATCH,
            &at(&own),
            Some(json!({ "name": "x" })),
            &[("if-match", "\"1\"")],
        )
        .await;
    assert_eq!(
        (stale.status.as_u16(), stale.code()),
        (409, "version_conflict")
    );
    assert_eq!(gateway.delete(&agent, &at(&own)).await.status, 204);
    assert_eq!(gateway.delete(&agent, &at(&own)).await.status, 404);
    assert_eq!(gateway.delete(&brand.owner, &at(&shared)).await.status, 204);
    let mut db = gateway.db.owner().await;
    let lines: Vec<(String, Option<String>)> = sqlx::query_as(
        "select action, after from audit_log where brand_id = $1 and target_type = 'saved_filter' order by seq",
    )
    .bind(brand.owner.brand.0)
    .fetch_all(&mut db)
    .await
    .unwrap();
    let actions: Vec<&str> = lines.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["saved_filter.created", "saved_filter.deleted"]);
    assert!(
        !lines[0].1.as_ref().unwrap().contains("refund"),
        "a search may be a name"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_filter_is_read_as_the_list_reads_it() {
    let gateway = Gateway::start().await;
    let brand = gateway.brand("Harbor").await;
    let cases: [(Value, &str); 13] = [
        (json!({ "name": "", "filter": {} }), "/name"),
        (json!({ "name": "x" }), ""),
        (json!({ "name": "x", "filter": [] }), "/filter"),
        (
            json!({ "name": "x", "filter": { "status": "closed" } }),
            "/filter/status",
        ),
        (
            json!({ "name": "x", "filter": { "status": [] } }),
            "/filter/status",
        ),
        (
            json!({ "name": "x", "filter": { "status": [["open"]] } }),
            "/filter/status",
        ),
        (
            json!({ "name": "x", "filter": { "status": { "ne": "open" } } }),
            "/filter/status",
        ),
        (
            json!({ "name": "x", "filter": { "assignee_id": null } }),
            "/filter/assignee_id",
        ),
        (
            json!({ "name": "x", "filter": { "attributes": { "tier": "x" } } }),
            "/filter/attributes/tier",
        ),
        (json!({ "name": "x", "filter": { "q": "…" } }), "/filter/q"),
        (
            json!({ "name": "x", "filter": { "limit": 5 } }),
            "/filter/limit",
        ),
        (
            json!({ "name": "x", "filter": { "status": vec!["open"; 201] } }),
            "/filter",
        ),
        (
            json!({ "name": "x", "filter": {}, "sort": "name" }),
            "/sort",
        ),
    ];
    for (body, pointer) in cases {
        let answer = gateway
            .post(&brand.owner, "/v1/saved-filters", body.clone())
            .await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
        assert_eq!(answer.pointers(), [pointer], "{body}");
    }
    for number in 0..200 {
        let body = json!({ "name": format!("Filter {number}"), "filter": {} });
        let answer = gateway.post(&brand.owner, "/v1/saved-filters", body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    let body = json!({ "name": "One more", "filter": {} });
    let answer = gateway.post(&brand.owner, "/v1/saved-filters", body).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (422, "quota_exceeded")
    );
}
