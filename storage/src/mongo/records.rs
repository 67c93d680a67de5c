//! Documents and the values they stand for. Field names are the schema: docs/adr/0004.

use super::doc::{Fields, bin, int, time};
use super::fail::Step;
use super::keys;
use crate::body::Manifest;
use crate::mime::Structure;
use crate::records::{JournalRecord, MailboxRecord, RowRecord, decode, encode};
use crate::*;
use mongodb::bson::{Bson, Document, doc};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

/// An account with what is counted about it.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountRecord {
    pub account: Account,
    pub mailboxes: u64,
    pub addresses: u64,
    pub subscriptions: u64,
    /// The last UIDVALIDITY given out in this account.
    pub uidvalidity: u32,
    /// Goes up whenever the account or its list of mailboxes changes: what a node that gets no hints compares.
    pub revision: u64,
}

impl AccountRecord {
    /// Fields that not every account has.
    pub const OPTIONAL: [&'static str; 2] = ["expires", "retention"];

    pub fn to_document(&self) -> Step<Document> {
        let a = &self.account;
        let mut out = doc! {
            "_id": keys::account(a.id),
            "address": a.address.as_str(),
            "name": &a.name,
            "credentials": bin(encode(&a.credentials)?),
            "quota": int(a.quota_bytes),
            "used": int(a.used_bytes),
            "created": time(a.created_at),
            "mailboxes": int(self.mailboxes),
            "addresses": int(self.addresses),
            "subscriptions": int(self.subscriptions),
            "uidvalidity": int(u64::from(self.uidvalidity)),
            "revision": int(self.revision),
        };
        if let Some(at) = a.expires_at {
            out.insert("expires", time(at));
        }
        if let Some(secs) = a.retention_secs {
            out.insert("retention", int(secs));
        }
        Ok(out)
    }

    pub fn from_document(from: &Document) -> Step<Self> {
        let address = Address::parse(from.text("address")?);
        let account = Account {
            id: AccountId(from.fixed("_id")?),
            address: address.map_err(|e| StoreError::Corrupt(format!("a stored address: {e}")))?,
            name: from.text("name")?.to_owned(),
            credentials: decode(from.bytes("credentials")?)?,
            quota_bytes: from.count("quota")?,
            used_bytes: from.count("used")?,
            created_at: from.when("created")?,
            expires_at: from.when_or_never("expires")?,
            retention_secs: if from.contains_key("retention") {
                Some(from.count("retention")?)
            } else {
                None
            },
        };
        Ok(AccountRecord {
            account,
            mailboxes: from.count("mailboxes")?,
            addresses: from.count("addresses")?,
            subscriptions: from.count("subscriptions")?,
            uidvalidity: from.count("uidvalidity")? as u32,
            revision: from.count("revision")?,
        })
    }
}

pub fn mailbox_document(id: MailboxId, m: &MailboxRecord) -> Step<Document> {
    let mut out = doc! {
        "_id": keys::mailbox(id),
        "account": keys::account(m.account),
        "name": m.name.as_str(),
        "uidvalidity": int(u64::from(m.uidvalidity.0.get())),
        // 0: all are used up.
        "uidnext": int(m.uidnext.map_or(0, |uid| u64::from(uid.get()))),
        "modseq": int(m.modseq.get()),
        "messages": int(m.messages),
        "unseen": int(m.unseen),
        "deleted": int(m.deleted),
        "bytes": int(m.bytes),
        "recent_from": int(u64::from(m.recent_from)),
        "recent": int(m.recent),
        "keywords": m.keywords.iter().map(|k| k.as_str()).collect::<Vec<_>>(),
        "trimmed_through": int(m.trimmed_through),
    };
    if let Some(special_use) = m.special_use {
        out.insert("use", bin(encode(&special_use)?));
    }
    Ok(out)
}

pub fn mailbox_of(from: &Document) -> Step<(MailboxId, MailboxRecord)> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("a mailbox's {what}"));
    let uidvalidity = NonZeroU32::new(from.count("uidvalidity")? as u32);
    let record = MailboxRecord {
        account: AccountId(from.fixed("account")?),
        name: stored_name(from.text("name")?)?,
        special_use: if from.contains_key("use") { Some(decode(from.bytes("use")?)?) } else { None },
        uidvalidity: UidValidity(uidvalidity.ok_or_else(|| corrupt("UIDVALIDITY"))?),
        uidnext: Uid::new(from.count("uidnext")? as u32),
        modseq: ModSeq::new(from.count("modseq")?).ok_or_else(|| corrupt("modseq"))?,
        messages: from.count("messages")?,
        unseen: from.count("unseen")?,
        deleted: from.count("deleted")?,
        bytes: from.count("bytes")?,
        recent_from: from.count("recent_from")? as u32,
        recent: from.count("recent")?,
        keywords: keywords(from).collect(),
        trimmed_through: from.count("trimmed_through")?,
    };
    Ok((MailboxId(from.fixed("_id")?), record))
}

