//! Mailboxes, flags, sequence sets, strings.

use gadwall::imap::mutf7;
use gadwall::imap::types::{ListPattern, MailboxArg, SeqNum, SequenceSet, StatusItem};
use gadwall_storage::{Flags, Keyword, SystemFlag};
use proptest::prelude::*;
use proptest::sample::subsequence;
use std::num::NonZeroU32;

/// What a string of a command can hold: any octet but NUL.
pub fn bytes() -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        4 => "[a-zA-Z0-9.@]{1,12}".prop_map(String::into_bytes),
        1 => Just(Vec::new()),
        1 => Just(b"NIL".to_vec()),
        2 => prop::collection::vec(prop::sample::select(b"a\"\\ {}+%*]()\r\n3~&".to_vec()), 0..8),
        2 => prop::collection::vec(1u8..=255, 0..20),
    ]
    .boxed()
}

/// A mailbox argument as the decoder sees these bytes.
pub fn mailbox_arg(raw: Vec<u8>) -> MailboxArg {
    match mutf7::decode(&raw).map(MailboxArg::of) {
        Ok(MailboxArg::Invalid { reason, .. }) | Err(reason) => MailboxArg::Invalid { raw, reason },
        Ok(arg) => arg,
    }
}

pub fn mailbox() -> BoxedStrategy<MailboxArg> {
    let name = prop_oneof![
        Just("INBOX".to_owned()),
        Just("iNboX".to_owned()),
        "[a-z &~]{1,6}(/[a-zA-Z.\\]]{1,4}){0,3}",
        "[a-zäöü日本\u{1f986}]{1,8}"
    ];
    prop_oneof![
        6 => name.prop_map(|name| mailbox_arg(mutf7::encode(&name).into_bytes())),
        1 => bytes().prop_map(mailbox_arg),
    ]
    .boxed()
}

pub fn pattern() -> BoxedStrategy<ListPattern> {
    prop_oneof![Just(String::new()), "[a-z%*/]{1,8}", "[a-z%*/ \"äß日&\\]]{1,8}"]
        .prop_map(ListPattern)
        .boxed()
}

pub fn system_flags() -> BoxedStrategy<Vec<SystemFlag>> {
    subsequence(SystemFlag::ALL.to_vec(), 0..=SystemFlag::ALL.len()).boxed()
}

pub fn keyword() -> BoxedStrategy<Keyword> {
    "[$a-zA-Z0-9!#&'+,./:;<=>?@^_`|}~\\[-]{1,9}"
        .prop_map(|text| Keyword::new(&text).expect("an atom"))
        .boxed()
}

pub fn flags() -> BoxedStrategy<Flags> {
    (system_flags(), prop::collection::vec(keyword(), 0..3))
        .prop_map(|(system, keywords)| {
            let mut flags = system.into_iter().fold(Flags::new(), Flags::with);
            keywords.into_iter().for_each(|k| flags.insert_keyword(k));
            flags
        })
        .boxed()
}

fn sequence_number() -> BoxedStrategy<SeqNum> {
    let number = prop_oneof![8 => 1u32..30, 1 => any::<u32>(), 1 => Just(u32::MAX)];
    prop_oneof![
        5 => number.prop_map(|n| NonZeroU32::new(n).map_or(SeqNum::Star, SeqNum::Number)),
        1 => Just(SeqNum::Star),
    ]
    .boxed()
}

pub fn sequence_set() -> BoxedStrategy<SequenceSet> {
    let range = prop_oneof![sequence_number().prop_map(|n| (n, n)), (sequence_number(), sequence_number()),];
    prop::collection::vec(range, 1..6).prop_map(|r| SequenceSet::new(r).expect("one range at least")).boxed()
}

/// What a command takes: a set, or what was saved.
pub fn message_set() -> BoxedStrategy<SequenceSet> {
    prop_oneof![9 => sequence_set(), 1 => Just(SequenceSet::SAVED)].boxed()
}

pub fn status_items() -> BoxedStrategy<Vec<StatusItem>> {
    use StatusItem::{
        AppendLimit, Deleted, DeletedStorage, HighestModSeq, MailboxId, Messages, Recent, Size, UidNext,
        UidValidity, Unseen,
    };
    let all = vec![
        Messages,
        Recent,
        UidNext,
        UidValidity,
        Unseen,
        Deleted,
        DeletedStorage,
        HighestModSeq,
        Size,
        MailboxId,
        AppendLimit,
    ];
    // As often only those that others know as well.
    let core = vec![Messages, Recent, UidNext, UidValidity, Unseen, HighestModSeq];
    prop_oneof![subsequence(core, 1..=6), subsequence(all, 1..=11)].boxed()
}

/// Mod-sequences and sizes: below 2^63.
pub fn number64() -> BoxedStrategy<u64> {
    prop_oneof![0u64..1000, 0u64..1 << 63].boxed()
}
