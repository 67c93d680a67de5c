//! IMAP conformance cases as text, and their runner, pointable at any server.
//!
//! A beginning: transcripts of one connection over RFC 3501. Several connections, the client model, the clause
//! table and the calibration against other servers come with the suite's own issue.

mod case;
mod runner;

pub use case::{Case, Step, parse};
pub use runner::{Target, Verdict, run};

/// The cases that come with the suite.
pub const CASES: &str = include_str!("../cases/rfc3501.txt");
