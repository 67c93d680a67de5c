//! Senders. A mail that was not acknowledged is sent again (RFC 5321 §4.5.4.1), as a further attempt with a number of
//! its own: whatever then stands in a mailbox says which attempt it is.

use super::scram::Scram;
use super::{Client, Door, Fault, Wire};
use crate::history::*;
use rand::RngExt;
use std::time::Duration;

/// Attempts after which a sender gives a mail up.
const ATTEMPTS: u32 = 6;
/// Longest pause before another attempt.
const RETRY: Duration = Duration::from_secs(3);
/// Mails over one connection, at most.
const MAILS_PER_SESSION: u32 = 8;

/// Whom a sender sends to, and as whom.
#[derive(Debug, Clone, PartialEq)]
pub enum Role {
    /// A program under test with an account: all it sends is in that account's INBOX.
    Account(Login),
    /// One without credentials: all it sends is in the account for that.
    Anybody,
    /// Another server, with mail for one or several of these.
    Relay(Vec<Login>),
}

pub struct Sender {
    pub client: Client,
    pub role: Role,
    /// Longest pause between two mails.
    pub pace: Duration,
    session: Option<Session>,
}

/// What came of an attempt.
enum Attempted {
    Done,
    /// A permanent refusal.
    Never,
    /// To be tried again. Whether any of the mail was sent.
    Later {
        sent: bool,
    },
}

/// How a transaction is put on the wire.
struct Style {
    pipelined: bool,
    chunked: bool,
}

impl Sender {
    pub fn new(client: Client, role: Role, pace: Duration) -> Self {
        Self { client, role, pace, session: None }
    }

    /// Sends until it is told to stop.
    pub async fn run(mut self) {
        while self.client.think(self.pace).await {
            let to = self.draw_recipients();
            if !to.is_empty() {
                let mail = self.client.new_mail();
                self.send(mail, &to).await;
            }
        }
        if let Some(mut session) = self.session.take() {
            let _ = session.ask("QUIT").await;
            session.wire.close().await;
        }
    }

    fn draw_recipients(&mut self) -> Vec<Login> {
        match &self.role {
            Role::Account(login) => vec![login.clone()],
            Role::Anybody => self.client.shared.book.catchall().into_iter().collect(),
            Role::Relay(all) => {
                let mut to: Vec<Login> = all.clone();
                let count = self.client.rng.random_range(1..=to.len());
                while to.len() > count {
                    to.remove(self.client.rng.random_range(0..to.len()));
                }
                to
            }
        }
    }

    async fn send(&mut self, mail: u32, to: &[Login]) {
        let mut attempt = 1;
        for _ in 0..ATTEMPTS {
            match self.attempt(Attempt { mail, attempt }, to).await {
                Attempted::Done | Attempted::Never => return,
                Attempted::Later { sent } => attempt += u32::from(sent),
            }
            if !self.client.think(RETRY).await {
                return;
            }
        }
    }

    async fn attempt(&mut self, attempt: Attempt, to: &[Login]) -> Attempted {
        let (role, client) = (self.role.clone(), &mut self.client);
        if self.session.is_none() {
            match Session::open(client, &role).await {
                Ok(session) => self.session = Some(session),
                Err(Fault::Refused(_)) => return Attempted::Later { sent: false },
                Err(Fault::Lost(why)) => {
                    client.note(What::Lost { why });
                    return Attempted::Later { sent: false };
                }
            }
        }
        let Some(mut session) = self.session.take() else { return Attempted::Later { sent: false } };
        let (attempted, lost) = session.transaction(client, &role, (attempt, to)).await;
        session.mails += 1;
        match lost {
            Some(why) => client.note(What::Lost { why }),
            None if session.mails < MAILS_PER_SESSION => self.session = Some(session),
            None => {
                let _ = session.ask("QUIT").await;
                session.wire.close().await;
            }
        }
        attempted
    }
}

