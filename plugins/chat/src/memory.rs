//! The host in memory, with the transactions of the real one: one moment to read, validation at commit,
//! appended rows invisible until then, and conflicts that re-run.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use serde::Serialize;
use serde_json::Value;

use crate::chat::Chat;
use crate::error::{ChatError, Result};
use crate::ids::UserId;
use crate::world::{About, Entry, Fault, Order, World};

/// Prefix, value and alias.
type Appended = (Vec<u8>, Vec<u8>, Vec<u8>);
type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// An event that was committed.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) audience: String,
    pub(crate) topic: String,
    pub(crate) data: Value,
}

#[derive(Default)]
pub(crate) struct Memory {
    rows: RefCell<Rc<Rows>>,
    /// The keys that each commit wrote; the position is the commit's number.
    commits: RefCell<Vec<BTreeSet<Vec<u8>>>>,
    audiences: RefCell<BTreeMap<String, BTreeSet<UserId>>>,
    told: RefCell<Vec<Told>>,
    active: RefCell<BTreeMap<UserId, bool>>,
    admins: RefCell<BTreeSet<UserId>>,
    ids: Cell<u128>,
    now: Cell<u64>,
}

/// Somebody else wrote what this call had read.
#[derive(Debug)]
pub(crate) struct Conflict;

const RERUNS_MAX: usize = 3;

impl Memory {
    pub(crate) fn person(&self) -> UserId {
        let user = UserId::from_u128(1_000 + self.active.borrow().len() as u128);
        self.active.borrow_mut().insert(user, true);
        user
    }

    pub(crate) fn set_active(&self, user: UserId, active: bool) {
        self.active.borrow_mut().insert(user, active);
    }

    pub(crate) fn make_admin(&self, user: UserId) {
        self.admins.borrow_mut().insert(user);
    }

    pub(crate) fn begin(&self, me: UserId) -> Call<'_> {
        self.now.set(self.now.get() + 1_000);
        Call {
            memory: self,
            me,
            start: self.commits.borrow().len(),
            seen: self.rows.borrow().clone(),
            now: self.now.get(),
            ..Call::empty(self, me)
        }
    }

    /// One call as the host makes it: re-run on conflict, undone on error.
    pub(crate) fn call<T>(
        &self,
        me: UserId,
        act: impl Fn(&Chat<'_, Call<'_>>) -> Result<T>,
    ) -> Result<T> {
        for _ in 0..=RERUNS_MAX {
            let call = self.begin(me);
            let answer = act(&Chat::new(&call, me))?;
            if call.commit().is_ok() {
                return Ok(answer);
            }
        }
        Err(ChatError::Host(Fault::conflict("gave up")))
    }

    pub(crate) fn audience(&self, name: &str) -> BTreeSet<UserId> {
        self.audiences
            .borrow()
            .get(name)
            .cloned()
            .unwrap_or_default()
    }

    /// Events since the last time this was asked.
    pub(crate) fn told(&self) -> Vec<Told> {
        std::mem::take(&mut self.told.borrow_mut())
    }

    /// Everything stored, for a look at what is left of a text.
    pub(crate) fn holds(&self, text: &str) -> bool {
        let needle = text.as_bytes();
        let rows = self.rows.borrow();
        rows.values()
            .any(|value| value.windows(needle.len()).any(|part| part == needle))
    }

    pub(crate) fn keys(&self) -> Vec<Vec<u8>> {
        self.rows.borrow().keys().cloned().collect()
    }
}

/// Part of the order that a scan looked at: above `low`, up to and with `high`.
struct Range {
    prefix: Vec<u8>,
    low: Option<Vec<u8>>,
    high: Option<Vec<u8>>,
}

impl Range {
    fn holds(&self, key: &[u8]) -> bool {
        key.starts_with(&self.prefix)
            && self.low.as_deref().is_none_or(|low| key >= low)
            && self.high.as_deref().is_none_or(|high| key <= high)
    }
}

