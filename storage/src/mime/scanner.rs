//! The push scanner.

use super::Structure;

/// Finds the [`Structure`] of a message that is pushed in, in pieces of any size. Holds no body: only the
/// header fields it needs and the open boundaries, each limited, so memory stays bounded.
#[derive(Debug, Default)]
pub struct Scanner {}

impl Scanner {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn push(&mut self, _bytes: &[u8]) {
        unimplemented!()
    }

    pub fn finish(self) -> Structure {
        unimplemented!()
    }
}

/// The structure of a message that is at hand whole.
pub fn scan(message: &[u8]) -> Structure {
    use super::structure::*;
    Structure {
        size: message.len() as u64,
        envelope: Default::default(),
        preview: String::new(),
        root: Part {
            header: 0..0,
            body: 0..0,
            lines: 0,
            content_type: Default::default(),
            encoding: String::new(),
            id: None,
            description: None,
            md5: None,
            disposition: None,
            language: vec![],
            location: None,
            content: Content::Leaf,
        },
    }
}
