//! Search keys against messages: from what is listed, from the parsed form, or from the bytes, the cheapest first.

use super::collate::Comparator;
use super::fuzzy::closeness;
use super::types::{Day, SearchKey};
use super::view::View;
use crate::time::days_from_civil;
use gadwall_storage::mime::{Part, Structure, decode_charset, decode_text, fields, to_unicode};
use gadwall_storage::{
    EmailId, Keyword, MailStore, MailboxRef, Message, StoreError, SystemFlag, Timestamp, UidSet, read_range,
};

/// How much of a header is searched.
const HEADER_LIMIT: u64 = 1 << 20;
/// How much of one part is searched, before decoding.
const PART_LIMIT: u64 = 10 << 20;

/// What a search happens in.
pub struct Context<'a> {
    pub view: &'a View,
    pub now: Timestamp,
    pub comparator: Comparator,
    /// Whether messages that come later are meant too: a set of UIDs that ends in `*` has no end then.
    pub follows: bool,
}

/// How much of a message a key wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    Listing,
    Details,
    Bytes,
}

/// A key with its texts decoded and folded, its sequence sets resolved, its parts ordered by cost.
#[derive(Debug)]
pub enum Prepared {
    All,
    And(Vec<Prepared>),
    Or(Box<Prepared>, Box<Prepared>),
    Not(Box<Prepared>),
    Fuzzy(Box<Prepared>),
    Uids(UidSet),
    Flag(SystemFlag),
    Recent,
    Keyword(Keyword),
    Larger(u64),
    Smaller(u64),
    /// INTERNALDATE in days, from and to (exclusive).
    Internal(i64, i64),
    /// The Date field, as above.
    Sent(i64, i64),
    /// INTERNALDATE to the millisecond (RFC 5032).
    Age {
        from: Timestamp,
        to: Timestamp,
    },
    Header {
        field: Vec<u8>,
        text: String,
    },
    Body(String),
    Text(String),
    ModSeq(u64),
    EmailId(EmailId),
    /// The date of its coming into the mailbox in days, from and to (exclusive).
    Saved(i64, i64),
}

impl Prepared {
    /// `Err` names a charset that is not known.
    pub fn new(key: &SearchKey, charset: Option<&str>, context: &Context) -> Result<Self, String> {
        // RFC 3501 §6.4.4: refused even where no text is in it.
        fold(b"", charset, context.comparator)?;
        let text = |bytes: &[u8]| fold(bytes, charset, context.comparator);
        let day = |day: &Day| i64::from(day.0);
        Ok(match key {
            SearchKey::All => Prepared::All,
            SearchKey::And(keys) => {
                let keys: Result<Vec<_>, _> = keys.iter().map(|k| Self::new(k, charset, context)).collect();
                let mut keys = keys?;
                keys.sort_by_key(Self::needs);
                Prepared::And(keys)
            }
            SearchKey::Or(a, b) => {
                let mut pair = [Self::new(a, charset, context)?, Self::new(b, charset, context)?];
                pair.sort_by_key(Self::needs);
                let [a, b] = pair;
                Prepared::Or(Box::new(a), Box::new(b))
            }
            SearchKey::Not(key) => Prepared::Not(Box::new(Self::new(key, charset, context)?)),
            SearchKey::Fuzzy(key) => Prepared::Fuzzy(Box::new(Self::new(key, charset, context)?)),
            SearchKey::Sequence(set) => Prepared::Uids(context.view.known(set)),
            SearchKey::Uid(set) => {
                let there = context.view.resolve(set, super::types::By::Uid).unwrap_or_default();
                let later = if context.follows { set.uids(u32::MAX) } else { UidSet::new() };
                Prepared::Uids(there.union(&later))
            }
            SearchKey::Flag(flag) => Prepared::Flag(*flag),
            SearchKey::Recent => Prepared::Recent,
            SearchKey::Keyword(keyword) => Prepared::Keyword(keyword.clone()),
            SearchKey::Larger(n) => Prepared::Larger(*n),
            SearchKey::Smaller(n) => Prepared::Smaller(*n),
            SearchKey::Before(d) => Prepared::Internal(i64::MIN, day(d)),
            SearchKey::On(d) => Prepared::Internal(day(d), day(d) + 1),
            SearchKey::Since(d) => Prepared::Internal(day(d), i64::MAX),
            SearchKey::SentBefore(d) => Prepared::Sent(i64::MIN, day(d)),
            SearchKey::SentOn(d) => Prepared::Sent(day(d), day(d) + 1),
            SearchKey::SentSince(d) => Prepared::Sent(day(d), i64::MAX),
            SearchKey::Header { field, text: wanted } => {
                Prepared::Header { field: field.clone(), text: text(wanted)? }
            }
            SearchKey::Body(wanted) => Prepared::Body(text(wanted)?),
            SearchKey::Text(wanted) => Prepared::Text(text(wanted)?),
            SearchKey::ModSeq(n) => Prepared::ModSeq(*n),
            // Those that there are have been replaced by what they stand for.
            SearchKey::Filter(_) => Prepared::Not(Box::new(Prepared::All)),
            SearchKey::EmailId(id) => Prepared::EmailId(*id),
            SearchKey::SavedBefore(d) => Prepared::Saved(i64::MIN, day(d)),
            SearchKey::SavedOn(d) => Prepared::Saved(day(d), day(d) + 1),
            SearchKey::SavedSince(d) => Prepared::Saved(day(d), i64::MAX),
            // RFC 5032 §2: OLDER is at least so old, YOUNGER at most.
            SearchKey::Older(secs) => {
                Prepared::Age { from: Timestamp(i64::MIN), to: ago(context.now, *secs) }
            }
            SearchKey::Younger(secs) => {
                Prepared::Age { from: ago(context.now, *secs), to: Timestamp(i64::MAX) }
            }
        })
    }

