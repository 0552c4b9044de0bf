//! Scans: the stored rows of a prefix as of the transaction's start, with its own writes laid over them.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::ops::Bound;

use vaxel_crypto::Purpose;

use crate::key::{prefix_end, row_key, within_space};
use crate::limits::{EXTENSIONS_MAX, KEY_LEN_MAX, SCAN_BYTES_MAX, SCAN_LIMIT_MAX};
use crate::reads::overlaid;
use crate::transaction::Write;
use crate::window::KeyRange;
use crate::{Space, StorageError, Transaction, row, state};

/// In which direction a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From the smallest key.
    Ascending,
    /// From the largest key: with stamps at their end, newest first.
    Descending,
}

/// Some rows of a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Keys (without their collection) and values, in the order asked for.
    pub entries: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where to go on (pass it as `after`); `None` at the end.
    pub next: Option<Vec<u8>>,
}

/// What one try of a scan came to.
enum Attempt {
    Done(Page, KeyRange),
    /// Met this commit, which is newer than the start.
    Newer(u64),
}

impl Transaction {
    /// The rows whose keys begin with `prefix`, behind `after` in the direction of `order`, at most `limit`.
    ///
    /// Rows that were appended after the start are passed over; a transaction that also writes conflicts
    /// on them when it commits.
    pub fn scan(
        &mut self,
        space: Space,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        order: Order,
    ) -> Result<Page, StorageError> {
        if prefix.len() > KEY_LEN_MAX || after.is_some_and(|after| after.len() > KEY_LEN_MAX) {
            return Err(StorageError::TooLarge {
                what: "key",
                max: KEY_LEN_MAX,
            });
        }
        if limit == 0 {
            return Ok(Page::default());
        }
        let limit = limit.min(SCAN_LIMIT_MAX);
        let prefix = row_key(self.tenant.id, space, &[prefix]);
        let after = after.map(|after| row_key(self.tenant.id, space, &[after]));
        let Some(range) = range_of(prefix, after, order) else {
            return Ok(Page::default());
        };
        for _ in 0..EXTENSIONS_MAX {
            match self.attempt(&range, limit, order)? {
                Attempt::Done(page, read) => {
                    // What was deleted after the start is missing here and cannot be shown any more.
                    let window = self.tenant.window.lock();
                    let may_lack = window.may_lack_since(self.start, &read);
                    drop(window);
                    if !may_lack {
                        self.note_range(read)?;
                        return Ok(page);
                    }
                    self.extend(self.start)?;
                }
                Attempt::Newer(seq) => self.extend(seq)?,
            }
        }
        Err(StorageError::Stale)
    }

    /// Walks stored rows and own writes side by side.
    fn attempt(
        &self,
        range: &KeyRange,
        limit: usize,
        order: Order,
    ) -> Result<Attempt, StorageError> {
        let (keyring, tenant) = (&self.shared.keyring, self.tenant.id);
        let (mut stored, mut own) = self.sides(range, order);
        let mut page = Page::default();
        let mut bytes = 0;
        loop {
            let side = match (stored.peek(), own.peek()) {
                (None, None) => return Ok(Attempt::Done(page, range.clone())),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(Ok((key, _))), Some((own, _))) => match order {
                    Order::Ascending => key.as_ref().cmp(own.as_slice()),
                    Order::Descending => own.as_slice().cmp(key.as_ref()),
                },
                // The error comes out below.
                (Some(Err(_)), Some(_)) => Ordering::Less,
            };
            let row = if side.is_le() {
                stored.next().transpose()?
            } else {
                None
            };
            let write = if side.is_ge() { own.next() } else { None };
            let mut visible = None;
            if let Some((key, value)) = &row {
                let (header, _) = row::parse(value)?;
                if header.seq <= self.start {
                    visible = (!self.is_over(header)).then_some((key, value));
                } else if !header.is_appended() {
                    return Ok(Attempt::Newer(header.seq));
                }
            }
            let is_deleted = matches!(write, Some((_, Write::Delete)));
            if is_deleted || (write.is_none() && visible.is_none()) {
                continue;
            }
            if page.entries.len() >= limit || bytes >= SCAN_BYTES_MAX {
                // One more is there: the page ends in front of it.
                let last = page.entries.last().map(|(key, _)| key.clone());
                let read = match &last {
                    Some(last) => self.up_to(range, last, order),
                    None => range.clone(),
                };
                page.next = last;
                return Ok(Attempt::Done(page, read));
            }
            let opened = match visible {
                Some((key, value)) => row::open(keyring, tenant, Purpose::Values, key, value)?,
                None => None,
            };
            let value = match write {
                Some((_, write)) => overlaid(write, opened.as_deref())?,
                None => opened,
            };
            let key = match (&write, &row) {
                (Some((key, _)), _) => within_space(key).to_vec(),
                (None, Some((key, _))) => within_space(key).to_vec(),
                (None, None) => continue,
            };
            if let Some(value) = value {
                bytes += key.len() + value.len();
                page.entries.push((key, value));
            }
        }
    }

    /// The part of the range up to and with the last row of the page.
    fn up_to(&self, (low, high): &KeyRange, last: &[u8], order: Order) -> KeyRange {
        // The keys of a page lack tenant and collection; the bounds of its range have them.
        let whole = |bound: &Bound<Vec<u8>>| {
            let (Bound::Included(key) | Bound::Excluded(key)) = bound else {
                return None;
            };
            let head = key.len().saturating_sub(within_space(key).len());
            Some([key.get(..head).unwrap_or_default(), last].concat())
        };
        match (order, whole(low)) {
            (Order::Ascending, Some(key)) => (low.clone(), Bound::Included(key)),
            (Order::Descending, Some(key)) => (Bound::Included(key), high.clone()),
            (_, None) => (low.clone(), high.clone()),
        }
    }

    #[allow(
        clippy::type_complexity,
        reason = "two boxed iterators, named by the function"
    )]
    fn sides<'a>(
        &'a self,
        range: &KeyRange,
        order: Order,
    ) -> (
        Peekable<Box<dyn Iterator<Item = state::Row> + 'a>>,
        Peekable<Box<dyn Iterator<Item = (&'a Vec<u8>, &'a Write)> + 'a>>,
    ) {
        let stored = self.shared.state.range(range);
        let own = self
            .writes
            .range::<Vec<u8>, _>((range.0.as_ref(), range.1.as_ref()));
        let (stored, own): (Box<dyn Iterator<Item = _>>, Box<dyn Iterator<Item = _>>) = match order
        {
            Order::Ascending => (Box::new(stored), Box::new(own)),
            Order::Descending => (Box::new(stored.rev()), Box::new(own.rev())),
        };
        (stored.peekable(), own.peekable())
    }
}

/// The keys that a scan may bring, or `None` if there are none.
fn range_of(prefix: Vec<u8>, after: Option<Vec<u8>>, order: Order) -> Option<KeyRange> {
    let end = prefix_end(&prefix).map_or(Bound::Unbounded, Bound::Excluded);
    let is_behind_end = |key: &Vec<u8>| matches!(&end, Bound::Excluded(end) if key >= end);
    match (order, after) {
        (Order::Ascending, Some(after)) if after >= prefix => {
            (!is_behind_end(&after)).then_some((Bound::Excluded(after), end))
        }
        (Order::Descending, Some(after)) if !is_behind_end(&after) => {
            (after > prefix).then_some((Bound::Included(prefix), Bound::Excluded(after)))
        }
        _ => Some((Bound::Included(prefix), end)),
    }
}
