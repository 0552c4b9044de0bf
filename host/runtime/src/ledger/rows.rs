//! The ledger's rows: per plugin, version and day, and per method. Kept for 90 days.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vaxel_core::{PluginId, UnixMs};
use vaxel_crypto::ErasureKey;
use vaxel_storage::{Order, Space, StorageError, Transaction};

use super::sums::{Metrics, Sums, Uses};

/// What a version of a plugin used on a day.
pub(crate) const DAYS: Space = Space::host(0x3a);
/// The same for each of its methods, pages, jobs, …
pub(crate) const METHODS: Space = Space::host(0x3b);

/// How long it is kept.
pub(crate) const KEPT_DAYS: u64 = 90;

/// Rows that one look reads: a page at a time.
const PAGE: usize = 500;

pub(crate) const MS_PER_DAY: u64 = 24 * 60 * 60 * 1_000;

/// The first byte of a row.
const FORMAT: u8 = 1;

/// Stands between the parts of a key; no part has it.
const BETWEEN: u8 = 0;

/// What a version of a plugin used on a day.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DayRow {
    pub(crate) sums: Sums,
    pub(crate) uses: Uses,
    /// How many of these the audit has in rows of their own.
    pub(crate) in_rows: Uses,
    /// How many of these the audit has in totals.
    pub(crate) in_totals: Uses,
    pub(crate) metrics: Metrics,
}

impl DayRow {
    /// Uses that the audit does not have yet.
    pub(crate) fn not_audited(&self) -> Uses {
        let had = |name: &String| {
            let of = |uses: &Uses| uses.get(name).copied().unwrap_or(0);
            of(&self.in_rows).saturating_add(of(&self.in_totals))
        };
        let left = self
            .uses
            .iter()
            .map(|(name, uses)| (name.clone(), uses.saturating_sub(had(name))));
        left.filter(|(_, left)| *left > 0).collect()
    }
}

/// Whose row it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) day: u64,
    pub(crate) plugin: PluginId,
    pub(crate) version: String,
    /// Kind and name of the work, for rows of methods.
    pub(crate) work: Option<(String, String)>,
}

/// The day of a time.
pub(crate) const fn day_of(now: UnixMs) -> u64 {
    now.0 / MS_PER_DAY
}

/// The day as people write it, `2026-11-22`.
pub(crate) fn date_of(day: u64) -> String {
    let seconds = i64::try_from(day.saturating_mul(MS_PER_DAY / 1_000)).unwrap_or(0);
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .map(|at| at.date().to_string())
        .unwrap_or_default()
}

impl Key {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut key = first_of(self.day);
        key.extend_from_slice(self.plugin.as_str().as_bytes());
        let (kind, name) = self.work.as_ref().map_or(("", ""), |(k, n)| (k, n));
        let parts: &[&str] = match self.work {
            Some(_) => &[&self.version, kind, name],
            None => &[&self.version],
        };
        for part in parts {
            key.push(BETWEEN);
            key.extend_from_slice(part.as_bytes());
        }
        key
    }

    fn parse(key: &[u8]) -> Option<Self> {
        let (day, rest) = key.split_first_chunk()?;
        let mut parts = rest.splitn(4, |byte| *byte == BETWEEN);
        let mut part = || std::str::from_utf8(parts.next()?).ok();
        let (plugin, version) = (part()?.parse().ok()?, part()?.to_owned());
        let work = match (part(), part()) {
            (Some(kind), Some(name)) => Some((kind.to_owned(), name.to_owned())),
            _ => None,
        };
        Some(Self {
            day: u64::from(u32::from_be_bytes(*day)),
            plugin,
            version,
            work,
        })
    }
}

/// In front of all rows of a day.
fn first_of(day: u64) -> Vec<u8> {
    u32::try_from(day)
        .unwrap_or(u32::MAX)
        .to_be_bytes()
        .to_vec()
}