/// A reply, its lines joined.
#[derive(Debug, Clone)]
struct Reply {
    code: u16,
    text: String,
}

impl Reply {
    fn is_success(&self) -> bool {
        self.code / 100 == 2
    }

    fn whole(&self) -> String {
        format!("{} {}", self.code, self.text)
    }
}

struct Session {
    wire: Wire,
    mails: u32,
}

impl Session {
    async fn open(client: &mut Client, role: &Role) -> Result<Self, Fault> {
        let door = if matches!(role, Role::Relay(_)) { Door::Mx } else { Door::Smtp };
        let mut session = Session { wire: client.connect(door).await?, mails: 0 };
        session.reply().await.and_then(expect(220))?;
        session.ask("EHLO client.sim.test").await.and_then(expect(250))?;
        if let Role::Account(login) = role {
            session.authenticate(client, login).await?;
        }
        Ok(session)
    }

    /// RFC 4954 §4.
    async fn authenticate(&mut self, client: &mut Client, login: &str) -> Result<(), Fault> {
        let nonce = client.rng.random();
        let mut scram = Scram::new(client.shared.keys.clone(), login, &client.password(login), nonce);
        let mut reply = self.ask(&format!("AUTH SCRAM-SHA-256 {}", scram.first())).await?;
        while reply.code == 334 {
            let answer = scram.answer(&reply.text).map_err(|rule| {
                client.violated(rule.clone());
                Fault::Lost(rule)
            })?;
            reply = self.ask(&answer).await?;
        }
        // Where anything is accepted, a login that fails is as good as none; the mail would go elsewhere.
        if reply.text.contains("Anything is accepted") {
            client.denied(login);
            return Err(Fault::Lost(format!("the login of {login} was not believed")));
        }
        expect(235)(reply).map(|_| ())
    }

    /// One mail. What came of it, and whether the connection is of no more use.
    async fn transaction(
        &mut self,
        client: &mut Client,
        role: &Role,
        (attempt, to): (Attempt, &[Login]),
    ) -> (Attempted, Option<String>) {
        let style = Style { pipelined: client.rng.random(), chunked: client.rng.random_bool(0.3) };
        let mail = client.shared.mails.bytes(attempt);
        let addresses = match role {
            // Whoever is asked for: all of it is taken in.
            Role::Anybody => vec![format!("someone{}@elsewhere.test", client.rng.random_range(0..100))],
            _ => to.to_vec(),
        };
        let accepted = match self.envelope(to, &addresses, mail.len(), &style).await {
            Ok(Ok(accepted)) => accepted,
            Ok(Err(reply)) => {
                let end = Some(reply.whole()).filter(|_| style.pipelined || reply.code == 421);
                return (judge(&reply, false), end);
            }
            Err(fault) => return (Attempted::Later { sent: false }, Some(format!("{fault:?}"))),
        };
        let op = client.invoke(Call::Submit { to: accepted.clone(), attempt });
        let answered = match style.chunked {
            true => self.chunks(client, &mail).await,
            false => self.data(&mail).await,
        };
        match answered {
            Ok(reply) if reply.is_success() => {
                client.end(op, Outcome::Acknowledged(crate::history::Reply::Done));
                client.shared.acks.add(attempt);
                (Attempted::Done, None)
            }
            Ok(reply) => {
                // One reply for all recipients: some may have got it before another could not.
                let outcome = if accepted.len() > 1 { Outcome::Unknown } else { Outcome::Refused };
                client.end(op, outcome(reply.whole()));
                (judge(&reply, true), Some(reply.whole()))
            }
            Err(Fault::Lost(why) | Fault::Refused(why)) => {
                client.end(op, Outcome::Unknown(why.clone()));
                (Attempted::Later { sent: true }, Some(why))
            }
        }
    }

