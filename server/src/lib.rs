//! Gadwall, a mail server that catches everything: SMTP in; IMAP, POP3, web and REST out.
//!
//! The protocol engines (`imap`, `pop3`, `smtp`, `http`) never import each other and know no backend: they
//! work on `dyn MailStore` and on what [`Services`] hands them. Only `main.rs` names a concrete backend.

pub mod accounts;
pub mod acme;
pub mod auth;
pub mod cli;
pub mod client;
pub mod config;
pub mod http;
pub mod imap;
pub mod listen;
pub mod msgid;
pub mod net;
pub mod pop3;
mod presence;
pub mod proxy;
#[cfg(test)]
mod refusals;
pub mod run;
#[cfg(test)]
mod secrets;
pub mod sendmail;
mod services;
pub mod smtp;
#[cfg(test)]
mod testing;
pub mod time;
pub mod tls;

pub use services::{Backend, Env, Limits, Services};
