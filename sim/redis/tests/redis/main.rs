//! The product's client over the simulated Redis, by the claims that hold for the real one; and what only a simulated
//! one does on order.

#[allow(dead_code)] // Made for the tests of the client over real servers.
#[path = "../../../../storage/tests/redis_servers/mod.rs"]
mod redis_servers;
#[macro_use]
#[path = "../../../../storage/tests/redis_suite/mod.rs"]
mod redis_suite;

mod faults;
mod reality;
mod simulated;

redis_suite!(simulated::Server);
