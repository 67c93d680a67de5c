//! SORT and THREAD (RFC 5256).

use super::{By, FetchItem, SearchKey, SearchReturns};

/// RFC 5256 §3, RFC 5957 §3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKey {
    /// INTERNALDATE.
    Arrival,
    Cc,
    /// The Date field.
    Date,
    From,
    Size,
    /// What the subject is about.
    Subject,
    To,
    DisplayFrom,
    DisplayTo,
    /// RFC 6203 §6: the closest first.
    Relevancy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortCriterion {
    pub key: SortKey,
    pub reverse: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SortCommand {
    pub by: By,
    /// RFC 5267 §3: what is wanted, in an ESEARCH response. `None`: a SORT response.
    pub returns: Option<SearchReturns>,
    pub criteria: Vec<SortCriterion>,
    /// As named, in capitals.
    pub charset: String,
    pub key: SearchKey,
    /// RFC 5465 §7: what UPDATE tells of messages that come.
    pub update_items: Vec<FetchItem>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadAlgorithm {
    OrderedSubject,
    References,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ThreadCommand {
    pub by: By,
    pub algorithm: ThreadAlgorithm,
    /// As named, in capitals.
    pub charset: String,
    pub key: SearchKey,
}
