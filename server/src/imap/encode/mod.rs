//! Typed responses to bytes. Pure.

mod body;
mod envelope;
mod primitive;
mod status;
mod untagged;

pub use body::{Extensions, body_structure};
pub use envelope::envelope;
pub use primitive::*;
pub use status::*;
pub use untagged::*;

#[cfg(test)]
mod tests;
