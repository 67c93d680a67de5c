//! What messages are sorted by (RFC 5256 §2, RFC 5957): from what is listed and what was extracted at delivery.

use super::collate::Comparator;
use super::types::{SortCriterion, SortKey};
use gadwall_storage::mime::{Envelope, EnvelopeAddress, decode_text};
use gadwall_storage::{Message, Uid};
use std::cmp::Ordering;

/// Of a text that is sorted by, so many characters count.
const COUNTS: usize = 1000;

/// A message that is being sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sortable {
    pub uid: Uid,
    /// How well it matches (RFC 6203).
    pub relevancy: u8,
    keys: Box<[Value]>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(i64),
    Text(Box<str>),
}

impl Sortable {
    pub fn new(message: &Message, relevancy: u8, criteria: &[SortCriterion], comparator: Comparator) -> Self {
        let keys = criteria.iter().map(|criterion| match criterion.key {
            // The closest first.
            SortKey::Relevancy => Value::Number(-i64::from(relevancy)),
            key => value(key, message, comparator),
        });
        Self { uid: message.uid, relevancy, keys: keys.collect() }
    }

    /// How much memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        let text = |value: &Value| if let Value::Text(text) = value { text.len() } else { 0 };
        size_of::<Self>() + self.keys.iter().map(|value| size_of::<Value>() + text(value)).sum::<usize>()
    }

    /// RFC 5256 §3: where all criteria are equal, the order of the mailbox decides; REVERSE is of its own criterion only.
    pub fn compare(&self, other: &Self, criteria: &[SortCriterion]) -> Ordering {
        let pairs = self.keys.iter().zip(&other.keys).zip(criteria);
        let by_keys = pairs.map(|((a, b), criterion)| if criterion.reverse { b.cmp(a) } else { a.cmp(b) });
        by_keys.into_iter().find(|order| order.is_ne()).unwrap_or_else(|| self.uid.cmp(&other.uid))
    }
}

/// Whether what was extracted at delivery is needed to sort by these.
pub fn needs_details(criteria: &[SortCriterion]) -> bool {
    criteria.iter().any(|c| !matches!(c.key, SortKey::Arrival | SortKey::Size | SortKey::Relevancy))
}

fn value(key: SortKey, message: &Message, comparator: Comparator) -> Value {
    let envelope = message.structure.as_ref().map(|structure| &structure.envelope);
    let first =
        |addresses: fn(&Envelope) -> &Vec<EnvelopeAddress>| envelope.and_then(|e| addresses(e).first());
    let text = |text: String| Value::Text(comparator.key(&text).into());
    match key {
        SortKey::Relevancy => Value::Number(0),
        SortKey::Arrival => Value::Number(message.internal_date.millis()),
        SortKey::Date => Value::Number(sent(message)),
        SortKey::Size => Value::Number(i64::try_from(message.size).unwrap_or(i64::MAX)),
        SortKey::Subject => Value::Text(base_subject_of(message, comparator).text.into()),
        SortKey::Cc => text(mailbox(first(|e| &e.cc))),
        SortKey::From => text(mailbox(first(|e| &e.from))),
        SortKey::To => text(mailbox(first(|e| &e.to))),
        SortKey::DisplayFrom => text(display(first(|e| &e.from))),
        SortKey::DisplayTo => text(display(first(|e| &e.to))),
    }
}

/// RFC 5256 §2.2: the Date field in UTC, in seconds; without one that can be read, when the message came.
pub fn sent(message: &Message) -> i64 {
    let date = message.structure.as_ref().and_then(|structure| structure.envelope.date.as_deref());
    let parsed = date
        .and_then(|date| std::str::from_utf8(date).ok())
        .and_then(mail_parser::DateTime::parse_rfc822)
        .map(|date| date.to_timestamp());
    parsed.unwrap_or_else(|| message.internal_date.secs())
}

/// addr-mailbox of the first address (RFC 5256 §3); that of a group is its name (RFC 3501 §7.4.2).
fn mailbox(address: Option<&EnvelopeAddress>) -> String {
    match address {
        Some(EnvelopeAddress::Mailbox { local, .. }) => limited(decode_text(local)),
        Some(EnvelopeAddress::GroupStart(name)) => limited(decode_text(name)),
        Some(EnvelopeAddress::GroupEnd) | None => String::new(),
    }
}

/// RFC 5957 §3: the display name of the first address, or the address itself.
fn display(address: Option<&EnvelopeAddress>) -> String {
    match address {
        Some(EnvelopeAddress::Mailbox { name: Some(name), .. }) if !name.is_empty() => {
            limited(decode_text(name))
        }
        Some(EnvelopeAddress::Mailbox { local, domain, .. }) => {
            limited(format!("{}@{}", decode_text(local), decode_text(domain)))
        }
        other => mailbox(other),
    }
}

fn limited(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(COUNTS) {
        text.truncate(end);
    }
    text
}

/// What a subject is about (RFC 5256 §2.1), ready to be compared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BaseSubject {
    pub text: String,
    /// It says `Re:`, `Fwd:` or the like.
    pub is_reply: bool,
}