    /// MAIL, RCPT to each address and, unless chunks follow, DATA. Who gets the mail, or the refusal.
    async fn envelope(
        &mut self,
        to: &[Login],
        addresses: &[String],
        size: usize,
        style: &Style,
    ) -> Result<Result<Vec<Login>, Reply>, Fault> {
        let mut lines = vec![format!("MAIL FROM:<sender@sim.test> SIZE={size}")];
        lines.extend(addresses.iter().map(|address| format!("RCPT TO:<{address}>")));
        if !style.chunked {
            lines.push("DATA".into());
        }
        if style.pipelined {
            self.wire.send(format!("{}\r\n", lines.join("\r\n")).as_bytes()).await?;
        }
        let mut accepted = Vec::new();
        let mut refused = None;
        for (i, line) in lines.iter().enumerate() {
            if !style.pipelined {
                self.wire.send(format!("{line}\r\n").as_bytes()).await?;
            }
            let reply = self.reply().await?;
            match i.checked_sub(1).and_then(|i| to.get(i)) {
                Some(login) if reply.is_success() => accepted.push(login.clone()),
                None if reply.is_success() || reply.code == 354 => continue,
                _ if refused.is_none() => refused = Some(reply),
                _ => {}
            }
            if refused.is_some() && !style.pipelined {
                break;
            }
        }
        Ok(match refused {
            // All or nothing makes attempts easy to tell apart.
            Some(reply) => {
                // RFC 5321 §3.8: after 421 the server closes the connection.
                if !style.pipelined && reply.code != 421 {
                    let _ = self.ask("RSET").await?;
                }
                Err(reply)
            }
            None => Ok(accepted),
        })
    }

    /// RFC 5321 §4.5.2.
    async fn data(&mut self, mail: &[u8]) -> Result<Reply, Fault> {
        let mut stuffed = Vec::with_capacity(mail.len() + 64);
        for line in mail.split_inclusive(|b| *b == b'\n') {
            if line.starts_with(b".") {
                stuffed.push(b'.');
            }
            stuffed.extend_from_slice(line);
        }
        stuffed.extend_from_slice(b".\r\n");
        self.wire.send(&stuffed).await?;
        self.reply().await
    }

    /// RFC 3030 §2.
    async fn chunks(&mut self, client: &mut Client, mail: &[u8]) -> Result<Reply, Fault> {
        let split = client.rng.random_range(0..=mail.len());
        let (first, last) = mail.split_at(split);
        if !first.is_empty() {
            self.wire.send(format!("BDAT {}\r\n", first.len()).as_bytes()).await?;
            self.wire.send(first).await?;
            let reply = self.reply().await?;
            if !reply.is_success() {
                return Ok(reply);
            }
        }
        self.wire.send(format!("BDAT {} LAST\r\n", last.len()).as_bytes()).await?;
        self.wire.send(last).await?;
        self.reply().await
    }

    async fn ask(&mut self, line: &str) -> Result<Reply, Fault> {
        self.wire.send(format!("{line}\r\n").as_bytes()).await?;
        self.reply().await
    }

    async fn reply(&mut self) -> Result<Reply, Fault> {
        let mut texts = Vec::new();
        loop {
            let line = String::from_utf8_lossy(&self.wire.line().await?).into_owned();
            let (code, rest) = line.split_at_checked(3).unwrap_or((&line, ""));
            let code = code.parse().map_err(|_| Fault::Lost(format!("no reply: {line:?}")))?;
            texts.push(rest.get(1..).unwrap_or_default().to_owned());
            if !rest.starts_with('-') {
                return Ok(Reply { code, text: texts.join("\n") });
            }
        }
    }
}

/// RFC 5321 §4.2.1: 4yz is to be tried again, 5yz not.
fn judge(reply: &Reply, sent: bool) -> Attempted {
    if reply.code / 100 == 5 { Attempted::Never } else { Attempted::Later { sent } }
}

fn expect(code: u16) -> impl Fn(Reply) -> Result<Reply, Fault> {
    // A session that can't begin is begun anew.
    move |reply| if reply.code == code { Ok(reply) } else { Err(Fault::Lost(reply.whole())) }
}
