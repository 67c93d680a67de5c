//! Commands that change mail, each recorded from its invocation to its end.

use super::response::{Data, set_of};
use super::session::{Answer, Session, set};
use crate::clients::{Client, Fault, Place};
use crate::history::*;
use rand::RngExt;
use std::collections::BTreeMap;

/// How STORE is to change flags.
#[derive(Debug, Clone)]
pub struct Change {
    pub flags: FlagChange,
    pub unchanged_since: Option<ModSeq>,
}

impl Change {
    pub fn add(flag: &str) -> Self {
        Change { flags: FlagChange::Add(vec![flag.to_owned()]), unchanged_since: None }
    }

    fn command(&self, uids: &[Uid]) -> String {
        let (item, flags) = match &self.flags {
            FlagChange::Add(flags) => ("+FLAGS", flags),
            FlagChange::Remove(flags) => ("-FLAGS", flags),
            FlagChange::Replace(flags) => ("FLAGS", flags),
        };
        let condition = self.unchanged_since.map_or(String::new(), |m| format!(" (UNCHANGEDSINCE {m})"));
        format!("UID STORE {}{condition} {item} ({})", set(uids), flags.join(" "))
    }
}

impl Session {
    /// The UID it got.
    pub async fn append(
        &mut self,
        client: &mut Client,
        mailbox: &str,
        attempt: Attempt,
        flags: Vec<String>,
    ) -> Result<Option<Uid>, Fault> {
        let mail = client.shared.mails.bytes(attempt);
        let call = Call::Append {
            login: self.login.clone(),
            mailbox: mailbox.to_owned(),
            attempt,
            flags: flags.clone(),
        };
        let op = client.invoke(call);
        let sent = self.send_append(client, mailbox, &flags, &mail).await;
        let (reply, uid) = match &sent {
            Ok(answer) => appended(answer),
            Err(_) => (Reply::Done, None),
        };
        if sent.is_ok() {
            client.shared.acks.add(attempt);
        }
        ended(client, op, sent, reply).map(|_| uid)
    }

    async fn send_append(
        &mut self,
        client: &mut Client,
        mailbox: &str,
        flags: &[String],
        mail: &[u8],
    ) -> Result<Answer, Fault> {
        let tag = self.next_tag();
        // RFC 7888: with a plus the client does not wait.
        let waits = client.rng.random_bool(0.5);
        let plus = if waits { "" } else { "+" };
        self.say(&format!("{tag} APPEND \"{mailbox}\" ({}) {{{}{plus}}}", flags.join(" "), mail.len()))
            .await?;
        if waits && let Some(answer) = self.until_continue(client, &tag).await? {
            return Ok(answer);
        }
        self.wire.send(mail).await?;
        self.say("").await?;
        let answer = self.answer(client, &tag, "APPEND").await?;
        self.note_changed(answer.data.iter(), |_| true);
        Ok(answer)
    }

    /// Waits for leave to send a literal; an answer before that is a refusal.
    async fn until_continue(&mut self, client: &mut Client, tag: &str) -> Result<Option<Answer>, Fault> {
        // A refusal begins with the tag, untagged data with a star; leave with a plus.
        let line = self.wire.line().await?;
        if line.starts_with(b"+") {
            return Ok(None);
        }
        let response = super::response::finish(&mut self.wire, line).await?;
        match response {
            super::response::Response::Tagged(t, status) if t == tag && status.kind != "OK" => {
                Err(Fault::Refused(status.whole()))
            }
            super::response::Response::Untagged(Data::Status(status)) if status.kind == "BYE" => {
                Err(Fault::Lost(status.whole()))
            }
            // News of other sessions come before the refusal.
            super::response::Response::Untagged(data) => {
                self.take(client, &data);
                self.note_changed([&data].into_iter(), |_| true);
                self.answer(client, tag, "APPEND").await.map(Some)
            }
            other => Err(Fault::Lost(format!("APPEND was answered with {other:?}"))),
        }
    }

    /// The flags that were told afterwards.
    pub async fn store(&mut self, client: &mut Client, uids: &[Uid], change: Change) -> Result<Reply, Fault> {
        let Some(Place { login, mailbox, validity }) = self.place.clone() else { return Ok(Reply::Done) };
        let call = Call::Store {
            login,
            mailbox,
            validity,
            uids: uids.to_vec(),
            change: change.flags.clone(),
            unchanged_since: change.unchanged_since,
        };
        let op = client.invoke(call);
        let sent = self.command(client, &change.command(uids)).await;
        let mut reply = Reply::Done;
        if let Ok(answer) = &sent {
            let modified = answer.code("MODIFIED").and_then(set_of).unwrap_or_default();
            let modseqs = stored(answer, uids, &modified);
            let own = |shown: &Shown| modseqs.get(&shown.uid).is_some_and(|m| Some(*m) == shown.modseq);
            self.note_changed(answer.data.iter(), |shown| !own(shown));
            reply = Reply::Stored { modseqs, modified };
        }
        ended(client, op, sent, reply)
    }

