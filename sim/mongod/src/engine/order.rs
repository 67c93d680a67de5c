//! The order of values, as MongoDB compares and sorts them.
//!
//! <https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/>

use bson::{Bson, Document};
use std::cmp::Ordering;

/// A value as a key of an ordered map.
#[derive(Debug, Clone)]
pub struct Key(pub Bson);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.0, &other.0)
    }
}

/// Where a value's type stands among all types. Types of one rank are compared by value.
pub fn rank(value: &Bson) -> u8 {
    match value {
        Bson::MinKey => 0,
        Bson::Undefined => 1,
        Bson::Null => 2,
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) | Bson::Decimal128(_) => 3,
        Bson::String(_) | Bson::Symbol(_) => 4,
        Bson::Document(_) => 5,
        Bson::Array(_) => 6,
        Bson::Binary(_) => 7,
        Bson::ObjectId(_) => 8,
        Bson::Boolean(_) => 9,
        Bson::DateTime(_) => 10,
        Bson::Timestamp(_) => 11,
        Bson::RegularExpression(_) => 12,
        Bson::DbPointer(_) => 13,
        Bson::JavaScriptCode(_) => 14,
        Bson::JavaScriptCodeWithScope(_) => 15,
        Bson::MaxKey => 16,
    }
}

pub fn compare(a: &Bson, b: &Bson) -> Ordering {
    match (a, b) {
        // Byte strings: length, then subtype, then bytes.
        (Bson::Binary(a), Bson::Binary(b)) => {
            let kind = |s: bson::spec::BinarySubtype| u8::from(s);
            let by_length = a.bytes.len().cmp(&b.bytes.len());
            by_length.then_with(|| kind(a.subtype).cmp(&kind(b.subtype))).then_with(|| a.bytes.cmp(&b.bytes))
        }
        (Bson::String(a) | Bson::Symbol(a), Bson::String(b) | Bson::Symbol(b)) => {
            a.as_bytes().cmp(b.as_bytes())
        }
        (Bson::DateTime(a), Bson::DateTime(b)) => a.cmp(b),
        (Bson::Document(a), Bson::Document(b)) => compare_documents(a, b),
        (Bson::Array(a), Bson::Array(b)) => compare_arrays(a, b),
        (Bson::ObjectId(a), Bson::ObjectId(b)) => a.bytes().cmp(&b.bytes()),
        (Bson::Boolean(a), Bson::Boolean(b)) => a.cmp(b),
        (Bson::Timestamp(a), Bson::Timestamp(b)) => a.cmp(b),
        _ if rank(a) != rank(b) => rank(a).cmp(&rank(b)),
        _ if rank(a) == 3 => compare_numbers(a, b),
        // Of types that are refused when they come in, any order will do.
        _ => format!("{a:?}").cmp(&format!("{b:?}")),
    }
}

/// Field by field: the type, the name, the value; the shorter of two that are alike so far comes first.
fn compare_documents(a: &Document, b: &Document) -> Ordering {
    for ((name, value), (other_name, other)) in a.iter().zip(b.iter()) {
        let by_type = rank(value).cmp(&rank(other));
        let order = by_type.then_with(|| name.cmp(other_name)).then_with(|| compare(value, other));
        if order != Ordering::Equal {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

fn compare_arrays(a: &[Bson], b: &[Bson]) -> Ordering {
    let unlike = a.iter().zip(b).map(|(a, b)| compare(a, b)).find(|order| *order != Ordering::Equal);
    unlike.unwrap_or_else(|| a.len().cmp(&b.len()))
}

fn compare_numbers(a: &Bson, b: &Bson) -> Ordering {
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(a), None) => compare_mixed(a, real(b)),
        (None, Some(b)) => compare_mixed(b, real(a)).reverse(),
        (None, None) => {
            let (a, b) = (real(a), real(b));
            // NaN comes before all other numbers, and is equal to itself.
            a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
        }
    }
}

/// Exactly, also where a double can't tell two neighbours apart.
fn compare_mixed(a: i64, b: f64) -> Ordering {
    if b.is_nan() || b < -9_223_372_036_854_775_808.0 {
        return Ordering::Greater;
    }
    if b >= 9_223_372_036_854_775_808.0 {
        return Ordering::Less;
    }
    let floor = b.floor();
    let fraction = if b > floor { Ordering::Less } else { Ordering::Equal };
    a.cmp(&(floor as i64)).then(fraction)
}

/// A number without a fraction, if the value is one by its type.
pub fn whole(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(n) => Some(i64::from(*n)),
        Bson::Int64(n) => Some(*n),
        _ => None,
    }
}

fn real(value: &Bson) -> f64 {
    match value {
        Bson::Double(n) => *n,
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::spec::BinarySubtype;
    use bson::{Binary, doc};

    fn bytes(bytes: &[u8]) -> Bson {
        Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() })
    }

    #[test]
    fn values_stand_in_the_order_of_mongodb() {
        let ascending = [
            Bson::MinKey,
            Bson::Null,
            Bson::Double(f64::NAN),
            Bson::Double(-0.5),
            Bson::Int32(0),
            Bson::Double(0.5),
            Bson::Int64(9_007_199_254_740_992),
            Bson::Int64(9_007_199_254_740_993),
            Bson::Double(1e300),
            Bson::String("a".into()),
            Bson::String("aa".into()),
            Bson::String("b".into()),
            doc! { "a": 1 }.into(),
            doc! { "a": 1, "b": 1 }.into(),
            Bson::Array(vec![]),
            bytes(b"z"),
            bytes(b"aa"),
            bytes(b"ab"),
            Bson::Boolean(false),
            Bson::Boolean(true),
            Bson::DateTime(bson::DateTime::from_millis(-1)),
            Bson::DateTime(bson::DateTime::from_millis(1)),
            Bson::MaxKey,
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a} {b}");
            }
        }
        assert_eq!(compare(&Bson::Int32(2), &Bson::Double(2.0)), Ordering::Equal);
    }
}
