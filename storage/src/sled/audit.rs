//! The recount: everything that is kept as a counter or twice, compared with what it counts.

use super::keys;
use super::look::{Look, Walk, damaged};
use super::mailboxes::names;
use super::records::{BlobRecord, ContentRecord, MailboxRecord, RowRecord, Totals, decode};
use super::store::Reader;
use crate::*;
use std::collections::BTreeMap;

/// What has been counted.
#[derive(Default)]
struct Recount {
    complaints: Vec<String>,
    totals: Totals,
    contents: BTreeMap<EmailId, u64>,
    blobs: BTreeMap<BlobId, u64>,
    live: BTreeMap<u32, u64>,
    expiries: u64,
    annotated: u64,
}

impl Recount {
    fn check(&mut self, what: std::fmt::Arguments, ok: bool) {
        if !ok {
            self.complaints.push(what.to_string());
        }
    }
}

/// Lines that say what does not agree.
pub fn audit(reader: &Reader) -> Result<Vec<String>> {
    let tree = reader.tree;
    let mut recount = Recount::default();
    for key in tree.keys(&keys::accounts_after(None), usize::MAX)? {
        let id = keys::account_of(&key).ok_or_else(|| damaged("an account without an id"))?;
        audit_account(tree, id, &mut recount)?;
    }
    let kept: Totals = Look::get(tree, keys::TOTALS)?.unwrap_or_default();
    let counted = Totals { appended: kept.appended, ..recount.totals };
    recount.check(format_args!("totals: {kept:?}, counted {counted:?}"), kept == counted);
    for key in tree.keys(&keys::below(vec![b'z']), usize::MAX)? {
        let mailbox = keys::mailbox_of(&key).ok_or_else(|| damaged("a purge without a mailbox"))?;
        for (_, row) in tree.rows(mailbox, &UidSet::all())? {
            *recount.contents.entry(row.email_id).or_default() += 1;
            recount.expiries += u64::from(row.expires_at.is_some());
        }
    }
    let annotated = tree.keys(&keys::below(vec![b'm']), usize::MAX)?.len() as u64;
    let counted = recount.annotated;
    recount.check(format_args!("annotated: {annotated}, counted {counted}"), annotated == counted);
    let expiries = tree.keys(&keys::below(vec![b'x']), usize::MAX)?.len() as u64;
    let counted = recount.expiries;
    recount.check(format_args!("expiries: {expiries}, counted {counted}"), expiries == counted);
    audit_contents(tree, &mut recount)?;
    audit_blobs(tree, &mut recount)?;
    Ok(recount.complaints)
}

fn audit_account(tree: &::sled::Tree, id: AccountId, recount: &mut Recount) -> Result<()> {
    let account: Account = Look::get(tree, &keys::account(id))?.ok_or_else(|| damaged("no account"))?;
    recount.totals.accounts += 1;
    let owner: Option<AccountId> = Look::get(tree, &keys::address(&account.address))?;
    recount.check(format_args!("account {id}: primary address"), owner == Some(id));
    let annotated = tree.raw(&keys::annotations(Annotated::Account(id)))?.is_some();
    recount.annotated += u64::from(annotated);
    let all = names(tree, id)?;
    let has = |name: &MailboxName| all.iter().any(|(n, _)| n == name);
    recount.check(format_args!("account {id}: INBOX"), has(&MailboxName::inbox()));
    let parents = all.iter().all(|(name, _)| name.parent().is_none_or(|parent| has(&parent)));
    recount.check(format_args!("account {id}: parents"), parents);
    let mut used = 0;
    for (name, mailbox) in &all {
        let record: Option<MailboxRecord> = tree.get_long(&keys::mailbox(*mailbox))?;
        match record {
            Some(record) => {
                let agrees = record.account == id && record.name == *name;
                recount.check(format_args!("mailbox {mailbox}: name"), agrees);
                used += record.bytes;
                let at = MailboxRef { account: id, mailbox: *mailbox };
                let annotated = tree.raw(&keys::annotations(Annotated::Mailbox(at)))?.is_some();
                recount.annotated += u64::from(annotated);
                audit_mailbox(tree, *mailbox, &record, recount)?;
            }
            None => recount.check(format_args!("mailbox {mailbox}: missing"), false),
        }
    }
    recount.check(format_args!("account {id}: used_bytes"), used == account.used_bytes);
    Ok(())
}

