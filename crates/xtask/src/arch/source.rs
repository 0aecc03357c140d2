//! Rules about sources that clippy can't check crate by crate.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Folders that hold no sources of ours.
const PASSED_OVER: [&str; 5] = ["target", "node_modules", ".git", ".roost", ".venv"];

/// Reads every source below the checkout and names what breaks a rule, as `path:line: what`.
///
/// # Errors
/// When a file can't be read.
pub(super) fn check(checkout: &Path) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for dir in ["crates", "tests", "migrations"] {
        walk(checkout, &checkout.join(dir), &mut faults)?;
    }
    faults.sort();
    Ok(faults)
}

fn walk(checkout: &Path, dir: &Path, faults: &mut Vec<String>) -> Result<()> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            if !PASSED_OVER.contains(&name.as_str()) {
                walk(checkout, &path, faults)?;
            }
        } else if [".rs", ".sql", ".toml"]
            .iter()
            .any(|end| name.ends_with(end))
        {
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let relative = path
                .strip_prefix(checkout)
                .unwrap_or(&path)
                .to_string_lossy();
            faults.extend(check_file(&relative, &text));
        }
    }
    Ok(())
}

/// The faults of one file, whose path is relative to the checkout.
fn check_file(path: &str, text: &str) -> Vec<String> {
    // This very file spells out what it looks for.
    if path == "crates/xtask/src/arch/source.rs" {
        return Vec::new();
    }
    let is_test_file = path.starts_with("tests/") || path.contains("/tests/");
    let mut in_test_module = false;
    let mut faults = Vec::new();
    for (index, line) in text.lines().enumerate() {
        in_test_module |= line.trim() == "#[cfg(test)]";
        let place = Place {
            path,
            is_test: is_test_file || in_test_module,
        };
        for what in place.faults(line) {
            faults.push(format!("{path}:{}: {what}", index + 1));
        }
    }
    faults
}

struct Place<'a> {
    path: &'a str,
    is_test: bool,
}

impl Place<'_> {
    fn faults(&self, line: &str) -> Vec<&'static str> {
        let mut faults = Vec::new();
        if marks_unfinished_work(line) {
            faults.push("TODO, FIXME or XXX without an issue number: write TODO(#12)");
        }
        if !self.is_test && !self.may_read_environment() && reads_environment(line) {
            faults.push("the environment is read by roost-service only: make it a setting");
        }
        if !self.is_test && !self.may_assert_sql() && line.contains("AssertSqlSafe") {
            faults.push(
                "AssertSqlSafe belongs to bootstrap and tx of roost-store only: bind the value",
            );
        }
        if !self.is_test && self.holds_sql() && selects_all_columns(line) {
            faults.push("`select *` breaks when a column comes: list the columns");
        }
        faults
    }

    fn may_read_environment(&self) -> bool {
        ["crates/service/", "crates/xtask/"]
            .iter()
            .any(|dir| self.path.starts_with(dir))
    }

    fn may_assert_sql(&self) -> bool {
        // Names of databases and roles, and the settings of a transaction, can't be bound.
        ["crates/store/src/bootstrap", "crates/store/src/tx"]
            .iter()
            .any(|start| self.path.starts_with(start))
    }

    fn holds_sql(&self) -> bool {
        self.path.starts_with("crates/store/") || self.path.starts_with("migrations/")
    }
}

/// `unnest` names its own columns, in the order of the arrays that the statement binds.
fn selects_all_columns(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    line.contains("select *") && !line.contains("select * from unnest(")
}

fn reads_environment(line: &str) -> bool {
    !line.trim_start().starts_with("//")
        && ["env::var(", "env::vars(", "env::var_os(", "env::vars_os("]
            .iter()
            .any(|call| line.contains(call))
}

/// Whether a word that marks unfinished work stands there without `#` and a number after it.
fn marks_unfinished_work(line: &str) -> bool {
    let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
    ["TODO", "FIXME", "XXX"].iter().any(|word| {
        line.match_indices(word).any(|(at, _)| {
            let (before, rest) = line.split_at(at);
            let after = rest.get(word.len()..).unwrap_or_default();
            let stands_alone = !before.ends_with(is_word) && !after.starts_with(is_word);
            let number = after.trim_start_matches('(').strip_prefix('#');
            stands_alone
                && !number
                    .is_some_and(|text| text.starts_with(|digit: char| digit.is_ascii_digit()))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_work_needs_an_issue_number() {
        assert_eq!(
            check_file("crates/sla/src/lib.rs", "// TODO tidy up").len(),
            1
        );
        assert_eq!(
            check_file("crates/sla/src/lib.rs", "// FIXME(later)").len(),
            1
        );
        assert_eq!(
            check_file("crates/sla/src/lib.rs", "// TODO(#12): tidy up").len(),
            0
        );
        assert_eq!(
            check_file("crates/sla/src/lib.rs", "const XXXL: u8 = 1;").len(),
            0
        );
    }

    #[test]
    fn the_environment_is_read_in_one_place() {
        let line = "let url = std::env::var(\"X\")?;";
        assert_eq!(check_file("crates/inbox/src/lib.rs", line).len(), 1);
        assert_eq!(check_file("crates/service/src/config.rs", line).len(), 0);
        assert_eq!(check_file("crates/inbox/tests/it/main.rs", line).len(), 0);
        let in_tests = format!("#[cfg(test)]\nmod tests {{\n{line}\n}}");
        assert_eq!(check_file("crates/inbox/src/lib.rs", &in_tests).len(), 0);
    }

    #[test]
    fn unchecked_sql_stays_in_the_bootstrap() {
        let line = "sqlx::query(AssertSqlSafe(text))";
        assert_eq!(check_file("crates/store/src/bootstrap.rs", line).len(), 0);
        assert_eq!(check_file("crates/store/src/messages.rs", line).len(), 1);
    }

    #[test]
    fn columns_are_listed() {
        assert_eq!(
            check_file("crates/store/src/messages.rs", "\"Select * from x\"").len(),
            1
        );
        assert_eq!(
            check_file("crates/store/src/messages.rs", "select count(*) from x").len(),
            0
        );
        let arrays = "insert into x (a) select * from unnest($1::text[])";
        assert_eq!(check_file("crates/store/src/messages.rs", arrays).len(), 0);
    }
}
