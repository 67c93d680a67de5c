//! Bytes through the product's decoder, in pieces of any size.

use gadwall::imap::decode::{Decoder, Event, Limits};
use proptest::prelude::*;
use proptest::sample::Index;

/// Lengths that input is cut into, used in turn.
pub fn split() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        1 => Just(vec![1]),
        1 => Just(vec![usize::MAX]),
        3 => prop::collection::vec(1usize..12, 1..6),
        2 => (any::<Index>(), any::<Index>()).prop_map(|(a, b)| vec![1 + a.index(200), 1 + b.index(200)]),
    ]
}

/// All events of `input`, cut up. Messages are taken if `accept`, and their data joined, since where they are cut means
/// nothing. Continuations come in their place, the pieces of data don't.
pub fn decode_in_pieces(input: &[u8], pieces: &[usize], limits: &Limits, accept: bool) -> Vec<Event> {
    let mut decoder = Decoder::new(limits.clone());
    let mut events: Vec<Event> = Vec::new();
    let (mut rest, mut lengths) = (input, pieces.iter().cycle());
    loop {
        let len = lengths.next().map_or(usize::MAX, |len| *len).min(rest.len());
        decoder.feed(&rest[..len]);
        rest = &rest[len..];
        while let Some(event) = decoder.event() {
            match (&event, accept) {
                (Event::Append { .. }, true) => decoder.accept_message(),
                (Event::Append { .. }, false) => decoder.refuse_message(),
                _ => {}
            }
            match (events.last_mut(), event) {
                (Some(Event::MessageData(last)), Event::MessageData(more)) => {
                    *last = [&last[..], &more].concat().into();
                }
                (_, event) => events.push(event),
            }
        }
        if rest.is_empty() {
            return events;
        }
    }
}
