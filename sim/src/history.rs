//! What clients did and saw, in the order in which it happened: all that a checker knows.
//!
//! Every mail has a number, and every attempt to send it another; both stand in its bytes (`X-Sim: MAIL.ATTEMPT`), so
//! that whatever comes back says which attempt it is a copy of. An operation is invoked, and later ends in one of
//! three ways; one that never ends (its client died, or the run was over) is like one of unknown outcome.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub type ClientId = u32;
/// Counts operations over all clients.
pub type OpNo = u64;
/// Login of an account: `reader1@sim.test`.
pub type Login = String;
/// A mailbox as clients call it. A mailbox that was deleted and made anew is another under the same name.
pub type Name = String;
pub type Uid = u32;
pub type UidValidity = u32;
pub type ModSeq = u64;

/// Why a session was lost that its client ended of its own accord.
pub const GOODBYE: &str = "ended by the client";

/// One attempt to get a mail in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt {
    pub mail: u32,
    pub attempt: u32,
}

/// What ends by itself in an account, if anything does within a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// How long it keeps a message.
    pub retention: Option<Duration>,
    /// When it ends itself, by a clock that is right: not before the first of these moments, nor after the second.
    pub ends: Option<(Duration, Duration)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Virtual time since the start of the run.
    pub at: Duration,
    pub client: ClientId,
    /// The client's session: a number that goes up with every connection.
    pub session: u32,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Invoked {
        op: OpNo,
        call: Call,
    },
    Ended {
        op: OpNo,
        outcome: Outcome,
    },
    Saw(Sight),
    /// A session began on a node, or ended.
    Connected {
        node: String,
    },
    Lost {
        why: String,
    },
    /// The session was told what its protocol forbids: a finding, whatever else happened.
    Violated {
        rule: String,
    },
    /// The session asks for something to look at, now. What it sees from here to its next `Asked` is not older
    /// than this; a sight that follows no `Asked` may be of any age, and then proves less.
    Asked,
    /// The session waits to be told (IDLE), until its next event that is not [`Sight::Noticed`].
    Idling,
    /// What was asked for last was only whether there is news (NOOP), and this is the end of the answer: all of it
    /// has been recorded.
    Polled,
}

/// An operation that changes something.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// SMTP DATA, to these accounts' INBOXes.
    Submit {
        to: Vec<Login>,
        attempt: Attempt,
    },
    Append {
        login: Login,
        mailbox: Name,
        attempt: Attempt,
        flags: Vec<String>,
    },
    Store {
        login: Login,
        mailbox: Name,
        validity: UidValidity,
        uids: Vec<Uid>,
        change: FlagChange,
        unchanged_since: Option<ModSeq>,
    },
    Copy {
        login: Login,
        from: Name,
        validity: UidValidity,
        uids: Vec<Uid>,
        to: Name,
    },
    Move {
        login: Login,
        from: Name,
        validity: UidValidity,
        uids: Vec<Uid>,
        to: Name,
    },
    /// UID EXPUNGE, a POP3 QUIT after DELE, a DELETE of the API: these messages and no others may go.
    Expunge {
        login: Login,
        mailbox: Name,
        validity: Option<UidValidity>,
        uids: Vec<Uid>,
    },
    Create {
        login: Login,
        mailbox: Name,
    },
    Delete {
        login: Login,
        mailbox: Name,
    },
    Rename {
        login: Login,
        from: Name,
        to: Name,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub enum FlagChange {
    Add(Vec<String>),
    Remove(Vec<String>),
    Replace(Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Acknowledged(Reply),
    /// The server said that nothing was changed, and why: `451 4.3.2 ...`, `NO [UNAVAILABLE] ...`.
    Refused(String),
    /// The reply was lost, or said that it is not known.
    Unknown(String),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    Done,
    Appended {
        validity: UidValidity,
        uids: Vec<Uid>,
    },
    Copied {
        validity: UidValidity,
        from: Vec<Uid>,
        to: Vec<Uid>,
    },
    /// Modseqs that were told, and what was not changed since it had been changed.
    Stored {
        modseqs: BTreeMap<Uid, ModSeq>,
        modified: Vec<Uid>,
    },
    Expunged {
        uids: Vec<Uid>,
    },
}

/// A message as it was shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    pub uid: Uid,
    pub modseq: Option<ModSeq>,
    /// Sorted, without `\Recent`.
    pub flags: Option<Vec<String>>,
    /// Which attempt its bytes say it is, when they were asked for; and whether all bytes were those sent.
    pub attempt: Option<Attempt>,
    pub intact: Option<bool>,
}

/// A part of a mailbox: its newest messages below some UID.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Messages from here on stand on earlier pages; `None`: this is the first.
    pub below: Option<Uid>,
    pub uids: Vec<Uid>,
    /// There is a page with older ones.
    pub more: bool,
}

