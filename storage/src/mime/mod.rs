//! MIME: a streaming scanner that finds the structure of a message while it is received, and what reads
//! headers and decodes parts afterwards. Pure: bytes in, values out; no store, no protocol.

mod address;
mod build;
mod decode;
mod header;
mod params;
mod preview;
mod scanner;
mod section;
mod structure;
mod transfer;

pub use decode::*;
pub use header::*;
pub use scanner::*;
pub use structure::*;
pub use transfer::*;

#[cfg(test)]
mod tests;
