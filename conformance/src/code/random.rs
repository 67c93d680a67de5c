//! Sessions that do anything, at once, in one mailbox: in the end each has to believe what is there.

use super::{Doing, case};
use crate::case::Case;
use crate::response::{Response, Value};
use crate::runner::{Running, Wrong};
use crate::talk::Answer;
use std::collections::BTreeSet;

/// Mailboxes, each with a seed of its own.
const ROUNDS: u64 = 4;
/// Commands in each.
const STEPS: usize = 70;
const SESSIONS: [&str; 3] = ["a", "b", "c"];
const FLAGS: [&str; 4] = ["\\Seen", "\\Flagged", "\\Deleted", "\\Answered"];

pub fn cases() -> Vec<Case> {
    vec![case(
        "rfc3501-7-sessions-that-do-anything-end-with-one-picture",
        "RFC 3501 §7 picture",
        "",
        one_picture,
    )]
}

/// The same for everybody, so that what has failed fails again: SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    /// Two message numbers, the lower one first.
    fn range(&mut self, exists: usize) -> (usize, usize) {
        let (one, other) = (1 + self.below(exists), 1 + self.below(exists));
        (one.min(other), one.max(other))
    }

    fn flags(&mut self) -> String {
        let flags: Vec<&str> = FLAGS.into_iter().filter(|_| self.below(3) == 0).collect();
        flags.join(" ")
    }
}

/// A message as a session has been told of it; `None` is what it was not told.
#[derive(Debug, Clone, Default, PartialEq)]
struct Message {
    uid: Option<u64>,
    /// Without \Recent, which is of a session.
    flags: Option<BTreeSet<String>>,
}

#[derive(Debug, Default)]
struct Picture(Vec<Message>);

impl Picture {
    fn take_in(&mut self, answer: &Answer) -> Result<(), String> {
        for untagged in &answer.untagged {
            let wrong = || format!("there are {} messages: {}", self.0.len(), untagged.text);
            let Response::Numbered { number, kind, data } = &untagged.response else { continue };
            let number = *number as usize;
            match kind.as_str() {
                "EXISTS" => self.0.resize(number, Message::default()),
                "EXPUNGE" if (1..=self.0.len()).contains(&number) => _ = self.0.remove(number - 1),
                "FETCH" if (1..=self.0.len()).contains(&number) => self.0[number - 1].learn(data),
                "EXPUNGE" | "FETCH" => return Err(wrong()),
                _ => {}
            }
        }
        Ok(())
    }

    /// A change of the session's own of which it asked not to be told.
    fn forget_flags(&mut self, numbers: std::ops::Range<usize>) {
        self.0[numbers].iter_mut().for_each(|message| message.flags = None);
    }

    /// Where it differs from what is there, as far as it goes.
    fn differs(&self, there: &Picture) -> Option<String> {
        if self.0.len() != there.0.len() {
            return Some(format!("{} messages, and there are {}", self.0.len(), there.0.len()));
        }
        let differs = |(mine, there): &(&Message, &Message)| {
            mine.uid.is_some() && mine.uid != there.uid || mine.flags.is_some() && mine.flags != there.flags
        };
        let pairs = self.0.iter().zip(&there.0);
        pairs.clone().find(differs).map(|(mine, there)| format!("{mine:?}, and there is {there:?}"))
    }
}

impl Message {
    fn learn(&mut self, data: &[Value]) {
        let items = data.first().and_then(Value::list).unwrap_or_default();
        for pair in items.chunks(2) {
            let [Value::Word(name), value] = pair else { continue };
            match name.to_ascii_uppercase().as_str() {
                "UID" => self.uid = value.number(),
                "FLAGS" => {
                    let flags = value.list().unwrap_or_default().iter().filter_map(Value::word);
                    let flags = flags.map(str::to_ascii_lowercase).filter(|flag| flag != "\\recent");
                    self.flags = Some(flags.collect());
                }
                _ => {}
            }
        }
    }
}

fn one_picture<'a>(running: &'a mut Running<'_>) -> Doing<'a> {
    Box::pin(async move {
        for round in 0..ROUNDS {
            let name = running.filled(&format!("{{box}}/{round}"));
            running.session("a").await?.expect_ok(&format!("CREATE {name}")).await?;
            at_random(running, &name, round).await?;
        }
        Ok(())
    })
}

