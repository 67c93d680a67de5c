//! A store whose appends, expunges, lists and bodies can be made to wait or to fail, and whose hints can get lost.

use async_trait::async_trait;
use bytes::Bytes;
use gadwall_storage::*;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

pub struct TrickyStore {
    pub inner: Arc<dyn MailStore>,
    /// What the next expunges answer without doing anything, the last one first.
    pub expunge_errors: Mutex<Vec<StoreError>>,
    /// What every append answers without doing anything, once set.
    pub append_error: Mutex<Option<StoreError>>,
    /// Operation ids of expunges that were asked for.
    pub expunges: Mutex<Vec<OpId>>,
    /// Expunges that have begun.
    pub begun: Semaphore,
    /// Expunges that may go on.
    pub permits: Semaphore,
    /// Reading a body at or behind this offset fails.
    pub readable: AtomicU64,
    /// No message is found.
    pub empty: AtomicBool,
    /// No mailbox is found by its id.
    pub no_mailbox: AtomicBool,
    /// Messages that go just before changes are asked for next.
    pub goes_before_changes: Mutex<Option<UidSet>>,
    /// What is appended just after changes were asked for next.
    pub comes_after_changes: Mutex<Option<NewMessage>>,
    /// Hints get lost.
    pub deaf: AtomicBool,
}

impl TrickyStore {
    pub fn new(inner: Arc<dyn MailStore>) -> Self {
        Self {
            inner,
            expunge_errors: Mutex::default(),
            append_error: Mutex::default(),
            expunges: Mutex::default(),
            begun: Semaphore::new(0),
            permits: Semaphore::new(1000),
            readable: AtomicU64::new(u64::MAX),
            empty: AtomicBool::new(false),
            no_mailbox: AtomicBool::new(false),
            goes_before_changes: Mutex::default(),
            comes_after_changes: Mutex::default(),
            deaf: AtomicBool::new(false),
        }
    }
}

struct TrickyBody {
    inner: Box<dyn BodyReader>,
    readable: u64,
}

#[async_trait]
impl BodyReader for TrickyBody {
    fn size(&self) -> u64 {
        self.inner.size()
    }
    async fn read_at(&mut self, offset: u64, len: usize) -> Result<Bytes> {
        if offset >= self.readable {
            return Err(StoreError::unavailable("the network is down"));
        }
        self.inner.read_at(offset, len).await
    }
}

#[async_trait]
impl Messages for TrickyStore {
    async fn append(&self, op: OpId, at: MailboxRef, messages: Vec<NewMessage>) -> Result<Appended> {
        let error = self.append_error.lock().unwrap().clone();
        match error {
            Some(e) => Err(e),
            None => self.inner.append(op, at, messages).await,
        }
    }
    async fn uids(&self, at: MailboxRef) -> Result<(Mailbox, UidSet)> {
        self.inner.uids(at).await
    }
    async fn messages(&self, at: MailboxRef, query: MessageQuery) -> Result<Vec<Message>> {
        match self.empty.load(SeqCst) {
            true => Ok(Vec::new()),
            false => self.inner.messages(at, query).await,
        }
    }
    async fn body(&self, at: MailboxRef, uid: Uid) -> Result<Box<dyn BodyReader>> {
        let inner = self.inner.body(at, uid).await?;
        Ok(Box::new(TrickyBody { inner, readable: self.readable.load(SeqCst) }))
    }
    async fn set_flags(
        &self,
        op: OpId,
        at: MailboxRef,
        uids: &UidSet,
        change: &FlagChange,
        unchanged_since: Option<u64>,
    ) -> Result<FlagsStored> {
        self.inner.set_flags(op, at, uids, change, unchanged_since).await
    }
    async fn copy(&self, op: OpId, from: MailboxRef, uids: &UidSet, to: MailboxId) -> Result<Copied> {
        self.inner.copy(op, from, uids, to).await
    }
    async fn move_messages(
        &self,
        op: OpId,
        from: MailboxRef,
        uids: &UidSet,
        to: MailboxId,
    ) -> Result<Copied> {
        self.inner.move_messages(op, from, uids, to).await
    }
    async fn replace(
        &self,
        op: OpId,
        from: MailboxRef,
        uid: Uid,
        to: MailboxId,
        message: NewMessage,
    ) -> Result<Replaced> {
        self.inner.replace(op, from, uid, to, message).await
    }
    async fn expunge(&self, op: OpId, at: MailboxRef, uids: &UidSet, which: Which) -> Result<Expunged> {
        self.expunges.lock().unwrap().push(op);
        self.begun.add_permits(1);
        self.permits.acquire().await.unwrap().forget();
        let error = self.expunge_errors.lock().unwrap().pop();
        match error {
            Some(e) => Err(e),
            None => self.inner.expunge(op, at, uids, which).await,
        }
    }
}

