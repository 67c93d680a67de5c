//! The program that fetches mail by POP3: lists its maildrop, reads some messages, deletes some of those (RFC 1939).
//!
//! It logs in by SCRAM (RFC 5034), since no password may cross a network that is not encrypted.

use super::scram::Scram;
use super::{Client, Door, Fault, Wire, now};
use crate::history::*;
use rand::RngExt;
use std::time::Duration;

pub struct Fetcher {
    pub client: Client,
    pub login: Login,
    /// Longest pause between two sessions.
    pub pace: Duration,
}

/// A session whose maildrop is open.
pub struct Session {
    wire: Wire,
    login: Login,
}

/// A line of UIDL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub number: u32,
    pub validity: UidValidity,
    pub uid: Uid,
}

impl Fetcher {
    pub async fn run(mut self) {
        while self.client.think(self.pace).await {
            match self.session().await {
                // Another session may have the maildrop.
                Ok(()) | Err(Fault::Refused(_)) => {}
                Err(Fault::Lost(why)) => self.client.note(What::Lost { why }),
            }
        }
    }

    async fn session(&mut self) -> Result<(), Fault> {
        let client = &mut self.client;
        let mut session = Session::open(client, &self.login).await?;
        let mut entries = session.list(client).await?;
        let (mut marked, mut reads) = (Vec::new(), client.rng.random_range(0..4));
        while reads > 0 && !entries.is_empty() && !client.stopping() {
            reads -= 1;
            let entry = entries.swap_remove(client.rng.random_range(0..entries.len()));
            let there = session.retrieve(client, entry).await?;
            if there && client.rng.random_bool(0.4) {
                session.ask(&format!("DELE {}", entry.number)).await?;
                marked.push(entry);
            }
        }
        session.quit(client, &marked).await
    }
}

impl Session {
    /// Connects and logs in. Refused while another session has the maildrop.
    pub async fn open(client: &mut Client, login: &str) -> Result<Self, Fault> {
        let mut session = Session { wire: client.connect(Door::Pop3).await?, login: login.to_owned() };
        session.reply().await.map_err(lost)?;
        let nonce = client.rng.random();
        let mut scram = Scram::new(client.shared.keys.clone(), login, &client.password(login), nonce);
        let mut line = session.ask_line(&format!("AUTH SCRAM-SHA-256 {}", scram.first())).await?;
        while let Some(challenge) = line.strip_prefix("+ ") {
            let answer = scram.answer(challenge).map_err(|rule| {
                client.violated(rule.clone());
                Fault::Lost(rule)
            })?;
            line = session.ask_line(&answer).await?;
        }
        judge(line)?;
        Ok(session)
    }

    /// UIDL of everything, written down.
    pub async fn list(&mut self, client: &mut Client) -> Result<Vec<Entry>, Fault> {
        let since = now();
        self.ask("UIDL").await?;
        let body = self.lines().await?;
        let listing = String::from_utf8_lossy(&body);
        let entries: Option<Vec<Entry>> = listing.lines().map(entry).collect();
        let entries = entries.ok_or_else(|| Fault::Lost(format!("no listing: {listing:.200}")))?;
        client.saw(Sight::Maildrop {
            login: self.login.clone(),
            since,
            messages: entries.iter().map(|entry| (entry.validity, entry.uid)).collect(),
        });
        Ok(entries)
    }

    /// Reads a message. Whether it is still there: another client may have deleted it since the login.
    async fn retrieve(&mut self, client: &mut Client, entry: Entry) -> Result<bool, Fault> {
        client.note(What::Asked);
        match self.ask(&format!("RETR {}", entry.number)).await {
            Err(Fault::Refused(_)) => return Ok(false),
            other => other?,
        }
        let body = self.lines().await?;
        let known = client.shared.mails.recognise(&body);
        client.saw(Sight::Fetched {
            login: self.login.clone(),
            mailbox: "INBOX".into(),
            validity: entry.validity,
            messages: vec![Shown {
                uid: entry.uid,
                modseq: None,
                flags: None,
                attempt: known.attempt,
                intact: Some(known.intact),
            }],
        });
        Ok(true)
    }

    /// RFC 1939 §6: only QUIT deletes what is marked.
    pub async fn quit(mut self, client: &mut Client, marked: &[Entry]) -> Result<(), Fault> {
        let op = marked.first().map(|first| {
            client.invoke(Call::Expunge {
                login: self.login.clone(),
                mailbox: "INBOX".into(),
                validity: Some(first.validity),
                uids: marked.iter().map(|entry| entry.uid).collect(),
            })
        });
        let quit = self.ask("QUIT").await;
        self.wire.close().await;
        if let Some(op) = op {
            client.end(
                op,
                match quit.clone() {
                    Ok(()) => Outcome::Acknowledged(Reply::Done),
                    // RFC 1939 §6: then some may have been removed.
                    Err(Fault::Refused(why) | Fault::Lost(why)) => Outcome::Unknown(why),
                },
            );
        }
        quit
    }

    async fn ask(&mut self, command: &str) -> Result<(), Fault> {
        judge(self.ask_line(command).await?)
    }

    async fn ask_line(&mut self, command: &str) -> Result<String, Fault> {
        self.wire.send(format!("{command}\r\n").as_bytes()).await?;
        self.line().await
    }

    async fn reply(&mut self) -> Result<(), Fault> {
        judge(self.line().await?)
    }

    async fn line(&mut self) -> Result<String, Fault> {
        Ok(String::from_utf8_lossy(&self.wire.line().await?).into_owned())
    }

    /// What follows `+OK` up to the dot (RFC 1939 §3).
    async fn lines(&mut self) -> Result<Vec<u8>, Fault> {
        let mut all = Vec::new();
        loop {
            let line = self.wire.line().await?;
            match line.strip_prefix(b".") {
                Some(b"") => return Ok(all),
                Some(stuffed) => all.extend_from_slice(stuffed),
                None => all.extend_from_slice(&line),
            }
            all.extend_from_slice(b"\r\n");
        }
    }
}

fn judge(line: String) -> Result<(), Fault> {
    match line.split(' ').next() {
        Some("+OK") => Ok(()),
        Some("-ERR") => Err(Fault::Refused(line)),
        _ => Err(Fault::Lost(format!("no reply: {line:?}"))),
    }
}

/// A session that is refused as a whole.
fn lost(fault: Fault) -> Fault {
    match fault {
        Fault::Refused(why) | Fault::Lost(why) => Fault::Lost(why),
    }
}

/// `1 7.42`: a number, UIDVALIDITY and UID.
fn entry(line: &str) -> Option<Entry> {
    let (number, id) = line.split_once(' ')?;
    let (validity, uid) = id.split_once('.')?;
    Some(Entry { number: number.parse().ok()?, validity: validity.parse().ok()?, uid: uid.parse().ok()? })
}
