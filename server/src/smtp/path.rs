//! The grammar of MAIL's and RCPT's arguments: paths (RFC 5321 §4.1.2), addresses beyond ASCII (RFC 6531 §3.3), and
//! parameters, kept as they were written (DSN and the message page show them) once each was found right.

use super::{CommandError, Path};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    From,
    To,
}

/// Longest path, its brackets included, in octets (RFC 5321 §4.5.3.1.3).
const PATH_LIMIT: usize = 256;
/// Longest ENVID and ORCPT, in octets (RFC 3461 §4.4 and §4.2).
const ENVID_LIMIT: usize = 100;
const ORCPT_LIMIT: usize = 500;

/// `FROM:<path> [parameters]`, `TO:<path> [parameters]`.
pub fn parse(rest: &[u8], side: Side) -> Result<Path, CommandError> {
    let (keyword, form, bad) = match side {
        Side::From => ("FROM:", "MAIL FROM:<reverse-path> [parameters]", CommandError::BadSender),
        Side::To => ("TO:", "RCPT TO:<forward-path> [parameters]", CommandError::BadAddress),
    };
    let text = std::str::from_utf8(rest).map_err(|_| bad.clone())?;
    let path = text
        .get(..keyword.len())
        .filter(|start| start.eq_ignore_ascii_case(keyword))
        // RFC 5321 §3.3 has no space here; enough clients put one.
        .and_then(|_| text[keyword.len()..].trim_start().strip_prefix('<'))
        .ok_or(CommandError::Syntax(form))?;
    let end = end_of_path(path).ok_or(CommandError::Syntax(form))?;
    let params = &path[end + 1..];
    if !params.is_empty() && !params.starts_with([' ', '\t']) {
        return Err(CommandError::Syntax(form));
    }
    let address = without_route(&path[..end]);
    let exempt = match side {
        Side::From => address.is_empty(),
        // RFC 5321 §4.1.1.3. That RCPT's is not empty is the session's to say.
        Side::To => address.is_empty() || address.eq_ignore_ascii_case("postmaster"),
    };
    if !exempt && (end + 2 > PATH_LIMIT || !is_mailbox(address)) {
        return Err(bad);
    }
    parameters(Path { address: address.to_owned(), ..Path::default() }, params, side)
}

/// Where the `>` is that closes the path: quoted local parts may hold one of their own.
fn end_of_path(path: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (i, byte) in path.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(i),
            _ => {}
        }
    }
    None
}

/// RFC 5321 §4.1.2, A-d-l: a source route must be taken and is ignored.
fn without_route(path: &str) -> &str {
    match path.split_once(':') {
        Some((route, address)) if route.starts_with('@') => address,
        _ => path,
    }
}

fn is_mailbox(address: &str) -> bool {
    let Some((local, domain)) = split(address) else { return false };
    let local_is_right = match local.strip_prefix('"').and_then(|l| l.strip_suffix('"')) {
        Some(quoted) => unescape(quoted).is_some(),
        None => is_dot_string(local),
    };
    local_is_right && is_domain(domain)
}

/// Local part and domain. The last @ parts them: a quoted local part may hold others.
fn split(address: &str) -> Option<(&str, &str)> {
    address.rsplit_once('@')
}

/// The same address without quotes that its local part does not need: RFC 5321 §4.1.2 has both mean the same.
pub fn unquoted(address: &str) -> String {
    let bare = split(address).and_then(|(local, domain)| {
        let local = unescape(local.strip_prefix('"')?.strip_suffix('"')?)?;
        is_dot_string(&local).then(|| format!("{local}@{domain}"))
    });
    bare.unwrap_or_else(|| address.to_owned())
}

/// The content of a quoted string; `None` when it is none (an open escape, a quote, a control character).
fn unescape(quoted: &str) -> Option<String> {
    let mut text = String::with_capacity(quoted.len());
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(chars.next()?),
            '"' => return None,
            c => text.push(c),
        }
    }
    (!text.chars().any(char::is_control)).then_some(text)
}

fn is_dot_string(local: &str) -> bool {
    let atext =
        |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || is_beyond_ascii(c);
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(atext))
}

