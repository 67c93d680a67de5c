//! One who works over IMAP in mailboxes that nobody else uses, and so knows exactly what is in them.

use super::mail::{Dice, mail};
use super::wire::Imap;
use std::collections::BTreeMap;
use std::io;

pub const MAILBOXES: [&str; 2] = ["INBOX", "Kept"];

/// A mailbox: numbers of mails and whether they are flagged.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Kept {
    pub uidvalidity: u32,
    pub uidnext: u32,
    pub messages: BTreeMap<u32, (u64, bool)>,
}

#[derive(Debug, Clone)]
enum Command {
    Append { to: usize, number: u64 },
    Flag { at: usize, uids: Vec<u32>, set: bool },
    Copy { from: usize, uids: Vec<u32> },
    Move { from: usize, uids: Vec<u32> },
    Expunge { at: usize, uids: Vec<u32> },
}

pub struct Keeper {
    pub user: String,
    pub pass: String,
    /// As acknowledged.
    pub mailboxes: [Kept; 2],
    /// Sent, and not acknowledged when the connection broke.
    unanswered: Option<Command>,
    dice: Dice,
}

impl Keeper {
    /// With mailboxes that are empty and known.
    pub fn new(port: u16, user: &str, pass: &str, seed: u64) -> Self {
        let mut imap = Imap::login(port, user, pass).expect("a login");
        imap.command("CREATE Kept").expect("a mailbox");
        let mailboxes = MAILBOXES.map(|name| {
            let status =
                imap.command(&format!("STATUS {name} (UIDVALIDITY UIDNEXT)")).expect("a status").join(" ");
            let number = |key: &str| {
                let rest = status.split(key).nth(1).unwrap_or_else(|| panic!("no {key} in {status}"));
                rest.trim_start()
                    .split(|c: char| !c.is_ascii_digit())
                    .next()
                    .and_then(|n| n.parse().ok())
                    .expect("a number")
            };
            Kept { uidvalidity: number("UIDVALIDITY"), uidnext: number("UIDNEXT"), messages: BTreeMap::new() }
        });
        let (user, pass) = (user.to_owned(), pass.to_owned());
        Self { user, pass, mailboxes, unanswered: None, dice: Dice::new(seed) }
    }

    /// Works until the connection breaks.
    pub fn work(&mut self, port: u16, acknowledged: &dyn Fn()) {
        let _broken = self.commands(port, acknowledged);
    }

    fn commands(&mut self, port: u16, acknowledged: &dyn Fn()) -> io::Result<()> {
        let mut imap = Imap::login(port, &self.user, &self.pass)?;
        let mut selected = None;
        loop {
            let command = self.choose();
            if let Some(at) = command.selects()
                && selected != Some(at)
            {
                imap.command(&format!("SELECT {}", MAILBOXES[at]))?;
                selected = Some(at);
            }
            self.unanswered = Some(command.clone());
            let answers = command.send(&mut imap)?;
            self.unanswered = None;
            let given = command.apply(&mut self.mailboxes);
            command.check(&answers, &given, &self.mailboxes);
            acknowledged();
        }
    }

    fn choose(&mut self) -> Command {
        let at = self.dice.below(2) as usize;
        let there: Vec<u32> = self.mailboxes[at].messages.keys().copied().collect();
        let uids: Vec<u32> = there.iter().copied().filter(|_| self.dice.below(3) == 0).collect();
        match self.dice.below(10) {
            _ if there.len() > 30 => Command::Expunge { at, uids: there[..20].to_vec() },
            0..4 => Command::Append { to: at, number: self.dice.next() >> 8 },
            _ if uids.is_empty() => Command::Append { to: at, number: self.dice.next() >> 8 },
            4 | 5 => Command::Flag { at, uids, set: self.dice.below(3) > 0 },
            6 => Command::Copy { from: at, uids },
            7 => Command::Move { from: at, uids },
            _ => Command::Expunge { at, uids },
        }
    }