pub fn stored_name(text: &str) -> Step<MailboxName> {
    Ok(MailboxName::parse(text).map_err(|e| StoreError::Corrupt(format!("a stored mailbox name: {e}")))?)
}

fn keywords(from: &Document) -> impl Iterator<Item = Keyword> + '_ {
    let all = from.get_array("keywords").map(Vec::as_slice).unwrap_or_default();
    all.iter().filter_map(Bson::as_str).filter_map(Keyword::new)
}

/// The fields of a message that a change of its flags touches.
pub fn flag_fields(modseq: ModSeq, flags: &Flags) -> Document {
    let bits = flags.system().fold(0, |bits, flag| bits | i32::from(flag as u8));
    let keywords: Vec<&str> = flags.keywords().iter().map(Keyword::as_str).collect();
    doc! { "modseq": int(modseq.get()), "flags": bits, "keywords": keywords }
}

pub fn row_document(mailbox: MailboxId, uid: Uid, row: &RowRecord) -> Document {
    let mut out = doc! {
        "_id": keys::row(mailbox, uid.get()),
        "date": time(row.internal_date),
        "saved": time(row.saved_at),
        "size": int(row.size),
        "content": bin(row.email_id.0),
    };
    out.extend(flag_fields(row.modseq, &row.flags));
    if let Some(at) = row.expires_at {
        out.insert("expires", time(at));
    }
    out
}

pub fn row_of(from: &Document) -> Step<(Uid, RowRecord)> {
    let (_, uid) = keys::row_of(from)?;
    let bits = from.count("flags")? as u8;
    let mut flags = Flags::new();
    SystemFlag::ALL.into_iter().filter(|flag| bits & *flag as u8 != 0).for_each(|flag| flags.insert(flag));
    keywords(from).for_each(|keyword| flags.insert_keyword(keyword));
    let modseq = ModSeq::new(from.count("modseq")?);
    let record = RowRecord {
        modseq: modseq.ok_or_else(|| StoreError::Corrupt("a message's modseq".into()))?,
        flags,
        internal_date: from.when("date")?,
        saved_at: from.when("saved")?,
        expires_at: from.when_or_never("expires")?,
        size: from.count("size")?,
        email_id: EmailId(from.fixed("content")?),
    };
    Ok((uid, record))
}

pub fn journal_document(mailbox: MailboxId, modseq: ModSeq, row: &JournalRecord) -> Step<Document> {
    Ok(doc! {
        "_id": keys::change(mailbox, modseq.get()),
        "at": time(row.at),
        "changed": bin(encode(&row.changed)?),
        "vanished": bin(encode(&row.vanished)?),
    })
}

pub fn journal_of(from: &Document) -> Step<JournalRecord> {
    Ok(JournalRecord {
        at: from.when("at")?,
        changed: decode(from.bytes("changed")?)?,
        vanished: decode(from.bytes("vanished")?)?,
    })
}

/// What the copies of a message share, as it is listed.
#[derive(Debug, Clone, PartialEq)]
pub struct ContentRecord {
    pub structure: Arc<Structure>,
    pub delivery: Option<Arc<Delivery>>,
}

