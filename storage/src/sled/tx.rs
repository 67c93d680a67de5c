//! A group of mutations on its way to disk: an overlay over the tree, and an undo log for the mutation that fails.

use super::keys;
use super::look::{Look, PIECES, VALUE_LIMIT, Visit, WHOLE, Walk, broken};
use super::records::{Totals, encode};
use super::segments::Segments;
use crate::memory::Limits;
use crate::records::day_of;
use crate::*;
use ::sled::IVec;
use serde::Serialize;
use std::collections::BTreeMap;

/// What the overlay says of a key: its new value, or `None` where it was deleted.
type Laid = Option<Vec<u8>>;

/// What a mutation works on.
pub struct Tx<'a> {
    tree: &'a ::sled::Tree,
    pub segments: &'a Segments,
    pub clock: &'a dyn Clock,
    pub entropy: &'a dyn Entropy,
    pub limits: &'a Limits,
    pub now: Timestamp,
    overlay: BTreeMap<Vec<u8>, Laid>,
    /// What the overlay held before the current mutation.
    undo: Vec<(Vec<u8>, Option<Laid>)>,
    /// To be published once the group is durable.
    pub hints: Vec<Hint>,
    /// To be deleted once the group is durable: before that, what a crash brings back may refer to them.
    pub dead_segments: Vec<u32>,
    size: usize,
}

impl<'a> Tx<'a> {
    pub fn new(
        tree: &'a ::sled::Tree,
        segments: &'a Segments,
        clock: &'a dyn Clock,
        entropy: &'a dyn Entropy,
        limits: &'a Limits,
    ) -> Self {
        let now = clock.now();
        let (overlay, undo, hints, dead_segments) = (BTreeMap::new(), Vec::new(), Vec::new(), Vec::new());
        Self { tree, segments, clock, entropy, limits, now, overlay, undo, hints, dead_segments, size: 0 }
    }

    /// Runs one mutation: all of it, or nothing.
    pub fn attempt<T>(&mut self, mutation: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.undo.clear();
        self.now = self.clock.now();
        let hints = self.hints.len();
        let outcome = mutation(self);
        if outcome.is_err() {
            for (key, before) in self.undo.drain(..).rev() {
                match before {
                    Some(entry) => _ = self.overlay.insert(key, entry),
                    None => _ = self.overlay.remove(&key),
                }
            }
            self.hints.truncate(hints);
        }
        outcome
    }

    fn set(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.size += key.len() + value.as_ref().map_or(0, Vec::len);
        let before = self.overlay.insert(key.clone(), value);
        self.undo.push((key, before));
    }

    pub fn put(&mut self, key: Vec<u8>, value: &impl Serialize) -> Result<()> {
        let bytes = encode(value)?;
        if bytes.len() > VALUE_LIMIT {
            return Err(StoreError::LimitReached("size of a record"));
        }
        self.set(key, Some(bytes));
        Ok(())
    }

    pub fn delete(&mut self, key: Vec<u8>) {
        self.set(key, None);
    }

    /// Puts a value that may be too long for one record. There must be none under the key.
    pub fn put_long(&mut self, key: Vec<u8>, value: &impl Serialize) -> Result<()> {
        let bytes = encode(value)?;
        if bytes.len() < VALUE_LIMIT {
            let mut whole = Vec::with_capacity(bytes.len() + 1);
            whole.push(WHOLE);
            whole.extend_from_slice(&bytes);
            self.set(key, Some(whole));
            return Ok(());
        }
        let mut head = vec![PIECES];
        let pieces = bytes.chunks(VALUE_LIMIT);
        head.extend_from_slice(&encode(&(pieces.len() as u32))?);
        for (index, piece) in (0..).zip(pieces) {
            self.set(keys::piece(&key, index), Some(piece.to_vec()));
        }
        self.set(key, Some(head));
        Ok(())
    }

    pub fn delete_long(&mut self, key: Vec<u8>) -> Result<()> {
        if let Some(head) = self.raw(&key)?
            && head.first() == Some(&PIECES)
        {
            for index in 0..super::records::decode::<u32>(&head[1..])? {
                self.delete(keys::piece(&key, index));
            }
        }
        self.delete(key);
        Ok(())
    }

    pub fn totals(&mut self, change: impl FnOnce(&mut Totals)) -> Result<()> {
        let mut totals: Totals = self.get(keys::TOTALS)?.unwrap_or_default();
        change(&mut totals);
        self.put(keys::TOTALS.to_vec(), &totals)
    }

    pub fn today(&mut self, change: impl FnOnce(&mut DayStats)) -> Result<()> {
        let day = day_of(self.now);
        let mut stats = self.get(&keys::day(day))?.unwrap_or(DayStats { day, ..DayStats::default() });
        change(&mut stats);
        self.put(keys::day(day), &stats)
    }

    /// Changes the sum of an account's messages.
    pub fn use_bytes(&mut self, id: AccountId, change: impl FnOnce(u64) -> u64) -> Result<()> {
        if let Some(mut account) = self.get::<Account>(&keys::account(id))? {
            account.used_bytes = change(account.used_bytes);
            self.put(keys::account(id), &account)?;
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.overlay.is_empty()
    }

    /// Bytes of keys and values, about.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The group as one batch.
    pub fn into_batch(self) -> (::sled::Batch, Vec<Hint>) {
        let mut batch = ::sled::Batch::default();
        for (key, value) in self.overlay {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        (batch, self.hints)
    }
}

impl Look for Tx<'_> {
    fn raw(&self, key: &[u8]) -> Result<Option<IVec>> {
        match self.overlay.get(key) {
            Some(value) => Ok(value.as_deref().map(IVec::from)),
            None => self.tree.get(key).map_err(|e| broken(&e)),
        }
    }

    fn walk(&self, range: &keys::Range, visit: Visit<'_>) -> Result<()> {
        let mut laid = self.overlay.range(range.0.clone()..range.1.clone()).peekable();
        let mut stored = self.tree.range(&range.0[..]..&range.1[..]).peekable();
        loop {
            let stored_key = match stored.peek() {
                Some(Ok((key, _))) => Some(key.clone()),
                Some(Err(e)) => return Err(broken(e)),
                None => None,
            };
            let walk = match (laid.peek(), stored_key) {
                (None, None) => return Ok(()),
                (Some((key, value)), other)
                    if other.as_ref().is_none_or(|other| key.as_slice() <= &other[..]) =>
                {
                    // The overlay hides what is stored under the same key.
                    let hides = other.is_some_and(|other| key.as_slice() == &other[..]);
                    let walk = match value {
                        Some(value) => visit(key, value)?,
                        None => Walk::On,
                    };
                    laid.next();
                    if hides {
                        stored.next();
                    }
                    walk
                }
                _ => match stored.next() {
                    Some(Ok((key, value))) => visit(&key, &value)?,
                    Some(Err(e)) => return Err(broken(&e)),
                    None => return Ok(()),
                },
            };
            if walk == Walk::Enough {
                return Ok(());
            }
        }
    }
}
