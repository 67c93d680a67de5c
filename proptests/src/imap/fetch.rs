//! FETCH items.

use super::names::bytes;
use gadwall::imap::types::{FetchItem, Partial, Section, SectionText};
use proptest::prelude::*;
use std::num::NonZeroU32;

pub fn items() -> BoxedStrategy<Vec<FetchItem>> {
    use FetchItem::{Body, Envelope, Flags, InternalDate, Size};
    prop_oneof![
        1 => Just(vec![Flags, InternalDate, Size, Envelope]),
        1 => Just(vec![Flags, InternalDate, Size]),
        1 => Just(vec![Flags, InternalDate, Size, Envelope, Body]),
        9 => prop::collection::vec(item(), 1..5),
    ]
    .boxed()
}

fn item() -> BoxedStrategy<FetchItem> {
    use FetchItem::{
        Body, BodyStructure, EmailId, Envelope, Flags, InternalDate, ModSeq, Preview, Rfc822, Rfc822Header,
        Rfc822Text, SaveDate, Size, ThreadId, Uid,
    };
    let plain = vec![
        Uid,
        Flags,
        InternalDate,
        Size,
        Envelope,
        Body,
        BodyStructure,
        Rfc822,
        Rfc822Header,
        Rfc822Text,
        ModSeq,
    ];
    let extended = vec![EmailId, ThreadId, SaveDate, Preview { lazy: false }, Preview { lazy: true }];
    let partial = || {
        (any::<u32>(), 1..=u32::MAX)
            .prop_map(|(first, n)| Partial { first, count: NonZeroU32::new(n).expect("from 1") })
    };
    let path = || prop::collection::vec(1u32..1000, 0..4);
    prop_oneof![
        30 => prop::sample::select(plain),
        2 => prop::sample::select(extended),
        1 => (path(), any::<bool>(), prop::option::of(partial()))
            .prop_map(|(path, peek, partial)| FetchItem::Binary { path, peek, partial }),
        1 => path().prop_map(|path| FetchItem::BinarySize { path }),
        30 => (section(), any::<bool>(), prop::option::of(partial()))
            .prop_map(|(section, peek, partial)| FetchItem::Section { section, peek, partial }),
    ]
    .boxed()
}

fn section() -> BoxedStrategy<Section> {
    let fields = || prop::collection::vec(bytes(), 1..4);
    let text = prop_oneof![
        2 => Just(SectionText::All),
        1 => Just(SectionText::Header),
        1 => Just(SectionText::Text),
        1 => Just(SectionText::Mime),
        2 => fields().prop_map(SectionText::HeaderFields),
        1 => fields().prop_map(SectionText::HeaderFieldsNot),
    ];
    (prop::collection::vec(1u32..1000, 0..4), text)
        .prop_map(|(path, text)| {
            // RFC 3501 §6.4.5: MIME is a part's.
            let path = if text == SectionText::Mime && path.is_empty() { vec![1] } else { path };
            Section { path, text }
        })
        .boxed()
}
