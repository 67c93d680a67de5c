//! Executes commands: RFC 5321's state machine over the store. Knows no stream; says through [`Next`] what the
//! driver is to do.

mod auth;
mod deliver;
mod refusal;

use super::delivery::{self, Content, Target, Transaction};
use super::reply::Reply;
use super::trace::Trace;
use super::{Command, CommandError, Path, Role};
use crate::Services;
use crate::auth::{Exchange, Private, mechanisms};
use crate::net::TlsInfo;
use gadwall_storage::{Account, AccountId};
use refusal::{
    delivered, full_for_now, no_transaction, not_ascii, over_quota, refusal_of, refused, store_refusal,
    too_large,
};
use std::net::SocketAddr;
use std::sync::Arc;

/// Commands in a row that lead to no mail before the client is sent away.
const IDLE_COMMANDS: u32 = 500;

/// What follows a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Command,
    /// The next line answers an AUTH challenge.
    AuthResponse,
    /// Content up to CRLF.CRLF.
    Data,
    /// So many octets of content, to be kept or (when there is no transaction for them) skipped.
    Chunk {
        len: u64,
        last: bool,
    },
    StartTls,
    Close,
}

/// One client's dialogue.
pub struct Session {
    services: Arc<Services>,
    role: Role,
    peer: SocketAddr,
    connection: u64,
    private: Private,
    tls: Option<TlsInfo>,
    helo: Option<Hello>,
    account: Option<AccountId>,
    /// The login name, once authenticated.
    login: Option<String>,
    exchange: Option<Exchange>,
    /// Proven, once the client has taken SCRAM's last message.
    proven: Option<Box<Account>>,
    transaction: Option<Transaction>,
    bad: u32,
    idle: u32,
}

struct Hello {
    name: String,
    extended: bool,
}

/// Who is at the other end.
pub struct Peer {
    pub address: SocketAddr,
    pub connection: u64,
    pub private: Private,
    pub tls: Option<TlsInfo>,
}

impl Session {
    pub fn new(services: Arc<Services>, role: Role, peer: Peer) -> Self {
        let account = role.default_account();
        Self {
            services,
            role,
            peer: peer.address,
            connection: peer.connection,
            private: peer.private,
            tls: peer.tls,
            helo: None,
            account,
            login: None,
            exchange: None,
            proven: None,
            transaction: None,
            bad: 0,
            idle: 0,
        }
    }

    pub fn greeting(&self) -> Reply {
        let protocol = if self.role == Role::Lmtp { "LMTP" } else { "ESMTP" };
        Reply::plain(220, format!("{} {protocol} Gadwall", self.services.hostname))
    }

    pub fn is_authenticated(&self) -> bool {
        self.account.is_some() || !matches!(self.role, Role::Submission { .. })
    }

    /// Whether a message is on its way, in chunks.
    pub fn is_receiving(&self) -> bool {
        self.transaction.as_ref().is_some_and(|t| t.content.is_some())
    }

    /// Whether nothing has been said of a next message.
    pub fn is_between_messages(&self) -> bool {
        self.transaction.is_none()
    }

    /// RFC 3207 §4.2: after the handshake nothing said before counts, a login included.
    pub fn encrypted(&mut self, tls: TlsInfo) {
        self.tls = Some(tls);
        self.private = Private::Yes;
        self.helo = None;
        self.transaction = None;
        self.account = self.role.default_account();
        self.login = None;
    }

    /// Executes one line.
    pub async fn line(&mut self, line: &[u8]) -> (Reply, Next) {
        let (reply, next) = match Command::parse(line) {
            Ok(command) => self.command(command).await,
            // Going on would take content for commands.
            Err(error @ CommandError::BadChunk) => (refusal_of(&error), Next::Close),
            Err(error) => (refusal_of(&error), Next::Command),
        };
        self.count(reply, next)
    }