#[async_trait]
impl Directory for TrickyStore {
    async fn create_account(&self, op: OpId, new: NewAccount) -> Result<Account> {
        self.inner.create_account(op, new).await
    }
    async fn account(&self, id: AccountId) -> Result<Account> {
        self.inner.account(id).await
    }
    async fn account_by_address(&self, address: &Address) -> Result<Account> {
        self.inner.account_by_address(address).await
    }
    async fn update_account(&self, op: OpId, id: AccountId, update: AccountUpdate) -> Result<Account> {
        self.inner.update_account(op, id, update).await
    }
    async fn delete_account(&self, op: OpId, id: AccountId) -> Result<()> {
        self.inner.delete_account(op, id).await
    }
    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>> {
        self.inner.accounts(after, limit).await
    }
    async fn add_address(&self, op: OpId, id: AccountId, address: &Address) -> Result<()> {
        self.inner.add_address(op, id, address).await
    }
    async fn remove_address(&self, op: OpId, id: AccountId, address: &Address) -> Result<()> {
        self.inner.remove_address(op, id, address).await
    }
    async fn addresses(&self, id: AccountId) -> Result<Vec<Address>> {
        self.inner.addresses(id).await
    }
    async fn secret(&self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32]> {
        self.inner.secret(name, candidate).await
    }
    async fn stats(&self) -> Result<StoreStats> {
        self.inner.stats().await
    }
    async fn daily_stats(&self, days: u32) -> Result<Vec<DayStats>> {
        self.inner.daily_stats(days).await
    }
}

#[async_trait]
impl Mailboxes for TrickyStore {
    async fn mailboxes(&self, account: AccountId) -> Result<Vec<Mailbox>> {
        self.inner.mailboxes(account).await
    }
    async fn mailbox(&self, at: MailboxRef) -> Result<Mailbox> {
        match self.no_mailbox.load(SeqCst) {
            true => Err(StoreError::NotFound(Subject::Mailbox)),
            false => self.inner.mailbox(at).await,
        }
    }
    async fn mailbox_by_name(&self, account: AccountId, name: &MailboxName) -> Result<Mailbox> {
        self.inner.mailbox_by_name(account, name).await
    }
    async fn create_mailbox(
        &self,
        op: OpId,
        account: AccountId,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<Mailbox> {
        self.inner.create_mailbox(op, account, name, special_use).await
    }
    async fn delete_mailbox(&self, op: OpId, at: MailboxRef) -> Result<()> {
        self.inner.delete_mailbox(op, at).await
    }
    async fn rename_mailbox(&self, op: OpId, at: MailboxRef, to: &MailboxName) -> Result<()> {
        self.inner.rename_mailbox(op, at, to).await
    }
    async fn set_subscribed(
        &self,
        op: OpId,
        account: AccountId,
        name: &MailboxName,
        subscribed: Subscribed,
    ) -> Result<()> {
        self.inner.set_subscribed(op, account, name, subscribed).await
    }
    async fn annotations(&self, of: Annotated) -> Result<Annotations> {
        self.inner.annotations(of).await
    }
    async fn annotate(&self, op: OpId, of: Annotated, changes: &AnnotationChanges) -> Result<()> {
        self.inner.annotate(op, of, changes).await
    }
    async fn subscriptions(&self, account: AccountId) -> Result<Vec<MailboxName>> {
        self.inner.subscriptions(account).await
    }
    async fn claim_recent(&self, at: MailboxRef) -> Result<UidSet> {
        self.inner.claim_recent(at).await
    }
}

#[async_trait]
impl Feed for TrickyStore {
    async fn changes_since(&self, at: MailboxRef, since: u64) -> Result<Changes> {
        let goes = self.goes_before_changes.lock().unwrap().take();
        if let Some(uids) = goes {
            self.inner.expunge(OpId([255; 16]), at, &uids, Which::All).await?;
        }
        let changes = self.inner.changes_since(at, since).await;
        let comes = self.comes_after_changes.lock().unwrap().take();
        if let Some(message) = comes {
            self.inner.append(OpId([254; 16]), at, vec![message]).await?;
        }
        changes
    }
    fn hints(&self, account: AccountId) -> HintReceiver {
        // None ever comes of an account that does not exist.
        let account = if self.deaf.load(SeqCst) { AccountId([0; 12]) } else { account };
        self.inner.hints(account)
    }
}

#[async_trait]
impl Maintenance for TrickyStore {
    async fn sweep(&self) -> Result<Swept> {
        self.inner.sweep().await
    }
    async fn ready(&self) -> Result<()> {
        self.inner.ready().await
    }
    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
    async fn audit(&self) -> Result<Vec<String>> {
        self.inner.audit().await
    }
}