/// Underscores are in use, whatever RFC 5321 says.
fn is_domain(domain: &str) -> bool {
    if let Some(literal) = domain.strip_prefix('[') {
        let literal = literal.strip_suffix(']').unwrap_or_default();
        return !literal.is_empty()
            && literal.bytes().all(|b| b.is_ascii_graphic() && !b"[]\\<>".contains(&b));
    }
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || is_beyond_ascii(c);
    domain.split('.').all(|label| {
        label.starts_with(letter) && label.ends_with(letter) && label.chars().all(|c| letter(c) || c == '-')
    })
}

/// RFC 6531 §3.3; white space and control characters of the upper ranges are in nobody's address.
fn is_beyond_ascii(c: char) -> bool {
    !c.is_ascii() && !c.is_control() && !c.is_whitespace()
}

fn parameters(mut path: Path, text: &str, side: Side) -> Result<Path, CommandError> {
    let mut seen: Vec<&'static str> = Vec::new();
    for word in text.split_ascii_whitespace() {
        let (keyword, value) = match word.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value)),
            None => (word, None),
        };
        let keyword = known(keyword, side)?;
        // RFC 5321 §4.1.2 does not say so, RFC 3461 §4 and RFC 1870 §5 do: once.
        if seen.contains(&keyword) || !take(&mut path, keyword, value) {
            return Err(CommandError::BadParameter(keyword));
        }
        seen.push(keyword);
        path.params.push(word.to_owned());
    }
    Ok(path)
}

fn known(keyword: &str, side: Side) -> Result<&'static str, CommandError> {
    let known: &[&'static str] = match side {
        Side::From => &["SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH"],
        Side::To => &["NOTIFY", "ORCPT"],
    };
    let found = known.iter().find(|k| k.eq_ignore_ascii_case(keyword));
    found.copied().ok_or_else(|| CommandError::UnknownParameter(keyword.chars().take(64).collect()))
}

/// Whether the value is one; what the session acts on is noted.
fn take(path: &mut Path, keyword: &str, value: Option<&str>) -> bool {
    if keyword == "SMTPUTF8" {
        path.utf8 = true;
        return value.is_none();
    }
    let Some(value) = value else { return false };
    match keyword {
        "SIZE" => number(value.as_bytes()).map(|size| path.size = size).is_some(),
        "BODY" => {
            path.binary = value.eq_ignore_ascii_case("BINARYMIME");
            path.binary || ["7BIT", "8BITMIME"].iter().any(|body| value.eq_ignore_ascii_case(body))
        }
        // RFC 3461 §4.3.
        "RET" => ["FULL", "HDRS"].iter().any(|ret| value.eq_ignore_ascii_case(ret)),
        "ENVID" => value.len() <= ENVID_LIMIT && is_xtext(value),
        // RFC 4954 §5: an address, or `<>`, as xtext.
        "AUTH" => value.len() <= ORCPT_LIMIT && is_xtext(value),
        "NOTIFY" => is_notify(value),
        "ORCPT" => value.len() <= ORCPT_LIMIT && is_orcpt(value),
        _ => false,
    }
}

/// RFC 3461 §4.1: NEVER stands alone.
fn is_notify(value: &str) -> bool {
    let one_of = |word: &str| ["SUCCESS", "FAILURE", "DELAY"].iter().any(|w| word.eq_ignore_ascii_case(w));
    value.eq_ignore_ascii_case("NEVER") || value.split(',').all(one_of)
}

/// RFC 3461 §4.2: `addr-type;xtext`; RFC 6533 §3 has UTF-8 in addresses of the type utf-8.
fn is_orcpt(value: &str) -> bool {
    let Some((kind, address)) = value.split_once(';') else { return false };
    let kind_is_right = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let utf8 = kind.eq_ignore_ascii_case("utf-8")
        && address.chars().all(|c| (c.is_ascii_graphic() && c != '=') || is_beyond_ascii(c));
    kind_is_right && !address.is_empty() && (utf8 || is_xtext(address))
}

/// RFC 3461 §4: printable, with `+2B` for what would end or split the parameter.
fn is_xtext(value: &str) -> bool {
    let mut bytes = value.bytes();
    let hex = |b: Option<u8>| b.is_some_and(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
    while let Some(byte) = bytes.next() {
        let right = match byte {
            b'+' => hex(bytes.next()) && hex(bytes.next()),
            b'=' => false,
            byte => byte.is_ascii_graphic(),
        };
        if !right {
            return false;
        }
    }
    !value.is_empty()
}

/// RFC 1870 §4 and RFC 3030 §2: up to 20 digits. What is beyond all sizes is as good as the largest.
pub fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 20 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |n: u64, digit: &u8| n.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, add))
}
