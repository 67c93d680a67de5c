//! The query language, as much of it as is in use. What is not known is refused by its name.

use super::failure::Failure;
use super::order::{Key, compare, rank};
use bson::{Bson, Document};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;

/// A filter that has been read.
#[derive(Debug, Clone)]
pub enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    None(Vec<Filter>),
    Field { path: String, test: Test },
}

/// What is asked of a field.
#[derive(Debug, Clone)]
pub enum Test {
    Equal(Bson),
    In(BTreeSet<Key>),
    /// Of values of the same type.
    Compared(Comparison, Bson),
    Exists(bool),
    Not(Box<Test>),
    All(Vec<Test>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// From where to where.
pub type Range = (Bound<Key>, Bound<Key>);

/// Which `_id`s can match at all.
#[derive(Debug, Clone)]
pub enum Ids {
    These(BTreeSet<Key>),
    Between(Box<Range>),
}

impl Filter {
    pub fn parse(filter: &Document) -> Result<Self, Failure> {
        let mut all = Vec::with_capacity(filter.len());
        for (name, value) in filter {
            all.push(match name.as_str() {
                "$and" => Filter::All(branches(name, value)?),
                "$or" => Filter::Any(branches(name, value)?),
                "$nor" => Filter::None(branches(name, value)?),
                "$comment" => continue,
                name if name.starts_with('$') => {
                    return Err(Failure::bad_value(format!("unknown top level operator: {name}")));
                }
                path => Filter::Field { path: path.to_owned(), test: Test::parse(value)? },
            });
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Filter::All(all) })
    }

    pub fn matches(&self, document: &Document) -> bool {
        match self {
            Filter::All(all) => all.iter().all(|filter| filter.matches(document)),
            Filter::Any(any) => any.iter().any(|filter| filter.matches(document)),
            Filter::None(none) => !none.iter().any(|filter| filter.matches(document)),
            Filter::Field { path, test } => {
                if !path.contains('.') {
                    return test.matches(document.get(path).as_slice());
                }
                let mut found = Vec::new();
                values(document, path, &mut found);
                test.matches(&found)
            }
        }
    }

    /// What of the filter an index on `_id` can answer.
    pub fn ids(&self) -> Ids {
        let mut ids = Ids::Between(Box::new((Bound::Unbounded, Bound::Unbounded)));
        self.narrow(&mut ids);
        ids
    }

    fn narrow(&self, ids: &mut Ids) {
        match self {
            Filter::All(all) => all.iter().for_each(|filter| filter.narrow(ids)),
            Filter::Field { path, test } if path == "_id" => test.narrow(ids),
            _ => {}
        }
    }

    /// Fields that have to have one value, which a document made by an upsert begins with.
    pub fn equalities<'a>(&'a self, found: &mut Vec<(&'a str, &'a Bson)>) {
        match self {
            Filter::All(all) => all.iter().for_each(|filter| filter.equalities(found)),
            Filter::Field { path, test: Test::Equal(value) } => found.push((path, value)),
            Filter::Field { path, test: Test::All(tests) } => {
                let equal = tests.iter().filter_map(|test| match test {
                    Test::Equal(value) => Some((path.as_str(), value)),
                    _ => None,
                });
                found.extend(equal);
            }
            _ => {}
        }
    }
}

fn branches(name: &str, value: &Bson) -> Result<Vec<Filter>, Failure> {
    let wrong = || Failure::bad_value(format!("{name} must be a nonempty array of objects"));
    let all = value.as_array().filter(|all| !all.is_empty()).ok_or_else(wrong)?;
    all.iter().map(|branch| Filter::parse(branch.as_document().ok_or_else(wrong)?)).collect()
}

