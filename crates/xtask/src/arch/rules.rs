//! The table of what may not depend on what.

use super::workspace::{Dependency, Workspace};

/// One row of the table.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: &'static str,
    pub(super) never: &'static str,
    pub(super) why: &'static str,
    pub(super) check: fn(&Workspace) -> Vec<String>,
}

const DOMAIN: &str = "roost-domain";
const SIMULATOR: &str = "roost-simulator";
const TESTS: &str = "roost-tests";

/// One outside thing each.
const ADAPTERS: [&str; 4] = ["roost-platforms", "roost-store", "roost-bus", "roost-cache"];
/// Below the adapters: they may be used by them.
const GROUND: [&str; 2] = ["roost-service", "roost-egress"];
const ROLES: [&str; 9] = [
    "roost-ingester",
    "roost-inbox",
    "roost-relay",
    "roost-router",
    "roost-sla",
    "roost-sender",
    "roost-notifier",
    "roost-gateway",
    "roost-dashboard",
];
/// They stand outside: they may use the house, nothing in it may use them.
const OUTSIDE: [&str; 4] = [SIMULATOR, "xtask", TESTS, "roost"];

/// What `domain` may not have: I/O, tasks, logs, and errors without a type.
const IMPURE: [&str; 8] = [
    "tokio",
    "sqlx",
    "lapin",
    "redis",
    "reqwest",
    "tracing",
    "anyhow",
    "futures-util",
];

/// An outside system and the crates that may speak to it.
const DOORS: [(&str, &[&str]); 4] = [
    ("sqlx", &["roost-store", "xtask", TESTS]),
    ("lapin", &["roost-bus", TESTS]),
    ("redis", &["roost-cache", TESTS]),
    (
        "reqwest",
        &["roost-egress", "roost-platforms", SIMULATOR, TESTS],
    ),
];

const HTTP_EDGES: [&str; 6] = [
    "roost-service",
    "roost-ingester",
    "roost-gateway",
    "roost-dashboard",
    SIMULATOR,
    TESTS,
];

/// Never anywhere in the tree: rustls is our TLS.
const OTHER_TLS: [&str; 6] = [
    "openssl",
    "openssl-sys",
    "native-tls",
    "boring",
    "s2n-tls",
    "mbedtls",
];

/// Never in a manifest of ours: the tree has chosen jiff, sha1 and sha2, and reqwest.
const SECOND_CHOICES: [&str; 19] = [
    "chrono",
    "time",
    "humantime",
    "ring",
    "aws-lc-rs",
    "md-5",
    "md5",
    "blake2",
    "blake3",
    "sha-1",
    "sha3",
    "hyper",
    "hyper-util",
    "http",
    "ureq",
    "isahc",
    "surf",
    "awc",
    "curl",
];

/// The rules, in the order in which the documents number them.
pub(super) const RULES: [Rule; 8] = [
    Rule {
        id: "N1",
        never: "domain depends on a crate of ours or on I/O",
        why: "rules must run in a property test by the million",
        check: domain_is_pure,
    },
    Rule {
        id: "N2",
        never: "an adapter depends on another adapter or on a role",
        why: "one outside thing each",
        check: adapters_stand_alone,
    },
    Rule {
        id: "N3",
        never: "a role depends on another role, or the house on what stands outside",
        why: "roles talk through the log and the bus",
        check: roles_stand_alone,
    },
    Rule {
        id: "N4",
        never: "sqlx outside store, lapin outside bus, redis outside cache, reqwest outside egress, platforms and simulator",
        why: "one door per system",
        check: one_door_per_system,
    },
    Rule {
        id: "N5",
        never: "actix outside service, ingester, gateway, dashboard and simulator",
        why: "HTTP is an edge",
        check: http_is_an_edge,
    },
    Rule {
        id: "N6",
        never: "roost reaches the simulator, or the simulator a crate of ours",
        why: "a stub that shares our parser agrees with our mistakes",
        check: simulator_is_a_stranger,
    },
    Rule {
        id: "N7",
        never: "a cycle through dev-dependencies",
        why: "builds double, and tests see two copies of a type",
        check: no_cycles,
    },
    Rule {
        id: "N8",
        never: "a second TLS stack, or a second date-time, hashing or HTTP-client crate",
        why: "one of each",
        check: one_of_each,
    },
];

