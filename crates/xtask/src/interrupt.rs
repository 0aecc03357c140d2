//! Ctrl-C, SIGTERM and SIGHUP become a flag that every wait looks at.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// How often a wait looks at its condition.
const LOOK_EVERY: Duration = Duration::from_millis(50);

static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on a signal sets the flag instead of ending this process, so that what was started
/// can be stopped in order.
///
/// # Errors
/// When a handler cannot be installed.
pub(crate) fn install() -> Result<()> {
    let flag = STOP.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(flag))
            .with_context(|| format!("cannot handle signal {signal}"))?;
    }
    Ok(())
}

/// Whether someone asked this process to stop.
pub(crate) fn is_stopping() -> bool {
    STOP.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Fails when someone asked this process to stop.
///
/// # Errors
/// The interruption itself.
pub(crate) fn check() -> Result<()> {
    if is_stopping() {
        bail!("interrupted");
    }
    Ok(())
}

/// Sleeps, but wakes up early (and fails) when someone asks this process to stop.
///
/// # Errors
/// The interruption itself.
pub(crate) fn sleep(time: Duration) -> Result<()> {
    wait_until(time, || false)?;
    Ok(())
}

/// Looks at `is_done` until it holds or `limit` has passed; answers whether it held.
///
/// # Errors
/// The interruption itself.
pub(crate) fn wait_until(limit: Duration, mut is_done: impl FnMut() -> bool) -> Result<bool> {
    let end = Instant::now() + limit;
    loop {
        check()?;
        if is_done() {
            return Ok(true);
        }
        if Instant::now() >= end {
            return Ok(false);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
