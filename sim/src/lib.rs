//! Deterministic simulation of Gadwall: the real engines on simulated machines and a simulated network.
//!
//! docs/simulation.md says what is simulated and what a run proves; docs/ARCHITECTURE.md, "Net and Env", what makes it
//! possible.

pub mod balancer;
pub mod campaign;
pub mod check;
pub mod clients;
mod clock;
pub mod history;
mod net;
pub mod node;
mod pieces;
pub mod seed;
mod trace;
pub mod workload;
pub mod world;

pub use clock::HostClock;
pub use net::TurmoilNet;
pub use node::{API_KEY, MX_PORT, PORTS};
pub use trace::{Trace, TracedNet};
