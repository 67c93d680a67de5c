//! The MIME scanner: any message has a structure, whose offsets lie in it, however it is cut; and every part can be decoded.
#![no_main]

use gadwall_storage::mime::{
    Content, Part, Scanner, Structure, TransferDecoder, decode_charset, decode_transfer, scan,
};
use libfuzzer_sys::fuzz_target;
use std::ops::Range;

fn inside(range: &Range<u64>, outer: &Range<u64>) -> bool {
    range.start <= range.end && outer.start <= range.start && range.end <= outer.end
}

fn check(part: &Part, outer: &Range<u64>, message: &[u8]) {
    assert!(inside(&part.header, outer) && inside(&part.body, outer) && part.header.end <= part.body.start);
    match &part.content {
        Content::Leaf => {
            let bytes = &message[part.body.start as usize..part.body.end as usize];
            let whole = decode_transfer(part, bytes);
            if let Some(mut decoder) = TransferDecoder::new(&part.encoding) {
                let mut out = Vec::new();
                bytes.chunks(7).for_each(|piece| decoder.feed(piece, &mut out));
                decoder.finish(&mut out);
                assert_eq!(out, whole);
            }
            let _ = decode_charset(part, bytes);
        }
        Content::Multipart(children) => children.iter().for_each(|child| check(child, &part.body, message)),
        Content::Message(embedded) => check(&embedded.part, &part.body, message),
    }
}

fn in_pieces(message: &[u8], size: usize) -> Structure {
    let mut scanner = Scanner::new();
    message.chunks(size).for_each(|piece| scanner.push(piece));
    scanner.finish()
}

fuzz_target!(|data: &[u8]| {
    let Some((size, message)) = data.split_first() else { return };
    let structure = scan(message);
    assert_eq!(in_pieces(message, usize::from(*size).max(1)), structure);
    assert_eq!(structure.size, message.len() as u64);
    assert!(structure.preview.chars().count() <= 200);
    check(&structure.root, &(0..structure.size), message);
    for (path, part) in structure.parts() {
        assert_eq!(structure.part(&path), Some(part), "{path:?}");
    }
    let _ = (structure.html(), structure.text());
    structure.attachments().iter().for_each(|(_, part)| drop(part.file_name()));
});
