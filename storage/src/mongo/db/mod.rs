//! All access to MongoDB: some twenty typed commands over the official driver, each under a deadline.
//!
//! This is the seam at which a simulation comes in: it runs this very code over a driver whose sockets are its own.
//! So there is no wall clock and no randomness here, and nothing else in the backend names the driver's client.
//!
//! A command that is not answered in time is not cancelled, since the driver must not be dropped in the middle of
//! one: it goes on on a task of its own, and what becomes of it is unknown. When nothing at all is answered any more,
//! the driver's client is given up, with all it has under way, for a new one.

mod admin;
mod client;
mod commands;
mod error;
mod pool;
mod session;
mod values;

pub use client::{Db, Settings};
pub use commands::{Find, Index, Update};
pub use error::{DbError, Kind};
pub use session::Session;
pub use values::number;
