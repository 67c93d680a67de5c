//! Real clients against the real binary. `./test` installs what they need; a missing program fails its test.

#![allow(clippy::disallowed_methods)] // Tests live on real sockets.

mod acme;
mod cli;
mod drain;
mod haproxy;
mod harness;
mod nodemailer;
