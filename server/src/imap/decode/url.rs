//! Relative IMAP URLs of messages and their parts (RFC 5092 §5, §7).

use super::cursor::Cursor;
use super::fetch;
use crate::imap::types::{MailboxArg, MessageUrl, Section, SectionText, Text};
use gadwall_storage::Uid;

/// `None` unless it is such a URL. `selected`: the mailbox it is relative to (RFC 4469 §3).
pub fn message_url(url: &[u8], selected: Option<&str>) -> Option<MessageUrl> {
    let url = std::str::from_utf8(url).ok().filter(|url| url.is_ascii())?;
    let (mailbox, rest) = match url.strip_prefix('/') {
        Some(path) => mailbox_of(path, "")?,
        // A scheme (RFC 3986 §4.2): another server's, for all that is known.
        None if url.split('/').next().is_some_and(|first| first.contains(':')) => return None,
        None if url.starts_with(';') => (None, url),
        // RFC 3986 §5.2.3: beside the last segment of what it is relative to.
        None => mailbox_of(url, selected?.rsplit_once('/').map_or("", |(above, _)| above))?,
    };
    let mut parsed = MessageUrl {
        mailbox: None,
        uidvalidity: None,
        uid: Uid::new(1)?,
        section: Section { path: Vec::new(), text: SectionText::All },
        partial: None,
    };
    if let Some((name, uidvalidity)) = mailbox {
        parsed.mailbox = Some(MailboxArg::of(name));
        parsed.uidvalidity = uidvalidity;
    }
    let (uid, mut rest) = value(rest, ";UID=")?;
    parsed.uid = Uid::new(number(uid)?.try_into().ok()?)?;
    if let Some((section, after)) = value(rest, "/;SECTION=") {
        parsed.section = section_of(&unescape(section)?)?;
        rest = after;
    }
    if let Some((partial, after)) = value(rest, "/;PARTIAL=") {
        parsed.partial = Some(match partial.split_once('.') {
            Some((first, count)) => (number(first)?, Some(number(count)?)),
            None => (number(partial)?, None),
        });
        rest = after;
    }
    rest.is_empty().then_some(parsed)
}

/// A mailbox and its UIDVALIDITY.
type Mailbox = (String, Option<u32>);

/// `mailbox[;UIDVALIDITY=n]/;UID=…`, and what follows the mailbox.
fn mailbox_of<'a>(path: &'a str, above: &str) -> Option<(Option<Mailbox>, &'a str)> {
    let at = find(path, "/;UID=")?;
    let (named, rest) = (&path[..at], &path[at + 1..]);
    let (name, uidvalidity) = match find(named, ";UIDVALIDITY=") {
        Some(at) => {
            let validity = number(&named[at + ";UIDVALIDITY=".len()..])?;
            (&named[..at], Some(u32::try_from(validity).ok().filter(|n| *n > 0)?))
        }
        None => (named, None),
    };
    let name = String::from_utf8(unescape(name)?).ok()?;
    let name = if above.is_empty() { name } else { format!("{above}/{name}") };
    Some((Some((name, uidvalidity)), rest))
}

/// Where `word` is, without case.
fn find(text: &str, word: &str) -> Option<usize> {
    (0..(text.len() + 1).saturating_sub(word.len()))
        .find(|at| text.as_bytes()[*at..at + word.len()].eq_ignore_ascii_case(word.as_bytes()))
}

/// What stands after `key`, up to the next `/;`, and the rest from there.
fn value<'a>(text: &'a str, key: &str) -> Option<(&'a str, &'a str)> {
    let begins = text.get(..key.len()).is_some_and(|start| start.eq_ignore_ascii_case(key));
    let text = if begins { &text[key.len()..] } else { return None };
    let end = text.find("/;").unwrap_or(text.len());
    Some(text.split_at(end))
}

fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// `1.2.HEADER`, as between the brackets of a FETCH.
fn section_of(text: &[u8]) -> Option<Section> {
    let bracketed = [b"[", text, b"]"].concat();
    let mut cursor = Cursor::new(&bracketed, Text::Utf8);
    let section = fetch::section(&mut cursor).ok()?;
    cursor.is_empty().then_some(section)
}

/// Undoes `%XX` (RFC 3986 §2.1).
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        out.push((digit()? << 4 | digit()?) as u8);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Option<MessageUrl> {
        message_url(url.as_bytes(), Some("Work/2026"))
    }

    #[test]
    fn a_url_names_a_mailbox_a_message_and_a_part() {
        let url = parsed("/a%20b/c;UIDVALIDITY=7/;uid=20/;Section=1.2.MIME/;PARTIAL=3.10").unwrap();
        assert_eq!(url.mailbox.unwrap(), MailboxArg::of("a b/c".into()));
        assert_eq!(
            (url.uidvalidity, url.uid, url.partial),
            (Some(7), Uid::new(20).unwrap(), Some((3, Some(10))))
        );
        assert_eq!(url.section, Section { path: vec![1, 2], text: SectionText::Mime });
    }

    #[test]
    fn a_url_is_relative_to_the_selected_mailbox() {
        assert_eq!(parsed(";UID=1").unwrap().mailbox, None);
        assert_eq!(parsed("old/;UID=1").unwrap().mailbox.unwrap(), MailboxArg::of("Work/old".into()));
        assert_eq!(message_url(b"old/;UID=1", None), None);
        assert_eq!(parsed("/x/;UID=1/;PARTIAL=5").unwrap().partial, Some((5, None)));
        assert!(parsed("/x/;UID=1/;SECTION=HEADER.FIELDS%20(Subject%20To)").is_some());
    }

    #[test]
    fn what_is_no_such_url_is_none() {
        for url in [
            "",
            "/",
            "/x",
            "/x/;UID=",
            "/x/;UID=0",
            "/x/;UID=4294967296",
            "/x/;UID=1/",
            "/x/;UID=1/;SECTION=0",
            "/x/;UID=1/;SECTION=1]",
            "/x;UIDVALIDITY=0/;UID=1",
            "/%zz/;UID=1",
            "/%4/;UID=1",
            "/x/;UID=+1",
            "imap://host/x/;UID=1",
            "/x/;UID=1;EXPIRE=1",
            "/%ff/;UID=1",
            "/x/;UID=1/;PARTIAL=1.",
            "/\u{e4}/;UID=1",
        ] {
            assert_eq!(parsed(url).filter(|url| url.mailbox.is_some()), None, "{url}");
        }
    }
}
