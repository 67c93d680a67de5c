//! What changes nothing but what a connection knows, and what it has to know then.

use super::answer::{code_number, heard, joined, verb};
use super::command::{FLAGS, How, MAILBOXES, Says, What};
use super::play::{Outcome, Play, Selected};
use gadwall_conformance::picture::{Known, Picture, numbers};
use gadwall_conformance::{Response, Untagged, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

impl Play {
    pub(super) async fn fetch(
        &mut self,
        who: usize,
        selected: &Selected,
        named: &[(u32, u32)],
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
            let seen = BTreeSet::from(["\\seen".to_owned()]);
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

    pub(super) async fn search(
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
            if message.flags.contains(&FLAGS[flag].to_ascii_lowercase()) == is_set {
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

    pub(super) async fn noop(&mut self, who: usize) -> Outcome {
        let answer = self.connections[who].talk.expect_ok("NOOP").await?;
        self.take_in(who, &answer).await?;
        self.knows_all(who)
    }

    /// The picture is the mailbox.
    pub(super) fn knows_all(&self, who: usize) -> Outcome {
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

    pub(super) async fn select(&mut self, who: usize, mailbox: usize, examines: bool) -> Outcome {
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
    pub(super) async fn resync(&mut self, who: usize, says: Says) -> Outcome {
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

    pub(super) async fn idle(&mut self, who: usize) -> Outcome {
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
    pub(super) async fn rise(&mut self, who: usize) -> Outcome {
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
}
