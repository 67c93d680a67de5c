//! Documents: what they are made of, and reading it back.

pub use super::db::number;
use super::fail::{Fail, Step};
use crate::*;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document};

/// Bytes, as a value.
pub fn bin(bytes: impl Into<Vec<u8>>) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.into() })
}

/// A number as it is stored: all 64 bits come back.
pub fn int(n: u64) -> Bson {
    Bson::Int64(n as i64)
}

pub fn time(at: Timestamp) -> Bson {
    Bson::DateTime(DateTime::from_millis(at.millis()))
}

/// Reading fields that have to be there.
pub trait Fields {
    fn bytes(&self, field: &str) -> Step<&[u8]>;
    fn fixed<const N: usize>(&self, field: &str) -> Step<[u8; N]>;
    fn count(&self, field: &str) -> Step<u64>;
    fn text(&self, field: &str) -> Step<&str>;
    fn when(&self, field: &str) -> Step<Timestamp>;
    fn when_or_never(&self, field: &str) -> Step<Option<Timestamp>>;
}

fn damaged(field: &str) -> Fail {
    StoreError::Corrupt(format!("a document's field {field} is missing or of another type")).into()
}

impl Fields for Document {
    fn bytes(&self, field: &str) -> Step<&[u8]> {
        self.get_binary_generic(field).map(Vec::as_slice).map_err(|_| damaged(field))
    }

    fn fixed<const N: usize>(&self, field: &str) -> Step<[u8; N]> {
        self.bytes(field)?.try_into().map_err(|_| damaged(field))
    }

    fn count(&self, field: &str) -> Step<u64> {
        number(self, field).map(|n| n as u64).ok_or_else(|| damaged(field))
    }

    fn text(&self, field: &str) -> Step<&str> {
        self.get_str(field).map_err(|_| damaged(field))
    }

    fn when(&self, field: &str) -> Step<Timestamp> {
        self.get_datetime(field).map(|t| Timestamp(t.timestamp_millis())).map_err(|_| damaged(field))
    }

    fn when_or_never(&self, field: &str) -> Step<Option<Timestamp>> {
        if self.contains_key(field) { self.when(field).map(Some) } else { Ok(None) }
    }
}
