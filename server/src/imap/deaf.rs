//! A memory store all of whose hints get lost.

use async_trait::async_trait;
use gadwall_storage::*;
use std::sync::Arc;

pub struct DeafStore(pub Arc<dyn MailStore>);

#[async_trait]
impl Messages for DeafStore {
    async fn append(&self, op: OpId, at: MailboxRef, messages: Vec<NewMessage>) -> Result<Appended> {
        self.0.append(op, at, messages).await
    }
    async fn uids(&self, at: MailboxRef) -> Result<(Mailbox, UidSet)> {
        self.0.uids(at).await
    }
    async fn messages(&self, at: MailboxRef, query: MessageQuery) -> Result<Vec<Message>> {
        self.0.messages(at, query).await
    }
    async fn body(&self, at: MailboxRef, uid: Uid) -> Result<Box<dyn BodyReader>> {
        self.0.body(at, uid).await
    }
    async fn set_flags(
        &self,
        op: OpId,
        at: MailboxRef,
        uids: &UidSet,
        change: &FlagChange,
        unchanged_since: Option<u64>,
    ) -> Result<FlagsStored> {
        self.0.set_flags(op, at, uids, change, unchanged_since).await
    }
    async fn copy(&self, op: OpId, from: MailboxRef, uids: &UidSet, to: MailboxId) -> Result<Copied> {
        self.0.copy(op, from, uids, to).await
    }
    async fn move_messages(
        &self,
        op: OpId,
        from: MailboxRef,
        uids: &UidSet,
        to: MailboxId,
    ) -> Result<Copied> {
        self.0.move_messages(op, from, uids, to).await
    }
    async fn expunge(&self, op: OpId, at: MailboxRef, uids: &UidSet, which: Which) -> Result<Expunged> {
        self.0.expunge(op, at, uids, which).await
    }
}

#[async_trait]
impl Directory for DeafStore {
    async fn create_account(&self, op: OpId, new: NewAccount) -> Result<Account> {
        self.0.create_account(op, new).await
    }
    async fn account(&self, id: AccountId) -> Result<Account> {
        self.0.account(id).await
    }
    async fn account_by_address(&self, address: &Address) -> Result<Account> {
        self.0.account_by_address(address).await
    }
    async fn update_account(&self, op: OpId, id: AccountId, update: AccountUpdate) -> Result<Account> {
        self.0.update_account(op, id, update).await
    }
    async fn delete_account(&self, op: OpId, id: AccountId) -> Result<()> {
        self.0.delete_account(op, id).await
    }
    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>> {
        self.0.accounts(after, limit).await
    }
    async fn add_address(&self, op: OpId, id: AccountId, address: &Address) -> Result<()> {
        self.0.add_address(op, id, address).await
    }
    async fn remove_address(&self, op: OpId, id: AccountId, address: &Address) -> Result<()> {
        self.0.remove_address(op, id, address).await
    }
    async fn addresses(&self, id: AccountId) -> Result<Vec<Address>> {
        self.0.addresses(id).await
    }
    async fn secret(&self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32]> {
        self.0.secret(name, candidate).await
    }
    async fn stats(&self) -> Result<StoreStats> {
        self.0.stats().await
    }
    async fn daily_stats(&self, days: u32) -> Result<Vec<DayStats>> {
        self.0.daily_stats(days).await
    }
}

#[async_trait]
impl Mailboxes for DeafStore {
    async fn mailboxes(&self, account: AccountId) -> Result<Vec<Mailbox>> {
        self.0.mailboxes(account).await
    }
    async fn mailbox(&self, at: MailboxRef) -> Result<Mailbox> {
        self.0.mailbox(at).await
    }
    async fn mailbox_by_name(&self, account: AccountId, name: &MailboxName) -> Result<Mailbox> {
        self.0.mailbox_by_name(account, name).await
    }
    async fn create_mailbox(
        &self,
        op: OpId,
        account: AccountId,
        name: &MailboxName,
        special_use: Option<SpecialUse>,
    ) -> Result<Mailbox> {
        self.0.create_mailbox(op, account, name, special_use).await
    }
    async fn delete_mailbox(&self, op: OpId, at: MailboxRef) -> Result<()> {
        self.0.delete_mailbox(op, at).await
    }
    async fn rename_mailbox(&self, op: OpId, at: MailboxRef, to: &MailboxName) -> Result<()> {
        self.0.rename_mailbox(op, at, to).await
    }
    async fn set_subscribed(
        &self,
        op: OpId,
        account: AccountId,
        name: &MailboxName,
        subscribed: Subscribed,
    ) -> Result<()> {
        self.0.set_subscribed(op, account, name, subscribed).await
    }
    async fn subscriptions(&self, account: AccountId) -> Result<Vec<MailboxName>> {
        self.0.subscriptions(account).await
    }
    async fn claim_recent(&self, at: MailboxRef) -> Result<UidSet> {
        self.0.claim_recent(at).await
    }
}

#[async_trait]
impl Feed for DeafStore {
    async fn changes_since(&self, at: MailboxRef, since: u64) -> Result<Changes> {
        self.0.changes_since(at, since).await
    }
    fn hints(&self, account: AccountId) -> HintReceiver {
        // Those of an account that does not exist: none ever comes.
        let _ = account;
        self.0.hints(AccountId([0; 12]))
    }
}

#[async_trait]
impl Maintenance for DeafStore {
    async fn sweep(&self) -> Result<Swept> {
        self.0.sweep().await
    }
    async fn ready(&self) -> Result<()> {
        self.0.ready().await
    }
    async fn close(&self) -> Result<()> {
        self.0.close().await
    }
    async fn audit(&self) -> Result<Vec<String>> {
        self.0.audit().await
    }
}
