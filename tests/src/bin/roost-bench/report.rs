//! Numbers for people.

use std::time::Duration;

/// The value below which this share of sorted times lies.
pub(crate) fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let count = f64::from(u32::try_from(sorted.len()).unwrap_or(u32::MAX));
    let wanted = (count * share).ceil();
    // The smallest index that covers the share: counted, since floats don't become indices.
    let index = (1..sorted.len())
        .take_while(|n| f64::from(u32::try_from(*n).unwrap_or(u32::MAX)) < wanted)
        .count();
    sorted.get(index).copied().unwrap_or_default()
}

/// The middle of several figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let half = figures.len() / 2;
    match (figures.get(half), figures.get(half.wrapping_sub(1))) {
        (Some(upper), Some(lower)) if figures.len().is_multiple_of(2) => {
            f64::midpoint(*lower, *upper)
        }
        (Some(middle), _) => *middle,
        (None, _) => f64::NAN,
    }
}

/// In milliseconds.
pub(crate) fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// A ratio against its target.
pub(crate) fn verdict(ratio: f64, target: f64) -> &'static str {
    if ratio >= target { "met" } else { "MISSED" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(quantile(&times, 0.5), Duration::from_millis(50));
        assert_eq!(quantile(&times, 0.99), Duration::from_millis(99));
        assert_eq!(quantile(&times, 1.0), Duration::from_millis(100));
        assert_eq!(quantile(&times[..1], 0.5), Duration::from_millis(1));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(Vec::new()).is_nan());
    }
}
