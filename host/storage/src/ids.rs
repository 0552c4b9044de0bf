//! Ids that are known before the commit: ordered by time, never twice.

use std::sync::atomic::{AtomicU64, Ordering};

use vaxel_core::UnixMs;
use vaxel_crypto::random_bytes;

/// The last moment an id was made for: 48 bits of milliseconds, 12 bits of a counter within them.
static LAST: AtomicU64 = AtomicU64::new(0);

/// A UUIDv7 (RFC 9562, section 6.2, method 1): ids of one process sort in the order they were made.
pub(crate) fn time_ordered_id(now: UnixMs) -> u128 {
    let wanted = (now.0 & 0xffff_ffff_ffff) << 12;
    let before = LAST
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
            Some(wanted.max(last.wrapping_add(1)))
        })
        .unwrap_or_else(|last| last);
    let moment = u128::from(wanted.max(before.wrapping_add(1)));
    let random = u128::from(u64::from_be_bytes(random_bytes())) & 0x3fff_ffff_ffff_ffff;
    (moment >> 12) << 80 | 0x7 << 76 | (moment & 0xfff) << 64 | 0b10 << 62 | random
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_moment_still_sort_in_order() {
        let ids: Vec<u128> = (0..10_000)
            .map(|_| time_ordered_id(UnixMs(1_000)))
            .collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(ids[0] >> 76 & 0xf, 7);
    }
}
