//! `from:bob -is:read "two words" larger:1m`: parsing and matching.

use crate::http::content;
use crate::http::view::{addresses, text};
use crate::time::days_from_civil;
use gadwall_storage::mime::{EnvelopeAddress, Structure};
use gadwall_storage::{Message, SystemFlag, Timestamp};

/// Most terms of a query.
const TERMS: usize = 32;
/// Longest query, in bytes.
const LENGTH: usize = 1000;

/// A search; all its terms must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    wanted: bool,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// Of subject, sender, recipients and text.
    Word(String),
    From(String),
    To(String),
    Cc(String),
    Bcc(String),
    ReplyTo(String),
    Subject(String),
    MessageId(String),
    Flag(SystemFlag),
    Attachment,
    /// In bytes, as the next ones.
    Larger(u64),
    Smaller(u64),
    Before(Timestamp),
    After(Timestamp),
}

/// How far a message could be judged without its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Yes,
    No,
    /// Only the text can tell.
    NeedsText,
}

impl Query {
    /// Reads a query; the error says what is wrong with it.
    pub fn parse(input: &str) -> Result<Query, String> {
        if input.len() > LENGTH {
            return Err(format!("a query has at most {LENGTH} bytes"));
        }
        let terms = words(input).map(|(wanted, key, value)| {
            test(key.as_deref(), value).map(|(test, inverted)| Term { wanted: wanted != inverted, test })
        });
        let terms = terms.collect::<Result<Vec<_>, _>>()?;
        if terms.len() > TERMS {
            return Err(format!("a query has at most {TERMS} terms"));
        }
        Ok(Query { terms })
    }

    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Judges a message read with details.
    pub fn judge(&self, message: &Message) -> Verdict {
        let structure = content::structure(message);
        let mut verdict = Verdict::Yes;
        for term in &self.terms {
            match term.test.holds(message, &structure) {
                Some(held) if held != term.wanted => return Verdict::No,
                Some(_) => {}
                None => verdict = Verdict::NeedsText,
            }
        }
        verdict
    }

    /// Judges one that needed its text, which is given in lower case.
    pub fn matches_text(&self, message: &Message, lower: &str) -> bool {
        let structure = content::structure(message);
        self.terms.iter().all(|term| {
            let held = term.test.holds(message, &structure);
            let held = held.unwrap_or_else(|| match &term.test {
                Test::Word(word) => lower.contains(word.as_str()),
                _ => false,
            });
            held == term.wanted
        })
    }
}

impl Test {
    /// `None` when only the text can tell.
    fn holds(&self, message: &Message, structure: &Structure) -> Option<bool> {
        let e = &structure.envelope;
        let has = |value: Option<&[u8]>, part: &str| text(value).to_lowercase().contains(part);
        Some(match self {
            Test::Word(word) => {
                let found = has(e.subject.as_deref(), word)
                    || [&e.from, &e.to, &e.cc].iter().any(|list| names(list, word))
                    || structure.preview.to_lowercase().contains(word.as_str());
                return found.then_some(true);
            }
            Test::From(part) => names(&e.from, part),
            Test::To(part) => names(&e.to, part) || recipients(message, part),
            Test::Cc(part) => names(&e.cc, part),
            Test::Bcc(part) => names(&e.bcc, part) || blind(message, structure, part),
            Test::ReplyTo(part) => names(&e.reply_to, part),
            Test::Subject(part) => has(e.subject.as_deref(), part),
            Test::MessageId(part) => has(e.message_id.as_deref(), part),
            Test::Flag(flag) => message.flags.has(*flag),
            Test::Attachment => !structure.attachments().is_empty(),
            Test::Larger(size) => message.size > *size,
            Test::Smaller(size) => message.size < *size,
            Test::Before(time) => message.internal_date < *time,
            Test::After(time) => message.internal_date >= *time,
        })
    }
}

fn names(list: &[EnvelopeAddress], part: &str) -> bool {
    addresses(list)
        .iter()
        .any(|a| a.address.to_lowercase().contains(part) || a.name.to_lowercase().contains(part))
}

/// Whom the envelope was for, which the header need not say.
fn recipients(message: &Message, part: &str) -> bool {
    let delivery = message.delivery.as_deref();
    delivery.is_some_and(|d| d.recipients.iter().any(|r| r.address.to_lowercase().contains(part)))
}

