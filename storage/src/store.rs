//! The traits every backend implements. `docs/ARCHITECTURE.md` has the promises; `contract` tests them.
//!
//! Every mutator takes an [`OpId`]: the outcome is recorded with the change, and a call with an id
//! that has been recorded answers the recorded outcome and changes nothing. An error other than
//! `Unavailable { outcome_unknown: true }` means nothing was changed; it is not recorded, so the same
//! id may be tried again. When a mutator answers `Ok`, the change is durable. No reader ever sees a
//! change that is not durable.

use crate::*;
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Everything an engine needs. `Arc<dyn MailStore>` is what is handed around.
pub trait MailStore: Directory + Mailboxes + Messages + Feed + Maintenance {}
impl<T: Directory + Mailboxes + Messages + Feed + Maintenance> MailStore for T {}

/// Accounts, addresses, credentials, secrets.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Makes an account with its mailboxes, all in one step. `AlreadyExists(Address)` when taken.
    async fn create_account(&self, op: OpId, new: NewAccount) -> Result<Account>;

    async fn account(&self, id: AccountId) -> Result<Account>;

    /// The account that an address (primary or alias, without detail) belongs to. An expired account is
    /// not found, swept or not.
    async fn account_by_address(&self, address: &Address) -> Result<Account>;

    async fn update_account(&self, op: OpId, id: AccountId, update: AccountUpdate) -> Result<Account>;

    /// Deletes the account, its addresses, mailboxes and messages: at once for every reader, the space
    /// later by [`Maintenance::sweep`].
    async fn delete_account(&self, op: OpId, id: AccountId) -> Result<()>;

    /// Accounts by id, after `after`, at most `limit`.
    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>>;

    /// Adds an alias. `AlreadyExists(Address)` when taken.
    async fn add_address(&self, op: OpId, id: AccountId, address: &Address) -> Result<()>;

    /// Takes an alias away. `NotPermitted` for the primary address.
    async fn remove_address(&self, op: OpId, id: AccountId, address: &Address) -> Result<()>;

    /// All addresses of an account, the primary one first, then sorted.
    async fn addresses(&self, id: AccountId) -> Result<Vec<Address>>;

    /// The secret of that name, which is `candidate` if there was none. Durable before it answers.
    async fn secret(&self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32]>;

    async fn stats(&self) -> Result<StoreStats>;

    /// The last `days` UTC days, oldest first, days without events included.
    async fn daily_stats(&self, days: u32) -> Result<Vec<DayStats>>;
}

/// Mailboxes of an account.
#[async_trait]
pub trait Mailboxes: Send + Sync {
    /// All of them, sorted by name, INBOX included.
    async fn mailboxes(&self, account: AccountId) -> Result<Vec<Mailbox>>;

    async fn mailbox(&self, at: MailboxRef) -> Result<Mailbox>;

    async fn mailbox_by_name(&self, account: AccountId, name: &MailboxName) -> Result<Mailbox>;

    /// Which mailbox is the account's INBOX. It is the same for as long as there is the account, so a backend may answer
    /// from memory; whether the account is still there is seen by whatever is done with the answer.
    async fn inbox(&self, account: AccountId) -> Result<MailboxId> {
        Ok(self.mailbox_by_name(account, &MailboxName::inbox()).await?.id)
    }

