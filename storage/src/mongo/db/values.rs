//! Values of documents.

use mongodb::bson::{Bson, Document};

/// A whole number, whatever width the server chose for it.
pub fn number(document: &Document, field: &str) -> Option<i64> {
    match document.get(field)? {
        Bson::Int32(n) => Some(i64::from(*n)),
        Bson::Int64(n) => Some(*n),
        Bson::Double(n) => Some(*n as i64),
        _ => None,
    }
}

/// About how long a document is, in bytes.
pub fn weight(document: &Document) -> usize {
    document.iter().map(|(key, value)| key.len() + 2 + weight_of(value)).sum::<usize>() + 5
}

fn weight_of(value: &Bson) -> usize {
    match value {
        Bson::Binary(b) => b.bytes.len() + 5,
        Bson::String(s) => s.len() + 5,
        Bson::Document(d) => weight(d),
        Bson::Array(a) => a.iter().map(|v| weight_of(v) + 7).sum::<usize>() + 5,
        _ => 8,
    }
}