pub fn base_subject_of(message: &Message, comparator: Comparator) -> BaseSubject {
    let subject = message.structure.as_ref().and_then(|structure| structure.envelope.subject.as_deref());
    base_subject(&decode_text(subject.unwrap_or_default()), comparator)
}

/// RFC 5256 §2.1, of a subject whose encoded words are decoded.
pub fn base_subject(subject: &str, comparator: Comparator) -> BaseSubject {
    // (1): one space for white space of any kind and length.
    let words: Vec<&str> = subject.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).collect();
    let text = limited(words.join(" "));
    let (mut rest, mut is_reply) = (text.as_str(), false);
    loop {
        // (2)
        while let Some(cut) = without_trailer(rest) {
            is_reply |= cut.1;
            rest = cut.0;
        }
        // (3) to (5)
        loop {
            if let Some((cut, was_reply)) = without_leader(rest) {
                rest = cut;
                is_reply |= was_reply;
            } else if let Some(cut) = without_blob(rest).filter(|cut| !cut.is_empty()) {
                rest = cut;
            } else {
                break;
            }
        }
        // (6)
        match strip_prefix(rest, "[fwd:").and_then(|inside| inside.strip_suffix(']')) {
            Some(inside) => {
                rest = inside;
                is_reply = true;
            }
            None => return BaseSubject { text: comparator.key(rest), is_reply },
        }
    }
}

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// subj-trailer: `(fwd)` or white space; with whether it was the former.
fn without_trailer(text: &str) -> Option<(&str, bool)> {
    if let Some(cut) = text.strip_suffix(' ') {
        return Some((cut, false));
    }
    let at = text.len().checked_sub("(fwd)".len())?;
    let tail = text.get(at..)?;
    tail.eq_ignore_ascii_case("(fwd)").then(|| (&text[..at], true))
}

/// subj-leader: `*subj-blob subj-refwd`, or white space; with whether it was the former.
fn without_leader(text: &str) -> Option<(&str, bool)> {
    if let Some(cut) = text.strip_prefix(' ') {
        return Some((cut, false));
    }
    let mut rest = text;
    while let Some(cut) = without_blob(rest) {
        rest = cut;
    }
    let after = ["re", "fwd", "fw"].iter().find_map(|word| after_word(rest, word))?;
    Some((after, true))
}

/// subj-refwd behind its word: `*WSP [subj-blob] ":"`.
fn after_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let rest = strip_prefix(text, word)?.trim_start_matches(' ');
    without_blob(rest).unwrap_or(rest).strip_prefix(':')
}

/// subj-blob: `[…]` without another bracket inside, and white space.
fn without_blob(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('[')?;
    let end = inside.find(['[', ']'])?;
    let after = inside[end..].strip_prefix(']')?;
    Some(after.trim_start_matches(' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn subjects_are_about_what_is_left_of_them() {
        for (subject, expected, is_reply) in [
            ("Hello", "HELLO", false),
            ("Re: Hello", "HELLO", true),
            ("RE: re:  Hello", "HELLO", true),
            ("Fw: fwd: FW:Hello", "HELLO", true),
            ("Re [list]: Hello", "HELLO", true),
            ("Re[2]: Hello", "HELLO", true),
            ("[list] Re: Hello", "HELLO", true),
            ("[list] Hello", "HELLO", false),
            ("[one][two] Hello", "HELLO", false),
            ("[only]", "[ONLY]", false),
            ("Re: [only]", "[ONLY]", true),
            ("Hello (fwd)", "HELLO", true),
            ("Hello (fwd) (FWD) ", "HELLO", true),
            ("[Fwd: Re: Hello]", "HELLO", true),
            ("[fwd: [FWD: Hello (fwd)]]", "HELLO", true),
            ("Hello\t\r\n  world", "HELLO WORLD", false),
            ("Regarding: Hello", "REGARDING: HELLO", false),
            ("re Hello", "RE HELLO", false),
            ("[[a] Re: b", "[[A] RE: B", false),
            ("", "", false),
            ("Re:", "", true),
            ("Re: Grüße", "GRU\u{308}ßE", true),
        ] {
            let base = base_subject(subject, Comparator::default());
            assert_eq!((base.text.as_str(), base.is_reply), (expected, is_reply), "{subject:?}");
        }
    }

    proptest! {
        #[test]
        fn what_a_reply_is_about_is_what_its_message_is_about(
            subject in "[a-zA-Z\\[\\]():äß ]{0,20}",
            prefix in "((re|Fwd|FW)( |\\[[a-z ]{0,3}\\])?: ?|\\[fwd: ){0,3}",
        ) {
            let base_subject = |text: &str| base_subject(text, Comparator::default());
            let base = base_subject(&subject);
            // Once more changes nothing.
            prop_assert_eq!(&base_subject(&base.text).text, &base.text);
            if !prefix.contains("[fwd:") {
                prop_assert_eq!(base_subject(&format!("{prefix}{subject}")).text, base.text);
            }
        }
    }
}