impl Page {
    /// Whether a message of this UID would have to be on it.
    pub fn covers(&self, uid: Uid) -> bool {
        let oldest = self.uids.iter().min().filter(|_| self.more);
        self.below.is_none_or(|below| uid < below) && oldest.is_none_or(|oldest| uid >= *oldest)
    }
}

/// Something that a client was shown, in a session that has a mailbox selected or by other means.
#[derive(Debug, Clone, PartialEq)]
pub enum Sight {
    /// SELECT or EXAMINE. `at` begins a view: what follows in this session is about it, until the next or `Lost`.
    Selected {
        login: Login,
        mailbox: Name,
        validity: UidValidity,
        uid_next: Uid,
        highest_modseq: ModSeq,
        exists: u32,
    },
    /// All messages of a mailbox at one moment that lies between these two operations' invocation and end.
    /// `since`: when the listing was asked for.
    Listed { login: Login, mailbox: Name, validity: UidValidity, since: Duration, messages: Vec<Shown> },
    /// Some messages, by UID.
    Fetched { login: Login, mailbox: Name, validity: UidValidity, messages: Vec<Shown> },
    /// What a session was told without asking, as UIDs: new messages, changed flags, messages that are gone.
    Noticed {
        login: Login,
        mailbox: Name,
        validity: UidValidity,
        new: Vec<Shown>,
        changed: Vec<Shown>,
        gone: Vec<Uid>,
    },
    /// What QRESYNC or CHANGEDSINCE answered: complete from `since` to `upto`, if it is not a lie.
    Changed {
        login: Login,
        mailbox: Name,
        validity: UidValidity,
        since: ModSeq,
        upto: ModSeq,
        changed: Vec<Shown>,
        gone: Vec<Uid>,
    },
    /// STATUS.
    Status {
        login: Login,
        mailbox: Name,
        validity: UidValidity,
        uid_next: Uid,
        highest_modseq: ModSeq,
        exists: u32,
    },
    /// LIST.
    Mailboxes { login: Login, since: Duration, names: Vec<Name> },
    /// The unique ids of a POP3 listing: UIDVALIDITY and UID.
    Maildrop { login: Login, since: Duration, messages: Vec<(UidValidity, Uid)> },
    /// A page of the list of the web or API, the newest message first.
    Web { login: Login, since: Duration, mailbox: Name, page: Page },
    /// The time a hint took to wake an idle session, from the acknowledgement of the mail.
    Woken { login: Login, after: Duration },
}

/// Collects events. Cheap to clone; all clones are one history.
#[derive(Debug, Clone, Default)]
pub struct History {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    events: Vec<Event>,
    ops: OpNo,
}

impl History {
    pub fn record(&self, event: Event) {
        self.inner.lock().expect("no holder of the lock panics").events.push(event);
    }

    /// Records an invocation, to be ended with the number this answers.
    pub fn invoke(&self, at: Duration, client: ClientId, session: u32, call: Call) -> OpNo {
        let mut inner = self.inner.lock().expect("no holder of the lock panics");
        inner.ops += 1;
        let op = inner.ops;
        inner.events.push(Event { at, client, session, what: What::Invoked { op, call } });
        op
    }

    pub fn end(&self, at: Duration, client: ClientId, session: u32, op: OpNo, outcome: Outcome) {
        self.record(Event { at, client, session, what: What::Ended { op, outcome } });
    }

    pub fn events(&self) -> Vec<Event> {
        self.inner.lock().expect("no holder of the lock panics").events.clone()
    }
}