pub(crate) struct Call<'m> {
    memory: &'m Memory,
    me: UserId,
    start: usize,
    now: u64,
    seen: Rc<Rows>,
    read: RefCell<BTreeSet<Vec<u8>>>,
    scanned: RefCell<Vec<Range>>,
    written: RefCell<BTreeMap<Vec<u8>, Option<Vec<u8>>>>,
    counted: RefCell<BTreeMap<Vec<u8>, i64>>,
    appended: RefCell<Vec<Appended>>,
    joined: RefCell<Vec<(String, UserId)>>,
    left: RefCell<Vec<(String, UserId)>>,
    told: RefCell<Vec<Told>>,
    pub(crate) operations: Cell<usize>,
}

impl<'m> Call<'m> {
    fn empty(memory: &'m Memory, me: UserId) -> Self {
        Call {
            memory,
            me,
            start: 0,
            now: 0,
            seen: Rc::default(),
            read: RefCell::default(),
            scanned: RefCell::default(),
            written: RefCell::default(),
            counted: RefCell::default(),
            appended: RefCell::default(),
            joined: RefCell::default(),
            left: RefCell::default(),
            told: RefCell::default(),
            operations: Cell::default(),
        }
    }

    fn is_read_only(&self) -> bool {
        self.written.borrow().is_empty()
            && self.counted.borrow().is_empty()
            && self.appended.borrow().is_empty()
    }

    fn is_stale(&self) -> bool {
        let commits = self.memory.commits.borrow();
        let later = commits[self.start..].iter().flatten();
        let (read, scanned) = (self.read.borrow(), self.scanned.borrow());
        later
            .into_iter()
            .any(|key| read.contains(key) || scanned.iter().any(|range| range.holds(key)))
    }

    pub(crate) fn commit(self) -> std::result::Result<(), Conflict> {
        if !self.is_read_only() && self.is_stale() {
            return Err(Conflict);
        }
        let mut rows = self.memory.rows.borrow_mut();
        let rows = Rc::make_mut(&mut rows);
        let mut commits = self.memory.commits.borrow_mut();
        let mut touched = BTreeSet::new();
        let mut put = |key: Vec<u8>, value: Option<Vec<u8>>| {
            touched.insert(key.clone());
            match value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            }
        };
        for (key, value) in self.written.into_inner() {
            put(key, value);
        }
        for (ordinal, (prefix, value, alias)) in self.appended.into_inner().into_iter().enumerate()
        {
            let mut key = prefix;
            key.extend_from_slice(&(commits.len() as u64 + 1).to_be_bytes());
            key.extend_from_slice(&(ordinal as u16).to_be_bytes());
            put(alias, Some(key.clone()));
            put(key, Some(value));
        }
        for (key, by) in self.counted.into_inner() {
            let was = rows.get(&key).map_or(0, |row| {
                i64::from_be_bytes(row.as_slice().try_into().unwrap())
            });
            touched.insert(key.clone());
            rows.insert(key, (was + by).to_be_bytes().to_vec());
        }
        let mut audiences = self.memory.audiences.borrow_mut();
        for (audience, user) in self.joined.into_inner() {
            audiences.entry(audience).or_default().insert(user);
        }
        self.memory.told.borrow_mut().extend(self.told.into_inner());
        for (audience, user) in self.left.into_inner() {
            audiences.entry(audience).or_default().remove(&user);
        }
        commits.push(touched);
        Ok(())
    }

    fn look(&self, key: &[u8]) -> Option<Vec<u8>> {
        assert!(
            !self.counted.borrow().contains_key(key),
            "counters are read before counting"
        );
        self.read.borrow_mut().insert(key.to_vec());
        match self.written.borrow().get(key) {
            Some(own) => own.clone(),
            None => self.seen.get(key).cloned(),
        }
    }

    fn operate(&self, count: usize) {
        self.operations.set(self.operations.get() + count);
    }

    fn tell(&self, audience: &str, topic: &str, payload: &impl Serialize) -> Result<(), Fault> {
        let data = serde_json::to_value(payload).unwrap();
        let (audience, topic) = (audience.to_owned(), topic.to_owned());
        self.told.borrow_mut().push(Told {
            audience,
            topic,
            data,
        });
        Ok(())
    }
}

