//! Connections, the mailboxes as they must be, and what makes sure that the one tells of the other.

use super::command::{Command, ENABLED, FLAGS, How, MAILBOXES, Says, Since, Step, What};
use super::mailbox::{Mailbox, flags};
use super::picture::{Fetched, Known, Picture, numbers};
use crate::world::World;
use gadwall_conformance::{Answer, Response, Talk, Untagged, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

type Outcome = Result<(), String>;
type Told = Vec<(Option<u32>, Fetched)>;

/// How many messages there are when a play begins.
const MESSAGES: usize = 4;

/// A connection and what it knows.
struct Connection {
    talk: Talk,
    selected: Option<Selected>,
    /// What it knew when it left, for coming back.
    left: Option<Selected>,
    /// The tag of an IDLE that is under way.
    idle: Option<String>,
    has_modseqs: bool,
    has_qresync: bool,
}

#[derive(Clone)]
struct Selected {
    mailbox: usize,
    examines: bool,
    picture: Picture,
    uidvalidity: u64,
    /// Up to where it was told everything.
    modseq: u64,
}

/// A play of some connections and one more that only looks.
pub struct Play {
    connections: Vec<Connection>,
    probe: Talk,
    mailboxes: [Mailbox; MAILBOXES.len()],
    texts: u32,
    tags: u32,
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
                let named = selected.picture.at(*places);
                let change = Change { how: *how, bits: *flags, silent: *silent, since: *since };
                self.store(who, &selected, &named, *by_uid, &change).await
            }
            Command::Expunge => self.expunge(who, &selected, None).await,
            Command::UidExpunge { places } => {
                let named = selected.picture.at(*places).into_iter().map(|(_, uid)| uid).collect();
                self.expunge(who, &selected, Some(named)).await
            }
            Command::Transfer { places, by_uid, to, moves } => {
                let named = selected.picture.at(*places);
                self.transfer(who, &selected, &named, *by_uid, *to, *moves).await
            }
            Command::Fetch { places, by_uid, what } => {
                let named = selected.picture.at(*places);
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
    fn hear(&mut self, who: usize, untagged: &[Untagged]) -> Result<Told, String> {
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
    async fn take_in(&mut self, who: usize, answer: &Answer) -> Result<Told, String> {
        let told = self.hear(who, &answer.untagged)?;
        if let Some(code) = code(answer, "HIGHESTMODSEQ")
            && let (Some(modseq), Some(selected)) =
                (code.get(1).and_then(Value::number), &mut self.connections[who].selected)
        {
            selected.modseq = selected.modseq.max(modseq);
        }
        self.ask(who).await.map(|()| told)
    }

    /// Asks of each message that it knows nothing of.
    async fn ask(&mut self, who: usize) -> Outcome {
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

    async fn append(&mut self, who: usize, to: usize, bits: u8, count: usize) -> Outcome {
        let flags = flags(bits);
        let mut command = format!("APPEND {}", MAILBOXES[to]);
        let mut uids = BTreeSet::new();
        for _ in 0..count {
            self.texts += 1;
            let text = self.texts;
            let _ = write!(
                command,
                " {} {{{{From: a@b.example\\r\\n\\r\\nmessage {text}\\r\\n}}}}",
                list(&flags)
            );
            uids.insert(self.mailboxes[to].add(flags.clone(), text));
        }
        let answer = self.connections[who].talk.expect_ok(&command).await?;
        let code = code(&answer, "APPENDUID").ok_or("APPENDUID is missing")?;
        if code.get(2).and_then(Value::word).and_then(numbers) != Some(uids) {
            return Err(format!("other UIDs than the next ones: {}", answer.tagged));
        }
        self.take_in(who, &answer).await.map(|_| ())
    }

    async fn store(
        &mut self,
        who: usize,
        selected: &Selected,
        named: &[(usize, u32)],
        by_uid: bool,
        change: &Change,
    ) -> Outcome {
        if named.is_empty() {
            return Ok(());
        }
        let connection = &self.connections[who];
        let told = |uid: &u32| selected.picture.0.iter().find(|known| known.uid == Some(*uid))?.modseq;
        let since = match change.since {
            Since::Told if connection.has_modseqs => named.iter().filter_map(|(_, uid)| told(uid)).max(),
            Since::Zero if connection.has_modseqs => Some(0),
            _ => None,
        };
        let flags = flags(change.bits);
        let mailbox = &mut self.mailboxes[selected.mailbox];
        let (mut stored, mut modified) = (BTreeSet::new(), BTreeSet::new());
        for (_, uid) in named {
            match mailbox.messages.get(uid) {
                None => {}
                Some(message) if since.is_some_and(|since| message.modseq > since) => {
                    modified.insert(*uid);
                }
                Some(_) => {
                    mailbox.store(*uid, change.how, &flags);
                    stored.insert(*uid);
                }
            }
        }
        let condition = since.map(|since| format!("(UNCHANGEDSINCE {since}) ")).unwrap_or_default();
        let silent = if change.silent { ".SILENT" } else { "" };
        let how = match change.how {
            How::Set => "FLAGS",
            How::Add => "+FLAGS",
            How::Remove => "-FLAGS",
        };
        let command = format!("{condition}{how}{silent} {}", list(&flags));
        let connection = &mut self.connections[who];
        let answer = connection.talk.expect_ok(&verb("STORE", named, by_uid, &command)).await?;
        let has_modseqs = connection.has_modseqs;
        let told = self.take_in(who, &answer).await?;
        let is_told = |uid: &u32| {
            let of = |(told, fetched): &&(Option<u32>, Fetched)| {
                *told == Some(*uid)
                    && (change.silent || fetched.known.flags.is_some())
                    && (!has_modseqs || fetched.known.modseq.is_some())
            };
            told.iter().any(|told| of(&told))
        };
        if (!change.silent || has_modseqs) && !stored.iter().all(is_told) {
            return Err(format!("not all of {stored:?} are told: {told:?}"));
        }
        let refused =
            code(&answer, "MODIFIED").and_then(|code| numbers(code.get(1)?.word()?)).unwrap_or_default();
        let refused: BTreeSet<u32> = if by_uid {
            refused
        } else {
            named.iter().filter(|(n, _)| refused.contains(&(*n as u32))).map(|(_, uid)| *uid).collect()
        };
        if refused != modified {
            return Err(format!("{modified:?} have been changed since, {refused:?} it is told"));
        }
        if change.silent {
            // What the client asked for is what it takes to be so (RFC 3501 §6.4.6).
            for uid in &stored {
                let selected = self.connections[who].selected.as_mut().ok_or("not selected any more")?;
                let Some(Known { flags: Some(known), .. }) = selected.picture.of(*uid) else { continue };
                match change.how {
                    How::Set => *known = flags.clone(),
                    How::Add => known.extend(flags.iter().cloned()),
                    How::Remove => known.retain(|flag| !flags.contains(flag)),
                }
            }
        }
        Ok(())
    }

    async fn expunge(&mut self, who: usize, selected: &Selected, among: Option<BTreeSet<u32>>) -> Outcome {
        if among.as_ref().is_some_and(BTreeSet::is_empty) {
            return Ok(());
        }
        let is_named = |uid| among.as_ref().is_none_or(|among: &BTreeSet<u32>| among.contains(&uid));
        let gone = self.mailboxes[selected.mailbox].expunge(is_named);
        let command = match &among {
            None => "EXPUNGE".to_owned(),
            Some(uids) => format!("UID EXPUNGE {}", joined(uids.iter())),
        };
        let answer = self.connections[who].talk.expect_ok(&command).await?;
        self.take_in(who, &answer).await?;
        self.has_gone(who, &gone)
    }

    /// The one that took them away is told so before its command ends (RFC 3501 §6.4.3, RFC 6851 §3.3).
    fn has_gone(&self, who: usize, gone: &[u32]) -> Outcome {
        let Some(selected) = &self.connections[who].selected else { return Ok(()) };
        match gone.iter().find(|uid| selected.picture.uids().contains(&Some(**uid))) {
            Some(uid) => Err(format!("it is not told that UID {uid} has gone")),
            None => Ok(()),
        }
    }

    async fn transfer(
        &mut self,
        who: usize,
        selected: &Selected,
        named: &[(usize, u32)],
        by_uid: bool,
        to: usize,
        moves: bool,
    ) -> Outcome {
        if named.is_empty() {
            return Ok(());
        }
        let command = verb(if moves { "MOVE" } else { "COPY" }, named, by_uid, MAILBOXES[to]);
        let answer = self.connections[who].talk.command(&command, &[]).await?;
        if moves && selected.examines {
            self.take_in(who, &answer).await?;
            return refused(&answer, "the mailbox is examined only");
        }
        if !answer.tagged.starts_with("OK") {
            return Err(format!("refused: {}", answer.tagged));
        }
        let (mut from, mut copies) = (BTreeSet::new(), BTreeSet::new());
        for (_, uid) in named {
            let source = &mut self.mailboxes[selected.mailbox];
            let message = if moves { source.messages.remove(uid) } else { source.messages.get(uid).cloned() };
            let Some(message) = message else { continue };
            from.insert(*uid);
            copies.insert(self.mailboxes[to].add(message.flags, message.text));
        }
        let told = code(&answer, "COPYUID");
        let set =
            |at: usize| told.as_ref().and_then(|code| numbers(code.get(at)?.word()?)).unwrap_or_default();
        if (set(2), set(3)) != (from.clone(), copies.clone()) {
            return Err(format!("{from:?} have become {copies:?}, told is {told:?}"));
        }
        self.take_in(who, &answer).await?;
        if moves {
            self.has_gone(who, &from.into_iter().collect::<Vec<_>>())?;
        }
        Ok(())
    }

    async fn fetch(
        &mut self,
        who: usize,
        selected: &Selected,
        named: &[(usize, u32)],
        by_uid: bool,
        what: What,
    ) -> Outcome {
        if named.is_empty() {
            return Ok(());
        }
        let mailbox = &mut self.mailboxes[selected.mailbox];
        let there: Vec<u32> =
            named.iter().map(|(_, uid)| *uid).filter(|uid| mailbox.messages.contains_key(uid)).collect();
        if what == What::Body && !selected.examines {
            let seen = BTreeSet::from(["\\Seen".to_owned()]);
            there.iter().for_each(|uid| mailbox.store(*uid, How::Add, &seen));
        }
        let texts: BTreeMap<u32, u32> = there.iter().map(|uid| (*uid, mailbox.messages[uid].text)).collect();
        let item = match what {
            What::Flags => "FLAGS",
            What::Body => "BODY[TEXT]",
            What::Peek => "BODY.PEEK[TEXT]",
        };
        let answer =
            self.connections[who].talk.expect_ok(&verb("FETCH", named, by_uid, &format!("({item})"))).await?;
        let told = self.take_in(who, &answer).await?;
        for (uid, text) in texts {
            let mut of = told.iter().filter(|(told, _)| *told == Some(uid)).map(|(_, fetched)| fetched);
            let text = format!("message {text}\r\n");
            let is_answered = match what {
                What::Flags => of.any(|fetched| fetched.known.flags.is_some()),
                What::Body | What::Peek => of.any(|fetched| fetched.text.as_ref() == Some(&text)),
            };
            if !is_answered {
                return Err(format!("of UID {uid} it is not told: {told:?}"));
            }
        }
        Ok(())
    }

    async fn search(
        &mut self,
        who: usize,
        selected: &Selected,
        by_uid: bool,
        flag: usize,
        is_set: bool,
    ) -> Outcome {
        let key = match (FLAGS[flag].strip_prefix('\\'), is_set) {
            (Some(name), true) => name.to_ascii_uppercase(),
            (Some(name), false) => format!("UN{}", name.to_ascii_uppercase()),
            (None, true) => format!("KEYWORD {}", FLAGS[flag]),
            (None, false) => format!("UNKEYWORD {}", FLAGS[flag]),
        };
        let mailbox = &self.mailboxes[selected.mailbox];
        let mut expected = BTreeSet::new();
        for (n, uid) in (1..).zip(selected.picture.uids()) {
            let Some(uid) = uid else { continue };
            let Some(message) = mailbox.messages.get(&uid) else { continue };
            if message.flags.contains(FLAGS[flag]) == is_set {
                expected.insert(if by_uid { uid } else { n });
            }
        }
        let command = if by_uid { format!("UID SEARCH {key}") } else { format!("SEARCH {key}") };
        let answer = self.connections[who].talk.expect_ok(&command).await?;
        let mut found = BTreeSet::new();
        for untagged in &answer.untagged {
            if let Response::Data { kind, data } = &untagged.response
                && kind == "SEARCH"
            {
                found.extend(data.iter().filter_map(Value::number).filter_map(|n| u32::try_from(n).ok()));
            }
        }
        self.take_in(who, &answer).await?;
        if found != expected {
            return Err(format!("{expected:?} are to be found, {found:?} are"));
        }
        Ok(())
    }

    async fn noop(&mut self, who: usize) -> Outcome {
        let answer = self.connections[who].talk.expect_ok("NOOP").await?;
        self.take_in(who, &answer).await?;
        self.knows_all(who)
    }

    /// The picture is the mailbox.
    fn knows_all(&self, who: usize) -> Outcome {
        let connection = &self.connections[who];
        let Some(selected) = &connection.selected else { return Ok(()) };
        let mailbox = &self.mailboxes[selected.mailbox];
        let uids: Vec<_> = mailbox.uids().into_iter().map(Some).collect();
        if selected.picture.uids() != uids {
            return Err(format!("there are {uids:?}, it knows {:?}", selected.picture.uids()));
        }
        for (known, message) in selected.picture.0.iter().zip(mailbox.messages.values()) {
            if known.flags.as_ref() != Some(&message.flags) {
                return Err(format!("there is {message:?}, it knows {known:?}"));
            }
        }
        Ok(())
    }

    async fn select(&mut self, who: usize, mailbox: usize, examines: bool) -> Outcome {
        let verb = if examines { "EXAMINE" } else { "SELECT" };
        let connection = &mut self.connections[who];
        let answer = connection.talk.expect_ok(&format!("{verb} {}", MAILBOXES[mailbox])).await?;
        let uidvalidity = code_number(&answer, "UIDVALIDITY").ok_or("UIDVALIDITY is missing")?;
        let modseq = code_number(&answer, "HIGHESTMODSEQ").unwrap_or_default();
        let picture = Picture::default();
        connection.selected = Some(Selected { mailbox, examines, picture, uidvalidity, modseq });
        self.take_in(who, &answer).await?;
        self.knows_all(who)
    }

    /// Comes back to where it was, with what it knew.
    async fn resync(&mut self, who: usize, says: Says) -> Outcome {
        let connection = &mut self.connections[who];
        let Some(mut left) = connection.left.take().filter(|_| connection.has_qresync) else { return Ok(()) };
        let uids: Vec<u32> = left.picture.uids().into_iter().flatten().collect();
        let mut known: BTreeMap<u32, Known> = BTreeMap::new();
        for message in std::mem::take(&mut left.picture.0) {
            known.extend(message.uid.map(|uid| (uid, message)));
        }
        let verb = if left.examines { "EXAMINE" } else { "SELECT" };
        let name = MAILBOXES[left.mailbox];
        let mut parameters = format!("{} {}", left.uidvalidity, left.modseq.max(1));
        if says != Says::Nothing && !uids.is_empty() {
            let _ = write!(parameters, " {}", joined(uids.iter()));
        }
        if says == Says::Numbers && !uids.is_empty() {
            let pairs = || (1..).zip(&uids).step_by(2);
            let (numbers, uids) = (pairs().map(|(n, _): (u32, _)| n), pairs().map(|(_, uid)| uid));
            let _ = write!(parameters, " ({} {})", joined(numbers), joined(uids));
        }
        let command = format!("{verb} {name} (QRESYNC ({parameters}))");
        let answer = connection.talk.expect_ok(&command).await?;
        let mut exists = None;
        for Untagged { response, text } in &answer.untagged {
            match response {
                Response::Numbered { number, kind, .. } if kind == "EXISTS" => {
                    exists = Some(*number as usize)
                }
                Response::Numbered { kind, .. } if kind == "FETCH" => {
                    let mut one = Picture(vec![Known::default(); 10_000]);
                    let uid = one.hear(&[Untagged { text: text.clone(), response: response.clone() }])?;
                    let (uid, fetched) = uid.into_iter().next().ok_or("nothing fetched")?;
                    let uid = uid.ok_or_else(|| format!("no UID: {text}"))?;
                    known.insert(uid, fetched.known);
                }
                Response::Data { kind, data } if kind == "VANISHED" => {
                    let set = data.last().and_then(Value::word).and_then(numbers);
                    let gone = set.ok_or_else(|| format!("not understood: {text}"))?;
                    known.retain(|uid, _| !gone.contains(uid));
                }
                _ => {}
            }
        }
        left.modseq = code_number(&answer, "HIGHESTMODSEQ").ok_or("HIGHESTMODSEQ is missing")?;
        left.picture = Picture(known.into_values().collect());
        // Of others than it names it is told nothing (RFC 7162 §3.2.5.1): those are new, and it asks for them.
        if let Some(exists) = exists.filter(|exists| says != Says::Nothing && *exists > left.picture.0.len())
        {
            left.picture.0.resize(exists, Known::default());
        }
        if exists != Some(left.picture.0.len()) {
            return Err(format!("EXISTS {exists:?}, and it knows {:?}", left.picture.uids()));
        }
        connection.selected = Some(left);
        self.ask(who).await?;
        self.knows_all(who)
    }

    async fn idle(&mut self, who: usize) -> Outcome {
        self.tags += 1;
        let tag = format!("i{}", self.tags);
        let connection = &mut self.connections[who];
        connection.talk.send(format!("{tag} IDLE\r\n").as_bytes()).await?;
        let mut untagged = Vec::new();
        loop {
            let line = connection.talk.line().await?;
            if line.starts_with('+') {
                break;
            }
            untagged.push(heard(&line)?);
        }
        connection.idle = Some(tag);
        self.hear(who, &untagged).map(|_| ())
    }

    /// Ends an IDLE, if one is under way.
    async fn rise(&mut self, who: usize) -> Outcome {
        let connection = &mut self.connections[who];
        let Some(tag) = connection.idle.take() else { return Ok(()) };
        connection.talk.send(b"DONE\r\n").await?;
        let (mut untagged, tagged) = (Vec::new(), format!("{tag} "));
        loop {
            let line = connection.talk.line().await?;
            if line.starts_with(&tagged) {
                break;
            }
            untagged.push(heard(&line)?);
        }
        // What it heard while others went on was so then, and not all of it is so now.
        if let Some(selected) = &mut connection.selected {
            selected.picture.hear(&untagged)?;
        }
        self.ask(who).await
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

/// What STORE asks for.
struct Change {
    how: How,
    bits: u8,
    silent: bool,
    since: Since,
}

async fn dial(world: &World, name: &str) -> Result<Talk, String> {
    let (conn, client) = world.connection();
    tokio::spawn(gadwall::imap::serve(conn, world.services.clone()));
    let mut talk = Talk::new(Box::new(client), name);
    talk.line().await?;
    talk.expect_ok("LOGIN ann@example.org secret").await?;
    Ok(talk)
}

fn heard(line: &str) -> Result<Untagged, String> {
    let rest = line.strip_prefix("* ").ok_or_else(|| format!("not untagged: {line}"))?;
    Ok(Untagged { text: line.to_owned(), response: Response::parse(rest.as_bytes())? })
}

/// The response code of that name, of the tagged response or an untagged one.
fn code(answer: &Answer, name: &str) -> Option<Vec<Value>> {
    let tagged = Response::parse(answer.tagged.as_bytes()).ok();
    let all = answer.untagged.iter().map(|untagged| untagged.response.clone()).chain(tagged);
    all.filter_map(|response| match response {
        Response::Status { code, .. } => Some(code),
        _ => None,
    })
    .find(|code| code.first().and_then(Value::word) == Some(name))
}

fn code_number(answer: &Answer, name: &str) -> Option<u64> {
    code(answer, name)?.get(1)?.number()
}

fn refused(answer: &Answer, why: &str) -> Outcome {
    let is_refused = answer.tagged.starts_with("NO") || answer.tagged.starts_with("BAD");
    if is_refused { Ok(()) } else { Err(format!("{why}, and it is told {}", answer.tagged)) }
}

fn verb(verb: &str, named: &[(usize, u32)], by_uid: bool, rest: &str) -> String {
    if by_uid {
        format!("UID {verb} {} {rest}", joined(named.iter().map(|(_, uid)| uid)))
    } else {
        format!("{verb} {} {rest}", joined(named.iter().map(|(n, _)| n)))
    }
}

fn joined<T: ToString>(numbers: impl Iterator<Item = T>) -> String {
    numbers.map(|n| n.to_string()).collect::<Vec<_>>().join(",")
}

fn list(flags: &BTreeSet<String>) -> String {
    format!("({})", flags.iter().map(String::as_str).collect::<Vec<_>>().join(" "))
}
