//! What a group of mutations is going to add to a document, said when the document is taken: mostly it comes out as was
//! said, and then there is nothing more to write to that document. A round trip less for each.
//!
//! Nothing relies on it. At the end the document is compared with what it should be, and written if it is not that.

use super::doc::{Fields, int};
use super::fail::Step;
use mongodb::bson::{Bson, Document};
use std::collections::BTreeMap;

/// By how much numbers in a document grow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Growth(BTreeMap<&'static str, u64>);

impl Growth {
    pub fn of(all: impl IntoIterator<Item = (&'static str, u64)>) -> Self {
        Growth(all.into_iter().filter(|(_, n)| *n > 0).collect())
    }

    pub fn add(&mut self, other: &Growth) {
        for (field, n) in &other.0 {
            *self.0.entry(field).or_default() += n;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As the argument of `$inc`, beside a field whose only purpose is to conflict with others.
    pub fn touching(&self) -> Document {
        let grown = self.0.iter().map(|(field, n)| ((*field).to_owned(), int(*n)));
        grown.chain([("touched".to_owned(), int(1))]).collect()
    }

    /// A document as it was before it grew.
    pub fn undone(&self, after: &Document) -> Step<Document> {
        let mut before = after.clone();
        for (field, n) in &self.0 {
            before.insert(*field, int(after.count(field)?.wrapping_sub(*n)));
        }
        Ok(before)
    }
}

/// Whether a stored document has all that `wanted` has, and none of `optional` that it has not.
pub fn is_already(stored: &Document, wanted: &Document, optional: &[&str]) -> bool {
    let same = |(field, value): (&String, &Bson)| stored.get(field) == Some(value);
    wanted.iter().all(same)
        && optional.iter().all(|field| stored.contains_key(field) == wanted.contains_key(field))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson::doc;

    #[test]
    fn what_grew_is_undone_exactly() {
        let growth = Growth::of([("uidnext", 3), ("bytes", u64::MAX), ("unseen", 0)]);
        let mut sum = growth.clone();
        sum.add(&Growth::of([("uidnext", 1), ("messages", 2)]));
        assert_eq!(
            sum.touching(),
            doc! { "bytes": -1_i64, "messages": 2_i64, "uidnext": 4_i64, "touched": 1_i64 }
        );
        let after = doc! { "uidnext": 4_i64, "bytes": 5_i64, "messages": 2_i64, "name": "x" };
        let before = doc! { "uidnext": 0_i64, "bytes": 6_i64, "messages": 0_i64, "name": "x" };
        assert_eq!(sum.undone(&after).unwrap(), before);
        assert!(sum.undone(&doc! { "uidnext": 4_i64 }).is_err(), "a document that is damaged");
    }

    #[test]
    fn a_field_that_differs_is_missing_or_too_many_is_noticed() {
        let wanted = doc! { "a": 1_i64, "b": [1, 2] };
        let has = |stored: Document| is_already(&stored, &wanted, &["end"]);
        assert!(has(doc! { "_id": 7, "b": [1, 2], "a": 1_i64, "touched": 9_i64 }));
        assert!(!has(doc! { "a": 2_i64, "b": [1, 2] }));
        assert!(!has(doc! { "a": 1_i64 }));
        assert!(!has(doc! { "a": 1_i64, "b": [1, 2], "end": 5 }));
    }
}