    pub fn needs(&self) -> Needs {
        match self {
            Prepared::And(keys) => keys.iter().map(Self::needs).max().unwrap_or(Needs::Listing),
            Prepared::Or(a, b) => a.needs().max(b.needs()),
            Prepared::Not(key) | Prepared::Fuzzy(key) => key.needs(),
            Prepared::Sent(..) => Needs::Details,
            Prepared::Header { .. } | Prepared::Body(_) | Prepared::Text(_) => Needs::Bytes,
            _ => Needs::Listing,
        }
    }

    /// Of `all`, those that may match: UIDs that are named narrow the search from the start.
    pub fn candidates(&self, all: &UidSet) -> UidSet {
        match self {
            Prepared::Uids(uids) => uids.intersection(all),
            Prepared::And(keys) => keys.iter().fold(all.clone(), |left, key| key.candidates(&left)),
            Prepared::Fuzzy(key) => key.candidates(all),
            _ => all.clone(),
        }
    }

    /// Whether MODSEQ is among the keys: then the answer has one (RFC 7162 §3.1.5).
    pub fn names_modseq(&self) -> bool {
        match self {
            Prepared::And(keys) => keys.iter().any(Self::names_modseq),
            Prepared::Or(a, b) => a.names_modseq() || b.names_modseq(),
            Prepared::Not(key) | Prepared::Fuzzy(key) => key.names_modseq(),
            Prepared::ModSeq(_) => true,
            _ => false,
        }
    }

    /// How well a message matches, from 1 to 100, if it does. One that is gone matches no text.
    pub async fn relevancy(
        &self,
        message: &Message,
        store: &dyn MailStore,
        at: MailboxRef,
        context: &Context<'_>,
    ) -> Result<Option<u8>, StoreError> {
        let comparator = context.comparator;
        let (header, body, fuzzy, scores) = (None, None, false, Vec::new());
        let mut texts = Texts { message, store, at, comparator, header, body, fuzzy, scores };
        let matches = self.check(message, &mut texts, context).await?;
        Ok(matches.then(|| texts.score()))
    }

