//! Message bodies on their way in and out: spooled while received, split into text and attachments that are
//! stored once by content, cut into compressed chunks, and put together again byte for byte.
//!
//! Knows no backend: a backend stores chunks under the [`BlobId`](crate::BlobId)s of a [`Manifest`].

mod base64_piece;
mod chunk;
mod manifest;
mod reader;
mod staged;

pub use chunk::*;
pub use manifest::*;
pub use reader::*;
pub use staged::*;

#[cfg(test)]
mod tests;
