//! Which account an address leads to, and which mailbox is its INBOX, remembered between calls.
//!
//! Nothing here is believed. An account's own document is read in any case, since it changes, and shows whether what was
//! remembered of an address still holds; INBOX can't become another mailbox, and whoever uses it finds out whether the
//! account is still there. So a memory that is late, or that another node has overtaken, costs a read and nothing else.
//! docs/adr/0006 has the reasoning.

use super::fail::Step;
use super::keys;
use super::records::AccountRecord;
use super::schema::ACCOUNTS;
use super::store::{MongoStore, Shared, trying};
use super::view::expired;
use crate::records::{decode, encode};
use crate::*;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long it is remembered. Only bounds the room it takes.
const KEEP: Duration = Duration::from_secs(3600);

/// Who had an address when it was looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    account: AccountId,
    /// The account's at that time: it goes up whenever an address comes to the account or goes.
    revision: u64,
}

impl Owner {
    pub fn of(record: &AccountRecord) -> Self {
        Owner { account: record.account.id, revision: record.revision }
    }

    /// Whether the address is the account's at the time of `record`. The primary address stays for as long as there is
    /// the account; of another, only a revision that is still the same says that it has not gone.
    fn holds(self, record: &AccountRecord, address: &Address) -> bool {
        record.account.address == *address || record.revision == self.revision
    }
}

impl MongoStore {
    /// The account of an address that was looked up before; `None` when it has to be looked up again.
    pub(super) async fn remembered(&self, address: &Address) -> Result<Option<Account>> {
        let shared = &self.shared;
        let Some(owner) = shared.recall::<Owner>(&address_key(address)).await else { return Ok(None) };
        let now = shared.clock.now();
        let record = trying!(shared, latest_account(shared, owner.account).await)?;
        match record.filter(|record| owner.holds(record, address)) {
            Some(record) if expired(&record.account, now) => Err(StoreError::NotFound(Subject::Address)),
            Some(record) => Ok(Some(record.account)),
            None => {
                shared.forget(&address_key(address)).await;
                Ok(None)
            }
        }
    }

    pub(super) async fn remember(&self, address: &Address, owner: &AccountRecord) {
        self.shared.keep(&address_key(address), &Owner::of(owner)).await;
    }

    /// As [`Mailboxes::inbox`].
    pub(super) async fn remembered_inbox(&self, account: AccountId) -> Result<MailboxId> {
        let key = format!("inbox:{account}");
        if let Some(inbox) = self.shared.recall(&key).await {
            return Ok(inbox);
        }
        let inbox = self.mailbox_by_name(account, &MailboxName::inbox()).await?.id;
        self.shared.keep(&key, &inbox).await;
        Ok(inbox)
    }
}

/// An account as it is now, expired or not.
pub async fn latest_account(shared: &Shared, id: AccountId) -> Step<Option<AccountRecord>> {
    let found = shared.db.latest(ACCOUNTS, keys::account(id), None).await?;
    found.as_ref().map(AccountRecord::from_document).transpose()
}

fn address_key(address: &Address) -> String {
    format!("address:{address}")
}

impl Shared {
    async fn recall<T: for<'de> Deserialize<'de>>(&self, key: &str) -> Option<T> {
        let value = self.lookups.as_ref()?.get(key).await?;
        // Another version of this program may have put it.
        decode(&value).ok()
    }

    async fn keep(&self, key: &str, value: &impl Serialize) {
        if let Some(lookups) = &self.lookups
            && let Ok(value) = encode(value)
        {
            lookups.put(key, value, KEEP).await;
        }
    }

    async fn forget(&self, key: &str) {
        if let Some(lookups) = &self.lookups {
            lookups.forget(key).await;
        }
    }
}
