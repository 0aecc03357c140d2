//! The instants and figures that sending goes by. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// An unconfirmed reply is left to a person this long after its attempt.
pub const DECIDE_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// A platform's time of a message may lie this much before its attempt's.
pub(super) const BEFORE_ATTEMPT: SignedDuration = SignedDuration::from_secs(5);
/// And this much after it.
pub(super) const AFTER_ATTEMPT: SignedDuration = SignedDuration::from_mins(5);

/// Between two look-ups of one reply: the platform allows 15 in 15 min for the whole account.
pub(super) const LOOK_UP_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// A reply of a channel that can't send now is looked at again after this.
pub(super) const CHANNEL_WAIT: SignedDuration = SignedDuration::from_secs(60);

const HOLD_AFTER: SignedDuration = SignedDuration::from_hours(2);
const HOLD_OVERTAKEN_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// Whether a reply asks its author before it goes: after 2 h, or after 60 s if the customer has
/// written since. Replies of programs are never held.
pub(super) fn asks_author(by_member: bool, waited: SignedDuration, is_overtaken: bool) -> bool {
    by_member && (waited > HOLD_AFTER || is_overtaken && waited > HOLD_OVERTAKEN_AFTER)
}

/// When a reply that certainly didn't go out is tried again: 1 s, doubling up to 60 s.
pub(super) fn back_off(attempt_no: i32) -> SignedDuration {
    let doublings = u32::try_from(attempt_no.clamp(1, 7) - 1).unwrap_or(0);
    SignedDuration::from_secs((1_i64 << doublings).min(60))
}

/// Whether a message that the platform shows may be that of an attempt.
pub(super) fn is_in_window(started_at: Timestamp, shown_at: Timestamp) -> bool {
    let since = shown_at.duration_since(started_at);
    -BEFORE_ATTEMPT <= since && since <= AFTER_ATTEMPT
}

/// Whether a look-up that reaches back to `complete_since` (all there is, without) would have shown it.
pub(super) fn covers(complete_since: Option<Timestamp>, started_at: Timestamp) -> bool {
    complete_since.is_none_or(|since| since <= started_at - BEFORE_ATTEMPT)
}

pub(super) fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_members_late_or_overtaken_reply_asks() {
        let (minute, hours) = (
            SignedDuration::from_secs(61),
            SignedDuration::from_secs(7_201),
        );
        assert!(!asks_author(true, minute, false));
        assert!(asks_author(true, minute, true));
        assert!(!asks_author(true, SignedDuration::from_secs(60), true));
        assert!(asks_author(true, hours, false));
        assert!(!asks_author(false, hours, true));
    }

    #[test]
    fn back_off_doubles_to_a_minute() {
        let seconds: Vec<i64> = (0..9).map(|attempt| back_off(attempt).as_secs()).collect();
        assert_eq!(seconds, [1, 1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn the_window_of_an_attempt_has_two_ends() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |seconds| start + SignedDuration::from_secs(seconds);
        assert!(is_in_window(start, at(-5)) && is_in_window(start, at(300)));
        assert!(!is_in_window(start, at(-6)) && !is_in_window(start, at(301)));
        assert!(covers(None, start) && covers(Some(at(-5)), start));
        assert!(!covers(Some(at(-4)), start));
    }
}
