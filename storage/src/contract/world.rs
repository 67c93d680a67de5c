//! A store with its time and randomness, and short words for what every claim does.

use super::{AccountSnapshot, Backend, Instance};
use crate::body::Staged;
use crate::*;
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub const HOUR: Duration = Duration::from_secs(3600);
pub const DAY: Duration = Duration::from_secs(24 * 3600);

/// What a claim is checked on.
pub struct World {
    instance: Box<dyn Instance>,
    store: Option<Arc<dyn MailStore>>,
    pub clock: Arc<ManualClock>,
    pub entropy: Arc<SeededEntropy>,
}

/// An account and its INBOX.
#[derive(Debug, Clone, Copy)]
pub struct User {
    pub id: AccountId,
    pub inbox: MailboxRef,
}

impl User {
    pub fn at(&self, mailbox: MailboxId) -> MailboxRef {
        MailboxRef { account: self.id, mailbox }
    }
}

impl World {
    pub async fn new(backend: &dyn Backend) -> Self {
        let clock = Arc::new(ManualClock::default());
        let entropy = Arc::new(SeededEntropy::new(1));
        let instance = backend.open(clock.clone(), entropy.clone()).await;
        let store = Some(instance.store());
        World { instance, store, clock, entropy }
    }

    pub fn store(&self) -> &dyn MailStore {
        &**self.store.as_ref().expect("only reopen takes the store away, and it puts one back")
    }

    /// For another task.
    pub fn shared(&self) -> Arc<dyn MailStore> {
        self.store.clone().expect("only reopen takes the store away, and it puts one back")
    }

    /// Lets go of the store without closing it and opens it again; `false` if this backend keeps nothing.
    pub async fn reopen(&mut self) -> bool {
        self.store = None;
        let store = self.instance.reopen().await;
        let reopened = store.is_some();
        self.store = Some(store.unwrap_or_else(|| self.instance.store()));
        reopened
    }

    pub async fn assert_sound(&self) {
        let complaints = self.store().audit().await.expect("an audit answers");
        assert!(complaints.is_empty(), "the audit complains: {complaints:#?}");
    }

    pub fn op(&self) -> OpId {
        OpId::mint(&*self.entropy)
    }

    /// An account without end: 100 MB, messages for 7 days, INBOX and Trash.
    pub async fn user(&self, local: &str) -> User {
        self.user_with(local, |_| ()).await
    }

    pub async fn user_with(&self, local: &str, change: impl FnOnce(&mut NewAccount)) -> User {
        let mut new = self.new_account(local);
        change(&mut new);
        let account = self.store().create_account(self.op(), new).await.expect("the address is free");
        self.user_of(account.id).await
    }

    pub async fn user_of(&self, id: AccountId) -> User {
        let inbox = self.store().mailbox_by_name(id, &MailboxName::inbox()).await.expect("there is an INBOX");
        User { id, inbox: MailboxRef { account: id, mailbox: inbox.id } }
    }

    pub fn new_account(&self, local: &str) -> NewAccount {
        NewAccount {
            id: AccountId::mint(&*self.clock, &*self.entropy),
            address: address(&format!("{local}@gadwall.test")),
            name: local.into(),
            credentials: credentials(1),
            quota_bytes: 100_000_000,
            expires_at: None,
            retention_secs: Some(7 * 24 * 3600),
            mailboxes: vec![(MailboxName::inbox(), None), (name("Trash"), Some(SpecialUse::Trash))],
        }
    }

    pub async fn create(&self, user: User, mailbox: &str) -> MailboxRef {
        let made = self.store().create_mailbox(self.op(), user.id, &name(mailbox), None).await;
        user.at(made.expect("the name is free").id)
    }

    pub async fn append(&self, at: MailboxRef, texts: &[&str]) -> Vec<Uid> {
        let messages = texts.iter().map(|text| message(text.as_bytes())).collect();
        self.store().append(self.op(), at, messages).await.expect("the mailbox takes mail").uids
    }

    pub async fn append_bytes(&self, at: MailboxRef, bytes: &[u8]) -> Uid {
        self.store().append(self.op(), at, vec![message(bytes)]).await.expect("the mailbox takes mail").uids
            [0]
    }

    pub async fn append_with(&self, at: MailboxRef, flags: Flags) -> Uid {
        let new = NewMessage { flags, ..message(b"Subject: flagged\r\n\r\nx\r\n") };
        self.store().append(self.op(), at, vec![new]).await.expect("the mailbox takes mail").uids[0]
    }

    pub async fn mailbox(&self, at: MailboxRef) -> Mailbox {
        self.store().mailbox(at).await.expect("the mailbox is there")
    }

    pub async fn modseq(&self, at: MailboxRef) -> u64 {
        self.mailbox(at).await.modseq.get()
    }

    pub async fn list(&self, at: MailboxRef) -> Vec<Message> {
        self.store().messages(at, MessageQuery::of(UidSet::all())).await.expect("the mailbox is there")
    }

