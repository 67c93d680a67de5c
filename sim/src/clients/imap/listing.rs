//! Looking at messages: whole mailboxes, single messages, news.

use super::response::{Data, Item};
use super::session::{Messages, Modseqs, Selected, Session, set, shown};
use super::view::News;
use crate::clients::{Client, Fault, Mails};
use crate::history::*;

/// How much of each message is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The line that tells which mail it is.
    Token,
    /// All bytes.
    Whole,
}

impl Depth {
    /// What is asked for; mod-sequences too, in a session that has enabled them.
    fn items(self, modseqs: Modseqs) -> String {
        let modseq = if modseqs == Modseqs::Told { " MODSEQ" } else { "" };
        let body = match self {
            Depth::Token => "BODY.PEEK[HEADER.FIELDS (X-Sim)]",
            Depth::Whole => "BODY.PEEK[]",
        };
        format!("(UID FLAGS{modseq} {body})")
    }
}

/// A listing of the selected mailbox.
pub struct Listing {
    pub messages: Messages,
    /// Whether nothing changed meanwhile, so that it is what was there at one moment.
    pub still: bool,
}

impl Session {
    /// All messages, just after SELECT: what was told of the mailbox then belongs to the listing.
    pub async fn fetch_all(
        &mut self,
        client: &mut Client,
        selected: &Selected,
        depth: Depth,
    ) -> Result<Listing, Fault> {
        let exists = self.view.exists();
        if exists == 0 {
            self.record_listing(client, selected, &Messages::new(), true);
            return Ok(Listing { messages: Messages::new(), still: true });
        }
        client.note(What::Asked);
        let (messages, missing) = self.fetch(client, "UID FETCH 1:*", depth, "").await?;
        // Whatever is told unasked happened after SELECT: then this is no picture of one moment.
        let still = self.news.is_empty() && !missing;
        if still && (messages.len() as u32 != exists || !self.view.all_known()) {
            client.violated(format!(
                "FETCH of all {exists} messages showed {}, and did not say that any is gone",
                messages.len()
            ));
        }
        self.record_listing(client, selected, &messages, still);
        Ok(Listing { messages, still })
    }

    fn record_listing(&self, client: &Client, selected: &Selected, messages: &Messages, still: bool) {
        let place = selected.place.clone();
        let messages: Vec<Shown> = messages.values().cloned().collect();
        client.saw(match still {
            true => Sight::Listed {
                login: place.login,
                mailbox: place.mailbox,
                validity: place.validity,
                since: selected.since,
                messages,
            },
            false => Sight::Fetched {
                login: place.login,
                mailbox: place.mailbox,
                validity: place.validity,
                messages,
            },
        });
    }

    /// Some messages by UID.
    pub async fn fetch_some(&mut self, client: &mut Client, uids: &[Uid], depth: Depth) -> Result<(), Fault> {
        let Some(place) = self.place.clone() else { return Ok(()) };
        client.note(What::Asked);
        let (messages, _) = self.fetch(client, &format!("UID FETCH {}", set(uids)), depth, "").await?;
        let messages = messages.into_values().collect();
        let (login, mailbox, validity) = (place.login, place.mailbox, place.validity);
        client.saw(Sight::Fetched { login, mailbox, validity, messages });
        Ok(())
    }

    /// What CHANGEDSINCE answers (RFC 7162 §3.1.4.1). Recorded as no question of its own: the answer counts with the
    /// modseq that SELECT told before.
    pub async fn changed_since(&mut self, client: &mut Client, since: ModSeq) -> Result<Messages, Fault> {
        let modifier = format!(" (CHANGEDSINCE {since})");
        let (messages, _) = self.fetch(client, "UID FETCH 1:*", Depth::Token, &modifier).await?;
        Ok(messages)
    }

