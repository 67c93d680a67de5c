//! Brings a group of mutations to an end: committed, refused, or temporarily impossible.
//!
//! A transaction whose commit went unanswered may still take effect. It is never compensated: the group is run again,
//! under the same operation ids and with the same mailbox taken first, so that either the first attempt is found done
//! or the two exclude each other.

use super::db::{DbError, Kind, Session, Update};
use super::fail::Fail;
use super::growth::Growth;
use super::operations::Records;
use super::queue::Job;
use super::schema::CHANGES;
use super::store::{Patience, Shared};
use super::tx::Tx;
use crate::{AccountId, Hint, MailboxId, Result, StoreError};
use mongodb::bson::{Document, doc};
use std::collections::BTreeMap;

/// What each mutation of a group is answered.
type Answers = Vec<Result<Vec<u8>>>;

/// Whether what was done before is known of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    First,
    Later,
}

/// Why an attempt came to nothing.
struct Failed {
    fail: Fail,
    /// Whether it may come to something yet.
    in_doubt: bool,
}

impl<T: Into<Fail>> From<T> for Failed {
    fn from(fail: T) -> Self {
        Failed { fail: fail.into(), in_doubt: false }
    }
}

pub async fn commit(shared: &Shared, mut jobs: Vec<Job>) {
    // Those that have waited too long behind others are told so; the rest have the time of the last.
    let now = tokio::time::Instant::now();
    for job in jobs.extract_if(.., |job| job.deadline <= now) {
        let _ = job.reply.send(Err(StoreError::unavailable("others were in the way for too long")));
    }
    let Some(until) = jobs.iter().map(|job| job.deadline).max() else { return };
    match bring_to_an_end(shared, &jobs, Patience::until(until)).await {
        Ok((answers, hints)) => {
            shared.publish(hints);
            for (job, answer) in jobs.into_iter().zip(answers) {
                // Whoever asked may have gone away.
                let _ = job.reply.send(answer);
            }
        }
        Err(error) => jobs.into_iter().for_each(|job| _ = job.reply.send(Err(error.clone()))),
    }
}

async fn bring_to_an_end(
    shared: &Shared,
    jobs: &[Job],
    mut patience: Patience,
) -> Result<(Answers, Vec<Hint>)> {
    let (mut in_doubt, mut turn) = (false, Turn::First);
    loop {
        let failed = match attempt(shared, jobs, (turn, in_doubt), &mut patience).await {
            Ok(done) => return Ok(done),
            Err(failed) => failed,
        };
        in_doubt |= failed.in_doubt;
        turn = Turn::Later;
        let error = match failed.fail {
            Fail::Refused(error) => return Err(with_doubt(error, in_doubt)),
            Fail::Db(error) if error.kind == Kind::Refused => return Err(unavailable(&error, in_doubt)),
            Fail::Db(error) if error.kind == Kind::Full => {
                return Err(with_doubt(StoreError::StorageFull(error.to_string()), in_doubt));
            }
            Fail::Db(error) => error,
            Fail::Raced => match renew(shared, jobs).await {
                Ok(()) if patience.is_over() => {
                    return Err(with_doubt(
                        StoreError::unavailable("content kept being collected"),
                        in_doubt,
                    ));
                }
                Ok(()) | Err(Fail::Raced) => continue,
                Err(Fail::Refused(error)) => return Err(with_doubt(error, in_doubt)),
                Err(Fail::Db(error)) => error,
            },
        };
        tracing::debug!(%error, in_doubt, "a transaction is run again");
        let goes_on = match error.kind {
            Kind::Transient => patience.wait_for_turn(&*shared.entropy).await,
            _ => patience.wait(&*shared.entropy).await,
        };
        if !goes_on {
            return Err(unavailable(&error, in_doubt));
        }
    }
}

async fn renew(shared: &Shared, jobs: &[Job]) -> Result<(), Fail> {
    for job in jobs {
        job.mutation.renew(shared).await?;
    }
    Ok(())
}

fn unavailable(error: &DbError, outcome_unknown: bool) -> StoreError {
    StoreError::Unavailable { reason: error.to_string(), retry_after: None, outcome_unknown }
}

/// A refusal says that nothing was changed; while an earlier attempt is in doubt that can't be said.
fn with_doubt(error: StoreError, in_doubt: bool) -> StoreError {
    if !in_doubt {
        return error;
    }
    StoreError::Unavailable { reason: error.to_string(), retry_after: None, outcome_unknown: true }
}

