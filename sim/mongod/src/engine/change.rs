//! The update language, as much of it as is in use. What is not known is refused by its name.

use super::failure::Failure;
use super::filter::{Filter, literal};
use super::order::{compare, whole};
use bson::{Bson, Document};
use std::cmp::Ordering;

/// A change that has been read.
#[derive(Debug, Clone)]
pub enum Change {
    Replace(Document),
    Modify(Vec<Step>),
}

#[derive(Debug, Clone)]
pub struct Step {
    how: How,
    path: String,
    value: Bson,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Set,
    SetOnInsert,
    Unset,
    Increase,
    Max,
    Min,
}

/// Whether the document is being made by an upsert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    Update,
    Insert,
}

impl Change {
    pub fn parse(change: &Bson) -> Result<Self, Failure> {
        let Bson::Document(change) = change else {
            return Err(Failure::unparsable("an update has to be an object: pipelines are not simulated"));
        };
        if !change.keys().next().is_some_and(|key| key.starts_with('$')) {
            return match change.keys().find(|key| key.starts_with('$')) {
                Some(key) => {
                    let text =
                        format!("The dollar ($) prefixed field '{key}' is not allowed in a replacement");
                    Err(Failure::new(52, "DollarPrefixedFieldName", text))
                }
                None => Ok(Change::Replace(change.clone())),
            };
        }
        let mut steps: Vec<Step> = Vec::new();
        for (name, fields) in change {
            let how = How::parse(name)?;
            let wrong =
                || Failure::unparsable(format!("Modifiers operate on fields: {name} needs an object"));
            for (path, value) in fields.as_document().ok_or_else(wrong)? {
                check_path(path)?;
                let conflict = steps.iter().find(|step| overlap(&step.path, path));
                if let Some(other) = conflict {
                    let text =
                        format!("Updating the path '{path}' would create a conflict at '{}'", other.path);
                    return Err(Failure::new(40, "ConflictingUpdateOperators", text));
                }
                steps.push(Step { how, path: path.clone(), value: literal(value)? });
            }
        }
        // "MongoDB processes update operators with string-based names in lexicographic order": new fields are added in
        // it. <https://www.mongodb.com/docs/manual/reference/operator/update/#behavior>
        steps.sort_by(|a, b| by_name(&a.path, &b.path));
        Ok(Change::Modify(steps))
    }

    /// The document as it is afterwards.
    pub fn applied(&self, to: &Document, occasion: Occasion) -> Result<Document, Failure> {
        let id = to.get("_id");
        let after = match self {
            Change::Replace(document) => replaced(document, id),
            Change::Modify(steps) => {
                let mut after = to.clone();
                for step in steps {
                    step.run(&mut after, occasion)?;
                }
                after
            }
        };
        let kept = match (id, after.get("_id")) {
            (Some(before), Some(after)) => compare(before, after) == Ordering::Equal,
            (before, _) => before.is_none(),
        };
        if !kept {
            let text = "Performing an update on the path '_id' would modify the immutable field '_id'";
            return Err(Failure::new(66, "ImmutableField", text));
        }
        Ok(after)
    }

    /// Whether it leaves a document as it is, so that nothing is written. A replacement without an `_id` is no such
    /// thing: `applyReplacementUpdate` in mongo/db/update/object_replacement_executor.cpp compares it as it came.
    pub fn is_idle(&self, before: &Document, after: &Document) -> bool {
        let comes_whole = match self {
            Change::Replace(document) => document.contains_key("_id"),
            Change::Modify(_) => true,
        };
        comes_whole && before.len() == after.len() && before.iter().zip(after.iter()).all(|(a, b)| a == b)
    }

    /// The document that an upsert makes when nothing matches, maybe without an `_id` still.
    pub fn upserted(&self, filter: &Filter) -> Result<Document, Failure> {
        let mut begun = Document::new();
        let mut equalities = Vec::new();
        filter.equalities(&mut equalities);
        let replaces = matches!(self, Change::Replace(_));
        for (path, value) in equalities.into_iter().filter(|(path, _)| !replaces || *path == "_id") {
            put(&mut begun, path, value.clone())?;
        }
        self.applied(&begun, Occasion::Insert)
    }
}

