//! Connections, the mailboxes as they must be, and what makes sure that the one tells of the other.

use super::answer::{code_number, refused};
use super::changes::Store;
use super::command::{Command, ENABLED, MAILBOXES, Step};
use super::mailbox::Mailbox;
use crate::world::World;
use gadwall_conformance::picture::{Fetched, Picture};
use gadwall_conformance::{Answer, Talk, Untagged};
use std::fmt::Write as _;

pub type Outcome = Result<(), String>;
pub type Told = Vec<(Option<u32>, Fetched)>;

/// How many messages there are when a play begins.
const MESSAGES: usize = 4;

/// A connection and what it knows.
pub struct Connection {
    pub talk: Talk,
    pub selected: Option<Selected>,
    /// What it knew when it left, for coming back.
    pub left: Option<Selected>,
    /// The tag of an IDLE that is under way.
    pub idle: Option<String>,
    pub has_modseqs: bool,
    pub has_qresync: bool,
}

#[derive(Clone)]
pub struct Selected {
    pub mailbox: usize,
    pub examines: bool,
    pub picture: Picture,
    pub uidvalidity: u64,
    /// Up to where it was told everything.
    pub modseq: u64,
}

impl Selected {
    /// The messages in the places that the bits choose: number and UID.
    fn at(&self, places: u16) -> Vec<(u32, u32)> {
        let chosen = (1..).zip(&self.picture.0).filter(|(n, _)| places >> ((n - 1) % 16) & 1 == 1);
        chosen.filter_map(|(n, known)| Some((n, known.uid?))).collect()
    }
}

/// A play of some connections and one more that only looks.
pub struct Play {
    pub(super) connections: Vec<Connection>,
    probe: Talk,
    pub(super) mailboxes: [Mailbox; MAILBOXES.len()],
    pub(super) texts: u32,
    pub(super) tags: u32,
}

impl Play {
    pub async fn new() -> Result<Play, String> {
        let world = World::new().await;
        let mut connections = Vec::new();
        for (name, enabled) in ["a", "b", "c"].into_iter().zip(ENABLED) {
            let mut talk = dial(&world, name).await?;
            if !enabled.is_empty() {
                talk.expect_ok(&format!("ENABLE {enabled}")).await?;
            }
            connections.push(Connection {
                talk,
                selected: None,
                left: None,
                idle: None,
                has_modseqs: !enabled.is_empty(),
                has_qresync: enabled == "QRESYNC",
            });
        }
        let probe = dial(&world, "p").await?;
        Ok(Play { connections, probe, mailboxes: Default::default(), texts: 0, tags: 0 })
    }

    /// Plays all of it; what is wrong comes with what was said until then.
    pub async fn run(mut self, steps: &[Step]) -> Outcome {
        let played = self.play(steps).await;
        played.map_err(|mut why| {
            for connection in &self.connections {
                let _ = write!(why, "\n\n{}", connection.talk.transcript());
            }
            let _ = write!(why, "\n\n{}", self.probe.transcript());
            why
        })
    }

    async fn play(&mut self, steps: &[Step]) -> Outcome {
        self.append(0, 0, 0, MESSAGES).await?;
        self.look().await?;
        for who in 0..self.connections.len() {
            self.select(who, 0, false).await?;
        }
        for Step { who, command } in steps {
            self.rise(*who).await?;
            self.mailboxes.iter_mut().for_each(|mailbox| {
                mailbox.changed.clear();
                mailbox.touched.clear();
            });
            self.one(*who, command).await.map_err(|why| format!("{command:?} of {who}: {why}"))?;
            self.look().await.map_err(|why| format!("after {command:?} of {who}: {why}"))?;
        }
        for who in 0..self.connections.len() {
            self.rise(who).await?;
            self.noop(who).await.map_err(|why| format!("in the end, {who}: {why}"))?;
        }
        Ok(())
    }

    async fn one(&mut self, who: usize, command: &Command) -> Outcome {
        let Some(selected) = self.connections[who].selected.clone() else {
            return match command {
                Command::Append { to, flags, count } => self.append(who, *to, *flags, *count).await,
                Command::Select { mailbox, examines } => self.select(who, *mailbox, *examines).await,
                Command::Resync { says } => self.resync(who, *says).await,
                _ => Ok(()),
            };
        };
        match command {
            Command::Append { to, flags, count } => self.append(who, *to, *flags, *count).await,
            Command::Store { .. } | Command::Expunge | Command::UidExpunge { .. } if selected.examines => {
                let text = match command {
                    Command::Store { .. } => "UID STORE 1:* +FLAGS (\\Deleted)",
                    Command::Expunge => "EXPUNGE",
                    _ => "UID EXPUNGE 1:*",
                };
                let answer = self.connections[who].talk.command(text, &[]).await?;
                self.take_in(who, &answer).await?;
                refused(&answer, "the mailbox is examined only")
            }
            Command::Store { places, by_uid, how, flags, silent, since } => {
                let named = &selected.at(*places);
                let (by_uid, how, bits, silent, since) = (*by_uid, *how, *flags, *silent, *since);
                self.store(who, &selected, &Store { named, by_uid, how, bits, silent, since }).await
            }
            Command::Expunge => self.expunge(who, &selected, None).await,
            Command::UidExpunge { places } => {
                let named = selected.at(*places).into_iter().map(|(_, uid)| uid).collect();
                self.expunge(who, &selected, Some(named)).await
            }
            Command::Transfer { places, by_uid, to, moves } => {
                let named = selected.at(*places);
                self.transfer(who, &selected, &named, *by_uid, *to, *moves).await
            }
            Command::Fetch { places, by_uid, what } => {
                let named = selected.at(*places);
                self.fetch(who, &selected, &named, *by_uid, *what).await
            }
            Command::Search { by_uid, flag, is_set } => {
                self.search(who, &selected, *by_uid, *flag, *is_set).await
            }
            Command::Noop => self.noop(who).await,
            Command::Select { mailbox, examines } => self.select(who, *mailbox, *examines).await,
            Command::Resync { .. } | Command::Unselect => {
                let answer = self.connections[who].talk.expect_ok("UNSELECT").await?;
                self.hear(who, &answer.untagged)?;
                let connection = &mut self.connections[who];
                connection.left = connection.selected.take();
                Ok(())
            }
            Command::Close => {
                self.connections[who].talk.expect_ok("CLOSE").await?;
                self.connections[who].selected = None;
                if !selected.examines {
                    self.mailboxes[selected.mailbox].expunge(|_| true);
                }
                Ok(())
            }
            Command::Idle => self.idle(who).await,
        }
    }

