//! `growth`: does a list or a search take longer when a brand has twenty times as much?
//!
//! Two databases with one brand each, alike but for their size, are asked in turn as `roost_app`, through
//! the statements that the API uses. They are kept for the next run.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use jiff::{Timestamp, ToSpan as _};
use roost_domain::conversation::{Priority, Status};
use roost_domain::ids::{
    AttributeId, BrandId, ChannelId, ContactId, ConversationId, LabelId, MemberId, TeamId,
};
use roost_domain::terms::Wanted;
use roost_store::conversations::{
    self, AttributeFilter, ConversationFilter, ListKey, Page, SlaState, Sort, SortField,
};
use roost_store::visibility::Visibility;
use roost_store::{StoreError, messages, search};
use roost_tests::bulk::{Size, add_channels, fill};
use roost_tests::db::{TestDb, setting};
use sqlx::types::Uuid;

use crate::report::{ms, quantile};
use crate::{house, machine};

/// Growth that p99 may show.
const TARGET: f64 = 1.5;
/// The same for a page from the middle of a list, beside the first.
const DEEP_TARGET: f64 = 1.2;
/// Rows of a page, as the API asks for them: one more than it shows.
const ROWS: i64 = 51;
/// Answers before those that count.
const WARM_UP: usize = 3;
const CHANNELS: usize = 3;
const AGENTS: usize = 50;

/// Arguments of the bench.
#[derive(Debug, Args)]
pub(crate) struct Growth {
    /// Measure although other work keeps the machine busy
    #[arg(long)]
    anyway: bool,
    /// Conversations of the large brand, ten messages each
    #[arg(long, default_value_t = 200_000)]
    conversations: i32,
    /// Conversations of the small one
    #[arg(long, default_value_t = 10_000)]
    beside: i32,
    /// Answers of each kind that are measured
    #[arg(long, default_value_t = 100)]
    samples: usize,
}

/// A brand to ask.
struct Place {
    db: TestDb,
    brand: BrandId,
    team: TeamId,
    members: Vec<MemberId>,
    channel: ChannelId,
    contact: ContactId,
    common_label: LabelId,
    rare_label: LabelId,
    tier: AttributeId,
}

/// A question, made for a place.
struct Case {
    name: &'static str,
    ask: fn(&Place) -> Question,
}

struct Question {
    filter: ConversationFilter,
    q: Option<&'static str>,
    visibility: Visibility,
    page: Page,
}

/// Runs the bench.
///
/// # Errors
/// When the machine is busy, or the database fails.
pub(crate) async fn run(bench: &Growth) -> anyhow::Result<()> {
    machine::must_be_idle(bench.anyway).await?;
    machine::describe(&house::folder())?;
    let small = Place::open(bench.beside).await?;
    let large = Place::open(bench.conversations).await?;
    println!(
        "\n{:<34} {:>10} {:>10} {:>10} {:>10} {:>8} {:>8}",
        "", "p50 small", "p50 large", "p99 small", "p99 large", "p50 x", "p99 x"
    );
    let mut missed = 0;
    for case in CASES {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for sample in 0..WARM_UP + bench.samples {
            for (place, times) in [(&small, &mut before), (&large, &mut after)] {
                let time = place.time((case.ask)(place)).await?;
                if sample >= WARM_UP {
                    times.push(time);
                }
            }
        }
        missed += u32::from(!show(case.name, before, after, TARGET));
    }
    show_deep_pages(&large, bench.samples).await?;
    println!("\n{missed} of {} beyond {TARGET}", CASES.len());
    Ok(())
}

fn show(name: &str, mut before: Vec<Duration>, mut after: Vec<Duration>, target: f64) -> bool {
    before.sort_unstable();
    after.sort_unstable();
    let at = |share| (quantile(&before, share), quantile(&after, share));
    let ((p50, p50_after), (p99, p99_after)) = (at(0.5), at(0.99));
    let ratio = p99_after.as_secs_f64() / p99.as_secs_f64();
    println!(
        "{name:<34} {:>10} {:>10} {:>10} {:>10} {:>8.2} {ratio:>8.2} {}",
        ms(p50),
        ms(p50_after),
        ms(p99),
        ms(p99_after),
        p50_after.as_secs_f64() / p50.as_secs_f64(),
        if ratio <= target { "met" } else { "MISSED" }
    );
    ratio <= target
}

