//! Small named values that all nodes share: certificates, leases. Beside [`MailStore`](crate::MailStore), since no
//! engine needs them.

use crate::Result;
use async_trait::async_trait;

/// Longest value, in bytes.
pub const DOCUMENT_LIMIT: usize = 24 << 10;

/// A value, and how often it has been written: a version never comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub version: u64,
    pub bytes: Vec<u8>,
}

/// Named values with compare-and-set. `contract::documents` tests what is said here.
#[async_trait]
pub trait Documents: Send + Sync {
    async fn document(&self, name: &str) -> Result<Option<Document>>;

    /// Writes if the version is `expected`, 0 meaning that there is none yet, and answers the new version, which is
    /// higher; `None` when somebody else has written. Durable before it answers. After `Unavailable` with an unknown
    /// outcome a look tells. `LimitReached` above [`DOCUMENT_LIMIT`].
    async fn replace_document(&self, name: &str, expected: u64, bytes: &[u8]) -> Result<Option<u64>>;
}