/// Whom the envelope was for without the header saying so.
fn blind(message: &Message, structure: &Structure, part: &str) -> bool {
    let e = &structure.envelope;
    let named = |address: &str| {
        let lists = [&e.to, &e.cc].into_iter().flat_map(|list| addresses(list));
        lists.into_iter().any(|a| a.address.eq_ignore_ascii_case(address))
    };
    let delivery = message.delivery.as_deref();
    delivery.is_some_and(|d| {
        d.recipients.iter().any(|r| r.address.to_lowercase().contains(part) && !named(&r.address))
    })
}

/// The test, and whether its sense is turned round (`is:unread`).
fn test(key: Option<&str>, value: String) -> Result<(Test, bool), String> {
    let test = match key {
        None => Test::Word(value),
        Some("from") => Test::From(value),
        Some("to") => Test::To(value),
        Some("cc") => Test::Cc(value),
        Some("bcc") => Test::Bcc(value),
        Some("reply-to") => Test::ReplyTo(value),
        Some("subject") => Test::Subject(value),
        Some("message-id") => Test::MessageId(value),
        Some("larger") => Test::Larger(size(&value)?),
        Some("smaller") => Test::Smaller(size(&value)?),
        Some("before") => Test::Before(date(&value)?),
        Some("after") => Test::After(date(&value)?),
        Some("is") => return is(&value),
        Some("has") => match value.as_str() {
            "attachment" | "attachments" => Test::Attachment,
            _ => return Err(format!("has:{value} is not known; has:attachment is")),
        },
        Some(_) => return Err("an unknown key".into()),
    };
    Ok((test, false))
}

fn is(value: &str) -> Result<(Test, bool), String> {
    Ok(match value {
        "read" | "seen" => (Test::Flag(SystemFlag::Seen), false),
        "unread" | "unseen" => (Test::Flag(SystemFlag::Seen), true),
        "flagged" | "starred" => (Test::Flag(SystemFlag::Flagged), false),
        "unflagged" => (Test::Flag(SystemFlag::Flagged), true),
        "answered" => (Test::Flag(SystemFlag::Answered), false),
        "draft" => (Test::Flag(SystemFlag::Draft), false),
        "deleted" => (Test::Flag(SystemFlag::Deleted), false),
        _ => {
            let known = "read, unread, flagged, unflagged, answered, draft, deleted";
            return Err(format!("is:{value} is not known; known are {known}"));
        }
    })
}

const KEYS: [&str; 13] = [
    "from",
    "to",
    "cc",
    "bcc",
    "reply-to",
    "subject",
    "message-id",
    "larger",
    "smaller",
    "before",
    "after",
    "is",
    "has",
];

/// Splits into (wanted, key, value in lower case). Quotes keep white space; what is no known key is part of a word.
fn words(input: &str) -> impl Iterator<Item = (bool, Option<String>, String)> + '_ {
    let mut rest = input;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start();
            if rest.is_empty() {
                return None;
            }
            let negated = rest
                .strip_prefix(['-', '!'])
                .filter(|r| !r.is_empty() && !r.starts_with(char::is_whitespace));
            let wanted = negated.is_none();
            rest = negated.unwrap_or(rest);
            let key = rest.split_once(':').map(|(key, after)| (key.to_ascii_lowercase(), after));
            let key = key.filter(|(key, _)| KEYS.contains(&key.as_str()));
            if let Some((_, after)) = &key {
                rest = after;
            }
            let (value, after) = value(rest);
            rest = after;
            if !value.is_empty() {
                return Some((wanted, key.map(|(key, _)| key), value.to_lowercase()));
            }
        }
    })
}

/// A word or a quoted text, and what comes after it.
fn value(text: &str) -> (&str, &str) {
    match text.strip_prefix('"') {
        // A quote that is not closed goes to the end.
        Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
        None => text.split_at(text.find(char::is_whitespace).unwrap_or(text.len())),
    }
}

fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "" | "b" => Some(1u64),
        "k" | "kb" => Some(1 << 10),
        "m" | "mb" => Some(1 << 20),
        "g" | "gb" => Some(1 << 30),
        _ => None,
    };
    let size = number.parse::<u64>().ok().zip(factor).and_then(|(n, f)| n.checked_mul(f));
    size.ok_or_else(|| format!("{text:?} is not a size such as 500, 20k or 2m"))
}

