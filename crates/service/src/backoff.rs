//! Jittered exponential backoff.

use std::time::Duration;

/// Delays between attempts: doubling from `first` to `max`, each drawn at
/// random from the upper half of its step so that a fleet does not return in
/// lockstep.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    step: u32,
}

impl Backoff {
    /// Starts at `first`, never waits longer than `max`.
    #[must_use]
    pub fn new(first: Duration, max: Duration) -> Self {
        Self {
            first,
            max,
            step: 0,
        }
    }

    /// The schedule for lost connections to brokers and the like: 0.2 s to 15 s.
    #[must_use]
    pub fn reconnect() -> Self {
        Self::new(Duration::from_millis(200), Duration::from_secs(15))
    }

    /// How long to wait before the next attempt; each call is one step further.
    pub fn next_delay(&mut self) -> Duration {
        let factor = 2u32.saturating_pow(self.step);
        self.step = self.step.saturating_add(1).min(31);
        let full = self.first.saturating_mul(factor).min(self.max);
        full.mul_f64(0.5 + random_fraction() / 2.0)
    }

    /// To be called after a success.
    pub fn reset(&mut self) {
        self.step = 0;
    }

    /// Waits for [`Backoff::next_delay`].
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.next_delay()).await;
    }
}

/// A number in `0.0..1.0`. Without operating system randomness the middle is
/// as good as any: jitter is a courtesy, not a secret.
fn random_fraction() -> f64 {
    getrandom::u32().map_or(0.5, |bits| f64::from(bits) / (f64::from(u32::MAX) + 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_with_jitter_up_to_the_maximum() {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(15));
        for step in 0..40u32 {
            let full = Duration::from_millis(200)
                .saturating_mul(2u32.saturating_pow(step))
                .min(Duration::from_secs(15));
            let delay = backoff.next_delay();
            assert!(
                delay >= full / 2 && delay <= full,
                "step {step}: {delay:?} outside {full:?}"
            );
        }
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_millis(200));
    }
}