/// The edges that `is_wrong` holds for, in words.
fn wrong_edges(workspace: &Workspace, is_wrong: impl Fn(&str, &Dependency) -> bool) -> Vec<String> {
    workspace
        .edges()
        .filter(|(from, to)| is_wrong(from, to))
        .map(|(from, to)| format!("{from} depends on {}", to.name))
        .collect()
}

fn domain_is_pure(workspace: &Workspace) -> Vec<String> {
    wrong_edges(workspace, |from, to| {
        from == DOMAIN
            && (workspace.is_ours(&to.name)
                || IMPURE.contains(&to.name.as_str())
                || to.name.starts_with("actix"))
    })
}

fn adapters_stand_alone(workspace: &Workspace) -> Vec<String> {
    wrong_edges(workspace, |from, to| {
        let to = to.name.as_str();
        let above = ROLES.contains(&to) || ADAPTERS.contains(&to);
        (ADAPTERS.contains(&from) && above)
            || (GROUND.contains(&from) && (above || GROUND.contains(&to)))
    })
}

fn roles_stand_alone(workspace: &Workspace) -> Vec<String> {
    wrong_edges(workspace, |from, to| {
        let name = to.name.as_str();
        let is_house = !OUTSIDE.contains(&from);
        let to_role = ROLES.contains(&from)
            && ROLES.contains(&name)
            && (from, name) != ("roost-gateway", "roost-dashboard");
        // Tests of a crate may borrow the test helpers.
        let to_outside = is_house && OUTSIDE.contains(&name) && !(name == TESTS && to.is_dev());
        to_role || to_outside
    })
}

fn one_door_per_system(workspace: &Workspace) -> Vec<String> {
    wrong_edges(workspace, |from, to| {
        // A crate's own tests may look behind the door.
        !to.is_dev()
            && DOORS
                .iter()
                .any(|(system, doors)| to.name == *system && !doors.contains(&from))
    })
}

fn http_is_an_edge(workspace: &Workspace) -> Vec<String> {
    wrong_edges(workspace, |from, to| {
        !to.is_dev() && to.name.starts_with("actix") && !HTTP_EDGES.contains(&from)
    })
}

fn simulator_is_a_stranger(workspace: &Workspace) -> Vec<String> {
    let mut faults = wrong_edges(workspace, |from, to| {
        from == SIMULATOR && !to.is_dev() && workspace.is_ours(&to.name)
    });
    if workspace.roost_tree.iter().any(|name| name == SIMULATOR) {
        faults.push(format!("roost has {SIMULATOR} in its tree"));
    }
    faults
}

fn no_cycles(workspace: &Workspace) -> Vec<String> {
    let mut faults = Vec::new();
    let mut settled = Vec::new();
    for package in &workspace.packages {
        walk(
            workspace,
            &package.name,
            &mut Vec::new(),
            &mut settled,
            &mut faults,
        );
    }
    faults
}

/// Depth first: meeting a crate of the present path closes a cycle.
fn walk<'a>(
    workspace: &'a Workspace,
    at: &'a str,
    path: &mut Vec<&'a str>,
    settled: &mut Vec<&'a str>,
    faults: &mut Vec<String>,
) {
    if let Some(start) = path.iter().position(|name| *name == at) {
        let cycle = path.get(start..).unwrap_or_default().join(" -> ");
        faults.push(format!("{cycle} -> {at}"));
        return;
    }
    if settled.contains(&at) {
        return;
    }
    path.push(at);
    for (from, to) in workspace.edges() {
        if from == at && workspace.is_ours(&to.name) {
            walk(workspace, &to.name, path, settled, faults);
        }
    }
    path.pop();
    settled.push(at);
}

