//! Exit status, the same for every subcommand but `sendmail`, which has its original's.

use super::stdio;
use crate::config::ConfigError;
use crate::run::StartError;
use gadwall_storage::StoreError;
use std::process::ExitCode;

/// Why a command failed: what to say, and the exit status that tells scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub status: u8,
    pub message: String,
}

impl Failure {
    /// What was asked for could not be done.
    pub const FAILED: u8 = 1;
    /// Wrong usage or configuration.
    pub const USAGE: u8 = 2;
    /// Another process holds the store.
    pub const HELD: u8 = 3;
    /// An address to listen on is taken.
    pub const TAKEN: u8 = 4;

    pub fn new(status: u8, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Self::FAILED, message)
    }

    /// Says it on standard error.
    pub fn report(self) -> ExitCode {
        stdio::complain(&format!("gadwall: {}", self.message));
        ExitCode::from(self.status)
    }
}

impl From<ConfigError> for Failure {
    fn from(e: ConfigError) -> Self {
        Failure::new(Self::USAGE, e.0)
    }
}

impl From<StoreError> for Failure {
    fn from(e: StoreError) -> Self {
        Failure::failed(e.to_string())
    }
}

impl From<StartError> for Failure {
    fn from(e: StartError) -> Self {
        let status = match &e {
            StartError::Bind { error, .. } if error.kind() == std::io::ErrorKind::AddrInUse => Self::TAKEN,
            StartError::Bind { .. } | StartError::Tls(_) => Self::USAGE,
            StartError::Store(_) => Self::FAILED,
        };
        Failure::new(status, e.to_string())
    }
}
