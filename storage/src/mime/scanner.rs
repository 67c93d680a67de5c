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
    let mut scanner = Scanner::new();
    scanner.push(message);
    scanner.finish()
}
