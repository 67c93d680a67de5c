//! Search keys.

use super::names::{bytes, keyword, message_set, number64};
use gadwall::imap::types::{Day, SearchKey};
use gadwall_storage::{EmailId, SystemFlag};
use proptest::prelude::*;

/// Days whose year has four digits.
pub fn day() -> BoxedStrategy<Day> {
    prop_oneof![3 => 0i32..30_000, 1 => -719_162i32..2_932_896].prop_map(Day).boxed()
}

pub fn key() -> BoxedStrategy<SearchKey> {
    leaf()
        .prop_recursive(4, 12, 3, |inner| {
            prop_oneof![
                4 => prop::collection::vec(inner.clone(), 2..4).prop_map(SearchKey::And),
                4 => (inner.clone(), inner.clone()).prop_map(|(a, b)| SearchKey::Or(Box::new(a), Box::new(b))),
                4 => inner.clone().prop_map(|key| SearchKey::Not(Box::new(key))),
                1 => inner.prop_map(|key| SearchKey::Fuzzy(Box::new(key))),
            ]
        })
        .boxed()
}

fn leaf() -> BoxedStrategy<SearchKey> {
    let field = prop_oneof![
        prop::sample::select(vec!["BCC", "CC", "FROM", "SUBJECT", "TO", "List-Id"])
            .prop_map(|f| f.as_bytes().to_vec()),
        bytes(),
    ];
    let date = day().prop_flat_map(|day| {
        prop::sample::select(vec![
            SearchKey::Before(day),
            SearchKey::On(day),
            SearchKey::Since(day),
            SearchKey::SentBefore(day),
            SearchKey::SentOn(day),
            SearchKey::SentSince(day),
        ])
    });
    let saved = prop_oneof![
        any::<[u8; 12]>().prop_map(|id| SearchKey::EmailId(EmailId(id))),
        day().prop_map(SearchKey::SavedBefore),
        "[a-zA-Z0-9._-]{1,8}".prop_map(SearchKey::Filter),
        day().prop_map(SearchKey::SavedOn),
        day().prop_map(SearchKey::SavedSince),
    ];
    prop_oneof![
        Just(SearchKey::All),
        Just(SearchKey::Recent),
        message_set().prop_map(SearchKey::Sequence),
        message_set().prop_map(SearchKey::Uid),
        prop::sample::select(SystemFlag::ALL.to_vec()).prop_map(SearchKey::Flag),
        keyword().prop_map(SearchKey::Keyword),
        number64().prop_map(SearchKey::Larger),
        number64().prop_map(SearchKey::Smaller),
        date,
        (field, bytes()).prop_map(|(field, text)| SearchKey::Header { field, text }),
        bytes().prop_map(SearchKey::Body),
        bytes().prop_map(SearchKey::Text),
        number64().prop_map(SearchKey::ModSeq),
        saved,
        (1..=u32::MAX).prop_map(SearchKey::Older),
        (1..=u32::MAX).prop_map(SearchKey::Younger),
    ]
    .boxed()
}
