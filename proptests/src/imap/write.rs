//! Typed commands to bytes, in any of the spellings the grammar allows.

use super::command::{Append, Content, Message, Part, Sent};
use gadwall::imap::decode::Event;
use gadwall::imap::mutf7;
use gadwall::imap::types::*;
use gadwall::time::Civil;
use gadwall_storage::{FlagChange, Flags, SystemFlag, Timestamp};
use proptest::prelude::*;

/// Which spelling to take where there are several: a number for each choice, used in turn; none is the plainest.
#[derive(Debug, Clone, Default)]
pub struct Spelling {
    pub choices: Vec<u8>,
    /// Keeps to RFC 3501 where the decoder takes more: no 8-bit characters in quoted strings, no empty lists of options.
    pub strict: bool,
}

pub fn spelling() -> impl Strategy<Value = Spelling> {
    prop::collection::vec(any::<u8>(), 0..24).prop_map(|choices| Spelling { choices, strict: false })
}

/// Writes commands and notes what a decoder has to make of them.
pub struct Writer<'a> {
    pub out: Vec<u8>,
    pub expected: Vec<Event>,
    pub(super) spelling: &'a Spelling,
    at: usize,
}

impl<'a> Writer<'a> {
    pub fn new(spelling: &'a Spelling) -> Self {
        Writer { out: Vec::new(), expected: Vec::new(), spelling, at: 0 }
    }

    pub fn sent(&mut self, sent: &Sent) {
        match sent {
            Sent::Command(tagged) => {
                self.text(tagged.tag.as_str());
                self.text(" ");
                self.command(&tagged.command);
                self.expected.push(Event::Command(tagged.clone()));
            }
            Sent::Append(append) => self.append(append),
        }
        self.text("\r\n");
    }

    pub(super) fn choose(&mut self, of: u8) -> u8 {
        if self.spelling.choices.is_empty() {
            return 0;
        }
        self.at += 1;
        self.spelling.choices[self.at % self.spelling.choices.len()] % of
    }

    /// Whether to take the spelling of an extension, empty though it be.
    pub(super) fn extends(&mut self, of: u8) -> bool {
        self.choose(of) == 1 && !self.spelling.strict
    }

    pub(super) fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Words of the protocol have no case.
    pub(super) fn word(&mut self, word: &str) {
        let word = if self.choose(3) == 1 { word.to_ascii_lowercase() } else { word.to_owned() };
        self.text(&word);
    }

