//! Sessions: what their last write or transaction did, and transactions that are open.
//!
//! What has been done comes from the log and goes with it by a rollback. What is open lives only here: whoever steps
//! down forgets it, as a server does.

use super::failure::{Failure, Stop};
use super::fields;
use super::order::Key;
use super::view::Overlay;
use crate::oplog::{Body, Entry, SessionRecord};
use bson::{Bson, Document};
use std::collections::BTreeMap;

/// Documents that open transactions have written, and whose transaction it is.
pub type Claims = BTreeMap<(String, Key), Vec<u8>>;

/// What a command says of its session.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbered {
    /// In no session, or in one that doesn't matter.
    No,
    /// A retryable write.
    Write { session: Vec<u8>, number: i64, statements: Vec<i32> },
    /// A statement of a transaction, or its end.
    Transaction { session: Vec<u8>, number: i64, starts: bool },
}

/// A transaction that is open.
#[derive(Debug, Default)]
pub struct Transaction {
    pub number: i64,
    /// The index of its snapshot.
    pub at: u64,
    pub began_ms: i64,
    pub own: Overlay,
}

/// The newest number of a session that this primary has seen, while it is not in the log.
#[derive(Debug)]
enum Live {
    Open(Box<Transaction>),
    /// Aborted, or begun and failed.
    Aborted(i64),
    /// Committed without having written.
    Read(i64),
    /// A retryable write that came to nothing that had to be recorded.
    Write(i64),
}

impl Live {
    fn number(&self) -> i64 {
        match self {
            Live::Open(transaction) => transaction.number,
            Live::Aborted(number) | Live::Read(number) | Live::Write(number) => *number,
        }
    }
}

#[derive(Debug, Default)]
pub struct Sessions {
    /// In the order of the log, by the index of their entries. Only those of the last number count.
    records: BTreeMap<Vec<u8>, Vec<(u64, SessionRecord)>>,
    live: BTreeMap<Vec<u8>, Live>,
    pub claims: Claims,
}

/// What a `commitTransaction` finds.
pub enum Ended {
    Open(Box<Transaction>),
    Committed,
}

impl Numbered {
    pub fn parse(command: &Document) -> Result<Self, Failure> {
        let invalid = |text: &str| Failure::new(72, "InvalidOptions", text);
        let session = fields::document(command, "lsid")?.map(session_id).transpose()?;
        let number = fields::number(command, "txnNumber")?;
        let in_transaction = match command.get("autocommit") {
            None => false,
            Some(Bson::Boolean(false)) => true,
            Some(_) => return Err(invalid("autocommit can only be false")),
        };
        let starts = fields::flag(command, "startTransaction")?;
        if !starts && command.contains_key("startTransaction") {
            return Err(invalid("Specifying startTransaction=false is not allowed"));
        }
        match (session, number) {
            (_, None) if in_transaction || starts => Err(invalid("a transaction needs a txnNumber")),
            (_, None) => Ok(Numbered::No),
            (None, Some(_)) => Err(invalid("Transaction number requires a session ID to be specified")),
            (Some(_), Some(_)) if starts && !in_transaction => {
                Err(invalid("startTransaction needs autocommit: false"))
            }
            (Some(session), Some(number)) if in_transaction => {
                Ok(Numbered::Transaction { session, number, starts })
            }
            (Some(session), Some(number)) => {
                Ok(Numbered::Write { session, number, statements: statements(command)? })
            }
        }
    }
}

/// The `id` of an `lsid`.
pub fn session_id(lsid: &Document) -> Result<Vec<u8>, Failure> {
    fields::only_in(lsid, "lsid", &["id"])?;
    match lsid.get("id") {
        Some(Bson::Binary(id)) if id.bytes.len() == 16 => Ok(id.bytes.clone()),
        _ => Err(Failure::mistyped("lsid.id must be a UUID")),
    }
}