/// Runs the group in one transaction.
async fn attempt(
    shared: &Shared,
    jobs: &[Job],
    (turn, in_doubt): (Turn, bool),
    patience: &mut Patience,
) -> Result<(Answers, Vec<Hint>), Failed> {
    let mut tx = Tx::begin(shared).await?;
    let ran = run(&mut tx, jobs, turn).await;
    let (answers, repeats) = match ran {
        Ok(ran) => ran,
        Err(fail) => {
            tx.into_session().0.abort().await;
            return Err(fail.into());
        }
    };
    // What was answered from a record has to be known to be durable, and while an earlier attempt is in doubt only
    // a commit shows that it can't come after this one.
    if tx.is_empty() && !repeats && !in_doubt {
        tx.into_session().0.abort().await;
        return Ok((answers, Vec::new()));
    }
    if let Err(fail) = tx.flush().await {
        tx.into_session().0.abort().await;
        return Err(fail.into());
    }
    let apart = std::mem::take(&mut tx.journaled_apart);
    let (session, hints) = tx.into_session();
    commit_for_sure(shared, session, patience).await?;
    journal_apart(shared, apart).await;
    Ok((answers, hints))
}

/// See `Mistakes::journals_apart`.
async fn journal_apart(shared: &Shared, documents: Vec<Document>) {
    for mut document in documents {
        let Some(id) = document.remove("_id") else { continue };
        let write = Update { upsert: true, ..Update::one(id, doc! { "$set": document }) };
        if let Err(error) = shared.db.update(CHANGES, vec![write]).await {
            tracing::warn!(%error, "a change is not in the journal");
        }
    }
}

/// Runs each mutation; a refusal concerns only itself. Whether some were answered from their records.
async fn run(tx: &mut Tx<'_>, jobs: &[Job], turn: Turn) -> Result<(Answers, bool), Fail> {
    lock(tx, jobs).await?;
    let ops = || jobs.iter().filter_map(|job| job.identity.map(|identity| identity.op));
    let mut records = Records::default();
    if turn == Turn::Later {
        records.look_up(tx, ops()).await?;
    }
    let mut repeats = false;
    let mut answers = Vec::with_capacity(jobs.len());
    for job in jobs {
        let mut known = job.identity.and_then(|identity| records.answer(&identity));
        if known.is_none() {
            match job.mutation.run(tx).await {
                Ok(outcome) => {
                    if let Some(identity) = &job.identity {
                        records.add(tx, identity, &outcome);
                    }
                    answers.push(Ok(outcome));
                    continue;
                }
                Err(Fail::Refused(error)) => {
                    // Perhaps because it has happened.
                    if !records.are_looked_up {
                        records.look_up(tx, ops()).await?;
                        known = job.identity.and_then(|identity| records.answer(&identity));
                    }
                    if known.is_none() {
                        answers.push(Err(error));
                        continue;
                    }
                }
                Err(fail) => return Err(fail),
            }
        }
        repeats |= known.is_some();
        answers.extend(known);
    }
    Ok((answers, repeats))
}

/// Takes what the group wants to change. The mailboxes first: whoever comes second to one starts over, having done
/// nothing yet.
async fn lock(tx: &mut Tx<'_>, jobs: &[Job]) -> Result<(), Fail> {
    let mut mailboxes: BTreeMap<MailboxId, Growth> = BTreeMap::new();
    let mut accounts: BTreeMap<AccountId, Growth> = BTreeMap::new();
    for job in jobs {
        let locks = job.mutation.locks();
        if let Some(first) = locks.mailboxes.first() {
            mailboxes.entry(*first).or_default().add(&locks.mailbox_growth);
        }
        locks.mailboxes.iter().for_each(|id| _ = mailboxes.entry(*id).or_default());
        if let Some(account) = locks.account {
            accounts.entry(account).or_default().add(&locks.account_growth);
        }
    }
    // In one order, so that two that want the same pair get on.
    for (id, growth) in mailboxes {
        tx.lock_mailbox(id, growth).await?;
    }
    for (id, growth) in accounts {
        tx.lock_account(id, growth).await?;
    }
    Ok(())
}

/// Commits, again and again while the outcome is not known and the transaction can be asked for.
async fn commit_for_sure(
    shared: &Shared,
    mut session: Session,
    patience: &mut Patience,
) -> Result<(), Failed> {
    loop {
        let error = match session.commit().await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        match error.kind {
            // The server says that it has not happened.
            Kind::Transient => return Err(Failed { fail: error.into(), in_doubt: false }),
            Kind::Unknown => {}
            Kind::Duplicate | Kind::Full | Kind::Refused => {
                return Err(Failed { fail: error.into(), in_doubt: true });
            }
        }
        if session.is_lost() || !patience.wait(&*shared.entropy).await {
            return Err(Failed { fail: error.into(), in_doubt: true });
        }
    }
}
