//! Search keys and FETCH items to bytes.

use super::write::Writer;
use gadwall::imap::types::{Day, FetchItem, SearchKey, Section, SectionText};
use gadwall::time::Civil;
use gadwall_storage::{SystemFlag, Timestamp};

impl Writer<'_> {
    /// The keys of a SEARCH: those of an AND may stand there without parentheses.
    pub(super) fn keys(&mut self, key: &SearchKey) {
        match key {
            SearchKey::And(keys) if self.choose(2) == 0 => self.separated(keys, Self::key),
            key => self.key(key),
        }
    }

    fn key(&mut self, key: &SearchKey) {
        if self.choose(12) == 1 {
            self.text("(");
            self.plain_key(key);
            return self.text(")");
        }
        self.plain_key(key);
    }

    fn plain_key(&mut self, key: &SearchKey) {
        match key {
            SearchKey::And(keys) if is_new(keys) && self.choose(2) == 1 => self.word("NEW"),
            SearchKey::And(keys) => self.list(keys, Self::key),
            SearchKey::Or(a, b) => {
                self.words(&["OR", ""]);
                self.key(a);
                self.text(" ");
                self.key(b);
            }
            SearchKey::Not(inner) => self.negated(inner),
            SearchKey::Fuzzy(inner) => {
                self.words(&["FUZZY", ""]);
                self.key(inner);
            }
            SearchKey::Sequence(set) => self.sequence_set(set),
            SearchKey::Uid(set) => {
                self.words(&["UID", ""]);
                self.sequence_set(set);
            }
            SearchKey::Flag(flag) => self.word(flag_name(*flag)),
            SearchKey::All => self.word("ALL"),
            SearchKey::Recent => self.word("RECENT"),
            SearchKey::Keyword(keyword) => {
                self.words(&["KEYWORD", ""]);
                self.text(keyword.as_str());
            }
            SearchKey::Larger(n) => self.words(&["LARGER", &n.to_string()]),
            SearchKey::Smaller(n) => self.words(&["SMALLER", &n.to_string()]),
            SearchKey::Older(n) => self.words(&["OLDER", &n.to_string()]),
            SearchKey::Younger(n) => self.words(&["YOUNGER", &n.to_string()]),
            SearchKey::Filter(name) => {
                self.words(&["FILTER", ""]);
                self.text(name);
            }
            SearchKey::EmailId(id) => {
                self.words(&["EMAILID", ""]);
                self.text(&format!("M{id}"));
            }
            SearchKey::ModSeq(n) => {
                self.words(&["MODSEQ", ""]);
                if self.choose(3) == 1 {
                    self.text("\"/flags/\\\\Seen\" all ");
                }
                self.text(&n.to_string());
            }
            dated_or_texts => self.dated_or_texts(dated_or_texts),
        }
    }

    fn dated_or_texts(&mut self, key: &SearchKey) {
        match key {
            SearchKey::Before(day) => self.dated("BEFORE", *day),
            SearchKey::On(day) => self.dated("ON", *day),
            SearchKey::Since(day) => self.dated("SINCE", *day),
            SearchKey::SentBefore(day) => self.dated("SENTBEFORE", *day),
            SearchKey::SentOn(day) => self.dated("SENTON", *day),
            SearchKey::SentSince(day) => self.dated("SENTSINCE", *day),
            SearchKey::SavedBefore(day) => self.dated("SAVEDBEFORE", *day),
            SearchKey::SavedOn(day) => self.dated("SAVEDON", *day),
            SearchKey::SavedSince(day) => self.dated("SAVEDSINCE", *day),
            SearchKey::Header { field, text } => {
                let own = [&b"BCC"[..], b"CC", b"FROM", b"SUBJECT", b"TO"].contains(&&field[..]);
                if own && self.choose(2) == 0 {
                    self.words(&[&String::from_utf8_lossy(field), ""]);
                } else {
                    self.words(&["HEADER", ""]);
                    self.astring(field);
                    self.text(" ");
                }
                self.astring(text);
            }
            SearchKey::Body(text) => {
                self.words(&["BODY", ""]);
                self.astring(text);
            }
            SearchKey::Text(text) => {
                self.words(&["TEXT", ""]);
                self.astring(text);
            }
            other => unreachable!("{other:?} was written"),
        }
    }

    fn dated(&mut self, name: &str, day: Day) {
        self.words(&[name, ""]);
        let civil = Civil::of(Timestamp::from_secs(i64::from(day.0) * 86_400));
        let quote = if self.choose(2) == 0 { "" } else { "\"" };
        self.text(quote);
        self.day(&civil);
        self.text(quote);
    }

    fn negated(&mut self, key: &SearchKey) {
        match key {
            SearchKey::Flag(flag) if self.choose(2) == 1 => self.word(&format!("UN{}", flag_name(*flag))),
            SearchKey::Recent if self.choose(2) == 1 => self.word("OLD"),
            SearchKey::Keyword(keyword) if self.choose(2) == 1 => {
                self.words(&["UNKEYWORD", ""]);
                self.text(keyword.as_str());
            }
            key => {
                self.words(&["NOT", ""]);
                self.key(key);
            }
        }
    }

    pub(super) fn fetch_items(&mut self, items: &[FetchItem]) {
        use FetchItem::{Body, Envelope, Flags, InternalDate, Size};
        let as_macro = match items {
            [Flags, InternalDate, Size] => Some("FAST"),
            [Flags, InternalDate, Size, Envelope] => Some("ALL"),
            [Flags, InternalDate, Size, Envelope, Body] => Some("FULL"),
            _ => None,
        };
        match (as_macro, items) {
            (Some(name), _) if self.choose(2) == 0 => self.word(name),
            (_, [one]) if self.choose(2) == 0 => self.fetch_item(one),
            (_, several) => self.list(several, Self::fetch_item),
        }
    }

    pub(super) fn fetch_item(&mut self, item: &FetchItem) {
        match item {
            FetchItem::Section { section, peek, partial } => {
                self.word(if *peek { "BODY.PEEK" } else { "BODY" });
                self.section(section);
                if let Some(partial) = partial {
                    self.text(&format!("<{}.{}>", partial.first, partial.count));
                }
            }
            FetchItem::Binary { path, peek, partial } => {
                self.word(if *peek { "BINARY.PEEK" } else { "BINARY" });
                self.section(&Section { path: path.clone(), text: SectionText::All });
                if let Some(partial) = partial {
                    self.text(&format!("<{}.{}>", partial.first, partial.count));
                }
            }
            FetchItem::BinarySize { path } => {
                self.word("BINARY.SIZE");
                self.section(&Section { path: path.clone(), text: SectionText::All });
            }
            FetchItem::Uid => self.word("UID"),
            FetchItem::Flags => self.word("FLAGS"),
            FetchItem::InternalDate => self.word("INTERNALDATE"),
            FetchItem::Size => self.word("RFC822.SIZE"),
            FetchItem::Envelope => self.word("ENVELOPE"),
            FetchItem::Body => self.word("BODY"),
            FetchItem::BodyStructure => self.word("BODYSTRUCTURE"),
            FetchItem::Rfc822 => self.word("RFC822"),
            FetchItem::Rfc822Header => self.word("RFC822.HEADER"),
            FetchItem::Rfc822Text => self.word("RFC822.TEXT"),
            FetchItem::ModSeq => self.word("MODSEQ"),
            FetchItem::EmailId => self.word("EMAILID"),
            FetchItem::ThreadId => self.word("THREADID"),
            FetchItem::SaveDate => self.word("SAVEDATE"),
            FetchItem::Preview { lazy } => {
                self.word("PREVIEW");
                if *lazy {
                    self.text(" (");
                    self.word("LAZY");
                    self.text(")");
                }
            }
        }
    }

    fn section(&mut self, Section { path, text }: &Section) {
        let numbers: Vec<String> = path.iter().map(u32::to_string).collect();
        self.text(&format!("[{}", numbers.join(".")));
        if !path.is_empty() && *text != SectionText::All {
            self.text(".");
        }
        match text {
            SectionText::All => {}
            SectionText::Header => self.word("HEADER"),
            SectionText::Text => self.word("TEXT"),
            SectionText::Mime => self.word("MIME"),
            SectionText::HeaderFields(names) => {
                self.words(&["HEADER.FIELDS", ""]);
                self.list(names, |w, name| w.astring(name));
            }
            SectionText::HeaderFieldsNot(names) => {
                self.words(&["HEADER.FIELDS.NOT", ""]);
                self.list(names, |w, name| w.astring(name));
            }
        }
        self.text("]");
    }
}

fn is_new(keys: &[SearchKey]) -> bool {
    let unseen = SearchKey::Not(Box::new(SearchKey::Flag(SystemFlag::Seen)));
    *keys == [SearchKey::Recent, unseen]
}

fn flag_name(flag: SystemFlag) -> &'static str {
    match flag {
        SystemFlag::Seen => "SEEN",
        SystemFlag::Answered => "ANSWERED",
        SystemFlag::Flagged => "FLAGGED",
        SystemFlag::Deleted => "DELETED",
        SystemFlag::Draft => "DRAFT",
    }
}
