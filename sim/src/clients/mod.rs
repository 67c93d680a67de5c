//! Clients of the simulated world: they do what mail programs do, over real protocols, and write down what they did
//! and saw. They know no server and no backend, and judge nothing beyond what their protocol forbids.

pub mod http;
pub mod imap;
pub mod pop3;
pub mod smtp;

mod book;
mod client;
mod mails;
mod scram;
mod wire;

pub use book::Book;
pub use client::{Acks, Client, Door, Fault, Place, Shared, now};
pub use mails::Mails;
pub use scram::Keys;
pub use wire::Wire;
