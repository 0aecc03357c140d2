//! `clocks`: what SLA clocks cost, and how soon they tell.
//!
//! Due instants of targets from an hour to five years; a million armed clocks of fifty brands, ten thousand
//! of which fall due in the same second, then two hundred a second; and a batch of messages with clocks
//! beside one without.

mod armed;

use std::hint::black_box;
use std::time::{Duration, Instant};

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use roost_domain::sla::{Calendar, CalendarSpec, Hours, Minute, PolicySpec, Seconds, Target};
use roost_tests::db::TestDb;
use roost_tests::system::{Options, System};

use crate::report::{ms, quantile};
use crate::{house, machine};

/// Batches of messages of each sort, and messages of a batch.
const BATCHES: usize = 30;
const BATCH: usize = 300;

/// Arguments of the bench.
#[derive(Debug, Args)]
pub(crate) struct Clocks {
    /// Measure although other work keeps the machine busy
    #[arg(long)]
    anyway: bool,
    /// Armed clocks, four to a conversation
    #[arg(long, default_value_t = 1_000_000)]
    armed: i64,
    /// Brands that they belong to
    #[arg(long, default_value_t = 50)]
    brands: i64,
    /// Clocks that fall due in the same second
    #[arg(long, default_value_t = 10_000)]
    due: i64,
    /// Seconds in which 200 clocks fall due each
    #[arg(long, default_value_t = 20)]
    seconds: i64,
}

/// Runs the bench.
///
/// # Errors
/// When the machine is busy, or the database fails.
pub(crate) async fn run(bench: &Clocks) -> anyhow::Result<()> {
    machine::must_be_idle(bench.anyway).await?;
    machine::describe(&house::folder())?;
    due_instants();
    arming().await?;
    let options = Options {
        settings: vec![("ROOST_LOG_LEVEL", "warn".to_owned())],
        ..Options::default()
    };
    let system = System::start(options).await;
    armed::fill(&system, bench.armed, bench.brands).await?;
    let idle = armed::queries_while_idle(&system).await?;
    println!("idle               {idle:.2} looks a second (target under 1)");
    let ceiling = armed::claim_ceiling(&system).await?;
    let burst = armed::burst(&system, bench.due).await?;
    let rate = armed::per_second(bench.due, burst.all_after);
    let word = met(burst.all_after <= Duration::from_secs(5));
    println!(
        "B7 {} due at once: all told after {} (target 5 s): {word}; {rate:.0}/s, {:.2} of {ceiling:.0} claims/s (target 0.3): {}",
        bench.due,
        ms(burst.all_after),
        rate / ceiling,
        met(rate / ceiling >= 0.3),
    );
    let lags = armed::steady(&system, bench.seconds).await?;
    let p99 = quantile(&lags, 0.99);
    println!(
        "B7 200 due a second: {} lags, p50 {}, p99 {} (target 250 ms): {}",
        lags.len(),
        ms(quantile(&lags, 0.5)),
        ms(p99),
        met(p99 <= Duration::from_millis(250)),
    );
    println!("pressure           {}", machine::pressure());
    Ok(())
}

fn met(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}

/// The time of a due instant, by the length of the target.
fn due_instants() {
    let day = vec![
        Hours {
            from: Minute(540),
            to: Minute(720),
        },
        Hours {
            from: Minute(780),
            to: Minute(1_080),
        },
    ];
    let mut week: [Vec<Hours>; 7] = std::array::from_fn(|_| day.clone());
    week[5].clear();
    week[6].clear();
    let spec = CalendarSpec {
        time_zone: "Europe/Berlin".to_owned(),
        week,
        holidays: Vec::new(),
        special_days: Vec::new(),
    };
    let Ok(calendar) = Calendar::new(&spec) else {
        return;
    };
    let from = Timestamp::from_second(1_764_000_000).unwrap_or_default();
    println!();
    for (name, hours) in [
        ("an hour", 1),
        ("a week", 40),
        ("a year", 2_080),
        ("five years", 10_400),
    ] {
        let target = SignedDuration::from_hours(hours);
        black_box(calendar.advance(from, target));
        let rounds = 200_000;
        let started = Instant::now();
        for round in 0..rounds {
            let from = from + SignedDuration::from_secs(round);
            black_box(calendar.advance(black_box(from), black_box(target)));
        }
        let each = started.elapsed() / u32::try_from(rounds).unwrap_or(1);
        let word = met(each < Duration::from_micros(5));
        println!("due instant, {name:<12} {each:>8.0?} (target under 5 µs): {word}");
    }
}

/// A batch of first messages with three clocks each, beside one without.
async fn arming() -> anyhow::Result<()> {
    let db = TestDb::new().await;
    let (with, without) = (db.brand("with", 1).await, db.brand("without", 1).await);
    let target = |seconds| {
        Some(Target {
            calendar_id: None,
            seconds: Seconds::all(seconds),
        })
    };
    let clocks = PolicySpec {
        first_response: target(3_600),
        next_response: target(1_800),
        resolution: target(86_400),
        warnings: vec![50, 75],
        ..PolicySpec::default()
    };
    db.put_policy(&with, &clocks).await;
    db.put_policy(&without, &PolicySpec::default()).await;
    let (mut armed, mut bare) = (Vec::new(), Vec::new());
    for round in 0..=BATCHES {
        for (brand, times) in [(&with, &mut armed), (&without, &mut bare)] {
            let instants = vec![Timestamp::now(); BATCH];
            let started = Instant::now();
            let ids = db.open_many(brand, &instants).await;
            db.answer_many(brand, &ids, Timestamp::now()).await;
            if round > 0 {
                times.push(started.elapsed());
            }
        }
    }
    armed.sort_unstable();
    bare.sort_unstable();
    let (armed, bare) = (quantile(&armed, 0.5), quantile(&bare, 0.5));
    let ratio = armed.as_secs_f64() / bare.as_secs_f64();
    println!(
        "B7 {BATCH} messages and their answers: {} with clocks, {} without, ratio {ratio:.2} (target 1.25): {}",
        ms(armed),
        ms(bare),
        met(ratio <= 1.25)
    );
    Ok(())
}
