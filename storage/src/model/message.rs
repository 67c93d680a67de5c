//! Messages.

use crate::body::Staged;
use crate::mime::Structure;
use crate::{EmailId, Flags, ModSeq, Timestamp, Uid, UidSet};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A message as listed: everything but its bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub uid: Uid,
    pub modseq: ModSeq,
    pub flags: Flags,
    /// RFC 3501 §2.3.3. Kept to the second.
    pub internal_date: Timestamp,
    /// When it came into this mailbox (RFC 8514).
    pub saved_at: Timestamp,
    /// When it goes; `None` with the account.
    pub expires_at: Option<Timestamp>,
    /// Size as it comes back, in bytes.
    pub size: u64,
    pub email_id: EmailId,
    /// The parsed form; present when [`MessageQuery::details`] asked for it.
    pub structure: Option<Arc<Structure>>,
    /// How it was submitted; present when `details` asked for it and it came by SMTP, LMTP or HTTP.
    pub delivery: Option<Arc<Delivery>>,
}

/// A message to be appended.
#[derive(Debug)]
pub struct NewMessage {
    /// The bytes, received and scanned.
    pub body: Staged,
    pub flags: Flags,
    /// `None`: now.
    pub internal_date: Option<Timestamp>,
    pub delivery: Option<Delivery>,
    /// A digest of what makes a repetition of the operation the same one, where that is not the message as it stands here:
    /// one that is built or received anew has another date.
    pub made_from: Option<[u8; 32]>,
}

/// What is known of a delivery apart from the message: shown on its page, never in its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Delivery {
    /// `smtp`, `lmtp`, `mx`, `http`: the door it came through.
    pub via: String,
    /// MAIL FROM; empty for the null reverse-path.
    pub mail_from: String,
    pub recipients: Vec<Recipient>,
    /// ESMTP parameters of MAIL FROM as received (`BODY=8BITMIME`, `RET=HDRS`, `ENVID=...`).
    pub mail_params: Vec<String>,
    pub client_address: String,
    /// The name given in EHLO, HELO or LHLO.
    pub helo: String,
    /// Protocol version and cipher suite, when the connection was encrypted.
    pub tls: Option<String>,
    /// The login name, when there was one.
    pub authenticated_as: Option<String>,
    pub received_at: Timestamp,
}

/// One RCPT TO.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Recipient {
    pub address: String,
    /// ESMTP parameters as received (`NOTIFY=...`, `ORCPT=...`).
    pub params: Vec<String>,
}

/// Which messages to list, and how much of each.
#[derive(Debug, Clone)]
pub struct MessageQuery {
    pub uids: UidSet,
    pub order: Order,
    /// At most this many; page on with the UIDs beyond the last one.
    pub limit: usize,
    pub details: Details,
}

impl MessageQuery {
    /// All of `uids`, ascending, without details.
    pub fn of(uids: UidSet) -> Self {
        Self { uids, order: Order::Ascending, limit: usize::MAX, details: Details::No }
    }

    pub fn with_details(mut self) -> Self {
        self.details = Details::Yes;
        self
    }

    pub fn newest_first(mut self) -> Self {
        self.order = Order::Descending;
        self
    }

    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }
}

/// By UID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

/// Whether [`Message::structure`] and [`Message::delivery`] are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Details {
    No,
    Yes,
}