async fn at_random(running: &mut Running<'_>, mailbox: &str, seed: u64) -> Result<(), Wrong> {
    let mut dice = Dice(seed);
    let mut pictures: Vec<Picture> = Vec::new();
    for name in SESSIONS {
        let mut picture = Picture::default();
        picture.take_in(&running.session(name).await?.expect_ok(&format!("SELECT {mailbox}")).await?)?;
        pictures.push(picture);
    }
    for _ in 0..STEPS {
        let who = dice.below(SESSIONS.len());
        let (talk, picture) = (running.session(SESSIONS[who]).await?, &mut pictures[who]);
        let exists = picture.0.len();
        let mut forgotten = 0..0;
        let command = match dice.below(12) {
            _ if exists == 0 => format!("APPEND {mailbox} {{{{Subject: x\\r\\n\\r\\nx\\r\\n}}}}"),
            0 | 1 => format!("APPEND {mailbox} ({}) {{{{Subject: x\\r\\n\\r\\nx\\r\\n}}}}", dice.flags()),
            kind @ 2..=5 => {
                let (first, last) = dice.range(exists);
                let silent = dice.below(3) == 0;
                let sign = ["+", "-", ""][dice.below(3)];
                let item = if silent { "FLAGS.SILENT" } else { "FLAGS" };
                if silent {
                    forgotten = first - 1..last;
                }
                // By UIDs only where all are known.
                let uid = |number: usize| picture.0[number - 1].uid;
                let (by, first, last) = match (kind, uid(first), uid(last)) {
                    (2, Some(first), Some(last)) => ("UID ", first, last),
                    _ => ("", first as u64, last as u64),
                };
                format!("{by}STORE {first}:{last} {sign}{item} ({})", dice.flags())
            }
            6 => "EXPUNGE".into(),
            7 => {
                let (first, last) = dice.range(exists);
                format!("FETCH {first}:{last} (UID FLAGS)")
            }
            8 => "SEARCH FLAGGED".into(),
            9 => {
                let (first, last) = dice.range(exists);
                format!("COPY {first}:{last} {mailbox}")
            }
            10 => {
                // CLOSE tells of nothing, and the next SELECT of everything.
                talk.expect_ok("CLOSE").await?;
                *picture = Picture::default();
                format!("SELECT {mailbox}")
            }
            _ => "NOOP".into(),
        };
        let answer = talk.command(&command, &[]).await?;
        // RFC 2180 §4: what others have expunged may be missed, in either way.
        if answer.tagged.starts_with("BAD") {
            return Err(format!("{command}: {}", answer.tagged).into());
        }
        // Before what the answer tells: by that, numbers may have moved.
        picture.forget_flags(forgotten);
        picture.take_in(&answer)?;
    }
    agree(running, mailbox, pictures).await
}

/// Everybody asks once more, and then has the picture of somebody who comes anew.
async fn agree(running: &mut Running<'_>, mailbox: &str, pictures: Vec<Picture>) -> Result<(), Wrong> {
    let newcomer = running.session("d").await?;
    let selected = newcomer.expect_ok(&format!("EXAMINE {mailbox}")).await?;
    let mut there = Picture::default();
    there.take_in(&selected)?;
    if !there.0.is_empty() {
        there.take_in(&newcomer.expect_ok("FETCH 1:* (UID FLAGS)").await?)?;
    }
    for (name, mut picture) in SESSIONS.into_iter().zip(pictures) {
        let talk = running.session(name).await?;
        picture.take_in(&talk.expect_ok("NOOP").await?)?;
        if let Some(difference) = picture.differs(&there) {
            return Err(format!("session {name} has been told of {difference}").into());
        }
        if !there.0.is_empty() {
            picture.take_in(&talk.expect_ok("FETCH 1:* (UID FLAGS)").await?)?;
        }
        if let Some(difference) = picture.differs(&there) {
            return Err(format!("session {name} is shown {difference}").into());
        }
    }
    Ok(())
}