    /// Creates a mailbox. Missing parents are created too (RFC 3501 §6.3.3). Not subscribed.
    async fn create_mailbox(
        &self,
        op: OpId,
        account: AccountId,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<Mailbox>;

    /// Deletes one mailbox and its messages. `NotPermitted` for INBOX and for one that has children.
    async fn delete_mailbox(&self, op: OpId, at: MailboxRef) -> Result<()>;

    /// Renames a mailbox and everything below it in one step; ids, UIDs and UIDVALIDITYs stay, missing
    /// parents of the new name are created. `NotPermitted` for INBOX (an engine moves its messages
    /// instead) and for a name below itself.
    async fn rename_mailbox(&self, op: OpId, at: MailboxRef, to: &MailboxName) -> Result<()>;

    /// Adds a name to or takes it from the subscriptions, whether a mailbox has that name or not
    /// (RFC 3501 §6.3.6: a deleted mailbox stays subscribed).
    async fn set_subscribed(
        &self,
        op: OpId,
        account: AccountId,
        name: &MailboxName,
        subscribed: Subscribed,
    ) -> Result<()>;

    /// The annotations there are. `NotFound` for a mailbox that there is not.
    async fn annotations(&self, of: Annotated) -> Result<Annotations>;

    /// Changes annotations, all or none. They go with what they are of, and stay through a renaming. `LimitReached` beyond
    /// [`MOST_ANNOTATIONS`] and [`ANNOTATION_BYTES`].
    async fn annotate(&self, op: OpId, of: Annotated, changes: &AnnotationChanges) -> Result<()>;

    /// Subscribed names, sorted.
    async fn subscriptions(&self, account: AccountId) -> Result<Vec<MailboxName>>;

    /// Claims for one session the messages that no session has been told of (`\Recent`): each UID is
    /// in the answer of at most one call ever. Needs not survive a power cut.
    async fn claim_recent(&self, at: MailboxRef) -> Result<UidSet>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Subscribed {
    Yes,
    No,
}

/// Messages of a mailbox.
#[async_trait]
pub trait Messages: Send + Sync {
    /// Appends messages in order, all or none. They get ascending UIDs and one modseq. The account's
    /// retention sets when they expire.
    async fn append(&self, op: OpId, at: MailboxRef, messages: Vec<NewMessage>) -> Result<Appended>;

    /// The UIDs there are, together with the mailbox as it was at that moment.
    async fn uids(&self, at: MailboxRef) -> Result<(Mailbox, UidSet)>;

    /// Messages of a mailbox; UIDs that do not exist are left out.
    async fn messages(&self, at: MailboxRef, query: MessageQuery) -> Result<Vec<Message>>;

    /// The bytes of a message, to be read in pieces. `NotFound(Message)` once expunged; a body that
    /// was opened stays readable for as long as a slow client needs, within reason.
    async fn body(&self, at: MailboxRef, uid: Uid) -> Result<Box<dyn BodyReader>>;

    /// As [`Messages::body`], of several messages at once, those left out that do not exist. Small content may be held
    /// in memory from here on, so whoever asks bounds the sum of the sizes.
    async fn bodies(&self, at: MailboxRef, uids: &UidSet) -> Result<BTreeMap<Uid, Box<dyn BodyReader>>> {
        let mut opened = BTreeMap::new();
        for uid in uids.iter() {
            match self.body(at, uid).await {
                Ok(body) => _ = opened.insert(uid, body),
                Err(StoreError::NotFound(Subject::Message)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(opened)
    }

    /// Changes flags of those of `uids` that exist, all in one step, and where `unchanged_since` is given
    /// only of those whose modseq is not above it (decided inside the step). A message that changes gets
    /// the step's modseq; nothing else does.
    async fn set_flags(
        &self,
        op: OpId,
        at: MailboxRef,
        uids: &UidSet,
        change: &FlagChange,
        unchanged_since: Option<u64>,
    ) -> Result<FlagsStored>;

    /// Copies those of `uids` that exist, all or none. Flags, dates and email ids go along.
    /// Source and target may be the same mailbox.
    async fn copy(&self, op: OpId, from: MailboxRef, uids: &UidSet, to: MailboxId) -> Result<Copied>;

    /// As [`Messages::copy`], and expunges the sources in the same step (RFC 6851).
    async fn move_messages(&self, op: OpId, from: MailboxRef, uids: &UidSet, to: MailboxId)
    -> Result<Copied>;

    /// Appends a message to `to` and expunges `uid`, in one step (RFC 8508 §3.4), for which the quota has to allow only
    /// what they differ by. `NotFound(Message)` when `uid` is not there; then nothing is appended.
    async fn replace(
        &self,
        op: OpId,
        from: MailboxRef,
        uid: Uid,
        to: MailboxId,
        message: NewMessage,
    ) -> Result<Replaced>;

    /// Expunges those of `uids` that exist and, for `Which::Deleted`, have `\Deleted`.
    async fn expunge(&self, op: OpId, at: MailboxRef, uids: &UidSet, which: Which) -> Result<Expunged>;
}

/// Which of the given messages an expunge takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Which {
    /// Those with `\Deleted` (EXPUNGE, UID EXPUNGE, CLOSE).
    Deleted,
    /// All (POP3, REST).
    All,
}

/// The bytes of one message.
#[async_trait]
pub trait BodyReader: Send {
    fn size(&self) -> u64;

    /// Bytes from `offset`, at most `len` and at least one unless `offset` is at or past the end or
    /// `len` is 0. May answer fewer than `len`; never more than a chunk is held in memory.
    async fn read_at(&mut self, offset: u64, len: usize) -> Result<Bytes>;
}

/// Reads exactly `range`, cut off at the end of the body. For small ranges: it is held in memory whole.
pub async fn read_range(body: &mut dyn BodyReader, range: std::ops::Range<u64>) -> Result<Bytes> {
    let end = range.end.min(body.size());
    let mut at = range.start;
    if at >= end {
        return Ok(Bytes::new());
    }
    let first = body.read_at(at, (end - at) as usize).await?;
    if first.len() as u64 == end - at {
        return Ok(first);
    }
    let mut all = Vec::with_capacity((end - at) as usize);
    at += first.len() as u64;
    all.extend_from_slice(&first);
    while at < end {
        let more = body.read_at(at, (end - at) as usize).await?;
        if more.is_empty() {
            return Err(StoreError::Corrupt("a body ends before its size".into()));
        }
        at += more.len() as u64;
        all.extend_from_slice(&more);
    }
    Ok(all.into())
}

/// What changed, and hints that something did.
#[async_trait]
pub trait Feed: Send + Sync {
    /// What happened in a mailbox after `since`: complete, or [`Changes::Resync`].
    /// `since` 0 means from the beginning.
    async fn changes_since(&self, at: MailboxRef, since: u64) -> Result<Changes>;

    /// Hints about one account from now on. Dropping the receiver ends it. A receiver that lags gets
    /// [`Hint::Resync`] instead of what it missed; the channel never grows without limit.
    fn hints(&self, account: AccountId) -> HintReceiver;
}

/// Receives hints of one account.
pub struct HintReceiver {
    inner: tokio::sync::broadcast::Receiver<Hint>,
    account: AccountId,
}

impl HintReceiver {
    pub fn new(inner: tokio::sync::broadcast::Receiver<Hint>, account: AccountId) -> Self {
        Self { inner, account }
    }

    /// The next hint about this account. Cancel safe. Pends for ever once the store is gone.
    pub async fn recv(&mut self) -> Hint {
        use tokio::sync::broadcast::error::RecvError;
        loop {
            match self.inner.recv().await {
                Ok(hint) => match hint {
                    Hint::Mailbox { account, .. } | Hint::Account { account } if account != self.account => {}
                    _ => return hint,
                },
                Err(RecvError::Lagged(_)) => return Hint::Resync,
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    /// The next hint about this account, if there is one already.
    pub fn try_recv(&mut self) -> Option<Hint> {
        use tokio::sync::broadcast::error::TryRecvError;
        loop {
            match self.inner.try_recv() {
                Ok(Hint::Mailbox { account, .. } | Hint::Account { account }) if account != self.account => {}
                Ok(hint) => return Some(hint),
                Err(TryRecvError::Lagged(_)) => return Some(Hint::Resync),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
            }
        }
    }
}

/// Expiry, clean-up, health.
#[async_trait]
pub trait Maintenance: Send + Sync {
    /// One bounded round of expiry (journaled like any expunge) and of dropping old journal rows,
    /// operation records and content nobody refers to.
    async fn sweep(&self) -> Result<Swept>;

    /// Whether the store can serve now: cheap, called every second by health checks.
    async fn ready(&self) -> Result<()>;

    /// Finishes what is in flight and releases what it holds. Mutations afterwards are `Unavailable`.
    async fn close(&self) -> Result<()>;

    /// A recount of everything that is kept as a counter, for tests and `doctor`:
    /// lines that say what does not agree, none when all is well.
    async fn audit(&self) -> Result<Vec<String>>;
}
