//! Promise 8: what a client sends costs no more memory than the limits say. A program of its own, since it counts all
//! that is allocated in it.

use cap::Cap;
use gadwall::imap::decode::{Decoder, Event, Limits};
use gadwall_proptests::config;
use proptest::prelude::*;
use proptest::sample::select;
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const LIMITS: Limits = Limits { line_bytes: 2_000, literal_bytes: 3_000, swallow_bytes: 1 << 40 };
/// One read.
const PIECE: usize = 1_000;
/// Buffers double as they grow, and a typed command is larger than its bytes: the smallest sequence set of all, `1,`, is
/// sixteen bytes for two.
const MOST: usize = 16 * (LIMITS.line_bytes + LIMITS.literal_bytes + PIECE);

fn beginning() -> BoxedStrategy<&'static str> {
    select(vec![
        "",
        "a LOGIN ",
        "a LOGIN {2999+}\r\n",
        "a LOGIN {900000+}\r\n",
        "a LOGIN {900000000000}\r\n",
        "a SEARCH ",
        "a SEARCH HEADER {1500+}\r\n",
        "a APPEND x {900000+}\r\n",
        "a APPEND x y {900000+}\r\n",
        "a FETCH ",
        "a ID (",
        "a STORE 1 FLAGS (",
        "a ENABLE ",
        "a LIST \"\" (",
    ])
    .boxed()
}

fn filling() -> BoxedStrategy<&'static str> {
    select(vec![
        "x",
        "1,",
        "(",
        "NOT ",
        "{1+}\r\nx ",
        "\"",
        "\r\n",
        "x {0+}\r\n",
        "BODY[1.",
        "\\Seen ",
        "a NOOP\r\n",
        "\0",
        " ",
    ])
    .boxed()
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn the_decoder_keeps_no_more_than_its_limits(
        beginning in beginning(), filling in filling(), accept in any::<bool>(), pieces in 10usize..200,
    ) {
        let piece = filling.repeat(PIECE / filling.len());
        let before = ALLOCATOR.allocated();
        let mut most = 0;
        let mut decoder = Decoder::new(LIMITS);
        decoder.feed(beginning.as_bytes());
        for _ in 0..pieces {
            decoder.feed(piece.as_bytes());
            while let Some(event) = decoder.event() {
                most = most.max(ALLOCATOR.allocated().saturating_sub(before));
                match event {
                    Event::Append { .. } if accept => decoder.accept_message(),
                    Event::Append { .. } => decoder.refuse_message(),
                    Event::Fatal { .. } => return Ok(()),
                    _ => {}
                }
            }
            most = most.max(ALLOCATOR.allocated().saturating_sub(before));
        }
        prop_assert!(most <= MOST, "{} bytes for limits of {:?}", most, LIMITS);
    }
}