    /// A line that was too long to be looked at.
    pub fn line_too_long(&mut self) -> (Reply, Next) {
        self.exchange = None;
        self.proven = None;
        self.count(Reply::new(500, "5.5.6", "Line too long"), Next::Command)
    }

    /// Sends those away who get nothing right, or do nothing.
    fn count(&mut self, reply: Reply, next: Next) -> (Reply, Next) {
        self.bad = if reply.is_clients_fault() { self.bad + 1 } else { self.bad };
        self.idle = if next == Next::Command { self.idle + 1 } else { self.idle };
        if next == Next::Close {
            return (reply, next);
        }
        if self.bad >= self.services.limits.bad_commands {
            return (Reply::new(421, "4.7.0", "Too many errors, closing the connection"), Next::Close);
        }
        if self.idle >= IDLE_COMMANDS + self.services.limits.recipients as u32 {
            return (Reply::new(421, "4.7.0", "Too many commands without mail"), Next::Close);
        }
        (reply, next)
    }

    async fn command(&mut self, command: Command) -> (Reply, Next) {
        let reply = match command {
            Command::Helo(name) | Command::Ehlo(name) if self.role == Role::Lmtp => {
                drop(name);
                // RFC 2033 §4.1.
                Reply::new(500, "5.5.1", "This is LMTP: say LHLO")
            }
            Command::Lhlo(_) if self.role != Role::Lmtp => Reply::new(500, "5.5.1", "This is SMTP: say EHLO"),
            Command::Helo(name) => {
                self.hello(Hello { name, extended: false });
                Reply::plain(250, self.services.hostname.clone())
            }
            Command::Ehlo(name) | Command::Lhlo(name) => {
                self.hello(Hello { name, extended: true });
                Reply::lines(250, self.extensions())
            }
            Command::StartTls => return self.start_tls(),
            Command::Auth { mechanism, initial_response } => {
                return self.auth(&mechanism, initial_response.as_deref()).await;
            }
            Command::Mail(path) => self.mail(path).await,
            Command::Rcpt(path) => self.rcpt(path).await,
            Command::Data => return self.data(),
            Command::Bdat { len, last } => return self.chunk(len, last),
            Command::Rset => {
                self.transaction = None;
                Reply::new(250, "2.0.0", "Ok")
            }
            Command::Noop => Reply::new(250, "2.0.0", "Ok"),
            // RFC 5321 §3.5.3: who exists is nobody's business.
            Command::Vrfy => Reply::new(252, "2.0.0", "Send mail and see"),
            Command::Expn => Reply::new(502, "5.5.1", "EXPN is not offered"),
            Command::Help => {
                Reply::new(214, "2.0.0", "EHLO MAIL RCPT DATA BDAT AUTH STARTTLS RSET NOOP QUIT")
            }
            Command::Quit => return (Reply::new(221, "2.0.0", "Bye"), Next::Close),
        };
        (reply, Next::Command)
    }

    fn hello(&mut self, hello: Hello) {
        self.helo = Some(hello);
        self.transaction = None;
    }

    fn extensions(&self) -> Vec<String> {
        let limits = &self.services.limits;
        let mut lines = vec![
            self.services.hostname.clone(),
            "PIPELINING".into(),
            "8BITMIME".into(),
            "SMTPUTF8".into(),
            "CHUNKING".into(),
            "BINARYMIME".into(),
            "DSN".into(),
            "ENHANCEDSTATUSCODES".into(),
            format!("SIZE {}", limits.message_bytes),
            // RFC 9422.
            format!("LIMITS RCPTMAX={}", limits.recipients),
        ];
        if matches!(self.role, Role::Submission { .. }) {
            lines.push(format!("AUTH {}", mechanisms(self.private).join(" ")));
        }
        if self.services.tls.is_some() && self.tls.is_none() {
            lines.push("STARTTLS".into());
        }
        lines
    }

