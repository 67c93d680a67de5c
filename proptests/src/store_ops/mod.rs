//! Random sequences of operations, run on two stores that have to answer alike.
//!
//! A [`Step`] is what proptest draws and shrinks: small numbers that pick accounts, mailboxes and UIDs. A [`driver`]
//! turns each into calls with the ids that the two stores have given out, runs it on both, and compares the answers
//! with the ids numbered in the order they were first seen.
//!
//! [`driver`]: compare

mod call;
mod driver;
mod normal;
mod step;

pub use driver::{Reached, compare};
pub use step::{Step, steps};
