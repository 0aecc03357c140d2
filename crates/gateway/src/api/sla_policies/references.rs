//! What a policy names must be the brand's.

use roost_domain::sla::{Action, PolicySpec};
use roost_store::BrandTx;
use roost_store::attributes::{self, Definition, Subject, from_query};
use roost_store::sla_policies::{Table, hold};
use uuid::Uuid;

use crate::input::escape;
use crate::problem::{Code, Fault, Problem};

/// Refuses what isn't the brand's, as if there were no such thing, and brings attributes' values into the
/// form in which they are stored. What is named is held until the end of the transaction.
pub(super) async fn check(tx: &mut BrandTx, spec: &mut PolicySpec) -> Result<(), Problem> {
    let mut unknown = Vec::new();
    for (table, named) in named(spec) {
        let ids: Vec<Uuid> = named.iter().map(|one| one.id).collect();
        let known = hold(tx, table, &ids).await?;
        let missing = named.into_iter().filter(|one| !known.contains(&one.id));
        unknown.extend(missing.map(|one| Fault {
            pointer: one.pointer,
            detail: format!("there is no {}", one.text),
        }));
    }
    let wanted = &mut spec.conditions.contact_attributes;
    let keys: Vec<String> = wanted.keys().cloned().collect();
    let definitions = attributes::hold(tx, Subject::Contact, &keys).await?;
    let mut unfit = Vec::new();
    for (key, values) in wanted {
        let at = format!("/conditions/contact_attributes/{}", escape(key));
        match definitions.iter().find(|known| known.key == *key) {
            Some(definition) => unfit.append(&mut store_as(definition, values, &at)),
            None => unknown.push(Fault {
                pointer: at,
                detail: "is no attribute of contacts".to_owned(),
            }),
        }
    }
    if !unknown.is_empty() {
        return Err(Problem::new(Code::UnknownReference).faults(unknown));
    }
    if !unfit.is_empty() {
        return Err(Problem::new(Code::AttributeInvalid).faults(unfit));
    }
    Ok(())
}

fn store_as(definition: &Definition, values: &mut [String], at: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (index, value) in values.iter_mut().enumerate() {
        match from_query(definition, value) {
            Ok(text) => *value = text,
            Err(detail) => faults.push(Fault {
                pointer: format!("{at}/{index}"),
                detail,
            }),
        }
    }
    faults
}

struct Name {
    pointer: String,
    id: Uuid,
    text: String,
}

/// All ids in a policy, each with its place.
fn named(spec: &PolicySpec) -> [(Table, Vec<Name>); 4] {
    let of = |pointer: String, id: Uuid, text: String| Name { pointer, id, text };
    let conditions = &spec.conditions;
    let place = |list: &str, index: usize| format!("/conditions/{list}/{index}");
    let channels = conditions.channel_ids.iter().enumerate();
    let channels =
        channels.map(|(index, id)| of(place("channel_ids", index), id.0, id.to_string()));
    let labels = conditions.label_ids.iter().enumerate();
    let labels = labels.map(|(index, id)| of(place("label_ids", index), id.0, id.to_string()));
    let teams = conditions.team_ids.iter().enumerate();
    let teams = teams.map(|(index, id)| of(place("team_ids", index), id.0, id.to_string()));
    let targets = [
        ("first_response", &spec.first_response),
        ("next_response", &spec.next_response),
        ("resolution", &spec.resolution),
        ("assignment", &spec.assignment),
    ];
    let calendars = targets.into_iter().filter_map(|(kind, target)| {
        let id = target.as_ref()?.calendar_id?;
        let pointer = format!("/targets/{kind}/calendar_id");
        Some(of(pointer, id.0, id.to_string()))
    });
    let mut actions = actions_at("/on_warning", &spec.on_warning);
    actions.append(&mut actions_at("/on_breach", &spec.on_breach));
    for (index, step) in spec.escalations.iter().enumerate() {
        let at = format!("/escalations/{index}/actions");
        actions.append(&mut actions_at(&at, &step.actions));
    }
    [
        (Table::Channels, channels.collect()),
        (Table::Labels, labels.collect()),
        (Table::Teams, teams.chain(actions).collect()),
        (Table::Calendars, calendars.collect()),
    ]
}

/// The teams that actions name.
fn actions_at(at: &str, actions: &[Action]) -> Vec<Name> {
    let team = |(index, action): (usize, &Action)| match action {
        Action::MoveToTeam { team_id } => Some(Name {
            pointer: format!("{at}/{index}/team_id"),
            id: team_id.0,
            text: team_id.to_string(),
        }),
        Action::Notify { .. } | Action::RaisePriority { .. } => None,
    };
    actions.iter().enumerate().filter_map(team).collect()
}