/// The row, or an empty one.
pub(crate) fn get<R: DeserializeOwned + Default>(
    tx: &mut Transaction,
    space: Space,
    key: &Key,
) -> Result<R, StorageError> {
    match tx.get(space, &key.bytes())? {
        Some(row) => decode(&row),
        None => Ok(R::default()),
    }
}

pub(crate) fn put<R: Serialize>(
    tx: &mut Transaction,
    space: Space,
    key: &Key,
    row: &R,
) -> Result<(), StorageError> {
    let mut bytes = vec![FORMAT];
    serde_json::to_writer(&mut bytes, row).map_err(|_| damaged())?;
    tx.put(space, &key.bytes(), bytes, ErasureKey::TENANT)
}

/// All rows from a day on.
pub(crate) fn since<R: DeserializeOwned>(
    tx: &mut Transaction,
    space: Space,
    day: u64,
) -> Result<Vec<(Key, R)>, StorageError> {
    let mut rows = Vec::new();
    // Behind everything of the day before.
    let mut after = match day.checked_sub(1) {
        Some(before) => [first_of(before), vec![u8::MAX; 64]].concat(),
        None => Vec::new(),
    };
    loop {
        let page = tx.scan(space, &[], Some(&after), PAGE, Order::Ascending)?;
        for (key, row) in &page.entries {
            rows.push((Key::parse(key).ok_or_else(damaged)?, decode(row)?));
        }
        match page.next {
            Some(next) => after = next,
            None => return Ok(rows),
        }
    }
}

/// Deletes some of what is older than is kept; answers whether there may be more.
pub(crate) fn forget_some(tx: &mut Transaction, today: u64) -> Result<bool, StorageError> {
    let first_kept = first_of(today.saturating_sub(KEPT_DAYS));
    let mut is_more = false;
    for space in [DAYS, METHODS] {
        // Half of what a transaction may change.
        let page = tx.scan(space, &[], None, PAGE - 1, Order::Ascending)?;
        let is_over = |(key, _): &&(Vec<u8>, Vec<u8>)| key.as_slice() < first_kept.as_slice();
        let over: Vec<_> = page.entries.iter().take_while(is_over).collect();
        is_more |= !over.is_empty() && over.len() == page.entries.len() && page.next.is_some();
        for (key, _) in over {
            tx.delete(space, key)?;
        }
    }
    Ok(is_more)
}

fn decode<R: DeserializeOwned>(row: &[u8]) -> Result<R, StorageError> {
    match row.split_first() {
        Some((&FORMAT, json)) => serde_json::from_slice(json).map_err(|_| damaged()),
        Some((found, _)) => Err(StorageError::UnknownFormat {
            what: "a row of the ledger",
            found: u64::from(*found),
        }),
        None => Err(damaged()),
    }
}

fn damaged() -> StorageError {
    StorageError::Corrupt {
        what: "a row of the ledger".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_apart_as_it_was_put_together() {
        let mut key = Key {
            day: 20_779,
            plugin: "chat".parse().unwrap(),
            version: "1.0.0".to_owned(),
            work: None,
        };
        assert_eq!(Key::parse(&key.bytes()), Some(key.clone()));
        key.work = Some(("method".to_owned(), "messages.send".to_owned()));
        assert_eq!(Key::parse(&key.bytes()), Some(key));
        assert_eq!(Key::parse(b"short"), None);
    }

    #[test]
    fn a_day_is_written_as_people_do() {
        assert_eq!(date_of(0), "1970-01-01");
        assert_eq!(date_of(day_of(UnixMs(1_800_000_000_000))), "2027-01-15");
    }

    #[test]
    fn what_the_audit_lacks_is_what_it_has_neither_in_rows_nor_in_totals() {
        let uses = |n: u64| Uses::from([("storage".to_owned(), n)]);
        let row = DayRow {
            uses: uses(10),
            in_rows: uses(3),
            in_totals: uses(5),
            ..DayRow::default()
        };
        assert_eq!(row.not_audited(), uses(2));
        let audited = DayRow {
            in_totals: uses(7),
            ..row
        };
        assert!(audited.not_audited().is_empty());
    }
}
