//! The IMAP decoder: whatever comes, however it is cut, gives the same events and never more than the limits allow.
#![no_main]

use gadwall::imap::decode::{Decoder, Event, Limits};
use gadwall::imap::types::Text;
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { line_bytes: 400, literal_bytes: 200, swallow_bytes: 1_000 };

/// The first byte says how the rest comes: whether messages are taken, how names travel, and in pieces of which size.
fn events(how: u8, input: &[u8], size: usize) -> Vec<Event> {
    let mut decoder = Decoder::new(LIMITS);
    decoder.set_text(if how & 2 == 0 { Text::Ascii } else { Text::Utf8 });
    let mut events: Vec<Event> = Vec::new();
    for piece in input.chunks(size) {
        decoder.feed(piece);
        while let Some(event) = decoder.event() {
            match &event {
                Event::Append { .. } if how & 1 == 0 => decoder.accept_message(),
                Event::Append { .. } => decoder.refuse_message(),
                _ => {}
            }
            match (events.last_mut(), event) {
                (Some(Event::MessageData(last)), Event::MessageData(more)) => {
                    *last = [&last[..], &more].concat().into();
                }
                (_, event) => events.push(event),
            }
        }
    }
    events
}

fuzz_target!(|data: &[u8]| {
    let Some((how, input)) = data.split_first() else { return };
    let whole = events(*how, input, input.len().max(1));
    assert_eq!(events(*how, input, usize::from(how >> 2).max(1)), whole);
    let ends = whole.iter().position(|event| matches!(event, Event::Fatal { .. }));
    assert!(ends.is_none_or(|at| at + 1 == whole.len()), "something follows the end");
});
