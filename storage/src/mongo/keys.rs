//! `_id`s. Those that are scanned in order are byte strings of one length, which MongoDB compares byte by byte: a
//! mailbox and a number in it, most significant byte first.

use super::doc::bin;
use super::fail::Step;
use crate::*;
use mongodb::bson::{Bson, Document, doc};
use std::ops::RangeInclusive;

pub fn account(id: AccountId) -> Bson {
    bin(id.0)
}

pub fn mailbox(id: MailboxId) -> Bson {
    bin(id.0)
}

/// No mailbox and no account have one id.
pub fn annotations(of: Annotated) -> Bson {
    match of {
        Annotated::Account(id) => account(id),
        Annotated::Mailbox(at) => mailbox(at.mailbox),
    }
}

pub fn operation(op: OpId) -> Bson {
    bin(op.0)
}

pub fn blob(id: &BlobId) -> Bson {
    bin(id.0)
}

pub fn row(id: MailboxId, uid: u32) -> Bson {
    bin([&id.0[..], &uid.to_be_bytes()].concat())
}

pub fn change(id: MailboxId, modseq: u64) -> Bson {
    bin([&id.0[..], &modseq.to_be_bytes()].concat())
}

/// A message's content is kept in as many pieces as its length asks for.
pub fn content(id: EmailId, piece: u32) -> Bson {
    bin([&id.0[..], &piece.to_be_bytes()].concat())
}

pub fn chunk(blob: &BlobId, index: u32) -> Bson {
    bin([&blob.0[..], &index.to_be_bytes()].concat())
}

pub fn subscription(id: AccountId, name: &MailboxName) -> Bson {
    Bson::String(format!("{id}/{name}"))
}

pub fn between(first: Bson, last: Bson) -> Document {
    doc! { "_id": { "$gte": first, "$lte": last } }
}

pub fn rows(id: MailboxId, uids: RangeInclusive<u32>) -> Document {
    between(row(id, *uids.start()), row(id, *uids.end()))
}

pub fn changes(id: MailboxId, after: u64) -> Document {
    between(change(id, after.saturating_add(1)), change(id, u64::MAX))
}

pub fn contents(id: EmailId) -> Document {
    between(content(id, 0), content(id, u32::MAX))
}

/// `/` is followed by `0`: everything that begins with the account and `/`, in the order of the names.
pub fn subscriptions(id: AccountId) -> Document {
    doc! { "_id": { "$gte": format!("{id}/"), "$lt": format!("{id}0") } }
}

pub fn by_id() -> Document {
    doc! { "_id": 1 }
}

fn damaged(what: &str) -> super::fail::Fail {
    StoreError::Corrupt(format!("an _id that is no {what}")).into()
}

fn parts<'a, const N: usize>(document: &'a Document, what: &str) -> Step<(MailboxId, &'a [u8; N])> {
    use super::doc::Fields;
    let bytes = document.bytes("_id")?;
    let (id, rest) = bytes.split_first_chunk::<12>().ok_or_else(|| damaged(what))?;
    Ok((MailboxId(*id), rest.try_into().map_err(|_| damaged(what))?))
}

/// The mailbox and UID of a message's document.
pub fn row_of(document: &Document) -> Step<(MailboxId, Uid)> {
    let (id, uid) = parts::<4>(document, "message's")?;
    Ok((id, Uid::new(u32::from_be_bytes(*uid)).ok_or_else(|| damaged("message's"))?))
}

/// The mailbox and modseq of a journal row's document.
pub fn change_of(document: &Document) -> Step<(MailboxId, u64)> {
    let (id, modseq) = parts::<8>(document, "journal row's")?;
    Ok((id, u64::from_be_bytes(*modseq)))
}

/// The content that one of its documents belongs to.
pub fn content_of(document: &Document) -> Step<EmailId> {
    let (MailboxId(id), _) = parts::<4>(document, "content's")?;
    Ok(EmailId(id))
}
