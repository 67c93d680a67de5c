//! How a message's bytes are made of stored content.

use super::Staged;
use crate::{BlobId, Result};
use serde::{Deserialize, Serialize};

/// The recipe of one message: its pieces in order. The pieces' lengths add up to `size`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub size: u64,
    pub pieces: Vec<Piece>,
}

/// One stretch of a message, made from one blob (content stored once, named by the digest of its content).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    pub blob: BlobId,
    /// Bytes of the content that is stored, before compression.
    pub stored_len: u64,
    /// Bytes it makes in the message.
    pub len: u64,
    pub form: Form,
}

/// How stored content becomes message bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// As it is.
    Verbatim,
    /// Encoded in base64, in lines of `line_len` characters (a multiple of 4) ended by CRLF, the last line
    /// possibly shorter and ended or not. Chosen only after the round trip was verified.
    Base64 { line_len: u16, last_line_ended: bool },
}

impl Manifest {
    /// Splits a message: attachments in canonical base64 are decoded, everything else stays verbatim. Every
    /// decoded piece has been encoded again and compared, byte for byte.
    pub fn plan(_staged: &Staged) -> Result<Manifest> {
        unimplemented!()
    }

    /// The distinct blobs, in order of first use, each with the index of a piece that holds it.
    pub fn blobs(&self) -> Vec<(BlobId, usize)> {
        unimplemented!()
    }
}
