//! A simulated Redis with Sentinel, over the engines' `Net`: the failures of the real one, on order.
//!
//! A [`Server`] answers what the product's client sends (RESP2), replicates asynchronously, and forgets all when its
//! process ends: what was not copied by then is lost with it. A [`Sentinel`] votes and promotes as the real one does,
//! with the real one's windows, in which an old master still takes writes and Sentinels name different masters.
//! A [`Handle`] makes a server misbehave while it runs. What neither knows is refused, and noted in the handle.
//!
//! It knows nothing of hints and counters but the text of the two scripts that count.

mod address;
mod client;
mod command;
mod data;
mod handle;
mod info;
mod peer;
mod replication;
mod resp;
mod script;
mod sentinel;
mod server;
mod state;

pub use address::Address;
pub use handle::{Handle, PerMille, PubSubFaults};
pub use script::{ADD, COUNT};
pub use sentinel::{Sentinel, SentinelFile, SentinelOptions};
pub use server::{ConfigFile, Server, ServerOptions};
