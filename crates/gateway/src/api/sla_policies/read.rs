//! Reading a policy from a body: what can be judged without the database.

use roost_domain::sla::{Action, Escalation, PolicySpec, Seconds, Target};

use crate::input::{Checks, escape};
use crate::problem::Problem;
use crate::wire::sla_policy::{
    ActionBody, ActionType, ConditionsBody, CreateSlaPolicy, EscalationBody, TargetBody,
};

/// Longest target and latest escalation: a leap year, in seconds.
const MAX_SECONDS: i64 = 366 * 24 * 60 * 60;
const MAX_WARNINGS: usize = 10;
const MAX_ACTIONS: usize = 10;
const MAX_ESCALATIONS: usize = 20;
/// Most ids or values in one condition.
const MAX_NAMED: usize = 200;
/// Most attributes in the conditions.
const MAX_KEYS: usize = 20;

/// The name and what the policy says.
pub(super) fn read(body: CreateSlaPolicy) -> Result<(String, PolicySpec), Problem> {
    let mut checks = Checks::default();
    let name = checks.line("/name", &body.name, 1, 100);
    check_conditions(&mut checks, &body.conditions);
    let mut target = |kind: &str, target: Option<TargetBody>| {
        target.map(|target| read_target(&mut checks, &format!("/targets/{kind}"), target))
    };
    let spec = PolicySpec {
        conditions: body.conditions.into(),
        first_response: target("first_response", body.targets.first_response),
        next_response: target("next_response", body.targets.next_response),
        resolution: target("resolution", body.targets.resolution),
        assignment: target("assignment", body.targets.assignment),
        pauses: body.pauses.into(),
        on_reopen: body.on_reopen,
        warnings: read_warnings(&mut checks, &body.warnings),
        on_warning: read_actions(&mut checks, "/on_warning", &body.on_warning),
        on_breach: read_actions(&mut checks, "/on_breach", &body.on_breach),
        escalations: read_escalations(&mut checks, &body.escalations),
    };
    checks.finish()?;
    Ok((name, spec))
}

fn check_conditions(checks: &mut Checks, conditions: &ConditionsBody) {
    let lists = [
        ("channel_ids", conditions.channel_ids.len()),
        ("team_ids", conditions.team_ids.len()),
        ("label_ids", conditions.label_ids.len()),
        ("priorities", conditions.priorities.len()),
    ];
    for (name, length) in lists {
        if length > MAX_NAMED {
            checks.fault(
                &format!("/conditions/{name}"),
                format!("must name {MAX_NAMED} at the most"),
            );
        }
    }
    if conditions.contact_attributes.len() > MAX_KEYS {
        checks.fault(
            "/conditions/contact_attributes",
            format!("must name {MAX_KEYS} attributes at the most"),
        );
    }
    for (key, values) in &conditions.contact_attributes {
        if values.is_empty() || values.len() > MAX_NAMED {
            checks.fault(
                &format!("/conditions/contact_attributes/{}", escape(key)),
                format!("must have 1 to {MAX_NAMED} values"),
            );
        }
    }
}

fn read_target(checks: &mut Checks, at: &str, target: TargetBody) -> Target {
    let seconds = Seconds::from(target.seconds);
    let each = [
        ("low", seconds.low),
        ("normal", seconds.normal),
        ("high", seconds.high),
        ("urgent", seconds.urgent),
    ];
    let is_fit = |seconds: i64| (1..=MAX_SECONDS).contains(&seconds);
    let detail = format!("must be 1 to {MAX_SECONDS} seconds, a leap year");
    if each.iter().all(|(_, seconds)| seconds.is_none()) {
        checks.fault(
            &format!("{at}/seconds"),
            "must have a target for some priority; leave the kind out to have none",
        );
    } else if seconds == seconds.normal.map_or_else(Seconds::default, Seconds::all) {
        // One figure for all: one fault.
        if !seconds.normal.is_some_and(is_fit) {
            checks.fault(&format!("{at}/seconds"), detail);
        }
    } else {
        for (priority, seconds) in each {
            if seconds.is_some_and(|seconds| !is_fit(seconds)) {
                checks.fault(&format!("{at}/seconds/{priority}"), detail.clone());
            }
        }
    }
    Target {
        calendar_id: target.calendar_id,
        seconds,
    }
}

fn read_warnings(checks: &mut Checks, warnings: &[i64]) -> Vec<u8> {
    if warnings.len() > MAX_WARNINGS {
        checks.fault("/warnings", format!("must be {MAX_WARNINGS} at the most"));
    }
    let mut read: Vec<u8> = Vec::new();
    for (index, percent) in warnings.iter().take(MAX_WARNINGS).enumerate() {
        let at = format!("/warnings/{index}");
        match u8::try_from(*percent) {
            Ok(percent @ 1..=99) => {
                if read.last().is_some_and(|before| *before >= percent) {
                    checks.fault(&at, "must be more than the one before it");
                }
                read.push(percent);
            }
            Ok(_) | Err(_) => checks.fault(&at, "must be 1 to 99 percent"),
        }
    }
    read
}

fn read_actions(checks: &mut Checks, at: &str, actions: &[ActionBody]) -> Vec<Action> {
    if actions.len() > MAX_ACTIONS {
        checks.fault(at, format!("must be {MAX_ACTIONS} at the most"));
    }
    let read = |(index, action)| read_action(checks, &format!("{at}/{index}"), action);
    let actions = actions.iter().take(MAX_ACTIONS).enumerate();
    actions.filter_map(read).collect()
}

fn read_action(checks: &mut Checks, at: &str, action: &ActionBody) -> Option<Action> {
    let (wanted, read) = match action.kind {
        ActionType::Notify => ("who", action.who.map(|who| Action::Notify { who })),
        ActionType::RaisePriority => ("to", action.to.map(|to| Action::RaisePriority { to })),
        ActionType::MoveToTeam => {
            let team = action.team_id;
            (
                "team_id",
                team.map(|team_id| Action::MoveToTeam { team_id }),
            )
        }
    };
    let given = [
        ("who", action.who.is_some()),
        ("to", action.to.is_some()),
        ("team_id", action.team_id.is_some()),
    ];
    for (name, is_given) in given {
        if is_given && name != wanted {
            checks.fault(&format!("{at}/{name}"), "belongs to another type of action");
        }
    }
    if read.is_none() {
        checks.fault(&format!("{at}/{wanted}"), "is missing");
    }
    read
}

fn read_escalations(checks: &mut Checks, escalations: &[EscalationBody]) -> Vec<Escalation> {
    if escalations.len() > MAX_ESCALATIONS {
        checks.fault(
            "/escalations",
            format!("must be {MAX_ESCALATIONS} at the most"),
        );
    }
    let mut before = 0;
    let mut read = Vec::new();
    for (index, step) in escalations.iter().take(MAX_ESCALATIONS).enumerate() {
        let at = format!("/escalations/{index}");
        let after = step.after_seconds;
        if !(1..=MAX_SECONDS).contains(&after) {
            checks.fault(
                &format!("{at}/after_seconds"),
                format!("must be 1 to {MAX_SECONDS}"),
            );
        } else if after <= before {
            checks.fault(
                &format!("{at}/after_seconds"),
                "must be more than that of the step before it",
            );
        }
        before = before.max(after);
        if step.actions.is_empty() {
            checks.fault(&format!("{at}/actions"), "must not be empty");
        }
        read.push(Escalation {
            after_seconds: after,
            actions: read_actions(checks, &format!("{at}/actions"), &step.actions),
        });
    }
    read
}
