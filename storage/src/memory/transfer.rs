//! Copying and moving between mailboxes of one account.

use super::state::{Row, State};
use super::store::Context;
use crate::*;

/// [`Messages::copy`].
pub(super) fn copy(
    state: &mut State,
    context: &Context,
    from: MailboxRef,
    uids: &UidSet,
    to: MailboxId,
) -> Result<Copied> {
    let rows = checked(state, context, from, uids, to)?;
    let added = rows.iter().map(|(_, row)| row.message.size).sum();
    if !rows.is_empty() {
        state.account(from.account, context.now)?.admit(added)?;
    }
    state.account_mut(from.account, context.now)?.account.used_bytes += added;
    let target = MailboxRef { mailbox: to, ..from };
    let pairs = add_all(state, context, target, rows, UidSet::new())?;
    let target = state.mailbox(target, context.now)?;
    Ok(Copied { uidvalidity: target.uidvalidity, pairs, modseq: target.modseq, source_modseq: None })
}

/// [`Messages::move_messages`]. Within one mailbox the copies appear and the sources vanish under one modseq.
pub(super) fn move_messages(
    state: &mut State,
    context: &Context,
    from: MailboxRef,
    uids: &UidSet,
    to: MailboxId,
) -> Result<Copied> {
    let rows = checked(state, context, from, uids, to)?;
    let source = state.mailbox_mut(from, context.now)?;
    rows.iter().for_each(|(uid, _)| _ = source.take(*uid));
    let gone: UidSet = rows.iter().map(|(uid, _)| *uid).collect();
    let same = from.mailbox == to;
    if !same && !gone.is_empty() {
        source.step();
        source.journal(context.now, UidSet::new(), gone.clone());
        let hint = source.hint();
        state.hints.push(hint);
    }
    let target = MailboxRef { mailbox: to, ..from };
    let pairs = add_all(state, context, target, rows, if same { gone } else { UidSet::new() })?;
    let source_modseq = state.mailbox(from, context.now)?.modseq;
    let target = state.mailbox(target, context.now)?;
    let Mailbox { uidvalidity, modseq, .. } = state.describe(target);
    Ok(Copied { uidvalidity, pairs, modseq, source_modseq: Some(source_modseq) })
}

/// The messages to be copied, once it is sure that the target takes them all.
fn checked(
    state: &State,
    context: &Context,
    from: MailboxRef,
    uids: &UidSet,
    to: MailboxId,
) -> Result<Vec<(Uid, Row)>> {
    let source = state.mailbox(from, context.now)?;
    let target = state.mailbox(MailboxRef { mailbox: to, ..from }, context.now)?;
    let rows: Vec<(Uid, Row)> = source.existing(uids).map(|(uid, row)| (*uid, row.clone())).collect();
    if !rows.is_empty() {
        target.has_uids_for(rows.len())?;
        let flags = rows.iter().map(|(_, row)| &row.message.flags);
        target.has_keywords_for(flags, context.limits.keywords_per_mailbox)?;
    }
    Ok(rows)
}

fn add_all(
    state: &mut State,
    context: &Context,
    at: MailboxRef,
    rows: Vec<(Uid, Row)>,
    vanished: UidSet,
) -> Result<Vec<(Uid, Uid)>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let target = state.mailbox_mut(at, context.now)?;
    target.step();
    let mut pairs = Vec::with_capacity(rows.len());
    for (old, mut row) in rows {
        row.message.saved_at = context.now;
        pairs.push((old, target.add(row)));
    }
    target.journal(context.now, pairs.iter().map(|(_, new)| *new).collect(), vanished);
    let hint = target.hint();
    state.hints.push(hint);
    Ok(pairs)
}
