//! One IMAP session: sends a command, reads its answer, keeps the view of the selected mailbox. What changes mail is
//! in `ops`, what shows messages in `listing`.

use super::response::{self, Data, Response, Status};
use super::view::{News, View};
use crate::clients::scram::Scram;
use crate::clients::{Client, Door, Fault, Place, Wire, now};
use crate::history::*;
use rand::RngExt;
use std::collections::BTreeMap;
use std::time::Duration;

pub struct Session {
    pub(super) wire: Wire,
    tags: u32,
    pub login: Login,
    pub capabilities: String,
    /// The selected mailbox.
    pub place: Option<Place>,
    pub view: View,
    /// What was told and not taken yet.
    pub news: News,
    pub(super) modseqs: Modseqs,
}

/// Whether the session has enabled mod-sequences (RFC 7162 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Modseqs {
    Unknown,
    Told,
}

/// What SELECT says.
#[derive(Debug, Clone, PartialEq)]
pub struct Selected {
    pub place: Place,
    pub uid_next: Uid,
    pub highest_modseq: ModSeq,
    /// Of a resynchronisation (RFC 7162 §3.2.5): what has changed, what is gone.
    pub changed: Vec<Shown>,
    pub vanished: Vec<Uid>,
    /// When it was asked for.
    pub since: Duration,
}

/// What a command was answered with.
#[derive(Debug)]
pub(super) struct Answer {
    pub data: Vec<Data>,
    pub status: Status,
}

impl Answer {
    /// An argument of a status code, tagged or not.
    pub fn code(&self, name: &str) -> Option<&str> {
        let untagged = self.data.iter().filter_map(|data| match data {
            Data::Status(status) => Some(status),
            _ => None,
        });
        untagged.chain([&self.status]).find_map(|status| status.code(name))
    }

    pub fn number<N: std::str::FromStr + Default>(&self, name: &str) -> N {
        self.code(name).and_then(|text| text.parse().ok()).unwrap_or_default()
    }
}

impl Session {
    /// Connects and logs in.
    pub async fn open(client: &mut Client, login: &str) -> Result<Self, Fault> {
        let wire = client.connect(Door::Imap).await?;
        let mut session = Session {
            wire,
            tags: 0,
            login: login.to_owned(),
            capabilities: String::new(),
            place: None,
            view: View::default(),
            news: News::default(),
            modseqs: Modseqs::Unknown,
        };
        match response::read(&mut session.wire).await? {
            Response::Untagged(Data::Status(status)) if status.kind == "OK" => {}
            other => return Err(Fault::Lost(format!("greeted with {other:?}"))),
        }
        session.authenticate(client).await?;
        Ok(session)
    }

