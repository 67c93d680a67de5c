//! How commands are written, and what answers have.

use gadwall_conformance::{Answer, Response, Untagged, Value};
use std::collections::BTreeSet;

pub fn heard(line: &str) -> Result<Untagged, String> {
    let rest = line.strip_prefix("* ").ok_or_else(|| format!("not untagged: {line}"))?;
    Ok(Untagged { text: line.to_owned(), response: Response::parse(rest.as_bytes())? })
}

/// The response code of that name, of the tagged response or an untagged one.
pub fn code(answer: &Answer, name: &str) -> Option<Vec<Value>> {
    let tagged = Response::parse(answer.tagged.as_bytes()).ok();
    let all = answer.untagged.iter().map(|untagged| untagged.response.clone()).chain(tagged);
    all.filter_map(|response| match response {
        Response::Status { code, .. } => Some(code),
        _ => None,
    })
    .find(|code| code.first().and_then(Value::word) == Some(name))
}

pub fn code_number(answer: &Answer, name: &str) -> Option<u64> {
    code(answer, name)?.get(1)?.number()
}

pub fn refused(answer: &Answer, why: &str) -> Result<(), String> {
    let is_refused = answer.tagged.starts_with("NO") || answer.tagged.starts_with("BAD");
    if is_refused { Ok(()) } else { Err(format!("{why}, and it is told {}", answer.tagged)) }
}

pub fn verb(verb: &str, named: &[(u32, u32)], by_uid: bool, rest: &str) -> String {
    if by_uid {
        format!("UID {verb} {} {rest}", joined(named.iter().map(|(_, uid)| uid)))
    } else {
        format!("{verb} {} {rest}", joined(named.iter().map(|(n, _)| n)))
    }
}

pub fn joined<T: ToString>(numbers: impl Iterator<Item = T>) -> String {
    numbers.map(|n| n.to_string()).collect::<Vec<_>>().join(",")
}

pub fn list(flags: &BTreeSet<String>) -> String {
    format!("({})", flags.iter().map(String::as_str).collect::<Vec<_>>().join(" "))
}
