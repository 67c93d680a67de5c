//! Finding parts by number (RFC 3501 §6.4.5) and by role.

use super::{Part, Structure};

impl Structure {
    /// The part with that number: `[]` is the root. For a message that is no multipart, part 1 is its
    /// body. Inside message/rfc822 the numbers go on as in the embedded message.
    pub fn part(&self, _path: &[u32]) -> Option<&Part> {
        unimplemented!()
    }

    /// All leaves and embedded messages with their part numbers, in order.
    pub fn parts(&self) -> Vec<(Vec<u32>, &Part)> {
        unimplemented!()
    }

    /// The part a reader shows as HTML, if any (multipart/alternative and related are understood).
    pub fn html(&self) -> Option<(Vec<u32>, &Part)> {
        unimplemented!()
    }

    /// The part a reader shows as plain text, if any.
    pub fn text(&self) -> Option<(Vec<u32>, &Part)> {
        unimplemented!()
    }

    /// What a reader offers as attachments: neither [`Self::html`] nor [`Self::text`].
    pub fn attachments(&self) -> Vec<(Vec<u32>, &Part)> {
        unimplemented!()
    }
}

impl Part {
    /// The file name: Content-Disposition's `filename` or Content-Type's `name`, decoded.
    pub fn file_name(&self) -> Option<String> {
        unimplemented!()
    }
}
