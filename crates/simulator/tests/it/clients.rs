//! Clients that others wrote, run against the simulator. What each proves: `tests/clients/README.md`.
//!
//! `cargo xtask test` installs them and says by variables where they are; without these, `node`
//! of the PATH and the Python of `ROOST_CLIENT_VENV` or `.roost/venv` are taken.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use tokio::process::Command;

use crate::support::{BRAND, CUSTOMER, Hook, KEY, SECRET, Stage};

const TIME_LIMIT: Duration = Duration::from_secs(120);

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the checkout")
}

/// Set by `cargo xtask test --no-clients`.
fn are_left_out() -> bool {
    std::env::var_os("ROOST_TEST_NO_CLIENTS").is_some()
}

fn node() -> PathBuf {
    let modules = checkout().join("tests/clients/node_modules/twitter-api-v2");
    assert!(
        modules.is_dir(),
        "the npm packages of tests/clients are not installed: run `cargo xtask test`, which installs them"
    );
    std::env::var_os("ROOST_TEST_NODE").map_or_else(|| "node".into(), PathBuf::from)
}

fn python() -> PathBuf {
    let python = std::env::var_os("ROOST_TEST_PYTHON").map(PathBuf::from);
    let venv = std::env::var_os("ROOST_CLIENT_VENV").map(PathBuf::from);
    let venv = venv.unwrap_or_else(|| checkout().join(".roost/venv"));
    let python = python.unwrap_or_else(|| venv.join("bin/python"));
    assert!(
        python.is_file(),
        "there is no Python with the packages of tests/clients at {}: run `cargo xtask test`, which makes one",
        python.display()
    );
    python
}

/// Runs a script of `tests/clients` against a simulator of its own.
async fn run(program: PathBuf, script: &str) {
    let stage = Stage::new().await;
    let hook = Hook::start();
    let keys = stage.keys("acme").await;
    let mut command = Command::new(&program);
    command
        .arg(checkout().join("tests/clients").join(script))
        .envs([
            ("SIM_URL", stage.simulator.url()),
            ("SIM_CONSUMER_KEY", KEY),
            ("SIM_CONSUMER_SECRET", SECRET),
            ("SIM_OAUTH_TOKEN", &keys.token),
            ("SIM_OAUTH_TOKEN_SECRET", &keys.secret),
            ("SIM_OAUTH2_TOKEN", &keys.oauth2),
            ("SIM_BEARER_TOKEN", &stage.bearer().await),
            ("SIM_BRAND_ID", BRAND),
            ("SIM_CUSTOMER_ID", CUSTOMER),
            ("SIM_WEBHOOK_URL", &hook.url),
            ("NO_PROXY", "127.0.0.1,localhost"),
            ("no_proxy", "127.0.0.1,localhost"),
            // The clients' sources are not ours to litter.
            ("PYTHONDONTWRITEBYTECODE", "1"),
        ])
        .kill_on_drop(true);
    let output = tokio::time::timeout(TIME_LIMIT, command.output()).await;
    let output = output
        .unwrap_or_else(|_| panic!("{script} does not end"))
        .unwrap_or_else(|error| {
            panic!(
                "cannot run {}: {error}; `cargo xtask test` fetches it",
                program.display()
            )
        });
    check(script, &output);
}

fn check(script: &str, output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{script}:\n{out}{err}");
    assert!(
        out.lines().filter(|line| line.starts_with("ok ")).count() >= 3,
        "{script} proves too little:\n{out}"
    );
}

#[tokio::test]
async fn twitter_api_v2_sends_reads_and_understands_refusals() {
    if !are_left_out() {
        run(node(), "node/twitter_api_v2.js").await;
    }
}

#[tokio::test]
async fn twitter_autohook_accepts_challenges_and_signatures() {
    if !are_left_out() {
        run(node(), "node/twitter_autohook.js").await;
    }
}

#[tokio::test]
async fn oauth_1_0a_signs_what_is_verified() {
    if !are_left_out() {
        run(node(), "node/oauth_1_0a.js").await;
    }
}

#[tokio::test]
async fn xdk_finds_the_shapes_of_its_models() {
    if !are_left_out() {
        run(python(), "python/xdk_typed.py").await;
    }
}

#[tokio::test]
async fn python_twitter_finds_every_field_it_reads() {
    if !are_left_out() {
        run(python(), "python/python_twitter_strict.py").await;
    }
}
