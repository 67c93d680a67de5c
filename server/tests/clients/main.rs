//! Real clients against the real binary. `./test` installs what they need; a missing program fails its test.

#![allow(clippy::disallowed_methods)] // Tests live on real sockets.

mod acme;
mod backing;
mod chromium;
mod cli;
mod cluster;
mod crash;
mod curl;
mod deploy;
mod doctor;
mod drain;
mod drill;
mod fetch;
mod haproxy;
mod harness;
mod imapflow;
mod mail;
mod mbsync;
mod mutt;
mod nodemailer;
mod offlineimap;
mod python;
mod python_tls;
mod swaks;
