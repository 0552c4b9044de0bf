//! Values that must not be printed, compared in variable time, or left in memory.

use std::cell::RefCell;
use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A value that shows nothing in `Debug` and is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes the value into keeping.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself; the word at the call says that a secret is being used.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The longest piece that comes out of a thread's stock: ids and nonces do, keys and tokens do not.
const STOCKED_LEN_MAX: usize = 24;
/// How many bytes one visit to the operating system brings into the stock: the visit costs more than what most callers
/// do with the bytes.
const STOCK_LEN: usize = 64 * STOCKED_LEN_MAX;

/// Random bytes that wait for their use. This process never forks, so nobody else has the same.
struct Stock {
    bytes: [u8; STOCK_LEN],
    used: usize,
}

impl Stock {
    /// The next bytes; they are wiped here as they are given out.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        if STOCK_LEN - self.used < N {
            fill(&mut self.bytes);
            self.used = 0;
        }
        let mut taken = [0_u8; N];
        if let Some(next) = self.bytes.get_mut(self.used..self.used + N) {
            taken.copy_from_slice(next);
            next.zeroize();
        }
        self.used += N;
        taken
    }
}

/// Fresh bytes from the operating system; of the short ones many at a time.
///
/// The process ends when the system has none: going on with guessable keys would be worse.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    thread_local! {
        static STOCK: RefCell<Stock> =
            const { RefCell::new(Stock { bytes: [0; STOCK_LEN], used: STOCK_LEN }) };
    }
    if N <= STOCKED_LEN_MAX {
        return STOCK.with_borrow_mut(Stock::take);
    }
    let mut bytes = [0_u8; N];
    fill(&mut bytes);
    bytes
}

fn fill(bytes: &mut [u8]) {
    if getrandom::fill(bytes).is_err() {
        std::process::abort();
    }
}

/// Compares without telling by its time where two values differ. Lengths are not secret.
pub fn ct_eq(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(
            format!("{:?}", Secret::new("hemligt".to_owned())),
            "Secret(…)"
        );
    }

    #[test]
    fn no_random_bytes_come_twice_and_none_stay_behind() {
        let mut seen = HashSet::new();
        for _ in 0..10 * STOCK_LEN {
            assert!(seen.insert(u128::from_be_bytes(random_bytes())));
        }
        let long: [u8; 40] = random_bytes();
        assert_ne!(long, [0; 40]);

        let mut stock = Stock {
            bytes: [0; STOCK_LEN],
            used: STOCK_LEN,
        };
        for round in 1..=3 * STOCK_LEN / 7 {
            let taken: [u8; 7] = stock.take();
            assert_ne!(taken, [0; 7], "round {round}");
            assert!(stock.bytes[..stock.used].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn comparison_sees_every_difference() {
        assert!(ct_eq(b"abc", b"abc"));
        assert!(!ct_eq(b"abc", b"abd"));
        assert!(!ct_eq(b"abc", b"ab"));
    }
}