fn one_of_each(workspace: &Workspace) -> Vec<String> {
    let mut faults = wrong_edges(workspace, |_, to| {
        SECOND_CHOICES.contains(&to.name.as_str())
    });
    let foreign = workspace
        .whole_tree
        .iter()
        .filter(|name| OTHER_TLS.contains(&name.as_str()));
    faults.extend(foreign.map(|name| format!("{name} is in the tree")));
    faults
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A workspace in which each pair is (crate, dependency), dev-dependencies marked by "dev:".
    fn workspace(edges: &[(&str, &str)]) -> Workspace {
        let mut names: Vec<&str> = vec![DOMAIN, SIMULATOR, TESTS, "roost"];
        names.extend(ADAPTERS.iter().chain(&GROUND).chain(&ROLES));
        let packages: Vec<_> = names
            .iter()
            .map(|name| {
                let dependencies: Vec<_> = edges
                    .iter()
                    .filter(|(from, _)| from == name)
                    .map(|(_, to)| {
                        let kind = to.starts_with("dev:").then_some("dev");
                        json!({"name": to.trim_start_matches("dev:"), "kind": kind})
                    })
                    .collect();
                json!({"name": name, "dependencies": dependencies})
            })
            .collect();
        Workspace::parse(&json!({ "packages": packages }).to_string()).unwrap()
    }

    fn violated(workspace: &Workspace) -> Vec<&'static str> {
        RULES
            .iter()
            .filter(|rule| !(rule.check)(workspace).is_empty())
            .map(|rule| rule.id)
            .collect()
    }

    #[test]
    fn the_house_as_designed_violates_nothing() {
        let house = workspace(&[
            ("roost", "roost-inbox"),
            ("roost-inbox", "roost-store"),
            ("roost-store", DOMAIN),
            ("roost-store", "sqlx"),
            ("roost-store", "roost-service"),
            ("roost-gateway", "roost-dashboard"),
            ("roost-gateway", "actix-web"),
            ("roost-inbox", "dev:roost-tests"),
            ("roost-tests", "roost-store"),
            ("roost-inbox", "dev:sqlx"),
            (SIMULATOR, "reqwest"),
        ]);
        assert_eq!(violated(&house), Vec::<&str>::new());
    }

    #[test]
    fn each_forbidden_arrow_is_found_by_its_rule() {
        let cases = [
            ("N1", DOMAIN, "tokio"),
            ("N1", DOMAIN, "actix-rt"),
            ("N1", DOMAIN, "dev:roost-store"),
            ("N2", "roost-store", "roost-bus"),
            ("N2", "roost-cache", "roost-inbox"),
            ("N2", "roost-service", "roost-store"),
            ("N3", "roost-inbox", "roost-router"),
            ("N3", "roost-dashboard", "roost-gateway"),
            ("N3", "roost-inbox", "roost-tests"),
            ("N3", "roost-sender", SIMULATOR),
            ("N4", "roost-gateway", "sqlx"),
            ("N4", "roost-store", "lapin"),
            ("N4", "roost-inbox", "redis"),
            ("N4", "roost-sender", "reqwest"),
            ("N5", "roost-inbox", "actix-web"),
            ("N6", SIMULATOR, "roost-platforms"),
            ("N8", "roost-inbox", "chrono"),
            ("N8", "roost-gateway", "http"),
        ];
        for (rule, from, to) in cases {
            let found = violated(&workspace(&[(from, to)]));
            assert!(found.contains(&rule), "{from} -> {to}: {found:?}");
        }
    }

    #[test]
    fn a_cycle_through_a_dev_dependency_is_found() {
        let house = workspace(&[
            ("roost-tests", "roost-store"),
            ("roost-store", "dev:roost-tests"),
        ]);
        assert!(violated(&house).contains(&"N7"));
    }

    #[test]
    fn trees_are_searched_too() {
        let mut house = workspace(&[]);
        house.roost_tree = vec![SIMULATOR.to_owned()];
        house.whole_tree = vec!["openssl-sys".to_owned()];
        assert_eq!(violated(&house), ["N6", "N8"]);
    }
}
