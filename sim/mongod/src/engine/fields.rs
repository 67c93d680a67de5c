//! Reading the fields of commands.

use super::failure::Failure;
use bson::{Bson, Document};

/// A whole number of any type, `None` for a field that is not there.
pub fn number(document: &Document, field: &str) -> Result<Option<i64>, Failure> {
    match document.get(field) {
        None => Ok(None),
        Some(Bson::Int32(n)) => Ok(Some(i64::from(*n))),
        Some(Bson::Int64(n)) => Ok(Some(*n)),
        Some(Bson::Double(n)) if n.fract() == 0.0 => Ok(Some(*n as i64)),
        Some(other) => Err(Failure::mistyped(format!("{field} must be a whole number, not {other}"))),
    }
}

/// As [`number`], not below 0; 0 for a field that is not there.
pub fn count(document: &Document, field: &str) -> Result<usize, Failure> {
    let n = number(document, field)?.unwrap_or_default();
    usize::try_from(n).map_err(|_| Failure::bad_value(format!("{field} must not be negative")))
}

/// True for numbers other than 0, too; `false` for a field that is not there.
pub fn flag(document: &Document, field: &str) -> Result<bool, Failure> {
    match document.get(field) {
        None => Ok(false),
        Some(value) => {
            truth(value).ok_or_else(|| Failure::mistyped(format!("{field} must be a bool, not {value}")))
        }
    }
}

pub fn truth(value: &Bson) -> Option<bool> {
    match value {
        Bson::Boolean(truth) => Some(*truth),
        Bson::Int32(n) => Some(*n != 0),
        Bson::Int64(n) => Some(*n != 0),
        Bson::Double(n) => Some(*n != 0.0),
        _ => None,
    }
}

pub fn text<'a>(document: &'a Document, field: &str) -> Result<&'a str, Failure> {
    document.get_str(field).map_err(|_| Failure::mistyped(format!("{field} must be a string")))
}

pub fn document<'a>(document: &'a Document, field: &str) -> Result<Option<&'a Document>, Failure> {
    match document.get(field) {
        None => Ok(None),
        Some(Bson::Document(inner)) => Ok(Some(inner)),
        Some(other) => Err(Failure::mistyped(format!("{field} must be an object, not {other}"))),
    }
}

/// A list of documents that has to be there.
pub fn documents<'a>(document: &'a Document, field: &str) -> Result<Vec<&'a Document>, Failure> {
    let missing = || Failure::new(40414, "IDLFailedToParse", format!("{field} is missing, or no array"));
    let all = document.get_array(field).map_err(|_| missing())?;
    let each = |value: &'a Bson| {
        value.as_document().ok_or_else(|| Failure::mistyped(format!("{field} must hold objects")))
    };
    all.iter().map(each).collect()
}

/// What any command may bear.
const GENERIC: [&str; 13] = [
    "$db",
    "$clusterTime",
    "$readPreference",
    "lsid",
    "txnNumber",
    "autocommit",
    "startTransaction",
    "readConcern",
    "writeConcern",
    "maxTimeMS",
    "comment",
    "stmtId",
    "stmtIds",
];

/// Refuses fields that this command's code doesn't read: an option that is ignored would be a lie.
pub fn only(command: &Document, known: &[&str]) -> Result<(), Failure> {
    let name = command.keys().next().map(String::as_str).unwrap_or_default();
    let strange = |key: &&String| !known.contains(&key.as_str()) && !GENERIC.contains(&key.as_str());
    match command.keys().skip(1).find(strange) {
        None => Ok(()),
        Some(key) => Err(unknown(&format!("{name}.{key}"))),
    }
}

/// As [`only`], for a document within a command, all of whose fields have to be known.
pub fn only_in(document: &Document, what: &str, known: &[&str]) -> Result<(), Failure> {
    match document.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(unknown(&format!("{what}.{key}"))),
    }
}

fn unknown(path: &str) -> Failure {
    Failure::new(40415, "IDLUnknownField", format!("BSON field '{path}' is an unknown field."))
}

/// Bytes that a document takes in BSON.
pub fn size(document: &Document) -> usize {
    document.iter().map(|(key, value)| key.len() + 2 + size_of(value)).sum::<usize>() + 5
}

fn size_of(value: &Bson) -> usize {
    match value {
        Bson::Double(_) | Bson::Int64(_) | Bson::DateTime(_) | Bson::Timestamp(_) => 8,
        Bson::Int32(_) => 4,
        Bson::Boolean(_) => 1,
        Bson::Null | Bson::MinKey | Bson::MaxKey | Bson::Undefined => 0,
        Bson::ObjectId(_) => 12,
        Bson::Decimal128(_) => 16,
        Bson::Binary(binary) => binary.bytes.len() + 5,
        Bson::String(text) | Bson::Symbol(text) | Bson::JavaScriptCode(text) => text.len() + 5,
        Bson::Document(document) => size(document),
        Bson::Array(all) => {
            let digits = |i: usize| i.checked_ilog10().unwrap_or(0) as usize + 1;
            all.iter().enumerate().map(|(i, value)| digits(i) + 2 + size_of(value)).sum::<usize>() + 5
        }
        Bson::RegularExpression(regex) => {
            regex.pattern.to_string().len() + regex.options.to_string().len() + 2
        }
        // Refused as values of documents; a bound is enough.
        Bson::JavaScriptCodeWithScope(code) => code.code.len() + 13 + size(&code.scope),
        Bson::DbPointer(_) => 32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    #[test]
    fn sizes_are_those_of_bson() {
        let binary = bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![1; 7] };
        let document = doc! {
            "a": 1, "b": 2_i64, "c": "text", "d": [1, "two", { "x": null }], "e": binary, "f": true, "g": 1.5,
            "h": bson::oid::ObjectId::from_bytes([0; 12]), "i": bson::DateTime::from_millis(3),
            "j": (0..12).collect::<Vec<i32>>(), "k": bson::Timestamp { time: 1, increment: 2 },
        };
        assert_eq!(size(&document), document.to_vec().unwrap().len());
    }
}
