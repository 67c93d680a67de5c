//! The IMAP decoder: every command in every spelling, in pieces of any size, and anything at all.

use gadwall::imap::decode::{Decoder, Event, Limits};
use gadwall_proptests::config;
use gadwall_proptests::imap::{Spelling, Writer, commands, decode_in_pieces, spelling, split};
use proptest::prelude::*;
use proptest::sample::Index;

const LIMITS: Limits = Limits { line_bytes: 8_000, literal_bytes: 4_000, swallow_bytes: 10_000 };
/// So small that generated commands pass them often.
const TIGHT: Limits = Limits { line_bytes: 60, literal_bytes: 12, swallow_bytes: 30 };

fn wire(sent: &[gadwall_proptests::imap::Sent], spelling: &Spelling) -> (Vec<u8>, Vec<Event>) {
    let mut writer = Writer::new(spelling);
    sent.iter().for_each(|s| writer.sent(s));
    (writer.out, writer.expected)
}

/// A change that makes something else of a command's bytes.
#[derive(Debug, Clone)]
enum Damage {
    Byte(Index, u8),
    Removed(Index),
    Inserted(Index, &'static str),
    Cut(Index),
}

fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let pieces = vec![
        "{3}\r\n",
        "{3+}\r\n",
        "{0+}\r\n",
        "{99}\r\n",
        "{18446744073709551615+}\r\n",
        "{9223372036854775807}\r\n",
        "\r\n",
        "\n",
        "\r",
        "\"",
        "(",
        ")",
        " ",
        "\\",
        "*",
        ":",
        "a NOOP\r\n",
        "a APPEND x {2+}\r\n",
        "\0",
    ];
    let one = prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        any::<Index>().prop_map(Damage::Removed),
        (any::<Index>(), prop::sample::select(pieces)).prop_map(|(at, piece)| Damage::Inserted(at, piece)),
        any::<Index>().prop_map(Damage::Cut),
    ];
    prop::collection::vec(one, 0..4)
}

fn damaged(mut bytes: Vec<u8>, damage: &[Damage]) -> Vec<u8> {
    for d in damage {
        if bytes.is_empty() {
            break;
        }
        match d {
            Damage::Byte(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Damage::Removed(at) => drop(bytes.remove(at.index(bytes.len()))),
            Damage::Inserted(at, piece) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, piece.bytes());
            }
            Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(config(1500))]

    /// Decoding undoes encoding, whatever the spelling and wherever the bytes are cut.
    #[test]
    fn what_is_written_is_read(sent in commands(), spelling in spelling(), pieces in split()) {
        let (bytes, expected) = wire(&sent, &spelling);
        let events = decode_in_pieces(&bytes, &pieces, &LIMITS, true);
        prop_assert_eq!(events, expected, "{}", String::from_utf8_lossy(&bytes));
    }

    /// What is damaged, or more than the limits allow, is refused the same way wherever it is cut.
    #[test]
    fn refusals_do_not_depend_on_the_split(
        sent in commands(), spelling in spelling(), damage in damage(), pieces in split(),
        tight in any::<bool>(), accept in any::<bool>(),
    ) {
        let bytes = damaged(wire(&sent, &spelling).0, &damage);
        let limits = if tight { TIGHT } else { LIMITS };
        let whole = decode_in_pieces(&bytes, &[usize::MAX], &limits, accept);
        prop_assert_eq!(&decode_in_pieces(&bytes, &pieces, &limits, accept), &whole);
        prop_assert_eq!(&decode_in_pieces(&bytes, &[1], &limits, accept), &whole);
        // A command beside the point is answered: no event repeats, and nothing follows the end.
        let fatal = whole.iter().position(|e| matches!(e, Event::Fatal { .. }));
        prop_assert!(fatal.is_none_or(|at| at + 1 == whole.len()), "{:?}", whole);
    }

    #[test]
    fn no_bytes_make_it_panic(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            prop::collection::vec(prop::sample::select(b"a {}+0123\r\n\"\\()*:APPENDSEARCH[]<>.".to_vec()), 0..300),
        ],
        pieces in split(), accept in any::<bool>(),
    ) {
        let whole = decode_in_pieces(&bytes, &[usize::MAX], &TIGHT, accept);
        prop_assert_eq!(decode_in_pieces(&bytes, &pieces, &TIGHT, accept), whole);
    }

    /// The line that answers a continuation request has the same limit as a command line.
    #[test]
    fn an_answer_does_not_depend_on_the_split(
        line in "[A-Za-z0-9=+/ {}]{0,120}", ending in prop::sample::select(vec!["\r\n", "\n"]), pieces in split(),
    ) {
        let input = format!("{line}{ending}a NOOP\r\n");
        let events = |pieces: &[usize]| {
            let mut decoder = Decoder::new(TIGHT);
            decoder.expect_line();
            let (mut rest, mut events) = (input.as_bytes(), Vec::new());
            for len in pieces.iter().cycle() {
                let (piece, tail) = rest.split_at((*len).min(rest.len()));
                decoder.feed(piece);
                events.extend(std::iter::from_fn(|| decoder.event()));
                rest = tail;
                if rest.is_empty() {
                    break;
                }
            }
            events
        };
        let whole = events(&[usize::MAX]);
        prop_assert_eq!(events(&pieces), whole.clone());
        prop_assert_eq!(events(&[1]), whole);
    }
}
