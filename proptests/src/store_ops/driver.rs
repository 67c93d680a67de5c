//! Runs steps on two stores and compares.

use super::call::{Answer, Call};
use super::normal::{Names, error};
use super::step::{Step, flags};
use gadwall_storage::contract::{AccountSnapshot, Backend, Instance, credentials};
use gadwall_storage::*;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
/// Operations are repeated within this time; every store remembers them for so long.
const REPEATABLE: Duration = Duration::from_secs(12 * 3600);
/// From here on a journal may have been trimmed, or may not.
const JOURNALED: Duration = Duration::from_secs(7 * 24 * 3600);

/// How often a sequence came to what is worth comparing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reached {
    pub over_quota: u32,
    pub messages_expired: u64,
    pub accounts_expired: u64,
    /// Copies and moves of at least one message.
    pub transfers: u32,
    /// Renames of a mailbox with others below it.
    pub trees_renamed: u32,
    /// Repetitions of an operation that was done before a restart.
    pub repeated_after_reopen: u32,
}

impl std::ops::AddAssign for Reached {
    fn add_assign(&mut self, more: Self) {
        self.over_quota += more.over_quota;
        self.messages_expired += more.messages_expired;
        self.accounts_expired += more.accounts_expired;
        self.transfers += more.transfers;
        self.trees_renamed += more.trees_renamed;
        self.repeated_after_reopen += more.repeated_after_reopen;
    }
}

/// Runs `steps` on a store of each backend. Panics at the first difference, or when an audit complains.
pub async fn compare(left: &dyn Backend, right: &dyn Backend, steps: &[Step]) -> Reached {
    let mut driver = Driver::new(left, right).await;
    for (i, step) in steps.iter().enumerate() {
        driver.step(step, &format!("step {i}, {step:?}")).await;
        if i % 8 == 7 {
            driver.compare_state(&format!("state after step {i}")).await;
        }
    }
    driver.sweep("the last sweep").await;
    driver.compare_state("the last state").await;
    driver.compare_totals("the totals").await;
    driver.reached
}

struct Side {
    instance: Box<dyn Instance>,
    store: Option<Arc<dyn MailStore>>,
    names: Names,
}

impl Side {
    async fn new(backend: &dyn Backend, clock: Arc<dyn Clock>, seed: u64) -> Self {
        let instance = backend.open(clock, Arc::new(SeededEntropy::new(seed))).await;
        let store = Some(instance.store());
        Side { instance, store, names: Names::default() }
    }

    fn store(&self) -> &dyn MailStore {
        &**self.store.as_ref().expect("only reopen takes the store away, and it puts one back")
    }

    /// Crashes the store, if it is one that survives that.
    async fn reopen(&mut self) {
        self.store = None;
        let reopened = self.instance.reopen().await;
        self.store = Some(reopened.unwrap_or_else(|| self.instance.store()));
    }
}

/// A mailbox that there was once, by its ids in both stores.
#[derive(Clone, Copy)]
struct Known {
    account: AccountId,
    ids: [MailboxId; 2],
}

impl Known {
    fn at(&self, side: usize) -> MailboxRef {
        MailboxRef { account: self.account, mailbox: self.ids[side] }
    }
}

struct Driver {
    sides: [Side; 2],
    clock: Arc<ManualClock>,
    entropy: Arc<SeededEntropy>,
    started: Timestamp,
    accounts: Vec<AccountId>,
    mailboxes: Vec<Known>,
    history: Vec<(Timestamp, OpId, [Call; 2])>,
    /// How much of the history was before the last restart.
    reopened_after: usize,
    reached: Reached,
}

impl Driver {
    async fn new(left: &dyn Backend, right: &dyn Backend) -> Self {
        let clock = Arc::new(ManualClock::default());
        let sides = [Side::new(left, clock.clone(), 11).await, Side::new(right, clock.clone(), 22).await];
        let (started, entropy) = (clock.now(), Arc::new(SeededEntropy::new(33)));
        Driver {
            sides,
            clock,
            entropy,
            started,
            accounts: vec![],
            mailboxes: vec![],
            history: vec![],
            reopened_after: 0,
            reached: Reached::default(),
        }
    }