fn statements(command: &Document) -> Result<Vec<i32>, Failure> {
    let wrong = || Failure::mistyped("stmtIds must be an array of ints");
    if let Some(all) = command.get("stmtIds") {
        return all.as_array().ok_or_else(wrong)?.iter().map(|id| id.as_i32().ok_or_else(wrong)).collect();
    }
    match fields::number(command, "stmtId")? {
        Some(first) => Ok(vec![i32::try_from(first).map_err(|_| wrong())?]),
        None => Ok(Vec::new()),
    }
}

impl Sessions {
    pub fn apply(&mut self, entry: &Entry) {
        let Body::Write { session: Some(record), .. } = &entry.body else { return };
        let records = self.records.entry(record.session.clone()).or_default();
        records.push((entry.at.index, record.clone()));
    }

    pub fn roll_back(&mut self, to: u64) {
        self.forget();
        self.records.retain(|_, records| {
            records.retain(|(index, _)| *index <= to);
            !records.is_empty()
        });
    }

    /// Drops the records of numbers that later ones, which can't be rolled back, have replaced.
    pub fn prune(&mut self, session: &[u8], committed: u64) {
        let Some(records) = self.records.get_mut(session) else { return };
        let safe =
            records.iter().filter(|(index, _)| *index <= committed).map(|(_, record)| record.number).max();
        records.retain(|(_, record)| safe.is_none_or(|safe| record.number >= safe));
    }

    /// Forgets all that is not in the log: open transactions end without effect.
    pub fn forget(&mut self) {
        self.live.clear();
        self.claims.clear();
    }

    /// The oldest snapshot that is in use.
    pub fn oldest_snapshot(&self) -> Option<u64> {
        self.open().map(|(_, transaction)| transaction.at).min()
    }

    fn open(&self) -> impl Iterator<Item = (&Vec<u8>, &Transaction)> {
        self.live.iter().filter_map(|(session, live)| match live {
            Live::Open(transaction) => Some((session, &**transaction)),
            _ => None,
        })
    }

    /// Ends transactions that were begun before this time. Whether there were any.
    pub fn expire(&mut self, before_ms: i64) -> bool {
        let old: Vec<Vec<u8>> =
            self.open().filter(|(_, t)| t.began_ms < before_ms).map(|(s, _)| s.clone()).collect();
        old.iter().for_each(|session| self.abort_open(session));
        !old.is_empty()
    }

    fn newest(&self, session: &[u8]) -> i64 {
        let recorded = self.last_record(session).map(|record| record.number);
        let live = self.live.get(session).map(Live::number);
        recorded.max(live).unwrap_or(-1)
    }

    fn last_record(&self, session: &[u8]) -> Option<&SessionRecord> {
        self.records.get(session)?.last().map(|(_, record)| record)
    }

    fn check_age(&self, session: &[u8], number: i64) -> Result<(), Failure> {
        let newest = self.newest(session);
        if number >= newest {
            return Ok(());
        }
        let text = format!(
            "Cannot start transaction {number} because a newer transaction {newest} has already started"
        );
        Err(Failure::new(225, "TransactionTooOld", text))
    }

    /// Begins a retryable write, which ends a transaction of a lower number.
    pub fn begin_write(&mut self, session: &[u8], number: i64) -> Result<(), Failure> {
        self.check_age(session, number)?;
        if number > self.newest(session) {
            self.abort_open(session);
            self.live.insert(session.to_vec(), Live::Write(number));
            return Ok(());
        }
        let by_record = self.last_record(session).is_some_and(|r| r.number == number && r.is_transaction);
        let by_live =
            self.live.get(session).is_some_and(|l| l.number() == number && !matches!(l, Live::Write(_)));
        if by_record || by_live {
            let text =
                format!("Retryable write with txnNumber {number} is prohibited: it is a transaction's");
            return Err(Failure::new(217, "IncompleteTransactionHistory", text));
        }
        Ok(())
    }

    /// What a statement of this retryable write has done, if it has.
    pub fn done(&self, session: &[u8], number: i64, statement: i32) -> Option<&Document> {
        let records = self.records.get(session)?.iter().rev().map(|(_, record)| record);
        let mut mine = records.take_while(|record| record.number == number).flat_map(|record| &record.done);
        mine.find(|(id, _)| *id == statement).map(|(_, reply)| reply)
    }

