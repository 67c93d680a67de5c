//! Keys of the one tree: a letter for the kind, then fixed-width fields in big-endian order, so that a range of keys is
//! a range of UIDs, modseqs or times.

use crate::*;

pub const SCHEMA: &[u8] = b"!schema";
pub const TOTALS: &[u8] = b"!totals";
pub const UIDVALIDITY: &[u8] = b"!uidvalidity";

/// A range of keys: first, and the one after the last.
pub type Range = (Vec<u8>, Vec<u8>);

fn join(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|p| p.len()).sum::<usize>());
    key.push(kind);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

/// Every key that begins with `prefix`.
pub fn below(prefix: Vec<u8>) -> Range {
    let mut end = prefix.clone();
    // No prefix here is all 0xff.
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    (prefix, end)
}

/// Times sort as unsigned numbers.
fn time(at: Timestamp) -> [u8; 8] {
    (at.0 as u64 ^ (1 << 63)).to_be_bytes()
}

pub fn account(id: AccountId) -> Vec<u8> {
    join(b'a', &[&id.0])
}

pub fn accounts_after(after: Option<AccountId>) -> Range {
    let (first, end) = below(vec![b'a']);
    match after {
        Some(id) => (join(b'a', &[&id.0, &[0]]), end),
        None => (first, end),
    }
}

pub fn address(address: &Address) -> Vec<u8> {
    join(b'd', &[address.as_str().as_bytes()])
}

/// The same by account.
pub fn address_of(id: AccountId, address: &Address) -> Vec<u8> {
    join(b'D', &[&id.0, address.as_str().as_bytes()])
}

pub fn addresses_of(id: AccountId) -> Range {
    below(join(b'D', &[&id.0]))
}

pub fn name(id: AccountId, name: &MailboxName) -> Vec<u8> {
    join(b'n', &[&id.0, name.as_str().as_bytes()])
}

pub fn names(id: AccountId) -> Range {
    below(join(b'n', &[&id.0]))
}

/// What comes after the account in the key of an address, name or subscription.
pub fn text_of(key: &[u8]) -> &str {
    std::str::from_utf8(key.get(13..).unwrap_or_default()).unwrap_or_default()
}

pub fn subscription(id: AccountId, name: &MailboxName) -> Vec<u8> {
    join(b'u', &[&id.0, name.as_str().as_bytes()])
}

pub fn subscriptions(id: AccountId) -> Range {
    below(join(b'u', &[&id.0]))
}

/// Of a mailbox or an account; no two of them have one id.
pub fn annotations(of: Annotated) -> Vec<u8> {
    match of {
        Annotated::Account(id) => join(b'm', &[b"a", &id.0]),
        Annotated::Mailbox(at) => join(b'm', &[b"b", &at.mailbox.0]),
    }
}

pub fn mailbox(id: MailboxId) -> Vec<u8> {
    join(b'b', &[&id.0])
}

pub fn mailboxes_after(after: Option<MailboxId>) -> Range {
    let (first, end) = below(vec![b'b']);
    match after {
        Some(id) => (join(b'b', &[&id.0, &[0]]), end),
        None => (first, end),
    }
}

pub fn mailbox_of(key: &[u8]) -> Option<MailboxId> {
    Some(MailboxId(key.get(1..13)?.try_into().ok()?))
}

pub fn account_of(key: &[u8]) -> Option<AccountId> {
    Some(AccountId(key.get(1..13)?.try_into().ok()?))
}

pub fn row(mailbox: MailboxId, uid: Uid) -> Vec<u8> {
    join(b'e', &[&mailbox.0, &uid.get().to_be_bytes()])
}

/// Rows of one stretch of UIDs.
pub fn rows(mailbox: MailboxId, uids: std::ops::RangeInclusive<u32>) -> Range {
    let first = join(b'e', &[&mailbox.0, &uids.start().to_be_bytes()]);
    let end = match uids.end().checked_add(1) {
        Some(end) => join(b'e', &[&mailbox.0, &end.to_be_bytes()]),
        None => below(join(b'e', &[&mailbox.0])).1,
    };
    (first, end)
}