    async fn step(&mut self, step: &Step, what: &str) {
        match step {
            Step::Repeat { back } => {
                let Some((at, op, calls)) = self.earlier(*back) else { return };
                if at.after(REPEATABLE) > self.clock.now() {
                    let before = &self.history[..self.reopened_after];
                    self.reached.repeated_after_reopen +=
                        u32::from(before.iter().any(|(_, earlier, _)| *earlier == op));
                    self.call(op, calls, what).await;
                }
            }
            Step::Misuse { back, step } => {
                let Some((at, op, _)) = self.earlier(*back) else { return };
                if at.after(REPEATABLE) > self.clock.now()
                    && let Some(calls) = self.resolve(step)
                {
                    self.call(op, calls, what).await;
                }
            }
            Step::Advance { how_far } => {
                let hours = [0, 0, 1, 1, 5, 24, 24, 100][usize::from(how_far % 8)];
                self.clock.advance(HOUR * hours + Duration::from_secs(u64::from(*how_far)));
            }
            Step::Sweep => self.sweep(what).await,
            Step::Reopen => {
                for side in &mut self.sides {
                    side.reopen().await;
                    side.names.recent_unknown = true;
                }
                self.reopened_after = self.history.len();
                self.compare_state(what).await;
            }
            Step::ClaimRecent { at } => self.claim(*at, what).await,
            Step::Changes { at, since } => {
                let Some(known) = self.known(*at) else { return };
                self.compare_changes(known, u64::from(*since), what).await;
            }
            change => {
                if let Some(calls) = self.resolve(change) {
                    let op = OpId::mint(&*self.entropy);
                    self.history.push((self.clock.now(), op, calls.clone()));
                    self.call(op, calls, what).await;
                }
            }
        }
    }

    fn earlier(&self, back: u8) -> Option<(Timestamp, OpId, [Call; 2])> {
        let n = self.history.len().checked_sub(1)?;
        Some(self.history[n - usize::from(back) % self.history.len().min(12)].clone())
    }

    fn account(&self, n: u8) -> Option<AccountId> {
        (!self.accounts.is_empty()).then(|| self.accounts[usize::from(n) % self.accounts.len()])
    }

    fn known(&self, n: u8) -> Option<Known> {
        (!self.mailboxes.is_empty()).then(|| self.mailboxes[usize::from(n) % self.mailboxes.len()])
    }

    /// Mostly another mailbox of the same account, seldom anybody's.
    fn target(&self, from: Known, n: u8) -> Known {
        let own: Vec<&Known> = self.mailboxes.iter().filter(|k| k.account == from.account).collect();
        let any = self.known(n).filter(|_| n.is_multiple_of(16));
        any.unwrap_or_else(|| *own[usize::from(n) % own.len()])
    }

    /// The step with the ids of each side.
    fn resolve(&mut self, step: &Step) -> Option<[Call; 2]> {
        let both = |call: Call| Some([call.clone(), call]);
        let sides = |call: &dyn Fn(usize) -> Call| Some([call(0), call(1)]);
        match step {
            Step::CreateAccount { address: n, expires_in_hours, quota_kib } => {
                let id = AccountId::mint(&*self.clock, &*self.entropy);
                self.accounts.push(id);
                let expires_at = expires_in_hours.map(|h| self.clock.now().after(HOUR * u32::from(h)));
                both(Call::CreateAccount(new_account(id, *n, expires_at, *quota_kib)))
            }
            Step::DeleteAccount { account } => both(Call::DeleteAccount(self.account(*account)?)),
            Step::UpdateAccount { account, quota_kib, retention_hours } => {
                let update = AccountUpdate {
                    quota_bytes: quota_kib.map(|n| u64::from(n) << 10),
                    retention_secs: retention_hours.map(|r| r.map(|hours| u64::from(hours) * 3600)),
                    ..AccountUpdate::default()
                };
                both(Call::UpdateAccount(self.account(*account)?, update))
            }
            Step::AddAddress { account, address: n } => {
                both(Call::AddAddress(self.account(*account)?, address(*n)))
            }
            Step::RemoveAddress { account, address: n } => {
                both(Call::RemoveAddress(self.account(*account)?, address(*n)))
            }
            Step::CreateMailbox { account, name: n } => {
                both(Call::CreateMailbox(self.account(*account)?, name(*n)))
            }
            Step::Subscribe { account, name: n, undo } => {
                let subscribed = if undo.is_multiple_of(2) { Subscribed::Yes } else { Subscribed::No };
                both(Call::Subscribe(self.account(*account)?, name(*n), subscribed))
            }
            Step::DeleteMailbox { at } => {
                let at = self.known(*at)?;
                sides(&|s| Call::DeleteMailbox(at.at(s)))
            }
            Step::RenameMailbox { at, name: n } => {
                let at = self.known(*at)?;
                sides(&|s| Call::RenameMailbox(at.at(s), name(*n)))
            }
            other => self.resolve_messages(other),
        }
    }