fn replaced(document: &Document, id: Option<&Bson>) -> Document {
    let mut after = Document::new();
    if let Some(id) = id.filter(|_| !document.contains_key("_id")) {
        after.insert("_id", id.clone());
    }
    after.extend(document.clone());
    after
}

impl How {
    fn parse(name: &str) -> Result<Self, Failure> {
        match name {
            "$set" => Ok(How::Set),
            "$setOnInsert" => Ok(How::SetOnInsert),
            "$unset" => Ok(How::Unset),
            "$inc" => Ok(How::Increase),
            "$max" => Ok(How::Max),
            "$min" => Ok(How::Min),
            other => Err(Failure::unparsable(format!("Unknown modifier: {other}"))),
        }
    }
}

impl Step {
    fn run(&self, document: &mut Document, occasion: Occasion) -> Result<(), Failure> {
        let Step { how, path, value } = self;
        match how {
            How::SetOnInsert if occasion == Occasion::Update => Ok(()),
            How::Set | How::SetOnInsert => put(document, path, value.clone()),
            How::Unset => remove(document, path),
            How::Increase => {
                let sum = sum(look(document, path), value, path)?;
                put(document, path, sum)
            }
            How::Max | How::Min => {
                let wanted = if *how == How::Max { Ordering::Greater } else { Ordering::Less };
                let better = look(document, path).is_none_or(|known| compare(value, known) == wanted);
                if better { put(document, path, value.clone()) } else { Ok(()) }
            }
        }
    }
}

fn check_path(path: &str) -> Result<(), Failure> {
    let parts = path.split('.');
    for part in parts {
        if part.is_empty() {
            return Err(Failure::new(56, "EmptyFieldName", format!("'{path}' has an empty part")));
        }
        if part.starts_with('$') {
            return Err(Failure::bad_value(format!("positional paths are not simulated: '{path}'")));
        }
    }
    Ok(())
}

/// Part by part, "and fields with numeric names in numeric order", which come first here.
fn by_name(a: &str, b: &str) -> Ordering {
    let number = |part: &str| part.parse::<u64>().ok();
    let parts = a.split('.').zip(b.split('.')).map(|(a, b)| match (number(a), number(b)) {
        (Some(n), Some(m)) => n.cmp(&m).then_with(|| a.cmp(b)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    });
    { parts }.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn overlap(a: &str, b: &str) -> bool {
    let below =
        |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    below(a, b) || below(b, a)
}

fn look<'a>(document: &'a Document, path: &str) -> Option<&'a Bson> {
    match path.split_once('.') {
        None => document.get(path),
        Some((first, rest)) => look(document.get(first)?.as_document()?, rest),
    }
}

fn put(document: &mut Document, path: &str, value: Bson) -> Result<(), Failure> {
    let Some((first, rest)) = path.split_once('.') else {
        document.insert(path, value);
        return Ok(());
    };
    let inner = document.entry(first).or_insert_with(|| Bson::Document(Document::new()));
    match inner {
        Bson::Document(inner) => put(inner, rest, value),
        Bson::Array(_) => {
            Err(Failure::bad_value(format!("paths through arrays are not simulated: '{path}'")))
        }
        _ => Err(Failure::new(28, "PathNotViable", format!("Cannot create field '{rest}' in '{first}'"))),
    }
}

fn remove(document: &mut Document, path: &str) -> Result<(), Failure> {
    match path.split_once('.') {
        None => {
            document.remove(path);
            Ok(())
        }
        Some((first, rest)) => match document.get_mut(first) {
            Some(Bson::Document(inner)) => remove(inner, rest),
            Some(Bson::Array(_)) => {
                Err(Failure::bad_value(format!("paths through arrays are not simulated: '{path}'")))
            }
            _ => Ok(()),
        },
    }
}

