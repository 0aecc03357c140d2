//! The API is what its document says: a client that others wrote makes up calls from it, good and bad
//! ones, for every operation.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use roost_tests::api::Member;
use roost_tests::process::log_folder;
use roost_tests::system::{Options, System};
use roost_tests::wait::until;
use serde_json::{Value, json};

const PASSWORD: &str = "a long enough one";
/// Calls made up for each operation and phase.
const CALLS: &str = "12";

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_answers_as_its_document_says_to_whatever_it_is_sent() {
    if std::env::var_os("ROOST_TEST_NO_CLIENTS").is_some() {
        return;
    }
    let python = std::env::var("ROOST_TEST_PYTHON")
        .unwrap_or_else(|_| panic!("ROOST_TEST_PYTHON names a Python; see `cargo xtask test`"));
    let options = Options {
        settings: vec![
            ("ROOST_MEMBER_REQUESTS_PER_MINUTE", "1000000".to_owned()),
            ("ROOST_BRAND_REQUESTS_PER_MINUTE", "10000000".to_owned()),
            ("ROOST_ADDRESS_REQUESTS_PER_MINUTE", "1000000".to_owned()),
        ],
        ..Options::default()
    };
    let system = System::start(options).await;
    let owner = Member::sign_up(&system.gateway, "Harbor", "owner@harbor.example", PASSWORD).await;
    let config = log_folder().join("schemathesis.toml");
    std::fs::write(&config, things(&owner).await).unwrap();
    let calls = Calls {
        python,
        config,
        gateway: system.gateway.clone(),
    };
    // What ends the session that the calls are made with comes last, with a session of its own.
    let ending = ["delete_v1_sessions_current", "delete_v1_me_sessions_id"];
    calls.make(&owner, "--exclude-operation-id", &ending).await;
    let again = owner.sign_in(&owner.email, PASSWORD).await;
    calls.make(&again, "--include-operation-id", &ending).await;
}

/// Real things, so that calls get beyond "there is no such thing": a configuration that gives each
/// resource's addresses the id of one.
async fn things(owner: &Member) -> String {
    let post = async |path: &str, body: Value| owner.call("POST", path, Some(&body)).await.ok();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let channel = text(&post("/v1/channels/sandbox", json!({ "name": "Try-out" })).await["id"]);
    let writing = json!({ "from": { "handle": "casey" }, "text": "Where is my parcel?" });
    post(&format!("/v1/channels/{channel}/sandbox-messages"), writing).await;
    let conversation = until("a conversation", Duration::from_secs(20), || async {
        owner.get("/v1/conversations").await["data"].get(0).cloned()
    })
    .await;
    let thread = format!("/v1/conversations/{}/messages", text(&conversation["id"]));
    let messages = owner.get(&thread).await;
    let label = post("/v1/labels", json!({ "name": "vip", "color": "#00aa00" })).await;
    let skill = post("/v1/skills", json!({ "name": "German" })).await;
    let teams = owner.get("/v1/teams").await;
    let ids = [
        ("channels", channel),
        ("conversations", text(&conversation["id"])),
        ("contacts", text(&conversation["contact"]["id"])),
        ("messages", text(&messages["data"][0]["id"])),
        ("labels", text(&label["id"])),
        ("skills", text(&skill["id"])),
        ("members", owner.id.clone()),
        ("teams", text(&teams["data"][0]["id"])),
    ];
    ids.iter()
        .map(|(resource, id)| {
            format!(
                "[[operations]]\ninclude-path-regex = '^/v1/{resource}/\\{{id\\}}'\n\
                 parameters = {{ \"path.id\" = \"{id}\" }}\n\n"
            )
        })
        .collect()
}

struct Calls {
    python: String,
    config: PathBuf,
    gateway: String,
}

impl Calls {
    /// Calls some of the operations, or all but some, as somebody.
    async fn make(&self, who: &Member, how: &str, operations: &[&str]) {
        let folder = log_folder();
        let report = folder.join("schemathesis.txt");
        let mut command = Command::new(Path::new(&self.python).with_file_name("schemathesis"));
        command
            .env("SCHEMATHESIS_HOOKS", "api_hooks")
            .env("PYTHONPATH", scripts())
            .current_dir(&folder)
            .arg("--config-file")
            .arg(&self.config)
            .arg("run")
            .arg(format!("{}/openapi.json", self.gateway))
            .args([
                "--header",
                &format!("Authorization: Bearer {}", who.token()),
            ])
            .args(["--max-examples", CALLS, "--workers", "1", "--seed", "1"])
            .args(["--phases", "examples,coverage,fuzzing"])
            .args(["--request-timeout", "20", "--suppress-health-check", "all"])
            // A foreign id answers like a missing one, and calls without a token are walked elsewhere.
            .args([
                "--exclude-checks",
                "positive_data_acceptance,ignored_auth,use_after_free",
            ])
            .args(["--no-color"]);
        for operation in operations {
            command.args([how, operation]);
        }
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = tokio::time::timeout(Duration::from_secs(600), output)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        std::fs::write(&report, &text).unwrap();
        assert!(
            output.status.success(),
            "{}\n{text}\n{errors}",
            report.display()
        );
    }
}