impl Test {
    fn parse(value: &Bson) -> Result<Self, Failure> {
        let operators =
            value.as_document().filter(|d| d.keys().next().is_some_and(|key| key.starts_with('$')));
        let Some(operators) = operators else { return Ok(Test::Equal(literal(value)?)) };
        let mut tests = operators
            .iter()
            .map(|(name, value)| Test::operator(name, value))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(if tests.len() == 1 { tests.remove(0) } else { Test::All(tests) })
    }

    fn operator(name: &str, value: &Bson) -> Result<Self, Failure> {
        let compared = |how| Ok(Test::Compared(how, literal(value)?));
        match name {
            "$eq" => Ok(Test::Equal(literal(value)?)),
            "$ne" => Ok(Test::Not(Box::new(Test::Equal(literal(value)?)))),
            "$lt" => compared(Comparison::Less),
            "$lte" => compared(Comparison::AtMost),
            "$gt" => compared(Comparison::Greater),
            "$gte" => compared(Comparison::AtLeast),
            "$in" => Ok(Test::In(members(name, value)?)),
            "$nin" => Ok(Test::Not(Box::new(Test::In(members(name, value)?)))),
            "$exists" => {
                let wrong = || Failure::bad_value("$exists needs a bool");
                Ok(Test::Exists(super::fields::truth(value).ok_or_else(wrong)?))
            }
            "$not" if value.as_document().is_some_and(|d| d.keys().all(|key| key.starts_with('$'))) => {
                Ok(Test::Not(Box::new(Test::parse(value)?)))
            }
            "$not" => Err(Failure::bad_value("$not needs an object of operators")),
            other => Err(Failure::bad_value(format!("unknown operator: {other}"))),
        }
    }

    /// Of the values that a path leads to; none if it leads nowhere.
    fn matches(&self, found: &[&Bson]) -> bool {
        match self {
            // A field that is missing is equal to null.
            Test::Equal(Bson::Null) if found.is_empty() => true,
            Test::Equal(value) => some(found, |v| compare(v, value) == Ordering::Equal),
            Test::In(all) if found.is_empty() => all.contains(&Key(Bson::Null)),
            Test::In(all) => some(found, |v| all.contains(&Key(v.clone()))),
            Test::Compared(how, value) => {
                some(found, |v| rank(v) == rank(value) && how.holds(compare(v, value)))
            }
            Test::Exists(exists) => found.is_empty() != *exists,
            Test::Not(test) => !test.matches(found),
            Test::All(tests) => tests.iter().all(|test| test.matches(found)),
        }
    }

    fn narrow(&self, ids: &mut Ids) {
        match self {
            Test::All(tests) => tests.iter().for_each(|test| test.narrow(ids)),
            Test::Equal(value) => ids.only(BTreeSet::from([Key(value.clone())])),
            Test::In(all) => ids.only(all.clone()),
            Test::Compared(how, value) => ids.bound(*how, Key(value.clone())),
            Test::Exists(_) | Test::Not(_) => {}
        }
    }
}

/// A value of a query, refused if it is of a type that is compared in a way of its own.
pub fn literal(value: &Bson) -> Result<Bson, Failure> {
    let strange = |what: &str| Err(Failure::bad_value(format!("{what} is not simulated: {value}")));
    match value {
        Bson::RegularExpression(_) => strange("a regular expression"),
        Bson::Decimal128(_) => strange("Decimal128"),
        Bson::JavaScriptCode(_) | Bson::JavaScriptCodeWithScope(_) => strange("code"),
        Bson::Undefined | Bson::DbPointer(_) => strange("a deprecated type"),
        value => Ok(value.clone()),
    }
}

fn members(name: &str, value: &Bson) -> Result<BTreeSet<Key>, Failure> {
    let all = value.as_array().ok_or_else(|| Failure::bad_value(format!("{name} needs an array")))?;
    all.iter().map(|value| Ok(Key(literal(value)?))).collect()
}

