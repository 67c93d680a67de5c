//! Typed commands.

use super::names::{bytes, flags, mailbox, message_set, number64, pattern, sequence_set, status_items};
use super::{fetch, search};
use gadwall::imap::types::*;
use gadwall_storage::{FlagChange, Flags, SpecialUse, Timestamp};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use std::num::NonZeroU32;

/// What a client sends: one command, or an APPEND with its messages.
#[derive(Debug, Clone, PartialEq)]
pub enum Sent {
    Command(Tagged),
    Append(Append),
}

/// APPEND or REPLACE.
#[derive(Debug, Clone, PartialEq)]
pub struct Append {
    pub tag: Tag,
    pub mailbox: MailboxArg,
    pub replaces: Option<(By, SeqNum)>,
    /// One if it replaces.
    pub messages: Vec<Message>,
}

/// A message of an APPEND.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub flags: Flags,
    pub date: Option<Timestamp>,
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    Whole(Vec<u8>),
    /// RFC 4469 §3; at least one.
    Parts(Vec<Part>),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    Text(Vec<u8>),
    Url(Vec<u8>),
}

pub fn tag() -> BoxedStrategy<Tag> {
    "[a-zA-Z0-9.:;<=>?@!#$&',/\\[\\]^_`|}~-]{1,8}".prop_map(|text| Tag::new(&text).expect("a tag")).boxed()
}

/// Several commands in a row.
pub fn commands() -> BoxedStrategy<Vec<Sent>> {
    let one = prop_oneof![
        5 => (tag(), command()).prop_map(|(tag, command)| Sent::Command(Tagged { tag, command })),
        1 => append(),
    ];
    prop::collection::vec(one, 1..4).boxed()
}

/// RFC 3502: several messages, perhaps.
pub fn append() -> BoxedStrategy<Sent> {
    // RFC 3501 §9 date-time has seconds and a year of four digits.
    let date = search::day().prop_flat_map(|day| (Just(day), 0i64..86_400)).prop_map(|(day, secs)| {
        // A day off the ends leaves room for any time zone.
        Timestamp::from_secs(i64::from(day.0.clamp(-719_160, 2_932_890)) * 86_400 + secs)
    });
    let octets = || {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            Just(b"x NOOP\r\ny LOGIN {3+}\r\n\r\n.\r\n".to_vec()),
        ]
    };
    let part = prop_oneof![
        2 => octets().prop_map(Part::Text),
        3 => bytes().prop_map(Part::Url),
    ];
    let content = prop_oneof![
        10 => octets().prop_map(Content::Whole),
        1 => prop::collection::vec(part, 1..4).prop_map(Content::Parts),
    ];
    let message = (flags(), prop::option::of(date), content).prop_map(|(flags, date, content)| Message {
        flags,
        date,
        content,
    });
    let number = prop_oneof![3 => (1u32..).prop_map(|n| NonZeroU32::new(n).map_or(SeqNum::Star, SeqNum::Number)),
        1 => Just(SeqNum::Star)];
    let replaces = prop::option::weighted(0.05, (select(vec![By::Sequence, By::Uid]), number));
    (tag(), mailbox(), replaces, prop::collection::vec(message, 1..3))
        .prop_map(|(tag, mailbox, replaces, mut messages)| {
            if replaces.is_some() {
                messages.truncate(1);
            }
            Sent::Append(Append { tag, mailbox, replaces, messages })
        })
        .boxed()
}

/// Every command but APPEND, which is more than one event.
pub fn command() -> BoxedStrategy<Command> {
    prop_oneof![
        9 => select(plain()),
        9 => sessions(),
        16 => mailboxes(),
        24 => on_messages(),
        2 => extensions(),
    ]
    .boxed()
}

fn plain() -> Vec<Command> {
    use Command::*;
    let expunge = Expunge { uids: None };
    vec![Capability, Noop, Logout, Id(None), StartTls, Namespace, Idle, Check, Close, Unselect, expunge]
}

fn sessions() -> BoxedStrategy<Command> {
    let words = || prop::collection::vec("[A-Z][A-Z0-9=-]{0,8}", 1..4);
    prop_oneof![
        3 => prop::collection::vec((bytes(), prop::option::of(bytes())), 0..4)
            .prop_map(|fields| Command::Id(Some(fields))),
        3 => ("[A-Z][A-Z0-9_-]{0,12}", prop::option::of(prop::collection::vec(any::<u8>(), 0..20)))
            .prop_map(|(mechanism, initial)| Command::Authenticate { mechanism, initial }),
        3 => (bytes(), bytes()).prop_map(|(user, password)| Command::Login { user, password }),
        3 => words().prop_map(Command::Enable),
    ]
    .boxed()
}