    fn start_tls(&mut self) -> (Reply, Next) {
        if self.tls.is_some() {
            (Reply::new(503, "5.5.1", "TLS is active already"), Next::Command)
        } else if self.services.tls.is_none() {
            (Reply::new(502, "5.5.1", "STARTTLS is not offered: no certificate is configured"), Next::Command)
        } else {
            (Reply::new(220, "2.0.0", "Go ahead"), Next::StartTls)
        }
    }

    async fn mail(&mut self, from: Path) -> Reply {
        if self.helo.is_none() {
            return Reply::new(503, "5.5.1", "Say EHLO first");
        }
        if self.transaction.is_some() {
            return Reply::new(503, "5.5.1", "A transaction is open already: RSET ends it");
        }
        if !self.is_authenticated() {
            return Reply::new(530, "5.7.0", "Authentication required");
        }
        let limit = self.services.limits.message_bytes;
        if from.size > limit {
            return too_large(limit);
        }
        if !from.utf8 && !from.address.is_ascii() {
            return not_ascii();
        }
        if let Some(refusal) = self.sender_refused(from.size).await {
            return refusal;
        }
        self.transaction = Some(Transaction { from, recipients: Vec::new(), content: None });
        Reply::new(250, "2.1.0", "Ok")
    }

    /// Whether the submitting account is still there and has room for what was announced.
    async fn sender_refused(&self, size: u64) -> Option<Reply> {
        let Role::Submission { .. } = self.role else { return None };
        match self.services.store.account(self.account?).await {
            Ok(account) if account.used_bytes.saturating_add(size) > account.quota_bytes => {
                Some(over_quota())
            }
            Ok(_) => None,
            Err(e) => Some(store_refusal(&e)),
        }
    }

    async fn rcpt(&mut self, to: Path) -> Reply {
        let Some(transaction) = &self.transaction else {
            return Reply::new(503, "5.5.1", "Say MAIL first");
        };
        if transaction.content.is_some() {
            return Reply::new(503, "5.5.1", "The message has begun");
        }
        if transaction.recipients.len() >= self.services.limits.recipients {
            return Reply::new(452, "4.5.3", "Too many recipients");
        }
        if to.address.is_empty() {
            return Reply::new(501, "5.1.3", "A recipient needs an address");
        }
        if !transaction.from.utf8 && !to.address.is_ascii() {
            return not_ascii();
        }
        let size = transaction.from.size;
        let target = match self.role {
            Role::Submission { .. } => Target::Sender,
            Role::Exchanger | Role::Lmtp => match delivery::owner(&self.services, &to.address).await {
                Ok(Some(account)) if account.used_bytes.saturating_add(size) > account.quota_bytes => {
                    return full_for_now();
                }
                Ok(Some(account)) => Target::Account(Box::new(account)),
                Ok(None) => return Reply::new(550, "5.1.1", "No such address here"),
                Err(e) => return store_refusal(&e),
            },
        };
        if let Some(transaction) = &mut self.transaction {
            transaction.recipients.push((to, target));
        }
        Reply::new(250, "2.1.5", "Ok")
    }

    fn data(&mut self) -> (Reply, Next) {
        if let Some(refusal) = self.no_recipients() {
            return (refusal, Next::Command);
        }
        let trace = self.trace();
        let Some(transaction) = &mut self.transaction else { return (no_transaction(), Next::Command) };
        // RFC 3030 §2 and §3: DATA mixes neither with BDAT nor with BINARYMIME.
        if transaction.content.is_some() || transaction.from.binary {
            return (Reply::new(503, "5.5.1", "This message goes by BDAT"), Next::Command);
        }
        transaction.content = Some(Content::begin(&self.services.spool, &trace));
        (Reply::plain(354, "Send the message, end it with <CRLF>.<CRLF>"), Next::Data)
    }

    fn no_recipients(&self) -> Option<Reply> {
        match &self.transaction {
            None => Some(no_transaction()),
            Some(t) if t.recipients.is_empty() => {
                // RFC 5321 §3.3, RFC 2033 §4.2.
                Some(Reply::new(503, "5.5.1", "No valid recipients"))
            }
            Some(_) => None,
        }
    }

