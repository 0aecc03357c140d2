//! Reports.

mod csv;
mod period;

use std::collections::BTreeSet;

use actix_web::http::header::{ACCEPT, CONTENT_DISPOSITION, VARY};
use actix_web::{HttpRequest, HttpResponse, web};
use roost_domain::ids::BrandId;
use roost_store::sla_reports::{self, Dimension, Report, ReportQuery};
use roost_store::{StoreError, brands};

use crate::app::App;
use crate::auth::Actor;
use crate::input::Query;
use crate::problem::{Code, Problem};
use crate::wire::report::{SlaReportRow, SlaReportView};
use period::Period;
pub(super) use period::check_instant;

/// Most rows of one report.
const MOST_ROWS: usize = 20_000;

/// How SLA clocks ended: met, breached and excused, cancelled, durations, reopenings.
#[utoipa::path(
    get, path = "/v1/reports/sla", tag = "reports",
    params(
        ("from" = String, Query, description = "An instant, or a date: its midnight in the zone"),
        ("to" = String, Query, description = "Not contained; at most 400 days later"),
        ("interval" = Option<String>, Query, description = "`none` (the whole), `day`, `week` (from Monday) or `month`, in the zone"),
        ("time_zone" = Option<String>, Query, description = "An IANA name; by default the brand's"),
        ("group_by" = Option<Vec<String>>, Query, description = "`team`, `member`, `channel`, `priority`, `policy`; repeated: by all of them"),
        ("kind" = Option<Vec<String>>, Query, description = "Of these kinds only"),
        ("team_id" = Option<Vec<String>>, Query, description = "Or `none`"),
        ("member_id" = Option<Vec<String>>, Query, description = "Or `none`"),
        ("channel_id" = Option<Vec<String>>, Query), ("priority" = Option<Vec<String>>, Query),
        ("policy_id" = Option<Vec<String>>, Query),
        ("Accept" = Option<String>, Header, description = "`text/csv` for a table")
    ),
    responses((status = 200, content((SlaReportView = "application/json"), (String = "text/csv"))))
)]
pub(crate) async fn sla(
    app: web::Data<App>,
    actor: Actor,
    request: HttpRequest,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let zone = match query.text("time_zone") {
        Some(name) => name,
        None => brand_zone(&app, actor.brand).await?,
    };
    let period = Period::read(&query, zone);
    let by = dimensions(&query);
    let mut wanted = ReportQuery {
        borders: Vec::new(),
        by: by.clone(),
        kinds: query.all("kind"),
        teams: query.all_or_none("team_id"),
        members: query.all_or_none("member_id"),
        channels: query.all("channel_id"),
        priorities: query.all("priority"),
        policies: query.all("policy_id"),
        visibility: actor.visibility(),
    };
    query.finish()?;
    let period = period.ok_or_else(|| Problem::new(Code::InvalidRequest))?;
    wanted.borders.clone_from(&period.borders);
    let report = app
        .store
        .brand(actor.brand, move |tx| {
            Box::pin(async move { sla_reports::report(tx, &wanted, MOST_ROWS).await })
        })
        .await?;
    let report = report.map_err(|_| {
        let detail = format!("gives more than {MOST_ROWS} rows: take a longer one or fewer groups");
        Problem::at(Code::InvalidRequest, query.pointer("interval"), detail)
    })?;
    let view = show(&period, &by, report)?;
    let mut response = HttpResponse::Ok();
    response.insert_header((VARY, "Accept"));
    if !wants_csv(&request) {
        return Ok(response.json(view));
    }
    let by: Vec<Dimension> = by.into_iter().collect();
    let name = format!("attachment; filename=\"sla-{}.csv\"", date(&period, 0));
    Ok(response
        .content_type("text/csv; charset=utf-8")
        .insert_header((CONTENT_DISPOSITION, name))
        .body(csv::write(&view, &by)?))
}

async fn brand_zone(app: &App, brand: BrandId) -> Result<String, Problem> {
    let found = app
        .store
        .brand(brand, move |tx| Box::pin(brands::find(tx)))
        .await
        .map_err(|error: StoreError| Problem::from(error))?;
    Ok(found.ok_or_else(Problem::not_found)?.time_zone)
}

fn dimensions(query: &Query) -> BTreeSet<Dimension> {
    let mut by = BTreeSet::new();
    for name in query.texts("group_by") {
        let known = Dimension::ALL.into_iter().find(|it| it.as_str() == name);
        match known {
            Some(dimension) => {
                by.insert(dimension);
            }
            None => query.fault(
                "group_by",
                "must be team, member, channel, priority or policy",
            ),
        }
    }
    by
}

/// The local date on which a part of a period starts.
fn date(period: &Period, part: usize) -> String {
    let starts_at = period.borders.get(part).copied().unwrap_or_default();
    starts_at
        .to_zoned_datetime(period.zone.clone())
        .date()
        .to_string()
}

fn show(
    period: &Period,
    by: &BTreeSet<Dimension>,
    report: Report,
) -> Result<SlaReportView, Problem> {
    let borders = &period.borders;
    let (Some(from), Some(to)) = (borders.first().copied(), borders.last().copied()) else {
        return Err(Problem::caused(Code::Internal, "a period without an end"));
    };
    let dates: Vec<String> = (0..borders.len()).map(|part| date(period, part)).collect();
    let rows = report.rows.iter().filter_map(|row| {
        let starts_at = *borders.get(row.period)?;
        let ends_at = *borders.get(row.period + 1)?;
        let date = dates.get(row.period)?.clone();
        let group = &row.group;
        let shown = SlaReportRow::new(starts_at.into(), ends_at.into(), date, group, &row.figures);
        Some(shown.grouped(by, group, &report.names))
    });
    Ok(SlaReportView {
        from: from.into(),
        to: to.into(),
        time_zone: period.zone_name.clone(),
        interval: period.interval.as_str(),
        group_by: by.iter().map(|dimension| dimension.as_str()).collect(),
        data: rows.collect(),
    })
}

/// Whether the first type that we have is the table.
fn wants_csv(request: &HttpRequest) -> bool {
    let accepted = request.headers().get(ACCEPT);
    let accepted = accepted.and_then(|value| value.to_str().ok());
    let types = accepted.unwrap_or_default().split(',');
    let names = types.map(|one| one.split(';').next().unwrap_or_default().trim());
    let ours = ["text/csv", "application/json", "application/*", "*/*"];
    let mut known = names.filter(|name| ours.iter().any(|our| our.eq_ignore_ascii_case(name)));
    known
        .next()
        .is_some_and(|name| name.eq_ignore_ascii_case("text/csv"))
}
