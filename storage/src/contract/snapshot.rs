//! Everything a reader can see of an account, as one value to compare.

use crate::*;
use std::collections::BTreeMap;

/// An account as every read of the store shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountSnapshot {
    pub account: Account,
    pub addresses: Vec<Address>,
    pub subscriptions: Vec<MailboxName>,
    pub annotations: Annotations,
    pub mailboxes: Vec<MailboxSnapshot>,
}

/// A mailbox as every read of the store shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct MailboxSnapshot {
    pub mailbox: Mailbox,
    pub annotations: Annotations,
    pub uids: UidSet,
    /// With details.
    pub messages: Vec<Message>,
    /// BLAKE3 digests of the bytes.
    pub bodies: BTreeMap<Uid, [u8; 32]>,
    /// Since the beginning.
    pub changes: Changes,
}

impl AccountSnapshot {
    pub async fn take(store: &dyn MailStore, id: AccountId) -> Result<Self> {
        let account = store.account(id).await?;
        let addresses = store.addresses(id).await?;
        let subscriptions = store.subscriptions(id).await?;
        let annotations = store.annotations(Annotated::Account(id)).await?;
        let mut mailboxes = Vec::new();
        for mailbox in store.mailboxes(id).await? {
            mailboxes
                .push(MailboxSnapshot::take(store, MailboxRef { account: id, mailbox: mailbox.id }).await?);
        }
        Ok(Self { account, addresses, subscriptions, annotations, mailboxes })
    }
}

impl MailboxSnapshot {
    pub async fn take(store: &dyn MailStore, at: MailboxRef) -> Result<Self> {
        let (mailbox, uids) = store.uids(at).await?;
        let messages = store.messages(at, MessageQuery::of(UidSet::all()).with_details()).await?;
        let mut bodies = BTreeMap::new();
        for uid in uids.iter() {
            bodies.insert(uid, digest(&mut *store.body(at, uid).await?).await?);
        }
        let changes = store.changes_since(at, 0).await?;
        let annotations = store.annotations(Annotated::Mailbox(at)).await?;
        Ok(Self { mailbox, annotations, uids, messages, bodies, changes })
    }
}

async fn digest(body: &mut dyn BodyReader) -> Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    while at < body.size() {
        let piece = body.read_at(at, 1 << 20).await?;
        if piece.is_empty() {
            return Err(StoreError::Corrupt("a body ends before its size".into()));
        }
        at += piece.len() as u64;
        hasher.update(&piece);
    }
    Ok(hasher.finalize().into())
}