/// A day (its beginning, UTC) or an RFC 3339 time.
fn date(text: &str) -> Result<Timestamp, String> {
    let bad = || format!("{text:?} is not a date such as 2026-11-24 or 2026-11-24T10:00:00Z");
    let day: Vec<&str> = text.split(['-', '/']).collect();
    if let [y, m, d] = day[..]
        && let (Ok(y), Ok(m), Ok(d)) = (y.parse::<u16>(), m.parse::<u32>(), d.parse::<u32>())
    {
        let valid = (1..=12).contains(&m) && (1..=31).contains(&d);
        let secs = valid.then(|| days_from_civil(y.into(), m, d) * 86_400).ok_or_else(bad)?;
        return Ok(Timestamp::from_secs(secs));
    }
    // The query was put into lower case.
    let parsed = mail_parser::DateTime::parse_rfc3339(&text.to_ascii_uppercase()).ok_or_else(bad)?;
    if parsed.is_valid() { Ok(Timestamp::from_secs(parsed.to_timestamp())) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gadwall_storage::mime::scan;
    use gadwall_storage::{EmailId, Flags, ModSeq, Uid};
    use proptest::prelude::*;
    use std::sync::Arc;

    const MAIL: &str = "From: Bob Builder <bob@x.org>\r\nTo: Ann <ann@y.org>\r\nCc: cc@z.org\r\n\
        Reply-To: r@x.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from town\r\nMessage-ID: <m1@x.org>\r\n\r\nplain words\r\n";

    fn message(mail: &str, seen: bool) -> Message {
        let mut flags = Flags::new();
        if seen {
            flags.insert(SystemFlag::Seen);
        }
        Message {
            uid: Uid::MIN,
            modseq: ModSeq::MIN,
            flags,
            internal_date: Timestamp::from_secs(1_795_514_400), // 2026-11-24T10:00:00Z
            saved_at: Timestamp(0),
            expires_at: None,
            size: 5000,
            email_id: EmailId([0; 12]),
            structure: Some(Arc::new(scan(mail.as_bytes()))),
            delivery: None,
        }
    }

    #[test]
    fn each_key_tests_what_it_says() {
        for (query, expected) in [
            ("from:bob", true),
            ("FROM:Builder", true),
            ("from:ann", false),
            ("to:ann@y.org", true),
            ("cc:cc@", true),
            ("bcc:x", false),
            ("reply-to:r@x", true),
            ("subject:GRÜSSE", false),
            ("subject:grüße", true),
            ("subject:\"from town\"", true),
            ("subject:\"town from\"", false),
            ("message-id:m1@x", true),
            ("is:unread", true),
            ("-is:read", true),
            ("!is:unread", false),
            ("is:flagged", false),
            ("has:attachment", false),
            ("-has:attachment", true),
            ("larger:4k", true),
            ("larger:5k", false),
            ("smaller:5001", true),
            ("before:2026-11-25", true),
            ("before:2026-11-24", false),
            ("after:2026/11/24", true),
            ("after:2026-11-24T10:00:01Z", false),
            ("after:2026-11-24T12:00:00+02:00", true),
            ("town", true),
            ("-town", false),
            ("plain bob", true),
            ("", true),
            ("   \"\" ", true),
        ] {
            let parsed = Query::parse(query).unwrap();
            let judged = parsed.judge(&message(MAIL, false));
            assert_eq!(judged == Verdict::Yes, expected, "{query}: {judged:?}");
        }
    }

    #[test]
    fn words_elsewhere_need_the_text() {
        let (mail, query) = (message(MAIL, false), |q| Query::parse(q).unwrap());
        assert_eq!(query("hidden").judge(&mail), Verdict::NeedsText);
        assert!(query("hidden").matches_text(&mail, "deep hidden"));
        assert!(!query("-hidden").matches_text(&mail, "deep hidden"));
        assert!(query("-hidden from:bob").matches_text(&mail, "nothing"));
        // What fails without the text is not asked for its text.
        assert_eq!(query("hidden from:carol").judge(&mail), Verdict::No);
    }

    #[test]
    fn unknown_keys_are_words_and_bad_values_are_errors() {
        assert_eq!(Query::parse("http://x.org").unwrap().terms[0].test, Test::Word("http://x.org".into()));
        for bad in ["is:x", "has:x", "larger:x", "larger:9999999999999g", "before:2026-13-01", "after:soon"] {
            assert!(Query::parse(bad).is_err(), "{bad}");
        }
        assert!(Query::parse(&"a ".repeat(33)).is_err());
        assert!(Query::parse(&"a".repeat(1001)).is_err());
    }

    proptest! {
        #[test]
        fn no_query_panics(text in "\\PC{0,60}", keyed in "(is|before|larger|from):[ -~]{0,20}") {
            for input in [text, keyed] {
                if let Ok(query) = Query::parse(&input) {
                    query.judge(&message(MAIL, true));
                }
            }
        }
    }
}
