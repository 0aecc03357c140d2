//! Whose work comes next when there is more than fits: parties take turns, so that one with a flood waits
//! for itself and not the others for it.

use std::collections::HashMap;
use std::hash::Hash;

/// Chooses up to `most` of what waits, given by its party in the order of arrival; answers the chosen
/// places, in order.
///
/// Parties take turns, each with its oldest first, until `most` is reached: who has little waiting has
/// all of it chosen before anybody has more. Where no party has more than half of what waits, arrival
/// itself is fair enough and keeps neighbours together.
///
/// Invariant: what a party has chosen is the front of what it has waiting, so its own order holds.
#[must_use]
pub fn choose<K: Eq + Hash>(waiting: &[K], most: usize) -> Vec<usize> {
    if waiting.len() <= most {
        return (0..waiting.len()).collect();
    }
    let mut counts: HashMap<&K, usize> = HashMap::new();
    // In which turn of its party each would be chosen.
    let turns: Vec<usize> = waiting
        .iter()
        .map(|party| {
            let count = counts.entry(party).or_default();
            *count += 1;
            *count
        })
        .collect();
    let largest = counts.values().copied().max().unwrap_or(0);
    if largest * 2 <= waiting.len() {
        return (0..most).collect();
    }
    let mut places: Vec<usize> = (0..waiting.len()).collect();
    places.sort_by_key(|place| turns[*place]);
    places.truncate(most);
    places.sort_unstable();
    places
}

/// Whether a party may have one more in hand, of hands that all share: up to three quarters of them, so
/// that others always find one free soon.
#[must_use]
pub fn may_take(in_hand: usize, hands: usize) -> bool {
    in_hand < (hands * 3 / 4).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chosen(waiting: &str, most: usize) -> String {
        let parties: Vec<char> = waiting.chars().collect();
        choose(&parties, most)
            .into_iter()
            .map(|place| parties[place])
            .collect()
    }

    #[test]
    fn everybody_is_chosen_where_there_is_room() {
        assert_eq!(chosen("aab", 3), "aab");
        assert_eq!(chosen("", 3), "");
    }

    #[test]
    fn who_has_little_waiting_goes_whole_before_the_flood_goes_on() {
        assert_eq!(chosen("aaaaaaaaaabaaacb", 6), "aaabcb");
        assert_eq!(chosen("aaaaaaaaaaaaaaab", 2), "ab");
    }

    #[test]
    fn without_a_flood_arrival_decides() {
        assert_eq!(chosen("aabbccab", 4), "aabb");
    }

    #[test]
    fn a_flood_alone_is_worked_off_in_order() {
        assert_eq!(choose(&["a"; 9], 4), [0, 1, 2, 3]);
    }

    #[test]
    fn a_quiet_party_waits_for_one_batch_however_long_the_flood_is() {
        // Fifty for one, over and over: the quiet one's is in the very next batch.
        let mut waiting: Vec<&str> = vec!["flood"; 2_000];
        waiting.push("quiet");
        for most in [1_usize, 2, 50, 500] {
            let quiet = choose(&waiting, most).contains(&2_000);
            assert_eq!(quiet, most >= 2, "batch of {most}");
        }
    }

    #[test]
    fn no_party_holds_every_hand() {
        assert!(may_take(11, 16) && !may_take(12, 16));
        assert!(may_take(0, 1) && !may_take(1, 1));
    }

    proptest! {
        #[test]
        fn a_party_keeps_its_order_and_nobody_is_passed_over_for_a_larger_one(
            waiting in prop::collection::vec(0_u8..6, 0..200), most in 0_usize..100,
        ) {
            let places = choose(&waiting, most);
            prop_assert_eq!(places.len(), most.min(waiting.len()));
            prop_assert!(places.windows(2).all(|pair| pair[0] < pair[1]));
            let count = |party: u8| waiting.iter().filter(|one| **one == party).count();
            let taken = |party: u8| places.iter().filter(|place| waiting[**place] == party).count();
            let is_flooded = (0..6).any(|party| count(party) * 2 > waiting.len());
            for party in 0..6 {
                let front: Vec<usize> = (0..waiting.len())
                    .filter(|place| waiting[*place] == party)
                    .take(taken(party))
                    .collect();
                prop_assert!(front.iter().all(|place| places.contains(place)));
                if is_flooded && taken(party) < count(party) {
                    // Who was left with some has had as many turns as anybody, or one fewer.
                    prop_assert!((0..6).all(|other| taken(other) <= taken(party) + 1));
                }
            }
        }
    }
}