    async fn check(
        &self,
        message: &Message,
        texts: &mut Texts<'_>,
        context: &Context<'_>,
    ) -> Result<bool, StoreError> {
        Ok(match self {
            Prepared::And(keys) => {
                for key in keys {
                    if !Box::pin(key.check(message, texts, context)).await? {
                        return Ok(false);
                    }
                }
                true
            }
            Prepared::Or(a, b) => {
                let scores = texts.scores.len();
                if Box::pin(a.check(message, texts, context)).await? {
                    return Ok(true);
                }
                texts.scores.truncate(scores);
                Box::pin(b.check(message, texts, context)).await?
            }
            // What almost matches is not what does not match.
            Prepared::Not(key) => {
                let fuzzy = std::mem::replace(&mut texts.fuzzy, false);
                let matches = Box::pin(key.check(message, texts, context)).await?;
                texts.fuzzy = fuzzy;
                !matches
            }
            Prepared::Fuzzy(key) => {
                let fuzzy = std::mem::replace(&mut texts.fuzzy, true);
                let matches = Box::pin(key.check(message, texts, context)).await?;
                texts.fuzzy = fuzzy;
                matches
            }
            Prepared::Header { field, text } => texts.header_has(field, text).await?,
            Prepared::Body(text) => texts.body_has(text).await?,
            Prepared::Text(text) => texts.any_field_has(text).await? || texts.body_has(text).await?,
            listed => listed.check_listing(message, context),
        })
    }

    fn check_listing(&self, message: &Message, context: &Context) -> bool {
        match self {
            Prepared::Uids(uids) => uids.contains(message.uid),
            Prepared::Flag(flag) => message.flags.has(*flag),
            Prepared::Recent => context.view.recent(message.uid) == super::encode::Recent::Yes,
            Prepared::Keyword(keyword) => message.flags.has_keyword(keyword),
            Prepared::Larger(n) => message.size > *n,
            Prepared::Smaller(n) => message.size < *n,
            Prepared::Internal(from, to) => (*from..*to).contains(&day_of_time(message.internal_date)),
            Prepared::Saved(from, to) => (*from..*to).contains(&day_of_time(message.saved_at)),
            Prepared::EmailId(id) => message.email_id == *id,
            Prepared::Sent(from, to) => {
                let date = message.structure.as_ref().and_then(|s| s.envelope.date.as_deref());
                date.and_then(day_of).is_some_and(|day| (*from..*to).contains(&day))
            }
            Prepared::Age { from, to } => (*from..=*to).contains(&message.internal_date),
            Prepared::ModSeq(n) => message.modseq.get() >= *n,
            _ => true,
        }
    }
}

fn ago(now: Timestamp, secs: u32) -> Timestamp {
    Timestamp(now.millis() - i64::from(secs) * 1000)
}

/// Days since 1970-01-01, in UTC.
fn day_of_time(time: Timestamp) -> i64 {
    time.secs().div_euclid(86_400)
}

/// §6.4.4: the date in the field, its time and zone disregarded.
fn day_of(date: &[u8]) -> Option<i64> {
    let date = mail_parser::DateTime::parse_rfc822(std::str::from_utf8(date).ok()?)?;
    Some(days_from_civil(i64::from(date.year), u32::from(date.month), u32::from(date.day)))
}

/// A search text as it is compared (RFC 5255 §4.6); `Err` names an unknown charset.
fn fold(text: &[u8], charset: Option<&str>, comparator: Comparator) -> Result<String, String> {
    let name = charset.unwrap_or("UTF-8");
    let text = to_unicode(name, text).ok_or_else(|| name.to_owned())?;
    Ok(comparator.key(&text))
}

/// A message's texts, read when they are needed and kept while it is searched.
struct Texts<'a> {
    message: &'a Message,
    store: &'a dyn MailStore,
    at: MailboxRef,
    comparator: Comparator,
    header: Option<Vec<u8>>,
    body: Option<Vec<String>>,
    /// Whether what comes close will do (RFC 6203).
    fuzzy: bool,
    /// How close what was looked for so came.
    scores: Vec<u8>,
}

