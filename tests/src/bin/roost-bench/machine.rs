//! What machine is this, and is it ours alone?

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use crate::cpu;

/// More than this share of all processors busy with other work makes figures worthless.
const BUSY: f64 = 0.15;
const LOOK: Duration = Duration::from_secs(2);

/// What does other work take, as a share of all processors? Asked before anything of ours runs.
pub(crate) async fn outside_load() -> anyhow::Result<f64> {
    let before = cpu::whole_machine()?;
    tokio::time::sleep(LOOK).await;
    Ok(cpu::whole_machine()?.busy_since(&before))
}

/// Refuses to measure on a busy machine, unless told to do it anyway.
///
/// # Errors
/// When the machine is busy.
pub(crate) async fn must_be_idle(anyway: bool) -> anyhow::Result<()> {
    let load = outside_load().await?;
    if load <= BUSY {
        return Ok(());
    }
    if !anyway {
        bail!(
            "the machine is busy with other work ({:.0} % of all processors): wait, or give --anyway",
            load * 100.0
        );
    }
    println!(
        "WARNING: other work takes {:.0} % of all processors: these figures are worth little",
        load * 100.0
    );
    Ok(())
}

/// The first line of `/proc/pressure/cpu`: how long work waited for a processor.
pub(crate) fn pressure() -> String {
    let text = std::fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    text.lines().next().unwrap_or("not available").to_owned()
}

/// Prints what the figures were measured on.
///
/// # Errors
/// When the disk can't be written.
pub(crate) fn describe(folder: &Path) -> anyhow::Result<()> {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "machine      {processors} x {}",
        model.trim_start_matches([' ', '\t', ':'])
    );
    println!(
        "calibration  SHA-256 {:.0} MiB/s on one processor",
        calibrate()
    );
    println!(
        "disk         write and fsync of 8 KiB: median {:.2} ms",
        fsync_median(folder)?.as_secs_f64() * 1e3
    );
    println!("pressure     {}", pressure());
    Ok(())
}

fn calibrate() -> f64 {
    let block = vec![7_u8; 1 << 20];
    let started = Instant::now();
    let mut hash = Sha256::new();
    for _ in 0..256 {
        hash.update(&block);
    }
    std::hint::black_box(hash.finalize());
    256.0 / started.elapsed().as_secs_f64()
}

fn fsync_median(folder: &Path) -> anyhow::Result<Duration> {
    let path = folder.join("fsync");
    let mut file = std::fs::File::create(&path).context("write to the folder for logs")?;
    let mut times = Vec::new();
    for _ in 0..101 {
        let started = Instant::now();
        file.write_all(&[0; 8192])?;
        file.sync_data()?;
        times.push(started.elapsed());
    }
    std::fs::remove_file(&path)?;
    times.sort_unstable();
    Ok(times[50])
}