    fn resolve_messages(&self, step: &Step) -> Option<[Call; 2]> {
        let sides = |call: &dyn Fn(usize) -> Call| Some([call(0), call(1)]);
        match step {
            Step::Append { at, bodies, flags } => {
                let at = self.known(*at)?;
                sides(&|s| Call::Append { at: at.at(s), bodies: bodies.clone(), flags: *flags })
            }
            Step::SetFlags { at, uids, flags: bits, how, unchanged_since } => {
                let (at, uids) = (self.known(*at)?, uids.uids());
                let change = [FlagChange::Add, FlagChange::Remove, FlagChange::Replace][usize::from(how % 3)];
                let (change, unchanged_since) = (change(flags(*bits)), unchanged_since.map(u64::from));
                sides(&|s| {
                    let (uids, change) = (uids.clone(), change.clone());
                    Call::SetFlags { at: at.at(s), uids, change, unchanged_since }
                })
            }
            Step::Copy { from, uids, to } => {
                let from = self.known(*from)?;
                let to = self.target(from, *to);
                sides(&|s| Call::Copy { from: from.at(s), uids: uids.uids(), to: to.ids[s] })
            }
            Step::Move { from, uids, to } => {
                let from = self.known(*from)?;
                let to = self.target(from, *to);
                sides(&|s| Call::Move { from: from.at(s), uids: uids.uids(), to: to.ids[s] })
            }
            Step::Replace { from, uid, to, body } => {
                let from = self.known(*from)?;
                let to = self.target(from, *to);
                let (uid, body) = (Uid::new(1 + u32::from(uid % 12))?, *body);
                sides(&|s| Call::Replace { from: from.at(s), uid, to: to.ids[s], body })
            }
            Step::Expunge { at, uids, all } => {
                let at = self.known(*at)?;
                let which = if all.is_multiple_of(2) { Which::All } else { Which::Deleted };
                sides(&|s| Call::Expunge { at: at.at(s), uids: uids.uids(), which })
            }
            _ => None,
        }
    }

    async fn call(&mut self, op: OpId, calls: [Call; 2], what: &str) {
        let mut answers = Vec::new();
        let is_tree = match &calls[0] {
            Call::RenameMailbox(at, _) => self.has_below(*at).await,
            _ => false,
        };
        for (side, call) in self.sides.iter_mut().zip(calls) {
            let answer = call.run(side.store(), op).await;
            answers.push(answer.map(|a| side.names.answer(a, call.target())).map_err(error));
        }
        assert_alike(&answers, what);
        match &answers[0] {
            Err(StoreError::OverQuota { .. }) => self.reached.over_quota += 1,
            Ok(Answer::Copied(c)) if !c.pairs.is_empty() => self.reached.transfers += 1,
            Ok(_) if is_tree => self.reached.trees_renamed += 1,
            _ => {}
        }
        self.meet_mailboxes().await;
    }

    /// Whether a mailbox (of the left store) has others below it.
    async fn has_below(&self, at: MailboxRef) -> bool {
        let all = self.sides[0].store().mailboxes(at.account).await.unwrap_or_default();
        let name = all.iter().find(|m| m.id == at.mailbox).map(|m| m.name.clone());
        name.is_some_and(|name| all.iter().any(|m| m.name.is_below(&name)))
    }

    /// Pairs the ids of mailboxes that are new.
    async fn meet_mailboxes(&mut self) {
        for account in self.accounts.clone() {
            let lists = [
                self.sides[0].store().mailboxes(account).await,
                self.sides[1].store().mailboxes(account).await,
            ];
            let [Ok(left), Ok(right)] = lists else { continue };
            for (l, r) in left.iter().zip(&right) {
                if l.name == r.name && !self.mailboxes.iter().any(|k| k.ids[0] == l.id) {
                    self.mailboxes.push(Known { account, ids: [l.id, r.id] });
                }
            }
        }
    }

    async fn claim(&mut self, at: u8, what: &str) {
        let Some(known) = self.known(at) else { return };
        let mut answers = Vec::new();
        for (s, side) in self.sides.iter_mut().enumerate() {
            let answer = side.store().claim_recent(known.at(s)).await.map_err(error);
            answers.push(if side.names.recent_unknown { answer.map(|_| UidSet::new()) } else { answer });
        }
        assert_alike(&answers, what);
    }

