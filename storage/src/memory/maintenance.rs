//! Expiry, trimming, and the recount.

use super::MemoryStore;
use super::messages::expunge;
use super::state::{AccountState, MailboxState, State};
use super::store::Context;
use crate::*;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::time::Duration;

#[async_trait]
impl Maintenance for MemoryStore {
    async fn sweep(&self) -> Result<Swept> {
        let mut state = self.state();
        state.writable()?;
        let context = self.context();
        let mut swept = Swept::default();
        sweep_accounts(&mut state, &context, &mut swept);
        sweep_messages(&mut state, &context, &mut swept);
        swept.records_dropped = drop_records(&mut state, &context);
        let accounts = state.accounts.values().filter_map(|a| a.account.expires_at);
        let messages =
            state.mailboxes.values().flat_map(|m| m.rows.values()).filter_map(|r| r.message.expires_at);
        swept.next_due = accounts.chain(messages).min();
        swept.more = swept.next_due.is_some_and(|due| due <= context.now);
        self.tell(&mut state);
        Ok(swept)
    }

    async fn ready(&self) -> Result<()> {
        self.state().writable()
    }

    async fn close(&self) -> Result<()> {
        self.state().closed = true;
        Ok(())
    }

    async fn audit(&self) -> Result<Vec<String>> {
        let state = self.state();
        let mut complaints = Vec::new();
        state.accounts.values().for_each(|account| audit_account(&state, account, &mut complaints));
        state.mailboxes.values().for_each(|mailbox| audit_mailbox(&state, mailbox, &mut complaints));
        for (address, owner) in &state.addresses {
            if !state.accounts.contains_key(owner) {
                complaints.push(format!("{address}: belongs to an account that does not exist"));
            }
        }
        Ok(complaints)
    }
}

fn sweep_accounts(state: &mut State, context: &Context, swept: &mut Swept) {
    let expired = state.accounts.values().filter(|a| a.expired(context.now)).map(|a| a.account.id);
    for id in expired.take(context.limits.sweep_batch).collect::<Vec<_>>() {
        state.drop_account(id);
        swept.accounts_expired += 1;
    }
}

/// One step for each mailbox that has something to expire, as any expunge would take.
fn sweep_messages(state: &mut State, context: &Context, swept: &mut Swept) {
    let mut due: BTreeMap<MailboxRef, UidSet> = BTreeMap::new();
    let rows = state.mailboxes.values().flat_map(|m| m.rows.values().map(move |row| (m, row)));
    let expired = rows.filter(|(_, row)| row.message.expires_at.is_some_and(|at| at <= context.now));
    for (mailbox, row) in expired.take(context.limits.sweep_batch) {
        let at = MailboxRef { account: mailbox.account, mailbox: mailbox.id };
        due.entry(at).or_default().insert(row.message.uid);
    }
    for (at, uids) in due {
        swept.messages_expired += expunge(state, context, at, uids).uids.len();
    }
}

fn drop_records(state: &mut State, context: &Context) -> u64 {
    let old = |at: Timestamp, kept: Duration| at.after(kept) <= context.now;
    let before = state.operations.len();
    state.operations.retain(|_, operation| !old(operation.at, context.limits.operation_retention));
    let mut dropped = before - state.operations.len();
    for mailbox in state.mailboxes.values_mut() {
        while let Some(row) = mailbox.journal.first_entry() {
            if !old(row.get().at, context.limits.journal_retention) {
                break;
            }
            mailbox.trimmed_through = row.key().get();
            row.remove();
            dropped += 1;
        }
    }
    dropped as u64
}

fn audit_account(state: &State, account: &AccountState, complaints: &mut Vec<String>) {
    let id = account.account.id;
    let mut check = |what: &str, ok: bool| {
        if !ok {
            complaints.push(format!("account {id}: {what}"));
        }
    };
    let mailboxes: Vec<&MailboxState> = state.mailboxes.values().filter(|m| m.account == id).collect();
    check("used_bytes", account.account.used_bytes == mailboxes.iter().map(|m| m.bytes).sum::<u64>());
    check("number of names", account.names.len() == mailboxes.len());
    check("names", mailboxes.iter().all(|m| account.names.get(&m.name) == Some(&m.id)));
    check("INBOX", account.names.contains_key(&MailboxName::inbox()));
    let has_parent =
        |name: &MailboxName| name.parent().is_none_or(|parent| account.names.contains_key(&parent));
    check("parents", account.names.keys().all(has_parent));
    check("primary address", state.addresses.get(&account.account.address) == Some(&id));
}

fn audit_mailbox(state: &State, mailbox: &MailboxState, complaints: &mut Vec<String>) {
    let mut check = |what: &str, ok: bool| {
        if !ok {
            complaints.push(format!("mailbox {} ({}): {what}", mailbox.id, mailbox.name));
        }
    };
    let count = |flag, has| mailbox.rows.values().filter(|r| r.message.flags.has(flag) == has).count() as u64;
    check("account", state.accounts.contains_key(&mailbox.account));
    check("unseen", mailbox.unseen == count(SystemFlag::Seen, false));
    check("deleted", mailbox.deleted == count(SystemFlag::Deleted, true));
    check("bytes", mailbox.bytes == mailbox.rows.values().map(|r| r.body.size()).sum::<u64>());
    check("UIDs", mailbox.rows.iter().all(|(uid, r)| *uid == r.message.uid));
    check("uidnext", mailbox.rows.keys().all(|uid| mailbox.uidnext.is_none_or(|next| *uid < next)));
    check("modseq", mailbox.rows.values().all(|r| r.message.modseq <= mailbox.modseq));
    check("recent", mailbox.unclaimed.iter().all(|uid| mailbox.rows.contains_key(&uid)));
    let keywords = mailbox.rows.values().flat_map(|r| r.message.flags.keywords());
    check("keywords", keywords.into_iter().all(|k| mailbox.keywords.contains(k)));
    let expected = mailbox.trimmed_through + 1..=mailbox.modseq.get();
    check("journal is dense", mailbox.journal.keys().map(|m| m.get()).eq(expected));
    // A message above the trimmed part is in the row of its modseq.
    let in_journal =
        |m: &Message| mailbox.journal.get(&m.modseq).is_none_or(|row| row.changed.contains(m.uid));
    check("journal rows", mailbox.rows.values().all(|r| in_journal(&r.message)));
}