/// A page from the middle of the large list beside its first.
async fn show_deep_pages(place: &Place, samples: usize) -> anyhow::Result<()> {
    let (mut first, mut deep) = (Vec::new(), Vec::new());
    for _ in 0..WARM_UP + samples {
        first.push(place.time(list(SortField::OpenedAt, true)).await?);
        let mut question = list(SortField::OpenedAt, true);
        question.page.after = Some(ListKey {
            at: Some(Timestamp::now() - (24 * 180).hours()),
            id: ConversationId(Uuid::now_v7()),
        });
        deep.push(place.time(question).await?);
    }
    show("page in the middle / first page", first, deep, DEEP_TARGET);
    Ok(())
}

impl Place {
    /// Finds the brand of this size, or makes it.
    async fn open(size: i32) -> anyhow::Result<Self> {
        let started = Instant::now();
        let admin_url = setting("ROOST_TEST_ADMIN_URL");
        let db = TestDb::kept(&admin_url, &format!("growth_{size}"), async |db, owner| {
            println!("filling a brand with {size} conversations …");
            let brand = db.brand("Bench", AGENTS).await;
            let mut channels = add_channels(owner, &brand, CHANNELS - 1).await;
            channels.push(brand.channel);
            let size = Size {
                conversations: size,
                messages: 10,
            };
            fill(owner, &brand, &channels, size).await;
        })
        .await;
        let mut owner = db.owner().await;
        let (brand, team, channel): (Uuid, Uuid, Uuid) = sqlx::query_as(
            "select t.brand_id, t.id, c.id from teams t join channels c on c.brand_id = t.brand_id limit 1",
        )
        .fetch_one(&mut owner)
        .await
        .context("find the brand")?;
        let members: Vec<Uuid> = sqlx::query_scalar("select id from members order by id")
            .fetch_all(&mut owner)
            .await?;
        let (contact, common_label, rare_label, tier): (Uuid, Uuid, Uuid, Uuid) = sqlx::query_as(
            "select md5('contact7777')::uuid, md5('label3')::uuid, md5('label150')::uuid, md5('attribute')::uuid",
        )
        .fetch_one(&mut owner)
        .await?;
        println!(
            "{size} conversations after {:.0} s",
            started.elapsed().as_secs_f64()
        );
        Ok(Self {
            db,
            brand: BrandId(brand),
            team: TeamId(team),
            members: members.into_iter().map(MemberId).collect(),
            channel: ChannelId(channel),
            contact: ContactId(contact),
            common_label: LabelId(common_label),
            rare_label: LabelId(rare_label),
            tier: AttributeId(tier),
        })
    }