    pub async fn copy(&mut self, client: &mut Client, uids: &[Uid], to: &str) -> Result<Reply, Fault> {
        let Some(Place { login, mailbox: from, validity }) = self.place.clone() else {
            return Ok(Reply::Done);
        };
        let op = client.invoke(Call::Copy { login, from, validity, uids: uids.to_vec(), to: to.to_owned() });
        let sent = self.command(client, &format!("UID COPY {} \"{to}\"", set(uids))).await;
        let reply = self.copied(&sent);
        ended(client, op, sent, reply)
    }

    pub async fn move_to(&mut self, client: &mut Client, uids: &[Uid], to: &str) -> Result<Reply, Fault> {
        let Some(Place { login, mailbox: from, validity }) = self.place.clone() else {
            return Ok(Reply::Done);
        };
        let op = client.invoke(Call::Move { login, from, validity, uids: uids.to_vec(), to: to.to_owned() });
        let sent = self.command(client, &format!("UID MOVE {} \"{to}\"", set(uids))).await;
        let reply = self.copied(&sent);
        ended(client, op, sent, reply)
    }

    fn copied(&mut self, sent: &Result<Answer, Fault>) -> Reply {
        let Ok(answer) = sent else { return Reply::Done };
        self.note_changed(answer.data.iter(), |_| true);
        let parsed = answer.code("COPYUID").and_then(|arguments| {
            let mut words = arguments.split(' ');
            let validity = words.next()?.parse().ok()?;
            let (from, to) = (set_of(words.next()?)?, set_of(words.next()?)?);
            (from.len() == to.len()).then_some(Reply::Copied { validity, from, to })
        });
        parsed.unwrap_or(Reply::Done)
    }

    /// UID EXPUNGE (RFC 4315 §2.1): only messages with `\Deleted` go.
    pub async fn expunge(&mut self, client: &mut Client, uids: &[Uid]) -> Result<Reply, Fault> {
        let Some(Place { login, mailbox, validity }) = self.place.clone() else { return Ok(Reply::Done) };
        let op =
            client.invoke(Call::Expunge { login, mailbox, validity: Some(validity), uids: uids.to_vec() });
        let gone_before = self.news.gone.len();
        let sent = self.command(client, &format!("UID EXPUNGE {}", set(uids))).await;
        if let Ok(answer) = &sent {
            self.note_changed(answer.data.iter(), |_| true);
        }
        let told = self.news.gone[gone_before..].iter().copied();
        let reply = Reply::Expunged { uids: told.filter(|uid| uids.contains(uid)).collect() };
        ended(client, op, sent, reply)
    }

    pub async fn create(&mut self, client: &mut Client, mailbox: &str) -> Result<Reply, Fault> {
        let call = Call::Create { login: self.login.clone(), mailbox: mailbox.to_owned() };
        self.simply(client, call, &format!("CREATE \"{mailbox}\"")).await
    }

    pub async fn delete(&mut self, client: &mut Client, mailbox: &str) -> Result<Reply, Fault> {
        let call = Call::Delete { login: self.login.clone(), mailbox: mailbox.to_owned() };
        self.simply(client, call, &format!("DELETE \"{mailbox}\"")).await
    }

    pub async fn rename(&mut self, client: &mut Client, from: &str, to: &str) -> Result<Reply, Fault> {
        let call = Call::Rename { login: self.login.clone(), from: from.to_owned(), to: to.to_owned() };
        self.simply(client, call, &format!("RENAME \"{from}\" \"{to}\"")).await
    }

    /// An operation whose answer tells nothing but how it ended.
    async fn simply(&mut self, client: &mut Client, call: Call, command: &str) -> Result<Reply, Fault> {
        let op = client.invoke(call);
        let sent = self.command(client, command).await;
        if let Ok(answer) = &sent {
            self.note_changed(answer.data.iter(), |_| true);
        }
        ended(client, op, sent, Reply::Done)
    }
}

/// Records the end of an operation.
fn ended(client: &Client, op: OpNo, sent: Result<Answer, Fault>, reply: Reply) -> Result<Reply, Fault> {
    match sent {
        Ok(_) => {
            client.end(op, Outcome::Acknowledged(reply.clone()));
            Ok(reply)
        }
        Err(fault) => {
            client.end(op, fault.clone().outcome());
            Err(fault)
        }
    }
}

fn appended(answer: &Answer) -> (Reply, Option<Uid>) {
    let parsed = answer.code("APPENDUID").and_then(|arguments| {
        let (validity, uids) = arguments.split_once(' ')?;
        Some((validity.parse().ok()?, set_of(uids)?))
    });
    match parsed {
        Some((validity, uids)) => {
            let uid = uids.first().copied();
            (Reply::Appended { validity, uids }, uid)
        }
        None => (Reply::Done, None),
    }
}

/// Modseqs told of messages that were changed. Those of another's changes, told along, come later: the first counts.
fn stored(answer: &Answer, uids: &[Uid], modified: &[Uid]) -> BTreeMap<Uid, ModSeq> {
    let mut modseqs = BTreeMap::new();
    for data in &answer.data {
        let Data::Fetch(_, item) = data else { continue };
        let Some((uid, modseq)) = item.uid.zip(item.modseq) else { continue };
        if uids.contains(&uid) && !modified.contains(&uid) {
            modseqs.entry(uid).or_insert(modseq);
        }
    }
    modseqs
}
