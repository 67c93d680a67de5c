//! Transfer encodings and charsets.

use super::Part;

/// `body` (the bytes of a leaf) with its transfer encoding undone; an unknown encoding leaves it as it is.
/// Damaged input gives what can be decoded.
pub fn decode_transfer(_part: &Part, _body: &[u8]) -> Vec<u8> {
    unimplemented!()
}

/// `body` (the bytes of a text leaf) as Unicode: transfer encoding and charset undone.
pub fn decode_charset(_part: &Part, _body: &[u8]) -> String {
    unimplemented!()
}

/// `text` in the charset of that name as Unicode; `None` if the charset is not known.
pub fn to_unicode(_charset: &str, _text: &[u8]) -> Option<String> {
    unimplemented!()
}