fn audit_mailbox(
    tree: &::sled::Tree,
    id: MailboxId,
    record: &MailboxRecord,
    recount: &mut Recount,
) -> Result<()> {
    let mut counted =
        MailboxRecord { messages: 0, unseen: 0, deleted: 0, bytes: 0, recent: 0, ..record.clone() };
    let rows: Vec<(Uid, RowRecord)> = tree.rows(id, &UidSet::all())?;
    for (uid, row) in &rows {
        counted.count(*uid, row);
        *recount.contents.entry(row.email_id).or_default() += 1;
        recount.expiries += u64::from(row.expires_at.is_some());
        if let Some(at) = row.expires_at {
            let is_there = tree.raw(&keys::message_expiry(at, id, *uid))?.is_some();
            recount.check(format_args!("mailbox {id}: expiry of {uid}"), is_there);
        }
    }
    recount.check(format_args!("mailbox {id} ({}): counters", record.name), counted == *record);
    recount.totals.messages += counted.messages;
    recount.totals.bytes += counted.bytes;
    let below = rows.last().is_none_or(|(uid, _)| record.uidnext.is_none_or(|next| *uid < next));
    recount.check(format_args!("mailbox {id}: uidnext"), below);
    let modseqs = rows.iter().all(|(_, row)| row.modseq <= record.modseq);
    recount.check(format_args!("mailbox {id}: modseq"), modseqs);
    let journal = tree.keys(&keys::journal_after(id, 0), usize::MAX)?;
    let journal = journal.iter().filter_map(|key| keys::modseq_of(key));
    let dense = journal.eq(record.trimmed_through + 1..=record.modseq.get());
    recount.check(format_args!("mailbox {id}: journal is dense"), dense);
    Ok(())
}

fn audit_contents(tree: &::sled::Tree, recount: &mut Recount) -> Result<()> {
    let stored = tree.keys(&keys::below(vec![b'c']), usize::MAX)?;
    let held = std::mem::take(&mut recount.contents);
    let counts = (stored.len(), held.len());
    recount.check(format_args!("contents: {} stored, {} held", counts.0, counts.1), counts.0 == counts.1);
    for (id, count) in held {
        let refs: u64 = Look::get(tree, &keys::content_refs(id))?.unwrap_or(1);
        recount.check(format_args!("content {id}: {refs} references, counted {count}"), refs == count);
        match tree.get_long::<ContentRecord>(&keys::content(id))? {
            Some(record) => record
                .manifest
                .blobs()
                .iter()
                .for_each(|(blob, _)| *recount.blobs.entry(*blob).or_default() += 1),
            None => recount.check(format_args!("content {id}: missing"), false),
        }
    }
    Ok(())
}

fn audit_blobs(tree: &::sled::Tree, recount: &mut Recount) -> Result<()> {
    let stored = tree.keys(&keys::below(vec![b'k']), usize::MAX)?.len();
    let held = std::mem::take(&mut recount.blobs);
    recount.check(format_args!("blobs: {stored} stored, {} held", held.len()), stored == held.len());
    for (blob, count) in held {
        let Some(record) = tree.get_long::<BlobRecord>(&keys::blob(&blob))? else {
            recount.check(format_args!("blob {blob:?}: missing"), false);
            continue;
        };
        let refs = record.refs;
        recount.check(format_args!("blob {blob:?}: {refs} references, counted {count}"), refs == count);
        for at in &record.chunks {
            *recount.live.entry(at.segment).or_default() += u64::from(at.len);
        }
    }
    let mut kept = BTreeMap::new();
    tree.walk(&keys::below(vec![b's']), &mut |key, value| {
        let number = key.get(1..5).and_then(|k| k.try_into().ok()).map(u32::from_be_bytes);
        kept.insert(number.ok_or_else(|| damaged("a segment without a number"))?, decode::<u64>(value)?);
        Ok(Walk::On)
    })?;
    // Empty content has no bytes to be counted.
    let counted: BTreeMap<u32, u64> =
        std::mem::take(&mut recount.live).into_iter().filter(|s| s.1 > 0).collect();
    recount.check(format_args!("live bytes: {kept:?}, counted {counted:?}"), kept == counted);
    Ok(())
}
