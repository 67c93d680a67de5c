//! One session: executes commands against the store and answers them. Knows no sockets and no time-outs.

mod auth;
mod capa;
mod transaction;

use super::command::Command;
use super::maildrop::Maildrop;
use super::reply::{Code, Reply};
use crate::Services;
use crate::auth::{Exchange, Private};
use gadwall_storage::{Account, StoreError};
use std::net::IpAddr;
use std::sync::Arc;

/// What the driver does after a reply was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Reads a command.
    Command,
    /// Reads a line of a SASL exchange.
    SaslResponse,
    /// Encrypts the stream, then reads a command.
    StartTls,
    Close,
}

/// Whether the stream is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encrypted {
    Yes,
    No,
}

pub struct Session {
    services: Arc<Services>,
    peer: IpAddr,
    private: Private,
    encrypted: Encrypted,
    /// RFC 6856 §2.1.
    utf8: bool,
    /// Refused commands in a row.
    bad_commands: u32,
    state: State,
}

/// RFC 1939 §3, with the steps of a login apart.
enum State {
    Authorization {
        /// The name USER gave.
        login: Option<String>,
    },
    Sasl(Box<Exchange>),
    /// The exchange has succeeded, and the client has yet to say that it heard the server's last word.
    Proven(Box<Account>),
    Transaction {
        maildrop: Box<Maildrop>,
        account: Box<Account>,
    },
    /// After QUIT: nothing is held any more.
    Over,
}

const START: State = State::Authorization { login: None };

impl Session {
    pub fn new(services: Arc<Services>, peer: IpAddr, private: Private, encrypted: Encrypted) -> Self {
        Self { services, peer, private, encrypted, utf8: false, bad_commands: 0, state: START }
    }

    pub fn greeting(&self) -> Reply {
        // RFC 1939 §7: no timestamp, so no APOP.
        Reply::ok(format!("{} POP3 server ready", self.services.hostname))
    }

    pub fn is_authenticated(&self) -> bool {
        matches!(self.state, State::Transaction { .. })
    }

    /// The connection has ended, however it did.
    pub async fn end(&mut self) {
        if let State::Transaction { maildrop, .. } = std::mem::replace(&mut self.state, State::Over) {
            maildrop.release().await;
        }
    }

    /// Executes one command line.
    pub async fn line(&mut self, line: &[u8]) -> (Reply, Next) {
        let answer = match Command::parse(line) {
            Ok(command) => self.execute(command).await,
            Err(e) => (Reply::bad(e.to_string()), Next::Command),
        };
        self.count(answer)
    }

    /// The client's answer to a challenge.
    pub async fn sasl_response(&mut self, line: &[u8]) -> (Reply, Next) {
        let answer = self.sasl_line(line).await;
        self.count(answer)
    }

    pub fn line_too_long(&mut self) -> (Reply, Next) {
        if matches!(self.state, State::Sasl(_) | State::Proven(_)) {
            self.state = START;
        }
        self.count((Reply::bad("that line is too long"), Next::Command))
    }

    /// The stream is encrypted now. RFC 2595 §4: nothing said before counts.
    pub fn encrypted(&mut self) {
        self.private = Private::Yes;
        self.encrypted = Encrypted::Yes;
        self.state = START;
    }

    async fn execute(&mut self, command: Command) -> (Reply, Next) {
        let reply = match (command, &self.state) {
            (Command::Capa, _) => self.capabilities(),
            (Command::Quit, _) => return (self.quit().await, Next::Close),
            (Command::Apop, _) => Reply::bad("APOP is not offered, log in with AUTH SCRAM-SHA-256"),
            (Command::User(_) | Command::Pass(_) | Command::Auth(_), State::Transaction { .. }) => {
                Reply::bad("you are logged in already")
            }
            (Command::Stls | Command::Utf8, State::Transaction { .. }) => {
                Reply::bad("that is possible before the login only")
            }
            (Command::User(login), _) => self.user(login),
            (Command::Pass(password), _) => self.pass(&password.0).await,
            (Command::Auth(None), _) => self.mechanism_list(),
            (Command::Auth(Some(start)), _) => return self.auth(start).await,
            (Command::Stls, _) => return self.stls(),
            (Command::Utf8, _) => {
                self.utf8 = true;
                Reply::ok("UTF-8 from now on")
            }
            (command, State::Transaction { .. }) => self.transaction(command).await,
            _ => Reply::bad("log in first, with USER and PASS or with AUTH"),
        };
        (reply, Next::Command)
    }

    fn stls(&mut self) -> (Reply, Next) {
        let refuse = |text| (Reply::bad(text), Next::Command);
        if self.encrypted == Encrypted::Yes {
            return refuse("the connection is encrypted already");
        }
        if self.services.tls.is_none() {
            return refuse("this server has no certificate, so it cannot encrypt");
        }
        // RFC 6856 §2.1.
        if self.utf8 {
            return refuse("STLS comes before UTF8");
        }
        (Reply::ok("begin TLS negotiation"), Next::StartTls)
    }

    /// RFC 1939 §6. The answer promises that what was marked is gone, so it waits for the store.
    async fn quit(&mut self) -> Reply {
        let State::Transaction { maildrop, .. } = std::mem::replace(&mut self.state, State::Over) else {
            return Reply::ok("goodbye");
        };
        let updated = maildrop.update(&*self.services.store, self.services.env.op()).await;
        // Before the client hears of it and comes again.
        maildrop.release().await;
        match updated {
            Ok(0) => Reply::ok("goodbye"),
            Ok(1) => Reply::ok("1 message deleted, goodbye"),
            Ok(count) => Reply::ok(format!("{count} messages deleted, goodbye")),
            Err(StoreError::Unavailable { outcome_unknown: true, reason, .. }) => {
                tracing::warn!(error = reason, "unknown whether messages were deleted");
                let text = "it is not known whether the messages were deleted, log in again to see";
                Reply::Err(Some(Code::SysTemp), text.into())
            }
            Err(e) => Reply::store(&e),
        }
    }

    /// Ends the connection of a client that says nothing but nonsense.
    fn count(&mut self, (reply, next): (Reply, Next)) -> (Reply, Next) {
        match reply {
            Reply::Ok(_) | Reply::Lines(..) | Reply::Message(_) => self.bad_commands = 0,
            Reply::Bad(..) => self.bad_commands += 1,
            Reply::Err(..) | Reply::Challenge(_) => {}
        }
        if self.bad_commands < self.services.limits.bad_commands.max(1) || next == Next::Close {
            return (reply, next);
        }
        self.state = State::Over;
        (Reply::bad("too many commands in a row failed, goodbye"), Next::Close)
    }
}
