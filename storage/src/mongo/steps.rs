//! Mutations of more messages than one transaction should hold: a sequence of steps, each whole and visible by itself.
//!
//! The steps are ranges of UIDs up to a bound that is recorded first. Each runs under an operation id that follows from
//! the caller's, and the sum of the outcomes is recorded under the caller's own: a repetition, after a crash or on
//! another node, finds what was done and goes on with the rest.

use super::fail::Step;
use super::operations::{Locks, Mutation};
use super::store::{MongoStore, reading};
use super::tx::Tx;
use crate::records::{Fingerprint, admit};
use crate::*;
use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a mutation asks of the quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    None,
    /// As much as the messages have.
    ForCopies,
}

/// Outcomes that can be added up.
pub trait Sum: Serialize + DeserializeOwned + Send + Sync + Clone + 'static {
    fn add(&mut self, later: Self);
}

impl Sum for FlagsStored {
    fn add(&mut self, later: Self) {
        self.messages.extend(later.messages);
        self.modified = self.modified.union(&later.modified);
        self.modseq = later.modseq;
    }
}

impl Sum for Copied {
    fn add(&mut self, later: Self) {
        self.pairs.extend(later.pairs);
        self.modseq = later.modseq;
        self.source_modseq = later.source_modseq;
    }
}

impl Sum for Expunged {
    fn add(&mut self, later: Self) {
        self.uids = self.uids.union(&later.uids);
        self.modseq = later.modseq;
    }
}

impl MongoStore {
    /// Runs a mutation of `uids`, at once or in steps. `mutation` makes it for some of the UIDs.
    pub(super) async fn stepwise<M: Mutation>(
        &self,
        op: OpId,
        print: Result<Fingerprint>,
        at: MailboxRef,
        (uids, room): (&UidSet, Room),
        mutation: impl Fn(UidSet) -> M + Send + Sync,
    ) -> Result<M::Outcome>
    where
        M::Outcome: Sum,
    {
        let print = print?;
        // Whether there are steps depends on what never goes back, so that a repetition comes to the same.
        if uids.len() <= self.shared.step || self.within_bounds(at, uids).await? {
            return self.once(at.account, op, Ok(print), mutation(uids.clone())).await;
        }
        if let Some(known) = self.recalled(at.account, op, print).await? {
            return Ok(known);
        }
        let bound = Bound { at, uids: uids.clone(), room };
        let bound = self.once(at.account, derived(op, 0), Ok(print), bound).await?;
        let mut sum: Option<M::Outcome> = None;
        for (step, part) in (1..).zip(parts(uids, bound, self.shared.step)) {
            let outcome = self.once(at.account, derived(op, step), Ok(print), mutation(part)).await;
            match (&mut sum, outcome) {
                (Some(sum), Ok(outcome)) => sum.add(outcome),
                (None, Ok(outcome)) => sum = Some(outcome),
                // Some of it has happened: that is no refusal any more.
                (Some(_), Err(error)) => return Err(unfinished(error)),
                (None, Err(error)) => return Err(error),
            }
        }
        let sum = match sum {
            Some(sum) => sum,
            None => return self.once(at.account, op, Ok(print), mutation(UidSet::new())).await,
        };
        self.once(at.account, op, Ok(print), Finished(sum)).await
    }

    async fn within_bounds(&self, at: MailboxRef, uids: &UidSet) -> Result<bool> {
        let found = reading!(self, |view| view.any_mailbox(at.mailbox).await)?;
        // A mailbox that is gone is the mutation's business.
        Ok(found.is_none_or(|m| below(uids, m.uidnext.map_or(u32::MAX, Uid::get)).len() <= self.shared.step))
    }

    async fn recalled<T: Sum>(&self, account: AccountId, op: OpId, print: Fingerprint) -> Result<Option<T>> {
        match self.once(account, op, Ok(print), Recall(std::marker::PhantomData)).await {
            Err(StoreError::NotPermitted(NOT_RECORDED)) => Ok(None),
            known => known.map(Some),
        }
    }
}