impl World for Call<'_> {
    fn now(&self) -> u64 {
        self.now
    }

    fn new_id(&self) -> Result<u128, Fault> {
        self.memory.ids.set(self.memory.ids.get() + 1);
        Ok(self.memory.ids.get())
    }

    fn are_active(&self, users: &[UserId]) -> Result<Vec<bool>, Fault> {
        let active = self.memory.active.borrow();
        Ok(users
            .iter()
            .map(|user| active.get(user).copied().unwrap_or(false))
            .collect())
    }

    fn may(&self, _permission: &str) -> bool {
        self.memory.admins.borrow().contains(&self.me)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        self.operate(1);
        Ok(self.look(key))
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, Fault> {
        self.operate(keys.len());
        Ok(keys.iter().map(|key| self.look(key)).collect())
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        order: Order,
    ) -> Result<Vec<Entry>, Fault> {
        let mut rows: Rows = (*self.seen).clone();
        for (key, own) in self.written.borrow().iter() {
            match own {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
        }
        let mut found: Vec<Entry> = rows
            .range(prefix.to_vec()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter(|(key, _)| match (after, order) {
                (None, _) => true,
                (Some(after), Order::Ascending) => key.as_slice() > after,
                (Some(after), Order::Descending) => key.as_slice() < after,
            })
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if order == Order::Descending {
            found.reverse();
        }
        let whole = found.len() < limit;
        found.truncate(limit);
        self.operate(1 + found.len());
        let end = if whole {
            None
        } else {
            found.last().map(|(key, _)| key.clone())
        };
        let start = after.map(<[u8]>::to_vec);
        let (low, high) = match order {
            Order::Ascending => (start, end),
            Order::Descending => (end, start),
        };
        self.scanned.borrow_mut().push(Range {
            prefix: prefix.to_vec(),
            low,
            high,
        });
        Ok(found)
    }

    fn put(&self, key: &[u8], value: &[u8], _about: About) -> Result<(), Fault> {
        self.operate(1);
        self.written
            .borrow_mut()
            .insert(key.to_vec(), Some(value.to_vec()));
        Ok(())
    }

    fn delete(&self, key: &[u8]) -> Result<(), Fault> {
        self.operate(1);
        self.written.borrow_mut().insert(key.to_vec(), None);
        Ok(())
    }

    fn increment(&self, key: &[u8], by: i64) -> Result<(), Fault> {
        self.operate(1);
        *self.counted.borrow_mut().entry(key.to_vec()).or_default() += by;
        Ok(())
    }

    fn append(
        &self,
        prefix: &[u8],
        value: &[u8],
        alias: &[u8],
        _about: About,
    ) -> Result<(), Fault> {
        self.operate(1);
        let row = (prefix.to_vec(), value.to_vec(), alias.to_vec());
        self.appended.borrow_mut().push(row);
        Ok(())
    }

    fn join(&self, audience: &str, user: UserId) -> Result<(), Fault> {
        self.operate(1);
        self.joined.borrow_mut().push((audience.to_owned(), user));
        Ok(())
    }

    fn leave(&self, audience: &str, user: UserId) -> Result<(), Fault> {
        self.operate(1);
        self.left.borrow_mut().push((audience.to_owned(), user));
        Ok(())
    }

    fn publish(
        &self,
        audience: &str,
        topic: &str,
        payload: &impl Serialize,
        _about: About,
    ) -> Result<(), Fault> {
        self.operate(1);
        self.tell(audience, topic, payload)
    }

    fn publish_ephemeral(
        &self,
        audience: &str,
        topic: &str,
        payload: &impl Serialize,
    ) -> Result<(), Fault> {
        self.tell(audience, topic, payload)
    }
}