pub fn uid_of(key: &[u8]) -> Option<Uid> {
    Uid::new(u32::from_be_bytes(key.get(13..17)?.try_into().ok()?))
}

pub fn journal(mailbox: MailboxId, modseq: u64) -> Vec<u8> {
    join(b'j', &[&mailbox.0, &modseq.to_be_bytes()])
}

/// Journal rows after `since`.
pub fn journal_after(mailbox: MailboxId, since: u64) -> Range {
    (journal(mailbox, since.saturating_add(1)), below(join(b'j', &[&mailbox.0])).1)
}

pub fn modseq_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(13..21)?.try_into().ok()?))
}

pub fn content(id: EmailId) -> Vec<u8> {
    join(b'c', &[&id.0])
}

pub fn content_refs(id: EmailId) -> Vec<u8> {
    join(b'r', &[&id.0])
}

pub fn blob(id: &BlobId) -> Vec<u8> {
    join(b'k', &[&id.0])
}

/// Blobs by the segment their chunks are in.
pub fn in_segment(segment: u32, id: &BlobId) -> Vec<u8> {
    join(b'g', &[&segment.to_be_bytes(), &id.0])
}

pub fn all_in_segment(segment: u32) -> Range {
    below(join(b'g', &[&segment.to_be_bytes()]))
}

pub fn blob_of(key: &[u8]) -> Option<BlobId> {
    Some(BlobId(key.get(5..37)?.try_into().ok()?))
}

pub fn segment_live(segment: u32) -> Vec<u8> {
    join(b's', &[&segment.to_be_bytes()])
}

pub fn message_expiry(at: Timestamp, mailbox: MailboxId, uid: Uid) -> Vec<u8> {
    join(b'x', &[&time(at), &mailbox.0, &uid.get().to_be_bytes()])
}

pub fn account_expiry(at: Timestamp, id: AccountId) -> Vec<u8> {
    join(b'X', &[&time(at), &id.0])
}

/// Message expiries (`x`) or account expiries (`X`) up to and including `now`.
pub fn due(kind: u8, now: Timestamp) -> Range {
    (vec![kind], join(kind, &[&time(Timestamp(now.0.saturating_add(1)))]))
}

pub fn time_of(key: &[u8]) -> Option<Timestamp> {
    let bits = u64::from_be_bytes(key.get(1..9)?.try_into().ok()?);
    Some(Timestamp((bits ^ (1 << 63)) as i64))
}

/// The mailbox and UID of a message expiry.
pub fn expiring(key: &[u8]) -> Option<(MailboxId, Uid)> {
    let uid = u32::from_be_bytes(key.get(21..25)?.try_into().ok()?);
    Some((MailboxId(key.get(9..21)?.try_into().ok()?), Uid::new(uid)?))
}

/// The account of an account expiry.
pub fn expiring_account(key: &[u8]) -> Option<AccountId> {
    Some(AccountId(key.get(9..21)?.try_into().ok()?))
}

/// Operations are kept by the period they happened in, so that old ones go by the range.
pub fn operation(period: u32, op: OpId) -> Vec<u8> {
    join(b'o', &[&period.to_be_bytes(), &op.0])
}

/// Operations of periods before `period`.
pub fn operations_before(period: u32) -> Range {
    (vec![b'o'], join(b'o', &[&period.to_be_bytes()]))
}

pub fn day(day: u32) -> Vec<u8> {
    join(b'y', &[&day.to_be_bytes()])
}

pub fn secret(name: &str) -> Vec<u8> {
    join(b'q', &[name.as_bytes()])
}

pub fn document(name: &str) -> Vec<u8> {
    join(b'Q', &[name.as_bytes()])
}

/// A mailbox that is gone for its user, whose rows have not been taken away yet.
pub fn purge(mailbox: MailboxId) -> Vec<u8> {
    join(b'z', &[&mailbox.0])
}

/// A piece of a value that is too long for one.
pub fn piece(key: &[u8], index: u32) -> Vec<u8> {
    join(b'P', &[key, &index.to_be_bytes()])
}