    pub fn start(&mut self, session: &[u8], transaction: Transaction) -> Result<(), Failure> {
        let number = transaction.number;
        self.check_age(session, number)?;
        if number == self.newest(session) {
            let text = format!(
                "Cannot start a transaction at given transaction number {number}: it is there already"
            );
            // Shards of a cluster answer otherwise: `_shouldRestartTransactionOnReuseActiveTxnNumber` in
            // mongo/db/transaction/transaction_participant.cpp.
            return Err(Failure::new(117, "ConflictingOperationInProgress", text));
        }
        self.abort_open(session);
        self.live.insert(session.to_vec(), Live::Open(Box::new(transaction)));
        Ok(())
    }

    /// Takes an open transaction out, to go on with it. It is put back, or aborted.
    pub fn take(&mut self, session: &[u8], number: i64) -> Result<Box<Transaction>, Failure> {
        match self.end(session, number)? {
            Ended::Open(transaction) => Ok(transaction),
            Ended::Committed => {
                let text = format!("Transaction {number} has been committed.");
                Err(Failure::new(256, "TransactionCommitted", text))
            }
        }
    }

    pub fn put_back(&mut self, session: &[u8], transaction: Box<Transaction>) {
        self.live.insert(session.to_vec(), Live::Open(transaction));
    }

    /// Takes an open transaction out to end it. A caller that does not commit it has aborted it.
    pub fn end(&mut self, session: &[u8], number: i64) -> Result<Ended, Failure> {
        self.check_age(session, number)?;
        let absent = || {
            let text =
                format!("Given transaction number {number} does not match any in-progress transactions.");
            Failure::no_such_transaction(text)
        };
        match self.live.get(session) {
            Some(live) if live.number() == number => match live {
                Live::Open(_) => match self.live.insert(session.to_vec(), Live::Aborted(number)) {
                    Some(Live::Open(transaction)) => Ok(Ended::Open(transaction)),
                    _ => Err(absent()),
                },
                Live::Read(_) => Ok(Ended::Committed),
                Live::Aborted(_) => {
                    Err(Failure::no_such_transaction(format!("Transaction {number} has been aborted.")))
                }
                Live::Write(_) => Err(absent()),
            },
            _ => match self.last_record(session) {
                Some(record) if record.number == number && record.is_transaction => Ok(Ended::Committed),
                _ => Err(absent()),
            },
        }
    }

    /// A transaction has been committed: in the log if it has written.
    pub fn committed(&mut self, session: &[u8], number: i64, wrote: bool) {
        self.release(session);
        if wrote {
            self.live.remove(session);
        } else {
            self.live.insert(session.to_vec(), Live::Read(number));
        }
    }

    /// Lets others write what this session's transaction had written.
    pub fn release(&mut self, session: &[u8]) {
        self.claims.retain(|_, holder| holder != session);
    }

    pub fn abort_open(&mut self, session: &[u8]) {
        if let Some(Live::Open(transaction)) = self.live.get(session) {
            let number = transaction.number;
            self.live.insert(session.to_vec(), Live::Aborted(number));
            self.release(session);
        }
    }

    /// Whether an open transaction has written to a collection.
    pub fn holds(&self, ns: &str) -> bool {
        self.claims.keys().any(|(claimed, _)| claimed == ns)
    }

    /// Fails if an open transaction, another than `holder`'s, has written the document.
    pub fn check_claim(&self, claim: &(String, Key), holder: Option<&[u8]>) -> Result<(), Stop> {
        match (self.claims.get(claim), holder) {
            (None, _) => Ok(()),
            (Some(other), Some(holder)) if other == holder => Ok(()),
            // The first writer wins at once.
            (Some(_), Some(_)) => Err(Failure::write_conflict().into()),
            (Some(_), None) => Err(Stop::Blocked),
        }
    }
}
