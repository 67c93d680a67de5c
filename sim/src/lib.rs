//! Deterministic simulation of Gadwall: the real engines on simulated machines and a simulated network.
//!
//! So far one node on the memory store; docs/ARCHITECTURE.md, "Net and Env", says what makes it possible.

mod net;
mod node;
mod trace;

pub use net::TurmoilNet;
pub use node::{Node, PORTS};
pub use trace::{Trace, TracedNet};