    /// Takes in what a connection is told. Flags that it is told are those that there are (RFC 3501 §7.4.2).
    pub(super) fn hear(&mut self, who: usize, untagged: &[Untagged]) -> Result<Told, String> {
        let Some(selected) = &mut self.connections[who].selected else { return Ok(Told::new()) };
        let told = selected.picture.hear(untagged)?;
        let mailbox = &self.mailboxes[selected.mailbox];
        for (uid, fetched) in &told {
            let Some(message) = uid.and_then(|uid| mailbox.messages.get(&uid)) else { continue };
            if fetched.known.flags.as_ref().is_some_and(|told| *told != message.flags) {
                return Err(format!("of UID {uid:?} it is told {fetched:?}, and there is {message:?}"));
            }
        }
        Ok(told)
    }

    /// As [`Self::hear`], and then asks of each message that it knows nothing of.
    pub(super) async fn take_in(&mut self, who: usize, answer: &Answer) -> Result<Told, String> {
        let told = self.hear(who, &answer.untagged)?;
        if let Some(selected) = &mut self.connections[who].selected {
            selected.modseq = selected.modseq.max(code_number(answer, "HIGHESTMODSEQ").unwrap_or_default());
        }
        self.ask(who).await.map(|()| told)
    }

    /// Asks of each message that it knows nothing of.
    pub(super) async fn ask(&mut self, who: usize) -> Outcome {
        let connection = &mut self.connections[who];
        let Some(selected) = &connection.selected else { return Ok(()) };
        let Some(first) =
            selected.picture.0.iter().position(|known| known.uid.is_none() || known.flags.is_none())
        else {
            return Ok(());
        };
        let items = if connection.has_modseqs { "UID FLAGS MODSEQ" } else { "UID FLAGS" };
        let answer = connection.talk.expect_ok(&format!("FETCH {}:* ({items})", first + 1)).await?;
        self.hear(who, &answer.untagged).map(|_| ())
    }

    /// Looks at the mailboxes with other eyes: they are what they must be, and modseqs have risen where they must.
    async fn look(&mut self) -> Outcome {
        for (name, mailbox) in MAILBOXES.into_iter().zip(&mut self.mailboxes) {
            let wrong = |why: String| format!("{name}: {why}");
            let answer = self.probe.expect_ok(&format!("EXAMINE {name} (CONDSTORE)")).await?;
            let highest = code_number(&answer, "HIGHESTMODSEQ").ok_or("HIGHESTMODSEQ is missing")?;
            if code_number(&answer, "UIDNEXT") != Some(u64::from(mailbox.next)) {
                return Err(wrong(format!("UIDNEXT is not {}", mailbox.next)));
            }
            let mut picture = Picture::default();
            picture.hear(&answer.untagged)?;
            if !picture.0.is_empty() {
                let answer = self.probe.expect_ok("FETCH 1:* (UID FLAGS MODSEQ)").await?;
                picture.hear(&answer.untagged)?;
            }
            let uids: Vec<_> = mailbox.uids().into_iter().map(Some).collect();
            if picture.uids() != uids {
                return Err(wrong(format!("there should be {uids:?}, there are {:?}", picture.uids())));
            }
            for (known, (uid, message)) in picture.0.into_iter().zip(&mut mailbox.messages) {
                let modseq = known.modseq.unwrap_or_default();
                let is_right = if mailbox.changed.contains(uid) {
                    modseq > mailbox.highest
                } else if mailbox.touched.contains(uid) {
                    modseq > mailbox.highest || modseq == message.modseq
                } else {
                    modseq == message.modseq
                };
                if known.flags.as_ref() != Some(&message.flags) || !is_right || modseq > highest {
                    let before = mailbox.highest;
                    return Err(wrong(format!("{message:?} is {known:?}; before, {before} was the highest")));
                }
                message.modseq = modseq;
            }
            if highest < mailbox.highest {
                return Err(wrong(format!("HIGHESTMODSEQ falls from {} to {highest}", mailbox.highest)));
            }
            mailbox.highest = highest;
        }
        Ok(())
    }
}

async fn dial(world: &World, name: &str) -> Result<Talk, String> {
    let (conn, client) = world.connection();
    tokio::spawn(gadwall::imap::serve(conn, world.services.clone()));
    let mut talk = Talk::new(Box::new(client), name);
    talk.line().await?;
    talk.expect_ok("LOGIN ann@example.org secret").await?;
    Ok(talk)
}
