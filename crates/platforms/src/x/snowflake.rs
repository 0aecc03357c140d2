//! Times inside X's ids.

use jiff::Timestamp;

/// Milliseconds between the Unix epoch and X's own (2010-11-04T01:42:54.657Z).
const EPOCH_MS: i64 = 1_288_834_974_657;

/// The instant at which X gave out this id, to the millisecond. Any positive 63-bit id has one.
#[must_use]
pub fn time_of(id: i64) -> Timestamp {
    // 41 bits of milliseconds end in the year 2080, far inside what a timestamp can hold.
    Timestamp::from_millisecond((id.max(0) >> 22) + EPOCH_MS).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The smallest id of an instant's millisecond.
#[must_use]
pub fn first_of(at: Timestamp) -> i64 {
    (at.as_millisecond() - EPOCH_MS).max(0) << 22
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_id_tells_its_time() {
        let at = time_of(1_900_000_000_000_000_001);
        assert_eq!(at, "2025-03-13T01:44:34.949Z".parse().unwrap());
    }

    #[test]
    fn an_instant_has_a_first_id() {
        let at = "2026-01-31T12:00:00.123Z".parse().unwrap();
        assert_eq!(time_of(first_of(at)), at);
        assert!(time_of(first_of(at) - 1) < at);
    }

    #[test]
    fn the_smallest_and_the_largest_ids_have_times() {
        assert_eq!(time_of(0).as_millisecond(), EPOCH_MS);
        assert_eq!(time_of(-1).as_millisecond(), EPOCH_MS);
        assert!(time_of(i64::MAX) > time_of(1));
    }
}