/// The name of an annotation (RFC 5464 §3.2).
fn entry() -> BoxedStrategy<EntryName> {
    "/(private|shared)(/[a-z0-9\" .()]{1,6}){1,3}"
        .prop_map(|name| EntryName::new(name.as_bytes()).expect("a name"))
        .boxed()
}

/// RFC 5464.
fn metadata() -> BoxedStrategy<Command> {
    let is_named =
        |mailbox: &MailboxArg| !matches!(mailbox, MailboxArg::Invalid { raw, .. } if raw.is_empty());
    let place = || prop::option::of(mailbox().prop_filter("the server's is none", is_named));
    let depth = select(vec![Depth::Zero, Depth::One, Depth::Infinity]);
    let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..20));
    prop_oneof![
        (place(), prop::option::of(any::<u32>()), depth, prop::collection::vec(entry(), 1..4)).prop_map(
            |(mailbox, max_size, depth, entries)| {
                Command::GetMetadata(GetMetadata { mailbox, max_size, depth, entries })
            }
        ),
        (place(), prop::collection::vec((entry(), value), 1..4))
            .prop_map(|(mailbox, entries)| Command::SetMetadata(SetMetadata { mailbox, entries })),
    ]
    .boxed()
}

/// RFC 7162 §3.2.5.
fn qresync() -> BoxedStrategy<Qresync> {
    // Gaps, since both lists ascend.
    let numbered = prop::collection::vec((1u32..50, 1u32..5000), 1..8).prop_map(|gaps| {
        let ascending = |gaps: Vec<u32>| {
            let numbers = gaps.into_iter().scan(0, |at, gap| {
                *at += gap;
                NonZeroU32::new(*at).map(SeqNum::Number)
            });
            SequenceSet::new(numbers.map(|n| (n, n)).collect()).expect("at least one")
        };
        let (numbers, uids) = gaps.into_iter().unzip();
        (ascending(numbers), ascending(uids))
    });
    let known = sequence_set().prop_filter("* is not known", |set| set.count().is_some());
    let modseq = number64().prop_map(|modseq| modseq.max(1));
    (1u32.., modseq, prop::option::of(known), prop::option::of(numbered))
        .prop_map(|(uidvalidity, modseq, known, numbered)| Qresync { uidvalidity, modseq, known, numbered })
        .boxed()
}

fn mailboxes() -> BoxedStrategy<Command> {
    use SpecialUse::{Archive, Drafts, Junk, Sent, Trash};
    let mode = select(vec![SelectMode::ReadWrite, SelectMode::ReadOnly]);
    // An attribute that the server does not know is decoded as none.
    let uses =
        subsequence(vec![Some(Archive), Some(Drafts), Some(Junk), Some(Sent), Some(Trash), None], 0..=2);
    prop_oneof![
        2 => (mailbox(), any::<bool>(), prop::option::of(qresync()), mode).prop_map(
            |(mailbox, condstore, qresync, mode)| {
                Command::Select { mailbox, params: SelectParams { condstore, qresync }, mode }
            }
        ),
        1 => (mailbox(), uses).prop_map(|(mailbox, special_use)| Command::Create { mailbox, special_use }),
        1 => mailbox().prop_map(|mailbox| Command::Delete { mailbox }),
        1 => (mailbox(), mailbox()).prop_map(|(from, to)| Command::Rename { from, to }),
        1 => mailbox().prop_map(|mailbox| Command::Subscribe { mailbox }),
        1 => mailbox().prop_map(|mailbox| Command::Unsubscribe { mailbox }),
        2 => list().prop_map(Command::List),
        1 => (bytes(), pattern()).prop_map(|(reference, pattern)| Command::Lsub { reference, pattern }),
        2 => (mailbox(), status_items()).prop_map(|(mailbox, items)| Command::Status { mailbox, items }),
    ]
    .boxed()
}

fn list() -> BoxedStrategy<ListCommand> {
    use ListSelect::{RecursiveMatch, Remote, SpecialUse, Subscribed};
    let options = subsequence(vec![Subscribed, Remote, RecursiveMatch, SpecialUse], 0..=4);
    // One says nothing without the other.
    let options = options.prop_filter("a base option", |options| {
        !options.contains(&RecursiveMatch) || options.contains(&Subscribed)
    });
    let returned = prop_oneof![
        Just(ListReturn::Subscribed),
        Just(ListReturn::Children),
        Just(ListReturn::SpecialUse),
        status_items().prop_map(ListReturn::Status),
        prop::collection::vec(entry(), 1..3).prop_map(ListReturn::Metadata),
    ];
    let returns = prop::collection::vec(returned, 0..3);
    (bytes(), prop::collection::vec(pattern(), 1..3), options, returns, any::<bool>())
        .prop_map(|(reference, patterns, select, returns, extended)| ListCommand {
            extended: extended || patterns.len() > 1 || !select.is_empty() || !returns.is_empty(),
            reference,
            patterns,
            select,
            returns,
        })
        .boxed()
}

