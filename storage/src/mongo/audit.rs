//! The recount: everything that is kept as a counter or twice, compared with what it counts.

use super::directory::{addresses, totals};
use super::doc::{Fields, number};
use super::fail::Step;
use super::keys;
use super::records::{AccountRecord, BodyRecord, Delta};
use super::schema::*;
use super::view::View;
use crate::records::{MailboxRecord, RowRecord};
use crate::*;
use mongodb::bson::{Document, doc};
use std::collections::{BTreeMap, BTreeSet};

/// What has been counted.
#[derive(Default)]
struct Recount {
    complaints: Vec<String>,
    totals: Delta,
    contents: BTreeSet<EmailId>,
    blobs: BTreeSet<[u8; 32]>,
    mailboxes: BTreeSet<MailboxId>,
    accounts: BTreeSet<AccountId>,
}

impl Recount {
    fn check(&mut self, ok: bool, what: impl FnOnce() -> String) {
        if !ok {
            self.complaints.push(what());
        }
    }
}

/// Lines that say what does not agree.
pub async fn audit(view: &mut View<'_>) -> Step<Vec<String>> {
    let mut recount = Recount::default();
    for account in view.scan(ACCOUNTS, Document::new(), 0).await? {
        audit_account(view, &AccountRecord::from_document(&account)?, &mut recount).await?;
    }
    let kept = totals(view).await?;
    let counted = Delta { appended: kept.appended, ..recount.totals };
    recount.check(kept == counted, || format!("totals: {kept:?}, counted {counted:?}"));
    let purged = view.scan(PURGES, Document::new(), 0).await?;
    for purge in &purged {
        let id = MailboxId(purge.fixed("_id")?);
        let rows = view.rows(id, &UidSet::all()).await?;
        recount.contents.extend(rows.iter().map(|(_, row)| row.email_id));
        recount.mailboxes.insert(id);
    }
    audit_strays(view, &mut recount).await?;
    audit_contents(view, &mut recount).await?;
    audit_blobs(view, &mut recount).await?;
    Ok(recount.complaints)
}

async fn audit_account(view: &mut View<'_>, record: &AccountRecord, recount: &mut Recount) -> Step<()> {
    let id = record.account.id;
    recount.totals.accounts += 1;
    recount.accounts.insert(id);
    let owned = addresses(view, id).await?;
    recount.check(owned.contains(&record.account.address), || format!("account {id}: primary address"));
    let all = view.mailboxes(id, None, 0).await?;
    let subscriptions = view.ids(SUBSCRIPTIONS, keys::subscriptions(id), 0).await?.len();
    let counted = [owned.len() as u64, all.len() as u64, subscriptions as u64];
    let kept = [record.addresses, record.mailboxes, record.subscriptions];
    recount.check(kept == counted, || {
        format!("account {id}: addresses, mailboxes and subscriptions {kept:?}, counted {counted:?}")
    });
    let names: BTreeSet<&MailboxName> = all.iter().map(|(_, m)| &m.name).collect();
    recount.check(names.len() == all.len(), || format!("account {id}: one name twice"));
    recount.check(names.contains(&MailboxName::inbox()), || format!("account {id}: INBOX"));
    let parents = names.iter().all(|name| name.parent().is_none_or(|parent| names.contains(&parent)));
    recount.check(parents, || format!("account {id}: parents"));
    let validities = all.iter().all(|(_, m)| m.uidvalidity.0.get() <= record.uidvalidity);
    recount.check(validities, || format!("account {id}: UIDVALIDITY"));
    let mut used = 0;
    for (mailbox, record) in &all {
        used += record.bytes;
        audit_mailbox(view, *mailbox, record, recount).await?;
    }
    let kept = record.account.used_bytes;
    recount.check(kept == used, || format!("account {id}: used bytes {kept}, counted {used}"));
    Ok(())
}

async fn audit_mailbox(
    view: &mut View<'_>,
    id: MailboxId,
    record: &MailboxRecord,
    recount: &mut Recount,
) -> Step<()> {
    let mut counted =
        MailboxRecord { messages: 0, unseen: 0, deleted: 0, bytes: 0, recent: 0, ..record.clone() };
    let rows: Vec<(Uid, RowRecord)> = view.rows(id, &UidSet::all()).await?;
    for (uid, row) in &rows {
        counted.count(*uid, row);
        recount.contents.insert(row.email_id);
    }
    recount.mailboxes.insert(id);
    recount.check(counted == *record, || format!("mailbox {id} ({}): counters", record.name));
    recount.totals.messages += counted.messages as i64;
    recount.totals.bytes += counted.bytes as i64;
    let below = rows.last().is_none_or(|(uid, _)| record.uidnext.is_none_or(|next| *uid < next));
    recount.check(below, || format!("mailbox {id}: uidnext"));
    let modseqs = rows.iter().all(|(_, row)| row.modseq <= record.modseq);
    recount.check(modseqs, || format!("mailbox {id}: modseq"));
    let mut keywords = rows.iter().flat_map(|(_, row)| row.flags.keywords());
    recount.check(keywords.all(|k| record.keywords.contains(k)), || format!("mailbox {id}: keywords"));
    let journal = view.ids(CHANGES, keys::changes(id, 0), 0).await?;
    let journal = journal.iter().map(|row| Ok(keys::change_of(row)?.1)).collect::<Step<Vec<u64>>>()?;
    let dense = journal.into_iter().eq(record.trimmed_through + 1..=record.modseq.get());
    recount.check(dense, || format!("mailbox {id}: journal is dense"));
    Ok(())
}

