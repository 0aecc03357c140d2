//! How many conversations each of several filters gives: the badges of views.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use roost_store::conversations;

use super::filters::FilterInput;
use crate::app::App;
use crate::auth::Actor;
use crate::input::Query;
use crate::problem::{Problem, ProblemBody};
use crate::wire::conversation::{CountView, CountsView};

/// Groups that one request may ask for.
const MAX_GROUPS: usize = 20;
/// Where counting stops.
const MAX_COUNT: i64 = 1_000;

/// Counts conversations by up to 20 filters, each under a name. A count stops at 1,000 and may be 2 s old.
#[utoipa::path(
    get, path = "/v1/conversations/counts", tag = "conversations",
    params(
        ("groups" = HashMap<String, String>, Query, style = DeepObject, explode, description = "Filters by the names of their groups: groups[mine][assignee_id]=mem_…&groups[mine][status]=open&groups[new][assignee_id]=none. The list's filters but q")
    ),
    responses((status = 200, body = CountsView), (status = 400, body = ProblemBody))
)]
pub(crate) async fn get(
    app: web::Data<App>,
    actor: Actor,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let groups = read_groups(&query);
    query.finish()?;
    let (brand, visibility) = (actor.brand, actor.visibility());
    // What is counted: whose, as seen by whom, by which filter.
    let key = |filter: &FilterInput| format!("{brand} {visibility:?} {filter:?}");
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    let mut missing: Vec<(String, String, FilterInput)> = Vec::new();
    for (name, filter) in groups {
        let key = key(&filter);
        match app.counts.get(&key) {
            Some(count) => {
                counts.insert(name, count);
            }
            None => missing.push((name, key, filter)),
        }
    }
    if !missing.is_empty() {
        let seen = visibility.clone();
        let counted = app.store.brand(brand, move |tx| {
            Box::pin(async move {
                let (mut names, mut filters) = (Vec::new(), Vec::new());
                for (name, key, filter) in missing {
                    names.push((name, key));
                    filters.push(filter.resolve(tx).await?);
                }
                let counted = conversations::count(tx, &filters, &seen, MAX_COUNT + 1).await?;
                Ok::<_, Problem>(names.into_iter().zip(counted).collect::<Vec<_>>())
            })
        });
        let counted = counted.await?;
        app.counts.put(
            counted
                .iter()
                .map(|((_, key), count)| (key.clone(), *count)),
        );
        counts.extend(counted.into_iter().map(|((name, _), count)| (name, count)));
    }
    let data = counts.into_iter().map(|(name, count)| {
        let view = CountView {
            count: count.min(MAX_COUNT),
            more: count > MAX_COUNT,
        };
        (name, view)
    });
    Ok(HttpResponse::Ok().json(CountsView {
        data: data.collect(),
    }))
}

fn read_groups(query: &Query) -> Vec<(String, FilterInput)> {
    let groups = query.groups("groups");
    if groups.is_empty() {
        query.fault("groups", "must hold a filter: groups[name][status]=open");
    }
    if groups.len() > MAX_GROUPS {
        query.fault("groups", format!("at most {MAX_GROUPS} groups"));
    }
    let read = |(name, group): (String, Query)| {
        let filter = FilterInput::read(&group);
        query.absorb(&group);
        (name, filter)
    };
    groups.into_iter().map(read).collect()
}
