//! What the writers do, and what must be there afterwards: both follow from a seed, so that the one who checks needs to
//! be told nothing but how far each writer has come.

use crate::dice::Dice;
use std::collections::BTreeMap;

/// Names of mailboxes beside INBOX and Archive, which every account has.
const MORE: [&str; 3] = ["Work", "Work/Old", "Lists"];
/// Above this an owner expunges before anything else, in messages.
const CROWDED: usize = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    pub seed: u64,
    pub owners: u64,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Everything, in small steps.
    Mixed,
    /// The first owner's steps touch this many messages each: a batch longer than what sled's file is cut into.
    Bulk(u64),
}

/// One step of one owner.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    CreateAccount,
    DeleteAccount,
    CreateMailbox(String),
    DeleteMailbox(String),
    Rename(String, String),
    Append { to: String, contents: Vec<u64> },
    Flag { at: String, uids: Vec<u32>, flag: u8, set: bool },
    Copy { from: String, uids: Vec<u32>, to: String },
    Move { from: String, uids: Vec<u32>, to: String },
    Expunge { at: String, uids: Vec<u32> },
}

/// What an owner has: an account made by some step, or none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Owner {
    pub account: Option<Holdings>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Holdings {
    /// The step that made it.
    pub made: u64,
    pub mailboxes: BTreeMap<String, Contents>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Contents {
    /// The step and the name it was made with.
    pub made: (u64, String),
    pub uidnext: u32,
    pub modseq: u64,
    /// Content and flags.
    pub messages: BTreeMap<u32, (u64, u8)>,
}

impl Workload {
    /// Step `n` of an owner who has `before`.
    pub fn step(&self, owner: u64, n: u64, before: &Owner) -> Step {
        let mut dice = Dice::of(&[self.seed, owner, n]);
        let Some(holdings) = &before.account else { return Step::CreateAccount };
        let contents = |count| (0..count).map(|i| (owner << 48) | (n << 16) | i).collect();
        if let (Kind::Bulk(count), 0) = (self.kind, owner) {
            return bulk(n, holdings, contents(count));
        }
        let names: Vec<&String> = holdings.mailboxes.keys().collect();
        let at = (*dice.pick(&names)).clone();
        let to = (*dice.pick(&names)).clone();
        let uids = some(&holdings.mailboxes[&at], &mut dice);
        let crowded = holdings.mailboxes.values().map(|m| m.messages.len()).sum::<usize>() > CROWDED;
        let append = |dice: &mut Dice, to| Step::Append { to, contents: contents(1 + dice.below(8) / 6) };
        match dice.below(100) {
            _ if crowded && !uids.is_empty() => Step::Expunge { at, uids },
            0..40 => append(&mut dice, to),
            90..95 => mailbox_step(holdings, &mut dice),
            95 if n > 20 => Step::DeleteAccount,
            _ if uids.is_empty() => append(&mut dice, to),
            40..55 => {
                let (flag, set) = (1 << dice.below(3), dice.below(3) > 0);
                Step::Flag { at, uids, flag, set }
            }
            55..68 => Step::Copy { from: at, uids, to },
            68..78 if at != to => Step::Move { from: at, uids, to },
            _ => Step::Expunge { at, uids },
        }
    }

    /// What an owner has after the first `steps` steps, and before each of them.
    pub fn history(&self, owner: u64, steps: u64) -> Vec<Owner> {
        let mut all = vec![Owner::default()];
        for n in 0..steps {
            let mut next = all[n as usize].clone();
            let step = self.step(owner, n, &next);
            next.apply(n, &step);
            all.push(next);
        }
        all
    }

    /// The bytes of a message.
    pub fn content(&self, id: u64) -> Vec<u8> {
        let mut dice = Dice::of(&[self.seed, id]);
        let head = format!("Message-ID: <{id:x}@example.org>\r\nSubject: message {id}\r\n");
        if matches!(self.kind, Kind::Bulk(_)) && id >> 48 == 0 {
            return format!("{head}\r\nshort\r\n").into_bytes();
        }
        match dice.below(8) {
            0..3 => {
                let lines = dice.below(40) as usize;
                format!("{head}\r\n{}", "the same line again and again\r\n".repeat(lines)).into_bytes()
            }
            // Around the length of one chunk.
            3 => {
                let len = (64 << 10) - 200 + dice.below(400) as usize;
                let text: String = dice.bytes(len / 2).iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{head}\r\n{text}\r\n").into_bytes()
            }
            // The same attachments over and over.
            4..7 => {
                const LENGTHS: [usize; 5] = [65_535, 65_536, 65_537, 131_072, 9_000];
                let which = dice.below(LENGTHS.len() as u64);
                with_attachment(&head, &Dice::of(&[self.seed, which]).bytes(LENGTHS[which as usize]))
            }
            _ => {
                let len = 1_000 + dice.below(220_000) as usize;
                with_attachment(&head, &dice.bytes(len))
            }
        }
    }
}

fn with_attachment(head: &str, attachment: &[u8]) -> Vec<u8> {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(attachment);
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!(
        "{head}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee attachment\r\n\
         --b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--b--\r\n",
        lines.join("\r\n")
    )
    .into_bytes()
}

/// About half of the messages of a mailbox.
fn some(mailbox: &Contents, dice: &mut Dice) -> Vec<u32> {
    mailbox.messages.keys().copied().filter(|_| dice.below(2) == 0).collect()
}

fn mailbox_step(holdings: &Holdings, dice: &mut Dice) -> Step {
    let name = *dice.pick(&MORE);
    let has = |name: &str| holdings.mailboxes.contains_key(name);
    let has_children = holdings.mailboxes.keys().any(|other| other.starts_with(&format!("{name}/")));
    match dice.below(3) {
        _ if !has(name) => Step::CreateMailbox(name.into()),
        0 if !has("Renamed") && name == "Lists" => Step::Rename(name.into(), "Renamed".into()),
        1 if has("Renamed") => Step::DeleteMailbox("Renamed".into()),
        _ if has_children => Step::DeleteMailbox("Work/Old".into()),
        _ => Step::DeleteMailbox(name.into()),
    }
}

/// Fills INBOX, then goes round: copy all, flag all, move all, expunge all.
fn bulk(n: u64, holdings: &Holdings, contents: Vec<u64>) -> Step {
    let (inbox, archive) = ("INBOX".to_owned(), "Archive".to_owned());
    let all = |name: &String| holdings.mailboxes[name].messages.keys().copied().collect::<Vec<u32>>();
    match n % 6 {
        1 => Step::Append { to: inbox, contents },
        2 => Step::Copy { uids: all(&inbox), from: inbox, to: archive },
        3 => Step::Flag { uids: all(&archive), at: archive, flag: 1, set: n % 12 == 3 },
        4 => Step::Expunge { uids: all(&archive), at: archive },
        5 => Step::Move { uids: all(&inbox), from: inbox, to: archive },
        _ => Step::Expunge { uids: all(&archive), at: archive },
    }
}

impl Contents {
    fn new(n: u64, name: &str) -> Self {
        Self { made: (n, name.into()), uidnext: 1, modseq: 1, messages: BTreeMap::new() }
    }

    fn add(&mut self, messages: impl IntoIterator<Item = (u64, u8)>) {
        let before = self.uidnext;
        for message in messages {
            self.messages.insert(self.uidnext, message);
            self.uidnext += 1;
        }
        self.modseq += u64::from(self.uidnext > before);
    }

    fn take(&mut self, uids: &[u32]) {
        let before = self.messages.len();
        self.messages.retain(|uid, _| !uids.contains(uid));
        self.modseq += u64::from(self.messages.len() < before);
    }

    fn pick(&self, uids: &[u32]) -> Vec<(u64, u8)> {
        uids.iter().map(|uid| self.messages[uid]).collect()
    }

    fn flag(&mut self, uids: &[u32], flag: u8, set: bool) {
        let mut changed = false;
        for uid in uids {
            let (_, flags) = self.messages.get_mut(uid).expect("only what is there is flagged");
            let after = if set { *flags | flag } else { *flags & !flag };
            changed |= after != *flags;
            *flags = after;
        }
        self.modseq += u64::from(changed);
    }
}

impl Owner {
    pub fn apply(&mut self, n: u64, step: &Step) {
        if *step == Step::CreateAccount {
            let mailboxes = ["INBOX", "Archive"].map(|name| (name.to_owned(), Contents::new(n, name)));
            self.account = Some(Holdings { made: n, mailboxes: mailboxes.into() });
            return;
        }
        let all = &mut self.account.as_mut().expect("only an account has further steps").mailboxes;
        match step {
            Step::CreateAccount => {}
            Step::DeleteAccount => self.account = None,
            Step::CreateMailbox(name) => {
                // Missing parents come along.
                for end in name.match_indices('/').map(|(at, _)| at).chain([name.len()]) {
                    all.entry(name[..end].to_owned()).or_insert_with(|| Contents::new(n, &name[..end]));
                }
            }
            Step::DeleteMailbox(name) => _ = all.remove(name),
            Step::Rename(from, to) => {
                let mailbox = all.remove(from).expect("what is renamed is there");
                all.insert(to.clone(), mailbox);
            }
            Step::Append { to, contents } => {
                mailbox(all, to).add(contents.iter().map(|content| (*content, 0)));
            }
            Step::Flag { at, uids, flag, set } => mailbox(all, at).flag(uids, *flag, *set),
            Step::Copy { from, uids, to } => {
                let copies = all[from].pick(uids);
                mailbox(all, to).add(copies);
            }
            Step::Move { from, uids, to } => {
                let moved = all[from].pick(uids);
                mailbox(all, from).take(uids);
                mailbox(all, to).add(moved);
            }
            Step::Expunge { at, uids } => mailbox(all, at).take(uids),
        }
    }
}

fn mailbox<'a>(all: &'a mut BTreeMap<String, Contents>, name: &str) -> &'a mut Contents {
    all.get_mut(name).expect("the mailbox is there")
}
