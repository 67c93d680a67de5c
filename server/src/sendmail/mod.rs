//! `sendmail`, as programs expect to find it at /usr/sbin/sendmail: a message on standard input, submitted by SMTP
//! to a Gadwall on this machine or another.

mod args;
mod message;
mod submit;

pub use args::SendmailArgs;
pub use submit::run;
