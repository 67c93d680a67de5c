//! Cases that need logic: bytes split anywhere, what must not come within a time, orders of things.

use crate::case::{Body, Case};
use crate::runner::{Running, Wrong};
use std::fmt;
use std::future::Future;
use std::pin::Pin;

mod framing;
mod quota;
mod random;
mod timing;

/// What a case in code does, under way.
pub type Doing<'a> = Pin<Box<dyn Future<Output = Result<(), Wrong>> + Send + 'a>>;

/// The code of a case.
#[derive(Clone, Copy)]
pub struct Code(for<'a> fn(&'a mut Running<'_>) -> Doing<'a>);

impl Code {
    pub(crate) fn run<'a>(&self, running: &'a mut Running<'_>) -> Doing<'a> {
        (self.0)(running)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

/// All of them.
pub fn cases() -> Vec<Case> {
    [framing::cases(), quota::cases(), random::cases(), timing::cases()].concat()
}

/// A case with its code.
fn case(name: &str, clause: &str, needs: &str, code: for<'a> fn(&'a mut Running<'_>) -> Doing<'a>) -> Case {
    let needs = needs.split_whitespace().map(str::to_ascii_uppercase).collect();
    Case { name: name.into(), clause: clause.into(), needs, body: Body::Code(Code(code)), ..Case::default() }
}
