//! The API is what its document says: a client that others wrote makes up calls from it, good and bad
//! ones, for every operation.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use roost_tests::api::Member;
use roost_tests::process::log_folder;
use roost_tests::system::{Options, System};

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
    // What ends the session that the calls are made with comes last, with a session of its own.
    let ending = ["delete_v1_sessions_current", "delete_v1_me_sessions_id"];
    call(
        &python,
        &system.gateway,
        &owner,
        &["--exclude-operation-id"],
        &ending,
    )
    .await;
    let again = owner.sign_in(&owner.email, PASSWORD).await;
    call(
        &python,
        &system.gateway,
        &again,
        &["--include-operation-id"],
        &ending,
    )
    .await;
}

/// Calls some of the operations as somebody.
async fn call(python: &str, gateway: &str, who: &Member, how: &[&str], operations: &[&str]) {
    let folder = log_folder();
    let report = folder.join("schemathesis.txt");
    let mut command = Command::new(Path::new(python).with_file_name("schemathesis"));
    command
        .env("SCHEMATHESIS_HOOKS", "api_hooks")
        .env("PYTHONPATH", scripts())
        .current_dir(&folder)
        .arg("run")
        .arg(format!("{gateway}/openapi.json"))
        .args([
            "--header",
            &format!("Authorization: Bearer {}", who.token()),
        ])
        .args(["--max-examples", CALLS, "--workers", "2", "--seed", "1"])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--request-timeout", "20", "--suppress-health-check", "all"])
        // A foreign id answers like a missing one, and `ignored_auth` tries calls without a token on
        // operations that our own walk covers.
        .args([
            "--exclude-checks",
            "positive_data_acceptance,ignored_auth,use_after_free",
        ])
        .args(["--no-color"]);
    for operation in operations {
        command.args(how).arg(operation);
    }
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = tokio::time::timeout(Duration::from_secs(600), output)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    std::fs::write(&report, &text).unwrap();
    assert!(output.status.success(), "{}\n{text}", report.display());
}
