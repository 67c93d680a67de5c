//! Mutations of one account wait for each other here, so that within a node they never conflict; those that can are
//! committed together.

use super::group;
use super::operations::{Erased, Identity};
use super::store::Shared;
use crate::{AccountId, Result, StoreError};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// Mutations of one group at most, and bytes it is closed at.
const GROUP: usize = 128;
const GROUP_BYTES: usize = 4 << 20;

/// A mutation that waits.
pub struct Job {
    pub identity: Option<Identity>,
    pub mutation: Box<dyn Erased>,
    pub deadline: Instant,
    pub reply: oneshot::Sender<Result<Vec<u8>>>,
}

/// What waits, by account. An account with an entry has a task that works it off.
#[derive(Default)]
pub struct Queues {
    waiting: Mutex<BTreeMap<AccountId, VecDeque<Job>>>,
    emptied: Notify,
}

impl Queues {
    fn waiting(&self) -> MutexGuard<'_, BTreeMap<AccountId, VecDeque<Job>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing is under way.
    pub async fn drained(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.waiting().is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// The next group of an account; `None`, and the account's entry is gone, when nothing waits.
    fn next_group(&self, account: AccountId) -> Option<Vec<Job>> {
        let mut waiting = self.waiting();
        let queue = waiting.get_mut(&account)?;
        let Some(first) = queue.pop_front() else {
            waiting.remove(&account);
            if waiting.is_empty() {
                self.emptied.notify_waiters();
            }
            return None;
        };
        let mut weight = first.mutation.weight();
        let mut joins = first.mutation.joins_group();
        let mut group = vec![first];
        while joins && group.len() < GROUP && weight < GROUP_BYTES {
            joins = queue.front().is_some_and(|next| next.mutation.joins_group());
            if let Some(next) = joins.then(|| queue.pop_front()).flatten() {
                weight += next.mutation.weight();
                group.push(next);
            }
        }
        Some(group)
    }
}

/// Queues a mutation and waits for its outcome. Whoever stops waiting does not stop the mutation.
pub async fn submit(
    shared: &Arc<Shared>,
    account: AccountId,
    identity: Option<Identity>,
    mutation: Box<dyn Erased>,
) -> Result<Vec<u8>> {
    let (reply, answer) = oneshot::channel();
    let job = Job { identity, mutation, deadline: Instant::now() + shared.deadline, reply };
    let is_first = {
        let mut waiting = shared.queues.waiting();
        let is_first = !waiting.contains_key(&account);
        waiting.entry(account).or_default().push_back(job);
        is_first
    };
    if is_first {
        tokio::spawn(work_off(shared.clone(), account));
    }
    let lost = StoreError::Unavailable {
        reason: "the mutation was lost in a crash of its task".into(),
        retry_after: None,
        outcome_unknown: true,
    };
    answer.await.unwrap_or(Err(lost))
}

async fn work_off(shared: Arc<Shared>, account: AccountId) {
    // Should a mutation panic, those behind it must not wait for ever.
    let guard = Abandon { shared: shared.clone(), account };
    while let Some(jobs) = shared.queues.next_group(account) {
        group::commit(&shared, jobs).await;
    }
    drop(guard);
}

struct Abandon {
    shared: Arc<Shared>,
    account: AccountId,
}

impl Drop for Abandon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Dropping the jobs answers them: their channels close.
            self.shared.queues.waiting().remove(&self.account);
            self.shared.queues.emptied.notify_waiters();
        }
    }
}
