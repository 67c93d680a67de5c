//! Sessions that do anything, at once, in one mailbox: in the end each has to believe what is there.

use super::{Doing, case};
use crate::case::Case;
use crate::picture::{Known, Picture};
use crate::runner::{Running, Wrong};

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

/// A change of the session's own of which it asked not to be told.
fn forget_flags(picture: &mut Picture, numbers: std::ops::Range<usize>) {
    picture.0[numbers].iter_mut().for_each(|message| message.flags = None);
}

/// Where a picture differs from what is there, as far as it goes.
fn differs(picture: &Picture, there: &Picture) -> Option<String> {
    if picture.0.len() != there.0.len() {
        return Some(format!("{} messages, and there are {}", picture.0.len(), there.0.len()));
    }
    let differs = |(mine, there): &(&Known, &Known)| {
        mine.uid.is_some() && mine.uid != there.uid || mine.flags.is_some() && mine.flags != there.flags
    };
    let mut pairs = picture.0.iter().zip(&there.0);
    pairs.find(differs).map(|(mine, there)| format!("{mine:?}, and there is {there:?}"))
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
        picture
            .hear(&running.session(name).await?.expect_ok(&format!("SELECT {mailbox}")).await?.untagged)?;
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
                    (2, Some(first), Some(last)) => ("UID ", first as usize, last as usize),
                    _ => ("", first, last),
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
        forget_flags(picture, forgotten);
        picture.hear(&answer.untagged)?;
    }
    agree(running, mailbox, pictures).await
}

/// Everybody asks once more, and then has the picture of somebody who comes anew.
async fn agree(running: &mut Running<'_>, mailbox: &str, pictures: Vec<Picture>) -> Result<(), Wrong> {
    let newcomer = running.session("d").await?;
    let selected = newcomer.expect_ok(&format!("EXAMINE {mailbox}")).await?;
    let mut there = Picture::default();
    there.hear(&selected.untagged)?;
    if !there.0.is_empty() {
        there.hear(&newcomer.expect_ok("FETCH 1:* (UID FLAGS)").await?.untagged)?;
    }
    for (name, mut picture) in SESSIONS.into_iter().zip(pictures) {
        let talk = running.session(name).await?;
        picture.hear(&talk.expect_ok("NOOP").await?.untagged)?;
        if let Some(difference) = differs(&picture, &there) {
            return Err(format!("session {name} has been told of {difference}").into());
        }
        if !there.0.is_empty() {
            picture.hear(&talk.expect_ok("FETCH 1:* (UID FLAGS)").await?.untagged)?;
        }
        if let Some(difference) = differs(&picture, &there) {
            return Err(format!("session {name} is shown {difference}").into());
        }
    }
    Ok(())
}