fn derived(op: OpId, step: u32) -> OpId {
    let mut hasher = blake3::Hasher::new_derive_key("gadwall 2026 step of an operation");
    hasher.update(&op.0).update(&step.to_be_bytes());
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    OpId(id)
}

fn below(uids: &UidSet, bound: u32) -> UidSet {
    let last = Uid::new(bound.saturating_sub(1));
    last.map_or_else(UidSet::new, |last| uids.intersection(&UidSet::range(Uid::MIN, last)))
}

/// `uids` below a bound, in parts of at most so many, ascending.
fn parts(uids: &UidSet, bound: u32, most: u64) -> Vec<UidSet> {
    let mut parts = vec![UidSet::new()];
    let mut left = most;
    for range in below(uids, bound).ranges() {
        let (mut first, last) = (u64::from(*range.start()), u64::from(*range.end()));
        while first <= last {
            let end = last.min(first + left - 1);
            if let (Some(first), Some(end), Some(part)) =
                (Uid::new(first as u32), Uid::new(end as u32), parts.last_mut())
            {
                part.insert_range(first, end);
            }
            left -= end - first + 1;
            first = end + 1;
            if left == 0 {
                parts.push(UidSet::new());
                left = most;
            }
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn unfinished(error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable { reason, retry_after, .. } => {
            StoreError::Unavailable { reason, retry_after, outcome_unknown: true }
        }
        other => {
            let reason = format!("some of the messages are done, the rest is not possible now: {other}");
            StoreError::Unavailable { reason, retry_after: None, outcome_unknown: true }
        }
    }
}

/// Where the messages end that there are when a mutation in steps begins.
struct Bound {
    at: MailboxRef,
    uids: UidSet,
    room: Room,
}

#[async_trait]
impl Mutation for Bound {
    type Outcome = u32;

    fn locks(&self) -> Locks {
        Locks::default()
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Step<u32> {
        let bound = tx.mailbox(self.at).await?.uidnext.map_or(u32::MAX, Uid::get);
        if self.room == Room::ForCopies {
            // All or none, as far as can be told: the last step should not find that the first left no room for it.
            let rows = tx.rows(self.at.mailbox, &below(&self.uids, bound)).await?;
            let owner = tx.account(self.at.account).await?.account;
            admit(&owner, rows.iter().map(|(_, row)| row.size).sum())?;
        }
        Ok(bound)
    }
}

/// Records what steps have come to.
struct Finished<T>(T);

#[async_trait]
impl<T: Sum> Mutation for Finished<T> {
    type Outcome = T;

    fn locks(&self) -> Locks {
        Locks::default()
    }

    async fn run(&self, _: &mut Tx<'_>) -> Step<T> {
        Ok(self.0.clone())
    }
}

const NOT_RECORDED: &str = "not recorded";

/// Only answers from the record.
struct Recall<T>(std::marker::PhantomData<fn() -> T>);

#[async_trait]
impl<T: Sum> Mutation for Recall<T> {
    type Outcome = T;

    fn locks(&self) -> Locks {
        Locks::default()
    }

    async fn run(&self, _: &mut Tx<'_>) -> Step<T> {
        Err(StoreError::NotPermitted(NOT_RECORDED).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_small_and_make_up_the_whole() {
        let mut uids = UidSet::range(Uid::MIN, Uid::MAX);
        for gap in [5, 6, 30_000] {
            uids.remove(Uid::new(gap).unwrap());
        }
        let parts = parts(&uids, 100_001, 20_000);
        assert!(parts.iter().all(|part| part.len() <= 20_000));
        assert_eq!(parts.len(), 5);
        let whole = parts.iter().fold(UidSet::new(), |all, part| all.union(part));
        assert_eq!(whole, below(&uids, 100_001));
        assert!(parts.windows(2).all(|pair| pair[0].last() < pair[1].first()));
    }
}