    /// Takes what was found after a crash for the truth, if it is as acknowledged, or so with the unanswered command whole.
    pub fn reconcile(&mut self, found: &[Kept; 2]) {
        let unanswered = self.unanswered.take();
        if *found == self.mailboxes {
            return;
        }
        let acknowledged = self.mailboxes.clone();
        if let Some(command) = &unanswered {
            command.apply(&mut self.mailboxes);
        }
        assert_eq!(
            *found, self.mailboxes,
            "{}: neither what was acknowledged:\n{acknowledged:?}\nnor that with {unanswered:?}",
            self.user
        );
    }
}

fn set(uids: &[u32]) -> String {
    uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

impl Command {
    fn selects(&self) -> Option<usize> {
        match self {
            Command::Append { .. } => None,
            Command::Flag { at, .. } | Command::Expunge { at, .. } => Some(*at),
            Command::Copy { from, .. } | Command::Move { from, .. } => Some(*from),
        }
    }

    fn send(&self, imap: &mut Imap) -> io::Result<Vec<String>> {
        match self {
            Command::Append { to, number } => imap.append(MAILBOXES[*to], &mail(*number)),
            Command::Flag { uids, set: on, .. } => imap.command(&format!(
                "UID STORE {} {}FLAGS (\\Flagged)",
                set(uids),
                if *on { '+' } else { '-' }
            )),
            Command::Copy { from, uids } => {
                imap.command(&format!("UID COPY {} {}", set(uids), MAILBOXES[1 - from]))
            }
            Command::Move { from, uids } => {
                imap.command(&format!("UID MOVE {} {}", set(uids), MAILBOXES[1 - from]))
            }
            Command::Expunge { uids, .. } => {
                // Two commands, but \Deleted alone is never looked at: it goes with the message, or with the check.
                imap.command(&format!("UID STORE {} +FLAGS.SILENT (\\Deleted)", set(uids)))?;
                imap.command(&format!("UID EXPUNGE {}", set(uids)))
            }
        }
    }

    /// What it does. The mailbox and the UIDs that it gives.
    fn apply(&self, mailboxes: &mut [Kept; 2]) -> (usize, Vec<u32>) {
        let (target, added) = match self {
            Command::Append { to, number } => (*to, vec![(*number, false)]),
            Command::Flag { at, uids, set } => {
                let messages = &mut mailboxes[*at].messages;
                for uid in uids {
                    messages.get_mut(uid).expect("it is there").1 = *set;
                }
                return (*at, Vec::new());
            }
            Command::Copy { from, uids } => {
                (1 - from, uids.iter().map(|uid| mailboxes[*from].messages[uid]).collect())
            }
            Command::Move { from, uids } => {
                (1 - from, uids.iter().filter_map(|uid| mailboxes[*from].messages.remove(uid)).collect())
            }
            Command::Expunge { at, uids } => {
                mailboxes[*at].messages.retain(|uid, _| !uids.contains(uid));
                return (*at, Vec::new());
            }
        };
        let mailbox = &mut mailboxes[target];
        let given = (mailbox.uidnext..).take(added.len()).collect::<Vec<u32>>();
        mailbox.messages.extend(given.iter().copied().zip(added));
        mailbox.uidnext += given.len() as u32;
        (target, given)
    }

    /// RFC 4315: the UIDs it was told are those that come next, so none is ever given twice.
    fn check(&self, answers: &[String], (target, given): &(usize, Vec<u32>), mailboxes: &[Kept; 2]) {
        let (Some(first), Some(last)) = (given.first(), given.last()) else { return };
        let validity = mailboxes[*target].uidvalidity;
        let range = if first == last { first.to_string() } else { format!("{first}:{last}") };
        let all = answers.join("\n");
        let told = match self {
            Command::Append { .. } => all.contains(&format!("[APPENDUID {validity} {range}]")),
            _ => all.contains(&format!("[COPYUID {validity} ")) && all.contains(&format!(" {range}]")),
        };
        assert!(told, "UIDs {range} of {validity} were expected for {self:?}: {all}");
    }
}