    async fn authenticate(&mut self, client: &mut Client) -> Result<(), Fault> {
        let nonce = client.rng.random();
        let password = client.password(&self.login);
        let mut scram = Scram::new(client.shared.keys.clone(), &self.login, &password, nonce);
        let tag = self.next_tag();
        // RFC 4959: the first message comes along.
        self.say(&format!("{tag} AUTHENTICATE SCRAM-SHA-256 {}", scram.first())).await?;
        loop {
            match response::read(&mut self.wire).await? {
                Response::Continue(challenge) => {
                    let answer = scram.answer(&challenge).map_err(|rule| {
                        client.violated(rule.clone());
                        Fault::Lost(rule)
                    })?;
                    self.say(&answer).await?;
                }
                Response::Tagged(_, status) if status.kind == "OK" => {
                    self.capabilities = status.code("CAPABILITY").unwrap_or_default().to_owned();
                    return Ok(());
                }
                Response::Tagged(_, status) => {
                    // RFC 5530 §3: any other refusal says nothing of the account.
                    if status.code("AUTHENTICATIONFAILED").is_some() {
                        client.denied(&self.login);
                    }
                    return Err(Fault::Lost(status.whole()));
                }
                Response::Untagged(Data::Status(status)) if status.kind == "BYE" => {
                    return Err(Fault::Lost(status.whole()));
                }
                Response::Untagged(_) => {}
            }
        }
    }

    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.split(' ').any(|word| word == capability)
    }

    pub async fn enable(&mut self, client: &mut Client, extension: &str) -> Result<(), Fault> {
        self.command(client, &format!("ENABLE {extension}")).await?;
        // Each of the extensions in use here brings them.
        self.modseqs = Modseqs::Told;
        Ok(())
    }

    /// SELECT. `params` are those of CONDSTORE and QRESYNC, in parentheses, or nothing.
    pub async fn select(
        &mut self,
        client: &mut Client,
        mailbox: &str,
        params: &str,
    ) -> Result<Selected, Fault> {
        let since = now();
        self.place = None;
        self.view = View::default();
        self.news = News::default();
        client.note(What::Asked);
        let answer = self.command(client, format!("SELECT \"{mailbox}\" {params}").trim_end()).await?;
        self.note_changed(answer.data.iter(), |_| true);
        let place = Place {
            login: self.login.clone(),
            mailbox: mailbox.to_owned(),
            validity: answer.number("UIDVALIDITY"),
        };
        let selected = Selected {
            uid_next: answer.number("UIDNEXT"),
            highest_modseq: answer.number("HIGHESTMODSEQ"),
            changed: std::mem::take(&mut self.news.changed),
            vanished: answer.data.iter().filter_map(vanished_earlier).flatten().copied().collect(),
            place,
            since,
        };
        self.news = News::default();
        self.place = Some(selected.place.clone());
        client.saw(Sight::Selected {
            login: self.login.clone(),
            mailbox: mailbox.to_owned(),
            validity: selected.place.validity,
            uid_next: selected.uid_next,
            highest_modseq: selected.highest_modseq,
            exists: self.view.exists(),
        });
        Ok(selected)
    }

    /// LIST of everything.
    pub async fn list(&mut self, client: &mut Client) -> Result<Vec<Name>, Fault> {
        let since = now();
        client.note(What::Asked);
        let answer = self.command(client, "LIST \"\" \"*\"").await?;
        self.note_changed(answer.data.iter(), |_| true);
        let names = answer.data.into_iter().filter_map(|data| match data {
            Data::List(name) => Some(name),
            _ => None,
        });
        let names: Vec<Name> = names.collect();
        client.saw(Sight::Mailboxes { login: self.login.clone(), since, names: names.clone() });
        Ok(names)
    }

    pub async fn status(&mut self, client: &mut Client, mailbox: &str) -> Result<(), Fault> {
        client.note(What::Asked);
        let items = "MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ";
        let answer = self.command(client, &format!("STATUS \"{mailbox}\" ({items})")).await?;
        self.note_changed(answer.data.iter(), |_| true);
        let counts = answer.data.iter().find_map(|data| match data {
            Data::MailboxStatus(name, counts) if name == mailbox => Some(counts),
            _ => None,
        });
        let Some(counts) = counts else {
            client.violated(format!("STATUS {mailbox} was OK, and told nothing"));
            return Ok(());
        };
        let count = |name: &str| counts.get(name).copied().unwrap_or_default();
        client.saw(Sight::Status {
            login: self.login.clone(),
            mailbox: mailbox.to_owned(),
            validity: count("UIDVALIDITY") as u32,
            uid_next: count("UIDNEXT") as u32,
            highest_modseq: count("HIGHESTMODSEQ"),
            exists: count("MESSAGES") as u32,
        });
        Ok(())
    }

    /// Asks whether there is news, and records all of it.
    pub async fn noop(&mut self, client: &mut Client) -> Result<News, Fault> {
        client.note(What::Asked);
        let answer = self.command(client, "NOOP").await?;
        self.note_changed(answer.data.iter(), |_| true);
        let news = self.take_news(client).await?;
        client.note(What::Polled);
        Ok(news)
    }

    /// IDLE, until something was told, time is up, or the run is to stop. Whether something was told.
    pub async fn idle(&mut self, client: &mut Client, longest: Duration) -> Result<bool, Fault> {
        let tag = self.next_tag();
        self.say(&format!("{tag} IDLE")).await?;
        let until = tokio::time::Instant::now() + longest;
        let stop = client.shared.stop.clone();
        let mut idling = false;
        while self.news.is_empty() {
            if idling {
                // A whole line or nothing: what was read of one is kept.
                let line = tokio::select! {
                    biased;
                    line = self.wire.line_within(longest * 2) => Some(line?),
                    () = stop.cancelled() => None,
                    () = tokio::time::sleep_until(until) => None,
                };
                let Some(line) = line else { break };
                let response = response::finish(&mut self.wire, line).await?;
                self.take_untagged(client, &tag, response)?;
            } else {
                match response::read(&mut self.wire).await? {
                    Response::Continue(_) => {
                        client.note(What::Idling);
                        idling = true;
                    }
                    response => self.take_untagged(client, &tag, response)?,
                }
            }
        }
        self.wake(client, &tag, idling).await?;
        Ok(!self.news.is_empty())
    }

    /// Ends IDLE.
    async fn wake(&mut self, client: &mut Client, tag: &str, mut idling: bool) -> Result<(), Fault> {
        if idling {
            // What comes with the answer was asked for: it is no news that the session was woken by.
            client.note(What::Asked);
            self.say("DONE").await?;
        }
        loop {
            match response::read(&mut self.wire).await? {
                Response::Tagged(_, status) if status.kind == "OK" => return Ok(()),
                Response::Tagged(_, status) => return Err(Fault::Lost(status.whole())),
                Response::Continue(_) if !idling => {
                    idling = true;
                    self.say("DONE").await?;
                }
                response => self.take_untagged(client, tag, response)?,
            }
        }
    }

    pub async fn logout(mut self, client: &mut Client) {
        let _ = self.command(client, "LOGOUT").await;
        self.wire.close().await;
    }

    /// Sends a command and reads to its end.
    pub(super) async fn command(&mut self, client: &mut Client, command: &str) -> Result<Answer, Fault> {
        let tag = self.next_tag();
        self.say(&format!("{tag} {command}")).await?;
        self.answer(client, &tag, command).await
    }

    /// Reads what comes until a command's end.
    pub(super) async fn answer(
        &mut self,
        client: &mut Client,
        tag: &str,
        command: &str,
    ) -> Result<Answer, Fault> {
        let mut data = Vec::new();
        loop {
            match response::read(&mut self.wire).await? {
                Response::Tagged(t, status) if t == tag => return self.judge(client, command, data, status),
                Response::Untagged(Data::Status(status)) if status.kind == "BYE" && command != "LOGOUT" => {
                    return Err(Fault::Lost(status.whole()));
                }
                Response::Untagged(told) => {
                    self.take(client, &told);
                    data.push(told);
                }
                other => {
                    client.violated(format!("{command:.60}: answered with {other:?}"));
                    return Err(Fault::Lost("out of step".into()));
                }
            }
        }
    }

    fn judge(
        &self,
        client: &mut Client,
        command: &str,
        data: Vec<Data>,
        status: Status,
    ) -> Result<Answer, Fault> {
        match status.kind.as_str() {
            "OK" => Ok(Answer { data, status }),
            "NO" => Err(Fault::Refused(status.whole())),
            _ => {
                // These clients know the grammar, and what is selected.
                if !self.news.closed {
                    client.violated(format!("{command:.60}: {}", status.whole()));
                }
                Err(Fault::Lost(status.whole()))
            }
        }
    }

    fn take_untagged(&mut self, client: &mut Client, tag: &str, response: Response) -> Result<(), Fault> {
        match response {
            Response::Untagged(Data::Status(status)) if status.kind == "BYE" => {
                Err(Fault::Lost(status.whole()))
            }
            Response::Untagged(data) => {
                self.take(client, &data);
                // While nobody asks, any FETCH is news.
                self.note_changed([&data].into_iter(), |_| true);
                Ok(())
            }
            other => {
                client.violated(format!("{tag} IDLE: answered with {other:?}"));
                Err(Fault::Lost("out of step".into()))
            }
        }
    }

    /// Brings the view up to date.
    pub(super) fn take(&mut self, client: &mut Client, data: &Data) {
        if let Err(rule) = self.view.apply(data, &mut self.news) {
            client.violated(rule);
        }
        // RFC 7162 §3.2.11; while SELECT is answered nothing is selected yet.
        let is_closed = matches!(data, Data::Status(status) if status.code("CLOSED").is_some());
        if is_closed && self.place.take().is_some() {
            self.news.closed = true;
        }
    }

    /// Adds what FETCH told without being asked to the news.
    pub(super) fn note_changed<'a>(
        &mut self,
        data: impl Iterator<Item = &'a Data>,
        unasked: impl Fn(&Shown) -> bool,
    ) {
        for told in data {
            let Data::Fetch(number, item) = told else { continue };
            let Some(uid) = item.uid.or_else(|| self.view.uid(*number)) else { continue };
            let shown = shown(uid, item);
            if unasked(&shown) {
                self.news.changed.push(shown);
            }
        }
    }

    pub(super) async fn say(&mut self, line: &str) -> Result<(), Fault> {
        Ok(self.wire.send(format!("{line}\r\n").as_bytes()).await?)
    }

    pub(super) fn next_tag(&mut self) -> String {
        self.tags += 1;
        format!("t{}", self.tags)
    }
}

/// A message as FETCH tells of it, its bytes apart.
pub(super) fn shown(uid: Uid, item: &response::Item) -> Shown {
    Shown { uid, modseq: item.modseq, flags: item.flags.clone(), attempt: None, intact: None }
}

fn vanished_earlier(data: &Data) -> Option<&Vec<Uid>> {
    match data {
        Data::Vanished { earlier: true, uids } => Some(uids),
        _ => None,
    }
}

/// UIDs as a set, runs joined.
pub(super) fn set(uids: &[Uid]) -> String {
    let mut sorted: Vec<Uid> = uids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut runs: Vec<(Uid, Uid)> = Vec::new();
    for uid in sorted {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == uid => *last = uid,
            _ => runs.push((uid, uid)),
        }
    }
    let text = runs.iter().map(|(a, b)| if a == b { a.to_string() } else { format!("{a}:{b}") });
    text.collect::<Vec<_>>().join(",")
}

/// Messages by UID.
pub(super) type Messages = BTreeMap<Uid, Shown>;
