//! What all clients have in common: who they are, how they connect, and how they write down what happens.

use super::{Book, Keys, Mails, Wire};
use crate::history::*;
use gadwall::net::Net;
use rand::RngExt;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// What all clients of a run share.
#[derive(Clone)]
pub struct Shared {
    pub history: History,
    pub net: Arc<dyn Net>,
    pub mails: Mails,
    pub book: Book,
    pub keys: Keys,
    pub acks: Acks,
    /// Cancelled when clients shall end what they do, and begin nothing more.
    pub stop: CancellationToken,
    /// Set when there is no hurry any more: pauses are [`LEISURE`] times as long.
    pub leisure: Arc<AtomicBool>,
    /// How long one answer may take.
    pub patience: Duration,
}

/// By how much pauses are longer when there is no hurry.
const LEISURE: u32 = 4;

/// How long one answer may take by default: longer than a server needs to find out that its database does not answer.
const PATIENCE: Duration = Duration::from_secs(25);

impl Shared {
    /// What clients of a run of this seed share. They know no accounts yet.
    pub fn new(seed: u64, history: History, net: Arc<dyn Net>, stop: CancellationToken) -> Self {
        Self {
            history,
            net,
            mails: Mails::new(seed),
            book: Book::default(),
            keys: Keys::default(),
            acks: Acks::default(),
            stop,
            leisure: Arc::default(),
            patience: PATIENCE,
        }
    }
}

/// When attempts to get a mail in were acknowledged. All clones are one record.
#[derive(Clone, Default)]
pub struct Acks(Arc<Mutex<BTreeMap<Attempt, Duration>>>);

impl Acks {
    pub fn add(&self, attempt: Attempt) {
        self.0.lock().expect("no holder of the lock panics").insert(attempt, now());
    }

    /// How long ago that was.
    pub fn age(&self, attempt: Attempt) -> Option<Duration> {
        let at = self.0.lock().expect("no holder of the lock panics").get(&attempt).copied();
        at.map(|at| now().saturating_sub(at))
    }
}

/// The services of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Smtp,
    /// SMTP from other servers: to addresses that exist, without a login.
    Mx,
    Imap,
    Pop3,
    Http,
}

impl Door {
    pub fn port(self) -> u16 {
        let [smtp, imap, pop3, http] = crate::PORTS;
        match self {
            Door::Smtp => smtp,
            Door::Mx => crate::MX_PORT,
            Door::Imap => imap,
            Door::Pop3 => pop3,
            Door::Http => http,
        }
    }
}

/// Why a session could not go on, or a command did not succeed.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The connection is lost, or useless: what was asked for may or may not have happened.
    Lost(String),
    /// The server said no; the session goes on.
    Refused(String),
}

impl Fault {
    /// How an operation ended that this happened to.
    pub fn outcome(self) -> Outcome {
        match self {
            Fault::Lost(why) => Outcome::Unknown(why),
            Fault::Refused(why) => Outcome::Refused(why),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(e: io::Error) -> Self {
        Fault::Lost(e.to_string())
    }
}

/// A mailbox of an account.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    pub login: Login,
    pub mailbox: Name,
    pub validity: UidValidity,
}

/// One client.
pub struct Client {
    pub id: ClientId,
    pub session: u32,
    /// The host it connects to: the balancer, or a node.
    pub via: String,
    pub rng: StdRng,
    pub shared: Shared,
    mails: u32,
}

impl Client {
    pub fn new(id: ClientId, via: &str, rng: StdRng, shared: Shared) -> Self {
        Self { id, session: 0, via: via.to_owned(), rng, shared, mails: 0 }
    }

    /// Opens a session.
    pub async fn connect(&mut self, door: Door) -> Result<Wire, Fault> {
        self.session += 1;
        let patience = self.shared.patience;
        let dialling = self.shared.net.dial(&self.via, door.port());
        let dialled =
            timeout(patience, dialling).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match dialled {
            Ok(io) => {
                self.note(What::Connected { node: self.via.clone() });
                Ok(Wire::new(io, patience))
            }
            Err(e) => Err(Fault::Lost(format!("no connection: {e}"))),
        }
    }

    /// A number for a new mail, which no other client uses.
    pub fn new_mail(&mut self) -> u32 {
        self.mails += 1;
        self.id * 100_000 + self.mails
    }

    pub fn password(&self, login: &str) -> String {
        self.shared.book.password(login).unwrap_or_default()
    }

    /// Lets some time pass, unless it is time to stop: then false.
    pub async fn think(&mut self, longest: Duration) -> bool {
        let longest = if self.shared.leisure.load(Ordering::Relaxed) { longest * LEISURE } else { longest };
        let pause = longest.mul_f64(self.rng.random::<f64>());
        tokio::select! {
            biased;
            () = self.shared.stop.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }

    pub fn stopping(&self) -> bool {
        self.shared.stop.is_cancelled()
    }

    /// A login was refused. If its account ends by itself, it has ended, and nobody tries again: failures are counted
    /// against all who come from one address.
    pub fn denied(&self, login: &str) {
        if self.shared.book.ends(login) {
            self.shared.stop.cancel();
        }
    }

    /// Notes the end of a session.
    pub fn ended(&self, how: Result<(), Fault>) {
        self.note(What::Lost {
            why: match how {
                Ok(()) => GOODBYE.into(),
                Err(fault) => format!("{fault:?}"),
            },
        });
    }

    pub fn note(&self, what: What) {
        self.shared.history.record(Event { at: now(), client: self.id, session: self.session, what });
    }

    pub fn saw(&self, sight: Sight) {
        self.note(What::Saw(sight));
    }

    /// Something that the protocol forbids, whatever else has happened: a finding by itself.
    pub fn violated(&self, rule: impl Into<String>) {
        self.note(What::Violated { rule: rule.into() });
    }

    pub fn invoke(&self, call: Call) -> OpNo {
        self.shared.history.invoke(now(), self.id, self.session, call)
    }

    pub fn end(&self, op: OpNo, outcome: Outcome) {
        self.shared.history.end(now(), self.id, self.session, op, outcome);
    }
}

/// Virtual time since the start of the run.
pub fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}
