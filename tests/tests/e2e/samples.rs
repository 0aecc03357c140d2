//! Bodies as X documents them, one by one: each is answered with 200 and becomes the right message, or
//! is kept as it came.

use std::path::PathBuf;

use roost_tests::api::{Member, SOON};
use roost_tests::system::{Options, System};
use roost_tests::wait::until;
use serde_json::Value;

/// The account of the brand in every file.
const ACCOUNT: &str = "880001";

/// What a body becomes.
enum Becomes {
    /// The texts of the customer's conversation, by handle.
    Conversation(&'static str, &'static [&'static str]),
    /// A raw event of this kind.
    Raw(&'static str),
    /// Nothing that is kept.
    Nothing,
}

use Becomes::{Conversation, Nothing, Raw};

/// In the order in which they are posted.
const FILES: &[(&str, Becomes)] = &[
    (
        "text_with_source_app",
        Conversation("nora_quill", &["Is the lamp in stock?"]),
    ),
    (
        "photo",
        Conversation("tom_ember", &[" https://t.co/PhotoAbc01"]),
    ),
    (
        "video",
        Conversation("ida_reel", &["look at this https://t.co/VideoAbc01"]),
    ),
    (
        "multiline_emoji",
        Conversation("line_breaker", &["first line\nsecond\n\nfourth ❤️👨‍🍳🇩🇪"]),
    ),
    (
        "quick_reply_answer_without_for_user_id",
        Conversation("snow_globe", &["Track my order"]),
    ),
    (
        "quick_reply_answer_without_metadata",
        Conversation("plain_choice", &["No thanks"]),
    ),
    ("location", Conversation("map_reader", &[""])),
    (
        "initiated_via_a_post",
        Conversation("by_button", &["I saw your post"]),
    ),
    (
        "echo_of_another_app",
        Conversation(
            "nora_quill",
            &["Is the lamp in stock?", "Yes, three are left"],
        ),
    ),
    ("typing_of_strangers", Nothing),
    ("mark_read", Nothing),
    ("follow", Raw("follow")),
    ("tweet_create", Raw("tweet_create")),
    ("replay_job", Raw("replay_job_status")),
    (
        "xaa_dm",
        Conversation("vera_two", &["hello from the newer envelope"]),
    ),
    ("xaa_mention", Raw("post.mention.create")),
    ("xaa_post", Raw("post.create")),
    ("xaa_follow", Raw("follow.follow")),
    ("lookup_event_of_a_group", Raw("unknown")),
    ("list_of_the_older_api", Raw("events")),
    (
        "several_events_and_an_unknown_key",
        Conversation("many_at_once", &["one of two", "two of two 🧭🇫🇷👩‍👩‍👧"]),
    ),
];

fn file(name: &str) -> Vec<u8> {
    let path: PathBuf = [
        env!("CARGO_MANIFEST_DIR"),
        "fixtures",
        "x",
        &format!("{name}.json"),
    ]
    .iter()
    .collect();
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

async fn texts_of(member: &Member, handle: &str) -> Vec<Value> {
    let all = member.conversations().await;
    let Some(found) = all
        .iter()
        .find(|found| found["contact"]["handle"] == handle)
    else {
        return Vec::new();
    };
    member.messages(found["id"].as_str().unwrap()).await
}

/// The newest message of a customer's conversation.
async fn newest_of(member: &Member, handle: &str) -> Value {
    texts_of(member, handle)
        .await
        .pop()
        .unwrap_or_else(|| panic!("nothing of {handle}"))
}

async fn raw_kinds(system: &System) -> Vec<String> {
    let mut owner = system.db.owner().await;
    sqlx::query_scalar("select kind from raw_unclaimed order by received_at")
        .fetch_all(&mut owner)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_documented_body_becomes_what_it_is() {
    let system = System::start(Options::default()).await;
    let brand = system
        .brand_of("Lantern Books", "lantern_books", Some(ACCOUNT))
        .await;
    let owner = &brand.owner;
    // Connected long before any of them was written, so that none is history.
    let mut connection = system.db.owner().await;
    sqlx::query("update channels set connected_at = 'epoch'")
        .execute(&mut connection)
        .await
        .unwrap();

    for (name, becomes) in FILES {
        assert_eq!(system.webhook.post_bytes(file(name)).await, 200, "{name}");
        match becomes {
            Conversation(handle, texts) => {
                let shown = until(name, SOON, || async {
                    let messages = texts_of(owner, handle).await;
                    (messages.len() == texts.len()).then_some(messages)
                })
                .await;
                let shown: Vec<&str> = shown
                    .iter()
                    .map(|message| message["text"].as_str().unwrap())
                    .collect();
                assert_eq!(shown, *texts, "{name}");
            }
            Raw(kind) => {
                until(name, SOON, || async {
                    raw_kinds(&system)
                        .await
                        .iter()
                        .any(|one| one == kind)
                        .then_some(())
                })
                .await;
            }
            Nothing => {}
        }
    }
    // An encrypted message says only that it came.
    assert_eq!(system.webhook.post_bytes(file("xaa_chat")).await, 200);
    until("the encrypted message", SOON, || async {
        let all = owner.conversations().await;
        all.iter()
            .any(|found| found["contact"]["handle"].is_null())
            .then_some(())
    })
    .await;

    let photo = newest_of(owner, "tom_ember").await;
    assert_eq!(photo["attachments"][0]["type"], "photo", "{photo}");
    assert_eq!(
        (
            &photo["attachments"][0]["width"],
            &photo["attachments"][0]["height"]
        ),
        (&960.into(), &640.into())
    );
    let video = newest_of(owner, "ida_reel").await;
    assert_eq!(video["attachments"][0]["type"], "video", "{video}");
    assert_eq!(video["attachments"][0]["content_type"], "video/mp4");
    let location = newest_of(owner, "map_reader").await;
    assert_eq!(location["attachments"][0]["type"], "location", "{location}");
    let answer = newest_of(owner, "snow_globe").await;
    assert_eq!(
        answer["quick_reply_answer"]["metadata"], "menu:track",
        "{answer}"
    );
    let plain = newest_of(owner, "plain_choice").await;
    assert!(plain["quick_reply_answer"].is_object(), "{plain}");
    let echo = newest_of(owner, "nora_quill").await;
    assert_eq!(
        (echo["kind"].as_str(), echo["author"]["type"].as_str()),
        (Some("reply"), Some("bot")),
        "{echo}"
    );
    let by_button = owner.conversation_with("by_button").await;
    assert_eq!(
        by_button["origin"]["ref"], "1900999999999999999",
        "{by_button}"
    );
    let newer = owner.conversation_with("vera_two").await;
    assert_eq!(newer["contact"]["name"], "Vera Two");
    assert_eq!(
        newer["contact"]["avatar_url"],
        "https://images.example/990009_normal.png"
    );
    let snow = owner.conversation_with("snow_globe").await;
    assert_eq!(snow["contact"]["name"], "Snow ❄️🌎");

    let mut kinds = raw_kinds(&system).await;
    kinds.sort();
    assert_eq!(
        kinds,
        [
            "events",
            "follow",
            "follow.follow",
            "post.create",
            "post.mention.create",
            "replay_job_status",
            "some_future",
            "tweet_create",
            "unknown"
        ]
    );

    // The account takes its trust back, told in either envelope.
    for name in ["user_event_revoke", "xaa_revoke"] {
        sqlx::query("update channels set status = 'active', status_reason = null")
            .execute(&mut connection)
            .await
            .unwrap();
        assert_eq!(system.webhook.post_bytes(file(name)).await, 200);
        until(name, SOON, || async {
            let channels = owner.get("/v1/channels").await;
            (channels["data"][0]["status"] == "reauth_required").then_some(())
        })
        .await;
    }
    // X posts all of it once more: nothing doubles.
    let before = system
        .count("select (select count(*) from messages) + (select count(*) from raw_unclaimed)")
        .await;
    for (name, _) in FILES {
        assert_eq!(system.webhook.post_bytes(file(name)).await, 200, "{name}");
    }
    assert_eq!(
        system.webhook.post_bytes(r#"{"the_last_one":[1]}"#).await,
        200
    );
    until("the last one", SOON, || async {
        raw_kinds(&system)
            .await
            .iter()
            .any(|kind| kind == "the_last_one")
            .then_some(())
    })
    .await;
    let after = system
        .count("select (select count(*) from messages) + (select count(*) from raw_unclaimed)")
        .await;
    assert_eq!(after, before + 1);
    assert_eq!(system.count("select count(*) from dead_messages").await, 0);
}