/// The wider of two types; 32 bits grow to 64 when they have to, 64 don't.
fn sum(known: Option<&Bson>, by: &Bson, path: &str) -> Result<Bson, Failure> {
    let not_a_number = |text: String| Failure::mistyped(text);
    if !matches!(by, Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_)) {
        return Err(not_a_number(format!("Cannot increment with non-numeric argument: {{{path}: {by}}}")));
    }
    let Some(known) = known else { return Ok(by.clone()) };
    match (known, by) {
        (Bson::Int32(a), Bson::Int32(b)) => {
            Ok(a.checked_add(*b).map_or(Bson::Int64(i64::from(*a) + i64::from(*b)), Bson::Int32))
        }
        (Bson::Double(a), b) => Ok(Bson::Double(a + whole(b).map_or_else(|| double(b), |n| n as f64))),
        (a, Bson::Double(b)) if whole(a).is_some() => Ok(Bson::Double(double_of(a) + b)),
        (a, b) => match whole(a).zip(whole(b)) {
            Some((a, b)) => {
                let over = || Failure::bad_value(format!("Failed to apply $inc to '{path}': it overflows"));
                a.checked_add(b).map(Bson::Int64).ok_or_else(over)
            }
            None => {
                Err(not_a_number(format!("Cannot apply $inc to a value of non-numeric type at '{path}'")))
            }
        },
    }
}

fn double(value: &Bson) -> f64 {
    value.as_f64().unwrap_or_default()
}

fn double_of(value: &Bson) -> f64 {
    whole(value).unwrap_or_default() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    fn change(change: Document) -> Result<Change, Failure> {
        Change::parse(&Bson::Document(change))
    }

    fn after(of: Document, by: Document) -> Result<Document, Failure> {
        change(by).unwrap().applied(&of, Occasion::Update)
    }

    #[test]
    fn operators_do_what_they_say() {
        let by = doc! {
            "$set": { "a": 1, "n.x": 2 }, "$unset": { "b": "", "gone": 1 }, "$inc": { "c": 2_i64, "d": 1 },
            "$max": { "e": 5, "f": 5, "g": 5 }, "$min": { "h": 1 }, "$setOnInsert": { "i": 1 },
        };
        let of = doc! { "_id": 1, "b": 1, "c": 1, "e": 4, "f": 6, "h": 2 };
        let expected = doc! {
            "_id": 1, "c": 3_i64, "e": 5, "f": 6, "h": 1, "a": 1, "d": 1, "g": 5, "n": { "x": 2 },
        };
        assert_eq!(after(of, by).unwrap(), expected);
    }

    #[test]
    fn fields_are_made_in_one_order() {
        let by = doc! { "$set": { "9a": 1, "b.z": 1, "10": 1 }, "$inc": { "9": 1, "b.a": 1, "1a": 1 } };
        let made = after(doc! { "_id": 1 }, by).unwrap();
        assert_eq!(made.keys().collect::<Vec<_>>(), ["_id", "9", "10", "1a", "9a", "b"]);
        assert_eq!(made.get_document("b").unwrap().keys().collect::<Vec<_>>(), ["a", "z"]);
    }

    #[test]
    fn an_upsert_begins_with_what_the_filter_says() {
        let filter = doc! { "_id": 7, "a": { "$gt": 1 }, "b": { "$eq": 2 }, "$or": [{ "x": 1 }, { "y": 1 }] };
        let change = change(doc! { "$inc": { "n": 1 }, "$setOnInsert": { "m": 1 } }).unwrap();
        let made = change.upserted(&Filter::parse(&filter).unwrap()).unwrap();
        assert_eq!(made, doc! { "_id": 7, "b": 2, "n": 1, "m": 1 });
    }

    #[test]
    fn what_is_unknown_or_contradicts_itself_is_refused() {
        let refused = |by: Document| change(by).unwrap_err();
        assert_eq!(refused(doc! { "$push": { "a": 1 } }).code, 9);
        assert!(refused(doc! { "$push": { "a": 1 } }).text.contains("$push"));
        assert_eq!(refused(doc! { "$set": { "a": 1 }, "$inc": { "a.b": 1 } }).code, 40);
        assert_eq!(refused(doc! { "$set": { "a.$": 1 } }).code, 2);
        assert_eq!(after(doc! { "_id": 1 }, doc! { "$set": { "_id": 2 } }).unwrap_err().code, 66);
        assert_eq!(after(doc! { "_id": 1 }, doc! { "_id": 2 }).unwrap_err().code, 66);
        assert_eq!(after(doc! { "a": "x" }, doc! { "$inc": { "a": 1 } }).unwrap_err().code, 14);
    }
}
