//! A store after a cut, compared with what was acknowledged before it.

use crate::workload::{Contents, Holdings, Owner, Workload};
use crate::writer::{account, flags, options};
use gadwall_storage::contract::{AccountSnapshot, MailboxSnapshot};
use gadwall_storage::sled::SledStore;
use gadwall_storage::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

/// How far one owner has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Steps acknowledged.
    pub done: u64,
    /// One more was begun: it may be there, whole, or not.
    pub begun: bool,
}

/// UIDVALIDITYs that were shown to somebody: by owner, step and name of the mailbox's making.
pub type Shown = BTreeMap<(u64, (u64, String)), u32>;

/// What is known before the cut.
#[derive(Debug, Clone, Default)]
pub struct Acknowledged {
    pub progress: Vec<Progress>,
    pub shown: Shown,
}

pub struct Checker {
    pub workload: Workload,
    /// What each owner has after each step.
    pub histories: Vec<Vec<Owner>>,
    digests: RefCell<BTreeMap<u64, [u8; 32]>>,
}

impl Checker {
    pub fn new(workload: Workload, steps: u64) -> Self {
        let histories = (0..workload.owners).map(|owner| workload.history(owner, steps)).collect();
        Self { workload, histories, digests: RefCell::default() }
    }

    /// Opens a store and says how far each owner has come in it, or what is wrong with it.
    pub async fn check(&self, store: &Path, life: u64, known: &Acknowledged) -> Result<Acknowledged, String> {
        let store = SledStore::open(store, options(life)).map_err(|e| e.to_string())?;
        let found = self.compare(&store, known).await;
        let complaints = store.audit().await.map_err(|e| format!("the audit: {e}"))?;
        if !complaints.is_empty() {
            return Err(format!("the audit: {complaints:#?}"));
        }
        found
    }

    async fn compare(&self, store: &dyn MailStore, known: &Acknowledged) -> Result<Acknowledged, String> {
        let mut found = known.clone();
        let mut accounts = 0;
        for owner in 0..self.workload.owners {
            let Progress { done, begun } = known.progress[owner as usize];
            let mut wrong = Vec::new();
            let mut here = None;
            for steps in done..=done + u64::from(begun) {
                match self.compare_owner(store, owner, steps, &mut found.shown).await {
                    Ok(()) => here = Some(steps),
                    Err(e) => wrong.push(format!("not as after {steps} steps: {e}")),
                }
                if here.is_some() {
                    break;
                }
            }
            let steps = here.ok_or_else(|| format!("owner {owner}: {}", wrong.join("\n")))?;
            found.progress[owner as usize] = Progress { done: steps, begun: false };
            accounts += usize::from(self.histories[owner as usize][steps as usize].account.is_some());
        }
        let there = store.accounts(None, usize::MAX).await.map_err(|e| e.to_string())?.len();
        if there != accounts {
            return Err(format!("{there} accounts instead of {accounts}"));
        }
        let distinct: std::collections::BTreeSet<u32> = found.shown.values().copied().collect();
        if distinct.len() != found.shown.len() {
            return Err(format!("a UIDVALIDITY was given twice: {:?}", found.shown));
        }
        Ok(found)
    }

    async fn compare_owner(
        &self,
        store: &dyn MailStore,
        owner: u64,
        steps: u64,
        shown: &mut Shown,
    ) -> Result<(), String> {
        let expected = &self.histories[owner as usize][steps as usize];
        let Some(holdings) = &expected.account else {
            return self.compare_none(store, owner, steps).await;
        };
        let id = account(&self.workload, owner, holdings.made);
        let snapshot = AccountSnapshot::take(store, id).await.map_err(|e| e.to_string())?;
        self.compare_holdings(owner, holdings, &snapshot, shown)
    }

    /// None of the accounts that the owner's steps make is there.
    async fn compare_none(&self, store: &dyn MailStore, owner: u64, steps: u64) -> Result<(), String> {
        for made in 0..=steps {
            let id = account(&self.workload, owner, made);
            match store.account(id).await {
                Err(StoreError::NotFound(_)) => {}
                other => return Err(format!("the account of step {made}: {other:?}")),
            }
        }
        Ok(())
    }

    fn compare_holdings(
        &self,
        owner: u64,
        expected: &Holdings,
        found: &AccountSnapshot,
        shown: &mut Shown,
    ) -> Result<(), String> {
        let names: Vec<&str> = found.mailboxes.iter().map(|m| m.mailbox.name.as_str()).collect();
        let mut wanted: Vec<&str> = expected.mailboxes.keys().map(String::as_str).collect();
        wanted.sort_by_key(|name| names.iter().position(|n| n == name));
        if names != wanted {
            return Err(format!("mailboxes {names:?} instead of {wanted:?}"));
        }
        for snapshot in &found.mailboxes {
            let name = snapshot.mailbox.name.as_str();
            let contents = &expected.mailboxes[name];
            self.compare_mailbox(contents, snapshot).map_err(|e| format!("{name}: {e}"))?;
        }
        // Only once all agrees: these are the mailboxes that were meant.
        for snapshot in &found.mailboxes {
            let made = expected.mailboxes[snapshot.mailbox.name.as_str()].made.clone();
            let validity = snapshot.mailbox.uidvalidity.0.get();
            let before = *shown.entry((owner, made)).or_insert(validity);
            if before != validity {
                return Err(format!(
                    "{}: UIDVALIDITY {validity} was {before}",
                    snapshot.mailbox.name.as_str()
                ));
            }
        }
        Ok(())
    }

    fn compare_mailbox(&self, expected: &Contents, found: &MailboxSnapshot) -> Result<(), String> {
        let uidnext = found.mailbox.uidnext.map_or(0, Uid::get);
        if (uidnext, found.mailbox.modseq.get()) != (expected.uidnext, expected.modseq) {
            let modseq = found.mailbox.modseq;
            return Err(format!(
                "UIDNEXT {uidnext} and modseq {modseq:?} instead of {} and {}",
                expected.uidnext, expected.modseq
            ));
        }
        let uids: Vec<u32> = found.messages.iter().map(|m| m.uid.get()).collect();
        if !uids.iter().eq(expected.messages.keys()) {
            return Err(format!("UIDs {uids:?} instead of {:?}", expected.messages.keys()));
        }
        for message in &found.messages {
            let (content, bits) = expected.messages[&message.uid.get()];
            if message.flags != flags(bits) {
                return Err(format!(
                    "{:?}: flags {:?} instead of {:?}",
                    message.uid,
                    message.flags,
                    flags(bits)
                ));
            }
            if found.bodies[&message.uid] != self.digest(content) {
                return Err(format!("{:?}: the bytes are not those that were stored", message.uid));
            }
        }
        Ok(())
    }

    fn digest(&self, content: u64) -> [u8; 32] {
        let compute = || blake3::hash(&self.workload.content(content)).into();
        *self.digests.borrow_mut().entry(content).or_insert_with(compute)
    }
}