    pub(super) fn separated<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.text(" ");
            }
            write(self, item);
        }
    }

    pub(super) fn list<T>(&mut self, items: &[T], write: impl FnMut(&mut Self, &T)) {
        self.text("(");
        self.separated(items, write);
        self.text(")");
    }

    pub(super) fn astring(&mut self, text: &[u8]) {
        let is_atom = !text.is_empty() && text.iter().all(|b| is_atom_char(*b) || *b == b']');
        if is_atom && self.choose(2) == 0 { self.out.extend_from_slice(text) } else { self.string(text) }
    }

    pub(super) fn string(&mut self, text: &[u8]) {
        let quotable = text.iter().all(|b| !b"\r\n\0".contains(b) && (b.is_ascii() || !self.spelling.strict));
        if quotable && self.choose(2) == 0 {
            self.text("\"");
            for byte in text {
                if b"\"\\".contains(byte) {
                    self.text("\\");
                }
                self.out.push(*byte);
            }
            self.text("\"");
            return;
        }
        let sync = self.announce(text.len());
        if sync {
            self.expected.push(Event::ContinueLiteral);
        }
        self.out.extend_from_slice(text);
    }

    /// `{n}` or `{n+}`; whether it is synchronising.
    pub(super) fn announce(&mut self, len: usize) -> bool {
        let sync = self.choose(2) == 0;
        self.text(&format!("{{{len}{}}}\r\n", if sync { "" } else { "+" }));
        sync
    }

    pub(super) fn mailbox(&mut self, mailbox: &MailboxArg) {
        match mailbox {
            MailboxArg::Name(name) => self.astring(mutf7::encode(name.as_str()).as_bytes()),
            MailboxArg::Denormalised { supplied, .. } => self.astring(mutf7::encode(supplied).as_bytes()),
            MailboxArg::Invalid { raw, .. } => self.astring(raw),
        }
    }

    pub(super) fn pattern(&mut self, pattern: &ListPattern) {
        let text = mutf7::encode(&pattern.0);
        let is_token = !text.is_empty() && text.bytes().all(|b| is_atom_char(b) || b"%*]".contains(&b));
        if is_token && self.choose(2) == 0 { self.text(&text) } else { self.string(text.as_bytes()) }
    }

    fn flag_words(flags: &Flags) -> Vec<String> {
        let name = |flag| match flag {
            SystemFlag::Seen => "\\Seen",
            SystemFlag::Answered => "\\Answered",
            SystemFlag::Flagged => "\\Flagged",
            SystemFlag::Deleted => "\\Deleted",
            SystemFlag::Draft => "\\Draft",
        };
        let system = flags.system().map(|flag| name(flag).to_owned());
        system.chain(flags.keywords().iter().map(|k| k.as_str().to_owned())).collect()
    }

    pub(super) fn sequence_set(&mut self, set: &SequenceSet) {
        let number = |n: SeqNum| match n {
            SeqNum::Number(n) => n.to_string(),
            SeqNum::Star => "*".into(),
        };
        if set.is_saved() {
            self.text("$");
        }
        for (i, &(first, last)) in set.ranges().iter().enumerate() {
            if i > 0 {
                self.text(",");
            }
            self.text(&number(first));
            if first != last || self.choose(4) == 1 {
                self.text(&format!(":{}", number(last)));
            }
        }
    }

    /// `d-Mon-yyyy`
    pub(super) fn day(&mut self, t: &Civil) {
        let day = match self.choose(2) {
            0 => format!("{}-", t.day),
            _ => format!("{:02}-", t.day),
        };
        self.text(&day);
        self.word(t.month_name());
        self.text(&format!("-{:04}", t.year));
    }

    fn date_time(&mut self, time: Timestamp) {
        let zone = [0, 3600, -8 * 3600, 5 * 3600 + 1800, -(12 * 3600 + 45 * 60)][usize::from(self.choose(5))];
        let t = Civil::of(Timestamp::from_secs(time.secs() + zone));
        let (sign, zone) = if zone < 0 { ('-', -zone) } else { ('+', zone) };
        // RFC 3501 §9 date-day-fixed.
        let day = format!("\"{:2}-{}-{:04}", t.day, t.month_name(), t.year);
        let clock = format!("{:02}:{:02}:{:02}", t.hour, t.minute, t.second);
        self.text(&format!("{day} {clock} {sign}{:02}{:02}\"", zone / 3600, zone / 60 % 60));
    }

    fn append(&mut self, Append { tag, mailbox, replaces, messages }: &Append) {
        self.text(tag.as_str());
        self.text(" ");
        match replaces {
            None => self.word("APPEND"),
            Some((by, number)) => {
                let name = if *by == By::Uid { ["UID", "REPLACE"].as_slice() } else { &["REPLACE"] };
                self.separated(name, |w, word| w.word(word));
                self.text(" ");
                // No set: one number.
                match number {
                    SeqNum::Number(n) => self.text(&n.to_string()),
                    SeqNum::Star => self.text("*"),
                }
            }
        }
        self.text(" ");
        self.mailbox(mailbox);
        let mut pieces = vec![AppendPiece::To { mailbox: mailbox.clone(), replaces: *replaces }];
        for Message { flags, date, content } in messages {
            self.text(" ");
            if !flags.is_empty() || self.choose(2) == 1 {
                self.list(&Self::flag_words(flags), |w, flag| w.text(flag));
                self.text(" ");
            }
            if let Some(date) = date {
                self.date_time(*date);
                self.text(" ");
            }
            pieces.push(AppendPiece::Message { flags: flags.clone(), date: *date });
            match content {
                Content::Whole(octets) => self.message(tag, octets, &mut pieces),
                Content::Parts(parts) => {
                    self.word("CATENATE");
                    self.text(" ");
                    self.list(parts, |w, part| match part {
                        Part::Text(octets) => {
                            w.word("TEXT");
                            w.text(" ");
                            w.message(tag, octets, &mut pieces);
                        }
                        Part::Url(url) => {
                            w.word("URL");
                            w.text(" ");
                            w.astring(url);
                            pieces.push(AppendPiece::Url(url.clone()));
                        }
                    });
                }
            }
        }
        let done = Tagged { tag: tag.clone(), command: Command::Append(pieces) };
        self.expected.push(Event::Command(done));
    }

    /// A literal that is a message or a part of one, after `pieces`, which it takes.
    fn message(&mut self, tag: &Tag, octets: &[u8], pieces: &mut Vec<AppendPiece>) {
        let needs_continue = self.announce(octets.len());
        self.out.extend_from_slice(octets);
        let (size, pieces) = (octets.len() as u64, std::mem::take(pieces));
        self.expected.push(Event::Append { tag: tag.clone(), pieces, size, needs_continue });
        if !octets.is_empty() {
            self.expected.push(Event::MessageData(octets.to_vec().into()));
        }
        self.expected.push(Event::MessageEnd);
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Id(None) => self.words(&["ID", "NIL"]),
            Command::Id(Some(fields)) => {
                self.words(&["ID", ""]);
                self.list(fields, |w, (field, value)| {
                    w.string(field);
                    w.text(" ");
                    match value {
                        Some(value) => w.string(value),
                        None => w.word("NIL"),
                    }
                });
            }
            Command::Authenticate { mechanism, initial } => {
                self.words(&["AUTHENTICATE", mechanism]);
                match initial.as_deref() {
                    None => {}
                    Some([]) => self.text(" ="),
                    Some(bytes) => self.text(&format!(" {}", base64(bytes))),
                }
            }
            Command::Login { user, password } => {
                self.words(&["LOGIN", ""]);
                self.astring(user);
                self.text(" ");
                self.astring(password);
            }
            Command::GetQuota { root } => {
                self.words(&["GETQUOTA", ""]);
                self.astring(root);
            }
            Command::Language(wishes) | Command::Comparator(wishes) => {
                self.word(if matches!(command, Command::Language(_)) { "LANGUAGE" } else { "COMPARATOR" });
                for wish in wishes {
                    self.text(" ");
                    self.astring(wish);
                }
            }
            Command::Enable(names) => {
                self.words(&["ENABLE", ""]);
                self.separated(names, |w, name| w.word(name));
            }
            other => self.mailbox_command(other),
        }
    }

    pub(super) fn words(&mut self, words: &[&str]) {
        self.separated(words, |w, word| w.word(word));
    }

    pub(super) fn named(&mut self, name: &str, mailbox: &MailboxArg) {
        self.words(&[name, ""]);
        self.mailbox(mailbox);
    }

    pub(super) fn on(&mut self, by: By, name: &str) {
        if by == By::Uid {
            self.words(&["UID", ""]);
        }
        self.words(&[name, ""]);
    }

    fn modifiers(&mut self, FetchModifiers { changed_since, vanished, partial }: &FetchModifiers) {
        let (since, partial) = (changed_since.map(|since| since.to_string()), partial.map(range_text));
        let mut words = Vec::new();
        words.extend(since.as_deref().map(|since| ["CHANGEDSINCE", since]).into_iter().flatten());
        words.extend(vanished.then_some("VANISHED"));
        words.extend(partial.as_deref().map(|partial| ["PARTIAL", partial]).into_iter().flatten());
        if !words.is_empty() {
            self.text(" (");
            self.words(&words);
            self.text(")");
        }
    }

    pub(super) fn message_command(&mut self, command: &Command) {
        match command {
            Command::Expunge { uids: Some(set) } => {
                self.on(By::Uid, "EXPUNGE");
                self.sequence_set(set);
            }
            Command::Fetch { by, set, items, modifiers } => {
                self.on(*by, "FETCH");
                self.sequence_set(set);
                self.text(" ");
                self.fetch_items(items);
                self.modifiers(modifiers);
            }
            Command::Store { by, set, change, unchanged_since } => {
                self.on(*by, "STORE");
                self.sequence_set(set);
                self.text(" ");
                self.store(change, *unchanged_since);
            }
            Command::Copy { by, set, to } | Command::Move { by, set, to } => {
                self.on(*by, if matches!(command, Command::Copy { .. }) { "COPY" } else { "MOVE" });
                self.sequence_set(set);
                self.text(" ");
                self.mailbox(to);
            }
            Command::Notify(command) => self.notify(command),
            Command::Search(_)
            | Command::UidBatches { .. }
            | Command::CancelUpdate(_)
            | Command::MultiSearch(_)
            | Command::Sort(_)
            | Command::Thread(_) => {
                self.searching_command(command);
            }
            plain => self.word(plain_name(plain)),
        }
    }

    fn store(&mut self, change: &StoreChange, unchanged_since: Option<u64>) {
        if let Some(since) = unchanged_since {
            self.text("(");
            self.words(&["UNCHANGEDSINCE", &since.to_string()]);
            self.text(") ");
        }
        let (sign, flags) = match &change.flags {
            FlagChange::Add(flags) => ("+", flags),
            FlagChange::Remove(flags) => ("-", flags),
            FlagChange::Replace(flags) => ("", flags),
        };
        self.text(sign);
        self.words(&[if change.silent { "FLAGS.SILENT" } else { "FLAGS" }, ""]);
        let flags = Self::flag_words(flags);
        if flags.is_empty() || self.choose(2) == 0 {
            self.list(&flags, |w, flag| w.text(flag));
        } else {
            self.separated(&flags, |w, flag| w.text(flag));
        }
    }
}

pub(super) fn range_text(PartialRange { first, last, from_end }: PartialRange) -> String {
    let sign = if from_end { "-" } else { "" };
    format!("{sign}{first}:{sign}{last}")
}

/// RFC 3501 §9 ATOM-CHAR.
fn is_atom_char(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte)
}

fn plain_name(command: &Command) -> &'static str {
    match command {
        Command::Capability => "CAPABILITY",
        Command::Noop => "NOOP",
        Command::Logout => "LOGOUT",
        Command::StartTls => "STARTTLS",
        Command::Namespace => "NAMESPACE",
        Command::Compress => "COMPRESS DEFLATE",
        Command::Unauthenticate => "UNAUTHENTICATE",
        Command::Idle => "IDLE",
        Command::Check => "CHECK",
        Command::Close => "CLOSE",
        Command::Unselect => "UNSELECT",
        Command::Expunge { uids: None } => "EXPUNGE",
        other => unreachable!("{other:?} has arguments"),
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