fn partial_range() -> impl Strategy<Value = PartialRange> {
    let number = || (1..=u32::MAX).prop_map(|n| NonZeroU32::new(n).expect("from 1"));
    (number(), number(), any::<bool>()).prop_map(|(first, last, from_end)| PartialRange {
        first,
        last,
        from_end,
    })
}

fn search_returns() -> BoxedStrategy<Option<SearchReturns>> {
    let partial = prop::option::weighted(0.2, partial_range());
    let some = (any::<[bool; 6]>(), partial).prop_map(|([min, max, all, count, save, update], partial)| {
        // No option at all is ALL, beside which there is no PARTIAL.
        let all = partial.is_none() && (all || !(min || max || count || save || update));
        SearchReturns { min, max, all, count, save, partial, relevancy: false, update }
    });
    prop::option::weighted(0.2, some).boxed()
}

/// With RELEVANCY if that can be had of such a search (RFC 6203 §4).
fn of_a_search(returns: Option<SearchReturns>, key: &SearchKey) -> Option<SearchReturns> {
    let relevancy = key.is_fuzzy() || key.has_filters();
    returns.map(|returns| SearchReturns { relevancy, ..returns })
}

/// What UPDATE may ask for (RFC 5465 §7).
fn update_items() -> BoxedStrategy<Vec<FetchItem>> {
    prop_oneof![3 => Just(Vec::new()), 1 => fetch::items()].boxed()
}

fn updates(returns: Option<SearchReturns>) -> bool {
    returns.is_some_and(|returns| returns.update)
}

/// RFC 5465.
fn notify() -> BoxedStrategy<Command> {
    let events =
        any::<[bool; 6]>().prop_map(|[messages, flags, names, subscriptions, metadata, server_metadata]| {
            let flags = flags && messages;
            Events { messages, flags, names, subscriptions, metadata, server_metadata, unknown: false }
        });
    let selected = (any::<[bool; 3]>(), update_items()).prop_map(|([delayed, messages, flags], new)| {
        let events = Events { messages, flags: flags && messages, ..Events::default() };
        SelectedEvents { delayed, events, new: if messages { new } else { Vec::new() } }
    });
    let is_other = |source: &Source| !matches!(source, Source::Selected | Source::SubtreeOne(_));
    let source =
        sources().prop_map(move |sources| sources.into_iter().find(is_other).unwrap_or(Source::Personal));
    let groups = prop::collection::vec(
        (source, events).prop_map(|(source, events)| EventGroup { source, events }),
        0..3,
    );
    let watched = (any::<bool>(), prop::option::of(selected), groups)
        .prop_filter("of something", |(_, selected, groups)| selected.is_some() || !groups.is_empty())
        .prop_map(|(status, selected, groups)| NotifyCommand::Set(Watched { status, selected, groups }));
    prop_oneof![1 => Just(NotifyCommand::Nothing), 5 => watched].prop_map(Command::Notify).boxed()
}

fn sources() -> impl Strategy<Value = Vec<Source>> {
    let named = (0u8..3, prop::collection::vec(mailbox(), 1..3)).prop_map(|(kind, mailboxes)| {
        [Source::Subtree, Source::SubtreeOne, Source::Mailboxes][usize::from(kind)](mailboxes)
    });
    let plain = vec![Source::Selected, Source::Inboxes, Source::Personal, Source::Subscribed];
    prop::collection::vec(prop_oneof![select(plain), named], 1..3)
}

fn modifiers() -> impl Strategy<Value = FetchModifiers> {
    let since = prop::option::of(number64());
    (since, any::<bool>(), prop::option::weighted(0.05, partial_range())).prop_map(
        |(changed_since, vanished, partial)| {
            let vanished = vanished && changed_since.is_some();
            FetchModifiers { changed_since, vanished, partial }
        },
    )
}