impl Texts<'_> {
    /// What is not fuzzy matches wholly.
    fn score(&self) -> u8 {
        let sum: usize = self.scores.iter().map(|score| usize::from(*score)).sum();
        sum.checked_div(self.scores.len()).map_or(100, |mean| mean as u8)
    }

    fn structure(&self) -> Option<&Structure> {
        self.message.structure.as_deref()
    }

    async fn header(&mut self) -> Result<&[u8], StoreError> {
        if self.header.is_none() {
            let end = self.structure().map_or(0, |s| s.root.header.end).min(HEADER_LIMIT);
            let bytes = match self.store.body(self.at, self.message.uid).await {
                Ok(mut body) => read_range(&mut *body, 0..end).await?.to_vec(),
                Err(StoreError::NotFound(_)) => Vec::new(),
                Err(e) => return Err(e),
            };
            self.header = Some(bytes);
        }
        Ok(self.header.as_deref().unwrap_or_default())
    }

    async fn header_has(&mut self, name: &[u8], text: &str) -> Result<bool, StoreError> {
        let comparator = self.comparator;
        self.header().await?;
        let header = self.header.as_deref().unwrap_or_default();
        let values = fields(header).filter(|field| field.name.eq_ignore_ascii_case(name));
        let values = values.map(|field| comparator.key(&decode_text(field.value)));
        Ok(found(self.fuzzy, &mut self.scores, values, text))
    }

    async fn any_field_has(&mut self, text: &str) -> Result<bool, StoreError> {
        if text.is_empty() {
            return Ok(true);
        }
        let comparator = self.comparator;
        self.header().await?;
        let lines = fields(self.header.as_deref().unwrap_or_default()).map(|field| {
            let name = String::from_utf8_lossy(field.name);
            comparator.key(&format!("{name}: {}", decode_text(field.value)))
        });
        Ok(found(self.fuzzy, &mut self.scores, lines, text))
    }

    async fn body_has(&mut self, text: &str) -> Result<bool, StoreError> {
        // RFC 3501 §6.4.4: nothing is in every body, also in one without text.
        if text.is_empty() {
            return Ok(true);
        }
        if self.body.is_none() {
            self.body = Some(self.read_body().await?);
        }
        Ok(found(self.fuzzy, &mut self.scores, self.body.iter().flatten(), text))
    }

    /// The text parts, decoded, as they are compared; headers of attached messages too.
    async fn read_body(&self) -> Result<Vec<String>, StoreError> {
        let Some(structure) = self.structure() else { return Ok(Vec::new()) };
        let mut body = match self.store.body(self.at, self.message.uid).await {
            Ok(body) => body,
            Err(StoreError::NotFound(_)) => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let mut texts = Vec::new();
        for (_, part) in structure.parts() {
            if let gadwall_storage::mime::Content::Message(inner) = &part.content {
                let range = inner.part.header.start
                    ..inner.part.header.end.min(inner.part.header.start + HEADER_LIMIT);
                let header = read_range(&mut *body, range).await?;
                texts.extend(fields(&header).map(|f| self.comparator.key(&decode_text(f.value))));
            } else if is_text(part) {
                let range = part.body.start..part.body.end.min(part.body.start.saturating_add(PART_LIMIT));
                let bytes = read_range(&mut *body, range).await?;
                texts.push(self.comparator.key(&decode_charset(part, &bytes)));
            }
        }
        Ok(texts)
    }
}

/// Whether one of the texts has what is wanted; if `fuzzy`, whether one comes close, and how close.
fn found(
    fuzzy: bool,
    scores: &mut Vec<u8>,
    mut texts: impl Iterator<Item = impl AsRef<str>>,
    wanted: &str,
) -> bool {
    if !fuzzy {
        return texts.any(|text| text.as_ref().contains(wanted));
    }
    let best = texts.filter_map(|text| closeness(text.as_ref(), wanted)).max();
    scores.extend(best);
    best.is_some()
}

fn is_text(part: &Part) -> bool {
    part.content_type.is("text", "*") || part.content_type.is("message", "*")
}
