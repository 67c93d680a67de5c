//! One run: a cluster and its clients, what is done to them, and what is found.
//!
//! First faults strike while clients work. Then everything heals, but perhaps for a minority of the members, and has to
//! come right in time: that is what "available again" means. In the end every node is asked for everything, and the
//! machines are looked into.

mod control;
mod coverage;
mod faults;
mod hosts;
mod redis;
mod report;
mod run;
mod stage;
mod swarm;
mod upkeep;

pub use control::{CONTROLS, Control};
pub use faults::Faults;
pub use hosts::Ground;
pub use run::{Plan, Report, run};
pub use stage::{Controls, NODES, Stage};
pub use swarm::{Expiry, Kind, Swarm};
