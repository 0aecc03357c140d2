//! The rate limits that X tells with every answer.

use jiff::Timestamp;

/// `x-rate-limit-*`: the window of this endpoint and account. X's pages contradict each other on the
/// numbers, so these are the only ones to believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimits {
    /// Calls in a window.
    pub limit: u32,
    /// Calls left in this one.
    pub remaining: u32,
    /// When the window ends.
    pub reset_at: Timestamp,
}

impl RateLimits {
    /// Reads the three headers; `None` unless all are there and are numbers.
    pub(super) fn read<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let number = |name: &str| header(name)?.trim().parse::<i64>().ok();
        let count = |name: &str| u32::try_from(number(name)?.max(0)).ok();
        Some(Self {
            limit: count("x-rate-limit-limit")?,
            remaining: count("x-rate-limit-remaining")?,
            reset_at: Timestamp::from_second(number("x-rate-limit-reset")?).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(limit: &str, remaining: &str, reset: &str) -> Option<RateLimits> {
        RateLimits::read(|name| match name {
            "x-rate-limit-limit" => Some(limit),
            "x-rate-limit-remaining" => Some(remaining),
            "x-rate-limit-reset" => Some(reset),
            _ => None,
        })
    }

    #[test]
    fn three_numbers_are_a_limit_and_anything_else_is_none() {
        let limits = read("15", "14", "1766000000").unwrap();
        assert_eq!(
            (limits.limit, limits.remaining, limits.reset_at.as_second()),
            (15, 14, 1_766_000_000)
        );
        assert_eq!(read("15", "-1", "1766000000").unwrap().remaining, 0);
        assert!(read("15", "", "1766000000").is_none());
        assert!(read("15", "14", "99999999999999999").is_none());
        assert!(read("many", "14", "1766000000").is_none());
    }
}
