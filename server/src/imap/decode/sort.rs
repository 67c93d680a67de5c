//! SORT and THREAD (RFC 5256 §5, RFC 5267 §5, RFC 5957 §4).

use super::cursor::{Cursor, Parsed, expected};
use super::search::{keys, relevancy_of_something, returns};
use crate::imap::types::{By, SortCommand, SortCriterion, SortKey, ThreadAlgorithm, ThreadCommand};

/// ` [RETURN (…) ](criteria) charset key …`
pub fn sort(cursor: &mut Cursor, by: By) -> Parsed<SortCommand> {
    cursor.space()?;
    let (returns, update_items) = returns(cursor)?;
    let mut criteria: Vec<SortCriterion> = Vec::new();
    cursor.list(1, |cursor| {
        let criterion = criterion(cursor)?;
        // What a key leaves open it leaves open a second time.
        if criteria.iter().all(|earlier| earlier.key != criterion.key) {
            criteria.push(criterion);
        }
        Ok(())
    })?;
    let charset = charset(cursor)?;
    let key = keys(cursor)?;
    let by_relevancy = criteria.iter().any(|criterion| criterion.key == SortKey::Relevancy);
    relevancy_of_something(by_relevancy || returns.is_some_and(|returns| returns.relevancy), &key)?;
    Ok(SortCommand { by, returns, criteria, charset, key, update_items })
}

fn criterion(cursor: &mut Cursor) -> Parsed<SortCriterion> {
    let reverse = cursor.word("REVERSE");
    if reverse {
        cursor.space()?;
    }
    let key = match cursor.keyword()?.as_str() {
        "ARRIVAL" => SortKey::Arrival,
        "CC" => SortKey::Cc,
        "DATE" => SortKey::Date,
        "FROM" => SortKey::From,
        "SIZE" => SortKey::Size,
        "SUBJECT" => SortKey::Subject,
        "TO" => SortKey::To,
        "DISPLAYFROM" => SortKey::DisplayFrom,
        "DISPLAYTO" => SortKey::DisplayTo,
        "RELEVANCY" => SortKey::Relevancy,
        _ => return expected("no such SORT criterion"),
    };
    Ok(SortCriterion { key, reverse })
}

/// ` charset `
fn charset(cursor: &mut Cursor) -> Parsed<String> {
    cursor.space()?;
    let charset = String::from_utf8_lossy(&cursor.astring()?).to_ascii_uppercase();
    cursor.space()?;
    Ok(charset)
}

/// ` algorithm charset key …`
pub fn thread(cursor: &mut Cursor, by: By) -> Parsed<ThreadCommand> {
    cursor.space()?;
    let algorithm = match cursor.keyword()?.as_str() {
        "ORDEREDSUBJECT" => ThreadAlgorithm::OrderedSubject,
        "REFERENCES" => ThreadAlgorithm::References,
        _ => return expected("no such THREAD algorithm"),
    };
    Ok(ThreadCommand { by, algorithm, charset: charset(cursor)?, key: keys(cursor)? })
}
