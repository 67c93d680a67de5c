//! Where a server is, as it is told to others: never resolved here.

use std::fmt;

/// A host (name or address) and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl Address {
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// From two words of a command.
    pub(crate) fn from_words(host: &[u8], port: &[u8]) -> Option<Self> {
        let host = std::str::from_utf8(host).ok()?;
        Some(Self::new(host, std::str::from_utf8(port).ok()?.parse().ok()?))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
