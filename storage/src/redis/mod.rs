//! Hints, counters and look-ups of a cluster, in Redis: one server, or the master that Sentinel names.
//!
//! One actor. A keeper owns the connection that commands go over and replaces it when it fails; a publisher empties
//! the queue of hints into it; a subscriber listens on a connection of its own. Everything reaches the network
//! through one [`Dial`], so that a simulation can run this very code. It knows no mail store, and nothing that it
//! carries is needed to keep mail: when Redis is away, hints stop (the backend then looks for itself) counters
//! count within the node, and each node looks up for itself.

mod bus;
mod counters;
mod dial;
mod link;
mod lookups;
mod master;
mod operate;
mod outbox;
mod subscriber;
mod url;
mod wire;

pub use bus::{RedisBus, RedisOptions};
pub use dial::{Dial, Stream, TcpDial};
pub use operate::RedisExaminer;
pub use url::{BadRedisUrl, RedisUrl};