    /// All UIDs, likewise.
    pub async fn search_all(&mut self, client: &mut Client) -> Result<Vec<Uid>, Fault> {
        let answer = self.command(client, "UID SEARCH ALL").await?;
        self.note_changed(answer.data.iter(), |_| true);
        let found = answer.data.into_iter().find_map(|data| match data {
            Data::Search(uids) => Some(uids),
            _ => None,
        });
        Ok(found.unwrap_or_default())
    }

    /// Records what was told unasked; new messages, of which only the number is known, are looked at first, and are
    /// then among what has changed.
    pub async fn take_news(&mut self, client: &mut Client) -> Result<News, Fault> {
        let mut new = Vec::new();
        if let Some((first, last)) = self.news.new.take().filter(|_| !self.news.closed) {
            let fetch = format!("FETCH {first}:{last}");
            let command = format!("{fetch} {}", Depth::Token.items(self.modseqs));
            let answer = self.command(client, &command).await?;
            let numbers: Vec<&Data> = answer
                .data
                .iter()
                .filter(|d| matches!(d, Data::Expunge(_) | Data::Vanished { .. }))
                .collect();
            if !numbers.is_empty() {
                // RFC 3501 §7.4.1.
                client.violated(format!("{fetch}: answered with {numbers:?}"));
            }
            let (answers, others) = split(&answer.data, Depth::Token);
            self.note_changed(others.into_iter(), |_| true);
            new = answers.into_iter().map(|(uid, item)| seen(client, uid, item, Depth::Token)).collect();
        }
        let mut news = std::mem::take(&mut self.news);
        // What came while those were looked at is told next time.
        self.news.new = news.new;
        self.news.closed = news.closed;
        if let Some(place) = self
            .place
            .clone()
            .filter(|_| !(new.is_empty() && news.changed.is_empty() && news.gone.is_empty()))
        {
            for attempt in new.iter().filter_map(|shown: &Shown| shown.attempt) {
                if let Some(after) = client.shared.acks.age(attempt) {
                    client.saw(Sight::Woken { login: place.login.clone(), after });
                }
            }
            client.saw(Sight::Noticed {
                login: place.login,
                mailbox: place.mailbox,
                validity: place.validity,
                new: new.clone(),
                changed: news.changed.clone(),
                gone: news.gone.clone(),
            });
        }
        news.changed.extend(new);
        Ok(news)
    }

    /// Messages that were asked for, and whether some of those are gone. What else is told goes to the news.
    async fn fetch(
        &mut self,
        client: &mut Client,
        fetch: &str,
        depth: Depth,
        modifier: &str,
    ) -> Result<(Messages, bool), Fault> {
        let answer =
            self.command(client, &format!("{fetch} {}{modifier}", depth.items(self.modseqs))).await?;
        let (answers, others) = split(&answer.data, depth);
        self.note_changed(others.into_iter(), |_| true);
        let missing = answer.code("EXPUNGEISSUED").is_some();
        let messages = answers.into_iter().map(|(uid, item)| (uid, seen(client, uid, item, depth))).collect();
        Ok((messages, missing))
    }
}

/// FETCH data with all that was asked for, and the rest.
fn split(data: &[Data], _depth: Depth) -> (Vec<(Uid, &Item)>, Vec<&Data>) {
    let (mut answers, mut others) = (Vec::new(), Vec::new());
    for told in data {
        match told {
            Data::Fetch(_, item @ Item { uid: Some(uid), body: Some(_), .. }) => answers.push((*uid, item)),
            other => others.push(other),
        }
    }
    (answers, others)
}

fn seen(client: &Client, uid: Uid, item: &Item, depth: Depth) -> Shown {
    let mut shown = shown(uid, item);
    let body = item.body.as_deref().unwrap_or_default();
    match depth {
        Depth::Token => shown.attempt = Mails::token(body),
        Depth::Whole => {
            let known = client.shared.mails.recognise(body);
            (shown.attempt, shown.intact) = (known.attempt, Some(known.intact));
        }
    }
    shown
}