    async fn sweep(&mut self, what: &str) {
        let mut answers = Vec::new();
        for side in &self.sides {
            let (mut messages, mut accounts) = (0, 0);
            loop {
                let round = side.store().sweep().await.expect("a sweep runs");
                messages += round.messages_expired;
                accounts += round.accounts_expired;
                if !round.more {
                    break;
                }
            }
            answers.push((messages, accounts));
        }
        assert_alike(&answers, what);
        self.reached.messages_expired += answers[0].0;
        self.reached.accounts_expired += answers[0].1;
    }

    fn journal_is_whole(&self) -> bool {
        self.clock.now() < self.started.after(JOURNALED)
    }

    async fn compare_changes(&mut self, known: Known, since: u64, what: &str) {
        let whole = self.journal_is_whole();
        let mut answers = Vec::new();
        for (s, side) in self.sides.iter_mut().enumerate() {
            let changes = side.store().changes_since(known.at(s), since).await;
            answers.push(changes.map(|c| side.names.changes(c)).map_err(error));
        }
        let gone = |a: &Result<Changes>| matches!(a, Ok(Changes::Deleted) | Err(StoreError::NotFound(_)));
        let behind = answers.iter().any(|a| matches!(a, Ok(Changes::Resync)));
        if answers.iter().all(gone) || (behind && !whole) {
            return;
        }
        assert_alike(&answers, what);
    }

    /// Everything that can be read of every account there has been.
    async fn compare_state(&mut self, what: &str) {
        let whole = self.journal_is_whole();
        for account in &self.accounts {
            let mut snapshots = Vec::new();
            for side in &mut self.sides {
                let snapshot = AccountSnapshot::take(side.store(), *account).await;
                snapshots.push(snapshot.map(|s| side.names.account(s)).map_err(error));
            }
            if !whole {
                let changes = snapshots.iter_mut().flatten().flat_map(|s| &mut s.mailboxes);
                changes.for_each(|m| m.changes = Changes::Resync);
            }
            assert_alike(&snapshots, what);
        }
        for side in &self.sides {
            let complaints = side.store().audit().await.expect("an audit answers");
            assert!(complaints.is_empty(), "{what}: {complaints:#?}");
        }
    }

    async fn compare_totals(&self, what: &str) {
        let mut answers = Vec::new();
        for side in &self.sides {
            let store = side.store();
            let mut owners = Vec::new();
            for n in 0..ADDRESSES {
                owners.push(store.account_by_address(&address(n)).await.map(|a| a.id).map_err(error));
            }
            answers.push((
                store.stats().await,
                store.daily_stats(30).await,
                store.accounts(None, 1000).await,
                owners,
            ));
        }
        assert_alike(&answers, what);
    }
}

fn assert_alike<T: Debug + PartialEq>(answers: &[T], what: &str) {
    let [left, right] = answers else { unreachable!("there are two stores") };
    if left == right {
        return;
    }
    let (left, right) = (format!("{left:#?}"), format!("{right:#?}"));
    let first = left.lines().zip(right.lines()).position(|(l, r)| l != r).unwrap_or(0);
    let from = first.saturating_sub(12);
    let excerpt = |text: &str| text.lines().skip(from).take(24).collect::<Vec<_>>().join("\n");
    panic!("the stores differ at {what}\nleft:\n{}\nright:\n{}", excerpt(&left), excerpt(&right));
}

const ADDRESSES: u8 = 6;

fn address(n: u8) -> Address {
    Address::parse(&format!("user{}@gadwall.test", n % ADDRESSES)).expect("a proper address")
}

/// A dozen names that are above, below and beside each other.
fn name(n: u8) -> MailboxName {
    const NAMES: [&str; 12] =
        ["INBOX", "a", "a/b", "a/b/c", "ab", "ab/c", "b", "b/a", "Trash", "INBOX/x", "A", "ä/ö"];
    MailboxName::parse(NAMES[usize::from(n) % NAMES.len()]).expect("a proper name")
}

fn new_account(id: AccountId, n: u8, expires_at: Option<Timestamp>, quota_kib: u8) -> NewAccount {
    NewAccount {
        id,
        address: address(n),
        name: format!("user {n}"),
        credentials: credentials(n),
        quota_bytes: u64::from(quota_kib) << 10,
        expires_at,
        retention_secs: (!n.is_multiple_of(5)).then(|| 3600 * u64::from(n)),
        mailboxes: vec![(MailboxName::inbox(), None), (name(8), Some(SpecialUse::Trash))],
    }
}
