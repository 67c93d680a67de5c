//! The commands of the TRANSACTION state (RFC 1939 §5 and §7).

use super::{Session, State};
use crate::pop3::command::{Command, Number};
use crate::pop3::maildrop::{Entry, Maildrop};
use crate::pop3::reply::{Code, Reply, Retrieved};
use crate::pop3::stuff::{Extent, header};
use gadwall_storage::{MessageQuery, StoreError, Subject, UidSet, read_range};
use std::fmt::Write;

/// How much of a message is read before it is promised.
const START: u64 = 64 << 10;

impl Session {
    pub(super) async fn transaction(&mut self, command: Command) -> Reply {
        let State::Transaction { maildrop, .. } = &mut self.state else {
            return Reply::bad("log in first");
        };
        match command {
            Command::Stat => {
                let (count, octets) = maildrop.total();
                Reply::ok(format!("{count} {octets}"))
            }
            Command::List(number) => list(maildrop, number, |entry| entry.size.to_string()),
            Command::Uidl(number) => list(maildrop, number, |entry| maildrop.unique_id(entry)),
            Command::Dele(number) => match maildrop.delete(number) {
                Ok(()) => Reply::ok(format!("message {number} marked as deleted")),
                Err(e) => Reply::no(e.to_string()),
            },
            Command::Rset => {
                maildrop.reset();
                let (count, octets) = maildrop.total();
                Reply::ok(format!("maildrop has {count} messages ({octets} octets)"))
            }
            Command::Noop => Reply::ok("still here"),
            Command::Retr(number) => self.retrieve(number, Extent::Whole).await,
            Command::Top(number, lines) => self.retrieve(number, Extent::Top(lines)).await,
            _ => Reply::bad("that is not possible now"),
        }
    }

    async fn retrieve(&self, number: Number, extent: Extent) -> Reply {
        let State::Transaction { maildrop, .. } = &self.state else { return Reply::bad("log in first") };
        let entry = match maildrop.message(number) {
            Ok(entry) => entry,
            Err(e) => return Reply::no(e.to_string()),
        };
        match self.open_message(maildrop, &entry, extent).await {
            Ok(reply) => reply,
            Err(StoreError::NotFound(Subject::Message)) => {
                Reply::no(format!("message {number} has expired or was deleted by another client"))
            }
            Err(StoreError::NotFound(_)) => {
                Reply::Err(Some(Code::SysPerm), "the account has expired or was deleted".into())
            }
            Err(e) => Reply::store(&e),
        }
    }

    async fn open_message(
        &self,
        maildrop: &Maildrop,
        entry: &Entry,
        extent: Extent,
    ) -> Result<Reply, StoreError> {
        let mut body = self.services.store.body(maildrop.at, entry.uid).await?;
        let start = read_range(&mut *body, 0..START).await?;
        if !self.utf8 && has_utf8(header(&start)) && self.is_internationalized(maildrop, entry).await? {
            return Ok(Reply::Err(
                Some(Code::Utf8),
                "this message needs UTF8 to be said before the login".into(),
            ));
        }
        Ok(Reply::Message(Retrieved { body, start, extent }))
    }

    /// Whether a message was sent as an internationalized one. RFC 6856 §2.1 forbids to hand out such a message to a
    /// client that has not said UTF8. One that merely has raw bytes in its header never was valid mail: it is shown as
    /// it is, which is what somebody who looks for such a mistake needs.
    async fn is_internationalized(&self, maildrop: &Maildrop, entry: &Entry) -> Result<bool, StoreError> {
        let query = MessageQuery::of(UidSet::range(entry.uid, entry.uid)).with_details();
        let found = self.services.store.messages(maildrop.at, query).await?;
        Ok(found
            .iter()
            .filter_map(|message| message.delivery.as_ref())
            .any(|delivery| delivery.mail_params.iter().any(|param| param.eq_ignore_ascii_case("SMTPUTF8"))))
    }
}

/// LIST and UIDL: one line, or a line for each message that is not marked.
fn list(maildrop: &Maildrop, number: Option<Number>, column: impl Fn(&Entry) -> String) -> Reply {
    if let Some(number) = number {
        return match maildrop.message(number) {
            Ok(entry) => Reply::ok(format!("{number} {}", column(&entry))),
            Err(e) => Reply::no(e.to_string()),
        };
    }
    let mut lines = String::new();
    for (number, entry) in maildrop.listed() {
        // Writing to a String cannot fail.
        let _ = write!(lines, "{number} {}\r\n", column(entry));
    }
    let (count, octets) = maildrop.total();
    Reply::Lines(format!("{count} messages ({octets} octets)"), lines)
}

fn has_utf8(header: &[u8]) -> bool {
    !header.is_ascii() && std::str::from_utf8(header).is_ok()
}
