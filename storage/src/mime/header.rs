//! Header fields.

use std::ops::Range;

/// One field of a header block, by its place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    pub name: &'a [u8],
    /// The field as it stands, folded lines and final line break included.
    pub raw: Range<usize>,
    /// The value as it stands, from after the colon to before the final line break.
    pub value: &'a [u8],
}

/// The fields of a header block, in order. Lines that are no field are skipped.
pub fn fields(_header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    std::iter::empty()
}

/// The first field of that name (without case), unfolded and trimmed.
pub fn field(_header: &[u8], _name: &str) -> Option<Vec<u8>> {
    unimplemented!()
}

/// A value unfolded (RFC 5322 §2.2.3), encoded words (RFC 2047) decoded, charset guessed if 8-bit.
pub fn decode_text(_value: &[u8]) -> String {
    unimplemented!()
}
