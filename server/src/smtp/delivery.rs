//! A transaction: who sends to whom, the content while it comes in, and its delivery into the store.

use super::{Path, Role, path};
use crate::Services;
use gadwall_storage::body::{Ingest, SpoolConfig, Staged};
use gadwall_storage::{
    Account, AccountId, Address, Delivery, Flags, MailboxRef, NewMessage, OpId, Recipient, StoreError, Uid,
};

/// RFC 5321 §6.3: more Received lines than this mean that the message goes in circles.
const HOPS: usize = 100;
/// How much of a header is searched for them, in bytes.
const HEADER_WINDOW: u64 = 256 << 10;

/// From MAIL to the end of the content.
pub struct Transaction {
    pub from: Path,
    pub recipients: Vec<(Path, Target)>,
    pub content: Option<Content>,
}

/// Where a recipient's mail goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Into the sender's own INBOX, whoever it is for.
    Sender,
    Account(Box<Account>),
}

/// The content while it comes in.
pub struct Content {
    ingest: Option<Ingest>,
    /// Set once it can't be stored; the rest is only skipped.
    failed: Option<StoreError>,
    /// Whether it comes in BDAT chunks, which DATA can't be mixed with.
    pub chunked: bool,
}

impl Content {
    /// Begins with the lines the server adds; these don't count towards the limit.
    pub fn begin(spool: &SpoolConfig, trace: &str) -> Self {
        let mut spool = spool.clone();
        spool.message_limit_bytes = spool.message_limit_bytes.saturating_add(trace.len() as u64);
        let mut content = Content { ingest: Some(Ingest::new(&spool)), failed: None, chunked: false };
        content.write(trace.as_bytes());
        content
    }

    /// Takes content; what can't be kept is remembered as a failure.
    pub fn write(&mut self, bytes: &[u8]) {
        if let Some(ingest) = &mut self.ingest
            && let Err(e) = ingest.write(bytes)
        {
            self.failed = Some(e);
            self.ingest = None;
        }
    }

    pub fn failure(&self) -> Option<&StoreError> {
        self.failed.as_ref()
    }

    fn finish(self) -> Result<Staged, StoreError> {
        match (self.ingest, self.failed) {
            (Some(ingest), None) => ingest.finish(),
            (_, Some(e)) => Err(e),
            (None, None) => Err(StoreError::unavailable("the message was lost while it came in")),
        }
    }
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    Store(StoreError),
    /// RFC 5321 §6.3.
    Loop,
}

impl From<StoreError> for Refusal {
    fn from(e: StoreError) -> Self {
        Refusal::Store(e)
    }
}

/// A message in a mailbox.
pub struct Kept {
    pub at: MailboxRef,
    pub uid: Uid,
}

/// The content, whole and fit to be delivered by this door.
pub fn finish(content: Content, role: &Role) -> Result<Staged, Refusal> {
    let staged = content.finish()?;
    if !matches!(role, Role::Submission { .. }) {
        let header = staged.structure().root.header.clone();
        let window = staged.read(0, header.end.min(HEADER_WINDOW) as usize)?;
        let hops = gadwall_storage::mime::fields(&window)
            .filter(|field| field.name.eq_ignore_ascii_case(b"Received"))
            .count();
        if hops > HOPS {
            return Err(Refusal::Loop);
        }
    }
    Ok(staged)
}

/// Puts one copy into the INBOX of `account`.
pub async fn keep(
    services: &Services,
    op: OpId,
    account: AccountId,
    staged: Staged,
    delivery: Delivery,
) -> Result<Kept, StoreError> {
    let at = MailboxRef { account, mailbox: services.store.inbox(account).await? };
    let message = NewMessage {
        body: staged,
        flags: Flags::new(),
        internal_date: Some(delivery.received_at),
        delivery: Some(delivery),
        made_from: None,
    };
    let appended = services.store.append(op, at, vec![message]).await?;
    let uid = appended.uids.first().copied();
    Ok(Kept { at, uid: uid.ok_or_else(|| StoreError::Corrupt("an append without a UID".into()))? })
}

/// The account an address belongs to, with or without `+detail`.
pub async fn owner(services: &Services, address: &str) -> Result<Option<Account>, StoreError> {
    // RFC 5321 §4.5.1: the postmaster without a domain is this server's.
    let address = match address {
        name if name.eq_ignore_ascii_case("postmaster") => format!("{name}@{}", services.hostname),
        address => path::unquoted(address),
    };
    let Ok(address) = Address::parse(&address) else { return Ok(None) };
    for address in [Some(address.clone()), address.without_detail()].into_iter().flatten() {
        match services.store.account_by_address(&address).await {
            Ok(account) => return Ok(Some(account)),
            Err(StoreError::NotFound(_)) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(None)
}

/// Recipients as they are shown.
pub fn shown(recipients: &[&Path]) -> Vec<Recipient> {
    recipients
        .iter()
        .map(|path| Recipient { address: path.address.clone(), params: path.params.clone() })
        .collect()
}
