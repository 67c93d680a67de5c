//! Who may come in: passwords, SASL, back-off. Shared by all engines; knows no protocol's syntax.

mod authenticator;
mod password;
mod sasl;
mod scram;
mod throttle;

pub use authenticator::*;
pub(crate) use password::verify;
pub use password::*;
pub use sasl::*;

#[cfg(test)]
pub(crate) mod tests;
