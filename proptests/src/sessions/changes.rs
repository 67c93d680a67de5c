//! What changes the mailboxes, and what its answer has to tell.

use super::answer::{code, joined, list, refused, verb};
use super::command::{How, MAILBOXES, Since};
use super::mailbox::flags;
use super::play::{Outcome, Play, Selected};
use gadwall_conformance::Value;
use gadwall_conformance::picture::{Fetched, Picture, numbers};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A STORE of messages that the connection knows by number and UID.
pub struct Store<'a> {
    pub named: &'a [(u32, u32)],
    pub by_uid: bool,
    pub how: How,
    pub bits: u8,
    pub silent: bool,
    pub since: Since,
}

impl Store<'_> {
    fn unchanged_since(&self, picture: &Picture) -> Option<u64> {
        let is_named = |uid: u32| self.named.iter().any(|(_, named)| *named == uid);
        match self.since {
            Since::Unconditional => None,
            Since::Zero => Some(0),
            Since::Told => {
                let named = picture.0.iter().filter(|known| known.uid.is_some_and(is_named));
                named.filter_map(|known| known.modseq).max()
            }
        }
    }

    fn command(&self, since: Option<u64>) -> String {
        let condition = since.map(|since| format!("(UNCHANGEDSINCE {since}) ")).unwrap_or_default();
        let silent = if self.silent { ".SILENT" } else { "" };
        let how = match self.how {
            How::Set => "FLAGS",
            How::Add => "+FLAGS",
            How::Remove => "-FLAGS",
        };
        let rest = format!("{condition}{how}{silent} {}", list(&flags(self.bits)));
        verb("STORE", self.named, self.by_uid, &rest)
    }
}

impl Play {
    pub(super) async fn append(&mut self, who: usize, to: usize, bits: u8, count: usize) -> Outcome {
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

    pub(super) async fn store(&mut self, who: usize, selected: &Selected, store: &Store<'_>) -> Outcome {
        let Store { named, by_uid, how, silent, .. } = *store;
        if named.is_empty() {
            return Ok(());
        }
        let has_modseqs = self.connections[who].has_modseqs;
        let since = store.unchanged_since(&selected.picture).filter(|_| has_modseqs);
        let flags = flags(store.bits);
        let mailbox = &mut self.mailboxes[selected.mailbox];
        let there = named.iter().map(|(_, uid)| *uid).filter(|uid| mailbox.messages.contains_key(uid));
        let is_newer = |uid: &u32| since.is_some_and(|since| mailbox.messages[uid].modseq > since);
        let (modified, stored): (BTreeSet<u32>, BTreeSet<u32>) = there.partition(is_newer);
        stored.iter().for_each(|uid| mailbox.store(*uid, how, &flags));
        let answer = self.connections[who].talk.expect_ok(&store.command(since)).await?;
        let told = self.take_in(who, &answer).await?;
        let is_told = |uid: &u32| {
            told.iter().any(|(of, Fetched { known, .. })| {
                *of == Some(*uid)
                    && (silent || known.flags.is_some())
                    && (!has_modseqs || known.modseq.is_some())
            })
        };
        if (!silent || has_modseqs) && !stored.iter().all(is_told) {
            return Err(format!("not all of {stored:?} are told: {told:?}"));
        }
        let refused = code(&answer, "MODIFIED").and_then(|code| numbers(code.get(1)?.word()?));
        let refused = refused.unwrap_or_default();
        let is_refused = |(n, uid): &&(u32, u32)| refused.contains(if by_uid { uid } else { n });
        let refused: BTreeSet<u32> = named.iter().filter(is_refused).map(|(_, uid)| *uid).collect();
        if refused != modified {
            return Err(format!("{modified:?} have been changed since, {refused:?} it is told"));
        }
        if let Some(selected) = self.connections[who].selected.as_mut().filter(|_| silent) {
            // What the client asked for is what it takes to be so (RFC 3501 §6.4.6).
            for known in selected
                .picture
                .0
                .iter_mut()
                .filter(|known| known.uid.is_some_and(|uid| stored.contains(&uid)))
            {
                known.flags.iter_mut().for_each(|known| how.apply(known, &flags));
            }
        }
        Ok(())
    }

    pub(super) async fn expunge(
        &mut self,
        who: usize,
        selected: &Selected,
        among: Option<BTreeSet<u32>>,
    ) -> Outcome {
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
    pub(super) fn has_gone(&self, who: usize, gone: &[u32]) -> Outcome {
        let Some(selected) = &self.connections[who].selected else { return Ok(()) };
        match gone.iter().find(|uid| selected.picture.uids().contains(&Some(**uid))) {
            Some(uid) => Err(format!("it is not told that UID {uid} has gone")),
            None => Ok(()),
        }
    }

    pub(super) async fn transfer(
        &mut self,
        who: usize,
        selected: &Selected,
        named: &[(u32, u32)],
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
}