/// Messages, journal rows and mailboxes that belong to nothing.
async fn audit_strays(view: &mut View<'_>, recount: &mut Recount) -> Step<()> {
    for mailbox in view.ids(MAILBOXES, Document::new(), 0).await? {
        let id = MailboxId(mailbox.fixed("_id")?);
        let known = recount.mailboxes.contains(&id);
        recount.check(known, || format!("mailbox {id}: no account"));
    }
    for annotated in view.ids(ANNOTATIONS, Document::new(), 0).await? {
        let id: [u8; 12] = annotated.fixed("_id")?;
        let known = recount.accounts.contains(&AccountId(id)) || recount.mailboxes.contains(&MailboxId(id));
        recount.check(known, || format!("annotations of {}, which does not exist", MailboxId(id)));
    }
    let mut strays = BTreeSet::new();
    for row in view.ids(MESSAGES, Document::new(), 0).await? {
        strays.insert(keys::row_of(&row)?.0);
    }
    for row in view.ids(CHANGES, Document::new(), 0).await? {
        strays.insert(keys::change_of(&row)?.0);
    }
    for id in strays {
        let known = recount.mailboxes.contains(&id);
        recount.check(known, || format!("messages or journal of mailbox {id}, which does not exist"));
    }
    Ok(())
}

async fn audit_contents(view: &mut View<'_>, recount: &mut Recount) -> Step<()> {
    let noted = view.ids(GARBAGE, Document::new(), 0).await?;
    let noted: BTreeSet<[u8; 12]> = noted.iter().map(|d| d.fixed("_id")).collect::<Step<_>>()?;
    let mut held = std::mem::take(&mut recount.contents);
    for document in view.scan(CONTENTS, Document::new(), 0).await? {
        let id = keys::content_of(&document)?;
        if !document.contains_key("pieces") {
            continue;
        }
        let is_held = held.remove(&id);
        recount.check(is_held || noted.contains(&id.0), || format!("content {id}: nobody's, and not noted"));
        let found = view.ids(CONTENTS, keys::contents(id), 0).await?.len() as u64;
        let pieces = document.count("pieces")?;
        recount.check(found == pieces, || format!("content {id}: {found} of {pieces} pieces"));
        let body = BodyRecord::from_document(&document)?;
        recount.blobs.extend(body.blobs().map(|blob| blob.0));
    }
    for id in held {
        recount.check(false, || format!("content {id}: missing"));
    }
    Ok(())
}

async fn audit_blobs(view: &mut View<'_>, recount: &mut Recount) -> Step<()> {
    let mut chunks: BTreeMap<[u8; 32], u64> = BTreeMap::new();
    for chunk in view.ids(CHUNKS, Document::new(), 0).await? {
        let id = chunk.bytes("_id")?;
        if let Some((blob, _)) = id.split_first_chunk::<32>() {
            *chunks.entry(*blob).or_default() += 1;
        }
    }
    let mut used = std::mem::take(&mut recount.blobs);
    for blob in view.scan(BLOBS, doc! {}, 0).await? {
        let id: [u8; 32] = blob.fixed("_id")?;
        let is_used = used.remove(&id);
        let name = BlobId(id);
        let is_suspect = blob.contains_key("check");
        recount.check(is_used || is_suspect, || format!("blob {name:?}: nobody's, and not to be looked at"));
        let (kept, found) = (number(&blob, "chunks"), chunks.remove(&id).unwrap_or_default());
        let whole = kept == Some(found as i64);
        // One that is being written, or whose writer died, is not whole yet.
        recount.check(whole || !is_used, || format!("blob {name:?}: {found} of {kept:?} chunks"));
    }
    for id in used {
        recount.check(false, || format!("blob {:?}: missing", BlobId(id)));
    }
    for id in chunks.into_keys() {
        recount.check(false, || format!("chunks of blob {:?}, which does not exist", BlobId(id)));
    }
    Ok(())
}
