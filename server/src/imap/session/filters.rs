//! FILTERS (RFC 5466): searches that are kept as annotations of the account, `/private/filters/values/<name>`.

use super::{Fail, Session};
use crate::imap::decode::search_criteria;
use crate::imap::encode::{Code, Status};
use crate::imap::types::{Command, EntryName, SearchKey};
use gadwall_storage::{Annotated, Annotations};

/// Where filters are kept (§3.2).
const VALUES: &str = "/private/filters/values/";
/// How deep filters may name each other: as deep as they must be able to (§3.1), so that there is no loop to be found.
const PASSES: usize = 3;
/// What the filters of one search may come to, in bytes.
const ROOM: usize = 64 << 10;

impl Session {
    /// The command with what its filters stand for (§3.1).
    pub(super) async fn with_filters(&self, mut command: Command) -> Result<Command, Fail> {
        let key = match &mut command {
            Command::Search(search) => &mut search.key,
            Command::MultiSearch(search) => &mut search.key,
            Command::Sort(sort) => &mut sort.key,
            Command::Thread(thread) => &mut thread.key,
            _ => return Ok(command),
        };
        if !key.has_filters() {
            return Ok(command);
        }
        let account = self.authenticated()?;
        let kept = self.services.store.annotations(Annotated::Account(account)).await?;
        let mut filters = Filters { kept: &kept, room: ROOM };
        *key = filters.insert(std::mem::replace(key, SearchKey::All), 0).map_err(|name| {
            Fail::from(
                Status::no("There is no such filter, or none to search by").code(Code::UndefinedFilter(name)),
            )
        })?;
        // Their texts are UTF-8, and so are those beside them.
        let charset = match &mut command {
            Command::Search(search) => search.charset.get_or_insert_default(),
            Command::MultiSearch(search) => search.charset.get_or_insert_default(),
            Command::Sort(sort) => &mut sort.charset,
            Command::Thread(thread) => &mut thread.charset,
            _ => return Ok(command),
        };
        if !matches!(charset.as_str(), "" | "UTF-8" | "US-ASCII") {
            return Err(Status::bad("A search with a FILTER is in UTF-8").code(Code::BadCharset).into());
        }
        *charset = "UTF-8".into();
        Ok(command)
    }
}

/// Whether this value may be kept under this name: what is to be searched by has to be a search (§3.2).
pub(super) fn may_be_kept(entry: &EntryName, value: Option<&[u8]>) -> bool {
    let is_filter = entry.as_str().starts_with(VALUES);
    value.is_none_or(|value| !is_filter || search_criteria(value).is_some())
}

struct Filters<'a> {
    kept: &'a Annotations,
    room: usize,
}

impl Filters<'_> {
    /// `Err`: the name of a filter that there is not.
    fn insert(&mut self, key: SearchKey, passes: usize) -> Result<SearchKey, String> {
        Ok(match key {
            SearchKey::And(keys) => {
                let keys: Result<_, _> = keys.into_iter().map(|key| self.insert(key, passes)).collect();
                SearchKey::And(keys?)
            }
            SearchKey::Or(one, other) => {
                let pair = (self.insert(*one, passes)?, self.insert(*other, passes)?);
                SearchKey::Or(Box::new(pair.0), Box::new(pair.1))
            }
            SearchKey::Not(key) => SearchKey::Not(Box::new(self.insert(*key, passes)?)),
            SearchKey::Fuzzy(key) => SearchKey::Fuzzy(Box::new(self.insert(*key, passes)?)),
            SearchKey::Filter(name) => {
                let value = self.kept.get(&format!("{VALUES}{}", name.to_ascii_lowercase()));
                let value = value.filter(|value| passes < PASSES && value.len() <= self.room);
                let Some((len, key)) = value.and_then(|v| Some((v.len(), search_criteria(v)?))) else {
                    return Err(name);
                };
                self.room -= len;
                self.insert(key, passes + 1)?
            }
            plain => plain,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inserted(filters: &[(&str, &str)], search: &str) -> Result<SearchKey, String> {
        let named = |(name, value): &(&str, &str)| (format!("{VALUES}{name}"), value.as_bytes().to_vec());
        let kept = filters.iter().map(named).collect();
        Filters { kept: &kept, room: ROOM }.insert(search_criteria(search.as_bytes()).unwrap(), 0)
    }

    #[test]
    fn a_filter_is_what_it_stands_for() {
        let filters = [("a", "SEEN FROM x"), ("b", "OR FILTER a FLAGGED"), ("c", "FILTER b")];
        assert_eq!(inserted(&filters, "NOT FILTER A"), Ok(search_criteria(b"NOT (SEEN FROM x)").unwrap()));
        let deep = search_criteria(b"DELETED OR (SEEN FROM x) FLAGGED").unwrap();
        assert_eq!(inserted(&filters, "DELETED FILTER c"), Ok(deep));
    }

    #[test]
    fn what_can_not_be_found_is_named() {
        let filters =
            [("a", "FILTER b"), ("b", "FILTER c"), ("c", "FILTER d"), ("d", "SEEN"), ("loop", "FILTER loop")];
        assert_eq!(inserted(&filters, "FILTER none"), Err("none".into()));
        assert_eq!(inserted(&filters, "FILTER a"), Err("d".into()), "a fourth pass");
        assert!(inserted(&filters, "FILTER b").is_ok());
        assert_eq!(inserted(&filters, "FILTER loop"), Err("loop".into()));
        let wide = "FILTER x ".repeat(200);
        let bombs = [("x", wide.trim()), ("y", "SEEN")];
        assert_eq!(inserted(&bombs, "FILTER x"), Err("x".into()));
    }
}