    pub async fn one(&self, at: MailboxRef, uid: Uid) -> Message {
        let query = MessageQuery::of(UidSet::single(uid)).with_details();
        let mut found = self.store().messages(at, query).await.expect("the mailbox is there");
        assert_eq!(found.len(), 1, "UID {uid} is there once");
        found.remove(0)
    }

    pub async fn uids(&self, at: MailboxRef) -> UidSet {
        self.store().uids(at).await.expect("the mailbox is there").1
    }

    pub async fn bytes(&self, at: MailboxRef, uid: Uid) -> Vec<u8> {
        let mut body = self.store().body(at, uid).await.expect("the message is there");
        read_all(&mut *body).await
    }

    pub async fn flag(&self, at: MailboxRef, uids: &UidSet, change: FlagChange) -> FlagsStored {
        let stored = self.store().set_flags(self.op(), at, uids, &change, None).await;
        stored.expect("the mailbox takes flags")
    }

    pub async fn expunge(&self, at: MailboxRef, uids: &UidSet) -> Expunged {
        self.store().expunge(self.op(), at, uids, Which::All).await.expect("the mailbox is there")
    }

    pub async fn delta(&self, at: MailboxRef, since: u64) -> Delta {
        match self.store().changes_since(at, since).await.expect("the mailbox is there") {
            Changes::Delta(delta) => delta,
            other => panic!("the journal reaches back to {since}, yet: {other:?}"),
        }
    }

    pub async fn used(&self, user: User) -> u64 {
        self.store().account(user.id).await.expect("the account is there").used_bytes
    }

    pub async fn snapshot(&self, user: User) -> AccountSnapshot {
        AccountSnapshot::take(self.store(), user.id).await.expect("the account is there")
    }

    /// Sweeps until nothing is due; the sums of all rounds.
    pub async fn sweep(&self) -> Swept {
        let mut sum = Swept::default();
        for _ in 0..10_000 {
            let round = self.store().sweep().await.expect("a sweep runs");
            sum.messages_expired += round.messages_expired;
            sum.accounts_expired += round.accounts_expired;
            sum.records_dropped += round.records_dropped;
            sum.next_due = round.next_due;
            if !round.more {
                return sum;
            }
        }
        panic!("sweeping does not come to an end");
    }

    /// Hints that come from what `change` does, until one that `wanted` picks.
    pub async fn hint(&self, hints: &mut HintReceiver, wanted: impl Fn(&Hint) -> bool) {
        let found = async { while !wanted(&hints.recv().await) {} };
        within(found, "a hint").await;
    }
}

/// Waits for something that has to happen by itself.
pub async fn within<T>(what: impl Future<Output = T>, name: &str) -> T {
    // Long enough for the slowest machine; a claim that holds never waits for it.
    tokio::time::timeout(Duration::from_secs(10), what).await.unwrap_or_else(|_| panic!("{name} never came"))
}

pub async fn read_all(body: &mut dyn BodyReader) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let piece = body.read_at(all.len() as u64, 1 << 20).await.expect("the body is readable");
        if piece.is_empty() {
            return all;
        }
        all.extend_from_slice(&piece);
    }
}

pub fn message(bytes: &[u8]) -> NewMessage {
    let body = Staged::from_bytes(bytes.to_vec());
    NewMessage { body, flags: Flags::new(), internal_date: None, delivery: None, made_from: None }
}

pub fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).expect("a test uses proper names")
}

pub fn address(text: &str) -> Address {
    Address::parse(text).expect("a test uses proper addresses")
}

pub fn keyword(text: &str) -> Keyword {
    Keyword::new(text).expect("a test uses proper keywords")
}

pub fn uid(n: u32) -> Uid {
    Uid::new(n).expect("a test counts from 1")
}

pub fn uids(all: &[u32]) -> UidSet {
    all.iter().copied().map(uid).collect()
}

pub fn flags(system: &[SystemFlag], keywords: &[&str]) -> Flags {
    let mut flags = Flags::new();
    system.iter().for_each(|f| flags.insert(*f));
    keywords.iter().for_each(|k| flags.insert_keyword(keyword(k)));
    flags
}

pub fn add(system: &[SystemFlag]) -> FlagChange {
    FlagChange::Add(flags(system, &[]))
}

pub fn credentials(seed: u8) -> Credentials {
    Credentials {
        password_hash: format!("$argon2id${seed}"),
        scram_sha_256: ScramVerifier {
            salt: vec![seed; 16],
            iterations: 4096,
            stored_key: [seed; 32],
            server_key: [seed ^ 255; 32],
        },
    }
}

/// `NotFound`, of the account or of the mailbox: a store need not look twice to say which.
pub fn is_not_found<T>(answer: &Result<T>) -> bool {
    matches!(answer, Err(StoreError::NotFound(_)))
}

pub fn all_distinct<T: Ord>(items: impl IntoIterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    items.into_iter().all(|item| seen.insert(item))
}
