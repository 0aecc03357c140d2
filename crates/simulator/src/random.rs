//! Randomness: secrets from the system, everything a test wants to repeat from a seed.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// `bytes` random bytes from the system.
fn system<const N: usize>() -> [u8; N] {
    let mut bytes = [0_u8; N];
    if getrandom::fill(&mut bytes).is_err() {
        // A stand-in for tests goes on without the system's source: ids stay unique by time.
        bytes[..8.min(N)].copy_from_slice(&crate::ids::now_ms().to_le_bytes()[..8.min(N)]);
    }
    bytes
}

/// A token that nobody guesses, safe in URLs and headers.
pub(crate) fn token() -> String {
    URL_SAFE_NO_PAD.encode(system::<30>())
}

/// A CRC token as the platform sends them: base64 of a printable unique text.
pub(crate) fn crc_token() -> String {
    STANDARD.encode(
        uuid::Uuid::from_bytes(system::<16>())
            .hyphenated()
            .to_string(),
    )
}

/// An `event_uuid` of the X Activity API: a 64-bit number that is negative half of the time.
pub(crate) fn event_uuid() -> String {
    i64::from_le_bytes(system::<8>()).to_string()
}

/// A repeatable sequence (`SplitMix64`) for faults and players.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..=max`.
    pub(crate) fn up_to(&mut self, max: u64) -> u64 {
        let roll = self.next();
        max.checked_add(1).map_or(roll, |range| roll % range)
    }

    /// True in `probability` of the cases.
    pub(crate) fn hits(&mut self, probability: f64) -> bool {
        // 32 bits are exact in an f64.
        let roll = u32::try_from(self.next() >> 32).unwrap_or(u32::MAX);
        f64::from(roll) / 4_294_967_296.0 < probability
    }

    /// One of the items.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let last = u64::try_from(items.len().checked_sub(1)?).unwrap_or(0);
        usize::try_from(self.up_to(last))
            .ok()
            .and_then(|index| items.get(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_rolls_the_same() {
        let (mut a, mut b) = (Dice::new(7), Dice::new(7));
        assert!((0..100).all(|_| a.up_to(9) == b.up_to(9)));
        assert!(!Dice::new(1).hits(0.0) && Dice::new(1).hits(1.0));
    }
}