/// What a message's bytes are made of.
#[derive(Debug, Clone, PartialEq)]
pub struct BodyRecord {
    pub manifest: Manifest,
    /// Chunks of content so small that it stands here.
    pub inline: Inline,
}

pub type Inline = BTreeMap<BlobId, Vec<Vec<u8>>>;

/// Longest piece of a content record, well below the 16 MB of a document.
const PIECE: usize = 4 << 20;

/// The documents of a content. The first has what its bytes are made of, and names the blobs it refers to.
pub fn content_documents(id: EmailId, record: &ContentRecord, body: &BodyRecord) -> Step<Vec<Document>> {
    let bytes = encode(&(&*record.structure, record.delivery.as_deref()))?;
    let pieces = bytes.chunks(PIECE);
    let count = int(pieces.len() as u64);
    let mut documents: Vec<Document> = (0..)
        .zip(pieces)
        .map(|(index, piece)| doc! { "_id": keys::content(id, index), "value": bin(piece) })
        .collect();
    if let Some(first) = documents.first_mut() {
        first.insert("pieces", count);
        first.insert("manifest", bin(encode(&body.manifest)?));
        if !body.inline.is_empty() {
            first.insert("inline", bin(encode(&body.inline)?));
        }
        let blobs: Vec<Bson> = body.blobs().map(|blob| keys::blob(&blob)).collect();
        if !blobs.is_empty() {
            first.insert("blobs", blobs);
        }
    }
    Ok(documents)
}

/// The content record that the documents hold, in order.
pub fn content_of(documents: &[Document]) -> Step<ContentRecord> {
    let missing = || StoreError::Corrupt("a piece of a message's content is missing".into());
    let first = documents.first().ok_or_else(missing)?;
    if documents.len() as u64 != first.count("pieces")? {
        return Err(missing().into());
    }
    let pieces = documents.iter().map(|piece| piece.bytes("value")).collect::<Step<Vec<_>>>()?;
    let (structure, delivery): (Structure, Option<Delivery>) = decode(&pieces.concat())?;
    Ok(ContentRecord { structure: Arc::new(structure), delivery: delivery.map(Arc::new) })
}

impl BodyRecord {
    /// What has to be read for it.
    pub fn fields() -> Document {
        doc! { "manifest": 1, "inline": 1 }
    }

    pub fn from_document(first: &Document) -> Step<Self> {
        let inline =
            if first.contains_key("inline") { decode(first.bytes("inline")?)? } else { Inline::new() };
        Ok(BodyRecord { manifest: decode(first.bytes("manifest")?)?, inline })
    }

    /// The blobs that are stored apart.
    pub fn blobs(&self) -> impl Iterator<Item = BlobId> + '_ {
        let blobs = self.manifest.blobs().into_iter().map(|(blob, _)| blob);
        blobs.filter(|blob| !self.inline.contains_key(blob))
    }
}

/// What one transaction adds to the counters of the whole store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delta {
    pub accounts: i64,
    pub messages: i64,
    pub bytes: i64,
    pub appended: i64,
    /// Days since 1970-01-01, and what was made on that day.
    pub day: u32,
    pub accounts_made: i64,
    pub messages_taken: i64,
}

impl Delta {
    pub fn to_document(self, id: Bson) -> Document {
        doc! {
            "_id": id, "accounts": self.accounts, "messages": self.messages, "bytes": self.bytes,
            "appended": self.appended, "day": i64::from(self.day), "accounts_made": self.accounts_made,
            "messages_taken": self.messages_taken,
        }
    }

    pub fn from_document(from: &Document) -> Step<Self> {
        let signed = |field: &str| -> Step<i64> { Ok(from.count(field)? as i64) };
        Ok(Delta {
            accounts: signed("accounts")?,
            messages: signed("messages")?,
            bytes: signed("bytes")?,
            appended: signed("appended")?,
            day: signed("day")? as u32,
            accounts_made: signed("accounts_made")?,
            messages_taken: signed("messages_taken")?,
        })
    }
}