/// Commands of extensions that few others know.
fn extensions() -> BoxedStrategy<Command> {
    let by = || select(vec![By::Sequence, By::Uid]);
    let charset = prop::option::of("[A-Z][A-Z0-9-]{1,9}");
    prop_oneof![
        1 => select(vec![Command::Compress, Command::Unauthenticate]),
        1 => metadata(),
        1 => prop::collection::vec(bytes(), 1..3).prop_map(Command::CancelUpdate),
        1 => (1u32.., prop::option::of((1u32..1000, 0u32..1000))).prop_map(|(size, batches)| {
            let batch = |n| NonZeroU32::new(n).expect("above zero");
            let batches = batches.map(|(first, more)| (batch(first), batch(first + more)));
            Command::UidBatches { size, batches }
        }),
        1 => notify(),
        1 => bytes().prop_map(|root| Command::GetQuota { root }),
        1 => (any::<bool>(), prop::collection::vec(bytes(), 0..3)).prop_map(|(language, wishes)| match language {
            true => Command::Language(wishes),
            false => Command::Comparator(wishes),
        }),
        1 => mailbox().prop_map(|mailbox| Command::GetQuotaRoot { mailbox }),
        1 => (sources(), search_returns(), charset, search::key(), update_items()).prop_map(
            |(sources, returns, charset, key, items)| {
                let returns = of_a_search(returns, &key);
                let update_items = if updates(returns) { items } else { Vec::new() };
                Command::MultiSearch(MultiSearchCommand { sources, returns, charset, key, update_items })
            }
        ),
        1 => (by(), search_returns(), criteria(), "[A-Z][A-Z0-9-]{1,9}", search::key(), update_items()).prop_map(
            |(by, returns, mut criteria, charset, key, items)| {
                let returns = of_a_search(returns, &key);
                let update_items = if updates(returns) { items } else { Vec::new() };
                if !(key.is_fuzzy() || key.has_filters()) {
                    criteria.retain(|criterion| criterion.key != SortKey::Relevancy);
                }
                if criteria.is_empty() {
                    criteria.push(SortCriterion { key: SortKey::Date, reverse: true });
                }
                Command::Sort(SortCommand { by, returns, criteria, charset, key, update_items })
            }
        ),
        1 => (by(), any::<bool>(), "[A-Z][A-Z0-9-]{1,9}", search::key()).prop_map(
            |(by, references, charset, key)| {
                let algorithm = match references {
                    true => ThreadAlgorithm::References,
                    false => ThreadAlgorithm::OrderedSubject,
                };
                Command::Thread(ThreadCommand { by, algorithm, charset, key })
            }
        ),
    ]
    .boxed()
}

/// Each key once: a second time it says nothing.
fn criteria() -> BoxedStrategy<Vec<SortCriterion>> {
    let keys = vec![
        SortKey::Arrival,
        SortKey::Cc,
        SortKey::Date,
        SortKey::From,
        SortKey::Size,
        SortKey::Subject,
        SortKey::To,
        SortKey::DisplayFrom,
        SortKey::DisplayTo,
        SortKey::Relevancy,
    ];
    let keys = subsequence(keys, 1..=10).prop_shuffle();
    (keys, any::<u16>())
        .prop_map(|(keys, reversed)| {
            let reverse = |at: usize| reversed >> at & 1 == 1;
            keys.into_iter()
                .enumerate()
                .map(|(at, key)| SortCriterion { key, reverse: reverse(at) })
                .collect()
        })
        .boxed()
}

fn on_messages() -> BoxedStrategy<Command> {
    let by = || select(vec![By::Sequence, By::Uid]);
    let since = || prop::option::of(number64());
    let change = (flags(), 0u8..3, any::<bool>()).prop_map(|(flags, kind, silent)| StoreChange {
        flags: [FlagChange::Add, FlagChange::Remove, FlagChange::Replace][usize::from(kind)](flags),
        silent,
    });
    let charset = prop::option::of("[A-Z][A-Z0-9-]{1,9}");
    prop_oneof![
        2 => message_set().prop_map(|set| Command::Expunge { uids: Some(set) }),
        8 => (by(), search_returns(), charset, search::key(), update_items()).prop_map(
            |(by, returns, charset, key, items)| {
                let returns = of_a_search(returns, &key);
                let update_items = if updates(returns) { items } else { Vec::new() };
                Command::Search(SearchCommand { by, returns, charset, key, update_items })
            }
        ),
        8 => (by(), message_set(), fetch::items(), modifiers()).prop_map(|(by, set, items, modifiers)| {
            let modifiers = match by {
                By::Uid => modifiers,
                By::Sequence => FetchModifiers { vanished: false, partial: None, ..modifiers },
            };
            Command::Fetch { by, set, items, modifiers }
        }),
        4 => (by(), message_set(), change, since()).prop_map(|(by, set, change, unchanged_since)| {
            Command::Store { by, set, change, unchanged_since }
        }),
        2 => (by(), message_set(), mailbox()).prop_map(|(by, set, to)| Command::Copy { by, set, to }),
        2 => (by(), message_set(), mailbox()).prop_map(|(by, set, to)| Command::Move { by, set, to }),
    ]
    .boxed()
}