/// The values that a dotted path leads to, through the elements of arrays as well.
fn values<'a>(document: &'a Document, path: &str, found: &mut Vec<&'a Bson>) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    match (document.get(first), rest) {
        (Some(value), None) => found.push(value),
        (Some(Bson::Document(inner)), Some(rest)) => values(inner, rest, found),
        (Some(Bson::Array(elements)), Some(rest)) => {
            for inner in elements.iter().filter_map(Bson::as_document) {
                values(inner, rest, found);
            }
        }
        _ => {}
    }
}

/// Whether a value, or an element of one that is an array, passes.
fn some(found: &[&Bson], passes: impl Fn(&Bson) -> bool) -> bool {
    found
        .iter()
        .any(|value| passes(value) || matches!(value, Bson::Array(elements) if elements.iter().any(&passes)))
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Less => order.is_lt(),
            Comparison::AtMost => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::AtLeast => order.is_ge(),
        }
    }
}

impl Ids {
    fn only(&mut self, keys: BTreeSet<Key>) {
        match self {
            // Each is tried with the whole filter anyway.
            Ids::These(known) if known.len() <= keys.len() => {}
            _ => *self = Ids::These(keys),
        }
    }

    fn bound(&mut self, how: Comparison, key: Key) {
        let Ids::Between(range) = self else { return };
        let (low, high) = &mut **range;
        match how {
            Comparison::Less => *high = Bound::Excluded(key),
            Comparison::AtMost => *high = Bound::Included(key),
            Comparison::Greater => *low = Bound::Excluded(key),
            Comparison::AtLeast => *low = Bound::Included(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    fn matches(filter: Document, document: Document) -> bool {
        Filter::parse(&filter).unwrap().matches(&document)
    }

    #[test]
    fn comparisons_are_of_one_type() {
        assert!(matches(doc! { "a": { "$lte": 5 } }, doc! { "a": 5_i64 }));
        assert!(!matches(doc! { "a": { "$lte": 5 } }, doc! { "a": "x" }));
        assert!(!matches(doc! { "a": { "$gte": 5 } }, doc! { "a": "x" }));
        assert!(!matches(doc! { "a": { "$lte": 5 } }, doc! {}));
        assert!(matches(doc! { "a": { "$not": { "$lte": 5 } } }, doc! {}));
        assert!(matches(doc! { "a": { "$gt": 1, "$lt": 3 } }, doc! { "a": 2 }));
    }

    #[test]
    fn missing_fields_are_null_and_arrays_are_their_elements() {
        assert!(matches(doc! { "a": null }, doc! {}));
        assert!(matches(doc! { "a": { "$in": [null, 1] } }, doc! {}));
        assert!(matches(doc! { "a": { "$ne": 1 } }, doc! {}));
        assert!(matches(doc! { "a": { "$exists": false } }, doc! {}));
        assert!(!matches(doc! { "a": { "$exists": true } }, doc! {}));
        assert!(matches(doc! { "a": 2 }, doc! { "a": [1, 2] }));
        assert!(matches(doc! { "a.b": 2 }, doc! { "a": [{ "b": 1 }, { "b": 2 }] }));
        assert!(matches(doc! { "$or": [{ "a": 1 }, { "b": 1 }] }, doc! { "b": 1 }));
        assert!(!matches(doc! { "$nor": [{ "a": 1 }, { "b": 1 }] }, doc! { "b": 1 }));
    }

    #[test]
    fn what_is_unknown_is_refused_by_name() {
        for (filter, name) in [
            (doc! { "$where": "x" }, "$where"),
            (doc! { "a": { "$regex": "x" } }, "$regex"),
            (doc! { "a": { "$gt": 1, "$mod": [1, 2] } }, "$mod"),
            (doc! { "$and": [{ "a": { "$size": 1 } }] }, "$size"),
        ] {
            let failure = Filter::parse(&filter).unwrap_err();
            assert_eq!(failure.code, 2);
            assert!(failure.text.contains(name), "{}", failure.text);
        }
    }
}
