//! A report as a table for spreadsheets.

use roost_store::sla_reports::Dimension;

use crate::problem::{Code, Problem};
use crate::wire::report::{GroupView, SlaReportRow, SlaReportView};

type Figure = (&'static str, fn(&SlaReportRow) -> String);

const FIGURES: [Figure; 25] = [
    ("met", |row| row.met.to_string()),
    ("breached", |row| row.breached.to_string()),
    ("excused", |row| row.excused.to_string()),
    ("cancelled", |row| row.cancelled.to_string()),
    ("cancelled_resolved", |row| {
        row.cancelled_by_reason.resolved.to_string()
    }),
    ("cancelled_no_reply_needed", |row| {
        row.cancelled_by_reason.no_reply_needed.to_string()
    }),
    ("cancelled_blocked", |row| {
        row.cancelled_by_reason.blocked.to_string()
    }),
    ("cancelled_erased", |row| {
        row.cancelled_by_reason.erased.to_string()
    }),
    ("cancelled_channel_disconnected", |row| {
        row.cancelled_by_reason.channel_disconnected.to_string()
    }),
    ("cancelled_policy", |row| {
        row.cancelled_by_reason.policy.to_string()
    }),
    ("cancelled_left_queue", |row| {
        row.cancelled_by_reason.left_queue.to_string()
    }),
    ("cancelled_late", |row| row.cancelled_late.to_string()),
    ("attainment", |row| shown(row.attainment)),
    ("attainment_excused", |row| shown(row.attainment_excused)),
    ("ended", |row| row.ended.to_string()),
    ("reopened", |row| shown(row.reopened)),
    ("reopen_rate", |row| shown(row.reopen_rate)),
    ("used_seconds_p50", |row| shown(row.used_seconds.p50)),
    ("used_seconds_p90", |row| shown(row.used_seconds.p90)),
    ("used_seconds_p95", |row| shown(row.used_seconds.p95)),
    ("calendar_seconds_p50", |row| {
        shown(row.calendar_seconds.p50)
    }),
    ("calendar_seconds_p90", |row| {
        shown(row.calendar_seconds.p90)
    }),
    ("calendar_seconds_p95", |row| {
        shown(row.calendar_seconds.p95)
    }),
    ("overdue_seconds_p50", |row| shown(row.overdue_seconds.p50)),
    ("overdue_seconds_p90", |row| shown(row.overdue_seconds.p90)),
];

/// Nothing for what is null.
fn shown<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A text that no spreadsheet takes for a formula: people may call themselves `=HYPERLINK(…)`.
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

fn group_of(row: &SlaReportRow, dimension: Dimension) -> Option<&GroupView> {
    match dimension {
        Dimension::Team => row.team.as_ref(),
        Dimension::Member => row.member.as_ref(),
        Dimension::Channel => row.channel.as_ref(),
        Dimension::Policy => row.policy.as_ref(),
        Dimension::Priority => None,
    }
}

/// The report's rows, a header first.
pub(super) fn write(report: &SlaReportView, by: &[Dimension]) -> Result<Vec<u8>, Problem> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| Problem::caused(Code::Internal, error);
    let mut header: Vec<String> = ["starts_at", "ends_at", "date", "kind"]
        .map(str::to_owned)
        .to_vec();
    for dimension in by {
        let name = dimension.as_str();
        if *dimension == Dimension::Priority {
            header.push(name.to_owned());
        } else {
            header.extend([format!("{name}_id"), format!("{name}_name")]);
        }
    }
    header.extend(FIGURES.iter().map(|(name, _)| (*name).to_owned()));
    writer.write_record(&header).map_err(failed)?;
    for row in &report.data {
        let mut cells = vec![
            row.starts_at.text(),
            row.ends_at.text(),
            row.date.clone(),
            row.kind.to_owned(),
        ];
        for dimension in by {
            if *dimension == Dimension::Priority {
                cells.push(row.priority.unwrap_or_default().to_owned());
                continue;
            }
            let group = group_of(row, *dimension);
            let id = group.and_then(|group| group.id.clone());
            let name = group.and_then(|group| group.name.as_deref());
            cells.extend([
                id.unwrap_or_default(),
                name.map(harmless).unwrap_or_default(),
            ]);
        }
        cells.extend(FIGURES.iter().map(|(_, figure)| figure(row)));
        writer.write_record(&cells).map_err(failed)?;
    }
    writer
        .into_inner()
        .map_err(|error| Problem::caused(Code::Internal, error.into_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_gets_an_apostrophe() {
        for bad in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(harmless(bad), format!("'{bad}"));
        }
        for good in ["Ada", "a=b", "", "O'Brien"] {
            assert_eq!(harmless(good), good);
        }
    }
}