    /// BDAT: its octets follow at once, whatever the answer will be (RFC 3030 §2).
    fn chunk(&mut self, len: u64, last: bool) -> (Reply, Next) {
        if self.no_recipients().is_none() {
            let trace = self.trace();
            if let Some(transaction) = &mut self.transaction
                && transaction.content.is_none()
            {
                let mut content = Content::begin(&self.services.spool, &trace);
                content.chunked = true;
                transaction.content = Some(content);
            }
        }
        // Replaced by what chunk_done says.
        (Reply::plain(250, "Ok"), Next::Chunk { len, last })
    }

    fn trace(&self) -> String {
        let Some(transaction) = &self.transaction else { return String::new() };
        let helo = self.helo.as_ref();
        let id: [u8; 4] = self.services.env.entropy.bytes();
        let trace = Trace {
            mail_from: &transaction.from.address,
            recipient: match &transaction.recipients[..] {
                [(only, _)] => Some(&only.address),
                _ => None,
            },
            helo: helo.map_or("", |h| &h.name),
            extended: helo.is_some_and(|h| h.extended),
            utf8: transaction.from.utf8,
            peer: self.peer.ip(),
            tls: self.tls.as_ref(),
            hostname: &self.services.hostname,
            id: format!("{:x}-{:08x}", self.connection, u32::from_be_bytes(id)),
            now: self.services.env.clock.now(),
        };
        trace.lines(&self.role)
    }

    /// Takes content. Does nothing without a transaction: then it is skipped.
    pub fn content(&mut self, bytes: &[u8]) {
        if let Some(content) = self.transaction.as_mut().and_then(|t| t.content.as_mut()) {
            content.write(bytes);
        }
    }

    /// A chunk has come in whole: one reply, or LMTP's several after the last one.
    pub async fn chunk_done(&mut self, len: u64, last: bool) -> (Vec<Reply>, Next) {
        let mut replies = self.chunk_replies(len, last).await;
        let Some(reply) = replies.pop() else { return (replies, Next::Command) };
        // Chunks without a message, or of nothing at all, are commands that lead nowhere like others.
        let (reply, next) = self.count(reply, Next::Command);
        replies.push(reply);
        (replies, next)
    }

    async fn chunk_replies(&mut self, len: u64, last: bool) -> Vec<Reply> {
        if let Some(refusal) = self.no_recipients() {
            self.transaction = None;
            return vec![refusal];
        }
        if last {
            return self.message_done().await;
        }
        let content = self.transaction.as_ref().and_then(|t| t.content.as_ref());
        match content.and_then(Content::failure) {
            Some(e) => {
                let reply = store_refusal(e);
                self.transaction = None;
                vec![reply]
            }
            None => vec![Reply::new(250, "2.0.0", format!("{len} octets received"))],
        }
    }

    /// The message has come in whole. One reply; by LMTP, one for each recipient in order (RFC 2033 §4.2).
    pub async fn message_done(&mut self) -> Vec<Reply> {
        let Some(mut transaction) = self.transaction.take() else { return vec![no_transaction()] };
        let Some(content) = transaction.content.take() else { return vec![no_transaction()] };
        self.idle = 0;
        let count = if self.role == Role::Lmtp { transaction.recipients.len() } else { 1 };
        let staged = match delivery::finish(content, &self.role) {
            Ok(staged) => staged,
            Err(refusal) => return vec![refused(&refusal); count],
        };
        let replies = match self.role {
            Role::Submission { .. } => vec![self.submit(&transaction, staged).await],
            Role::Exchanger => vec![self.exchange_mail(&transaction, staged).await],
            Role::Lmtp => {
                let outcomes = self.deliver(&transaction, staged).await;
                outcomes.into_iter().map(|outcome| delivered(&outcome)).collect()
            }
        };
        if replies.iter().any(|r| r.code == 250) {
            self.bad = 0;
        }
        replies
    }
}