    /// What the API does for one request, the transaction's begin and end included.
    async fn time(&self, question: Question) -> anyhow::Result<Duration> {
        let reader = self.members[0];
        let started = Instant::now();
        self.db
            .store
            .brand(self.brand, move |tx| {
                Box::pin(async move {
                    let mut filter = question.filter;
                    if let Some(wanted) = question.q.and_then(Wanted::parse) {
                        filter.found = Some(
                            search::conversations(tx, &wanted)
                                .await?
                                .into_iter()
                                .collect(),
                        );
                    }
                    let visibility = &question.visibility;
                    let rows = conversations::list(tx, &filter, visibility, &question.page, reader)
                        .await?;
                    if let Some((_, row)) = rows.first().filter(|_| question.page.limit == 1) {
                        messages::thread(tx, row.id, None, false, ROWS).await?;
                    }
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        Ok(started.elapsed())
    }

    fn tier(&self, value: &str) -> AttributeFilter {
        AttributeFilter {
            definition: self.tier,
            values: vec![value.to_owned()],
        }
    }
}

fn list(field: SortField, descending: bool) -> Question {
    Question {
        filter: ConversationFilter::default(),
        q: None,
        visibility: Visibility::ALL,
        page: Page {
            sort: Sort { field, descending },
            after: None,
            limit: ROWS,
        },
    }
}

fn by(filter: ConversationFilter) -> Question {
    Question {
        filter,
        ..list(SortField::LastMessageAt, true)
    }
}

fn found(q: &'static str) -> Question {
    Question {
        q: Some(q),
        ..list(SortField::LastMessageAt, true)
    }
}

fn days_ago(days: i64) -> Option<Timestamp> {
    Some(Timestamp::now() - (24 * days).hours())
}

/// A filter of some fields.
macro_rules! filter {
    ($($field:ident: $value:expr),+ $(,)?) => {
        by(ConversationFilter { $($field: $value,)+ ..ConversationFilter::default() })
    };
}

/// A list of cases, each with the place that it asks.
macro_rules! cases {
    ($($name:literal => |$place:ident| $question:expr;)+) => {
        const CASES: &[Case] = &[$(Case { name: $name, ask: |$place: &Place| $question },)+];
    };
}

cases! {
    "sort -last_message_at" => |_place| list(SortField::LastMessageAt, true);
    "sort last_message_at" => |_place| list(SortField::LastMessageAt, false);
    "sort -opened_at" => |_place| list(SortField::OpenedAt, true);
    "sort opened_at" => |_place| list(SortField::OpenedAt, false);
    "sort -updated_at" => |_place| list(SortField::UpdatedAt, true);
    "sort updated_at" => |_place| list(SortField::UpdatedAt, false);
    "sort waiting_since" => |_place| list(SortField::WaitingSince, false);
    "sort -waiting_since" => |_place| list(SortField::WaitingSince, true);
    "sort next_due_at" => |_place| list(SortField::NextDueAt, false);
    "sort -next_due_at" => |_place| list(SortField::NextDueAt, true);
    "status=open" => |_place| filter!(status: vec![Status::Open]);
    "status=pending" => |_place| filter!(status: vec![Status::Pending]);
    "status=snoozed" => |_place| filter!(status: vec![Status::Snoozed]);
    "status=resolved" => |_place| filter!(status: vec![Status::Resolved]);
    "status=open, waiting_since" => |_place| Question {
        filter: ConversationFilter { status: vec![Status::Open], ..ConversationFilter::default() },
        ..list(SortField::WaitingSince, false)
    };
    "priority=urgent" => |_place| filter!(priority: vec![Priority::Urgent]);
    "assignee_id" => |place| filter!(assignee: vec![Some(place.members[7])]);
    "assignee_id, status=open" => |place| filter!(
        assignee: vec![Some(place.members[7])], status: vec![Status::Open]
    );
    "assignee_id=none" => |_place| filter!(assignee: vec![None]);
    "assignee_id=none, status=open" => |_place| filter!(assignee: vec![None], status: vec![Status::Open]);
    "team_id" => |place| filter!(team: vec![Some(place.team)]);
    "team_id=none" => |_place| filter!(team: vec![None]);
    "channel_id" => |place| filter!(channel: vec![place.channel]);
    "contact_id" => |place| filter!(contact: vec![place.contact]);
    "label, on every third" => |place| filter!(label: vec![place.common_label]);
    "label, on every 150th" => |place| filter!(label: vec![place.rare_label]);
    "sla=at_risk" => |_place| filter!(sla: vec![SlaState::AtRisk]);
    "sla=breached" => |_place| filter!(sla: vec![SlaState::Breached]);
    "external_id" => |_place| filter!(external_id: vec!["CASE-7776".to_owned()]);
    "attributes, every second" => |place| filter!(attributes: vec![place.tier("basic")]);
    "attributes, every 150th" => |place| filter!(attributes: vec![place.tier("gold")]);
    "has_failed_send" => |_place| filter!(has_failed_send: Some(true));
    "opened_after, a week" => |_place| filter!(opened_after: days_ago(7));
    "opened_before, -opened_at" => |_place| Question {
        filter: ConversationFilter { opened_before: days_ago(334), ..ConversationFilter::default() },
        ..list(SortField::OpenedAt, true)
    };
    "opened_before, another order" => |_place| filter!(opened_before: days_ago(334));
    "updated_after, a week" => |_place| filter!(updated_after: days_ago(7));
    "updated_before, -updated_at" => |_place| Question {
        filter: ConversationFilter { updated_before: days_ago(334), ..ConversationFilter::default() },
        ..list(SortField::UpdatedAt, true)
    };
    "updated_before, another order" => |_place| filter!(updated_before: days_ago(334));
    "resolved_after, two weeks" => |_place| filter!(resolved_after: days_ago(14));
    "resolved_before, opened_at" => |_place| Question {
        filter: ConversationFilter { resolved_before: days_ago(334), ..ConversationFilter::default() },
        ..list(SortField::OpenedAt, false)
    };
    "resolved_before, from the newest" => |_place| filter!(resolved_before: days_ago(334));
    "an agent before closed teams" => |place| Question {
        visibility: Visibility { closed_teams_of: Some(place.members[7]), ..Visibility::ALL },
        ..list(SortField::LastMessageAt, true)
    };
    "q, a rare word" => |_place| found("needle");
    "q, a common word" => |_place| found("the order");
    "q, two words" => |_place| found("refund password");
    "q, the beginning of a word" => |_place| found("need");
    "q, a common beginning" => |_place| found("ord");
    "q, a name" => |_place| found("carla petrov");
    "q, a part of a handle" => |_place| found("ser_7777");
    "q, nothing" => |_place| found("nowhere");
    "one conversation's messages" => |_place| Question {
        page: Page { limit: 1, ..list(SortField::OpenedAt, true).page },
        ..list(SortField::OpenedAt, true)
    };
}
